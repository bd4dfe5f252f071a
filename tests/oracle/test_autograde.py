"""nbgrader's autograde gives honest submissions the points that medlab gives them.

Both graders get the same files: nbgrader's release of a unit with answers filled in. Differences
between the two that remain:

- nbgrader takes all points of a test cell that writes to stderr, such as a progress bar or a
  warning. The preamble therefore catches what is written while a hidden test runs; without it the
  student 'talkative-solution' scores 0.
- nbgrader runs hidden tests in the learner's process, with the same seeds for everybody.
- nbgrader counts points as floats, and knows no status and no message beyond a traceback.
"""

import shutil
from pathlib import Path

import pytest
from tests.support import nbgrader_course
from tests.support.nbgrader_course import NbgraderCourse

from medlab.classroom.grading import grade_class
from medlab.classroom.opening import open_classroom
from medlab.classroom.results import Grade
from medlab.course import Exercise, Unit, load_syllabus, load_unit, nbgrader_export
from medlab.course.audience import LEARNER, notebook

ROOT = Path(__file__).parents[2]
SLUG = "dicom-to-hounsfield"
STUDENTS = ("talkative-solution", "mistakes", "mistakes-and-a-crash", "untouched")
TALKATIVE = """

def talk(function):
    def talking(*args, **options):
        import sys
        print("working on it", file=sys.stderr)
        return function(*args, **options)
    return talking

{name} = talk({name})
"""
CRASH = "def {name}(*args, **options):\n    raise RuntimeError('not finished')"
Points = dict[str, list[float | None]]  # by exercise: one for each hidden test; None: a person's


@pytest.fixture(scope="module")
def unit() -> Unit:
    return load_unit(load_syllabus(ROOT).find(SLUG))


@pytest.fixture(scope="module")
def course(unit, tmp_path_factory) -> NbgraderCourse:
    """An assignment, released by nbgrader, handed in by every student and autograded."""
    course = NbgraderCourse(tmp_path_factory.mktemp("nbgrader"), unit)
    released = course.generate()
    for student in STUDENTS:
        course.submit(student, nbgrader_course.answer(released, answers_of(student, unit)))
    course.autograde()
    return course


@pytest.fixture(scope="module")
def grades(course, tmp_path_factory) -> dict[str, Grade]:
    """medlab's grades of the same files."""
    folder = tmp_path_factory.mktemp("medlab")
    for student in STUDENTS:
        shutil.copytree(course.root / "submitted" / student / SLUG, folder / "class" / student)
    classroom = open_classroom(load_syllabus(ROOT), folder / "out", folder / "class")
    classroom.secret = "oracle"  # the same random numbers in every run of this test
    return {grade.student: grade for _, grade in grade_class(classroom, folder / "class")}


def test_the_generated_assignment_is_medlabs_release_around_empty_test_cells(course):
    released = course.released()
    hidden = [cell for cell in released.cells if nbgrader_export.is_hidden(cell)]
    assert len(hidden) == 1 + sum(len(exercise.hidden) for exercise in course.unit.exercises)
    assert not any(cell.source for cell in hidden)
    seen = [cell for cell in released.cells if not nbgrader_export.is_hidden(cell)]
    assert seen == notebook(course.unit, LEARNER).cells


@pytest.mark.parametrize("student", STUDENTS)
def test_both_graders_give_each_hidden_test_of_a_student_the_same_points(course, grades, student):
    assert medlabs_points(grades[student], course.unit) == nbgraders_points(course, student)


def test_the_class_spans_full_marks_part_marks_and_none(course, grades):
    scores = [grades[student].score for student in STUDENTS]
    assert scores[0] == course.unit.points > max(scores[1:3])
    assert min(scores[1:3]) > scores[3] == 0


def answers_of(student: str, unit: Unit) -> dict[str, str]:
    """Return a made-up student's answers by cell id."""
    if student == "untouched":
        return {}
    code = {e.cell_id: answer_of(student, e, e is unit.exercises[-1]) for e in unit.exercises}
    # One student leaves the written answer out: both graders must tell that from an answer.
    written = {} if student == "mistakes" else {w.cell_id: "It was." for w in unit.written}
    return code | written


def answer_of(student: str, exercise: Exercise, last: bool) -> str:
    if student == "talkative-solution":
        return exercise.solution + TALKATIVE.format(name=exercise.name)
    if student == "mistakes":
        return exercise.mistakes[0].source
    return CRASH.format(name=exercise.name) if last else exercise.mistakes[-1].source


def medlabs_points(grade: Grade, unit: Unit) -> Points:
    assert grade.status in ("graded", "not attempted"), grade.message
    points: Points = {}
    for result in grade.exercises:
        if result.kind == "written":
            points[result.name] = [result.points]
        else:
            none = [0 for _ in unit.exercise(result.name).hidden]
            points[result.name] = [test.points for test in result.tests] or none
    return points


def nbgraders_points(course: NbgraderCourse, student: str) -> Points:
    grades, unit = course.grades(student), course.unit
    exercises = {
        e.name: [grades[name] for name in nbgrader_course.hidden_ids(unit, e.name)]
        for e in unit.exercises
    }
    return exercises | {w.name: [grades[w.cell_id]] for w in unit.written}
