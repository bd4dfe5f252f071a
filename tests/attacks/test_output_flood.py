"""A gigabyte of output, in lines, in pieces and as one."""

import pytest
from hostile import FULL, Attack

LINES = "line = 'x' * 99 + chr(10)\nfor _ in range(10_000): print(line * 1000)"
PIECES = """
from IPython.display import display
for _ in range(20): display({"text/html": "x" * 50_000_000}, raw=True)
"""
ONE = "print('x' * 1_000_000_000)"
ATTACKS = {
    "flood-lines": Attack(added=(("exercise-mean", LINES),)),
    "flood-pieces": Attack(added=(("exercise-mean", PIECES),)),
    "flood-one": Attack(added=(("exercise-mean", ONE),)),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_flood_drowns_nobody(graded, name):
    graded.holds(name, FULL)
    assert len(graded.pages[name]) < 1_000_000


def test_the_grader_does_not_keep_it(graded):
    assert graded.peak_bytes < 1_500_000_000
