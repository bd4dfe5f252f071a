"""`make test-changed`: what a change can touch is what runs."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("changed", ROOT / "tools/changed_tests.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["changed"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


UNIT = "imaging/02-cnn-from-scratch.ipynb"


@pytest.mark.parametrize("path", ["course/imaging/cnn-from-scratch.py", f"solutions/2-{UNIT}"])
def test_a_unit_runs_its_own_tests_and_its_solution(tool, path):
    run = tool.commands(tool.select([path]))
    own = ["tests/course/test_cnn_from_scratch.py", "tests/course/test_every_unit.py"]
    assert run[0] == ["medlab", "build", "--check", "cnn-from-scratch"]
    assert run[1][-3:] == ["--unit=cnn-from-scratch", *own]
    assert run[2][-2:] == ["--nbval", f"solutions/2-{UNIT}"]
    assert len(run) == 3


def test_a_module_runs_the_tests_that_import_it_directly_or_not(tool):
    found = tool.select(["src/medlab/classroom/claims.py"])
    assert {"tests/classroom/test_claims.py", "tests/classroom/test_grading.py"} <= found.tests
    assert "tests/datasets/test_ecg.py" not in found.tests


def test_a_module_that_learners_use_runs_the_units_that_import_it(tool):
    assert "ecg-on-a-microcontroller" in tool.select(["src/medlab/datasets/ecg/reading.py"]).units


def test_a_part_of_grading_runs_the_attacks_and_one_unit_for_all(tool):
    found = tool.select(["src/medlab/classroom/referee/sitting.py"])
    assert "tests/attacks" in found.tests
    assert found.units == {tool.ONE_FOR_ALL}


def test_a_test_runs_itself_and_a_conftest_all_tests_below_it(tool):
    assert tool.select(["tests/test_files.py"]).tests == {"tests/test_files.py"}
    below = tool.select(["tests/edge/boards/conftest.py"]).tests
    assert "tests/edge/boards/test_boards.py" in below
    assert "tests/test_files.py" not in below


def test_a_page_runs_the_tests_of_the_frame(tool):
    assert tool.select(["README.md"]).tests == {"tests/test_frame.py"}


def test_every_reader_that_is_named_exists(tool):
    named = [path for paths in tool.READERS.values() for path in paths]
    assert [path for path in named if not (ROOT / path).exists()] == []
