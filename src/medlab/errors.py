"""The one error that a person is meant to read."""


class BadInput(Exception):
    """Say in one line what is wrong, where, and what to do; the command exits with status 2."""
