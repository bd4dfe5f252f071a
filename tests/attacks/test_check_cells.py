"""Edited, deleted, duplicated and renamed check cells."""

import copy

from tests.support.hostile import Attack, cell, code_cell


def edited(notebook):
    cell(notebook, "check-add")["source"] = "add = mean = lambda *_: True"
    cell(notebook, "medlab-setup")["source"] = "import builtins; builtins.AssertionError = ()"
    return notebook


def deleted(notebook):
    kept = [one for one in notebook["cells"] if not one["id"].startswith(("check-", "medlab-"))]
    return notebook | {"cells": kept}


def twice(notebook):
    notebook["cells"] += [copy.deepcopy(cell(notebook, "check-add")) for _ in range(3)]
    notebook["cells"].append(code_cell("def add(a, b): return 0", id="exercise-add"))
    return notebook


def renamed(notebook):
    cell(notebook, "check-add").update(id="check-other", metadata={})
    cell(notebook, "check-mean").update(id="exercise-third", metadata={})
    return notebook


WRONG = {"mean": "def mean(values): return 0"}
ATTACKS = {
    "check-edited": Attack(WRONG, edit=edited),
    "check-deleted": Attack(WRONG, edit=deleted),
    "check-twice": Attack(WRONG, edit=twice),
    "check-renamed": Attack(WRONG, edit=renamed),
}


def test_an_edited_check_is_put_back_and_noted(graded):
    assert (
        "cell 'check-add' was edited and was put back" in graded.holds("check-edited", 2)["notes"]
    )


def test_a_deleted_check_is_put_back_and_noted(graded):
    notes = graded.holds("check-deleted", 2)["notes"]
    assert "cell 'check-add' was missing and was put back" in notes


def test_a_duplicated_cell_counts_once_and_is_noted(graded):
    notes = graded.holds("check-twice", 2)["notes"]
    assert "cell 'exercise-add' is a duplicate: the first one counts" in notes


def test_a_renamed_check_is_a_cell_of_ones_own(graded):
    notes = graded.holds("check-renamed", 2)["notes"]
    assert "cell 'check-add' was missing and was put back" in notes
