import csv
import functools
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlab.classroom.gradebook.export import FORMATS, count_ungraded, export
from medlab.classroom.gradebook.grades_csv import grades_csv
from medlab.classroom.gradebook.lateness import Lateness
from medlab.classroom.results import ExerciseResult, Grade, Status
from medlab.course import find_course, load_syllabus
from medlab.errors import BadInput

LATE = {("ada", "add-two"): Lateness("ada", "add-two", 90, "1 h late: 1 day at 10 % each")}


def graded(student, points=4, ungraded=False, **options):
    made = Grade(student, "add-two", "v1", "a" * 64, 0, "a.ipynb", **options)
    results = [ExerciseResult("add", "exercise", points, 5, Status.PASSED, "")]
    if ungraded:
        results.append(ExerciseResult("why", "written", None, 2, Status.NEEDS_GRADING, ""))
    made.take(results, [])
    return made


def broken(student):
    return Grade(student, "add-two", "", "", 0, "a.ipynb", Status.NOT_A_NOTEBOOK, "not JSON", max=5)


def rows(text):
    return list(csv.reader(io.StringIO(text, newline="")))


def test_canvas_finds_logins_points_possible_and_titles(tiny_syllabus):
    head, possible, ada, bob = rows(
        export("canvas", [graded("bob"), graded("ada")], LATE, tiny_syllabus)
    )
    assert head == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Add two"]
    assert possible[0].strip() == "Points Possible"
    assert possible[-1] == "5"
    assert (ada[3], ada[-1]) == ("ada", "3.6")
    assert (bob[3], bob[-1]) == ("bob", "4")


def test_moodle_finds_user_names_and_a_column_of_feedback(tiny_syllabus):
    head, ada, bob = rows(export("moodle", [graded("ada"), graded("bob")], LATE, tiny_syllabus))
    assert head == ["username", "Add two", "Add two feedback"]
    assert ada == ["ada", "3.6", "4 of 5 points before lateness; 1 h late: 1 day at 10 % each"]
    assert bob == ["bob", "4", ""]


def test_the_plain_table_is_that_of_grading_until_anyone_was_late(tiny_syllabus):
    grades = [graded("ada"), broken("bob")]
    assert export("csv", grades, {}, tiny_syllabus) == grades_csv(grades)
    head, ada, bob = rows(export("csv", grades, LATE, tiny_syllabus))
    assert head[-2:] == ["final", "reason"]
    assert (ada[2], ada[-2]) == ("4", "3.6")
    assert bob[-2:] == ["0", ""]


@pytest.mark.parametrize("form", ["canvas", "moodle"])
def test_work_that_could_not_be_graded_leaves_its_cell_empty(tiny_syllabus, form):
    table = rows(export(form, [graded("ada"), broken("bob")], {}, tiny_syllabus))
    assert table[-1][table[0].index("Add two")] == ""


def test_answers_that_need_manual_grading_are_counted():
    assert count_ungraded([graded("ada", ungraded=True), graded("bob")]) == 1


@pytest.mark.parametrize("form", FORMATS)
def test_an_empty_gradebook_makes_an_empty_table(tiny_syllabus, form):
    assert rows(export(form, [], {}, tiny_syllabus))[0]


@functools.cache
def the_course():
    """Read the syllabus once, not for each example."""
    return load_syllabus(find_course())


@settings(deadline=None)
@given(st.sampled_from(sorted(FORMATS)), st.sampled_from("=+-@\t\r"), st.text(max_size=9))
def test_no_cell_is_a_formula(form, start, text):
    syllabus = the_course()
    grade = graded(start + text, message=start + text)
    grade.unit = syllabus.units[0].slug
    late = {(grade.student, grade.unit): Lateness(grade.student, grade.unit, 90, start + text)}
    for row in rows(export(form, [grade], late, syllabus)):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)


def test_an_unknown_format_is_answered_with_those_there_are(tiny_syllabus):
    with pytest.raises(BadInput, match="canvas, moodle, csv"):
        export("blackboard", [], {}, tiny_syllabus)
