"""The one error whose message is meant for users."""


class BadInput(Exception):
    """A user's mistake in one line: what, where, what to do; the command exits with status 2."""
