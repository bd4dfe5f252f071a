"""One class with every attacker of this folder in it, graded by the command that people use.

A test file says what its attackers hand in (`ATTACKS`, by name). All sit in one class, since a
class starts slowly; a file that is run alone has a class of its own attackers. In a source,
words such as @PORT@ stand for what only the class knows.
"""

import contextlib
import hashlib
import html
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from medlab.classroom.gradebook.database import Gradebook
from medlab.course import load_syllabus, load_unit
from medlab.course.audience import answered
from medlab.course.build import text_of

TINY = Path(__file__).parents[1] / "tiny"
SLUG = "add-two"
HONEST = {
    "add": "def add(a, b):\n    return a + b",
    "mean": "import numpy as np\n\n\ndef mean(values):\n    return float(np.nanmean(values))",
}
FULL = 5
CELL_SECONDS = 3
MARK = f"medlab-mark-{os.environ.get('PYTEST_XDIST_TESTRUNUID', str(os.getpid()))[:12]}"


@dataclass(frozen=True)
class Attack:
    """What an attacker hands in: honest answers, but for what is said here."""

    answers: dict[str, str] = field(default_factory=dict)  # by exercise, in place of the honest
    added: tuple[tuple[str, str], ...] = ()  # id of the cell before, and the source
    edit: Callable[[dict], dict | bytes] = lambda notebook: notebook
    beside: dict[str, bytes] = field(default_factory=dict)  # other files in the folder
    file: str = f"{SLUG}.ipynb"
    student: str = ""  # default: the attack's name, behind an honest student's


@dataclass
class Graded:
    """What the class came to, as far as tests look at it."""

    grades: dict[str, dict]  # by student
    pages: dict[str, str]  # feedback pages, by student
    outside: list[str]  # what changed that should not have
    csv: str
    peak_bytes: int  # of the largest process of the grader's

    def holds(self, name: str, score: float) -> dict:
        """Assert the three things that every attack must leave as they are; return its grade."""
        for honest in ("a-honest", "z-honest"):
            assert self.grades[honest]["score"] == FULL, self.grades[honest]
        assert self.outside == []
        grade = self.grades[name]
        assert grade["score"] == score, grade
        assert 0 <= grade["score"] <= grade["max"] or grade["max"] == 0
        return grade

    def said(self, name: str) -> str:
        """Return an attacker's feedback page as a reader sees it."""
        shown = re.sub(r"<(style|head).*?</\1>", "", self.pages[name], flags=re.DOTALL)
        return html.unescape(re.sub(r"<[^>]*>", "", shown))

    def exercise(self, name: str, exercise: str) -> dict:
        return next(e for e in self.grades[name]["exercises"] if e["name"] == exercise)


def _peak_bytes(grader: subprocess.Popen) -> int:
    """Wait for a grader; return the memory of the largest process of it and its workers.

    What wait4 says would count a learner's kernel too, once its parent has been waited for.
    """
    peak = 0
    while grader.poll() is None:
        with contextlib.suppress(psutil.Error):
            own = [psutil.Process(grader.pid), *psutil.Process(grader.pid).children()]
            own = [p for p in own if "medlab.sandbox.fork_server" not in p.cmdline()]
            peak = max(peak, *(_high_water(p.pid) for p in own))
        time.sleep(0.05)
    return peak


def _high_water(pid: int) -> int:
    with contextlib.suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0


class Class:
    """A course, submissions, and things outside that must stay as they are."""

    def __init__(
        self,
        folder: Path,
        course: Callable[[Path], None] | None = None,
        honest: dict[str, str] | None = None,
    ):
        """Make a class; course writes another than the tiny one, honest are answers to it."""
        self.folder, self.honest = folder, honest or HONEST
        self.root, self.submissions, self.out = folder / "c", folder / "in", folder / "out"
        self.temporary = folder / "tmp"
        for made in (self.temporary, self.out):
            made.mkdir(parents=True)
        (course or write_course)(self.root)
        self.unit = load_unit(load_syllabus(self.root).find(SLUG))
        self._listeners = [_listener(socket.AF_INET, ("0.0.0.0", 0))]
        self._listeners.append(_listener(socket.AF_UNIX, f"\0{folder}"))
        self._listeners.append(_listener(socket.AF_UNIX, str(folder / "s")))
        self._others_gradebook()

    def hand_in(self, student: str, attack: Attack) -> None:
        """Write what an attacker, or with an empty attack an honest student, hands in."""
        path = self.submissions / student / attack.file
        path.parent.mkdir(parents=True)
        made = json.loads(text_of(answered(self.unit, self.honest | attack.answers)))
        for before, source in attack.added:
            at = next(i for i, cell in enumerate(made["cells"]) if cell["id"] == before)
            made["cells"].insert(at + 1, code_cell(source))
        made = attack.edit(made)
        content = made if isinstance(made, bytes) else json.dumps(made).encode()
        path.write_bytes(self._filled_in(content))
        for name, extra in attack.beside.items():
            (path.parent / name).write_bytes(self._filled_in(extra))

    def grade(self, *options: str, cwd: Path | None = None) -> Graded:
        """Grade all with `medlab grade`."""
        before = self._outside()
        command = self.command(*options)
        grader = subprocess.Popen(command, cwd=cwd or self.folder, env=self.environment())
        peak = _peak_bytes(grader)
        assert grader.returncode == 0
        outside = [f"changed: {what}" for what in _differing(before, self._outside())]
        outside += self._connections() + left_behind(self.temporary)
        pages = {p.parent.name: p.read_text() for p in self.out.glob("feedback/*/*.html")}
        return Graded(self.grades(), pages, outside, (self.out / "grades.csv").read_text(), peak)

    def run(self, *options: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
        """Run `medlab grade` to its end."""
        command = self.command(*options)
        return subprocess.run(command, cwd=cwd or self.folder, env=self.environment(), timeout=300)

    def command(self, *options: str) -> list[str]:
        program = str(Path(sys.executable).parent / "medlab")
        named = ["--out", str(self.out), "--cell-seconds", str(CELL_SECONDS), "--workers", "2"]
        return [program, "grade", str(self.submissions), *named, *options]

    def environment(self) -> dict[str, str]:
        own = {"MEDLAB_COURSE": str(self.root), "TMPDIR": str(self.temporary), "COLUMNS": "200"}
        return os.environ | own | {"MEDLAB_SECRET": f"secret-{MARK}"}

    def grades(self) -> dict[str, dict]:
        """Return the newest grade of every student, as in grade.json."""
        book = Gradebook(f"sqlite:///{self.out / 'gradebook.db'}")
        with_unit = {grade.student: json.loads(grade.as_json()) for grade in book.newest()}
        book.close()
        files = self.out.glob("records/*/*/grade.json")
        return {path.parents[1].name: json.loads(path.read_text()) for path in files} | with_unit

    def close(self) -> None:
        for listener in self._listeners:
            listener.close()

    def _filled_in(self, content: bytes) -> bytes:
        words = {
            b"@PORT@": str(self._listeners[0].getsockname()[1]),
            b"@MARK@": MARK,
            b"@SOCKET@": str(self.folder / "s"),
            b"@FOLDER@": str(self.folder),
        }
        for word, meaning in words.items():
            content = content.replace(word, meaning.encode())
        return content

    def _others_gradebook(self) -> None:
        other = self.folder / "other"
        other.mkdir()
        Gradebook(f"sqlite:///{other / 'gradebook.db'}").close()
        (other / "sitting.secret").write_text(f"secret-{MARK}")

    def _outside(self) -> dict[str, str]:
        folders = (self.root, self.submissions, self.folder / "other")
        files = (path for folder in folders for path in folder.rglob("*"))
        return {str(path): _state(path) for path in files}

    def _connections(self) -> list[str]:
        """Name the listeners that somebody connected to."""
        reached = []
        for listener in self._listeners:
            try:
                listener.accept()
                reached.append(f"connection to {listener.getsockname()}")
            except BlockingIOError:
                pass
        return reached


def write_course(root: Path) -> None:
    (root / "course" / "first").mkdir(parents=True)
    for name in ("syllabus.yaml", "rubrics.yaml"):
        shutil.copy(TINY / name, root / "course" / name)
    shutil.copy(TINY / "add-two.py", root / "course" / "first" / "add-two.py")


def code_cell(source: str, **more) -> dict:
    return {
        "cell_type": "code",
        "id": hashlib.sha256(source.encode(errors="replace")).hexdigest()[:12],
        "metadata": {},
        "source": source,
        "outputs": [],
        "execution_count": None,
    } | more


def cell(notebook: dict, cell_id: str) -> dict:
    return next(cell for cell in notebook["cells"] if cell["id"] == cell_id)


def grade_class(folder: Path, attacks: dict[str, Attack]) -> Graded:
    """Grade a class of these attackers, with an honest student before and one after them."""
    made = Class(folder)
    for name, attack in {"a-honest": Attack(), "z-honest": Attack()}.items():
        made.hand_in(name, attack)
    for name, attack in attacks.items():
        made.hand_in(attack.student or name, attack)
    try:
        return made.grade()
    finally:
        made.close()


def left_behind(temporary: Path) -> list[str]:
    """Name processes and files that carry the mark, and what is left in the grader's folder."""
    places = [Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path.home(), Path("/")]
    named = [str(p) for place in places if place.is_dir() for p in place.glob(f"*{MARK}*")]
    processes = [f"process {p.pid}: {_told(p)[:200]}" for p in psutil.process_iter() if _ours(p)]
    return named + processes + [str(path) for path in temporary.iterdir()]


def _ours(process: psutil.Process) -> bool:
    return process.pid != os.getpid() and MARK in _told(process)


def _told(process: psutil.Process) -> str:
    """Return what tells whose child a process is: its command and its working folder."""
    try:
        return f"{' '.join(process.cmdline())} {process.cwd()}"
    except psutil.Error:
        return ""


def _state(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return f"{path.lstat().st_mode} {path.lstat().st_mtime_ns}"
    return f"{path.lstat().st_mode} {hashlib.sha256(path.read_bytes()).hexdigest()}"


def _differing(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return sorted(p for p in before.keys() | after.keys() if before.get(p) != after.get(p))


def _listener(family: int, address) -> socket.socket:
    listener = socket.socket(family)
    listener.bind(address)
    listener.listen()
    listener.setblocking(False)
    return listener
