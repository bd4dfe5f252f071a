"""Real data come whole and checked, or not at all; the server here is on this machine."""

import hashlib
import io
import json
import socket
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from medlab.datasets import fetching, registry
from medlab.errors import BadInput

TABLE = b"star,magnitude\nVega,0.03\n" * 50


def zipped(**files) -> bytes:
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return memory.getvalue()


FILES = {
    "/table.csv": TABLE,
    "/images.zip": zipped(**{"train/a.txt": "a", "test/b.txt": "b"}),
    "/broken.zip": zipped(**{"train/a.txt": "a"})[:-30],
}


class Owner(BaseHTTPRequestHandler):
    """An owner's server: /half... promises a whole file and sends half of it."""

    asked = ()

    def do_GET(self):
        Owner.asked += (self.path,)
        content = FILES.get(self.path.replace("half-", ""))
        self.send_response(200 if content else 404)
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        if content:
            self.wfile.write(content[: len(content) // 2] if "half-" in self.path else content)

    def log_message(self, *_):
        pass


@pytest.fixture
def owner(monkeypatch):
    """The address of a server with FILES; nobody is in CI and no proxy stands between."""
    monkeypatch.setenv("CI", "")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Owner.asked = ()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Owner)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def stars(*files):
    real = registry.Real("Real stars", "CC0", "cite it", "https://stars.example", "look up", files)
    return registry.DataSet("stars", "Stars", "stars_maker", real)


def table(owner, name="table.csv", checksum=None):
    right = "sha256:" + hashlib.sha256(TABLE).hexdigest()
    return registry.File(name, f"{owner}/{name}", right if checksum is None else checksum)


def test_files_come_checked_and_archives_are_unpacked(owner, tmp_path):
    images = registry.File("images.zip", f"{owner}/images.zip", unpack=True)
    remarks = fetching.fetch(stars(table(owner), images), tmp_path / "stars")
    assert (tmp_path / "stars" / "table.csv").read_bytes() == TABLE
    assert (tmp_path / "stars" / "train" / "a.txt").read_text() == "a"
    assert (tmp_path / "stars" / "test" / "b.txt").read_text() == "b"
    assert remarks == ["images.zip: no checksum to compare with"]
    assert [path.name for path in tmp_path.iterdir()] == ["stars"]


def test_a_file_in_a_folder_lies_in_that_folder(owner, tmp_path):
    file = registry.File("tables/bright/t.csv", f"{owner}/table.csv")
    fetching.fetch(stars(file), tmp_path / "stars")
    assert (tmp_path / "stars" / "tables" / "bright" / "t.csv").read_bytes() == TABLE


def test_a_fetched_folder_says_where_each_file_is_from(owner, tmp_path):
    fetching.fetch(stars(table(owner, checksum="")), tmp_path / "stars")
    label = json.loads((tmp_path / "stars" / fetching.LABEL).read_text())
    assert (label["generated"], label["data set"], label["licence"]) == (False, "stars", "CC0")
    sha256 = hashlib.sha256(TABLE).hexdigest()
    assert label["files"] == [{"name": "table.csv", "url": f"{owner}/table.csv", "sha256": sha256}]


def refused(data_set, target) -> str:
    with pytest.raises(BadInput) as problem:
        fetching.fetch(data_set, target)
    assert "\n" not in str(problem.value)
    return str(problem.value)


def test_a_wrong_checksum_is_one_line_and_leaves_nothing(owner, tmp_path):
    said = refused(stars(table(owner, checksum="md5:" + "0" * 32)), tmp_path / "stars")
    assert "table.csv is not what its owner published" in said
    assert "https://stars.example" in said
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_breaks_off_is_one_line_and_leaves_nothing(owner, tmp_path):
    said = refused(stars(table(owner, "half-table.csv", "")), tmp_path / "stars")
    assert "half-table.csv was interrupted" in said
    assert list(tmp_path.iterdir()) == []


def test_no_network_is_one_line_and_leaves_nothing(owner, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        nobody = f"http://127.0.0.1:{free.getsockname()[1]}"
    assert "no connection to 127.0.0.1" in refused(stars(table(nobody)), tmp_path / "stars")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_moved_is_one_line_and_leaves_nothing(owner, tmp_path):
    assert "returns HTTP 404" in refused(stars(table(owner, "gone.csv")), tmp_path / "stars")
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_archive_is_one_line_and_leaves_nothing(owner, tmp_path):
    broken = registry.File("broken.zip", f"{owner}/broken.zip", unpack=True)
    said = refused(stars(broken), tmp_path / "stars")
    assert "broken.zip is not a readable archive" in said
    assert list(tmp_path.iterdir()) == []


def test_another_try_goes_on_from_the_whole_files(owner, tmp_path):
    refused(stars(table(owner), table(owner, "half-table.csv", "")), tmp_path / "stars")
    assert not (tmp_path / "stars").exists()
    second = registry.File("second.csv", f"{owner}/table.csv")
    fetching.fetch(stars(table(owner), second), tmp_path / "stars")
    assert Owner.asked == ("/table.csv", "/half-table.csv", "/table.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["stars"]


def test_a_ctrl_c_leaves_nothing(owner, tmp_path, monkeypatch):
    import pooch

    def stopped(self, url, output_file, *_, **__):
        with open(output_file, "wb") as file:
            file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", stopped)
    with pytest.raises(KeyboardInterrupt):
        fetching.fetch(stars(table(owner)), tmp_path / "stars")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_not_touched(owner, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    assert "not empty" in refused(stars(table(owner)), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert Owner.asked == ()


def test_a_folder_that_cannot_be_made_is_one_line(owner):
    assert "cannot be written" in refused(stars(table(owner)), Path("/proc/nosuch/stars"))


def test_nothing_is_fetched_in_ci(owner, tmp_path, monkeypatch):
    monkeypatch.setenv("CI", "true")
    assert "does not run in CI" in refused(stars(table(owner)), tmp_path / "stars")
    assert Owner.asked == ()
