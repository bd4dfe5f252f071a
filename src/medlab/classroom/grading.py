"""Grade a class: every submission in a folder, one row each, whatever is in it.

What counts is the newest submission that got a score. One that could not be graded is a row of the
run and of the gradebook's history; it takes no earlier points away.
"""

import contextlib
import functools
import hashlib
import json
import math
import os
import secrets
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from medlab.classroom.claims import Claims
from medlab.classroom.gradebook.database import Gradebook
from medlab.classroom.gradebook.grades_csv import grades_csv
from medlab.classroom.pages.feedback import feedback_page
from medlab.classroom.referee.hidden_tests import sitting_key
from medlab.classroom.results import KEY, Grade, Status
from medlab.classroom.submissions.reading import Submission, find_submissions
from medlab.classroom.submissions.restoring import RestoredNotebook, restore
from medlab.classroom.submissions.roster import submissions_of
from medlab.classroom.workers import SittingOutcome, Task, WorkerPool
from medlab.course import Syllabus, Unit, load_unit
from medlab.course.audience import answered
from medlab.errors import BadInput
from medlab.files import clear_abandoned, write_text
from medlab.sandbox.isolation import AUTO, choose
from medlab.sandbox.kernel import Limits
from medlab.text import file_name, one_line

SECRET = "sitting.secret"  # without it nobody can foresee a student's random numbers
CLAIMS = "grading.lock"
WAIT_SECONDS = 0.5  # between two looks at what another grader has claimed
LOG = "grading.log"  # tracebacks, for the instructor alone
FAILED = "the grader failed on this notebook: your instructor can find out why"


# Does tasks, here or elsewhere, and yields each with what came of it.
Runner = Callable[[Iterable[Task]], Iterator[tuple[Task, SittingOutcome]]]


@dataclass
class Classroom:
    """A course, an output folder and a gradebook, with what they share while a class is graded."""

    syllabus: Syllabus
    out: Path
    gradebook: Gradebook
    secret: str
    seed: int = 0
    limits: Limits = field(default_factory=Limits)
    again: bool = False  # grade also what has been graded before
    jail: str = AUTO
    workers: int = 1
    dask: str = ""  # address of a scheduler; empty: workers on this machine
    _units: dict[str, Unit] = field(default_factory=dict)
    _rehearsed: set[str] = field(default_factory=set)

    def __post_init__(self):
        self.jail = choose(self.jail)

    def grade(self, submissions: Iterable[Submission]) -> Iterator[Grade]:
        """Yield the grade of each submission, or why it has none; only a broken course raises.

        First those that need no sitting, then the others as they are done.
        """
        to_sit: list[tuple[Grade, Submission]] = []
        # All at once, so that a broken unit is found before anything is graded.
        blanks = [(self._blank(submission), submission) for submission in submissions]
        for grade, submission in blanks:
            if submission.problem:
                yield self._not_gradable(grade, submission.problem, submission.message)
            elif earlier := self._earlier(grade):
                yield earlier
            else:
                to_sit.append((grade, submission))
        yield from self._share(to_sit)

    def unit(self, slug: str) -> Unit:
        """Return a unit, parsed once."""
        if slug not in self._units:
            self._units[slug] = load_unit(self.syllabus.find(slug))
        return self._units[slug]

    def feedback_path(self, grade: Grade) -> Path:
        """Return where the feedback page of a grade belongs; a file of no unit keeps its name."""
        return self.out / "feedback" / grade.student / f"{grade.unit or grade.file}.html"

    def _blank(self, submission: Submission) -> Grade:
        unit = self.unit(submission.slug) if submission.slug else None
        return Grade(
            student=submission.student,
            unit=submission.slug,
            unit_version=unit.version if unit else "",
            submission_sha256=submission.sha256,
            seed=self.seed,
            file=file_name(submission.path.name),
            max=unit.points if unit else 0,
        )

    def _earlier(self, grade: Grade) -> Grade | None:
        """Return the same grading, done before, if its feedback is what lies in the folder."""
        earlier = None if self.again else self.gradebook.find(grade)
        if earlier is None or not self.feedback_path(earlier).is_file():
            return None
        # Another submission may have taken its place since.
        stored = _json_in(_json_path(self.feedback_path(earlier)))
        same = all(stored.get(name) == getattr(earlier, name) for name in (*KEY, "status"))
        return earlier if same else None

    def _not_gradable(self, grade: Grade, status: Status, message: str) -> Grade:
        counts = self.gradebook.standing(grade.student, grade.unit) if grade.unit else None
        if counts:
            message += (
                f" (until then {counts.score:g} of {counts.max:g} from an earlier file count)"
            )
        grade = replace(grade, status=status, message=message)
        last = self.gradebook.last(grade)
        self._write_feedback(grade, feedback_page(grade, self._units.get(grade.unit), None))
        if last is None or _without_time(last) != _without_time(grade):
            self.gradebook.add(grade)
        return grade

    def _share(self, to_sit: list[tuple[Grade, Submission]]) -> Iterator[Grade]:
        """Let those sit that no other grader has claimed; of the others, wait for the grades.

        What another grader leaves undone, because it was stopped perhaps, is done here.
        """
        with Claims(self.out / CLAIMS) as claims:
            while to_sit:
                mine, theirs = [], []
                for pair in to_sit:
                    (mine if claims.take(_claim(pair[0])) else theirs).append(pair)
                to_sit = theirs
                for grade in self._earlier_or_sat(mine):
                    claims.release(_claim(grade))
                    yield grade
                if to_sit:
                    time.sleep(WAIT_SECONDS)

    def _earlier_or_sat(self, claimed: list[tuple[Grade, Submission]]) -> Iterator[Grade]:
        """Yield grades: those that another grader made since we looked, then those to be made."""
        found = [(self._earlier(grade), grade, submission) for grade, submission in claimed]
        yield from (earlier for earlier, _, _ in found if earlier)
        to_sit = [(grade, submission) for earlier, grade, submission in found if not earlier]
        if to_sit:
            yield from self._sit(to_sit)

    def _sit(self, to_sit: list[tuple[Grade, Submission]]) -> Iterator[Grade]:
        """Let the solutions and the class sit; yield each grade when it is kept.

        A class is not graded by a broken test: until every solution has full marks, what has been
        judged already waits.
        """
        with self._runner(len(to_sit)) as run:
            rehearsals = self._rehearsals({submission.slug for _, submission in to_sit})
            tasks = [
                self._task(submission.slug, submission.student, self._restored(submission))
                for _, submission in to_sit
            ]
            grades = {task.name: grade for task, (grade, _) in zip(tasks, to_sit, strict=True)}
            held: list[tuple[Task, SittingOutcome]] = []
            for task, sat in run([*rehearsals.values(), *tasks]):
                if rehearsals.pop(task.name, None):
                    _check_rehearsal(task.unit, sat)
                    self._rehearsed.add(task.unit.slug)
                else:
                    held.append((task, sat))
                while held and not rehearsals:
                    done, sat = held.pop(0)
                    yield self._finish(grades[done.name], sat)

    @contextlib.contextmanager
    def _runner(self, sittings: int) -> Iterator[Runner]:
        if self.dask:
            from medlab.classroom.cluster import run_on_cluster

            yield functools.partial(run_on_cluster, self.dask)
            return
        with WorkerPool(min(self.workers, sittings)) as crew:
            yield crew.run

    def _rehearsals(self, slugs: set[str]) -> dict[str, Task]:
        """Return a sitting of each unit's own solution, by the task's name."""
        tasks = []
        for slug in sorted(slugs - self._rehearsed):
            unit = self.unit(slug)
            solved = answered(unit, {e.name: e.solution for e in unit.exercises})
            tasks.append(self._task(slug, "", RestoredNotebook(solved)))
        return {task.name: task for task in tasks}

    def _restored(self, submission: Submission) -> RestoredNotebook:
        return restore(self.unit(submission.slug), submission.cells)

    def _task(self, slug: str, student: str, restored: RestoredNotebook) -> Task:
        unit = self.unit(slug)
        key = sitting_key(self.secret, slug, student, self.seed)
        return Task(
            name=_name(unit, student, restored, key),
            unit=unit,
            restored=restored,
            key=key,
            jail=self.jail,
            limits=self.limits,
        )

    def _finish(self, grade: Grade, sat: SittingOutcome) -> Grade:
        """Keep what came of a sitting; one that went wrong never stops a class."""
        done = replace(grade, seconds=sat.seconds, jail=self.jail)
        try:
            if sat.judged is None:
                raise RuntimeError(sat.trouble)
            done.take(sat.judged.exercises, sat.judged.notes)
            page = feedback_page(done, self.unit(grade.unit), sat.judged.notebook)
        except Exception as error:
            self._log(grade, sat.trouble or "".join(traceback.format_exception(error)))
            return self._not_gradable(grade, Status.NOT_GRADED, FAILED)
        self._write_feedback(done, page)
        self.gradebook.add(done)
        return done

    def _write_feedback(self, grade: Grade, page: str) -> None:
        """Write the page, then grade.json, which vouches for the page."""
        path = self.feedback_path(grade)
        write_text(path, page)
        write_text(_json_path(path), grade.as_json())

    def _log(self, grade: Grade, trouble: str) -> None:
        entry = f"{grade.student}/{grade.file}\n{trouble}\n".encode("utf-8", "backslashreplace")
        with contextlib.suppress(OSError), (self.out / LOG).open("ab") as log:
            log.write(entry)


def _claim(grade: Grade) -> str:
    return "/".join(str(getattr(grade, name)) for name in KEY)


def _name(unit: Unit, student: str, restored: RestoredNotebook, key: bytes) -> str:
    """Name a sitting by all that decides its outcome, so that no other is taken for it."""
    cells = [(cell.id, cell.cell_type, cell.source) for cell in restored.notebook.cells]
    content = hashlib.sha256(f"{unit.version} {key.hex()} {cells!r}".encode(errors="replace"))
    return f"{unit.slug}/{student}/{content.hexdigest()[:16]}"


def _check_rehearsal(unit: Unit, sat: SittingOutcome) -> None:
    where = f"{unit.entry.source}: the unit's own solution"
    if sat.judged is None:
        raise BadInput(
            f"{where} could not be graded: {one_line(sat.trouble.strip().splitlines()[-1])}"
        )
    for result in sat.judged.exercises:
        if result.kind == "exercise" and result.points != result.max:
            raise BadInput(
                f"{where} of '{result.name}' scores {result.points} of {result.max} "
                f"({result.message}): {_cure(result.status)}; nothing was graded"
            )


def _cure(status: Status) -> str:
    return (
        "give it more --cell-seconds or --sitting-seconds"
        if status == Status.TIMEOUT
        else "fix the unit"
    )


def _json_path(page: Path) -> Path:
    return page.with_suffix(".grade.json")


def _json_in(path: Path) -> dict:
    try:
        made = json.loads(path.read_bytes())
    except (OSError, ValueError):
        made = None
    return made if isinstance(made, dict) else {}


def _without_time(grade: Grade) -> Grade:
    return replace(grade, seconds=0)


def open_classroom(
    syllabus: Syllabus, out: Path, submissions: Path, gradebook: str = "", **options
) -> Classroom:
    """Make ready to grade a folder into out; raise BadInput before anything is graded.

    gradebook is a database URL, by default SQLite at out/gradebook.db.
    """
    limits = options.get("limits", Limits())
    _check_seconds("--cell-seconds", limits.cell_seconds)
    _check_seconds("--sitting-seconds", limits.sitting_seconds)
    _check_folders(out, submissions)
    clear_abandoned()  # by an earlier run that was killed
    _make_folder(out)
    secret = os.environ.get("MEDLAB_SECRET") or _secret(out / SECRET)
    book = Gradebook(gradebook or f"sqlite:///{(out / 'gradebook.db').resolve()}")
    return Classroom(syllabus, out, book, secret, **options)


def grade_class(classroom: Classroom, folder: Path, slug: str = "") -> Iterator[tuple[int, Grade]]:
    """Grade the submissions of a folder, or those of one unit.

    Yields the number of submissions still to come and the newest grade; grades.csv is written
    at the end, or when the caller stops early.
    """
    found = submissions_of(folder, slug, [unit.slug for unit in classroom.syllabus.units])
    grades: list[Grade] = []
    try:
        for grade in classroom.grade(found):
            grades.append(grade)
            yield len(found) - len(grades), grade
    finally:
        write_text(classroom.out / "grades.csv", grades_csv(_all_known(classroom, grades)))


def _all_known(classroom: Classroom, grades: list[Grade]) -> list[Grade]:
    """Return what counts for every student and unit, and this run's rows without a unit.

    A score of this run counts even if the gradebook, shared with another folder, has a newer one.
    """
    counted = {(grade.student, grade.unit): grade for grade in classroom.gradebook.newest()}
    counted |= {(grade.student, grade.unit): grade for grade in grades if grade.scored}
    return [*counted.values(), *(grade for grade in grades if not grade.unit)]


def _check_seconds(option: str, seconds: float) -> None:
    if not math.isfinite(seconds) or seconds <= 0:
        raise BadInput(f"{option} is {seconds:g}: give a number above 0")


def _check_folders(out: Path, submissions: Path) -> None:
    """Refuse folders that cannot be read or written, before anything is made."""
    next(find_submissions(submissions))
    if out.resolve().is_relative_to(submissions.resolve()):
        raise BadInput(
            f"--out {out} lies in the submissions' folder, where it would be taken for a student: "
            "choose one elsewhere"
        )
    if out.exists() and not out.is_dir():
        raise BadInput(f"--out {out} is a file: choose a folder")


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        told = f"{out} cannot be made ({error.strerror}): choose another --out"
        raise BadInput(told) from None


def _secret(path: Path) -> str:
    """Return the instructor's secret, making one that only they can read."""
    try:
        with contextlib.suppress(FileExistsError):
            _write_secret(path)
        secret = path.read_bytes().hex()
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written ({error.strerror}): choose another --out"
        ) from None
    if not secret:
        raise BadInput(f"{path} is empty: delete it, a new one is made")
    return secret


def _write_secret(path: Path) -> None:
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32))
