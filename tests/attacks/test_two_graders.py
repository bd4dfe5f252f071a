"""Two runs that write one gradebook at the same time."""

import subprocess

from hostile import FULL, Attack

from medlab.classroom.gradebook import Gradebook


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
