import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlab.classroom.results import Status
from medlab.classroom.submissions.reading import Cell, Submission
from medlab.classroom.submissions.similarity import (
    compare,
    fingerprints,
    likeness,
    own_fingerprints,
    tokens,
)
from medlab.course.audience import answered

ODD = """
def mean(values):
    kept = []
    for value in values:
        if value == value and value is not None:
            kept.append(value)
    total, count = 0.0, 0
    while kept:
        total += kept.pop()
        count += 1
    return total / count if count else float("nan")
"""
RENAMED = """
def mean(v):
    '''My own work.'''
    xs: list = []
    # one by one
    for x in v:
        if x == x and x is not None:
            xs.append(x)
    s, n = 1.5, 7
    while xs:
        s += xs.pop()
        n += 1
    return s / n if n else float("inf")
"""
OTHER = """
def mean(values):
    import math
    numbers = [float(v) for v in values]
    good = sorted(filter(lambda v: not math.isnan(v), numbers), reverse=True)
    assert good, "nothing there"
    parts = {index: number for index, number in enumerate(good)}
    try:
        return math.fsum(parts.values()) / len(parts)
    except ZeroDivisionError:
        return None
"""
GRAMS = st.frozensets(st.integers(0, 30))


def handed_in(unit, **answers):
    """Submissions of answers to `mean`, by student."""
    found = []
    for student, source in answers.items():
        made = answered(unit, {"mean": source})
        cells = tuple(Cell(c.id, "", c.cell_type, c.source) for c in made.cells)
        found.append(Submission(student, None, unit.slug, cells=cells))
    return found


def compared(unit, **answers):
    return compare({unit.slug: unit}, handed_in(unit, **answers))


def test_names_numbers_comments_and_layout_make_no_difference():
    assert likeness(fingerprints(ODD), fingerprints(RENAMED)) > 0.9
    assert likeness(fingerprints(ODD), fingerprints(OTHER)) < 0.3


def test_what_a_library_is_asked_for_makes_a_difference():
    assert tokens("np.mean(x)") != tokens("np.median(x)")
    assert tokens("f(axis=0)") != tokens("f(keepdims=0)")


@given(GRAMS, GRAMS)
def test_likeness_is_the_same_both_ways_and_between_0_and_1(one, other):
    assert likeness(one, other) == likeness(other, one)
    assert 0 <= likeness(one, other) <= 1
    assert likeness(one, one) == bool(one)


@given(st.text() | st.sampled_from(["", "x = 1", "def f(:", "f(x)\n\x00", "ä = 'ö'"]))
def test_a_text_has_tokens_if_and_only_if_python_can_read_it(source):
    try:
        readable = bool(ast.parse(source))
    except (SyntaxError, ValueError):
        readable = False
    assert bool(tokens(source)) == readable


@pytest.mark.parametrize("source", ["x = " + "(" * 5000, "-" * 50_000 + "1", "a" + ".b" * 20_000])
def test_a_program_nested_beyond_reason_has_nothing_to_compare(source):
    assert fingerprints(source) == frozenset()


def test_a_program_may_be_nested_as_deeply_as_python_reads_it():
    assert tokens("a" + ".b" * 900).count("(Attribute.b") == 900


def test_two_answers_of_the_same_steps_are_a_pair(tiny_unit):
    [pair], _ = compared(tiny_unit, ada=ODD, bob=RENAMED, eve=OTHER)
    assert pair.students == ("ada", "bob")
    assert pair.exercise == "mean"
    assert pair.likeness > 0.9


def test_answers_in_the_shape_of_the_solution_are_no_pair(tiny_unit):
    solution = tiny_unit.exercise("mean").solution
    pairs, counts = compared(tiny_unit, ada=solution, bob=solution)
    assert pairs == []
    assert [(one.compared, one.left_out) for one in counts if one.exercise == "mean"] == [(0, 2)]


def test_what_much_of_the_class_has_is_nobodys_own():
    answers = {f"s{at}": ODD for at in range(8)} | {"eve": OTHER}
    own = own_fingerprints(answers)
    assert own["s0"] == frozenset()
    assert len(own["eve"]) > 12


def test_two_of_a_small_class_keep_what_they_share():
    assert own_fingerprints({"ada": ODD, "bob": ODD})["ada"] == fingerprints(ODD)


def test_untouched_answers_and_broken_notebooks_are_left_out(tiny_unit):
    stub = tiny_unit.exercise("mean").stub
    broken = Submission("eve", None, problem=Status.NOT_A_NOTEBOOK)
    found = [*handed_in(tiny_unit, ada=stub, bob=stub), broken]
    pairs, counts = compare({"add-two": tiny_unit}, found)
    assert pairs == []
    assert sum(one.compared + one.left_out for one in counts) == 0


def test_a_large_class_is_compared_in_seconds(tiny_unit):
    import time

    answers = {
        f"s{at}": ODD + "".join(f"    x{i} = {('a', 'b.c', '[d]')[at * i % 3]}\n" for i in range(9))
        for at in range(200)
    }
    started = time.process_time()
    compared(tiny_unit, **answers)
    assert time.process_time() - started < 20
