"""Starting a unit makes a copy in work/ and never overwrites what a learner wrote."""

import pytest

from medlab.course import load_syllabus
from medlab.errors import BadInput
from medlab.notebook.progress import record
from medlab.notebook.start import next_unit, start


@pytest.fixture
def released(tiny_course):
    """The released notebook of the tiny course."""
    notebook = load_syllabus(tiny_course).find("add-two").notebook
    notebook.parent.mkdir(parents=True)
    notebook.write_text("released", encoding="utf-8")
    return notebook


def test_a_start_copies_the_release_to_work_without_its_number(tiny_course, released):
    copy = start(tiny_course, "add-two")
    assert copy == tiny_course / "work" / "add-two.ipynb"
    assert copy.read_bytes() == released.read_bytes()


def test_notebooks_stays_as_released(tiny_course, released):
    start(tiny_course, "add-two").write_text("mine", encoding="utf-8")
    assert released.read_text(encoding="utf-8") == "released"
    assert [path.name for path in released.parent.iterdir()] == [released.name]


def test_a_second_start_keeps_the_learners_work(tiny_course, released):
    copy = start(tiny_course, "add-two")
    copy.write_text("mine", encoding="utf-8")
    assert start(tiny_course, "add-two") == copy
    assert copy.read_text(encoding="utf-8") == "mine"


def test_a_started_copy_opens_also_when_the_release_is_gone(tiny_course, released):
    copy = start(tiny_course, "add-two")
    released.unlink()
    assert start(tiny_course, "add-two") == copy


def test_a_fresh_start_moves_the_old_work_aside_each_time(tiny_course, released):
    copy = start(tiny_course, "add-two")
    for mine in ("first try", "second try"):
        copy.write_text(mine, encoding="utf-8")
        assert start(tiny_course, "add-two", fresh=True) == copy
        assert copy.read_text(encoding="utf-8") == "released"
    aside = {p.name: p.read_text(encoding="utf-8") for p in copy.parent.iterdir()}
    assert aside == {
        "add-two.ipynb": "released",
        "add-two.1.ipynb": "first try",
        "add-two.2.ipynb": "second try",
    }


def test_a_fresh_start_without_a_release_leaves_the_old_work_in_place(tiny_course, released):
    copy = start(tiny_course, "add-two")
    copy.write_text("mine", encoding="utf-8")
    released.unlink()
    with pytest.raises(BadInput):
        start(tiny_course, "add-two", fresh=True)
    assert copy.read_text(encoding="utf-8") == "mine"


def test_an_unknown_slug_is_refused_with_near_matches(tiny_course):
    with pytest.raises(BadInput, match="did you mean add-two"):
        start(tiny_course, "add-too")


def test_a_unit_that_is_not_built_says_how_to_build_it(tiny_course):
    with pytest.raises(BadInput, match="run `medlab build add-two` first"):
        start(tiny_course, "add-two")


def test_a_work_folder_that_cannot_be_made_is_one_line(tiny_course, released):
    (tiny_course / "work").write_text("a file", encoding="utf-8")
    with pytest.raises(BadInput, match="cannot be written"):
        start(tiny_course, "add-two")


def test_the_next_unit_is_the_first_whose_checks_do_not_all_pass(tiny_course):
    add_a_second_unit(tiny_course)
    assert next_unit(tiny_course) == "add-two"
    record(tiny_course, "add-two", "add", True)
    assert next_unit(tiny_course) == "add-two"
    record(tiny_course, "add-two", "mean", True)
    assert next_unit(tiny_course) == "add-more"


def test_when_all_checks_pass_the_next_unit_is_the_last(tiny_course):
    add_a_second_unit(tiny_course)
    for slug in ("add-two", "add-more"):
        record(tiny_course, slug, "add", True)
        record(tiny_course, slug, "mean", True)
    assert next_unit(tiny_course) == "add-more"


def add_a_second_unit(root):
    course = root / "course"
    unit = (course / "first" / "add-two.py").read_text(encoding="utf-8")
    (course / "first" / "add-more.py").write_text(unit, encoding="utf-8")
    points = load_syllabus(root).find("add-two").points
    with (course / "syllabus.yaml").open("a", encoding="utf-8") as syllabus:
        syllabus.write(
            "      - {slug: add-more, title: Add more, hours: 2, "
            f"points: {points}, prerequisites: [add-two], outcomes: []}}\n"
        )
