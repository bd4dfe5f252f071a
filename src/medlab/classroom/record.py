"""The record of a submission: its executed notebook and grade.json.

Feedback pages, the scoring sheet and manual scores are made from it; nothing reads a page. It is at
OUT/records/<student>/<unit>/, and grade.json, which is written last, vouches for the notebook.
"""

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from medlab.classroom.results import KEY, Grade
from medlab.files import write_bytes, write_text
from medlab.text import encodable

NOTEBOOK, GRADE = "executed.ipynb", "grade.json"
LARGEST_OUTPUTS = 20_000_000  # bytes of outputs that are kept of one notebook
CUT = "[output left out: this notebook's outputs are too large]\n"


@dataclass(frozen=True)
class Record:
    """The record of one student's submission of one unit."""

    folder: Path

    def keep_notebook(self, notebook: NotebookNode | None) -> str:
        """Write an executed notebook and return its SHA-256, for keep_grade.

        None removes the notebook of an earlier submission. Raises BadInput if it cannot be written.
        """
        if notebook is not None:
            content = _text(notebook).encode("utf-8")
            write_bytes(self._notebook, content)
            return _digest(content)
        with contextlib.suppress(OSError):
            self._notebook.unlink()
        return ""

    def keep_grade(self, grade: Grade, notebook_sha256: str) -> None:
        """Write grade.json, which vouches for the notebook; raise BadInput if that fails."""
        write_text(self.folder / GRADE, grade.as_json(notebook_sha256))

    def update_grade(self, grade: Grade) -> None:
        """Write grade.json again, of the same notebook."""
        self.keep_grade(grade, self._stored().get("notebook_sha256", ""))

    def vouches_for(self, grade: Grade) -> bool:
        """Tell whether this is the whole record of a grade."""
        stored = self._stored()
        same = all(stored.get(name) == getattr(grade, name) for name in (*KEY, "status"))
        try:
            return same and stored.get("notebook_sha256") == _digest(self._notebook.read_bytes())
        except OSError:
            return False

    def notebook(self) -> NotebookNode | None:
        """Return the executed notebook, or None if there is none that grade.json vouches for."""
        try:
            content = self._notebook.read_bytes()
            if _digest(content) != self._stored().get("notebook_sha256"):
                return None
            return nbformat.from_dict(json.loads(content))
        except (OSError, ValueError):
            return None

    @property
    def _notebook(self) -> Path:
        return self.folder / NOTEBOOK

    def _stored(self) -> dict:
        try:
            stored = json.loads((self.folder / GRADE).read_bytes())
        except (OSError, ValueError):
            return {}
        return stored if isinstance(stored, dict) else {}


def _text(notebook: NotebookNode) -> str:
    """Return a notebook as JSON; outputs come from code that nobody vetted, so they are bounded."""
    kept, left = dict(notebook), LARGEST_OUTPUTS
    kept["cells"] = []
    for cell in notebook.cells:
        size = _size(cell.get("outputs", []))
        if size > left:
            cell = cell | {"outputs": [nbformat.v4.new_output("stream", text=CUT)]}
        else:
            left -= size
        kept["cells"].append(cell)
    # Half a surrogate pair becomes its escape, which JSON reads as the same half.
    return encodable(json.dumps(kept, ensure_ascii=False))


def _size(outputs: object) -> float:
    """Return the bytes of a cell's outputs; infinite for what JSON cannot hold."""
    try:
        return len(json.dumps(outputs))
    except (TypeError, ValueError, RecursionError):
        return float("inf")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
