"""What a learner's notebook uses: `%%check`, hints, progress, views.

Not grading: visible checks give no points.
"""
