import os
import subprocess
import sys
from pathlib import Path

import pytest

from medlab import files
from medlab.errors import BadInput

MAKE = "import sys, time; from medlab.files import folder_for_sockets as f; made = f(); "
MAKE += "print(made.name, flush=True); time.sleep(60)"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder in which temporary folders are made."""
    monkeypatch.setattr(files, "_place", lambda: str(tmp_path))
    return tmp_path


@pytest.fixture
def somebody_else(place):
    """A process that has made a folder there, and the folder."""
    code = f"import medlab.files; medlab.files._place = lambda: {str(place)!r}; {MAKE}"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    yield process, Path(process.stdout.readline().strip())
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_folder_of_a_process_that_was_killed_is_removed(somebody_else):
    process, folder = somebody_else
    assert folder.is_dir()
    assert (folder / "owner").read_text() == f"{process.pid}\n"
    assert files.clear_abandoned() == []
    process.kill()
    process.wait()
    assert files.clear_abandoned() == [folder]
    assert not folder.exists()


def test_ones_own_folders_stay_until_they_are_cleared(place):
    with files.folder_for_sockets() as folder:
        assert files.clear_abandoned() == []
        assert Path(folder).is_dir()
    assert list(place.iterdir()) == []


def test_a_folder_without_an_owner_on_record_and_links_are_left_alone(place, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "owner").write_text("1\n")
    (place / "medlab-link").symlink_to(elsewhere)
    (place / "medlab-mine").mkdir()
    (place / "medlab-linked-owner").mkdir()
    (place / "medlab-linked-owner" / "owner").symlink_to(elsewhere / "owner")
    (place / "other").mkdir()
    (place / "other" / "owner").write_text("1\n")
    assert files.clear_abandoned() == []
    assert len(list(place.iterdir())) == 4


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_users_folder_is_left_alone(place):
    (place / "medlab-theirs").mkdir()
    (place / "medlab-theirs" / "owner").write_text("1\n")
    os.chown(place / "medlab-theirs", 1234, 1234)
    assert files.clear_abandoned() == []


def test_yaml_is_read_as_it_is(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [1, é]\n", encoding="utf-8")
    assert files.read_yaml(tmp_path / "a.yaml") == {"a": [1, "é"]}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"a: 1\nb: [\n", r"a\.yaml:3: not valid YAML"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (None, "cannot be read"),
    ],
)
def test_yaml_that_cannot_be_read_is_one_line(tmp_path, content, told):
    if content is not None:
        (tmp_path / "a.yaml").write_bytes(content)
    with pytest.raises(BadInput, match=told):
        files.read_yaml(tmp_path / "a.yaml")


def test_a_free_name_is_the_path_itself_or_the_next_number(tmp_path):
    path = tmp_path / "a.txt"
    for expected in ("a.txt", "a.1.txt", "a.2.txt"):
        found = files.free_name(path)
        assert found == tmp_path / expected
        found.write_text("taken")


def test_a_file_is_looked_for_upwards_and_then_elsewhere(tmp_path):
    (tmp_path / "course").mkdir()
    (tmp_path / "a/b").mkdir(parents=True)
    assert files.find_above(tmp_path / "a/b", "course") == tmp_path.resolve()
    assert files.find_above(tmp_path / "a/b", "b", [tmp_path, tmp_path / "a"]) == tmp_path / "a"
    assert files.find_above(tmp_path, "no such file") is None
