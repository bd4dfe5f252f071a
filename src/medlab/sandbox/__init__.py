"""One isolated process for code that nobody vetted: kernel, isolation levels, fork server.

Not a virtual machine, and nothing about courses: its caller says which paths are readable.
"""
