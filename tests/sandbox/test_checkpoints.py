"""Kernels that are forked behind cells which ran once."""

import tempfile
from pathlib import Path

import pytest

from medlab.sandbox.checkpoints import Checkpoint, kernel_folder
from medlab.sandbox.fork_client import ForkError
from medlab.sandbox.isolation import (
    NAMESPACES,
    Surroundings,
    go_on_from,
    isolate,
    problem_with,
)
from medlab.sandbox.kernel import Kernel
from medlab.sandbox.limits import Limits
from medlab.sandbox.messages import recorded_outputs

CELLS = (
    "import os\nseen = [os.getcwd()]\nopen('kept.txt', 'w').write('from the start')",
    "print('hello')\n6 * 7",
)


@pytest.fixture(scope="module")
def isolation():
    if problem_with(NAMESPACES):
        pytest.skip(problem_with(NAMESPACES))
    return isolate(NAMESPACES, cells=CELLS)


@pytest.fixture
def start_kernel():
    """Start kernels that end with the test."""
    started = []

    def start(isolation) -> Kernel:
        folder = kernel_folder(isolation.start)
        started.append((Kernel(Path(folder.name, "k"), Limits(20), isolation), folder))
        return started[-1][0]

    yield start
    for kernel, folder in started:
        kernel.stop()
        folder.cleanup()


def value_of(kernel, expression) -> str:
    result = kernel.run(expression)
    assert result.status == "ok", result.error
    return result.outputs[-1].data["text/plain"]


def test_a_kernel_goes_on_behind_the_cells(isolation, start_kernel):
    kernel = start_kernel(isolation)
    assert value_of(kernel, "seen + [os.getcwd()]") == "['/learner/work', '/learner/work']"
    assert value_of(kernel, "open('kept.txt').read()") == "'from the start'"


def test_what_the_cells_displayed_is_recorded(isolation):
    first, second = (recorded_outputs(shown, 10_000) for shown in isolation.start.shown)
    assert [output.data["text/plain"] for output in first] == ["14"]
    assert second[0].text == "hello\n"
    assert second[1].data["text/plain"] == "42"


def test_two_kernels_share_neither_names_nor_files(isolation, start_kernel):
    one, other = start_kernel(isolation), start_kernel(isolation)
    one.run("seen.append('mine')\nopen('kept.txt', 'a').write('!')\nopen('new.txt', 'w')")
    assert value_of(other, "seen") == "['/learner/work']"
    assert value_of(other, "open('kept.txt').read()") == "'from the start'"
    assert value_of(other, "os.listdir()") == "['kept.txt']"


def test_a_kernel_sees_no_folder_of_another_one(isolation, start_kernel):
    one, other = start_kernel(isolation), start_kernel(isolation)
    for kernel in (one, other):
        assert value_of(kernel, f"len(os.listdir({isolation.start.shared!r}))") == "1"
    assert value_of(one, f"os.listdir({isolation.start.shared!r})") != value_of(
        other, f"os.listdir({isolation.start.shared!r})"
    )


def test_a_kernel_of_a_checkpoint_is_as_isolated_as_any_other(isolation, start_kernel):
    kernel = start_kernel(isolation)
    assert value_of(kernel, "[p for p in os.listdir('/proc') if p.isdigit()]") == "['1']"
    assert value_of(kernel, "os.getuid() > 0, os.path.exists('/home')") == "(True, False)"
    mount = "__import__('ctypes').CDLL(None).mount(b'a', b'/tmp', b'tmpfs', 0, b'')"
    assert value_of(kernel, mount) == "-1"
    assert kernel.run("import socket; socket.create_connection(('127.0.0.1', 9))").status == "error"


def test_what_a_kernel_may_read_is_shown_and_not_copied(isolation, start_kernel):
    """Also where it lies in a folder of which each kernel gets a copy, as /tmp."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        scan = Path(folder, "scan")
        scan.write_text("as it was")
        shown = Surroundings(readable=(folder,))
        kernel = start_kernel(isolate(NAMESPACES, surroundings=shown, cells=CELLS))
        assert value_of(kernel, f"open('{scan}').read()") == "'as it was'"
        assert value_of(kernel, f"os.path.ismount('{folder}')") == "True"
        written = kernel.run(f"open('{scan}', 'w').write('changed')")
        assert "Read-only file system" in written.error
        assert scan.read_text() == "as it was"


def test_the_checkpoint_reads_nothing_that_its_kernels_may_not_read():
    cell = "import os\nassert not os.path.exists('/home'), os.listdir('/')"
    assert isolate(NAMESPACES, cells=(cell,)).remark == ""


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        (
            "import threading, time\nthreading.Thread(target=time.sleep, args=(9,)).start()",
            "thread",
        ),
        ("1 / 0", "ZeroDivisionError"),
        (
            "import mmap\nf = open('m', 'w+b')\nf.truncate(4096)\nm = mmap.mmap(f.fileno(), 4096)",
            "shares memory",
        ),
    ],
)
def test_cells_after_which_no_process_can_be_forked_are_named(cell, reason):
    made = isolate(NAMESPACES, cells=(cell,))
    assert made.start is None
    assert reason in made.remark


def test_a_checkpoint_is_extended_without_changing_the_earlier_one(isolation, start_kernel):
    base = isolate(NAMESPACES)
    first = Checkpoint(base.address, base.checkpoint_request(), ("a = 1",))
    second = first.extended(("a += 1\nopen('late.txt', 'w')", "b = a"))
    assert second.start.cells == ("a = 1", "a += 1\nopen('late.txt', 'w')", "b = a")
    late, early = (start_kernel(go_on_from(base, one.start)) for one in (second, first))
    assert value_of(late, "a, b") == "(2, 2)"
    assert value_of(early, "a, __import__('os').listdir()") == "(1, [])"
    second.close()
    first.close()


def test_a_checkpoint_that_is_gone_makes_no_kernel(isolation):
    base = isolate(NAMESPACES)
    gone = Checkpoint(base.address, base.checkpoint_request(), ("a = 1",))
    gone.close()
    with pytest.raises(ForkError):
        gone.extended(("b = 2",))


def test_a_hidden_file_can_be_neither_imported_nor_read(start_kernel):
    from dataclasses import replace

    import medlab.scale as hidden
    from medlab.sandbox.isolation import Surroundings

    made = isolate(NAMESPACES, (), replace(Surroundings(), hidden=(hidden.__file__,)))
    kernel = start_kernel(made)
    assert "hidden while you are graded" in kernel.run("import medlab.scale").error
    assert value_of(kernel, f"'SCALES' in open({hidden.__file__!r}).read()") == "False"
