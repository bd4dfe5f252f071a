"""Stored grades: the database, manual scores, lateness, and exports to other systems.

It computes no grade from a notebook and renders no page.
"""
