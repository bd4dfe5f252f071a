"""How long a cell or a hidden test may take: a small multiple of what the solution needed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from medlab.course.unit import HiddenTest

FACTOR = 5  # times what the solution needed in the rehearsal
LEAST_SECONDS = 10


@dataclass(frozen=True)
class Pace:
    """The seconds that a solution's cells and tests took; empty before a rehearsal."""

    cells: Mapping[str, float] = field(default_factory=dict)  # by the cell's id
    tests: Mapping[str, float] = field(default_factory=dict)  # by name_of(test)

    def seconds_for_cell(self, cell_id: str, limit: float) -> float:
        """Return the seconds that a cell may take, at most limit; a learner's own: the longest."""
        longest = max(self.cells.values(), default=limit)
        return _allowed(self.cells.get(cell_id, longest), limit)

    def seconds_for_test(self, test: HiddenTest, limit: float) -> float:
        """Return the seconds that all calls of a test may take together, at most limit each."""
        return _allowed(self.tests.get(name_of(test), limit), limit)


def name_of(test: HiddenTest) -> str:
    """Return what tells the tests of a unit apart."""
    return f"{test.exercise}/{test.number}"


def _allowed(needed: float, limit: float) -> float:
    return min(limit, max(LEAST_SECONDS, FACTOR * needed))
