import json

import pytest

from medlab.classroom import checking
from medlab.course import load_unit
from medlab.course.audience import LEARNER, answered, notebook
from medlab.course.build import text_of
from medlab.errors import BadInput
from medlab.sandbox.kernel import KernelDied


def write(tmp_path, made):
    path = tmp_path / "mine.ipynb"
    path.write_text(made if isinstance(made, str) else text_of(made))
    return path


def test_each_visible_check_is_one_line(tiny_syllabus, tiny_unit, tmp_path):
    solved = answered(tiny_unit, {"add": tiny_unit.exercises[0].solution})
    add, mean = checking.check_notebook(tiny_syllabus, write(tmp_path, solved))
    assert (add.exercise, add.passed, add.message) == ("add", True, "add: passed")
    assert (mean.exercise, mean.passed) == ("mean", False)
    assert mean.message.startswith("mean: ")
    assert "\n" not in mean.message


def test_the_checks_are_the_courses_own(tiny_syllabus, tiny_unit, tmp_path):
    made = notebook(tiny_unit, LEARNER)
    for cell in made.cells:
        if cell.id == "check-add":
            cell.source = "%%check add\npass"
    add, _ = checking.check_notebook(tiny_syllabus, write(tmp_path, made))
    assert not add.passed


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        ("hello", "not JSON"),
        ("[]", "not a notebook"),
        ('{"cells": []}', "names no unit"),
        ('{"cells": [], "metadata": {"medlab": {"slug": "ad-two"}}}', "did you mean add-two"),
    ],
)
def test_what_is_no_notebook_of_this_course_is_one_line(tiny_syllabus, tmp_path, content, said):
    with pytest.raises(BadInput, match=said) as refused:
        checking.check_notebook(tiny_syllabus, write(tmp_path, content))
    assert "\n" not in str(refused.value)


def test_a_path_that_is_no_file_is_one_line(tiny_syllabus, tmp_path):
    with pytest.raises(BadInput, match="is a folder"):
        checking.check_notebook(tiny_syllabus, tmp_path)
    with pytest.raises(BadInput, match="does not exist"):
        checking.check_notebook(tiny_syllabus, tmp_path / "nosuch.ipynb")


def test_a_machine_that_starts_no_kernel_is_one_line(
    tiny_syllabus, tiny_unit, tmp_path, monkeypatch
):
    def refuse(*_):
        raise KernelDied("the kernel did not start")

    monkeypatch.setattr(checking, "open_session", refuse)
    made = json.loads(text_of(notebook(tiny_unit, LEARNER)))
    with pytest.raises(BadInput, match="medlab doctor"):
        checking.check_notebook(tiny_syllabus, write(tmp_path, json.dumps(made)))


def test_demonstrations_are_passed_over(tiny_syllabus, tmp_path):
    entry = tiny_syllabus.find("add-two")
    shown = '# %% tags=["demonstration"]\nadd = None\n\n# %% check="add"\nassert add, "there"\n'
    shown += "\n# %% [markdown]\n# The end\n"
    entry.source.write_text(entry.source.read_text() + "\n" + shown)
    unit = load_unit(entry)
    solved = answered(unit, {"add": unit.exercises[0].solution})
    outcomes = checking.check_notebook(tiny_syllabus, write(tmp_path, solved))
    assert [one.passed for one in outcomes if one.exercise == "add"] == [True, True]
