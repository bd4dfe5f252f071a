"""Ending the kernel, politely and otherwise."""

import pytest
from tests.support.hostile import FULL, Attack

WAYS = {
    "exit-sys": "import sys; sys.exit(0)",
    "exit-now": "import os; os._exit(0)",
    "exit-quit": "quit()",
    "exit-abort": "import os; os.abort()",
    "exit-kill": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
    "exit-crash": "import ctypes; ctypes.string_at(0)",
    "exit-group": "import os, signal; os.kill(-1, signal.SIGKILL); os._exit(0)",
    "exit-closed": "import os; os.closerange(0, 1024)",
}
ATTACKS = {name: Attack(added=(("exercise-add", way),)) for name, way in WAYS.items()} | {
    "exit-in-a-call": Attack({"mean": "import os\ndef mean(values): os._exit(0)"}),
    "exit-at-exit": Attack(
        {"mean": "import atexit, os\natexit.register(os._exit, 0)\ndef mean(v): return 0"}
    ),
}


@pytest.mark.parametrize("name", WAYS)
def test_grading_goes_on_in_a_fresh_kernel(graded, name):
    graded.holds(name, FULL)


def test_a_call_that_ends_the_kernel_is_said_to(graded):
    graded.holds("exit-in-a-call", 2)
    assert graded.exercise("exit-in-a-call", "mean")["status"] == "killed"


def test_what_is_left_for_the_end_changes_nothing(graded):
    graded.holds("exit-at-exit", 2)
