"""Grade a class: every submission in a folder, one row each, whatever is in it."""

import contextlib
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
from medlab.classroom.gradebook import Gradebook
from medlab.classroom.kernel import Limits
from medlab.classroom.referee import number, sitting_key
from medlab.classroom.roster import submissions_of
from medlab.classroom.submission import Restored, Submission, restore
from medlab.course import Syllabus, Unit, load_unit
from medlab.course.audience import answered
from medlab.errors import BadInput
from medlab.files import write_text

SECRET = "sitting.secret"  # without it nobody can foresee a student's random numbers


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
            return self._not_gradable(grade, submission.problem, submission.message)
        if submission.slug not in {unit.slug for unit in self.syllabus.units}:
            return self._unknown(grade, submission)
        unit = self.unit(submission.slug)
        grade = replace(grade, unit_version=unit.version, max=unit.points)
        earlier = None if self.again else self.gradebook.find(grade)
        if earlier and self.feedback_path(earlier).is_file():
            return earlier
        self._rehearse(unit)
        return self._sit(grade, unit, submission)

    def unit(self, slug: str) -> Unit:
        """Return a unit, parsed once."""
        if slug not in self._units:
            self._units[slug] = load_unit(self.syllabus.find(slug))
        return self._units[slug]

    def feedback_path(self, grade: Grade) -> Path:
        """Return where the feedback page of a grade belongs."""
        name = grade.unit if grade.unit else Path(grade.file).stem
        return self.out / "feedback" / grade.student / f"{name or 'empty'}.html"

    def _blank(self, submission: Submission) -> Grade:
        return Grade(
            student=submission.student,
            unit=submission.slug or self._guess(submission.path),
            unit_version="",
            submission_sha256=submission.sha256,
            seed=self.seed,
            file=submission.path.name,
        )

    def _guess(self, path: Path) -> str:
        """Guess from the file's name which unit an unreadable notebook was meant for."""
        slugs = [unit.slug for unit in self.syllabus.units]
        return next((slug for slug in slugs if slug in path.stem), "")

    def _unknown(self, grade: Grade, submission: Submission) -> Grade:
        if not submission.slug:
            told = "its metadata names no unit: start from the released notebook"
            return self._not_gradable(grade, "no unit", told)
        told = f"this course has no unit '{submission.slug}'"
        return self._not_gradable(grade, "unknown unit", told)

    def _not_gradable(self, grade: Grade, status: str, message: str) -> Grade:
        known = grade.unit in {unit.slug for unit in self.syllabus.units}
        grade = replace(grade, status=status, message=message)
        if known:
            grade = replace(grade, max=self.unit(grade.unit).points)
        self._keep(grade, None)
        return grade

    def _rehearse(self, unit: Unit) -> None:
        """Let the course's own solution sit first: a class is not graded by a broken test."""
        if unit.slug in self._rehearsed:
            return
        solved = answered(unit, {e.name: e.solution for e in unit.exercises})
        judged = self._judge(unit, Restored(solved), student="")
        lost = next(
            (r for r in judged.exercises if r.kind == "exercise" and r.points != r.max), None
        )
        if lost:
            raise BadInput(
                f"{unit.entry.source}: the solution of '{lost.name}' scores {lost.points} of "
                f"{lost.max} ({lost.message}): mend the unit, nothing was graded"
            )
        self._rehearsed.add(unit.slug)

    def _sit(self, grade: Grade, unit: Unit, submission: Submission) -> Grade:
        started = time.perf_counter()
        judged = None
        try:
            judged = self._judge(unit, restore(unit, submission.cells), submission.student)
            grade.take(judged.exercises, judged.notes)
        except Exception:
            # One submission never stops a class; the traceback is for the instructor alone.
            grade.status, grade.message = "could not be graded", "see grading.log"
            self._log(submission)
        grade.seconds = round(time.perf_counter() - started, 2)
        self._keep(grade, judged)
        return grade

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

    def _keep(self, grade: Grade, judged: Judged | None) -> None:
        path = self.feedback_path(grade)
        write_text(path.with_suffix(".grade.json"), grade.as_json())
        unit = self._units.get(grade.unit)
        write_text(path, feedback_page(grade, unit, judged.notebook if judged else None))
        self.gradebook.add(grade)

    def _log(self, submission: Submission) -> None:
        with (self.out / "grading.log").open("a", encoding="utf-8") as log:
            log.write(f"{submission.path}\n{traceback.format_exc()}\n")


def open_classroom(
    syllabus: Syllabus, out: Path, submissions: Path, gradebook: str = "", **options
) -> Classroom:
    """Make ready to grade a folder into out; raise BadInput before anything is graded.

    gradebook is a database URL, by default SQLite at out/gradebook.db.
    """
    if out.resolve().is_relative_to(submissions.resolve()):
        raise BadInput(f"{out} lies inside {submissions}: choose an --out elsewhere")
    secret = os.environ.get("MEDLAB_SECRET") or _secret(out / SECRET)
    book = Gradebook(gradebook or f"sqlite:///{(out / 'gradebook.db').resolve()}")
    return Classroom(syllabus, out, book, secret, **options)


def grade_class(classroom: Classroom, folder: Path, slug: str = "") -> Iterator[tuple[int, Grade]]:
    """Grade the submissions of a folder, or those of one unit.

    Yields the number of submissions still to come and the newest grade; grades.csv is written
    at the end, or when the caller stops early.
    """
    found = submissions_of(folder, slug)
    grades: list[Grade] = []
    try:
        for left, submission in zip(range(len(found) - 1, -1, -1), found, strict=True):
            grades.append(classroom.grade(submission))
            yield left, grades[-1]
    finally:
        write_text(classroom.out / "grades.csv", grades_csv(_all_known(classroom, grades)))


def _all_known(classroom: Classroom, grades: list[Grade]) -> list[Grade]:
    """Return the newest grade of every student and unit, and this run's rows without a unit."""
    return classroom.gradebook.newest() + [grade for grade in grades if not grade.unit]


def _secret(path: Path) -> str:
    """Return the instructor's secret, making one that only they can read."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(secrets.token_hex(32))
        return path.read_text()
    except OSError as error:
        raise BadInput(
            f"{path} cannot be written ({error.strerror}): choose another --out"
        ) from None
