"""Grade submissions: read them, run them with hidden tests in between, keep and show the results.

Not the sandbox that the learner's code runs in, and not the notebook's own checks.
"""
