"""Grades for the gradebook of Moodle.

A student's folder name is taken for the user name. Source: Moodle documentation, "Grade import".
"""

from collections.abc import Iterable

from medlab.classroom.gradebook.class_table import by_student, columns_of, points_cell, score_cell
from medlab.classroom.gradebook.csv_table import table
from medlab.classroom.gradebook.lateness import Late
from medlab.classroom.results import Grade
from medlab.course import Syllabus


def moodle_table(grades: Iterable[Grade], lateness: Late, syllabus: Syllabus) -> str:
    """Return a table that Moodle imports, mapping `username` to the user name.

    Each unit has a column of points and one of feedback.
    """
    found = by_student(grades)
    units = columns_of(found, syllabus)
    head = ["username"]
    for _, title in units:
        head += [title, f"{title} feedback"]
    rows = []
    for student, of in found.items():
        row = [student]
        for slug, _ in units:
            row += [score_cell(of.get(slug), lateness), _feedback(of.get(slug), lateness)]
        rows.append(row)
    return table([head, *rows])


def _feedback(grade: Grade | None, lateness: Late) -> str:
    """Return a line for the student: what went wrong, or what lateness cost."""
    if grade is None:
        return ""
    late = lateness.get((grade.student, grade.unit))
    if grade.message or not late:
        return grade.message
    earned = f"{points_cell(grade.score)} of {points_cell(grade.max)} points"
    return f"{earned} before lateness; {late.reason}"
