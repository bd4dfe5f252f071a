"""A learner's notebook, run from end to end in a real kernel."""

import re

import nbclient
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from medlab.notebook import progress

LOAD = "%load_ext medlab\n%unit add-two"
UNTOUCHED = "def add(a, b):\n    raise NotImplementedError"
WRONG = "def add(a, b):\n    return a - b"
RIGHT = "def add(a, b):\n    return a + b"
CHECK = '%%check add\nassert add(1, 2) == 3, f"expected 3, got {add(1, 2)}: is a sign wrong?"'
USE = "%%needs add\nthree = add(1, 2)"
USE_AGAIN = "%%needs add\nprint(three)"
PICTURE = (
    "%%needs add\nimport matplotlib.pyplot as plt\nthree = add(1, 2)\n"
    "plt.figure(figsize=(1, 1))\nplt.plot([0, three])\nthree"
)
VIEW = (
    "import numpy as np\nfrom medlab.notebook.views import show_slice\n"
    "show_slice(np.eye(4), title='identity');"
)


@pytest.fixture
def run(tiny_course):
    """Run cells in a kernel that stands in the course's work folder; return each cell's outputs."""
    work = tiny_course / "work"
    work.mkdir()

    def execute(*cells: str) -> list[list]:
        notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
        resources = {"metadata": {"path": str(work)}}
        nbclient.NotebookClient(notebook, timeout=60, resources=resources).execute()
        nbformat.validate(notebook)
        return [cell.outputs for cell in notebook.cells]

    return execute


def texts(outputs: list) -> list[str]:
    """Return what each output shows as text; a stream or an error has no data."""
    return [out.data["text/plain"] if "data" in out else out.output_type for out in outputs]


def test_an_untouched_notebook_runs_to_its_end_without_a_traceback(run, tiny_course):
    _, _, check, use, again, picture = run(LOAD, UNTOUCHED, CHECK, USE, USE_AGAIN, PICTURE)
    assert texts(check) == ["add: not attempted yet"]
    for skipped in (use, again, picture):
        assert texts(skipped) == ["Solve `add` first, then run this cell again."]
    assert progress.read(tiny_course) == {}


def test_a_wrong_answer_is_explained_and_the_second_time_a_hint_comes(run, tiny_course):
    _, _, first, second = run(LOAD, WRONG, CHECK, CHECK)
    panel = "add: not yet. expected 3, got -1: is a sign wrong?"
    assert texts(first) == [panel]
    assert texts(second)[0] == panel
    assert texts(second)[1].startswith("Hint 1 of 3: ")
    assert "text/markdown" in second[1].data
    assert progress.read(tiny_course) == {"add-two": {"add": False}}


def test_a_right_answer_passes_and_its_pictures_and_values_are_shown(run, tiny_course):
    _, _, check, use, again, picture, view = run(LOAD, RIGHT, CHECK, USE, USE_AGAIN, PICTURE, VIEW)
    assert texts(check) == ["add: passed"]
    assert "✓" in check[0].data["text/html"]
    assert (use, again[0].text) == ([], "3\n")
    assert texts(picture)[0] == "3"
    assert [("image/png" in out.data) for out in picture] == [False, True]
    assert [("image/png" in out.data) for out in view] == [True]
    assert progress.read(tiny_course) == {"add-two": {"add": True}}


def test_after_the_answer_is_mended_in_the_same_kernel_everything_runs(run, tiny_course):
    outputs = run(LOAD, UNTOUCHED, CHECK, USE, WRONG, CHECK, RIGHT, CHECK, USE, USE_AGAIN)
    assert texts(outputs[7]) == ["add: passed"]
    assert outputs[9][0].text == "3\n"


def test_another_error_in_a_cell_that_needs_stops_the_run_as_in_any_cell(run):
    with pytest.raises(nbclient.exceptions.CellExecutionError) as stopped:
        run(LOAD, RIGHT, "%%needs add\nadd(1, None)")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", str(stopped.value))
    assert "return a + b" in shown
    assert "unsupported operand type" in shown
    assert "medlab/learner" not in shown
    assert "interactiveshell.py" not in shown
