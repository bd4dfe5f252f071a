"""Two runs that write one gradebook, or one folder, at the same time."""

import signal
import subprocess
import time

from tests.support.hostile import FULL, Attack

from medlab.classroom.gradebook.database import Gradebook


def test_two_graders_leave_one_whole_gradebook(small_class):
    small_class.hand_in("attacker", Attack({"mean": "def mean(values): return 0"}))
    other = small_class.folder / "out2"
    other.mkdir()
    url = f"sqlite:///{small_class.out / 'gradebook.db'}"
    command = small_class.command("--gradebook", url)
    second = [str(other) if part == str(small_class.out) else part for part in command]
    started = [
        subprocess.Popen(one, env=small_class.environment(), cwd=small_class.folder)
        for one in (command, second)
    ]
    assert [one.wait(120) for one in started] == [0, 0]
    book = Gradebook(url)
    newest = {grade.student: grade.score for grade in book.newest()}
    rows = {len(book.history(student, "add-two")) for student in newest}
    book.close()
    assert newest == {"a-honest": FULL, "z-honest": FULL, "attacker": 2}
    assert rows <= {1, 2}
    small_class.grade().holds("attacker", 2)


SLOW = "import time; time.sleep(2)"


def start(made, log) -> subprocess.Popen:
    where = {"env": made.environment(), "cwd": made.folder, "stdout": log, "stderr": log}
    return subprocess.Popen(made.command(), **where)


def wait_for_a_row(log) -> None:
    deadline = time.monotonic() + 120
    while " of 8: " not in log.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def gradings(made) -> dict[str, int]:
    book = Gradebook(f"sqlite:///{made.out / 'gradebook.db'}")
    found = {g.student: len(book.history(g.student, "add-two")) for g in book.newest()}
    book.close()
    return found


def test_two_graders_in_one_folder_grade_everybody_once(small_class):
    """The second waits for what the first has claimed; when the first is killed, it takes over."""
    for number in range(6):
        small_class.hand_in(f"slow-{number}", Attack(added=(("exercise-add", SLOW),)))
    logs = [small_class.folder / name for name in ("log-1", "log-2")]
    with logs[0].open("wb") as log:
        first = start(small_class, log)
    wait_for_a_row(logs[0])
    # However long the second one takes to start, the first has not finished by then.
    first.send_signal(signal.SIGSTOP)
    with logs[1].open("wb") as log:
        second = start(small_class, log)
    wait_for_a_row(logs[1])
    assert len(gradings(small_class)) < 8
    assert second.poll() is None, "it waits for what the first has claimed"
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert second.wait(120) == 0
    assert gradings(small_class) == dict.fromkeys(gradings(small_class), 1)
    assert len(gradings(small_class)) == 8
