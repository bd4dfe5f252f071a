"""Text from learners, made fit for files, databases and terminals."""

import hashlib
import re

# Control characters, and those that turn the direction of writing: a terminal obeys both.
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
LONGEST_NAME = 200  # bytes; a file system allows 255, and an ending is added


def encodable(text: str) -> str:
    """Return text that UTF-8 can hold: half a surrogate pair becomes its escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def printable(text: str) -> str:
    """Return text as one line that is safe to print; characters with an effect become escapes."""
    return UNSEEN.sub(lambda found: ascii(found[0])[1:-1], encodable(text))


def one_line(text: str) -> str:
    """Return a message as one printable line, white space joined."""
    return printable(" ".join(text.split()))


def file_name(text: str) -> str:
    """Return a printable name that fits a file system; a long one ends in its hash instead."""
    name = printable(text)
    if len(name.encode()) <= LONGEST_NAME:
        return name
    return f"{name[:40]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
