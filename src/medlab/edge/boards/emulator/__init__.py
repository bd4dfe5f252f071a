"""A board in Python: unicorn runs the instructions, devices/ answers at the other addresses.

It models no caches, no wait states and no memory protection unit, so it measures no time.
"""
