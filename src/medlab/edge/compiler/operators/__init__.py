"""One module per family of operators: what each becomes in C.

Nothing here reads files or plans memory: a module gets a checked operator and returns a Step.
"""
