"""Submissions: found in students' folders and read, whatever the files hold."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medlab.classroom.results import Status
from medlab.errors import BadInput
from medlab.text import encodable

LARGEST = 50_000_000  # bytes of a notebook file


class UnreadableNotebook(Exception):
    """A file that is not a notebook; the message says what it is and what to do."""


@dataclass(frozen=True)
class Cell:
    """What is believed of a learner's cell: its id, its type and its text."""

    id: str
    grade_id: str  # nbgrader's name for it, which survives editors that make new ids
    cell_type: str
    source: str


@dataclass(frozen=True)
class Submission:
    """One notebook of one student, or what is wrong with it."""

    student: str
    path: Path
    slug: str = ""
    sha256: str = ""
    cells: tuple[Cell, ...] = ()
    problem: Status | None = None  # None if it can be graded
    message: str = ""


def find_submissions(folder: Path) -> Iterator[Submission]:
    """Yield the notebooks at folder/<student>/*.ipynb in order; raise BadInput without students."""
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder: name the one that holds <student>/*.ipynb")
    students = _students(folder)
    if not students:
        raise BadInput(f"{folder} holds no student folders: expected <student>/*.ipynb")
    for student in students:
        if student.is_symlink():
            message = "a link to another folder: hand in the notebook itself"
            yield Submission(student.name, student, problem=Status.NOT_A_NOTEBOOK, message=message)
            continue
        # macOS leaves "._name.ipynb" beside a notebook: hidden files are nobody's answer.
        paths = sorted(p for p in student.glob("*.ipynb") if not p.name.startswith("."))
        if not paths:
            yield Submission(
                student.name, student, problem=Status.EMPTY, message="no notebook here"
            )
        for path in paths:
            yield read_submission(path, student.name)


def _students(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError as error:
        raise BadInput(f"{folder} cannot be read ({error.strerror}): fix its permissions") from None


def read_submission(path: Path, student: str) -> Submission:
    """Read one file; one that is not a notebook is a submission with a problem."""
    try:
        raw = _read_bytes(path)
        slug, cells = _parse(raw)
    except UnreadableNotebook as error:
        return Submission(student, path, problem=Status.NOT_A_NOTEBOOK, message=str(error))
    return Submission(student, path, slug, hashlib.sha256(raw).hexdigest(), cells)


def _read_bytes(path: Path) -> bytes:
    try:
        if path.is_symlink() or not path.is_file():
            raise UnreadableNotebook("a link or a special file: hand in the notebook itself")
        if path.stat().st_size > LARGEST:
            raise UnreadableNotebook(
                f"larger than {LARGEST // 1_000_000} MB: clear the outputs and save"
            )
        return path.read_bytes()
    except OSError as error:
        raise UnreadableNotebook(f"cannot be read: {error.strerror}") from None


def _parse(raw: bytes) -> tuple[str, tuple[Cell, ...]]:
    if not raw.strip():
        raise UnreadableNotebook("the file is empty: save the notebook and hand it in again")
    try:
        made = json.loads(raw)
    except (ValueError, RecursionError):
        raise UnreadableNotebook("not JSON: save it as a notebook (.ipynb)") from None
    if not isinstance(made, dict) or not isinstance(made.get("cells"), list):
        raise UnreadableNotebook("JSON, but not a notebook of format 4: save it with JupyterLab")
    return slug_of(made), tuple(read_cell(cell) for cell in made["cells"] if isinstance(cell, dict))


def slug_of(made: dict) -> str:
    """Return the unit that a notebook's metadata names, or an empty text."""
    medlab = _mapping(_mapping(made.get("metadata")).get("medlab"))
    slug = medlab.get("slug")
    return slug if isinstance(slug, str) else ""


def read_cell(cell: dict) -> Cell:
    """Take from a stored cell what is believed of it, whatever else it holds."""
    source = cell.get("source", "")
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    nbgrader = _mapping(_mapping(cell.get("metadata")).get("nbgrader"))
    return Cell(
        id=str(cell.get("id") or ""),
        grade_id=str(nbgrader.get("grade_id") or ""),
        cell_type=str(cell.get("cell_type")),
        # Half a surrogate pair, which JSON can spell, fits no kernel and no file.
        source=encodable(source) if isinstance(source, str) else "",
    )


def _mapping(value: object) -> dict:
    return value if isinstance(value, dict) else {}
