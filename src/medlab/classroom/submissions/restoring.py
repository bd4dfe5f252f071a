"""A submission put back into the course's notebook: only the answers are the learner's."""

import ast
from dataclasses import dataclass, field

import nbformat
from nbformat import NotebookNode

from medlab.classroom.submissions.reading import Cell
from medlab.course.audience import LEARNER, notebook
from medlab.course.unit import Unit

ANSWERS = ("exercise-", "written-")


@dataclass
class RestoredNotebook:
    """The course's notebook with a learner's answers, and what had to be put back."""

    notebook: NotebookNode
    added: set[str] = field(default_factory=set)  # ids of the learner's own cells
    notes: list[str] = field(default_factory=list)

    def source(self, cell_id: str) -> str:
        """Return the text of a cell; empty if no cell has this id."""
        return next((cell.source for cell in self.notebook.cells if cell.id == cell_id), "")


def restore(unit: Unit, cells: tuple[Cell, ...]) -> RestoredNotebook:
    """Put a learner's answers and added cells into the course's own notebook."""
    return put_back(notebook(unit, LEARNER), cells)


def put_back(made: NotebookNode, cells: tuple[Cell, ...]) -> RestoredNotebook:
    """Put a learner's answers and added cells into a released notebook, which this changes.

    Only the text of exercise and written cells, matched by id, and cells with unknown ids are the
    learner's; everything else comes from the course. An added cell keeps its place behind the
    course's cell that it followed.
    """
    restored = RestoredNotebook(made)
    known = {cell.id: cell for cell in restored.notebook.cells}
    ids = {cell.id for cell in cells}
    added: dict[str, list[NotebookNode]] = {}
    seen: set[str] = set()
    behind = ""
    for cell in cells:
        # A copy carries the grade_id of a cell that is still there: it is a cell of their own.
        name = cell.grade_id if cell.grade_id not in ids and cell.id not in known else cell.id
        if name in known:
            _take(cell.source, known[name], name in seen, restored.notes)
            seen.add(name)
            behind = name
        else:
            added.setdefault(behind, []).append(_own(cell, len(restored.added)))
            restored.added.add(added[behind][-1].id)
    restored.notes += [f"cell '{i}' was missing and was put back" for i in known if i not in seen]
    course_cells = restored.notebook.cells
    restored.notebook.cells = added.get("", []) + [
        one for cell in course_cells for one in (cell, *added.get(cell.id, []))
    ]
    return restored


def is_untouched(source: str, stub: str) -> bool:
    """Return whether an answer is still what was released, apart from layout and comments."""
    try:
        return ast.dump(ast.parse(source)) == ast.dump(ast.parse(stub))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source.split() == stub.split()


def _take(source: str, course_cell: NotebookNode, again: bool, notes: list[str]) -> None:
    """Copy an answer; note an edit that is not copied."""
    if again:
        notes.append(f"cell '{course_cell.id}' is a duplicate: the first one counts")
    elif course_cell.id.startswith(ANSWERS):
        course_cell.source = source
    elif source.strip() != course_cell.source.strip():
        notes.append(f"cell '{course_cell.id}' was edited and was put back")


def _own(cell: Cell, number: int) -> NotebookNode:
    make = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
    return make(cell.source, id=f"added-{number}", metadata={"medlab": {"added": True}})
