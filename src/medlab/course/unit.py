"""A unit: its cells and the exercises that they make up."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from medlab.course.cells import SETUP, Cell, stub
from medlab.course.syllabus import UnitEntry
from medlab.errors import BadInput


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
    """A question that is graded automatically."""

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
    """A question that is scored manually against a rubric."""

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
        """Points that are given automatically."""
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


def _levels(source: str) -> list[str]:
    return [level.strip() for level in re.split(r"(?m)^---\s*$", source) if level.strip()]
