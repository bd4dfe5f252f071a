"""A unit as an nbgrader assignment, solutions and hidden tests included: for instructors only.

This writes the format that nbgrader's commands read and does not import nbgrader. Hidden tests
become graded cells behind the visible cells that they follow in the unit's source; nbgrader empties
them for the release and puts them back to grade.
"""

from pathlib import Path

import nbformat
from nbformat.notebooknode import NotebookNode

from medlab.course.audience import (
    EMPTY_ANSWER,
    INSTRUCTOR,
    nbgrader_metadata,
    notebook,
    tests_behind,
)
from medlab.course.cells import STUB
from medlab.course.unit import HiddenTest, Unit

PREAMBLE = Path(__file__).with_name("nbgrader_preamble.py")
PREAMBLE_ID = "hidden-setup"
CONFIG = f"""\
c = get_config()
c.CourseDirectory.course_id = "medlab"
# What a learner starts from: as in medlab's own release.
c.ClearSolutions.code_stub = {{"python": {STUB!r}}}
c.ClearSolutions.text_stub = {EMPTY_ANSWER!r}
c.Execute.timeout = 120  # seconds for one cell
"""


def source_notebook(unit: Unit) -> NotebookNode:
    """Make the notebook that nbgrader releases: the instructor's, with hidden tests in it."""
    made = notebook(unit, INSTRUCTOR)
    tests = tests_behind(unit)
    made.cells = [
        one
        for cell in made.cells
        for one in (cell, *(_test_cell(test) for test in tests.get(cell.id, ())))
    ]
    first = next((i for i, cell in enumerate(made.cells) if is_hidden(cell)), len(made.cells))
    made.cells.insert(first, _preamble_cell(unit))
    return made


def is_hidden(cell: NotebookNode) -> bool:
    """Tell whether a cell holds hidden tests, or held them before the release."""
    return cell.id.startswith("hidden-")


def id_of(test: HiddenTest) -> str:
    """Return nbgrader's name for a hidden test, which stays when the text around it changes."""
    return f"hidden-{test.exercise[:50]}-{test.number}"


def _test_cell(test: HiddenTest) -> NotebookNode:
    body = f'hidden["test"]({_quoted(test.source)}, seed={test.number})'
    return _graded_cell(id_of(test), body, test.points)


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
    metadata = {"nbgrader": nbgrader_metadata(cell_id, locked=True, points=points)}
    return nbformat.v4.new_code_cell(source, id=cell_id, metadata=metadata)


def _quoted(source: str) -> str:
    """Return a text as a Python literal, readable where that is possible."""
    readable = "'''" not in source and not source.endswith("\\")
    return f"r'''\n{source}\n'''" if readable else repr(source)
