"""What each audience sees of a unit: the one policy from which every notebook is made."""

import hashlib

import nbformat
from nbformat.notebooknode import NotebookNode

from medlab.course.cells import DEMONSTRATION, Cell, stub
from medlab.course.loading import load_unit
from medlab.course.syllabus import UnitEntry
from medlab.course.unit import HiddenTest, Unit
from medlab.errors import BadInput

LEARNER, INSTRUCTOR = "learner", "instructor"
EMPTY_ANSWER = "*Write your answer here.*"
KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def seen_by(audience: str, cell: Cell) -> str | None:
    """Return the source that an audience gets to see of a cell; None where it sees nothing."""
    if cell.role in ("hidden", "mistake", "hint"):
        return None
    if cell.role == "exercise":
        return cell.source if audience == INSTRUCTOR else stub(cell.source)
    if cell.role == "written":
        return cell.source if audience == INSTRUCTOR else EMPTY_ANSWER
    if cell.role == "check":
        return f"%%check {cell.name}\n{cell.source}"
    if "needs" in cell.options:
        return f"%%needs {cell.options['needs']}\n{cell.source}"
    return cell.source


def notebook(unit: Unit, audience: str) -> NotebookNode:
    """Make the notebook of a unit for an audience, without outputs.

    The same unit gives the same bytes: cell ids come from names and content.
    """
    made = nbformat.v4.new_notebook()
    made.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}, "medlab": {"slug": unit.slug}}
    )
    for cell in unit.cells:
        source = seen_by(audience, cell)
        if source is None:
            continue
        if cell.cell_type == "code" and not _has_code(made):
            made.cells.append(_setup_cell(unit.slug))
        made.cells.append(_notebook_cell(cell, source))
    return made


def learners_notebook(entry: UnitEntry) -> NotebookNode:
    """Return a unit's notebook for learners: made from its source, or as it was released.

    Raises BadInput for a broken unit, or a released notebook that cannot be read.
    """
    if not entry.released:
        return notebook(load_unit(entry), LEARNER)
    try:
        return nbformat.read(entry.notebook, as_version=4)
    except Exception:
        # Whatever is wrong with a released file, the fix is the same.
        raise BadInput(f"{entry.notebook} cannot be read: restore the released notebook") from None


def tests_behind(unit: Unit) -> dict[str, tuple[HiddenTest, ...]]:
    """Return the hidden tests that follow each visible cell, by that cell's id.

    Every visible cell is there, in order; most have no tests.
    """
    tests = {test.line: test for exercise in unit.exercises for test in exercise.hidden}
    behind: dict[str, tuple[HiddenTest, ...]] = {}
    last = ""
    for cell in unit.cells:
        if seen_by(LEARNER, cell) is not None:
            last = cell.id
            behind[last] = ()
        elif cell.line in tests:
            behind[last] += (tests[cell.line],)
    return behind


def answered(unit: Unit, answers: dict[str, str]) -> NotebookNode:
    """Make the learner's notebook with these answers, by exercise name, filled in."""
    made = notebook(unit, LEARNER)
    by_id = {f"exercise-{name}"[:64]: source for name, source in answers.items()}
    for cell in made.cells:
        cell.source = by_id.get(cell.id, cell.source)
    return made


def _has_code(made: NotebookNode) -> bool:
    return any(cell.cell_type == "code" for cell in made.cells)


def _setup_cell(slug: str) -> NotebookNode:
    source = f"%load_ext medlab\n%unit {slug}"
    return _cell_with("code", source, "medlab-setup", _locked("medlab-setup"))


def _notebook_cell(cell: Cell, source: str) -> NotebookNode:
    return _cell_with(cell.cell_type, source, cell.id, _metadata(cell))


def _cell_with(cell_type: str, source: str, cell_id: str, metadata: dict) -> NotebookNode:
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    made = make[cell_type](source, id=cell_id, metadata=metadata)
    if "nbgrader" in made.metadata:
        made.metadata.nbgrader["checksum"] = nbgrader_checksum(made)
    return made


def _metadata(cell: Cell) -> dict:
    if cell.role == "parameters":
        return {"tags": ["parameters"]}
    if DEMONSTRATION in cell.options:
        # What training gave differs between processors in the last digits: nbval runs the cell
        # without comparing what it printed.
        return {"tags": [DEMONSTRATION, "nbval-ignore-output"]}
    if cell.role == "check":
        return _locked(cell.id) | {"medlab": {"check": cell.name}}
    if cell.role == "exercise":
        medlab = {"exercise": cell.name, "points": cell.options["points"]}
        return {
            "deletable": False,
            "medlab": medlab,
            "nbgrader": nbgrader_metadata(cell.id, solution=True),
        }
    if cell.role == "written":
        points = cell.options["points"]
        medlab = {"written": cell.name, "points": points, "rubric": cell.options["rubric"]}
        meta = nbgrader_metadata(cell.id, solution=True, points=points, cell_type="markdown")
        return {"deletable": False, "medlab": medlab, "nbgrader": meta}
    return {}


def _locked(cell_id: str) -> dict:
    return {
        "deletable": False,
        "editable": False,
        "nbgrader": nbgrader_metadata(cell_id, locked=True),
    }


def nbgrader_metadata(
    cell_id: str,
    *,
    solution: bool = False,
    locked: bool = False,
    points: int | None = None,
    cell_type: str = "code",
) -> dict:
    """Return a cell's nbgrader metadata, schema version 3.

    Source: nbgrader's page on its metadata format. A cell with points is graded; with solution as
    well, it is graded manually.
    """
    metadata = {
        "cell_type": cell_type,
        "grade": points is not None,
        "grade_id": cell_id,
        "locked": locked,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    return metadata if points is None else metadata | {"points": points}


def nbgrader_checksum(cell: NotebookNode) -> str:
    """Return the checksum by which nbgrader notices an edited cell.

    An MD5 over source, cell type, the three flags, the id and, for a graded cell, its points.
    """
    meta = cell.metadata.nbgrader
    parts = [cell.source, cell.cell_type, meta.grade, meta.solution, meta.locked, meta.grade_id]
    if meta.grade:
        parts.append(float(meta.points))
    return hashlib.md5("".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()
