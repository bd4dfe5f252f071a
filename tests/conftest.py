"""A small course that tests can take apart, made anew for each test."""

from pathlib import Path

import pytest

from medlab.course import Syllabus, Unit, load_syllabus, load_unit

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
