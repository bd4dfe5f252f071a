"""Grades for the gradebooks of Canvas and Moodle, and as a plain table; no cell is a formula.

A student's folder name stands for the login (Canvas) or the user name (Moodle). A grade after
lateness is the one that goes out. Work that could not be graded leaves its cell empty: learning
systems take that as 'no change', and a person decides.

Sources: Canvas instructors' guide, "How do I import grades in the Gradebook"; Moodle documentation,
"Grade import".
"""

from collections.abc import Iterable, Mapping

from medlab.classroom.gradebook.csv_table import table
from medlab.classroom.gradebook.export import COLUMNS, grades_csv
from medlab.classroom.gradebook.lateness import Lateness
from medlab.classroom.referee.hidden_tests import AWAITED
from medlab.classroom.results import Grade
from medlab.course import Syllabus
from medlab.errors import BadInput

Late = Mapping[tuple[str, str], Lateness]
CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
FORMATS = ("canvas", "moodle", "csv")


def exported(form: str, grades: Iterable[Grade], lateness: Late, syllabus: Syllabus) -> str:
    """Return grades in one of FORMATS; raise BadInput for another."""
    if form not in FORMATS:
        raise BadInput(f"there is no format '{form}': there are {', '.join(FORMATS)}")
    if form == "csv":
        return grades_table(grades, lateness)
    made = canvas_table if form == "canvas" else moodle_table
    return made(grades, lateness, syllabus)


def final_score(grade: Grade, lateness: Late) -> float:
    """Return the points that count: after lateness, where there was some."""
    late = lateness.get((grade.student, grade.unit))
    return late.reduced(grade.score) if late else grade.score


def grades_table(grades: Iterable[Grade], lateness: Late) -> str:
    """Return the plain table: as grades.csv, with two columns more once anyone had a due time."""
    if not lateness:
        return grades_csv(grades)
    ordered = sorted(grades, key=lambda grade: (grade.student, grade.unit, grade.file))
    rows = [[*_plain_row(grade), *_after(grade, lateness)] for grade in ordered]
    return table([(*COLUMNS, "final", "reason"), *rows])


def canvas_table(grades: Iterable[Grade], lateness: Late, syllabus: Syllabus) -> str:
    """Return a table that Canvas imports: a row of students each, a column of units each.

    Canvas finds students by SIS Login ID, and makes an assignment of every title it does not know.
    """
    found = _by_student(grades)
    units = _units(found, syllabus)
    most = [max(of[slug].max for of in found.values() if slug in of) for slug, _ in units]
    head = [*CANVAS, *(title for _, title in units)]
    possible = ["    Points Possible", "", "", "", "", *map(_plain, most)]
    rows = [
        [student, "", "", student, "", *_scores(of, units, lateness)]
        for student, of in found.items()
    ]
    return table([head, possible, *rows])


def moodle_table(grades: Iterable[Grade], lateness: Late, syllabus: Syllabus) -> str:
    """Return a table that Moodle imports, mapping `username` to the user name.

    Each unit has a column of points and one of feedback.
    """
    found = _by_student(grades)
    units = _units(found, syllabus)
    head = ["username"]
    for _, title in units:
        head += [title, f"{title} feedback"]
    rows = []
    for student, of in found.items():
        row = [student]
        for (slug, _), score in zip(units, _scores(of, units, lateness), strict=True):
            row += [score, _word(of.get(slug), lateness)]
        rows.append(row)
    return table([head, *rows])


def awaiting(grades: Iterable[Grade]) -> int:
    """Return how many written answers still await a person: their points are not in the table."""
    return sum(result.status == AWAITED for grade in grades for result in grade.exercises)


def _by_student(grades: Iterable[Grade]) -> dict[str, dict[str, Grade]]:
    found: dict[str, dict[str, Grade]] = {}
    for grade in sorted(grades, key=lambda grade: grade.student):
        found.setdefault(grade.student, {})[grade.unit] = grade
    return found


def _units(found: dict[str, dict[str, Grade]], syllabus: Syllabus) -> list[tuple[str, str]]:
    """Return slug and title of the units that anyone handed in, in the syllabus's order."""
    there = {slug for of in found.values() for slug in of}
    return [(entry.slug, entry.title) for entry in syllabus.units if entry.slug in there]


def _scores(of: dict[str, Grade], units: list[tuple[str, str]], lateness: Late) -> list:
    return [
        _plain(final_score(of[slug], lateness)) if slug in of and of[slug].exercises else ""
        for slug, _ in units
    ]


def _word(grade: Grade | None, lateness: Late) -> str:
    """Return a line for the student: what went wrong, or what lateness cost."""
    if grade is None:
        return ""
    late = lateness.get((grade.student, grade.unit))
    if grade.message or not late:
        return grade.message
    return f"{_plain(grade.score)} of {_plain(grade.max)} points before lateness; {late.reason}"


def _plain_row(grade: Grade) -> list:
    values = [getattr(grade, column) for column in COLUMNS]
    return [value if isinstance(value, str) else _plain(value) for value in values]


def _after(grade: Grade, lateness: Late) -> list:
    late = lateness.get((grade.student, grade.unit))
    return [_plain(final_score(grade, lateness)), late.reason if late else ""]


def _plain(points: float) -> str:
    return f"{round(points, 2):.10g}"
