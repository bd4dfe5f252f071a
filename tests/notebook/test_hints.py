"""Hints come level by level, and a wrong question is answered with the right ones."""

import pytest

from medlab.course import load_syllabus, load_unit
from medlab.errors import BadInput
from medlab.notebook.hints import hint


@pytest.fixture
def unit(tiny_course):
    return load_unit(load_syllabus(tiny_course).find("add-two"))


def test_hints_come_in_the_order_in_which_the_author_wrote_them(unit):
    levels = [hint(unit, "add", level) for level in (1, 2, 3)]
    assert levels == list(unit.exercise("add").hints)
    assert "```" in levels[2]


def test_the_first_level_is_the_default(unit):
    assert hint(unit, "add") == hint(unit, "add", 1)


def test_an_unknown_exercise_is_refused_with_those_there_are(unit):
    with pytest.raises(BadInput, match=r"no exercise 'ad'.*add, mean"):
        hint(unit, "ad", 1)


@pytest.mark.parametrize("level", [0, 4, -1])
def test_a_level_that_there_is_not_is_refused_with_the_range(unit, level):
    with pytest.raises(BadInput, match=f"no hint {level} for 'add': choose from 1 to 3"):
        hint(unit, "add", level)
