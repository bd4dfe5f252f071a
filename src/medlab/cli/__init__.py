"""The command line: each module parses and prints for one group of commands.

No logic: what a command does is in the room that it calls, imported when the command runs.
"""

from medlab.cli.main import main

__all__ = ["main"]
