"""The referee as papermill's engine, by papermill's own command: the entry point is found."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from medlab.classroom.referee.engine import MedlabEngine
from medlab.course import load_unit
from medlab.course.audience import INSTRUCTOR, answered, notebook
from medlab.course.build import text_of
from medlab.course.execute import execute

PAPERMILL = Path(sys.executable).parent / "papermill"


@pytest.fixture
def papermill(tiny_course, tmp_path):
    """Run papermill with medlab as its engine; return the output notebook."""

    def run(text: str, *options: str) -> dict:
        (tmp_path / "in.ipynb").write_text(text)
        command = [PAPERMILL, "--engine", "medlab", "in.ipynb", "out.ipynb", *options]
        subprocess.run(command, cwd=tmp_path, env=os.environ, capture_output=True, timeout=120)
        return json.loads((tmp_path / "out.ipynb").read_text())

    return run


@pytest.fixture
def half_solved(tiny_unit):
    """The first exercise solved, the second with a mistake."""
    add, mean = tiny_unit.exercises
    return json.loads(
        text_of(answered(tiny_unit, {"add": add.solution, "mean": mean.mistakes[0].source}))
    )


def points(made: dict) -> dict:
    return {e["name"]: e["points"] for e in made["metadata"]["medlab"]["grade"]["exercises"]}


def test_the_grade_is_in_the_output_notebook_and_the_seed_in_its_cells(papermill, half_solved):
    made = papermill(json.dumps(half_solved), "-p", "SEED", "7")
    assert points(made) == {"add": 2, "mean": 2, "why": 0}
    assert any("SEED = 7" in "".join(cell["source"]) for cell in made["cells"])
    [shown] = [c for c in made["cells"] if c["id"].startswith("exercise-add")]
    assert "return a + b" in "".join(shown["source"])


def test_a_notebook_without_a_kernel_and_with_a_raising_cell_is_graded(papermill, half_solved):
    del half_solved["metadata"]["kernelspec"]
    half_solved["cells"].insert(
        3, {"cell_type": "code", "id": "mine", "metadata": {}, "source": "1 / 0", "outputs": []}
    )
    made = papermill(json.dumps(half_solved))
    assert points(made) == {"add": 2, "mean": 2, "why": 0}


@pytest.mark.parametrize(
    ("metadata", "told"),
    [({}, "names no unit"), ({"medlab": {"slug": "ad-two"}}, "did you mean add-two")],
)
def test_a_notebook_of_no_unit_is_one_line(tiny_course, tmp_path, half_solved, metadata, told):
    half_solved["metadata"] = metadata
    (tmp_path / "in.ipynb").write_text(json.dumps(half_solved))
    command = [PAPERMILL, "--engine", "medlab", "in.ipynb", "out.ipynb"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert ran.stderr.splitlines()[-1].startswith("medlab: ")
    assert told in ran.stderr.splitlines()[-1]


def test_a_demonstration_is_passed_over_by_the_grader_and_run_by_everybody_else(
    tiny_syllabus, half_solved, papermill
):
    entry = tiny_syllabus.find("add-two")
    shown = (
        '# %% tags=["demonstration"]\nprint("trained for an hour")\n\n# %% [markdown]\n# The end\n'
    )
    entry.source.write_text(entry.source.read_text() + "\n" + shown)
    made = papermill(text_of(notebook(load_unit(entry), INSTRUCTOR)))
    [cell] = [c for c in made["cells"] if "for an hour" in "".join(c["source"])]
    assert cell["outputs"] == []
    assert cell["metadata"]["tags"] == ["demonstration", "nbval-ignore-output"]
    assert points(made) == {"add": 2, "mean": 3, "why": None}
    [cell] = [
        c
        for c in execute(notebook(load_unit(entry), INSTRUCTOR), "add-two").cells
        if "for an hour" in c.source
    ]
    assert "trained" in cell.outputs[0].text


def test_a_misspelled_option_is_an_error(tiny_unit, tiny_course):
    made = answered(tiny_unit, {})
    with pytest.raises(TypeError, match="isolatoin"):
        MedlabEngine.execute_notebook(made, "medlab", unit=tiny_unit, isolatoin=None)
