"""The class that is graded: a course of one unit and its submissions, written for each grader."""

import shutil
from pathlib import Path

from medlab.classroom.sample import spread_mistakes
from medlab.course import load_syllabus, load_unit
from medlab.course.audience import answered
from medlab.course.build import text_of
from medlab.course.nbgrader_export import source_notebook
from medlab.files import write_text

SLUG = "find-a-bright-disc"
SYLLABUS = f"""\
title: benchmark
tracks:
  - slug: only
    title: Only
    units:
      - slug: {SLUG}
        title: Find a bright disc
        hours: 1
        points: 10
        prerequisites: []
        outcomes: [Train a small network]
        libraries: [torch, monai.networks.nets, monai.losses]
"""
SOURCE = Path(__file__).with_name("unit.txt")
WITH_MISTAKES = 4  # one in four students hands in mistakes


def write_course(root, steps):
    """Write a course whose learners train for so many steps; return its unit."""
    shutil.rmtree(root, ignore_errors=True)
    write_text(root / "course" / "syllabus.yaml", SYLLABUS)
    source = SOURCE.read_text(encoding="utf-8").replace("@STEPS@", str(steps))
    write_text(root / "course" / "only" / f"{SLUG}.py", source)
    return load_unit(load_syllabus(root).find(SLUG))


def answers_of_all(unit, count):
    """Return each student's answers by exercise name: most honest and right, some with mistakes."""
    right = {exercise.name: exercise.solution for exercise in unit.exercises}
    mistakes = spread_mistakes(unit, 3)
    answers = {}
    for number in range(1, count + 1):
        turn, rest = divmod(number, WITH_MISTAKES)
        wrong = mistakes[turn % len(mistakes)] if rest == 0 else {}
        answers[f"student-{number:04}"] = right | wrong
    return answers


def expected_scores(unit, answers):
    """Return each student's points, as the unit says what its mistakes keep."""
    keeps = {m.source: m.keeps for exercise in unit.exercises for m in exercise.mistakes}
    return {
        student: float(sum(keeps.get(given[e.name], e.points) for e in unit.exercises))
        for student, given in answers.items()
    }


def write_for_medlab(unit, answers, folder):
    """Write folder/<student>/<slug>.ipynb."""
    made = {student: answered(unit, given) for student, given in answers.items()}
    _write(folder, made, "{}/" + unit.entry.slug)


def write_for_nbgrader(unit, answers, folder, released):
    """Write folder/<student>/<slug>/<slug>.ipynb: nbgrader's release with answers filled in."""
    made = {s: _filled(released, unit, given) for s, given in answers.items()}
    _write(folder, made, "{}/" + f"{unit.entry.slug}/{unit.entry.slug}")


def write_for_papermill(unit, answers, folder):
    """Write folder/<student>.ipynb with the hidden tests in it, so that the same work is done."""
    made = {s: _filled(source_notebook(unit), unit, given) for s, given in answers.items()}
    _write(folder, made, "{}")


def write_tests_for_otter(unit, folder):
    """Write one test file for each exercise, each hidden test as one case."""
    shutil.rmtree(folder, ignore_errors=True)
    for exercise in unit.exercises:
        cases = [CASE.format(test=test) for test in exercise.hidden]
        start = START.format(name=exercise.name, setup=unit.hidden_setup)
        write_text(folder / f"{exercise.name}.py", start + "".join(cases))


# nbgrader's preamble gives hidden tests the names that they use; otter can share it.
START = """\
from pathlib import Path

from medlab.course.nbgrader_export import PREAMBLE
from otter.test_files import test_case

OK_FORMAT = False
name = {name!r}
points = None
SETUP = {setup!r}


def judge(env, source, seed):
    hidden = {{}}
    exec(Path(PREAMBLE).read_text(), hidden)
    hidden["start"](env, SETUP)
    hidden["test"](source, seed=seed)
"""
CASE = """

@test_case(points={test.points}, hidden=True)
def test_{test.number}(env):
    judge(env, {test.source!r}, {test.number})
"""


def _filled(made, unit, given):
    made = made.copy()
    sources = {exercise.cell_id: given[exercise.name] for exercise in unit.exercises}
    made.cells = [cell.copy() for cell in made.cells]
    for cell in made.cells:
        cell.source = sources.get(cell.id, cell.source)
    return made


def _write(folder, notebooks, name):
    shutil.rmtree(folder, ignore_errors=True)
    for student, made in notebooks.items():
        write_text(folder / f"{name.format(student)}.ipynb", text_of(made))
