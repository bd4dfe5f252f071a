"""nbgrader's own preprocessors make the same release of a unit as medlab does."""

from pathlib import Path

import pytest
from nbformat import NotebookNode
from nbgrader import preprocessors
from nbgrader.converters import GenerateAssignment
from nbgrader.nbgraderformat import MetadataValidator

from medlab.course import Unit, load_syllabus, load_unit
from medlab.course.audience import EMPTY_ANSWER, INSTRUCTOR, LEARNER, notebook

ROOT = Path(__file__).parents[2]
SLUGS = [entry.slug for entry in load_syllabus(ROOT).units]
# These three read files or a gradebook, and leave a notebook without headers or AUTOTEST alone.
OUTSIDE = (
    preprocessors.IncludeHeaderFooter,
    preprocessors.InstantiateTests,
    preprocessors.SaveCells,
)
OPTIONS = {
    preprocessors.ClearSolutions: {
        "code_stub": {"python": "raise NotImplementedError"},
        "text_stub": EMPTY_ANSWER,
    }
}


@pytest.fixture(params=["add-two", *SLUGS])
def unit(request, tiny_course) -> Unit:
    root = tiny_course if request.param == "add-two" else ROOT
    return load_unit(load_syllabus(root).find(request.param))


def test_nbgrader_releases_what_medlab_releases(unit):
    released = release(without_what_nbgrader_adds(notebook(unit, INSTRUCTOR)))
    expected = notebook(unit, LEARNER)
    assert [cell.id for cell in released.cells] == [cell.id for cell in expected.cells]
    for ours, theirs in zip(expected.cells, released.cells, strict=True):
        assert ours == theirs, f"cell '{ours.id}' differs"
    assert released.metadata == expected.metadata


@pytest.mark.parametrize("audience", [LEARNER, INSTRUCTOR])
def test_nbgrader_accepts_the_metadata_of_every_audience(unit, audience):
    MetadataValidator().validate_nb(notebook(unit, audience))


def test_nbgrader_knows_every_exercise_check_and_written_answer(unit):
    known = {cell.id for cell in notebook(unit, LEARNER).cells if "nbgrader" in cell.metadata}
    asked = {cell.id for cell in unit.cells if cell.role in ("exercise", "check", "written")}
    assert asked
    assert known == asked | {"medlab-setup"}


def release(made: NotebookNode) -> NotebookNode:
    """Run what `nbgrader generate_assignment` runs, in its order."""
    for step in GenerateAssignment.preprocessors.default():
        if step not in OUTSIDE:
            made, _ = step(**OPTIONS.get(step, {})).preprocess(made, {})
    return made


def without_what_nbgrader_adds(made: NotebookNode) -> NotebookNode:
    """Take locks and checksums out, so that a release has only those that nbgrader puts in."""
    for cell in made.cells:
        for key in ("deletable", "editable"):
            cell.metadata.pop(key, None)
        cell.metadata.get("nbgrader", {}).pop("checksum", None)
    return made
