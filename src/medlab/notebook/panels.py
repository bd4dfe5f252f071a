"""Panels that a notebook shows: a mark, a word, a colour and a reason, as HTML and as text.

The text is the same on every run, so that nbval can compare it. All of it is escaped: a reason
may quote what a learner's function returned.
"""

import html
import re
from dataclasses import dataclass

# Name of a state -> its mark and border. The marks and words carry the meaning, the colours repeat
# it; each colour stands out on a white and on a dark page (contrast above 3 to 1).
STATES = {
    "passed": ("\u2713", "#2e8b57"),
    "not yet": ("\u2717", "#d1432f"),
    "not attempted yet": ("\u25cb", "#808080"),
    "stopped": ("\u25cb", "#808080"),
}
LONGEST_REASON = 500  # characters


@dataclass(frozen=True)
class Panel:
    """The outcome of one check."""

    name: str  # of the exercise
    state: str  # a key of STATES
    reason: str = ""

    def text(self) -> str:
        """Return the panel as plain text: `name: state. reason`."""
        reason = shortened(self.reason)
        return f"{self.name}: {self.state}. {reason}" if reason else f"{self.name}: {self.state}"

    def html(self) -> str:
        """Return the panel as HTML; code in backticks becomes <code>."""
        mark, colour = STATES[self.state]
        head = f"<strong>{mark} {html.escape(self.name)}: {self.state}</strong>"
        return _box(colour, head + _paragraph(shortened(self.reason)))

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        return {"text/plain": self.text(), "text/html": self.html()}


@dataclass(frozen=True)
class Note:
    """One neutral line."""

    line: str

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        line = shortened_line(self.line)
        return {"text/plain": line, "text/html": _box("#808080", f"\u25cb {_with_code(line)}")}


@dataclass(frozen=True)
class Hint:
    """One level of an exercise's hints, shown under a panel; Markdown, so that formulas render."""

    level: int
    levels: int
    markdown: str

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict[str, str]:
        head = f"Hint {self.level} of {self.levels}"
        return {
            "text/plain": f"{head}: {self.markdown}",
            "text/markdown": f"**{head}**\n\n{self.markdown}",
        }


def shortened(text: str, longest: int = LONGEST_REASON) -> str:
    """Return text of at most longest characters; its middle goes, for both ends say the most."""
    text = clean(text).strip()
    if len(text) <= longest:
        return text
    half = (longest - 5) // 2
    return f"{text[:half].rstrip()} ... {text[-half:].lstrip()}"


def shortened_line(text: str, longest: int = LONGEST_REASON) -> str:
    """Return text on one line of at most longest characters."""
    return shortened(" ".join(clean(text).split()), longest)


def clean(text: str) -> str:
    """Drop what a page cannot hold: terminal colours, control characters, lone surrogates."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\r\n", "\n")
    text = "".join(c for c in text if c in "\n\t" or (c >= " " and c != "\x7f"))
    return text.encode("utf-8", "replace").decode("utf-8")


def _box(colour: str, inside: str) -> str:
    # No background and no text colour: both come from the page, light or dark.
    style = (
        f"border: 1px solid {colour}; border-left: 6px solid {colour}; border-radius: 3px; "
        "padding: 0.4em 0.8em; margin: 0.3em 0; max-width: 50em"
    )
    return f'<div role="status" style="{style}">{inside}</div>'


def _paragraph(text: str) -> str:
    if not text:
        return ""
    style = "white-space: pre-wrap; overflow-wrap: anywhere; margin-top: 0.3em"
    return f'<div style="{style}">{_with_code(text)}</div>'


def _with_code(text: str) -> str:
    return re.sub(r"`([^`\n]+)`", r"<code>\1</code>", html.escape(text))
