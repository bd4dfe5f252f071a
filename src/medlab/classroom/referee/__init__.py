"""Hidden tests and the sitting in which they run: the grader's process on one side of a wire.

Only `answering` and `wire` enter the learner's process; neither knows a test.
"""
