"""A solution is rehearsed once for a course version, machine, isolation and limits."""

import json
from dataclasses import replace

import pytest

from medlab.classroom import grading
from medlab.classroom.opening import open_classroom
from medlab.classroom.referee.engine import SittingResult
from medlab.classroom.referee.pace import Pace, name_of
from medlab.classroom.rehearsal import Rehearsal, RehearsalStore, check_rehearsal
from medlab.classroom.results import ExerciseResult, Status
from medlab.classroom.workers import SittingOutcome
from medlab.course import load_syllabus
from medlab.course.audience import LEARNER, notebook
from medlab.course.build import text_of
from medlab.errors import BadInput
from medlab.files import write_text


@pytest.fixture
def rehearsed(tiny_course, tiny_unit, tmp_path, monkeypatch):
    """Grade one student into a folder; return the units whose solutions sat."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sat = []

    class Pool(grading.WorkerPool):
        def run(self, tasks):
            sat.extend(task.unit.slug for task in tasks if task.name.split("/")[1] == "")
            yield from super().run(tasks)

    monkeypatch.setattr(grading, "WorkerPool", Pool)

    def grade(student: str) -> list[str]:
        sat.clear()
        folder = tmp_path / f"class-of-{student}"
        write_text(folder / student / "a.ipynb", text_of(notebook(tiny_unit, LEARNER)))
        room = open_classroom(load_syllabus(tiny_course), tmp_path / f"out-{student}", folder)
        assert [g.student for _, g in grading.grade_class(room, folder)] == [student]
        room.gradebook.close()
        return list(sat)

    return grade


def test_a_second_run_rehearses_nothing_and_a_changed_unit_is_rehearsed_again(
    rehearsed, tiny_course
):
    assert rehearsed("ada") == ["add-two"]
    assert rehearsed("bob") == []
    source = tiny_course / "course/first/add-two.py"
    source.write_text(source.read_text() + "\n# %% [markdown]\n# One more line.\n")
    assert rehearsed("eve") == ["add-two"]


def test_a_rehearsal_that_failed_is_never_kept(rehearsed, tiny_course, tmp_path):
    source = tiny_course / "course/first/add-two.py"
    source.write_text(source.read_text().replace("return a + b", "return a - b"))
    for student in ("ada", "bob"):
        with pytest.raises(BadInput, match="of 'add' scores 0 of 2"):
            rehearsed(student)
    assert not list((tmp_path / "cache").rglob("add-two-*.json"))


def test_another_isolation_or_limit_is_another_rehearsal(tiny_unit, tmp_path):
    kept = Rehearsal(1.5, {"check-add": 0.1}, {"add/1": 0.2})
    RehearsalStore(tmp_path, "limits, 120 s").keep(tiny_unit, kept)
    assert RehearsalStore(tmp_path, "limits, 120 s").find(tiny_unit) == kept
    assert RehearsalStore(tmp_path, "limits, 10 s").find(tiny_unit) is None
    changed = replace(tiny_unit, version="0" * 12)
    assert RehearsalStore(tmp_path, "limits, 120 s").find(changed) is None


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"seconds": 1})])
def test_a_damaged_file_is_rehearsed_again(tiny_unit, tmp_path, content):
    store = RehearsalStore(tmp_path, "here")
    store.keep(tiny_unit, Rehearsal(1.5, {}, {}))
    [path] = tmp_path.glob("*.json")
    path.write_text(content)
    assert RehearsalStore(tmp_path, "here").find(tiny_unit) is None


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_next_rehearsal(tiny_unit, tmp_path):
    (tmp_path / "file").write_text("in the way")
    store = RehearsalStore(tmp_path / "file", "here")
    store.keep(tiny_unit, Rehearsal(1.5, {}, {}))
    assert store.find(tiny_unit) == Rehearsal(1.5, {}, {})


def test_a_rehearsal_keeps_the_pace_of_the_solution(tiny_unit):
    result = ExerciseResult("add", "exercise", 2, 2, Status.PASSED, "", [])
    pace = Pace({"check-add": 0.5}, {"add/1": 0.25})
    outcome = SittingOutcome(SittingResult([result], pace=pace), seconds=3)
    rehearsal = check_rehearsal(tiny_unit, outcome)
    assert rehearsal == Rehearsal(3, {"check-add": 0.5}, {"add/1": 0.25})
    assert rehearsal.pace == pace


def test_a_class_is_held_to_the_pace_of_the_rehearsal(rehearsed, tiny_unit, monkeypatch):
    paces = []
    run = grading.WorkerPool.run

    def noting(pool, tasks):
        paces.extend(task.pace for task in tasks)
        yield from run(pool, tasks)

    monkeypatch.setattr(grading.WorkerPool, "run", noting)
    rehearsed("ada")
    [of_the_solution, of_the_class] = paces
    assert of_the_solution == Pace()
    assert set(of_the_class.tests) == {
        name_of(test) for e in tiny_unit.exercises for test in e.hidden
    }
