import subprocess
import sys

import pytest

from medlab import locks

HOLD = """
import os, sys
from medlab import locks
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
print(locks.take(file), locks.take_byte(file, 2**40), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock of a file, and one byte of it."""
    command = [sys.executable, "-c", HOLD, tmp_path / "lock"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    process = subprocess.Popen(command, text=True, **pipes)
    assert process.stdout.readline().split() == ["True", "True"]
    yield process
    process.kill()
    process.communicate()


def test_what_another_process_holds_is_not_taken_until_it_ends(tmp_path, other):
    with (tmp_path / "lock").open("r+") as file:
        assert not locks.take(file.fileno())
        assert not locks.take_byte(file.fileno(), 2**40)
        assert locks.take_byte(file.fileno(), 7)
        other.kill()
        other.wait()
        assert locks.take(file.fileno())
        assert locks.take_byte(file.fileno(), 2**40)


def test_a_system_without_locks_lets_everybody_in(tmp_path, other, monkeypatch):
    monkeypatch.setattr(locks, "fcntl", None)
    monkeypatch.setattr(locks, "AVAILABLE", False)
    with (tmp_path / "lock").open("r+") as file:
        locks.wait_for(file.fileno())
        assert locks.take(file.fileno())
        assert locks.take_byte(file.fileno(), 2**40)
        locks.release_byte(file.fileno(), 2**40)
