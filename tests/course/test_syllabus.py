import pytest

from medlab.course import find_course, load_syllabus
from medlab.errors import BadInput


def write(tmp_path, text):
    (tmp_path / "course").mkdir(exist_ok=True)
    (tmp_path / "course" / "syllabus.yaml").write_text(text)
    return tmp_path


def unit(slug, needs=(), **more):
    listed = {"title": slug, "hours": 1, "points": 1, "outcomes": [], **more}
    fields = ", ".join(f"{key}: {value}" for key, value in listed.items())
    return f"      - {{slug: {slug}, prerequisites: [{', '.join(needs)}], {fields}}}\n"


def course(*units):
    return "tracks:\n  - slug: t\n    title: T\n    units:\n" + "".join(units)


def test_numbers_and_paths_follow_from_the_order(tmp_path):
    units = load_syllabus(write(tmp_path, course(unit("b"), unit("a", needs=["b"])))).units
    assert [u.slug for u in units] == ["b", "a"]
    assert units[1].notebook == tmp_path / "notebooks" / "1-t" / "02-a.ipynb"
    assert units[1].source == tmp_path / "course" / "t" / "a.py"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (course(unit("a", needs=["b"]), unit("b", needs=["a"])), "in a circle: a -> b -> a"),
        (course(unit("a", needs=["a"])), "in a circle: a -> a"),
        (course(unit("a", needs=["nothing"])), "'nothing', which is not a unit"),
        (course(unit("a"), unit("a")), "listed twice"),
        (course(unit("A_b")), "is not a slug"),
        ("tracks:\n  - slug: t\n    units:\n      - {slug: a}\n", "lacks hours, outcomes"),
        (
            course(unit("a", hides="[medlab.nosuch]")),
            "'hides' lists 'medlab.nosuch', which is not a",
        ),
        (
            course(unit("a", hides="[numpy]")),
            "'hides' lists 'numpy', which is not a module of medlab",
        ),
        (course(unit("a", hides="medlab.text")), "'hides' is a list of modules"),
        ("tracks: 3\n", "a list 'tracks'"),
        ("tracks: [\n", "not valid YAML"),
        ("", "expected a mapping"),
    ],
)
def test_a_broken_syllabus_is_refused_in_one_line(tmp_path, text, said):
    with pytest.raises(BadInput) as refused:
        load_syllabus(write(tmp_path, text))
    assert said in str(refused.value)
    assert "syllabus.yaml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_unit_hides_the_modules_that_it_lists_and_else_none(tmp_path):
    listed = course(unit("a", hides="[medlab.text, medlab.edge]"), unit("b"))
    units = load_syllabus(write(tmp_path, listed)).units
    assert [one.hides for one in units] == [("medlab.text", "medlab.edge"), ()]


def test_an_unknown_slug_is_answered_with_near_ones(tmp_path):
    syllabus = load_syllabus(write(tmp_path, course(unit("dicom-to-hounsfield"))))
    with pytest.raises(BadInput, match="did you mean dicom-to-hounsfield"):
        syllabus.find("dicom-to-hounsfeld")


def test_the_course_is_found_from_a_folder_inside_it(tmp_path, monkeypatch):
    monkeypatch.delenv("MEDLAB_COURSE", raising=False)
    root = write(tmp_path, course(unit("a")))
    inside = root / "work" / "deeper"
    inside.mkdir(parents=True)
    assert find_course(inside) == root


def test_a_course_named_by_the_environment_must_be_one(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDLAB_COURSE", str(tmp_path))
    with pytest.raises(BadInput, match="MEDLAB_COURSE names"):
        find_course()
