"""A gigabyte of output: in lines, in pieces, as one, growing when it is read, and by hand."""

import pytest
from tests.support.hostile import FULL, Attack

LINES = "line = 'x' * 99 + chr(10)\nfor _ in range(10_000): print(line * 1000)"
PIECES = """
from IPython.display import display
for _ in range(20): display({"text/html": "x" * 50_000_000}, raw=True)
"""
GROWING = PIECES.replace('"x" * 50_000_000', '"\\U0001f600" + "x" * 45_000_000')
ONE = "print('x' * 1_000_000_000)"
ATTACKS = {
    "flood-lines": Attack(added=(("exercise-mean", LINES),)),
    "flood-pieces": Attack(added=(("exercise-mean", PIECES),)),
    "flood-growing": Attack(added=(("exercise-mean", GROWING),)),
    "flood-one": Attack(added=(("exercise-mean", ONE),)),
    "flood-answers": Attack({"mean": "def mean(values): return 'x' * 60_000_000"}),
    "flood-large-answers": Attack({"mean": "def mean(values): return 'x' * 100_000_000"}),
}
# Frames of one message of ZeroMQ's that never ends, on the lines that the grader listens to.
BY_HAND = """
import os, socket, stat, struct, threading

def flood(line):
    try:
        while True:
            line.sendall(struct.pack(">BQ", 3, 10**7) + bytes(10**7))
    except OSError:
        pass

def mean(values):
    for number in range(3, 200):
        try:
            if stat.S_ISSOCK(os.fstat(number).st_mode):
                line = socket.socket(fileno=os.dup(number))
                line.getpeername()
                line.setblocking(True)
                threading.Thread(target=flood, args=(line,), daemon=True).start()
        except OSError:
            pass
    import time
    time.sleep(30)
"""


@pytest.mark.parametrize("name", [name for name in ATTACKS if "answers" not in name])
def test_a_flood_drowns_nobody(graded, name):
    graded.holds(name, FULL)
    assert len(graded.pages[name]) < 1_000_000


@pytest.mark.parametrize("name", [name for name in ATTACKS if "answers" in name])
def test_a_flood_of_answers_earns_nothing(graded, name):
    graded.holds(name, 2)


def test_the_grader_does_not_keep_it(graded):
    assert 50_000_000 < graded.peak_bytes < 600_000_000


def test_a_message_without_an_end_is_cut_off(small_class):
    small_class.hand_in("by-hand", Attack({"mean": BY_HAND}))
    done = small_class.grade()
    done.holds("by-hand", 2)
    assert done.peak_bytes < 2_400_000_000
