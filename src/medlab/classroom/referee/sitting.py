"""One sitting: a restored notebook, run cell by cell, with hidden tests judged in between."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import nbformat
from nbformat import NotebookNode

from medlab.classroom.referee.hidden_tests import Referee
from medlab.classroom.referee.pace import Pace, name_of
from medlab.classroom.referee.proxy import LearnerProxy
from medlab.classroom.referee.session import KernelSession
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
from medlab.sandbox.limits import CellResult, out_of_time

# Called with a cell and None before it runs, and with its result after.
Watch = Callable[[NotebookNode, CellResult | None], None]
STOPPED = {"timeout": Status.TIMEOUT, "killed": Status.KILLED}


@dataclass(frozen=True)
class Step:
    """One cell of the notebook, and the hidden tests that follow it."""

    cell: NotebookNode
    tests: tuple[HiddenTest, ...] = ()


class Sitting:
    """Run a unit's notebook and collect what its exercises score."""

    def __init__(
        self, unit: Unit, referee: Referee, session: KernelSession, pace: Pace | None = None
    ):
        self._unit, self._referee, self._session = unit, referee, session
        self._allowed = pace or Pace()
        self.pace = Pace({}, {})  # what this sitting's cells and tests took
        self._tests: dict[str, list[TestResult]] = {e.name: [] for e in unit.exercises}
        self._trouble: dict[str, CellResult] = {}  # exercise cells that did not run to their end
        self._late: dict[str, str] = {}  # exercises whose check was stopped, with the reason
        self._untouched: set[str] = set()

    def run(self, notebook: NotebookNode, watch: Watch) -> None:
        """Run all cells, calling watch(cell, None) before each and watch(cell, result) after.

        A notebook without any answer and without cells of the learner's own is not run.
        """
        self._untouched = {
            e.name
            for e in self._unit.exercises
            if is_untouched(_source(notebook, e.cell_id), e.stub)
        }
        if len(self._untouched) == len(self._tests) and not _has_added_code(notebook):
            return
        done = self._skip_what_has_run(notebook, watch)
        runs = {cell.id for cell in cells_to_run(self._unit, notebook)} - done
        for step in steps(self._unit, notebook):
            if step.cell.id in runs:
                self._run_cell(step.cell, watch)
            for test in step.tests:
                if step.cell.id in done:
                    self._count_as_passed(test)
                else:
                    self._judge_test(test)

    def results(self, notebook: NotebookNode) -> list[ExerciseResult]:
        """Return one result for each exercise and written answer, in the unit's order."""
        answers = [self._written(written, notebook) for written in self._unit.written]
        return [self._result(exercise) for exercise in self._unit.exercises] + answers

    def _skip_what_has_run(self, notebook: NotebookNode, watch: Watch) -> set[str]:
        """Give the cells that a checkpoint has run their outputs; return their ids."""
        cells = cells_to_run(self._unit, notebook)
        outputs = self._session.go_on_behind([cell.source for cell in cells])
        done = cells[: len(outputs)]
        for cell, shown in zip(done, outputs, strict=True):
            watch(cell, None)
            cell.outputs = shown
            watch(cell, CellResult("ok", shown))
        return {cell.id for cell in done}

    def _run_cell(self, cell: NotebookNode, watch: Watch) -> None:
        watch(cell, None)
        about = cell.metadata.get("medlab", {})
        result = self._result_of_cell(cell)
        cell.outputs = result.outputs
        if about.get("exercise") and result.status != "ok":
            self._trouble[about["exercise"]] = result
        if about.get("check") and result.status == "timeout":
            self._late[about["check"]] = result.error
        watch(cell, result)

    def _result_of_cell(self, cell: NotebookNode) -> CellResult:
        """Run a cell, unless it calls an answer that has been stopped already."""
        stopped = [name for name in _answers_used(cell) if self._stopped(name)]
        if stopped:
            text = f"[not run: '{stopped[0]}' did not finish in time]\n"
            shown = [nbformat.v4.new_output("stream", name="stderr", text=text)]
            return CellResult("timeout", shown, text.strip())
        limit = self._session.limits.cell_seconds
        started = time.perf_counter()
        result = self._session.run(cell.source, self._allowed.seconds_for_cell(cell.id, limit))
        self.pace.cells[cell.id] = round(time.perf_counter() - started, 3)
        return result

    def _judge_test(self, test: HiddenTest) -> None:
        """Judge one test, unless the exercise is untouched or has stopped a kernel already."""
        done = self._tests[test.exercise]
        if test.exercise in self._untouched:
            return
        stopped = self._stopped(test.exercise)
        if stopped:
            done.append(TestResult(test.about, 0, test.points, *stopped))
            return
        limit = self._session.limits.cell_seconds
        seconds = self._allowed.seconds_for_test(test, limit)
        done.append(self._referee.judge(test, LearnerProxy(self._session.ready(), seconds)))
        self.pace.tests[name_of(test)] = done[-1].seconds

    def _count_as_passed(self, test: HiddenTest) -> None:
        """Count a test in front of which only the course's own answers ran, in a checkpoint."""
        passed = TestResult(test.about, test.points, test.points, Status.PASSED, "")
        self._tests[test.exercise].append(passed)

    def _stopped(self, name: str) -> tuple[Status, str] | None:
        """Return status and message of what already stopped this exercise, or the sitting."""
        result = self._trouble.get(name)
        if result is not None and result.status in STOPPED:
            return STOPPED[result.status], f"your cell was stopped: {result.error}"
        if name in self._late:
            return Status.TIMEOUT, f"its check was stopped: {self._late[name]}"
        for test in self._tests.get(name, ()):
            if test.status in (Status.TIMEOUT, Status.KILLED):
                return test.status, "not run, since an earlier test stopped the kernel"
        if self._session.over:
            return Status.TIMEOUT, out_of_time(self._session.limits)
        return None

    def _result(self, exercise) -> ExerciseResult:
        if exercise.name in self._untouched:
            return not_attempted(exercise.name, exercise.points)
        tests, cell = self._tests[exercise.name], self._trouble.get(exercise.name)
        return summarise(exercise.name, exercise.points, tests, cell.error if cell else "")

    def _written(self, written, notebook: NotebookNode) -> ExerciseResult:
        answer = _source(notebook, written.cell_id).strip()
        if answer in ("", EMPTY_ANSWER):
            return not_attempted(written.name, written.points, kind="written")
        return needs_grading(written.name, written.points)


def cells_to_run(unit: Unit, notebook: NotebookNode) -> list[NotebookNode]:
    """Return the code cells that grading runs: all but demonstrations.

    No hidden test rests on a demonstration: a class need not wait for its training.
    """
    shown = {cell.id for cell in unit.cells if DEMONSTRATION in cell.options}
    return [c for c in notebook.cells if c.cell_type == "code" and c.id not in shown]


def beginning(unit: Unit, notebook: NotebookNode) -> tuple[str, ...]:
    """Return the sources of the cells that run before a notebook's first exercise."""
    return before(unit, notebook, unit.exercises[0].name)


def before(unit: Unit, notebook: NotebookNode, exercise: str) -> tuple[str, ...]:
    """Return the sources of the cells that run before an exercise."""
    cells = cells_to_run(unit, notebook)
    names = [cell.metadata.get("medlab", {}).get("exercise") for cell in cells]
    return tuple(cell.source for cell in cells[: names.index(exercise)])


def steps(unit: Unit, notebook: NotebookNode) -> list[Step]:
    """Pair each cell with the hidden tests that follow it in the unit's source.

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


def _has_added_code(notebook: NotebookNode) -> bool:
    added = [c for c in notebook.cells if c.metadata.get("medlab", {}).get("added")]
    return any(cell.cell_type == "code" and cell.source.strip() for cell in added)


def _answers_used(cell: NotebookNode) -> list[str]:
    """Return the exercises whose answers a check or a cell marked with `needs` calls."""
    words = cell.source.partition("\n")[0].split()
    return words[1:] if words[:1] in (["%%check"], ["%%needs"]) else []
