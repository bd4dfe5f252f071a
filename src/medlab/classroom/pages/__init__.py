"""HTML pages and tables for people: feedback, item analysis, similarity.

A page is an end: nothing in medlab reads one.
"""
