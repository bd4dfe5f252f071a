"""Grade a class: every submission in a folder, one row each, whatever is in it.

What counts is the newest submission that got a score. One that could not be graded is a row of the
run and of the gradebook's history; it takes no earlier points away.
"""

import contextlib
import json
import math
import os
import secrets
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import papermill

from medlab.classroom.engine import Judged, MedlabEngine
from medlab.classroom.export import grades_csv
from medlab.classroom.feedback import feedback_page
from medlab.classroom.grade import Grade
from medlab.classroom.gradebook import KEY, Gradebook
from medlab.classroom.kernel import Limits
from medlab.classroom.referee import TIMEOUT, number, sitting_key
from medlab.classroom.roster import submissions_of
from medlab.classroom.submission import Restored, Submission, find_submissions, restore
from medlab.classroom.text import file_name, one_line
from medlab.course import Syllabus, Unit, load_unit
from medlab.course.audience import answered
from medlab.errors import BadInput
from medlab.files import write_text

SECRET = "sitting.secret"  # without it nobody can foresee a student's random numbers
LOG = "grading.log"  # tracebacks, for the instructor alone
FAILED = "the grader failed on this notebook: your instructor can find out why"


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
    _units: dict[str, Unit] = field(default_factory=dict)
    _rehearsed: set[str] = field(default_factory=set)

    def __post_init__(self):
        papermill.engines.papermill_engines.register("medlab", MedlabEngine)

    def grade(self, submission: Submission) -> Grade:
        """Grade one submission, or say why not; only a broken course raises."""
        grade = self._blank(submission)
        if submission.problem:
            return self._not_gradable(grade, submission)
        earlier = self._earlier(grade)
        if earlier:
            return earlier
        unit = self.unit(submission.slug)
        self._rehearse(unit)
        return self._sit(grade, unit, submission)

    def prepare(self, submissions: list[Submission]) -> None:
        """Let the solutions of all units that come up sit; raise BadInput before any grade."""
        for submission in submissions:
            grade = self._blank(submission)
            if not submission.problem and not self._earlier(grade):
                self._rehearse(self.unit(submission.slug))

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

    def _not_gradable(self, grade: Grade, submission: Submission) -> Grade:
        told = submission.message
        counts = self.gradebook.standing(grade.student, grade.unit) if grade.unit else None
        if counts:
            told += f" (until then {counts.score:g} of {counts.max:g} from an earlier file count)"
        grade = replace(grade, status=submission.problem, message=told)
        last = self.gradebook.last(grade)
        self._write_feedback(grade, feedback_page(grade, self._units.get(grade.unit), None))
        if last is None or _without_time(last) != _without_time(grade):
            self.gradebook.add(grade)
        return grade

    def _rehearse(self, unit: Unit) -> None:
        """Let the course's own solution sit first: a class is not graded by a broken test."""
        if unit.slug in self._rehearsed:
            return
        judged = self._rehearsal(unit)
        lost = next(
            (r for r in judged.exercises if r.kind == "exercise" and r.points != r.max), None
        )
        if lost:
            raise BadInput(
                f"{unit.entry.source}: the solution of '{lost.name}' scores {lost.points} of "
                f"{lost.max} ({lost.message}): {_mend(lost.status)}; nothing was graded"
            )
        self._rehearsed.add(unit.slug)

    def _rehearsal(self, unit: Unit) -> Judged:
        solved = answered(unit, {e.name: e.solution for e in unit.exercises})
        try:
            return self._judge(unit, Restored(solved), student="")
        except Exception as error:
            self._log(unit.entry.source)
            raise BadInput(
                f"the course's own solution of '{unit.slug}' cannot be run "
                f"({one_line(str(error))[:200]}): see {self.out / LOG}; nothing was graded"
            ) from None

    def _sit(self, grade: Grade, unit: Unit, submission: Submission) -> Grade:
        started = time.perf_counter()
        try:
            judged = self._judge(unit, restore(unit, submission.cells), submission.student)
            sat = replace(grade, seconds=round(time.perf_counter() - started, 2))
            sat.take(judged.exercises, judged.notes)
            page = feedback_page(sat, unit, judged.notebook)
        except Exception:
            # One submission never stops a class.
            self._log(submission.path)
            failed = replace(submission, problem="could not be graded", message=FAILED)
            return self._not_gradable(grade, failed)
        self._write_feedback(sat, page)
        self.gradebook.add(sat)
        return sat

    def _judge(self, unit: Unit, restored: Restored, student: str) -> Judged:
        """Run a notebook through papermill with the referee as its engine."""
        key = sitting_key(self.secret, unit.slug, student, self.seed)
        delivered: list[Judged] = []
        # papermill raises at the end because a cell did; the referee has judged that by then.
        with contextlib.suppress(papermill.PapermillExecutionError):
            papermill.execute_notebook(
                restored.notebook,
                None,
                parameters={"SEED": number(key, "SEED") % 2**31},
                engine_name="medlab",
                progress_bar=False,
                unit=unit,
                notes=restored.notes,
                key=key,
                limits=self.limits,
                deliver=delivered.append,
            )
        return delivered[0]

    def _write_feedback(self, grade: Grade, page: str) -> None:
        """Write the page, then grade.json, which vouches for the page."""
        path = self.feedback_path(grade)
        write_text(path, page)
        write_text(_json_path(path), grade.as_json())

    def _log(self, path: Path) -> None:
        entry = f"{path}\n{traceback.format_exc()}\n".encode("utf-8", "backslashreplace")
        with contextlib.suppress(OSError), (self.out / LOG).open("ab") as log:
            log.write(entry)


def _mend(status: str) -> str:
    return "give it more --cell-seconds" if status == TIMEOUT else "mend the unit"


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
    seconds = options.get("limits", Limits()).cell_seconds
    if not math.isfinite(seconds) or seconds <= 0:
        raise BadInput(f"--cell-seconds is {seconds:g}: give a number above 0")
    _check_folders(out, submissions)
    secret = os.environ.get("MEDLAB_SECRET") or _secret(out / SECRET)
    book = Gradebook(gradebook or f"sqlite:///{(out / 'gradebook.db').resolve()}")
    return Classroom(syllabus, out, book, secret, **options)


def grade_class(classroom: Classroom, folder: Path, slug: str = "") -> Iterator[tuple[int, Grade]]:
    """Grade the submissions of a folder, or those of one unit.

    Yields the number of submissions still to come and the newest grade; grades.csv is written
    at the end, or when the caller stops early.
    """
    found = submissions_of(folder, slug, [unit.slug for unit in classroom.syllabus.units])
    classroom.prepare(found)
    grades: list[Grade] = []
    try:
        for left, submission in zip(range(len(found) - 1, -1, -1), found, strict=True):
            grades.append(classroom.grade(submission))
            yield left, grades[-1]
    finally:
        write_text(classroom.out / "grades.csv", grades_csv(_all_known(classroom, grades)))


def _all_known(classroom: Classroom, grades: list[Grade]) -> list[Grade]:
    """Return what counts for every student and unit, and this run's rows without a unit.

    A score of this run counts even if the gradebook, shared with another folder, has a newer one.
    """
    counted = {(grade.student, grade.unit): grade for grade in classroom.gradebook.newest()}
    counted |= {(grade.student, grade.unit): grade for grade in grades if grade.scored}
    return [*counted.values(), *(grade for grade in grades if not grade.unit)]


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


def _secret(path: Path) -> str:
    """Return the instructor's secret, making one that only they can read."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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
