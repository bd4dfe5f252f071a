"""Text made fit for files, databases and terminals; names nearest to a misspelled one."""

import difflib
import hashlib
import re
from collections.abc import Iterable

# Control characters, and those that turn the direction of writing: a terminal obeys both.
UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
LONGEST_NAME = 200  # bytes; a file system allows 255, and an ending is added


def encodable(text: str) -> str:
    """Return text that UTF-8 can hold: half a surrogate pair becomes its escape."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def printable(text: str) -> str:
    """Return text as one line that is safe to print; characters with an effect become escapes."""
    return UNSEEN.sub(lambda found: ascii(found[0])[1:-1], encodable(text))


def one_line(text: str, longest: int | None = None) -> str:
    """Return a message as one printable line; one that is too long ends in an ellipsis."""
    line = printable(" ".join(text.split()))
    return line if longest is None or len(line) <= longest else line[: longest - 1] + "…"


def cut(text: str, longest: int, note: str = "[cut here]") -> str:
    """Return the beginning of a long text, with a line that says that it was cut."""
    return text if len(text) <= longest else f"{text[:longest]}\n{note}"


def did_you_mean(name: str, known: Iterable[str], otherwise: str, most: int = 1) -> str:
    """Return the question that names what is nearest to a misspelled name, else other words."""
    near = difflib.get_close_matches(name, list(known), n=most)
    return f"did you mean {' or '.join(near)}?" if near else otherwise


def file_name(text: str) -> str:
    """Return a printable name that fits a file system; a long one ends in its hash instead."""
    name = printable(text)
    if len(name.encode()) <= LONGEST_NAME:
        return name
    return f"{name[:40]}-{hashlib.sha256(name.encode()).hexdigest()[:12]}"
