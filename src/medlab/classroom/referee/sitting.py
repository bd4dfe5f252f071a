"""One sitting: a restored notebook, run cell by cell, with hidden tests judged in between."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from nbformat import NotebookNode

from medlab.classroom.referee.hidden_tests import Referee
from medlab.classroom.referee.proxy import LearnerProxy
from medlab.classroom.results import (
    ExerciseResult,
    Status,
    TestResult,
    needs_grading,
    not_attempted,
    summarise,
)
from medlab.classroom.submissions.restoring import is_untouched
from medlab.course.audience import EMPTY_ANSWER, tests_behind
from medlab.course.cells import DEMONSTRATION
from medlab.course.unit import HiddenTest, Unit
from medlab.files import folder_for_sockets
from medlab.sandbox.isolation import Isolation
from medlab.sandbox.kernel import Kernel
from medlab.sandbox.limits import CellResult, Limits, out_of_time

# Called with a cell and None before it runs, and with what came of it after.
Watch = Callable[[NotebookNode, CellResult | None], None]
STOPPED = {"timeout": Status.TIMEOUT, "killed": Status.KILLED}


@dataclass(frozen=True)
class Step:
    """One cell of the notebook, and the hidden tests that follow it."""

    cell: NotebookNode
    tests: tuple[HiddenTest, ...] = ()


@dataclass
class KernelSession:
    """A kernel that is replaced when it dies, with what had been run run again.

    Its time begins now, and nothing runs in it after limits.sitting_seconds.
    """

    limits: Limits
    isolation: Isolation
    kernel: Kernel | None = None
    _began: float = field(default_factory=time.monotonic)
    _done: list[str] = field(default_factory=list)  # sources that ran and left the kernel alive
    _folders: list[tempfile.TemporaryDirectory] = field(default_factory=list)

    def run(self, source: str) -> CellResult:
        """Run a cell; one that ends the kernel is left out when a fresh kernel catches up."""
        if self.over:
            return CellResult("timeout", error=out_of_time(self.limits))
        ran = self.ready().run(source)
        if self.kernel.alive:
            self._done.append(source)
        return ran

    @property
    def over(self) -> bool:
        """Whether the time of the whole sitting is up."""
        return time.monotonic() >= self._until

    @property
    def _until(self) -> float:
        return self._began + self.limits.sitting_seconds

    def ready(self) -> Kernel:
        """Return a live kernel in which all earlier cells have run."""
        if self.kernel is None or not self.kernel.alive:
            self.close()
            self._folders.append(folder_for_sockets())
            folder = Path(self._folders[-1].name) / "seat"
            self.kernel = Kernel(folder, self.limits, self.isolation, self._until)
            self._done = [source for source in self._done if self._again(source)]
        return self.kernel

    def _again(self, source: str) -> bool:
        self.kernel.run(source)
        return self.kernel.alive

    def close(self) -> None:
        if self.kernel is not None:
            self.kernel.stop()
        while self._folders:
            self._folders.pop().cleanup()


@contextmanager
def seat(limits: Limits, isolation: Isolation) -> Iterator[KernelSession]:
    """Give a seat and clear it up."""
    taken = KernelSession(limits, isolation)
    try:
        yield taken
    finally:
        taken.close()


class Sitting:
    """Run a unit's notebook and collect what its exercises score."""

    def __init__(self, unit: Unit, judge: Referee, taken: KernelSession):
        self._unit, self._judge, self._seat = unit, judge, taken
        self._tests: dict[str, list[TestResult]] = {e.name: [] for e in unit.exercises}
        self._trouble: dict[str, CellResult] = {}  # exercise cells that did not run to their end
        self._untouched: set[str] = set()

    def run(
        self, notebook: NotebookNode, watch: Callable[[NotebookNode, CellResult | None], None]
    ) -> None:
        """Run all cells, calling watch(cell, None) before each and watch(cell, ran) after."""
        self._untouched = {
            e.name
            for e in self._unit.exercises
            if is_untouched(_source(notebook, e.cell_id), e.stub)
        }
        shown = {cell.id for cell in self._unit.cells if DEMONSTRATION in cell.options}
        for step in steps(self._unit, notebook):
            # No hidden test rests on a demonstration: a class need not wait for its training.
            if step.cell.cell_type == "code" and step.cell.id not in shown:
                self._run_cell(step.cell, watch)
            for test in step.tests:
                self._judge_test(test)

    def results(self, notebook: NotebookNode) -> list[ExerciseResult]:
        """Return one result for each exercise and written answer, in the unit's order."""
        answers = [self._written(written, notebook) for written in self._unit.written]
        return [self._result(exercise) for exercise in self._unit.exercises] + answers

    def _run_cell(self, cell: NotebookNode, watch: Watch) -> None:
        watch(cell, None)
        ran = self._seat.run(cell.source)
        cell.outputs = ran.outputs
        name = cell.metadata.get("medlab", {}).get("exercise")
        if name and ran.status != "ok":
            self._trouble[name] = ran
        watch(cell, ran)

    def _judge_test(self, test: HiddenTest) -> None:
        """Judge one test, unless the exercise is untouched or has stopped a kernel already."""
        done = self._tests[test.exercise]
        if test.exercise in self._untouched:
            return
        stopped = self._stopped(test.exercise)
        if stopped:
            done.append(TestResult(test.about, 0, test.points, *stopped))
            return
        done.append(self._judge.judge(test, LearnerProxy(self._seat.ready())))

    def _stopped(self, name: str) -> tuple[Status, str] | None:
        """Return status and message of what already stopped this exercise, or the sitting."""
        ran = self._trouble.get(name)
        if ran is not None and ran.status in STOPPED:
            return STOPPED[ran.status], f"your cell was stopped: {ran.error}"
        for test in self._tests[name]:
            if test.status in (Status.TIMEOUT, Status.KILLED):
                return test.status, "not run, since an earlier test stopped the kernel"
        if self._seat.over:
            return Status.TIMEOUT, out_of_time(self._seat.limits)
        return None

    def _result(self, exercise) -> ExerciseResult:
        if exercise.name in self._untouched:
            return not_attempted(exercise.name, exercise.points)
        tests, ran = self._tests[exercise.name], self._trouble.get(exercise.name)
        return summarise(exercise.name, exercise.points, tests, ran.error if ran else "")

    def _written(self, written, notebook: NotebookNode) -> ExerciseResult:
        answer = _source(notebook, written.cell_id).strip()
        if answer in ("", EMPTY_ANSWER):
            return not_attempted(written.name, written.points, kind="written")
        return needs_grading(written.name, written.points)


def steps(unit: Unit, notebook: NotebookNode) -> list[Step]:
    """Pair each cell with the hidden tests that stand behind it in the unit's source.

    Cells that the learner added come before the tests of the course's cell that they follow.
    """
    tests = tests_behind(unit)
    found: list[Step] = []
    owner = None
    for cell in notebook.cells:
        if cell.id in tests:
            _close(found, tests.get(owner, ()))
            owner = cell.id
        found.append(Step(cell))
    _close(found, tests.get(owner, ()))
    return found


def _close(found: list[Step], tests: tuple[HiddenTest, ...]) -> None:
    if found and tests:
        found[-1] = Step(found[-1].cell, tests)


def _source(notebook: NotebookNode, cell_id: str) -> str:
    return next((cell.source for cell in notebook.cells if cell.id == cell_id), "")
