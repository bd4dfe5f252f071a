"""Many slow cells, none of which is slow enough to be stopped."""

from tests.support.hostile import FULL, Attack

from medlab.classroom.workers import LATE_SECONDS
from medlab.sandbox.limits import Limits

SLOW = "import time\ntime.sleep(2)"
SLOW_CALL = "import time\ndef mean(values):\n    time.sleep(2)\n    return 0"
DIES = "import os, time\ntime.sleep(1)\nos._exit(1)"


def cells(source: str, count: int) -> tuple[tuple[str, str], ...]:
    return tuple(("code-818f81b27f", f"{source}\n# {number}") for number in range(count))


def test_slow_cells_and_dying_kernels_end_with_the_sitting(small_class):
    """What was judged before counts; the rest is out of time, and the class goes on."""
    small_class.hand_in("slow", Attack(added=cells(SLOW, 30)))
    small_class.hand_in("dying", Attack(added=cells(SLOW, 1) + cells(DIES, 30)))
    small_class.hand_in("calls", Attack({"mean": SLOW_CALL}, added=cells(SLOW, 3)))
    done = small_class.grade("--sitting-seconds", "8")
    for name in ("slow", "dying", "calls"):
        grade = done.holds(name, 2)
        mean = done.exercise(name, "mean")
        assert mean["status"] == "timeout"
        assert "the whole notebook may take 8 s" in mean["message"]
        assert grade["seconds"] < 20


def test_what_is_in_time_is_not_touched(small_class):
    small_class.hand_in("not so slow", Attack(added=cells(SLOW, 1)))
    small_class.grade("--sitting-seconds", "30").holds("not so slow", FULL)


def test_a_sitting_ends_before_its_worker_is_taken_for_lost():
    assert Limits().sitting_seconds + LATE_SECONDS < 3600
