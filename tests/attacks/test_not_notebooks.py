"""Files that are no notebooks, and notebooks that are nearly none."""

import json

import pytest
from tests.support.hostile import FULL, Attack, code_cell

DEEP = 10_000


def deep_metadata(notebook):
    notebook["metadata"]["deep"] = "@DEEP@"
    text = json.dumps(notebook)
    return text.replace('"@DEEP@"', '{"a":' * DEEP + "1" + "}" * DEEP).encode()


def odd_cells(notebook):
    odd = [None, 3, "x", [], {}, {"cell_type": 7, "source": {"a": 1}}, {"id": ["x"], "source": 1}]
    notebook["cells"] += odd
    notebook["cells"].append({"cell_type": "code", "id": "x" * 10**6, "source": ["1", 2, None]})
    return notebook


def odd_text(notebook):
    for source in ("x = '\ud800'", "x = 1\x00", "\u202e# \x1b[2J\x07", "\ufeff", "%%", "?" * 9999):
        notebook["cells"].append(code_cell(source))
    return notebook


def huge_number(notebook):
    return json.dumps(notebook | {"nbformat": 4}).replace(": 4", ": 1" + "0" * 5000).encode()


def deep_code(notebook):
    for source in ("(" * 5000, "-" * 50_000 + "1", "1" + "+1" * 5000, "x" + "[0]" * 5000):
        notebook["cells"].append(code_cell(source))
    return notebook


def whole(content: bytes) -> Attack:
    return Attack(edit=lambda notebook: content)


UNREADABLE = {
    "not-json": whole(b"This is my homework."),
    "not-nbformat": whole(b'{"worksheets": [], "nbformat": 3}'),
    "not-text": whole(bytes(range(256)) * 9),
    "too-large": Attack(edit=lambda made: json.dumps(made).encode() + b" " * 50_000_001),
    "deep-json": whole(b'{"cells":' + b"[" * DEEP + b"]" * DEEP + b"}"),
    "deep-metadata": Attack(edit=deep_metadata),
    "huge-number": Attack(edit=huge_number),
}
READABLE = {
    "odd-cells": Attack(edit=odd_cells),
    "odd-text": Attack(edit=odd_text),
    "deep-code": Attack(edit=deep_code),
}
DEEP_ANSWER = {"deep-answer": Attack({"mean": "def mean(v): return " + "-" * 50_000 + "1"})}
ATTACKS = UNREADABLE | READABLE | DEEP_ANSWER


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_is_no_notebook_is_a_row_that_says_so(graded, name):
    assert graded.holds(name, 0)["status"] == "not a notebook"


@pytest.mark.parametrize("name", READABLE)
def test_odd_parts_of_a_notebook_cost_nothing(graded, name):
    graded.holds(name, FULL)


def test_an_answer_too_deep_to_parse_costs_itself(graded):
    graded.holds("deep-answer", 2)
