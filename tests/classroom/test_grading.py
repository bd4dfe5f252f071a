"""A whole class through the real entry point, and single facts about runs."""

import csv
import json
import math
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import pytest

from medlab.classroom import grading, publishing
from medlab.classroom.opening import open_classroom
from medlab.classroom.sample import SIZE, spread_mistakes, write_sample_class
from medlab.cli.console import print_grades
from medlab.course import load_syllabus, load_unit
from medlab.course.audience import LEARNER, answered, notebook
from medlab.course.build import text_of
from medlab.errors import BadInput
from medlab.sandbox.limits import Limits

BIN = Path(sys.executable).parent
TINY = Path(__file__).parents[1] / "tiny"
SCHEMA = json.loads((Path(grading.__file__).parent / "grade.schema.json").read_text())


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("course")
    (root / "course" / "first").mkdir(parents=True)
    for name in ("syllabus.yaml", "rubrics.yaml"):
        shutil.copy(TINY / name, root / "course" / name)
    shutil.copy(TINY / "add-two.py", root / "course" / "first" / "add-two.py")
    return root


@pytest.fixture(scope="module")
def unit(course):
    return load_unit(load_syllabus(course).find("add-two"))


@pytest.fixture(scope="module")
def submissions(course):
    folder = course / "class"
    list(write_sample_class(load_syllabus(course), folder))
    return folder


@pytest.fixture(scope="module")
def medlab(course):
    """Run the installed command in the tiny course."""

    def run(*arguments):
        command = [BIN / "medlab", *map(str, arguments)]
        env = os.environ | {"MEDLAB_COURSE": str(course)}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)

    return run


@pytest.fixture(scope="module")
def graded(course, submissions, medlab):
    out = course / "out"
    return SimpleNamespace(out=out, ran=medlab("grade", submissions, "--out", out))


def rows(out: Path) -> dict[str, dict]:
    with (out / "grades.csv").open(newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def gradings(out: Path) -> int:
    with sqlite3.connect(out / "gradebook.db") as book:
        return book.execute("SELECT count(*) FROM grade").fetchone()[0]


def expected_scores(unit) -> dict[str, int]:
    """What each made-up student keeps: the points of what they solved, and of their mistakes."""
    keeps = {m.source: m.keeps for e in unit.exercises for m in e.mistakes}
    scores = [unit.points]
    for mistakes in spread_mistakes(unit, SIZE - 4):
        scores.append(sum(keeps.get(mistakes.get(e.name), e.points) for e in unit.exercises))
    scores += [0, unit.points, 0]
    return {f"student-{number:02}": score for number, score in enumerate(scores, start=1)}


def test_every_student_scores_what_their_mistakes_keep(graded, unit):
    assert graded.ran.returncode == 0, graded.ran.stderr
    found = {student: int(row["score"]) for student, row in rows(graded.out).items()}
    assert found == expected_scores(unit)
    assert len(set(found.values())) > 3


def test_statuses_tell_the_untouched_and_the_broken_from_the_graded(graded):
    statuses = [row["status"] for row in rows(graded.out).values()]
    assert statuses == ["graded"] * 9 + ["not attempted", "graded", "not a notebook"]


def test_grades_csv_has_these_columns_and_whole_numbers(graded):
    lines = (graded.out / "grades.csv").read_text().splitlines()
    assert lines[0] == "student,unit,score,max,status,seconds,unit_version,seed,jail"
    assert lines[1].startswith("student-01,add-two,5,5,graded,")
    assert lines[12].startswith("student-12,add-two,0,5,not a notebook,0,")


def test_every_submission_has_a_page_and_a_grade_that_fits_the_schema(graded):
    for number in range(1, SIZE + 1):
        page = graded.out / "feedback" / f"student-{number:02}" / "add-two.html"
        assert page.read_text().startswith("<!doctype html>")
        record = graded.out / "records" / f"student-{number:02}" / "add-two"
        jsonschema.validate(json.loads((record / "grade.json").read_text()), SCHEMA)
        assert (record / "executed.ipynb").exists() == (number != 12)


def test_no_hidden_test_is_on_any_page(graded, unit):
    pages = "".join(path.read_text() for path in graded.out.glob("feedback/*/*"))
    assert "negative numbers keep their sign" in pages
    for exercise in unit.exercises:
        for test in exercise.hidden:
            assert "learner." in test.source
    assert "learner." not in pages


def test_without_a_terminal_there_is_one_plain_line_for_each_submission(graded):
    lines = graded.ran.stderr.splitlines()
    assert sum(" of 12: student-" in line for line in lines) == 12
    assert any("student-01, add-two: 5 of 5, graded" in line for line in lines)
    assert "student-12, add-two.ipynb: not JSON" in graded.ran.stdout
    assert "12 rows: 10 graded, 1 not attempted, 1 not a notebook" in graded.ran.stdout


def test_a_second_run_grades_nothing_again(graded, medlab, submissions):
    before, count = (graded.out / "grades.csv").read_bytes(), gradings(graded.out)
    assert medlab("grade", submissions, "--out", graded.out).returncode == 0
    # Seconds are among the columns: another sitting would take another time.
    assert (graded.out / "grades.csv").read_bytes() == before
    assert gradings(graded.out) == count == SIZE


def _heed_interrupts():
    """Take back that shells let what they start in the background ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_keeps_what_was_graded_and_goes_on_from_there(
    course, submissions, medlab, tmp_path, how
):
    folder, out = tmp_path / "class", tmp_path / "out"
    for number in (1, 2, 3):
        shutil.copytree(submissions / f"student-{number:02}", folder / f"student-{number:02}")
    command = [BIN / "medlab", "grade", folder, "--out", out]
    env = os.environ | {"MEDLAB_COURSE": str(course)}
    with subprocess.Popen(
        command, env=env, stderr=subprocess.PIPE, text=True, preexec_fn=_heed_interrupts
    ) as run:
        first = next(line for line in run.stderr if " of 3: " in line)
        run.send_signal(how)
        rest = run.stderr.read()
    assert "Traceback" not in rest
    if how == signal.SIGINT:
        assert run.returncode == 130
        assert "medlab: interrupted; finished results are kept" in rest
        assert first.split(": ")[1].split(",")[0] in rows(out)
    assert 1 <= gradings(out) < 3
    assert medlab("grade", folder, "--out", out).returncode == 0
    assert gradings(out) == 3
    assert len(rows(out)) == 3


# Below, single facts in this process, with few sittings.


@pytest.fixture
def grade(tiny_syllabus, tmp_path):
    """Grade {student: text of a notebook} into one folder, as a new run each time."""

    def run(texts: dict[str, str], **options):
        folder = tmp_path / "class"
        shutil.rmtree(folder, ignore_errors=True)
        for student, text in texts.items():
            (folder / student).mkdir(parents=True)
            (folder / student / "my add-two.ipynb").write_text(text)
        room = open_classroom(tiny_syllabus, tmp_path / "out", folder, **options)
        grades = [grade for _, grade in grading.grade_class(room, folder)]
        room.gradebook.close()
        return {grade.student: grade for grade in grades}

    return run


@pytest.fixture
def solved(tiny_unit):
    return text_of(answered(tiny_unit, {e.name: e.solution for e in tiny_unit.exercises}))


@pytest.fixture
def untouched(tiny_unit):
    return text_of(notebook(tiny_unit, LEARNER))


def test_a_broken_resubmission_takes_no_points_away(grade, solved, tmp_path):
    out = tmp_path / "out"
    grade({"ada": solved})
    broken = grade({"ada": "oh no"})["ada"]
    assert broken.status == "not a notebook"
    assert "until then 5 of 5 points from an earlier file count" in broken.message
    assert (rows(out)["ada"]["score"], rows(out)["ada"]["status"]) == (
        "5",
        "graded, then not a notebook",
    )
    assert broken.message in (out / "feedback/ada/add-two.html").read_text()
    grade({"ada": "oh no"})
    assert gradings(out) == 2, "what is known to be broken is not noted twice"
    grade({"ada": solved})
    assert rows(out)["ada"]["status"] == "graded"
    assert "5 of 5 points" in (out / "feedback/ada/add-two.html").read_text()


def test_again_grades_also_what_was_graded_before(grade, untouched, tmp_path):
    for again in (False, False, True):
        grade({"ada": untouched}, again=again)
    assert gradings(tmp_path / "out") == 2


def test_another_seed_is_another_grading(grade, untouched, tmp_path):
    for seed in (0, 1):
        assert grade({"ada": untouched}, seed=seed)["ada"].seed == seed
    assert gradings(tmp_path / "out") == 2


def test_a_submission_that_trips_the_grader_is_a_row_and_is_tried_again(
    grade, untouched, tmp_path, monkeypatch
):
    page = publishing.feedback_page

    def trip(grade, unit, *more, **options):
        if grade.student == "ada" and not grade.message:
            raise RuntimeError("tripped")
        return page(grade, unit, *more, **options)

    monkeypatch.setattr(publishing, "feedback_page", trip)
    found = grade({"ada": untouched, "bob": untouched})
    assert found["ada"].status == "could not be graded"
    assert found["bob"].status == "not attempted"
    assert "tripped" in (tmp_path / "out" / "grading.log").read_text()
    assert "tripped" not in (tmp_path / "out/feedback/ada/add-two.html").read_text()
    monkeypatch.undo()
    assert grade({"ada": untouched, "bob": untouched})["ada"].status == "not attempted"


def test_a_unit_whose_solution_loses_points_grades_nobody(grade, untouched, tiny_course, tmp_path):
    source = tiny_course / "course/first/add-two.py"
    source.write_text(source.read_text().replace("return a + b", "return a - b"))
    with pytest.raises(BadInput, match=r"of 'add' scores 0 of 2.*nothing was graded"):
        grade({"ada": untouched})
    assert gradings(tmp_path / "out") == 0


@pytest.mark.parametrize(
    "student",
    ["[/red]x", "<b>", "=1+1", "esc\x1b[31m", "new\nline", "x" * 255, "\udcff", "{{1}}"],
)
def test_a_student_may_be_called_anything(grade, tmp_path, student):
    [found] = grade({student.replace("/", ""): "oh no"}).values()
    assert found.status == "not a notebook"
    assert len(rows(tmp_path / "out")) == 1
    [path] = (tmp_path / "out" / "records").glob("*/add-two/grade.json")
    assert json.loads(path.read_text())["student"] == found.student == path.parents[1].name
    print_grades([found])


def test_a_file_of_no_unit_cannot_choose_where_its_page_goes(grade, solved, tmp_path):
    made = json.loads(solved)
    made["metadata"]["medlab"]["slug"] = "../../../evil"
    assert grade({"ada": json.dumps(made)})["ada"].status == "unknown unit"
    pages = {path.parent.name for path in tmp_path.rglob("*.html")}
    assert pages == {"ada"}
    assert rows(tmp_path / "out")["ada"]["unit"] == "add-two", "as its file is called"


def test_texts_that_no_file_can_hold_are_escaped(grade, tiny_unit):
    source = 'def add(a, b):\n    raise ValueError("\\x00\\ud800\\x1b[31m")\nprint("\ud800")'
    text = json.dumps(answered(tiny_unit, {"add": source}))
    found = grade({"ada": text})["ada"]
    assert found.status == "graded"
    assert r"\x00\ud800\x1b[31m" in found.exercises[0].message


@pytest.mark.parametrize("limits", [Limits(0), Limits(sitting_seconds=-1), Limits(math.inf)])
def test_a_limit_that_is_none_is_refused(grade, untouched, limits):
    with pytest.raises(BadInput, match=r"--(cell|sitting)-seconds is .*: give a number above 0"):
        grade({"ada": untouched}, limits=limits)
