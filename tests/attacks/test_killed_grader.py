"""kill -9 of the grader half-way: the same command again loses nothing and does nothing twice."""

import signal
import sqlite3
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from tests.support.hostile import FULL, MARK, Attack, left_behind

from medlab.classroom.gradebook.database import Gradebook

SLOW = f"import time; time.sleep(1.5)  # {MARK}"


def rows(path) -> int:
    try:
        with sqlite3.connect(path, timeout=5) as book:
            return book.execute("SELECT COUNT(*) FROM grade").fetchone()[0]
    except sqlite3.Error:
        return 0


def wait_for(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def processes_left(folder) -> list[str]:
    return [one for one in left_behind(folder) if one.startswith("process")]


@pytest.fixture
def short(small_class):
    """A folder for temporary files with a short path: sockets lie there and not in /tmp."""
    with tempfile.TemporaryDirectory(prefix="short-", dir="/tmp") as folder:
        small_class.temporary = Path(folder)
        yield small_class.temporary


def test_a_killed_grader_is_taken_up_again(small_class, short):
    """That includes clearing up what it left; holds() looks for it."""
    for number in range(4):
        small_class.hand_in(f"slow-{number}", Attack(added=(("exercise-add", SLOW),)))
    book = small_class.out / "gradebook.db"
    grader = subprocess.Popen(
        small_class.command(), env=small_class.environment(), cwd=small_class.folder
    )
    wait_for(lambda: rows(book) >= 2)
    grader.send_signal(signal.SIGKILL)
    grader.wait()
    wait_for(lambda: not processes_left(small_class.temporary))
    kept = rows(book)
    assert list(short.glob("medlab-*")), "nobody was there to clear them up"
    done = small_class.grade()
    assert kept < 6
    for number in range(4):
        done.holds(f"slow-{number}", FULL)
    opened = Gradebook(f"sqlite:///{book}")
    assert [len(opened.history(student, "add-two")) for student in done.grades] == [1] * 6
    opened.close()
