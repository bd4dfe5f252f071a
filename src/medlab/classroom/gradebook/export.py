"""Grades for other gradebooks: the formats there are.

The grade after lateness is exported. Work that could not be graded leaves its cell empty, so that
an instructor decides.
"""

from collections.abc import Iterable

from medlab.classroom.gradebook.canvas import canvas_table
from medlab.classroom.gradebook.grades_csv import grades_csv
from medlab.classroom.gradebook.lateness import Late
from medlab.classroom.gradebook.moodle import moodle_table
from medlab.classroom.results import Grade, Status
from medlab.course import Syllabus
from medlab.errors import BadInput

FORMATS = {
    "canvas": canvas_table,
    "moodle": moodle_table,
    "csv": lambda grades, lateness, syllabus: grades_csv(grades, lateness),
}


def export(form: str, grades: Iterable[Grade], lateness: Late, syllabus: Syllabus) -> str:
    """Return grades in one of FORMATS; raise BadInput for another."""
    if form not in FORMATS:
        raise BadInput(f"unknown format '{form}': choose one of {', '.join(FORMATS)}")
    return FORMATS[form](grades, lateness, syllabus)


def count_ungraded(grades: Iterable[Grade]) -> int:
    """Return how many written answers need manual grading: their points are not in the table."""
    return sum(
        result.status == Status.NEEDS_GRADING for grade in grades for result in grade.exercises
    )
