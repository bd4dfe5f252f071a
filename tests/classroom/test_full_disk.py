"""Grading onto a disk that is full: a small one, in a mount namespace of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MEDLAB = Path(sys.executable).parent / "medlab"
MOUNT = """
import os, sys
from pathlib import Path
from medlab.sandbox import linux
uid, gid = os.geteuid(), os.getegid()
linux.unshare(linux.CLONE_NEWNS | (linux.CLONE_NEWUSER if uid else 0))
if uid:
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
linux.mount("none", Path("/"), flags=linux.MS_REC | linux.MS_PRIVATE)
linux.mount("tmpfs", Path(sys.argv[1]), "tmpfs", data=f"size={sys.argv[2]}")
os.execv(sys.argv[3], sys.argv[3:])
"""


@pytest.fixture
def on_a_disk_of(tiny_course, tmp_path):
    """Grade 30 broken submissions onto a disk of so many bytes."""
    if sys.platform != "linux":
        pytest.skip("only Linux has mount namespaces")
    for number in range(30):
        (tmp_path / "class" / f"s{number:02}").mkdir(parents=True)
        (tmp_path / "class" / f"s{number:02}" / "add-two.ipynb").write_text("oh no")
    (tmp_path / "out").mkdir()

    def grade(size: str, *options: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-c", MOUNT, tmp_path / "out", size]
        command += [MEDLAB, "grade", tmp_path / "class", "--out", tmp_path / "out", *options]
        env = os.environ | {"MEDLAB_JAIL": "limits"}
        ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
        if "PermissionError" in ran.stderr:
            pytest.skip("no mount namespace can be made here")
        return ran

    return grade


@pytest.mark.parametrize(
    ("size", "gradebook", "what"),
    [
        ("4k", "", "gradebook.db"),
        ("160k", "", "gradebook.db"),
        ("24k", "elsewhere.db", "grades.csv"),
    ],
)
def test_a_full_disk_is_one_line_that_says_what_to_do(
    on_a_disk_of, tmp_path, size, gradebook, what
):
    ran = on_a_disk_of(
        size, *(["--gradebook", f"sqlite:///{tmp_path / gradebook}"] if gradebook else [])
    )
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    told = ran.stderr.splitlines()[-1]
    assert told.startswith("medlab: ")
    assert what in told
    assert "No space left" in told or "disk is full" in told
    assert "free disk space" in told or "make room" in told


def test_with_room_enough_the_same_class_is_graded(on_a_disk_of):
    assert on_a_disk_of("50m").returncode == 0
