"""A unit: its cells, read and checked, and the exercises that they make up."""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from medlab.course import rules
from medlab.course.cells import SETUP, Cell, read_cells, stub
from medlab.course.syllabus import UnitEntry
from medlab.errors import BadInput

EXERCISE = re.compile(r'(?m)^# %% .*\bexercise="(\w+)"')


@dataclass(frozen=True)
class HiddenTest:
    """A test that runs in the grader's process: all of its points or none."""

    exercise: str
    source: str
    points: int
    about: str  # shown to learners
    number: int  # among the exercise's tests, from 1
    line: int  # of its marker in the source file


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that the hidden tests must catch."""

    exercise: str
    source: str
    because: str
    keeps: int  # points that it must still score
    says: str  # words that the feedback must contain


@dataclass(frozen=True)
class Exercise:
    """A question that a machine grades."""

    name: str
    points: int
    stub: str  # what a learner starts from
    solution: str  # the whole cell, with solution markers
    cell_id: str
    checks: tuple[str, ...]  # sources
    hidden: tuple[HiddenTest, ...]
    mistakes: tuple[Mistake, ...]
    hints: tuple[str, ...]  # Markdown, from a nudge to a skeleton


@dataclass(frozen=True)
class Written:
    """A question that a person scores against a rubric."""

    name: str
    points: int
    rubric: str
    model_answer: str
    cell_id: str


@dataclass(frozen=True)
class Unit:
    """One parsed and checked unit."""

    entry: UnitEntry
    cells: tuple[Cell, ...]
    version: str  # first 12 hex digits of the SHA-256 of the source

    @property
    def slug(self) -> str:
        return self.entry.slug

    @cached_property
    def exercises(self) -> tuple[Exercise, ...]:
        return tuple(self._exercise(cell) for cell in self.cells if cell.role == "exercise")

    @cached_property
    def written(self) -> tuple[Written, ...]:
        return tuple(
            Written(c.name, c.options["points"], c.options["rubric"], c.source, c.id)
            for c in self.cells
            if c.role == "written"
        )

    @property
    def points(self) -> int:
        """Points that a machine can give."""
        return sum(exercise.points for exercise in self.exercises)

    @property
    def hidden_setup(self) -> str:
        return "\n".join(c.source for c in self.cells if (c.role, c.name) == ("hidden", SETUP))

    def exercise(self, name: str) -> Exercise:
        """Return the exercise of this name; raise BadInput naming those there are."""
        for exercise in self.exercises:
            if exercise.name == name:
                return exercise
        names = ", ".join(exercise.name for exercise in self.exercises)
        raise BadInput(f"unit '{self.slug}' has no exercise '{name}': there are {names}")

    def of(self, role: str, name: str) -> Iterator[Cell]:
        """Yield the cells of one role that belong to one exercise, in order."""
        return (cell for cell in self.cells if cell.role == role and cell.name == name)

    def _exercise(self, cell: Cell) -> Exercise:
        name, points = cell.name, cell.options["points"]
        return Exercise(
            name=name,
            points=points,
            stub=stub(cell.source),
            solution=cell.source,
            cell_id=cell.id,
            checks=tuple(c.source for c in self.of("check", name)),
            hidden=tuple(
                _hidden_test(c, points, number)
                for number, c in enumerate(self.of("hidden", name), 1)
            ),
            mistakes=tuple(
                Mistake(name, c.source, c.options["because"], c.options["keeps"], c.options["says"])
                for c in self.of("mistake", name)
            ),
            hints=tuple(level for c in self.of("hint", name) for level in _levels(c.source)),
        )


def _hidden_test(cell: Cell, exercise_points: int, number: int) -> HiddenTest:
    """Return the test in a hidden cell; without points of its own it takes the exercise's."""
    return HiddenTest(
        exercise=cell.name,
        source=cell.source,
        points=cell.options.get("points", exercise_points),
        about=cell.options.get("about", "the whole exercise"),
        number=number,
        line=cell.line,
    )


def load_unit(entry: UnitEntry) -> Unit:
    """Read and check a unit's source file.

    Raises BadInput, with file and line, for a malformed marker, an unknown name, points that do
    not add up, an assert without a message, or a solution outside a function; and for a unit of a
    learners' release, which has no source.
    """
    if entry.released:
        raise BadInput(
            "hints, solutions and hidden tests are not part of this learners' release: "
            "ask your instructor"
        )
    text = entry.source.read_bytes() if entry.source.is_file() else b""
    cells = tuple(read_cells(entry.source, entry.slug))
    unit = Unit(entry, cells, hashlib.sha256(text).hexdigest()[:12])
    rules.check(unit, entry.source)
    return unit


def exercise_names(entry: UnitEntry) -> list[str]:
    """Return the names of a unit's exercises, in order, without checking the unit.

    They come from its source; in a learners' release from the notebook's metadata. Raises BadInput
    if that file cannot be read.
    """
    path = entry.notebook if entry.released else entry.source
    try:
        text = path.read_text(encoding="utf-8")
        return _names_in_notebook(text) if entry.released else EXERCISE.findall(text)
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}): put it back") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadInput(f"{path} is damaged: put back the one that was released") from None


def _names_in_notebook(text: str) -> list[str]:
    said = [cell["metadata"].get("medlab", {}) for cell in json.loads(text)["cells"]]
    return [medlab["exercise"] for medlab in said if "exercise" in medlab]


def _levels(source: str) -> list[str]:
    return [level.strip() for level in re.split(r"(?m)^---\s*$", source) if level.strip()]
