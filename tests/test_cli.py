"""The command line through its real entry point: what it says, and to whom.

Whatever a person gets wrong is one line and exit status 2; typer's own usage errors show the usage.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medlab.course.audience import LEARNER, notebook
from medlab.course.build import text_of
from medlab.notebook.progress import NOTE

MEDLAB = Path(sys.executable).parent / "medlab"


@pytest.fixture
def medlab(tiny_course, tmp_path):
    """Run the installed command in tmp_path, the tiny course being the course."""

    def run(*arguments, **options):
        command = [MEDLAB, *map(str, arguments)]
        plain = {"cwd": tmp_path, "env": os.environ, "timeout": 120, **options}
        return subprocess.run(command, capture_output=True, text=True, **plain)

    return run


@pytest.fixture
def submissions(tmp_path, tiny_unit):
    """A class of one, who handed in the untouched notebook."""
    folder = tmp_path / "class"
    (folder / "ada").mkdir(parents=True)
    (folder / "ada" / "a.ipynb").write_text(text_of(notebook(tiny_unit, LEARNER)))
    return folder


def refused(ran) -> str:
    """Return the one line that a command was refused with."""
    assert ran.returncode == 2, ran
    lines = ran.stderr.splitlines()
    assert len(lines) == 1, ran.stderr
    assert lines[0].startswith("medlab: ")
    assert ran.stdout == ""
    return lines[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("build nosuch", "there is no unit 'nosuch' in course/syllabus.yaml: there are add-two"),
        ("build ../add-two", "there is no unit '../add-two'"),
        ("start ad-two", "did you mean add-two?"),
        ("start", "name one unit or pass --next"),
        ("start add-two --next", "name one unit or pass --next"),
        ("start add-two", "does not exist: "),
        ("hint nosuch add", "there is no unit 'nosuch'"),
        ("hint add-two nosuch", "unit 'add-two' has no exercise 'nosuch': there are add, mean"),
        ("hint add-two add --level 9", "there is no hint 9 for 'add': choose from 1 to 3"),
        ("check nosuch.ipynb", "nosuch.ipynb does not exist"),
        ("check .", ". is a folder"),
        ("check file", "file: not a notebook: not JSON"),
        ("sample --out file", "file cannot be used"),
        ("sample --out file/deep", "file/deep"),
        ("sample --out class", "class holds 'ada', which is not a generated student"),
        ("grade class --out out --unit nosuch", "there is no unit 'nosuch'"),
        ("grade nosuch --out out", "nosuch is not a folder"),
        ("grade file --out out", "file is not a folder"),
        ("grade empty --out out", "empty holds no student folders: expected <student>/*.ipynb"),
        ("grade class --out file", "--out file is a file: choose a folder"),
        ("grade class --out file/deep", "file/deep"),
        # Nobody, not even root, can make a folder there.
        ("grade class --out /proc/nosuch", "/proc/nosuch cannot be created"),
        ("sample --out /proc/nosuch", "cannot be written"),
        ("grade class --out class/out", "is inside the submissions folder"),
        ("grade class --out class", "is inside the submissions folder"),
        ("grade class --out out --cell-seconds -1", "--cell-seconds is -1"),
        ("grade class --out out --cell-seconds nan", "--cell-seconds is nan"),
        ("grade class --out out --gradebook nonsense", "that is not a database URL"),
        ("grade class --out out --gradebook sqlite:///no/where.db", "sqlite:///no/where.db"),
    ],
)
def test_what_a_user_got_wrong_is_one_line(medlab, submissions, tmp_path, arguments, message):
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "empty").mkdir()
    assert message in refused(medlab(*arguments.split()))
    assert (tmp_path / "file").read_text() == "in the way"
    assert not (tmp_path / "out" / "grades.csv").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        "nosuch",
        "grade",
        "grade class",
        "grade class --out out --seed x",
        "grade class --out out --seed -1",
        "grade class --out out --seed 99999999999999999999",
        "grade class --out out --cell-seconds x",
        "hint add-two add --level x",
        "check",
    ],
)
def test_a_usage_error_is_no_traceback(medlab, submissions, arguments):
    ran = medlab(*arguments.split())
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert "Error: " in ran.stderr


def test_a_folder_without_students_leaves_nothing_behind(medlab, tmp_path):
    (tmp_path / "empty").mkdir()
    refused(medlab("grade", "empty", "--out", "out"))
    assert not (tmp_path / "out").exists()


def test_rows_for_what_cannot_be_graded_and_exit_status_0(medlab, submissions, tmp_path):
    bad = {
        "bob/empty.ipynb": "",
        "carl/words.ipynb": "these are words",
        "dora/add-two.ipynb": '{"cells": [], "metadata": {"medlab": {"slug": "other"}}}',
        "emil/plain.ipynb": '{"cells": [], "metadata": {}}',
        "Fay/a.ipynb": "{}",
        "fay/a.ipynb": "{}",
    }
    for name, content in bad.items():
        (submissions / name).parent.mkdir()
        (submissions / name).write_text(content)
    (submissions / "gus").mkdir()
    ran = medlab("grade", "class", "--out", "out")
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stdout + ran.stderr
    lines = (tmp_path / "out" / "grades.csv").read_text().splitlines()[1:]
    found = {line.split(",")[0]: line.split(",")[4] for line in lines}
    assert found == {
        "ada": "not attempted",
        "bob": "not a notebook",
        "carl": "not a notebook",
        "dora": "unknown unit",
        "emil": "no unit",
        "Fay": "duplicate student",
        "fay": "duplicate student",
        "gus": "empty",
    }


def test_checks_that_do_not_pass_are_exit_status_1(medlab, submissions):
    ran = medlab("check", submissions / "ada" / "a.ipynb")
    assert ran.returncode == 1
    assert "0 of 2 visible checks pass; grading adds hidden tests" in ran.stdout


def test_progress_says_what_it_does_not_say(medlab):
    ran = medlab("progress")
    assert "0 of 2" in ran.stdout
    assert ran.stdout.splitlines()[-1] == NOTE


def test_a_hint_is_shown(medlab):
    assert "Use an operator." in medlab("hint", "add-two", "add").stdout


def test_a_course_is_built_started_and_found_in_step(medlab, tiny_course):
    assert "out of date" in medlab("build", "--check").stderr
    assert "written: notebooks/1-first/01-add-two.ipynb" in medlab("build").stdout
    assert medlab("build", "--check").returncode == 0
    copy = str(tiny_course / "work/add-two.ipynb")
    assert medlab("start", "--next").stdout.strip() == copy
    assert medlab("start", "add-two").stderr == f"open it with: jupyter lab {copy}\n"


def test_every_command_says_what_it_does(medlab):
    told = medlab("--help").stdout
    for command in ("build", "start", "check", "hint", "progress", "doctor", "sample", "grade"):
        line = next(line for line in told.splitlines() if line.split()[:1] == [command])
        assert len(line.split()) > 3, line
