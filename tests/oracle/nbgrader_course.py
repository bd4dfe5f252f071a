"""A unit as an nbgrader assignment: made, released, collected and autograded by nbgrader itself."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from medlab.course import Unit
from medlab.course.audience import EMPTY_ANSWER, INSTRUCTOR, nbgrader, notebook, seen_by
from medlab.course.build import text_of
from medlab.course.cells import SETUP, STUB

PREAMBLE = Path(__file__).with_name("preamble.py")
PREAMBLE_ID = "hidden-setup"
CONFIG = f"""\
c = get_config()
c.CourseDirectory.course_id = "medlab"
c.ClearSolutions.code_stub = {{"python": {STUB!r}}}
c.ClearSolutions.text_stub = {EMPTY_ANSWER!r}
c.Execute.timeout = 120
"""


@dataclass(frozen=True)
class NbgraderCourse:
    """An nbgrader course folder with one assignment: one unit."""

    root: Path
    unit: Unit

    def generate(self) -> NotebookNode:
        """Write the source notebook, have nbgrader release it, and return the release."""
        source = self.root / "source" / self.unit.slug / f"{self.unit.slug}.ipynb"
        _write(source, text_of(source_notebook(self.unit)))
        _write(self.root / "nbgrader_config.py", CONFIG)
        self._run("generate_assignment", self.unit.slug)
        return self.released()

    def released(self) -> NotebookNode:
        """Return what nbgrader has released."""
        path = self.root / "release" / self.unit.slug / f"{self.unit.slug}.ipynb"
        return nbformat.read(path, as_version=4)

    def submit(self, student: str, made: NotebookNode) -> None:
        """Hand in a student's notebook."""
        slug = self.unit.slug
        _write(self.root / "submitted" / student / slug / f"{slug}.ipynb", text_of(made))

    def autograde(self) -> None:
        """Have nbgrader grade everything that was handed in."""
        self._run("autograde", self.unit.slug)

    def grades(self, student: str) -> dict[str, float | None]:
        """Return nbgrader's points by cell name; None where a person must decide."""
        from nbgrader.api import Gradebook

        slug = self.unit.slug
        with Gradebook(f"sqlite:///{self.root / 'gradebook.db'}") as book:
            graded = book.find_submission_notebook(slug, slug, student)
            return {grade.name: grade.auto_score for grade in graded.grades}

    def _run(self, *command: str) -> None:
        ran = subprocess.run(
            [sys.executable, "-m", "nbgrader", *command],
            cwd=self.root,
            env=_environment(self.root / "home", self.unit.entry.source.parents[2]),
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, f"nbgrader {' '.join(command)} failed:\n{ran.stderr}"


def source_notebook(unit: Unit) -> NotebookNode:
    """Make the notebook that nbgrader releases: the instructor's, with hidden tests in it."""
    made = notebook(unit, INSTRUCTOR)
    tests = _tests_behind(unit)
    made.cells = [one for cell in made.cells for one in (cell, *tests.get(cell.id, ()))]
    first = next(i for i, cell in enumerate(made.cells) if is_hidden(cell))
    made.cells.insert(first, _preamble_cell(unit))
    return made


def is_hidden(cell: NotebookNode) -> bool:
    """Tell whether a cell holds hidden tests, or held them before the release."""
    return cell.id.startswith("hidden-")


def answer(released: NotebookNode, answers: dict[str, str]) -> NotebookNode:
    """Return a release with answers filled in, by cell id."""
    made = nbformat.from_dict(released)
    for cell in made.cells:
        cell.source = answers.get(cell.id, cell.source)
    return made


def test_ids(unit: Unit, exercise: str) -> list[str]:
    """Return the cell names of an exercise's hidden tests, in order."""
    return [f"hidden-{exercise}-{cell.line}" for cell in unit.of("hidden", exercise)]


def _tests_behind(unit: Unit) -> dict[str, list[NotebookNode]]:
    """Return hidden tests as graded cells, by the id of the visible cell that they follow."""
    behind: dict[str, list[NotebookNode]] = {}
    last = ""
    for cell in unit.cells:
        if seen_by(INSTRUCTOR, cell) is not None:
            last = cell.id
        elif cell.role == "hidden" and cell.name != SETUP:
            behind.setdefault(last, []).append(_test_cell(unit, cell))
    return behind


def _test_cell(unit: Unit, cell) -> NotebookNode:
    points = cell.options.get("points", unit.exercise(cell.name).points)
    body = f'hidden["test"]({_quoted(cell.source)}, seed={cell.line})'
    return _graded_cell(f"hidden-{cell.name}-{cell.line}", body, points)


def _preamble_cell(unit: Unit) -> NotebookNode:
    """Return the cell that makes hidden tests runnable: worth nothing, or nbgrader refuses it."""
    lines = [
        "hidden = {}",
        f"exec({_quoted(PREAMBLE.read_text(encoding='utf-8'))}, hidden)",
        f'hidden["start"](globals(), {_quoted(unit.hidden_setup)})',
    ]
    return _graded_cell(PREAMBLE_ID, "\n".join(lines), points=0)


def _graded_cell(cell_id: str, body: str, points: int) -> NotebookNode:
    source = f"### BEGIN HIDDEN TESTS\n{body}\n### END HIDDEN TESTS"
    metadata = {"nbgrader": nbgrader(cell_id, locked=True, points=points)}
    return nbformat.v4.new_code_cell(source, id=cell_id, metadata=metadata)


def _quoted(source: str) -> str:
    """Return a text as a Python literal, readable where that is possible."""
    readable = "'''" not in source and not source.endswith("\\")
    return f"r'''\n{source}\n'''" if readable else repr(source)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _environment(home: Path, course: Path) -> dict[str, str]:
    """Return an environment in which Jupyter and nbgrader see and touch nobody's own settings."""
    home.mkdir(exist_ok=True)
    folders = ["HOME", "IPYTHONDIR", "MPLCONFIGDIR"]
    folders += [f"JUPYTER_{kind}_DIR" for kind in ("CONFIG", "DATA", "RUNTIME")]
    # nbgrader calls alembic by its bare name, and this Python's scripts may not be on the path.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    own = {"PATH": path, "MEDLAB_COURSE": str(course), "MEDLAB_SCALE": "ci"}
    return os.environ | dict.fromkeys(folders, str(home)) | own
