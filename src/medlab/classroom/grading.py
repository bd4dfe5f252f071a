"""Grade a class: every submission in a folder, one row each, whatever is in it.

What counts is the newest submission that got a score. One that could not be graded is a row of the
run and of the gradebook's history; it takes no earlier points away.
"""

import contextlib
import functools
import hashlib
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from medlab.classroom.claims import Claims
from medlab.classroom.classroom import Classroom
from medlab.classroom.gradebook.grades_csv import grades_csv
from medlab.classroom.publishing import Publisher
from medlab.classroom.referee.engine import course_beginning
from medlab.classroom.referee.hidden_tests import number, sitting_key
from medlab.classroom.referee.pace import Pace
from medlab.classroom.rehearsal import RehearsalStore, check_rehearsal, solved
from medlab.classroom.results import KEY, Grade, Status
from medlab.classroom.submissions.reading import Submission
from medlab.classroom.submissions.restoring import RestoredNotebook
from medlab.classroom.workers import SittingOutcome, Task, WorkerPool
from medlab.course import Unit
from medlab.files import write_text
from medlab.text import file_name

CLAIMS = "grading.lock"
WAIT_SECONDS = 0.5  # between two looks at what another grader has claimed
FAILED = "the grader failed on this notebook: your instructor can find out why"

# Runs tasks, here or elsewhere, and yields each with its outcome.
Runner = Callable[[Iterable[Task]], Iterator[tuple[Task, SittingOutcome]]]


def grade_class(classroom: Classroom, folder: Path, slug: str = "") -> Iterator[tuple[int, Grade]]:
    """Grade the submissions of a folder, or those of one unit.

    Yields the number of submissions still to come and the newest grade; grades.csv is written
    at the end, or when the caller stops early.
    """
    found = classroom.submissions(folder, slug)
    grades: list[Grade] = []
    try:
        for grade in ClassRun(classroom).grade(found):
            grades.append(grade)
            yield len(found) - len(grades), grade
    finally:
        text = grades_csv(_all_known(classroom, grades), classroom.gradebook.lateness())
        write_text(classroom.out / "grades.csv", text)


def _all_known(classroom: Classroom, grades: list[Grade]) -> list[Grade]:
    """Return what counts for every student and unit, and this run's rows without a unit.

    A score of this run counts even if the gradebook, shared with another folder, has a newer one.
    """
    counted = {(grade.student, grade.unit): grade for grade in classroom.gradebook.newest()}
    counted |= {(grade.student, grade.unit): grade for grade in grades if grade.scored}
    return [*counted.values(), *(grade for grade in grades if not grade.unit)]


class ClassRun:
    """One run over a class: what is graded already, what is run now, and in which order."""

    def __init__(self, room: Classroom):
        self._room, self._publisher = room, Publisher(room)
        self._rehearsals = RehearsalStore.of(room)
        self._beginnings: dict[str, tuple[str, ...]] = {}  # by unit, the same for the whole class

    def grade(self, submissions: Iterable[Submission]) -> Iterator[Grade]:
        """Yield the grade of each submission, or why it has none; only a broken course raises.

        First those that need not be run, then the others as they finish.
        """
        to_run: list[tuple[Grade, Submission]] = []
        # All at once, so that a broken unit is found before anything is graded.
        blanks = [(self._blank(submission), submission) for submission in submissions]
        for grade, submission in blanks:
            if submission.problem:
                status, message = submission.problem, submission.message
                yield self._publisher.publish_problem(grade, status, message)
            elif earlier := self._earlier(grade):
                yield earlier
            else:
                to_run.append((grade, submission))
        yield from self._share(to_run)

    def _blank(self, submission: Submission) -> Grade:
        unit = self._room.unit(submission.slug) if submission.slug else None
        return Grade(
            student=submission.student,
            unit=submission.slug,
            unit_version=unit.version if unit else "",
            submission_sha256=submission.sha256,
            seed=self._room.seed,
            file=file_name(submission.path.name),
            max=unit.points if unit else 0,
        )

    def _earlier(self, grade: Grade) -> Grade | None:
        """Return the same grading, done before, if it is what the record holds."""
        earlier = None if self._room.again else self._room.gradebook.find(grade)
        if earlier is None:
            return None
        # Another submission may have taken its place since.
        if not self._room.record(earlier.student, earlier.unit).vouches_for(earlier):
            return None
        return self._publisher.update(earlier)

    def _share(self, to_run: list[tuple[Grade, Submission]]) -> Iterator[Grade]:
        """Run what no other grader has claimed; wait for the grades of the others.

        What another grader leaves undone, because it was stopped perhaps, is done here.
        """
        with Claims(self._room.out / CLAIMS) as claims:
            while to_run:
                mine, theirs = [], []
                for pair in to_run:
                    (mine if claims.take(_claim(pair[0])) else theirs).append(pair)
                to_run = theirs
                for grade in self._earlier_or_new(mine):
                    claims.release(_claim(grade))
                    yield grade
                if to_run:
                    time.sleep(WAIT_SECONDS)

    def _earlier_or_new(self, claimed: list[tuple[Grade, Submission]]) -> Iterator[Grade]:
        """Yield grades: those that another grader published meanwhile, then new ones."""
        found = [(self._earlier(grade), grade, submission) for grade, submission in claimed]
        yield from (earlier for earlier, _, _ in found if earlier)
        to_run = [(grade, submission) for earlier, grade, submission in found if not earlier]
        if to_run:
            yield from self._run(to_run)

    def _run(self, to_run: list[tuple[Grade, Submission]]) -> Iterator[Grade]:
        """Run the solutions, then the class; yield each grade when it is published.

        A class is not graded by a broken test: every solution must have full marks first. Units
        run one after the other, since each needs memory for its beginning.
        """
        to_run = sorted(to_run, key=lambda pair: pair[1].slug)
        with self._runner(len(to_run)) as run:
            for task, outcome in run(self._due_rehearsals({one.slug for _, one in to_run})):
                self._rehearsals.keep(task.unit, check_rehearsal(task.unit, outcome))
            tasks = [self._task_of(submission) for _, submission in to_run]
            grades = {task.name: grade for task, (grade, _) in zip(tasks, to_run, strict=True)}
            for task, outcome in run(tasks):
                if outcome.remark:
                    again = "its first cells run again for each submission"
                    self._room.remarks.add(f"{task.unit.slug}: {again} ({outcome.remark})")
                yield self._finish(grades[task.name], outcome)

    @contextlib.contextmanager
    def _runner(self, sittings: int) -> Iterator[Runner]:
        if self._room.dask:
            from medlab.classroom.cluster import run_on_cluster

            yield functools.partial(run_on_cluster, self._room.dask)
            return
        with WorkerPool(min(self._room.workers, sittings)) as pool:
            yield pool.run

    def _due_rehearsals(self, slugs: set[str]) -> list[Task]:
        """Return sittings of the solutions that no rehearsal is kept of."""
        units = [self._room.unit(slug) for slug in sorted(slugs)]
        due = [unit for unit in units if self._rehearsals.find(unit) is None]
        return [self._task(unit, "", solved(unit)) for unit in due]

    def _task_of(self, submission: Submission) -> Task:
        unit = self._room.unit(submission.slug)
        return self._task(unit, submission.student, self._room.restored(submission))

    def _task(self, unit: Unit, student: str, restored: RestoredNotebook) -> Task:
        room, rehearsal = self._room, self._rehearsals.find(unit)
        key = sitting_key(room.secret, unit.slug, student, room.seed)
        return Task(
            name=_name(unit, student, restored, key),
            unit=unit,
            restored=restored,
            key=key,
            jail=room.jail,
            limits=room.limits,
            seed=self._seed(unit),
            beginning=self._beginning(unit),
            pace=rehearsal.pace if rehearsal else Pace(),
        )

    def _beginning(self, unit: Unit) -> tuple[str, ...]:
        if unit.slug not in self._beginnings:
            self._beginnings[unit.slug] = course_beginning(unit, self._seed(unit))
        return self._beginnings[unit.slug]

    def _seed(self, unit: Unit) -> int:
        """Return the SEED that all notebooks of a unit get in this run."""
        key = sitting_key(self._room.secret, unit.slug, "", self._room.seed)
        return number(key, "SEED") % 2**31

    def _finish(self, grade: Grade, outcome: SittingOutcome) -> Grade:
        """Publish the outcome of a sitting; one that went wrong never stops a class."""
        done = replace(grade, seconds=outcome.seconds, jail=self._room.jail)
        try:
            if outcome.judged is None:
                raise RuntimeError(outcome.trouble)
            done.take(outcome.judged.exercises, outcome.judged.notes)
            new = self._publisher.render(done, outcome.judged.notebook)
        except Exception as error:
            trouble = outcome.trouble or "".join(traceback.format_exception(error))
            self._room.log(grade, trouble)
            return self._publisher.publish_problem(grade, Status.NOT_GRADED, FAILED)
        return self._publisher.publish(new)


def _claim(grade: Grade) -> str:
    return "/".join(str(getattr(grade, name)) for name in KEY)


def _name(unit: Unit, student: str, restored: RestoredNotebook, key: bytes) -> str:
    """Name a sitting by all that decides its outcome, so that no other is taken for it."""
    cells = [(cell.id, cell.cell_type, cell.source) for cell in restored.notebook.cells]
    content = hashlib.sha256(f"{unit.version} {key.hex()} {cells!r}".encode(errors="replace"))
    return f"{unit.slug}/{student}/{content.hexdigest()[:16]}"
