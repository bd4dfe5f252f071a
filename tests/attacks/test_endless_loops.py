"""Loops without end, also such that do not listen."""

import pytest
from tests.support.hostile import FULL, Attack

PLAIN = "while True: pass"
DEAF = """
import signal, time
for number in range(1, 60):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True:
    try:
        time.sleep(600)
    except BaseException:
        pass
"""
IN_C = "import re\nre.match('(a+)+$', 'a' * 99 + 'b')"
ATTACKS = {
    "endless": Attack({"mean": PLAIN}),
    "endless-deaf": Attack({"mean": DEAF}),
    "endless-in-c": Attack({"mean": IN_C}),
    "endless-call": Attack({"mean": "def mean(values):\n    while True: pass"}),
    "endless-between": Attack(added=(("exercise-add", DEAF),)),
}


@pytest.mark.parametrize("name", list(ATTACKS)[:4])
def test_a_loop_costs_its_own_exercise(graded, name):
    graded.holds(name, 2)
    assert graded.exercise(name, "mean")["status"] == "timeout"


def test_a_loop_in_a_cell_of_ones_own_costs_nothing(graded):
    graded.holds("endless-between", FULL)
