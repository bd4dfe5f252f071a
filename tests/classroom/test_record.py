"""What is kept of a sitting, whole or not at all, whatever its outputs hold."""

import nbformat
import pytest

from medlab.classroom import record as records
from medlab.classroom.record import Record
from medlab.classroom.results import ExerciseResult, Grade, Status
from medlab.course.audience import answered


def grade(**changed) -> Grade:
    plain = {"unit": "add-two", "unit_version": "0" * 12, "submission_sha256": "a" * 64}
    made = Grade("ada", **plain | {"seed": 0, "file": "a.ipynb"} | changed)
    made.take([ExerciseResult("add", "exercise", 2, 2, Status.PASSED, "")], [])
    return made


@pytest.fixture
def record(tmp_path):
    return Record(tmp_path / "records" / "ada" / "add-two")


@pytest.fixture
def executed(tiny_unit):
    """Return a notebook whose first code cell has an output."""

    def make(text="5\n"):
        made = answered(tiny_unit, {})
        cell = next(cell for cell in made.cells if cell.cell_type == "code")
        cell.outputs = [nbformat.v4.new_output("stream", text=text)]
        return made

    return make


def outputs(notebook):
    return [o.text for cell in notebook.cells for o in cell.get("outputs", [])]


def test_a_notebook_comes_back_with_its_outputs(record, executed):
    record.keep_grade(grade(), record.keep_notebook(executed("½ \ud800 \x1b[31m")))
    assert record.vouches_for(grade())
    assert outputs(record.notebook()) == ["½ \ud800 \x1b[31m"]
    nbformat.validate(record.notebook())


def test_a_grade_that_changes_keeps_its_notebook(record, executed):
    record.keep_grade(grade(), record.keep_notebook(executed()))
    record.update_grade(grade(message="well done"))
    assert record.vouches_for(grade())
    assert outputs(record.notebook()) == ["5\n"]


@pytest.mark.parametrize("changed", [{"seed": 1}, {"submission_sha256": "b" * 64}])
def test_a_record_vouches_for_no_other_submission(record, executed, changed):
    record.keep_grade(grade(), record.keep_notebook(executed()))
    assert not record.vouches_for(grade(**changed))


def test_a_grader_that_stops_between_notebook_and_grade_leaves_nothing_to_trust(record, executed):
    assert record.notebook() is None
    record.keep_notebook(executed())
    assert record.notebook() is None
    record.keep_grade(grade(), record.keep_notebook(executed()))
    record.keep_notebook(executed("another submission"))
    assert record.notebook() is None
    assert not record.vouches_for(grade())


def test_a_submission_that_cannot_be_graded_leaves_no_notebook(record, executed):
    record.keep_grade(grade(), record.keep_notebook(executed()))
    record.keep_grade(grade(), record.keep_notebook(None))
    assert record.notebook() is None
    assert not (record.folder / records.NOTEBOOK).exists()


def test_endless_outputs_are_left_out_of_the_record(record, executed, monkeypatch):
    monkeypatch.setattr(records, "LARGEST_OUTPUTS", 10_000)
    record.keep_grade(grade(), record.keep_notebook(executed("x" * 20_000)))
    assert outputs(record.notebook()) == [records.CUT]


def test_an_output_that_json_cannot_hold_is_left_out(record, executed):
    deep = []
    for _ in range(100_000):
        deep = [deep]
    made = executed()
    for cell in made.cells:
        if cell.get("outputs"):
            cell.outputs[0]["metadata"] = deep
    record.keep_grade(grade(), record.keep_notebook(made))
    assert outputs(record.notebook()) == [records.CUT]
