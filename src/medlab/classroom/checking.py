"""Run a learner's own notebook from top to bottom with its visible checks."""

from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from medlab.classroom.referee.session import open_session
from medlab.classroom.submissions.reading import read_submission
from medlab.classroom.submissions.restoring import put_back
from medlab.classroom.surroundings import surroundings
from medlab.course import Syllabus
from medlab.course.audience import learners_notebook
from medlab.course.cells import DEMONSTRATION
from medlab.errors import BadInput
from medlab.sandbox.isolation import Isolation
from medlab.sandbox.kernel import KernelDied
from medlab.sandbox.limits import CellResult, Limits


@dataclass(frozen=True)
class CheckResult:
    """What the visible checks of one exercise reported."""

    exercise: str
    passed: bool
    message: str  # one line


def check_notebook(syllabus: Syllabus, path: Path) -> list[CheckResult]:
    """Run a notebook, but for its demonstrations, in a fresh kernel and an empty folder.

    Raises BadInput for a file that is not a notebook of this course.
    """
    notebook = _open(syllabus, path)
    try:
        return _run(notebook)
    except KernelDied as error:
        raise BadInput(f"no kernel can run here ({error}): run 'medlab doctor'") from None


def _run(notebook: NotebookNode) -> list[CheckResult]:
    results: list[CheckResult] = []
    with open_session(Limits(), Isolation(surroundings=surroundings())) as session:
        for cell in notebook.cells:
            # As in grading, no check depends on a demonstration, which may train for long.
            if cell.cell_type != "code" or DEMONSTRATION in cell.metadata.get("tags", []):
                continue
            ran = session.run(cell.source)
            name = cell.metadata.get("medlab", {}).get("check")
            if name:
                results.append(_result(name, ran))
    return results


def _open(syllabus: Syllabus, path: Path) -> NotebookNode:
    if not path.exists():
        raise BadInput(f"{path} does not exist: name a notebook, such as work/SLUG.ipynb")
    if path.is_dir():
        raise BadInput(f"{path} is a folder: name a notebook in it")
    submission = read_submission(path, student="")
    if submission.problem:
        raise BadInput(f"{path}: {submission.problem}: {submission.message}")
    if not submission.slug:
        raise BadInput(f"{path} names no unit: start from a notebook that 'medlab start' made")
    return put_back(learners_notebook(syllabus.find(submission.slug)), submission.cells).notebook


def _result(name: str, ran: CellResult) -> CheckResult:
    """Read the check's panel, or the error that was raised instead."""
    message = next((text for output in ran.outputs if (text := _text(output, name))), ran.error)
    passed = message == f"{name}: passed"
    return CheckResult(name, passed, message or f"{name}: the check printed nothing")


def _text(output: NotebookNode, name: str) -> str:
    text = str(output.get("data", {}).get("text/plain", ""))
    return text if text.startswith(f"{name}: ") else ""
