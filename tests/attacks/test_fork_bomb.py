"""A bomb of processes, and one of threads."""

import pytest
from tests.support.hostile import Attack

PROCESSES = """
import os
while True:
    try:
        os.fork()
    except OSError:
        pass
"""
THREADS = """
import threading, time
while True:
    try:
        threading.Thread(target=time.sleep, args=(600,)).start()
    except RuntimeError:
        pass
"""
ATTACKS = {
    "fork-bomb": Attack({"mean": PROCESSES}),
    "fork-bomb-in-a-call": Attack({"mean": f"def mean(values):{PROCESSES}".replace("\n", "\n ")}),
    "thread-bomb": Attack({"mean": THREADS}),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_bomb_costs_its_own_exercise(graded, name):
    graded.holds(name, 2)
    assert graded.exercise(name, "mean")["status"] in ("timeout", "killed")
