import csv
import io

import pytest

from medlab.classroom.gradebook.grades_csv import grades_csv
from medlab.classroom.results import Grade, Status


def grade(student="ada", **changed) -> Grade:
    plain = {"unit": "add-two", "unit_version": "", "submission_sha256": "", "seed": 0}
    return Grade(student, **plain | {"file": "a.ipynb"} | changed)


def rows(*grades):
    return list(csv.reader(io.StringIO(grades_csv(grades))))


def test_the_columns_are_these_and_no_others():
    assert ",".join(*rows()) == "student,unit,score,max,status,seconds,unit_version,seed,jail"


def test_whole_numbers_are_written_as_whole_numbers():
    assert rows(grade(score=3.0, max=5, seconds=2.0))[1][2:6] == ["3", "5", "graded", "2"]
    assert rows(grade(score=2.5, max=5.0, seconds=0.25))[1][2:6] == ["2.5", "5", "graded", "0.25"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\n", "＝"])  # noqa: RUF001
def test_a_name_that_a_spreadsheet_would_run_is_made_harmless(start):
    assert rows(grade(f"{start}cmd|' /C calc'!A0"))[1][0] == f"'{start}cmd|' /C calc'!A0"


def test_a_bare_carriage_return_starts_no_row_of_its_own():
    text = grades_csv([grade("ada\r=cmd|' /C calc'!A0")])
    assert "\r" not in text.replace("\r\n", "")


def test_a_name_with_commas_quotes_and_line_breaks_stays_one_cell():
    name = 'O\'Brien, "Ada"\nB'
    assert rows(grade(name))[1][0] == name


def test_rows_are_in_order_of_student_and_unit():
    made = rows(grade("b"), grade("a", unit="z"), grade("a", unit="y"))
    assert [row[:2] for row in made[1:]] == [["a", "y"], ["a", "z"], ["b", "add-two"]]


def test_a_row_says_with_which_course_version_seed_and_isolation_it_came_about():
    [_, row] = rows(grade(unit_version="0123456789ab", seed=7, jail="namespaces"))
    assert row[-3:] == ["0123456789ab", "7", "namespaces"]


def test_a_score_and_a_newer_file_that_could_not_be_graded_are_both_named():
    [_, row] = rows(grade(score=5, then=Status.NOT_A_NOTEBOOK))
    assert (row[2], row[4]) == ("5", "graded, then not a notebook")
