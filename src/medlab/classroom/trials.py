"""Other answers tried in a unit's own solution, such as the mistakes that its author wrote.

The solution runs once, with a checkpoint in front of each exercise: an answer is tried from there
on, not from the first cell. For the course's own answers, never for those of students: a
checkpoint's process holds the solutions of the exercises before it.
"""

from collections.abc import Mapping

from medlab.classroom.referee.engine import SittingResult, judge_notebook, with_parameters
from medlab.classroom.referee.sitting import before
from medlab.classroom.submissions.restoring import RestoredNotebook
from medlab.course import Unit
from medlab.course.audience import answered
from medlab.sandbox.checkpoints import Checkpoint
from medlab.sandbox.fork_client import ForkError
from medlab.sandbox.isolation import Isolation, go_on_from


class Trials:
    """One unit's solution, and the checkpoints in front of its exercises."""

    def __init__(self, unit: Unit, key: bytes, seed: int, isolation: Isolation):
        """Prepare to try answers; key, from sitting_key, makes the hidden tests' numbers."""
        self._unit, self._key, self._seed, self._isolation = unit, key, seed, isolation
        # By exercise; None where a process that has run the cells cannot be forked.
        self._checkpoints: dict[str, Checkpoint | None] = {}

    def judge(self, exercise: str, source: str, unit: Unit | None = None) -> SittingResult:
        """Return the results of the solution with another answer to one exercise.

        unit: the unit, possibly without the cells that follow the exercise.
        """
        unit = unit or self._unit
        notebook = self._solved(unit, {exercise: source})
        isolation = self._in_front_of(exercise)
        return judge_notebook(unit, RestoredNotebook(notebook), self._key, isolation=isolation)

    def close(self) -> None:
        """End the checkpoints."""
        for checkpoint in reversed(list(self._checkpoints.values())):
            if checkpoint is not None:
                checkpoint.close()
        self._checkpoints.clear()

    def _solved(self, unit: Unit, others: Mapping[str, str]):
        answers = {e.name: e.solution for e in unit.exercises} | dict(others)
        return with_parameters(answered(unit, answers), {"SEED": self._seed})

    def _in_front_of(self, exercise: str) -> Isolation:
        checkpoint = self._checkpoint(exercise)
        return go_on_from(self._isolation, checkpoint.start) if checkpoint else self._isolation

    def _checkpoint(self, exercise: str) -> Checkpoint | None:
        """Return the checkpoint in front of an exercise, made from the one before it."""
        if not self._isolation.address:
            return None
        if exercise not in self._checkpoints:
            names = [e.name for e in self._unit.exercises]
            at = names.index(exercise)
            earlier = self._checkpoint(names[at - 1]) if at else None
            if at and earlier is None:
                self._checkpoints[exercise] = None
            else:
                self._checkpoints[exercise] = self._make(exercise, earlier)
        return self._checkpoints[exercise]

    def _make(self, exercise: str, earlier: Checkpoint | None) -> Checkpoint | None:
        cells = before(self._unit, self._solved(self._unit, {}), exercise)
        try:
            if earlier is not None:
                return earlier.extended(cells[len(earlier.start.cells) :])
            request = self._isolation.checkpoint_request()
            return Checkpoint(self._isolation.address, request, cells)
        except ForkError:
            return None
