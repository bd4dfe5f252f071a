import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlab.classroom.gradebook.database import Gradebook
from medlab.classroom.gradebook.lateness import Lateness
from medlab.classroom.gradebook.scores import (
    Level,
    Score,
    answer_sha256,
    points_for,
    with_scores,
)
from medlab.classroom.results import ExerciseResult, Grade, Status

TOPS = st.lists(st.integers(1, 4), min_size=1, max_size=5)


def level(reached, top=2, name="correct"):
    return Level(name, "Is it right?", reached, top, f"level {reached}")


def score(text="zero is not missing", reached=(2, 1), student="ada"):
    levels = tuple(level(one, name=f"c{i}") for i, one in enumerate(reached))
    return Score(student, "add-two", "why", answer_sha256(text), levels, "well said")


def grade_with(written_status=Status.NEEDS_GRADING, student="ada"):
    points = 0 if written_status == Status.NOT_ATTEMPTED else None
    made = Grade(student, "add-two", "v1", "a" * 64, 0, "a.ipynb")
    add = ExerciseResult("add", "exercise", 2, 3, Status.PASSED, "")
    made.take([add, ExerciseResult("why", "written", points, 2, written_status, "")], [])
    return made


def by_key(*scores):
    return {one.key: one for one in scores}


def settled(grade, *scores, text="zero is not missing", counted=None):
    return with_scores(grade, {"why": text}, by_key(*scores), counted or {})


@given(st.integers(1, 20), TOPS, st.data())
def test_points_lie_between_nothing_and_all(most, tops, data):
    levels = [level(data.draw(st.integers(0, top)), top) for top in tops]
    points = points_for(levels, most)
    assert 0 <= points <= most
    assert points == pytest.approx(most * sum(one.level for one in levels) / sum(tops), abs=0.0051)


@given(st.integers(1, 20), TOPS)
def test_the_top_levels_give_all_points_and_the_lowest_none(most, tops):
    assert points_for([level(top, top) for top in tops], most) == most
    assert points_for([level(0, top) for top in tops], most) == 0


def test_a_scored_answer_counts_in_score_and_most():
    found = settled(grade_with(), score())
    assert (found.score, found.max) == (3.5, 5)
    assert found.exercises[1].status == Status.SCORED_MANUALLY
    assert found.exercises[1].message == "well said"
    assert [test.message for test in found.exercises[1].tests] == ["level 2", "level 1"]


def test_an_answer_that_changed_needs_grading_again():
    found = settled(grade_with(), score(), text="something else")
    assert (found.score, found.max) == (2, 3)
    assert found.exercises[1].status == Status.NEEDS_GRADING


def test_another_students_score_of_the_same_text_does_not_count():
    assert settled(grade_with(), score(student="bob")).exercises[1].points is None


def test_settling_twice_changes_nothing_more():
    once = settled(grade_with(), score())
    assert settled(once, score()) == once


def test_a_new_score_takes_the_place_of_the_old_one():
    once = settled(grade_with(), score())
    assert settled(once, score(reached=(0, 0))).score == 2


def test_an_empty_answer_counts_0_once_the_question_counts_for_the_class():
    before = settled(grade_with(Status.NOT_ATTEMPTED, "bob"), score())
    after = settled(grade_with(Status.NOT_ATTEMPTED, "bob"), score(), counted={"why": 2})
    assert (before.score, before.max) == (2, 3)
    assert (after.score, after.max) == (2, 5)


def test_the_machines_own_grade_is_left_as_it_was():
    grade = grade_with()
    settled(grade, score())
    assert grade == grade_with()


def test_space_around_an_answer_makes_no_other_answer():
    assert answer_sha256("  a b\n") == answer_sha256("a b") != answer_sha256("a  b")


def test_the_gradebook_keeps_scores_by_the_text_that_was_read(tmp_path):
    url = f"sqlite:///{tmp_path / 'g.db'}"
    first, other, better = score(), score("another text"), score(reached=(2, 2))
    Gradebook(url).put_scores([first, other])
    Gradebook(url).put_scores([better])
    assert Gradebook(url).scores() == by_key(better, other)


def test_the_gradebook_keeps_the_newest_word_on_lateness(tmp_path):
    book = Gradebook(f"sqlite:///{tmp_path / 'g.db'}")
    book.put_lateness([Lateness("ada", "add-two", 80, "2 days"), Lateness("bob", "x", 90, "1 day")])
    book.put_lateness([Lateness("ada", "add-two", 100, "excused")])
    assert book.lateness()["ada", "add-two"].reason == "excused"
    assert book.lateness()["bob", "x"].keeps == 90


def test_a_gradebook_from_before_people_scored_gets_the_tables_it_lacks(tmp_path):
    import sqlite3

    url = f"sqlite:///{tmp_path / 'g.db'}"
    Gradebook(url).close()
    with sqlite3.connect(tmp_path / "g.db") as old:
        old.execute("drop table score")
        old.execute("drop table lateness")
    assert Gradebook(url).scores() == {}
