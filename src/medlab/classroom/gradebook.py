"""The gradebook: every grading that was ever done, in SQLite or any database of SQLAlchemy's."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    DateTime,
    Float,
    ForeignKey,
    Integer,
    String,
    create_engine,
    func,
    select,
)
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from medlab.classroom.grade import Grade
from medlab.classroom.referee import ExerciseResult, TestResult
from medlab.errors import BadInput

VERSION = 1


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
    points: Mapped[float | None] = mapped_column(Float)  # empty until a person has scored it
    max: Mapped[float] = mapped_column(Float)
    status: Mapped[str] = mapped_column(String(40))
    message: Mapped[str] = mapped_column(String)
    tests: Mapped[list] = mapped_column(JSON)


class Gradebook:
    """Store and find grades."""

    def __init__(self, url: str):
        """Open or create the gradebook at a database URL; raise BadInput if that cannot be."""
        try:
            self._engine = create_engine(url)
            Base.metadata.create_all(self._engine)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise BadInput(
                f"'{url}' is no gradebook URL ({error}): try sqlite:///grades.db"
            ) from None
        except SQLAlchemyError as error:
            raise BadInput(f"the gradebook {url} cannot be opened: {_reason(error)}") from None
        self._check_version(url)

    def add(self, grade: Grade) -> None:
        """Write one grade, whole or not at all."""
        with self._session() as session:
            session.add(_row(grade))

    def find(self, grade: Grade) -> Grade | None:
        """Return the newest grade of the same student, unit, unit version, submission and seed."""
        same = {name: getattr(grade, name) for name in KEY}
        query = select(GradeRow).filter_by(**same).order_by(GradeRow.id.desc()).limit(1)
        with self._session() as session:
            row = session.scalar(query)
            return _grade(row) if row else None

    def history(self, student: str, unit: str) -> list[Grade]:
        """Return all grades of a student in a unit, oldest first."""
        query = select(GradeRow).filter_by(student=student, unit=unit).order_by(GradeRow.id)
        with self._session() as session:
            return [_grade(row) for row in session.scalars(query)]

    def newest(self) -> list[Grade]:
        """Return the newest grade of every student in every unit."""
        last = select(func.max(GradeRow.id)).where(GradeRow.unit != "")
        ids = last.group_by(GradeRow.student, GradeRow.unit)
        with self._session() as session:
            return [
                _grade(row) for row in session.scalars(select(GradeRow).where(GradeRow.id.in_(ids)))
            ]

    def close(self) -> None:
        self._engine.dispose()

    def _check_version(self, url: str) -> None:
        with self._session() as session:
            found = session.scalar(select(Meta.version))
            if found is None:
                session.add(Meta(version=VERSION))
            elif found != VERSION:
                raise BadInput(
                    f"the gradebook {url} is of version {found}, this medlab writes {VERSION}: "
                    "name another with --gradebook"
                )

    @contextmanager
    def _session(self) -> Iterator[Session]:
        try:
            with Session(self._engine) as session, session.begin():
                yield session
        except SQLAlchemyError as error:
            where = self._engine.url.render_as_string(hide_password=True)
            raise BadInput(f"the gradebook {where} cannot be used: {_reason(error)}") from None


# What makes a grading the same grading, so that it need not be done again.
KEY = ("student", "unit", "unit_version", "submission_sha256", "seed")
PLAIN = (*KEY, "file", "status", "message", "score", "max", "seconds", "notes")


def _row(grade: Grade) -> GradeRow:
    rows = [
        ExerciseRow(position=position, **result.as_dict())
        for position, result in enumerate(grade.exercises)
    ]
    plain = {name: getattr(grade, name) for name in PLAIN}
    return GradeRow(**plain, graded_at=datetime.now(UTC), exercises=rows)


def _grade(row: GradeRow) -> Grade:
    plain = {name: getattr(row, name) for name in PLAIN}
    plain |= {"score": _whole(row.score), "max": _whole(row.max)}
    return Grade(**plain, exercises=[_exercise(exercise) for exercise in row.exercises])


def _exercise(row: ExerciseRow) -> ExerciseResult:
    tests = [TestResult(**test) for test in row.tests]
    points = None if row.points is None else _whole(row.points)
    return ExerciseResult(
        row.name, row.kind, points, _whole(row.max), row.status, row.message, tests
    )


def _whole(points: float) -> float | int:
    return int(points) if float(points).is_integer() else points


def _reason(error: SQLAlchemyError) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())[:200]
