"""A small course that tests can take apart, made anew for each test."""

import os
from pathlib import Path

import pytest

from medlab.course import Syllabus, Unit, load_syllabus, load_unit
from medlab.sandbox import isolation

# Where no jail can be built, the tests of the jail and of attacks skip, and the others say by name
# that they grade under limits alone.
if "MEDLAB_JAIL" not in os.environ and all(
    isolation.problem_with(kind) for kind in (isolation.NAMESPACES, isolation.BUBBLEWRAP)
):
    os.environ["MEDLAB_JAIL"] = isolation.LIMITS

TINY = Path(__file__).parent / "tiny"


@pytest.fixture
def tiny_course(tmp_path, monkeypatch) -> Path:
    """The root of a course with one unit, `add-two`: exercises add (2 points), mean (3 points)."""
    root = tmp_path / "tiny"
    (root / "course" / "first").mkdir(parents=True)
    for name in ("syllabus.yaml", "rubrics.yaml"):
        (root / "course" / name).write_text((TINY / name).read_text())
    (root / "course" / "first" / "add-two.py").write_text((TINY / "add-two.py").read_text())
    monkeypatch.setenv("MEDLAB_COURSE", str(root))
    return root


@pytest.fixture
def tiny_syllabus(tiny_course) -> Syllabus:
    return load_syllabus(tiny_course)


@pytest.fixture
def tiny_unit(tiny_syllabus) -> Unit:
    return load_unit(tiny_syllabus.find("add-two"))


def pytest_collection_modifyitems(items) -> None:
    """Keep the tests of a file on one worker, and of the file of all units those of each unit.

    With pytest-xdist's `--dist loadgroup`; one file holds the longest tests there are.
    """
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        item.add_marker(pytest.mark.xdist_group(parameters.get("slug", item.path.name)))
