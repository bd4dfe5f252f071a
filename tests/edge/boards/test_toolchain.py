"""Compilers: found, named, missed."""

import importlib.util
import os
import sys

import pytest

from medlab.edge.boards import toolchain
from medlab.errors import BadInput

GCC = """#!/bin/bash
[ "$1" = -dumpversion ] && { echo 12.3.4; exit; }
echo "main.c:1:1: warning: first" >&2
echo "main.c:2:2: error: second" >&2
echo "    2 |   int x = 3" >&2
exit 1
"""


@pytest.fixture
def only(tmp_path, monkeypatch):
    """Leave on PATH only the stand-ins that a test writes here; zig is not installed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("MEDLAB_TOOLCHAIN", raising=False)
    find_spec = importlib.util.find_spec
    hidden = lambda name, *rest: None if name == "ziglang" else find_spec(name, *rest)  # noqa: E731
    monkeypatch.setattr(toolchain.importlib.util, "find_spec", hidden)
    return tmp_path


def write_gcc(folder):
    (folder / toolchain.GCC).write_text(GCC)
    (folder / toolchain.GCC).chmod(0o755)


def test_zig_names_itself_and_its_version():
    assert toolchain.find("zig").name.startswith("ziglang 0.")


def test_a_gcc_that_is_there_is_preferred_and_names_its_version(tmp_path, monkeypatch):
    monkeypatch.delenv("MEDLAB_TOOLCHAIN", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    write_gcc(tmp_path)
    assert toolchain.find().name == "arm-none-eabi-gcc 12.3.4"
    assert toolchain.find("zig").kind == "zig"
    monkeypatch.setenv("MEDLAB_TOOLCHAIN", "zig")
    assert toolchain.find().kind == "zig"


def test_no_compiler_at_all_is_one_line_that_says_what_to_install(only):
    with pytest.raises(BadInput, match="pip install ziglang, or install gcc-arm-none-eabi"):
        toolchain.find()


def test_an_unknown_toolchain_is_refused():
    with pytest.raises(BadInput, match="no toolchain icc: use gcc or zig"):
        toolchain.find("icc")


def test_a_failed_build_gives_the_first_error_with_its_code_not_the_first_warning(only, tmp_path):
    write_gcc(only)
    found = toolchain.find()
    with pytest.raises(BadInput, match=r"a\.elf: main\.c:2:2: error: second: `int x = 3`$"):
        found.link("cortex-m4", [], tmp_path / "a.elf", tmp_path / "a.ld", tmp_path)


def test_zig_keeps_its_cache_with_medlabs_own(monkeypatch, tmp_path):
    monkeypatch.delenv("ZIG_GLOBAL_CACHE_DIR", raising=False)
    monkeypatch.setattr(toolchain.platformdirs, "user_cache_path", lambda name: tmp_path / name)
    environment = toolchain._environment()
    assert environment["ZIG_GLOBAL_CACHE_DIR"] == str(tmp_path / "medlab" / "zig")
    assert environment["ZIG_LOCAL_CACHE_DIR"] == environment["ZIG_GLOBAL_CACHE_DIR"]


COUNT = "import os, sys; sys.exit(f'error: {len(os.sched_getaffinity(0))} processors')"


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="processors cannot be chosen here")
def test_a_compiler_sees_few_processors_since_jails_count_its_threads(tmp_path, monkeypatch):
    monkeypatch.setattr(toolchain, "PROCESSORS", 1)
    before = os.sched_getaffinity(0)
    counting = toolchain.Toolchain("zig", (sys.executable, "-c", COUNT), "counting")
    with pytest.raises(BadInput, match="error: 1 processors"):
        counting.link("cortex-m4", [], tmp_path / "a.elf", tmp_path / "a.ld", tmp_path)
    assert os.sched_getaffinity(0) == before
