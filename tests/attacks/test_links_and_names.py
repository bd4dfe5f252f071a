"""Links, dots and odd characters in names."""

import pytest
from tests.support.hostile import FULL, Attack


def other_unit(slug):
    def edit(notebook):
        notebook["metadata"]["medlab"]["slug"] = slug
        return notebook

    return edit


NAMES = {
    "name-dots": "...add..two",  # hidden, so nobody's
    "name-lines": "b\nadd\tx",
    "name-bell": "b\x1b[2Jadd",
    "name-turned": "b\u202eadd",
    "name-long": "b" * 255,
    "name-quotes": "b'); DROP TABLE grade; --",
    "name-markup": "b<img src=x onerror=alert(1)>",
    "name-option": "-rf",
}
ATTACKS = {name: Attack(student=student) for name, student in NAMES.items()} | {
    "slug-dots": Attack(edit=other_unit("../../add-two")),
    "slug-object": Attack(edit=other_unit({"slug": "add-two"})),
    "file-dots": Attack(file="add-two..ipynb.ipynb"),
}


def test_names_are_only_names(graded):
    graded.holds("file-dots", FULL)
    odd = [grade for name, grade in graded.grades.items() if name.startswith(("b", "-rf"))]
    assert [grade["score"] for grade in odd] == [FULL] * 7
    assert all(grade["student"].isprintable() for grade in odd)


@pytest.mark.parametrize("name", ["slug-dots", "slug-object"])
def test_a_slug_is_no_path(graded, name):
    graded.holds(name, 0)


def test_a_link_to_anothers_notebook_earns_nothing(small_class):
    inside = small_class.submissions
    targets = {"file": inside / "a-honest" / "add-two.ipynb", "device": "/dev/zero", "endless": "x"}
    for name, target in targets.items():
        (inside / f"link-{name}").mkdir()
        (inside / f"link-{name}" / "add-two.ipynb").symlink_to(target)
    (inside / "link-folder").symlink_to(inside / "a-honest")
    done = small_class.grade()
    for name in (*targets, "folder"):
        assert done.holds(f"link-{name}", 0)["status"] == "not a notebook"
