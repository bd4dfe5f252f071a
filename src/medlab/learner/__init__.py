"""What a learner's notebook uses: checks, hints, progress, views."""
