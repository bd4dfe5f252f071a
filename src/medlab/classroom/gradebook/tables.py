"""The gradebook's tables, and how their rows become results and back."""

from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import JSON, DateTime, Float, ForeignKey, Integer, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from medlab.classroom.gradebook.scores import Level, Score
from medlab.classroom.results import KEY, ExerciseResult, Grade, Status, TestResult, whole
from medlab.errors import BadInput

VERSION = 1
# Words that earlier versions of medlab wrote, which gradebooks still hold.
OLD_WORDS = {
    "awaits a person": Status.NEEDS_GRADING,
    "scored by a person": Status.SCORED_MANUALLY,
}
PLAIN = (*KEY, "file", "message", "score", "max", "seconds", "jail", "notes")


class Base(DeclarativeBase):
    pass


class Meta(Base):
    """One row: the version of these tables."""

    __tablename__ = "medlab"

    version: Mapped[int] = mapped_column(Integer, primary_key=True)


class GradeRow(Base):
    """One grading of one submission; never changed once written."""

    __tablename__ = "grade"

    id: Mapped[int] = mapped_column(primary_key=True)
    student: Mapped[str] = mapped_column(String(255), index=True)
    unit: Mapped[str] = mapped_column(String(255), index=True)
    unit_version: Mapped[str] = mapped_column(String(12))
    submission_sha256: Mapped[str] = mapped_column(String(64), index=True)
    seed: Mapped[int] = mapped_column(Integer)
    file: Mapped[str] = mapped_column(String(1024))
    status: Mapped[str] = mapped_column(String(40))
    message: Mapped[str] = mapped_column(String)
    score: Mapped[float] = mapped_column(Float)
    max: Mapped[float] = mapped_column(Float)
    seconds: Mapped[float] = mapped_column(Float)
    jail: Mapped[str] = mapped_column(String(20))
    notes: Mapped[list] = mapped_column(JSON)
    graded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    exercises: Mapped[list["ExerciseRow"]] = relationship(
        cascade="all, delete-orphan", order_by="ExerciseRow.position"
    )


class ExerciseRow(Base):
    """One exercise or written answer of a grading."""

    __tablename__ = "exercise"

    id: Mapped[int] = mapped_column(primary_key=True)
    grade_id: Mapped[int] = mapped_column(ForeignKey("grade.id"), index=True)
    position: Mapped[int] = mapped_column(Integer)
    name: Mapped[str] = mapped_column(String(255))
    kind: Mapped[str] = mapped_column(String(20))
    points: Mapped[float | None] = mapped_column(Float)  # empty until a written answer is scored
    max: Mapped[float] = mapped_column(Float)
    status: Mapped[str] = mapped_column(String(40))
    message: Mapped[str] = mapped_column(String)
    tests: Mapped[list] = mapped_column(JSON)


class ScoreRow(Base):
    """The manual score of one text; another text of the same student is another row."""

    __tablename__ = "score"

    student: Mapped[str] = mapped_column(String(255), primary_key=True)
    unit: Mapped[str] = mapped_column(String(255), primary_key=True)
    question: Mapped[str] = mapped_column(String(255), primary_key=True)
    answer_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    levels: Mapped[list] = mapped_column(JSON)
    comment: Mapped[str] = mapped_column(String)


class LatenessRow(Base):
    """The share of the points that a student's late work in a unit keeps."""

    __tablename__ = "lateness"

    student: Mapped[str] = mapped_column(String(255), primary_key=True)
    unit: Mapped[str] = mapped_column(String(255), primary_key=True)
    keeps: Mapped[float] = mapped_column(Float)  # percent of the earned points
    reason: Mapped[str] = mapped_column(String)


def grade_row(grade: Grade) -> GradeRow:
    """Return the row of a grade, stamped with the time now."""
    plain = {name: getattr(grade, name) for name in PLAIN}
    return GradeRow(
        **plain,
        status=grade.status.value,
        graded_at=datetime.now(UTC),
        exercises=[_exercise_row(*numbered) for numbered in enumerate(grade.exercises)],
    )


def grade_of(row: GradeRow) -> Grade:
    """Return the grade that a row holds."""
    plain = {name: getattr(row, name) for name in PLAIN}
    plain |= {"score": whole(row.score), "max": whole(row.max)}
    exercises = [_exercise(exercise) for exercise in row.exercises]
    return Grade(**plain, status=_status(row.status), exercises=exercises)


def score_of(row: ScoreRow) -> Score:
    """Return the manual score that a row holds."""
    levels = tuple(_level(level) for level in row.levels)
    return Score(row.student, row.unit, row.question, row.answer_sha256, levels, row.comment)


def _level(stored: dict) -> Level:
    """Return a level; earlier versions called its meaning `says`."""
    return Level(**{("meaning" if name == "says" else name): at for name, at in stored.items()})


def _exercise_row(position: int, result: ExerciseResult) -> ExerciseRow:
    # A driver may write an enum's name: what goes to the database is plain text.
    return ExerciseRow(position=position, **asdict(result) | {"status": result.status.value})


def _exercise(row: ExerciseRow) -> ExerciseResult:
    tests = [TestResult(**test | {"status": _status(test["status"])}) for test in row.tests]
    points = None if row.points is None else whole(row.points)
    status = _status(row.status)
    return ExerciseResult(row.name, row.kind, points, whole(row.max), status, row.message, tests)


def _status(word: str) -> Status:
    try:
        return OLD_WORDS.get(word) or Status(word)
    except ValueError:
        raise BadInput(
            f"the gradebook holds the status '{word}', which this medlab does not know: "
            "read it with the version that wrote it, or name another with --gradebook"
        ) from None
