"""The gradebook: every grading that was ever done, in SQLite or any database of SQLAlchemy's."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from sqlalchemy import Engine, create_engine, func, make_url, select, update
from sqlalchemy.exc import (
    ArgumentError,
    IntegrityError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.orm import Session, selectinload

from medlab.classroom.gradebook.lateness import Lateness
from medlab.classroom.gradebook.scores import Score
from medlab.classroom.gradebook.tables import (
    VERSION,
    Base,
    GradeRow,
    LatenessRow,
    Meta,
    ScoreRow,
    grade_of,
    grade_row,
    score_of,
)
from medlab.classroom.results import KEY, SCORED, Grade
from medlab.errors import BadInput
from medlab.text import one_line


class Gradebook:
    """Store and find grades."""

    def __init__(self, url: str):
        """Open or create the gradebook at a database URL; raise BadInput if that cannot be."""
        self._engine = _engine(url)
        self._name = self._engine.url.render_as_string(hide_password=True)
        try:
            self._create_tables()
        except (SQLAlchemyError, TypeError, ValueError) as error:
            # Drivers raise the last two for an option in the URL that they cannot use.
            raise BadInput(
                f"the gradebook {self._name} cannot be opened ({_reason(error)}): {CHECK}"
            ) from None
        self._check_version()

    def _create_tables(self, tries: int = 5) -> None:
        """Make the tables and stamp them, unless another grader is just doing so."""
        try:
            Base.metadata.create_all(self._engine)
            with Session(self._engine) as session, session.begin():
                if session.scalar(select(Meta.version)) is None:
                    session.add(Meta(version=VERSION))
        except (IntegrityError, OperationalError, ProgrammingError):
            if tries == 1:
                raise
            time.sleep(0.2)
            self._create_tables(tries - 1)

    def add(self, grade: Grade) -> None:
        """Write one grade, whole or not at all."""
        with self._session() as session:
            session.add(grade_row(grade))

    def find(self, grade: Grade) -> Grade | None:
        """Return the newest score of the same student, unit, unit version, submission and seed."""
        same = {name: getattr(grade, name) for name in KEY}
        return self._last(SCORES.filter_by(**same))

    def standing(self, student: str, unit: str) -> Grade | None:
        """Return the grade that counts: the newest of those with a score."""
        return self._last(SCORES.filter_by(student=student, unit=unit))

    def last(self, grade: Grade) -> Grade | None:
        """Return the newest row, with or without a score, of a grade's student, unit and file."""
        same = {"student": grade.student, "unit": grade.unit, "file": grade.file}
        return self._last(select(GradeRow).filter_by(**same))

    def history(self, student: str, unit: str) -> list[Grade]:
        """Return all grades of a student in a unit, oldest first."""
        query = select(GradeRow).filter_by(student=student, unit=unit).order_by(GradeRow.id)
        with self._session() as session:
            return [grade_of(row) for row in session.scalars(query)]

    def newest(self) -> list[Grade]:
        """Return what counts for every student in every unit, as grades.csv shows it.

        That is the newest submission with a score. A later one that could not be graded takes
        no points away; the outcome then names both: 'graded, then not a notebook'.
        """
        scored = {_whose(grade): grade for grade in self._newest(GradeRow.status.in_(SCORED_WORDS))}
        return [_with_score_of(scored.get(_whose(last)), last) for last in self._newest()]

    def put_scores(self, scores: Iterable[Score]) -> None:
        """Write manual scores, all or none; one of the same answer is replaced."""
        self._replace(ScoreRow(**asdict(score)) for score in scores)

    def scores(self) -> dict[tuple, Score]:
        """Return every manual score by student, unit, question and SHA-256 of the answer."""
        with self._session() as session:
            found = [score_of(row) for row in session.scalars(select(ScoreRow))]
        return {score.key: score for score in found}

    def put_lateness(self, found: Iterable[Lateness]) -> None:
        """Write what late work keeps, all or none; one of the same student and unit is replaced."""
        self._replace(LatenessRow(**asdict(one)) for one in found)

    def lateness(self) -> dict[tuple[str, str], Lateness]:
        """Return what late work keeps, by student and unit."""
        with self._session() as session:
            rows = list(session.scalars(select(LatenessRow)))
            return {
                (row.student, row.unit): Lateness(row.student, row.unit, row.keeps, row.reason)
                for row in rows
            }

    def close(self) -> None:
        self._engine.dispose()

    def _replace(self, rows: Iterable[Base]) -> None:
        with self._session() as session:
            for row in rows:
                session.merge(row)

    def _newest(self, *conditions) -> list[Grade]:
        """Return the newest row of every student and unit among those that meet conditions."""
        ids = select(func.max(GradeRow.id)).where(GradeRow.unit != "", *conditions)
        ids = ids.group_by(GradeRow.student, GradeRow.unit)
        query = select(GradeRow).where(GradeRow.id.in_(ids)).order_by(GradeRow.id)
        with self._session() as session:
            rows = session.scalars(query.options(selectinload(GradeRow.exercises)))
            return [grade_of(row) for row in rows]

    def _last(self, query) -> Grade | None:
        with self._session() as session:
            row = session.scalar(query.order_by(GradeRow.id.desc()).limit(1))
            return grade_of(row) if row else None

    def _check_version(self) -> None:
        """Refuse a gradebook of another version, or one that is read-only."""
        with self._session() as session:
            found = session.scalar(select(Meta.version))
            if found != VERSION:
                raise BadInput(
                    f"the gradebook {self._name} has version {found}, this medlab writes version "
                    f"{VERSION}: name another with --gradebook"
                )
            # Writing shows now, not after the first grading, that a gradebook cannot be written.
            session.execute(update(Meta).values(version=VERSION))

    @contextmanager
    def _session(self) -> Iterator[Session]:
        try:
            with Session(self._engine) as session, session.begin():
                yield session
        except SQLAlchemyError as error:
            raise BadInput(
                f"the gradebook {self._name} cannot be used ({_reason(error)}): {CHECK}"
            ) from None


def open_earlier(url: str, folder: Path) -> Gradebook:
    """Open a gradebook that is there: at a database URL, else at folder/gradebook.db."""
    path = folder / "gradebook.db"
    if not url and not path.is_file():
        raise BadInput(f"{path} does not exist: grade first, or name one with --gradebook")
    return Gradebook(url or f"sqlite:///{path.resolve()}")


SCORED_WORDS = [status.value for status in SCORED]
SCORES = select(GradeRow).where(GradeRow.status.in_(SCORED_WORDS))
CHECK = "check that it exists and that you may write to it, or free disk space"


def _engine(url: str) -> Engine:
    """Return SQLAlchemy's engine; no message quotes a URL that may hold a password."""
    try:
        return create_engine(make_url(url))
    except (ArgumentError, NoSuchModuleError, ValueError, TypeError):
        raise BadInput(
            "that is not a database URL: try --gradebook sqlite:///grades.db "
            "or postgresql+psycopg://user@host/name"
        ) from None
    except ImportError as error:
        raise BadInput(
            f"the driver of that gradebook is not installed ({error}): "
            "for PostgreSQL, pip install 'psycopg[binary]'"
        ) from None


def _whose(grade: Grade) -> tuple[str, str]:
    return grade.student, grade.unit


def _with_score_of(scored: Grade | None, last: Grade) -> Grade:
    if scored is None or last.scored:
        return last
    return replace(scored, then=last.status, message=last.message)


def _reason(error: Exception) -> str:
    return one_line(str(getattr(error, "orig", None) or error), 200)
