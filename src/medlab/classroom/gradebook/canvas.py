"""Grades for the gradebook of Canvas.

A student's folder name is taken for the login. Source: Canvas instructors' guide, "How do I import
grades in the Gradebook".
"""

from collections.abc import Iterable

from medlab.classroom.gradebook.class_table import by_student, columns_of, points_cell, score_cell
from medlab.classroom.gradebook.csv_table import table
from medlab.classroom.gradebook.lateness import Late
from medlab.classroom.results import Grade
from medlab.course import Syllabus

FIXED = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")


def canvas_table(grades: Iterable[Grade], lateness: Late, syllabus: Syllabus) -> str:
    """Return a table that Canvas imports: a row for each student, a column for each unit.

    Canvas finds students by SIS Login ID and creates an assignment for every title that is new.
    """
    found = by_student(grades)
    units = columns_of(found, syllabus)
    most = [max(of[slug].max for of in found.values() if slug in of) for slug, _ in units]
    head = [*FIXED, *(title for _, title in units)]
    possible = ["    Points Possible", "", "", "", "", *map(points_cell, most)]
    rows = [
        [student, "", "", student, "", *(score_cell(of.get(slug), lateness) for slug, _ in units)]
        for student, of in found.items()
    ]
    return table([head, possible, *rows])
