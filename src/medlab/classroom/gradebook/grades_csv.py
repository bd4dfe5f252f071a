"""grades.csv: a plain table of grades, one row for each student and unit."""

from collections.abc import Iterable, Mapping

from medlab.classroom.gradebook.csv_table import table
from medlab.classroom.gradebook.lateness import Late, final_score
from medlab.classroom.results import Grade, whole

# The last three tell how a row was computed: course version, seed and isolation.
COLUMNS = ("student", "unit", "score", "max", "status", "seconds", "unit_version", "seed", "jail")
LATE_COLUMNS = ("final", "reason")


def grades_csv(grades: Iterable[Grade], lateness: Late | None = None) -> str:
    """Return grades as CSV in which no cell is a formula.

    LATE_COLUMNS are added as soon as anyone in the class had a due time.
    """
    ordered = sorted(grades, key=lambda grade: (grade.student, grade.unit, grade.file))
    if not lateness:
        return table([COLUMNS, *map(_row, ordered)])
    rows = [[*_row(grade), *_late_cells(grade, lateness)] for grade in ordered]
    return table([(*COLUMNS, *LATE_COLUMNS), *rows])


def _row(grade: Grade) -> list[str | float]:
    cells = {column: getattr(grade, column) for column in COLUMNS} | {"status": grade.outcome}
    return [cell if isinstance(cell, str) else _rounded(cell) for cell in cells.values()]


def _late_cells(grade: Grade, lateness: Mapping) -> tuple[float, str]:
    late = lateness.get((grade.student, grade.unit))
    return _rounded(final_score(grade, lateness)), late.reason if late else ""


def _rounded(number: float) -> float | int:
    return whole(round(number, 2))
