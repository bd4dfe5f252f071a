"""Rows for whatever folders hold; what a single file holds is in test_reading.py."""

import json
import os

import pytest

from medlab.classroom.submissions.roster import submissions_of
from medlab.course.audience import LEARNER, notebook
from medlab.course.build import text_of
from medlab.errors import BadInput

SLUGS = ("add-two", "add-two-more", "other")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "class"


@pytest.fixture
def released(tiny_unit):
    return text_of(notebook(tiny_unit, LEARNER))


def put(folder, student, name, content):
    (folder / student).mkdir(parents=True, exist_ok=True)
    (folder / student / name).write_text(content)


def of_unit(slug):
    return json.dumps({"cells": [], "metadata": {"medlab": {"slug": slug}}})


def problems(folder, slug=""):
    return {(o.student, o.path.name): o.problem for o in submissions_of(folder, slug, SLUGS)}


def test_a_notebook_is_matched_by_its_metadata_whatever_it_is_called(folder, released):
    put(folder, "ada", "other.ipynb", released)
    [found] = submissions_of(folder, "", SLUGS)
    assert (found.slug, found.problem) == ("add-two", None)


def test_a_notebook_of_no_unit_of_this_course_says_so(folder):
    put(folder, "ada", "a.ipynb", of_unit("../../evil\x1b[31m"))
    put(folder, "bob", "b.ipynb", '{"cells": []}')
    ada, bob = submissions_of(folder, "", SLUGS)
    assert (ada.slug, ada.problem) == ("", "unknown unit")
    assert r"'../../evil\x1b[31m'" in ada.message
    assert (bob.slug, bob.problem) == ("", "no unit")


def test_an_unreadable_file_belongs_to_the_unit_in_its_name(folder):
    put(folder, "ada", "add-two-more (1).ipynb", "hello")
    assert submissions_of(folder, "", SLUGS)[0].slug == "add-two-more"


def test_an_unreadable_file_does_not_stand_in_the_way_of_a_good_one(folder, released):
    put(folder, "ada", "add-two.ipynb", "hello")
    put(folder, "ada", "final.ipynb", released)
    found = {o.path.name: (o.slug, o.problem) for o in submissions_of(folder, "", SLUGS)}
    assert found == {"add-two.ipynb": ("", "not a notebook"), "final.ipynb": ("add-two", None)}


def test_the_same_file_twice_counts_once(folder, released):
    put(folder, "ada", "a.ipynb", released)
    put(folder, "ada", "a (1).ipynb", released)
    assert list(problems(folder).values()) == [None]


def test_two_different_notebooks_of_one_unit_are_one_row_that_names_both(folder, released):
    put(folder, "ada", "a.ipynb", released)
    put(folder, "ada", "b.ipynb", released + "\n")
    [found] = submissions_of(folder, "", SLUGS)
    assert found.problem == "duplicate"
    assert "a.ipynb and b.ipynb" in found.message


def test_hidden_files_are_nobodys_answer(folder, released):
    put(folder, "ada", "add-two.ipynb", released)
    put(folder, "ada", "._add-two.ipynb", "resource fork")
    assert problems(folder) == {("ada", "add-two.ipynb"): None}


@pytest.mark.parametrize("twin", ["ADA", "\uff41da"])
def test_students_whose_names_look_the_same_are_named(folder, released, twin):
    for student in ("ada", twin, "bob"):
        put(folder, student, "a.ipynb", released)
    found = {o.student: o.problem for o in submissions_of(folder, "", SLUGS)}
    assert found == {"ada": "duplicate student", twin: "duplicate student", "bob": None}


def test_a_name_that_no_file_can_hold_is_escaped(folder, released):
    put(folder, os.fsdecode(b"bad\xff"), "a.ipynb", released)
    put(folder, "x" * 250, "a.ipynb", released)
    bad, long = submissions_of(folder, "", SLUGS)
    assert bad.student == r"bad\udcff"
    assert len(long.student) < 100


def test_for_one_unit_everybody_without_it_has_a_row_that_says_what_is_there(folder, released):
    put(folder, "ada", "a.ipynb", released)
    put(folder, "bob", "add-two.ipynb", of_unit("other"))
    (folder / "eve").mkdir()
    found = {o.student: (o.problem, o.message) for o in submissions_of(folder, "add-two", SLUGS)}
    assert found == {
        "ada": (None, ""),
        "bob": ("missing", "no notebook of this unit here, only add-two.ipynb"),
        "eve": ("missing", "no notebook of this unit here"),
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_one_line(folder):
    folder.mkdir(mode=0)
    with pytest.raises(BadInput, match="cannot be read"):
        submissions_of(folder)


def test_two_notebooks_of_one_unit_are_one_row_that_names_both(tmp_path, tiny_unit):
    text = text_of(notebook(tiny_unit, LEARNER))
    for name, end in (("a.ipynb", ""), ("b.ipynb", "\n")):
        put(tmp_path / "class", "ada", name, text + end)
    [found] = submissions_of(tmp_path / "class")
    assert found.problem == "duplicate"
    assert "a.ipynb and b.ipynb" in found.message


def test_students_who_differ_only_in_case_are_rows_of_their_own(tmp_path, tiny_unit):
    for student in ("Ada", "ada", "bob"):
        put(tmp_path / "class", student, "a.ipynb", text_of(notebook(tiny_unit, LEARNER)))
    problems = {one.student: one.problem for one in submissions_of(tmp_path / "class")}
    assert problems == {"Ada": "duplicate student", "ada": "duplicate student", "bob": None}


def test_one_unit_can_be_chosen_and_those_without_it_are_named(tmp_path, tiny_unit):
    put(tmp_path / "class", "ada", "a.ipynb", text_of(notebook(tiny_unit, LEARNER)))
    put(
        tmp_path / "class",
        "bob",
        "b.ipynb",
        '{"cells": [], "metadata": {"medlab": {"slug": "other"}}}',
    )
    found = {one.student: one.problem for one in submissions_of(tmp_path / "class", "add-two")}
    assert found == {"ada": None, "bob": "missing"}
