import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlab.classroom.submissions.reading import read_submission
from medlab.classroom.submissions.roster import submissions_of
from medlab.errors import BadInput


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


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_text("")])
def test_a_folder_without_students_is_refused(tmp_path, make):
    make(tmp_path / "class")
    with pytest.raises(BadInput, match="class"):
        submissions_of(tmp_path / "class")


def test_a_student_with_an_empty_folder_is_a_row(tmp_path):
    (tmp_path / "ada").mkdir()
    assert submissions_of(tmp_path)[0].problem == "empty"
