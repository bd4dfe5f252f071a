import csv
import io

import pytest

from medlab.classroom.gradebook.export import grades_csv
from medlab.classroom.results import Grade


def grade(student="ada", **changed) -> Grade:
    plain = {"unit": "add-two", "unit_version": "", "submission_sha256": "", "seed": 0}
    return Grade(student, **plain | {"file": "a.ipynb"} | changed)


def rows(*grades):
    return list(csv.reader(io.StringIO(grades_csv(grades))))


def test_the_columns_are_these_and_no_others():
    assert rows() == [["student", "unit", "score", "max", "status", "seconds"]]


def test_whole_numbers_are_written_as_whole_numbers():
    assert rows(grade(score=3.0, max=5, seconds=2.0))[1][2:] == ["3", "5", "graded", "2"]
    assert rows(grade(score=2.5, max=5.0, seconds=0.25))[1][2:] == ["2.5", "5", "graded", "0.25"]


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
