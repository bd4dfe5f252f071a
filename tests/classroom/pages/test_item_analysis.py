import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlab.classroom.pages.item_analysis import FEWEST, discrimination, report_page, unit_reports
from medlab.classroom.results import ExerciseResult, Grade, Status, TestResult

FIGURES = st.lists(st.floats(-1e6, 1e6) | st.sampled_from([np.nan, np.inf]), max_size=30)


def result(name, points, most=2, message="", status=None):
    status = status or (Status.PASSED if points == most else Status.FAILED)
    tests = [TestResult("about", points, most, status, message)]
    return ExerciseResult(name, "exercise", points, most, status, message, tests)


def graded(student, *results, seconds=1.0):
    made = Grade(student, "add-two", "v1", "a" * 64, 0, "a.ipynb", seconds=seconds)
    made.take(list(results), [])
    return made


def class_of(size=12):
    """A class in which `split` follows the rest, `easy` is all right and `odd` goes against it."""
    return [
        graded(
            f"s{at:02}",
            result("split", 2 * (at % 2), message="" if at % 2 else f"expected 1, got {at}"),
            result("rest", 2 * (at % 2)),
            result("easy", 2),
            result("odd", 1 - at % 2),
            seconds=float(at),
        )
        for at in range(size)
    ]


def items(grades):
    [unit] = unit_reports(grades)
    return {item.name: item for item in unit.items}


def test_difficulty_is_the_mean_share_of_the_points():
    found = items(class_of())
    assert (found["easy"].difficulty, found["split"].difficulty) == (1, 0.5)


def test_an_exercise_is_held_against_the_rest_and_not_against_itself():
    found = items(class_of())
    assert found["split"].discrimination == pytest.approx(1)
    assert found["odd"].discrimination == pytest.approx(-1)


def test_of_all_or_nothing_items_it_is_the_point_biserial_correlation():
    from scipy.stats import pointbiserialr

    rng = np.random.default_rng(0)
    item, rest = rng.integers(0, 2, 40), rng.normal(size=40)
    assert discrimination(item, rest)[0] == pytest.approx(pointbiserialr(item, rest).statistic)


def test_where_all_are_the_same_there_is_no_discrimination():
    assert items(class_of())["easy"].why_not == "all the same"


def test_a_small_class_is_told_that_it_is_too_small():
    found = items(class_of(FEWEST - 1))
    assert found["split"].discrimination is None
    assert found["split"].why_not == "too few students (9 of at least 10)"


@given(FIGURES, FIGURES)
def test_discrimination_is_a_correlation_or_says_why_not(one, other):
    size = min(len(one), len(other))
    figure, why_not = discrimination(one[:size], other[:size])
    assert bool(why_not) == (figure is None)
    assert figure is None or -1 <= figure <= 1


def test_messages_that_differ_in_their_numbers_are_one_and_count_students():
    [(message, count)] = items(class_of())["split"].messages
    assert re.fullmatch(r"expected 1, got \d+ \(or with other numbers\)", message)
    assert count == 6


def test_the_commonest_slip_stands_first():
    grades = [
        graded(f"s{at}", result("a", 0, message="rare" if at == 0 else "common")) for at in range(4)
    ]
    assert items(grades)["a"].messages == (("common", 3), ("rare", 1))


def test_what_was_not_attempted_is_no_slip_but_counts_nothing():
    grades = [graded("a", result("a", 0, status=Status.NOT_ATTEMPTED)), graded("b", result("a", 2))]
    found = items(grades)["a"]
    assert (found.attempted, found.students, found.difficulty, found.messages) == (1, 2, 0.5, ())


def test_work_that_could_not_be_graded_does_not_count():
    broken = Grade("eve", "add-two", "", "", 0, "a.ipynb", "not a notebook", max=5)
    assert unit_reports([broken]) == []
    assert len(unit_reports([broken, *class_of()])[0].grades) == 12


def test_time_is_told_for_a_unit():
    [unit] = unit_reports(class_of())
    assert (unit.median_seconds, unit.slowest_seconds) == (5.5, 11)


def test_time_of_an_exercise_is_the_median_of_what_its_tests_took():
    grades = class_of(3)
    for grade, seconds in zip(grades, (0.5, 4, 1), strict=True):
        grade.exercises[2].tests[0].seconds = seconds
    assert items(grades)["easy"].seconds == 1


def test_the_page_loads_nothing_runs_nothing_and_describes_its_plots():
    page = report_page(class_of())
    assert not re.search(r"<script|<link|src=\"(?!data:)|href=|https?://", page)
    described = re.findall(r'<img alt="([^"]+)"', page)
    assert len(described) == 2
    assert "50 %" in described[0] or "students" in page
    assert "split: difficulty 0.50, discrimination 1.00" in described[1]


def test_what_learners_code_said_is_text_on_the_page():
    page = report_page([graded("a", result("a", 0, message="<script>alert()</script>"))])
    assert "<script" not in page
    assert "&lt;script" in page


def test_the_same_grades_give_the_same_page():
    assert report_page(class_of()) == report_page(class_of())


def test_an_empty_gradebook_makes_a_page_that_says_so():
    assert "Nothing has been graded yet" in report_page([])
