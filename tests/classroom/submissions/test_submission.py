import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlab.classroom.submissions.roster import submissions_of
from medlab.classroom.submissions.submission import Cell, is_untouched, read_submission, restore
from medlab.course.audience import LEARNER, notebook
from medlab.course.build import text_of
from medlab.errors import BadInput


def cells_of(made):
    return [
        Cell(c.id, c.metadata.get("nbgrader", {}).get("grade_id", ""), c.cell_type, c.source)
        for c in made.cells
    ]


def put(folder, student, name, content):
    path = folder / student / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"   \n", "the file is empty"),
        (b"hello", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a notebook"),
        (b'{"worksheets": []}', "not a notebook"),
        (b'{"cells": 3}', "not a notebook"),
    ],
)
def test_a_file_that_is_no_notebook_says_what_it_is(tmp_path, content, said):
    found = read_submission(put(tmp_path, "ada", "a.ipynb", content), "ada")
    assert found.problem == "not a notebook"
    assert said in found.message


def test_a_link_is_not_followed(tmp_path):
    target = put(tmp_path, "bob", "a.ipynb", "{}")
    link = tmp_path / "ada.ipynb"
    link.symlink_to(target)
    assert "a link" in read_submission(link, "ada").message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
KEYS = st.sampled_from(["id", "source", "cell_type", "metadata"])


@settings(max_examples=200)
@given(st.lists(st.dictionaries(KEYS, JSON) | JSON, max_size=4), JSON)
def test_any_json_with_cells_is_read_without_an_exception(tmp_path_factory, cells, metadata):
    path = tmp_path_factory.mktemp("s") / "a.ipynb"
    path.write_text(json.dumps({"cells": cells, "metadata": metadata}))
    found = read_submission(path, "ada")
    assert all(isinstance(cell.source, str) for cell in found.cells)


def test_only_answers_and_added_cells_are_the_learners(tiny_unit):
    cells = cells_of(notebook(tiny_unit, LEARNER))
    edited = []
    for cell in cells:
        source = (
            "print('cheat')" if cell.id.startswith(("check", "medlab", "code")) else cell.source
        )
        source = "def add(a, b): return 1" if cell.id == "exercise-add" else source
        edited.append(Cell(cell.id, "", cell.cell_type, source))
    restored = restore(tiny_unit, tuple(edited))
    plain = notebook(tiny_unit, LEARNER)
    differing = [a.id for a, b in zip(restored.notebook.cells, plain.cells, strict=True) if a != b]
    assert differing == ["exercise-add"]
    assert any("check-add' was edited" in note for note in restored.notes)


def test_added_cells_stay_behind_the_cell_they_followed(tiny_unit):
    cells = cells_of(notebook(tiny_unit, LEARNER))
    at = next(i for i, cell in enumerate(cells) if cell.id == "exercise-add")
    cells.insert(at + 1, Cell("mine", "", "code", "helper = 1"))
    cells.insert(0, Cell("first", "", "markdown", "hello"))
    ids = [cell.id for cell in restore(tiny_unit, tuple(cells)).notebook.cells]
    assert ids[0] == "added-0"
    assert ids[ids.index("exercise-add") + 1] == "added-1"


def test_deleted_and_repeated_cells_are_put_right(tiny_unit):
    cells = [cell for cell in cells_of(notebook(tiny_unit, LEARNER)) if cell.id != "check-add"]
    cells += [Cell("exercise-add", "", "code", "def add(a, b): return 'second'")]
    restored = restore(tiny_unit, tuple(cells))
    ids = [cell.id for cell in restored.notebook.cells]
    assert ids == [cell.id for cell in notebook(tiny_unit, LEARNER).cells]
    assert "cell 'check-add' was missing and was put back" in restored.notes
    assert "cell 'exercise-add' is there twice: the first one counts" in restored.notes


def test_an_editor_that_drops_ids_loses_no_answer(tiny_unit):
    cells = [
        Cell("", cell.grade_id, cell.cell_type, f"{cell.source}\n# mine" * (cell.grade_id != ""))
        for cell in cells_of(notebook(tiny_unit, LEARNER))
    ]
    restored = {c.id: c.source for c in restore(tiny_unit, tuple(cells)).notebook.cells}
    assert restored["exercise-add"].endswith("# mine")


def test_restoring_twice_changes_nothing_more(tiny_unit):
    cells = [*cells_of(notebook(tiny_unit, LEARNER))[2:], Cell("x", "", "code", "1")]
    once = restore(tiny_unit, tuple(cells)).notebook
    assert text_of(restore(tiny_unit, tuple(cells_of(once))).notebook) == text_of(once)


def test_layout_and_comments_do_not_make_an_attempt():
    stub = "def f(x):\n    raise NotImplementedError"
    assert is_untouched("def f( x ):\n\n    # todo\n    raise NotImplementedError\n", stub)
    assert not is_untouched("def f(x):\n    return 1", stub)
    assert not is_untouched("def f(x:\n", stub)


def test_two_notebooks_of_one_unit_are_one_row_that_names_both(tmp_path, tiny_unit):
    text = text_of(notebook(tiny_unit, LEARNER))
    for name, end in (("a.ipynb", ""), ("b.ipynb", "\n")):
        put(tmp_path / "class", "ada", name, text + end)
    [found] = submissions_of(tmp_path / "class")
    assert found.problem == "duplicate"
    assert "a.ipynb and b.ipynb" in found.message


def test_students_who_differ_only_in_case_are_told_apart(tmp_path, tiny_unit):
    for student in ("Ada", "ada", "bob"):
        put(tmp_path / "class", student, "a.ipynb", text_of(notebook(tiny_unit, LEARNER)))
    problems = {one.student: one.problem for one in submissions_of(tmp_path / "class")}
    assert problems == {"Ada": "duplicate student", "ada": "duplicate student", "bob": None}


def test_one_unit_can_be_chosen_and_those_without_it_are_named(tmp_path, tiny_unit):
    put(tmp_path / "class", "ada", "a.ipynb", text_of(notebook(tiny_unit, LEARNER)))
    put(
        tmp_path / "class",
        "bob",
        "b.ipynb",
        '{"cells": [], "metadata": {"medlab": {"slug": "other"}}}',
    )
    found = {one.student: one.problem for one in submissions_of(tmp_path / "class", "add-two")}
    assert found == {"ada": None, "bob": "missing"}


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_text("")])
def test_a_folder_without_students_is_refused(tmp_path, make):
    make(tmp_path / "class")
    with pytest.raises(BadInput, match="class"):
        submissions_of(tmp_path / "class")


def test_a_student_with_an_empty_folder_is_a_row(tmp_path):
    (tmp_path / "ada").mkdir()
    assert submissions_of(tmp_path)[0].problem == "empty"
