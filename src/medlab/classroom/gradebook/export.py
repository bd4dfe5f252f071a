"""Grades in the forms that others read."""

from collections.abc import Iterable

from medlab.classroom.gradebook.csv_table import table
from medlab.classroom.results import Grade

COLUMNS = ("student", "unit", "score", "max", "status", "seconds")


def grades_csv(grades: Iterable[Grade]) -> str:
    """Return grades as CSV that no spreadsheet runs."""
    ordered = sorted(grades, key=lambda grade: (grade.student, grade.unit, grade.file))
    rows = [[_written(getattr(grade, column)) for column in COLUMNS] for grade in ordered]
    return table([COLUMNS, *rows])


def _written(value: str | float) -> str | float:
    if isinstance(value, str):
        return value
    return int(value) if float(value).is_integer() else value
