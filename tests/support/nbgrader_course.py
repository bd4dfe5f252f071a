"""An nbgrader course that medlab released, used through nbgrader's own commands."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from medlab.course import Unit, load_syllabus, nbgrader_export
from medlab.course.build import text_of
from medlab.course.release import release_to_nbgrader


@dataclass(frozen=True)
class NbgraderCourse:
    """An nbgrader course folder, of which one assignment is used: one unit."""

    root: Path
    unit: Unit

    @property
    def course(self) -> Path:
        """The folder of medlab's course."""
        return self.unit.entry.source.parents[2]

    def generate(self) -> NotebookNode:
        """Have medlab make the course and nbgrader release the assignment; return the release."""
        release_to_nbgrader(load_syllabus(self.course), self.root)
        self.run("generate_assignment", self.unit.slug)
        return self.released()

    def released(self) -> NotebookNode:
        """Return what nbgrader has released."""
        path = self.root / "release" / self.unit.slug / f"{self.unit.slug}.ipynb"
        return nbformat.read(path, as_version=4)

    def submit(self, student: str, made: NotebookNode) -> None:
        """Put a student's notebook where nbgrader collects it."""
        slug = self.unit.slug
        path = self.root / "submitted" / student / slug / f"{slug}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text_of(made), encoding="utf-8")

    def autograde(self) -> None:
        """Have nbgrader grade everything that was handed in."""
        self.run("autograde", self.unit.slug)

    def grades(self, student: str) -> dict[str, float | None]:
        """Return nbgrader's points by cell name; None where a person must decide."""
        from nbgrader.api import Gradebook

        slug = self.unit.slug
        with Gradebook(f"sqlite:///{self.root / 'gradebook.db'}") as book:
            graded = book.find_submission_notebook(slug, slug, student)
            return {grade.name: grade.auto_score for grade in graded.grades}

    def run(self, *command: str, folder: Path | None = None) -> None:
        """Run one of nbgrader's commands in the course folder, or in another."""
        ran = subprocess.run(
            [sys.executable, "-m", "nbgrader", *command],
            cwd=folder or self.root,
            env=_environment(self.root / "home", self.course),
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 0, f"nbgrader {' '.join(command)} failed:\n{ran.stderr}"


def answer(released: NotebookNode, answers: dict[str, str]) -> NotebookNode:
    """Return a release with answers filled in, by cell id."""
    made = nbformat.from_dict(released)
    for cell in made.cells:
        cell.source = answers.get(cell.id, cell.source)
    return made


def hidden_ids(unit: Unit, exercise: str) -> list[str]:
    """Return the cell names of an exercise's hidden tests, in order."""
    return [nbgrader_export.id_of(test) for test in unit.exercise(exercise).hidden]


def _environment(home: Path, course: Path) -> dict[str, str]:
    """Return an environment in which Jupyter and nbgrader see and touch nobody's own settings."""
    home.mkdir(exist_ok=True)
    folders = ["HOME", "IPYTHONDIR", "MPLCONFIGDIR"]
    folders += [f"JUPYTER_{kind}_DIR" for kind in ("CONFIG", "DATA", "RUNTIME")]
    # nbgrader calls alembic by its bare name, and this Python's scripts may not be on the path.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    own = {"PATH": path, "MEDLAB_COURSE": str(course), "MEDLAB_SCALE": "ci"}
    return os.environ | dict.fromkeys(folders, str(home)) | own
