"""A small course that tests can take apart, made again for each test; how tests share the cores."""

import os
from pathlib import Path

import hypothesis
import pytest
from tests.support.skips import check_skips

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


# How long an example takes measures the machine and its neighbours, not medlab.
hypothesis.settings.register_profile(
    "medlab", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("medlab")

# What takes long starts first, or the last of it would run alone: the attackers, then solutions.
FIRST = ("class of attackers", ".ipynb")


def pytest_addoption(parser) -> None:
    parser.addoption(
        "--unit", action="append", default=[], help="of the tests of each unit, run only this one's"
    )


def pytest_configure(config) -> None:
    check_skips(config)


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist, which looks at the groups
def pytest_collection_modifyitems(config, items) -> None:
    """Give each group of tests to one worker, with pytest-xdist's `--dist loadgroup`.

    A group is a file, also where it is the notebook of a solution; but all tests of the class of
    attackers are one, since the class is graded once, and those of each unit are one, since a
    single file holds the longest tests there are.
    """
    if wanted := config.getoption("unit"):
        items[:] = [item for item in items if _slug(item) in ("", *wanted)]
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_group(item)))
    items.sort(key=lambda item: _start(_group(item)))


def _group(item) -> str:
    if "graded" in getattr(item, "fixturenames", ()):
        return "class of attackers"
    return _slug(item) or item.path.name


def _slug(item) -> str:
    """Return the unit that a test is about, where it is one of a test for each unit."""
    return getattr(getattr(item, "callspec", None), "params", {}).get("slug", "")


def _start(group: str) -> int:
    return next((at for at, end in enumerate(FIRST) if group.endswith(end)), len(FIRST))
