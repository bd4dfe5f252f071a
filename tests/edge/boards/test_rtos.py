"""The alarm beside a network on a FreeRTOS kernel, where FREERTOS_PATH names one."""

import importlib.util
import os
import subprocess
import sys

import pytest

from medlab.edge import boards

SCRIPT = boards.find_hardware_labs() / "rtos" / "build.py"
TREE = os.environ.get("FREERTOS_PATH", "")


def told(tree, *options):
    """What the build command prints, and its exit status."""
    environment = {key: value for key, value in os.environ.items() if key != "FREERTOS_PATH"}
    environment |= {"FREERTOS_PATH": str(tree)} if tree else {}
    command = [sys.executable, SCRIPT, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return done.stdout, done.stderr, done.returncode


def test_without_a_tree_the_build_says_what_to_set():
    out, errors, status = told(None)
    assert (out, status) == ("", 2)
    assert errors.count("\n") == 1
    assert errors.startswith("rtos: FREERTOS_PATH is not set")


def test_a_folder_that_is_no_kernel_is_named(tmp_path):
    (tmp_path / "tasks.c").write_text("")
    out, errors, status = told(tmp_path)
    assert (out, status) == ("", 2)
    assert errors == f"rtos: FREERTOS_PATH names {tmp_path}, which has no list.c: correct it\n"


@pytest.mark.skipif(not TREE, reason="FREERTOS_PATH is not set")
def test_freertos_gives_the_alarm_at_once_unless_the_network_locks_it_out():
    spec = importlib.util.spec_from_file_location("rtos_build", SCRIPT)
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    assert max(build.delays(locked=False)) < 1_000
    locked = build.delays(locked=True)
    assert min(locked) < 1_000
    assert max(locked) > 20_000
