"""What the tables for learning systems share: students as rows, units as columns."""

from collections.abc import Iterable

from medlab.classroom.gradebook.lateness import Late, final_score
from medlab.classroom.results import Grade
from medlab.course import Syllabus

ByStudent = dict[str, dict[str, Grade]]  # grades by student, then by unit


def by_student(grades: Iterable[Grade]) -> ByStudent:
    """Return the grades by student, in order, and by unit."""
    found: ByStudent = {}
    for grade in sorted(grades, key=lambda grade: grade.student):
        found.setdefault(grade.student, {})[grade.unit] = grade
    return found


def columns_of(found: ByStudent, syllabus: Syllabus) -> list[tuple[str, str]]:
    """Return slug and title of the units that anyone handed in, in the syllabus's order."""
    there = {slug for units in found.values() for slug in units}
    return [(entry.slug, entry.title) for entry in syllabus.units if entry.slug in there]


def score_cell(grade: Grade | None, lateness: Late) -> str:
    """Return the final score; empty, which learning systems take as 'no change', without one."""
    return points_cell(final_score(grade, lateness)) if grade and grade.exercises else ""


def points_cell(points: float) -> str:
    """Return points as text, to hundredths."""
    return f"{round(points, 2):.10g}"
