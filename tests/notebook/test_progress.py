"""Progress is kept whole: two notebooks at once, a crash half-way, a damaged file."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlab import files
from medlab.errors import BadInput
from medlab.notebook import progress
from medlab.notebook.progress import ladder, read, record


def test_no_file_is_no_progress(tmp_path):
    assert read(tmp_path) == {}
    assert not (tmp_path / "work").exists()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8), st.booleans()), max_size=8))
def test_the_latest_result_of_each_check_is_read_back(results):
    expected = {}
    with tempfile.TemporaryDirectory() as folder:
        for slug, exercise, passed in results:
            record(Path(folder), slug, exercise, passed)
            expected.setdefault(slug, {})[exercise] = passed
        assert read(Path(folder)) == expected


def test_the_file_says_its_schema(tmp_path):
    record(tmp_path, "add-two", "add", True)
    content = json.loads((tmp_path / "work" / "progress.json").read_text(encoding="utf-8"))
    assert content == {"schema": 1, "units": {"add-two": {"add": True}}}


def test_two_notebooks_at_once_lose_nothing(tmp_path):
    pytest.importorskip("fcntl")
    code = (
        "import sys; from pathlib import Path; from medlab.notebook.progress import record\n"
        "for i in range(40): record(Path(sys.argv[1]), sys.argv[2], f'e{i}', True)"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), slug])
        for slug in ("one", "two")
    ]
    assert [process.wait(60) for process in both] == [0, 0]
    assert {slug: len(results) for slug, results in read(tmp_path).items()} == {
        "one": 40,
        "two": 40,
    }


def test_a_crash_while_writing_leaves_the_old_file(tmp_path, monkeypatch):
    record(tmp_path, "add-two", "add", True)

    def power_cut(*_):
        raise OSError(5, "power cut")

    monkeypatch.setattr(files.os, "fsync", power_cut)
    with pytest.raises(BadInput, match=r"progress\.json cannot be written \(power cut\)"):
        record(tmp_path, "add-two", "mean", True)
    assert read(tmp_path) == {"add-two": {"add": True}}
    assert not list((tmp_path / "work").glob(".unfinished-*"))


DAMAGED = [
    "",
    "{",
    "[]",
    "null",
    "{}",
    '{"units": []}',
    '{"units": {"a": 1}}',
    '{"units": {"a": {"b": "yes"}}}',
    "[" * 100_000,
    "\x00",
]


@pytest.mark.parametrize("content", DAMAGED, ids=lambda content: repr(content[:12]))
def test_a_damaged_file_is_moved_aside_with_one_line_and_work_goes_on(tmp_path, capsys, content):
    path = tmp_path / "work" / "progress.json"
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")
    assert read(tmp_path) == {}
    notice = capsys.readouterr().err
    assert notice.count("\n") == 1
    assert "progress.json.damaged" in notice
    assert path.with_name("progress.json.damaged").read_text(encoding="utf-8") == content
    record(tmp_path, "add-two", "add", True)
    assert read(tmp_path) == {"add-two": {"add": True}}


def test_bytes_that_are_not_text_are_moved_aside(tmp_path):
    path = tmp_path / "work" / "progress.json"
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe\x00\xd8")
    record(tmp_path, "add-two", "add", True)
    assert path.with_name("progress.json.damaged").read_bytes() == b"\xff\xfe\x00\xd8"


def test_a_second_damaged_file_does_not_replace_the_first(tmp_path):
    path = tmp_path / "work" / "progress.json"
    path.parent.mkdir()
    for content in ("first", "second"):
        path.write_text(content, encoding="utf-8")
        read(tmp_path)
    assert path.with_name("progress.json.damaged").read_text(encoding="utf-8") == "first"
    assert path.with_name("progress.json.1.damaged").read_text(encoding="utf-8") == "second"


def test_a_work_folder_that_is_a_file_is_one_line(tmp_path):
    (tmp_path / "work").write_text("", encoding="utf-8")
    with pytest.raises(BadInput, match="cannot be written"):
        record(tmp_path, "add-two", "add", True)


def test_the_ladder_counts_passed_checks_and_names_the_state(tiny_course):
    def seen():
        return [(row.slug, row.passed, row.exercises, row.state) for row in ladder(tiny_course)][:1]

    assert seen() == [("add-two", 0, 2, "not started")]
    record(tiny_course, "add-two", "add", False)
    assert seen() == [("add-two", 0, 2, "started")]
    record(tiny_course, "add-two", "add", True)
    assert seen() == [("add-two", 1, 2, "started")]
    record(tiny_course, "add-two", "mean", True)
    assert seen() == [("add-two", 2, 2, "all checks pass")]


def test_a_copy_in_work_is_a_start(tiny_course):
    (tiny_course / "work").mkdir()
    (tiny_course / "work" / "add-two.ipynb").write_text("{}", encoding="utf-8")
    assert ladder(tiny_course)[0].state == "started"


def test_a_check_that_the_unit_no_longer_has_does_not_count(tiny_course):
    record(tiny_course, "add-two", "renamed", True)
    record(tiny_course, "long-gone", "add", True)
    row = ladder(tiny_course)[0]
    assert (row.passed, row.exercises) == (0, 2)


def test_the_note_says_where_grades_come_from():
    assert progress.NOTE == "These are visible checks only. Grades come from `medlab grade`."
