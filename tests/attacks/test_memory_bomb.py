"""Memory: asked for at once, in pieces, and in kinds that a process's own limit does not count."""

import pytest
from tests.support.hostile import Attack

AT_ONCE = "x = bytearray(10**11)"
IN_PIECES = "x = []\nwhile True: x.append(bytearray(10**8))"
SHARED = """
import ctypes, mmap
kept = []
while True:
    kept.append(mmap.mmap(-1, 10**8))
    ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(kept[-1])), 1, 10**8)
"""
HIDDEN = """
import os
kept = [os.memfd_create(str(n)) for n in range(999)]
for one in kept: os.write(one, bytes(10**8))
"""
ATTACKS = {
    "memory-at-once": Attack({"mean": AT_ONCE}),
    "memory-in-pieces": Attack({"mean": IN_PIECES}),
    "memory-shared": Attack({"mean": SHARED}),
    "memory-hidden": Attack({"mean": HIDDEN}),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_memory_has_an_end(graded, name):
    graded.holds(name, 2)
    assert graded.exercise(name, "mean")["status"] != "passed"


def test_the_grader_itself_stays_small(graded):
    assert graded.peak_bytes < 1_500_000_000
