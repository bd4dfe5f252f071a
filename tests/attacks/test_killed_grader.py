"""kill -9 of the grader half-way: the same command again loses nothing and does nothing twice."""

import signal
import sqlite3
import subprocess
import time

from hostile import FULL, MARK, Attack, left_behind

from medlab.classroom.gradebook import Gradebook

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


def test_a_killed_grader_is_taken_up_again(small_class):
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
    for left in small_class.temporary.iterdir():  # nobody was there to clear them up
        subprocess.run(["rm", "-r", str(left)], check=True)
    done = small_class.grade()
    assert kept < 6
    for number in range(4):
        done.holds(f"slow-{number}", FULL)
    opened = Gradebook(f"sqlite:///{book}")
    assert [len(opened.history(student, "add-two")) for student in done.grades] == [1] * 6
    opened.close()
