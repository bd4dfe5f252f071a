"""HTML pages and tables on the terminal: feedback, item analysis, similarity.

A page is an end: nothing in medlab reads one.
"""
