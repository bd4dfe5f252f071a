"""Grades in the forms that others read."""

import csv
import io
from collections.abc import Iterable

from medlab.classroom.grade import Grade

COLUMNS = ("student", "unit", "score", "max", "status", "seconds")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what makes a spreadsheet run a cell


def grades_csv(grades: Iterable[Grade]) -> str:
    """Return grades as CSV that no spreadsheet runs: text like a formula gets a quote before it."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for grade in sorted(grades, key=lambda grade: (grade.student, grade.unit, grade.file)):
        writer.writerow([_written(getattr(grade, column)) for column in COLUMNS])
    return text.getvalue()


def _written(value: str | float) -> str | float:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    return int(value) if float(value).is_integer() else value
