"""Which cells of a notebook run, from where, and for how long."""

import pytest

from medlab.classroom.referee.engine import course_beginning, judge_notebook, with_parameters
from medlab.classroom.referee.sitting import before, beginning
from medlab.classroom.results import Status
from medlab.classroom.submissions.restoring import RestoredNotebook
from medlab.course.audience import LEARNER, answered, notebook
from medlab.sandbox.isolation import Isolation
from medlab.sandbox.limits import Limits

ENDLESS = "def add(a, b):\n    while True:\n        pass"


@pytest.fixture
def solutions(tiny_unit):
    return {exercise.name: exercise.solution for exercise in tiny_unit.exercises}


def judge(unit, made, **options):
    return judge_notebook(unit, RestoredNotebook(made), b"key", isolation=Isolation(), **options)


def test_an_untouched_notebook_starts_no_kernel(tiny_unit, monkeypatch):
    monkeypatch.setattr("medlab.classroom.referee.session.Kernel", None)
    result = judge(tiny_unit, notebook(tiny_unit, LEARNER))
    assert {r.status for r in result.exercises} == {Status.NOT_ATTEMPTED}


def test_a_cell_of_the_learners_own_makes_an_untouched_notebook_run(tiny_unit):
    made = notebook(tiny_unit, LEARNER)
    made.cells.append(answered(tiny_unit, {}).cells[1])
    made.cells[-1].update(id="added-0", source="print('I was here')")
    made.cells[-1].metadata = {"medlab": {"added": True}}
    result = judge(tiny_unit, made)
    assert "I was here" in str(result.notebook.cells[-1].outputs)


def test_an_endless_loop_costs_one_limit_for_its_exercise(tiny_unit, solutions):
    """The check is stopped; neither the hidden tests nor later cells call the answer again."""
    made = answered(tiny_unit, solutions | {"add": ENDLESS})
    result = judge(tiny_unit, made, limits=Limits(cell_seconds=2))
    add, mean, _ = result.exercises
    assert (add.points, add.status, mean.status) == (0, Status.TIMEOUT, Status.PASSED)
    assert "its check was stopped" in add.message
    stopped = [name for name, seconds in result.pace.cells.items() if seconds >= 2]
    assert stopped == ["check-add"]
    assert not [name for name in result.pace.tests if name.startswith("add/")]
    [later] = [c for c in result.notebook.cells if c.source.startswith("%%needs add")]
    assert "'add' did not finish in time" in later.outputs[0].text


def test_the_beginning_is_what_runs_before_the_first_exercise(tiny_unit):
    seeded = with_parameters(notebook(tiny_unit, LEARNER), {"SEED": 5})
    found = beginning(tiny_unit, seeded)
    assert found == course_beginning(tiny_unit, 5)
    assert "%load_ext medlab" in found[0]
    assert "SEED = 5" in found[-1]
    assert not any("def add" in source for source in found)


def test_what_runs_before_a_later_exercise_holds_the_answers_before_it(tiny_unit, solutions):
    sources = before(tiny_unit, answered(tiny_unit, solutions), "mean")
    assert sum("def add" in source for source in sources) == 1
    assert not any("def mean" in source for source in sources)
