"""The four outcomes of every unit, and what every unit owes its learners."""

import os
import re
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import papermill
import pytest
from nbformat.v4 import new_code_cell

from medlab.classroom.referee.engine import SittingResult, judge_notebook, with_parameters
from medlab.classroom.submissions.restoring import RestoredNotebook
from medlab.classroom.surroundings import surroundings
from medlab.classroom.trials import Trials
from medlab.course import Unit, find_course, load_syllabus, load_unit
from medlab.course.audience import INSTRUCTOR, LEARNER, answered, notebook
from medlab.course.build import text_of
from medlab.sandbox.isolation import LIMITS, Isolation, choose, isolate
from medlab.sandbox.kernel import Kernel
from medlab.sandbox.limits import Limits

ROOT = find_course(Path(__file__).parent)
SYLLABUS = load_syllabus(ROOT)
SLUGS = [entry.slug for entry in SYLLABUS.units]
KEY = b"a sitting of the tests"
SEED = 11

every_unit = pytest.mark.parametrize("slug", SLUGS)


@cache
def unit_of(slug):
    return load_unit(SYLLABUS.find(slug))


def mistakes():
    """Every mistake of every unit, with a name for the test report."""
    for slug in SLUGS:
        for exercise in unit_of(slug).exercises:
            for mistake in exercise.mistakes:
                name = f"{slug}-{exercise.name}-{mistake.because}"
                yield pytest.param(slug, mistake, id=name.replace(" ", "-"))


def up_to(slug, exercise) -> Unit:
    """Leave out of a unit what comes after an exercise's last test: its points are known then."""
    cells, roles = unit_of(slug).cells, ("exercise", "check", "hidden")
    last = max(i for i, cell in enumerate(cells) if cell.name == exercise and cell.role in roles)
    return replace(unit_of(slug), cells=cells[: last + 1])


def isolation_of(unit) -> Isolation:
    """Return the jail of a unit's kernels, forked from one server for most units.

    It has imported what any of them needs, once for all. A unit that hides modules has its own:
    what another unit imports could be among them.
    """
    shared = {name: None for entry in SYLLABUS.units if not entry.hides for name in entry.libraries}
    libraries = unit.entry.libraries if unit.entry.hides else tuple(shared)
    kind = choose(os.environ.get("MEDLAB_JAIL", "auto"))
    return isolate(kind, libraries, surroundings(unit.entry.hides))


def judged(unit, made) -> SittingResult:
    """Let a notebook sit."""
    restored = RestoredNotebook(with_parameters(made, {"SEED": SEED}))
    return judge_notebook(unit, restored, KEY, isolation=isolation_of(unit))


def with_answers(unit, answers=()):
    solved = {exercise.name: exercise.solution for exercise in unit.exercises}
    return answered(unit, solved | dict(answers))


def points(result: SittingResult) -> dict[str, int]:
    return {r.name: r.points for r in result.exercises if r.kind == "exercise"}


@every_unit
def test_an_untouched_notebook_scores_nothing_and_shows_no_error(slug):
    result = judged(unit_of(slug), notebook(unit_of(slug), LEARNER))
    assert set(points(result).values()) == {0}
    assert {r.status for r in result.exercises} == {"not attempted"}
    kinds = {o.output_type for cell in result.notebook.cells for o in cell.get("outputs", [])}
    assert "error" not in kinds


@every_unit
def test_a_solved_notebook_scores_everything(slug):
    result = judged(unit_of(slug), with_answers(unit_of(slug)))
    assert points(result) == {e.name: e.points for e in unit_of(slug).exercises}
    assert [r.message for r in result.exercises if r.status == "failed"] == []
    assert result.notes == []


@pytest.fixture(scope="module")
def trials_of():
    """Give the trials of a unit; those of one unit at a time are open."""
    opened: dict[str, Trials] = {}

    def of(slug) -> Trials:
        if slug not in opened:
            while opened:
                opened.popitem()[1].close()
            opened[slug] = Trials(unit_of(slug), KEY, SEED, isolation_of(unit_of(slug)))
        return opened[slug]

    yield of
    while opened:
        opened.popitem()[1].close()


@pytest.mark.parametrize(("slug", "mistake"), list(mistakes()))
def test_a_mistake_keeps_what_it_says_and_is_named(slug, mistake, trials_of):
    unit = up_to(slug, mistake.exercise)
    result = trials_of(slug).judge(mistake.exercise, mistake.source, unit)
    by_name = {r.name: r for r in result.exercises}
    found = by_name[mistake.exercise]
    assert found.points == mistake.keeps, [(t.about, t.message) for t in found.tests]
    told = " ".join(test.message for test in found.tests)
    assert mistake.says.lower() in told.lower()


@every_unit
def test_a_release_built_twice_is_the_same_and_is_the_one_committed(slug):
    texts = [text_of(notebook(load_unit(SYLLABUS.find(slug)), LEARNER)) for _ in range(2)]
    assert texts[0] == texts[1] == SYLLABUS.find(slug).notebook.read_text(encoding="utf-8")


def leaks(unit, cells) -> dict[str, set[str]]:
    """Return the lines of each exercise's solution, and not of its stub, that cells hold."""
    shown = {line.strip() for cell in cells for line in cell.source.splitlines()}
    found = {exercise.name: secret_lines(exercise) & shown for exercise in unit.exercises}
    return {name: lines for name, lines in found.items() if lines}


def secret_lines(exercise) -> set[str]:
    """Return what only the solution has; shorter lines may well occur by chance."""
    stub, solution = (
        {line.strip() for line in text.splitlines()} for text in (exercise.stub, exercise.solution)
    )
    return {line for line in solution - stub if len(line) > 20}


@every_unit
def test_a_release_holds_no_line_that_only_the_solution_has(slug):
    unit = unit_of(slug)
    assert leaks(unit, notebook(unit, LEARNER).cells) == {}
    for written in unit.written:
        assert written.model_answer not in text_of(notebook(unit, LEARNER))


@every_unit
def test_a_line_of_any_solution_that_is_planted_in_a_release_is_found(slug):
    """Classes included, and wherever it stands: also below a `def` of the course's own."""
    unit = unit_of(slug)
    for exercise in unit.exercises:
        lines = secret_lines(exercise)
        assert lines, exercise.name
        for line in lines:
            planted = new_code_cell(f"def helper():\n    {line}")
            assert leaks(unit, [planted])[exercise.name] == {line}


@every_unit
def test_a_release_runs_to_its_end_with_plain_papermill(slug, tmp_path):
    with tempfile.TemporaryDirectory() as folder:
        papermill.execute_notebook(
            SYLLABUS.find(slug).notebook,
            tmp_path / "out.ipynb",
            kernel_name="python3",
            cwd=folder,
            progress_bar=False,
        )


@every_unit
def test_a_unit_offers_what_learners_were_promised(slug):
    unit = unit_of(slug)
    assert 3 <= len(unit.exercises) <= 6
    assert unit.written, "a question to answer in words"
    assert 3 <= len(unit.entry.outcomes) <= 6
    for exercise in unit.exercises:
        assert len(exercise.hints) == 3, exercise.name
        assert len(exercise.mistakes) >= 2, exercise.name


@every_unit
def test_no_output_of_a_solution_shows_an_address_in_memory(slug):
    """It would differ in every run."""
    assert " at 0x" not in SYLLABUS.find(slug).solution.read_text(encoding="utf-8")


@every_unit
def test_every_picture_has_words_beside_it(slug):
    cells = notebook(unit_of(slug), INSTRUCTOR).cells
    for at, cell in enumerate(cells):
        if cell.cell_type == "code" and re.search(r"plt\.(?!rcParams)|show_slice", cell.source):
            beside = [c.source for c in cells[max(0, at - 1) : at + 2] if c.cell_type == "markdown"]
            drawn = cell.metadata.get("medlab", {}).get("exercise") is None
            described = any("*In words:*" in source for source in beside)
            assert described or not drawn or "def " in cell.source, cell.source[:200]


def test_no_answer_is_importable_from_medlab():
    """No module of medlab has a function of an exercise's name."""
    names = {exercise.name for slug in SLUGS for exercise in unit_of(slug).exercises}
    for path in (ROOT / "src" / "medlab").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not [name for name in names if f"def {name}(" in text], path


@pytest.mark.parametrize("slug", ["dicom-to-hounsfield", "cnn-from-scratch", "kernels-in-c"])
def test_a_mistake_tried_from_a_checkpoint_scores_as_in_a_whole_sitting(slug, trials_of):
    unit = unit_of(slug)
    exercise = unit.exercises[-1]
    mistake = exercise.mistakes[0]
    whole = judged(unit, with_answers(unit, {exercise.name: mistake.source}))
    tried = trials_of(slug).judge(exercise.name, mistake.source)
    assert tried.exercises == whole.exercises


@pytest.mark.parametrize("slug", [entry.slug for entry in SYLLABUS.units if entry.hides])
def test_a_kernel_can_neither_import_nor_read_what_its_unit_hides(slug, tmp_path):
    unit = unit_of(slug)
    isolation = isolation_of(unit)
    if isolation.kind == LIMITS:
        pytest.skip("limits hide nothing")
    kernel = Kernel(tmp_path / "k", Limits(60), isolation)
    try:
        for module in unit.entry.hides:
            assert "hidden while you are graded" in kernel.run(f"import {module}").error
        for path in isolation.surroundings.hidden:
            shown = kernel.run(f"open({path!r}, 'rb').read()[:60]").outputs[0].data["text/plain"]
            assert "What a kernel finds in the place of a module" in shown, path
    finally:
        kernel.stop()
