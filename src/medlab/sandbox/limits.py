"""How long a cell may run and how much it may send, and the result of running it."""

from dataclasses import dataclass, field

from nbformat import NotebookNode


@dataclass(frozen=True)
class Limits:
    """What a learner's code may use."""

    cell_seconds: float = 120  # for one cell, and for one call from a hidden test
    output_bytes: int = 2_000_000  # kept of one cell's outputs
    answer_bytes: int = 64_000_000  # of one answer to a hidden test
    sitting_seconds: float = 600  # for all cells and calls of one notebook together


@dataclass
class CellResult:
    """The result of running one cell."""

    status: str  # ok, error, timeout or killed
    outputs: list[NotebookNode] = field(default_factory=list)
    error: str = ""  # one line, for the learner


def out_of_time(limits: Limits) -> str:
    """Return the message when a sitting is over."""
    return f"stopped: the whole notebook may take {limits.sitting_seconds:g} s"
