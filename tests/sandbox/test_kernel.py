import os

import psutil
import pytest

from medlab.sandbox.kernel import Kernel
from medlab.sandbox.limits import Limits

SHORT = Limits(cell_seconds=2, output_bytes=10_000, answer_bytes=100_000)


@pytest.fixture
def kernel(tmp_path):
    started = Kernel(tmp_path / "k", SHORT)
    yield started
    started.stop()


def test_a_cell_gives_its_outputs(kernel):
    ran = kernel.run("print('hello')\n40 + 2")
    assert ran.status == "ok"
    assert ran.outputs[0].text == "hello\n"
    assert ran.outputs[1].data["text/plain"] == "42"


def test_an_error_is_one_line_and_the_kernel_lives_on(kernel):
    assert kernel.run("1 / 0").error == "ZeroDivisionError: division by zero"
    assert kernel.run("1").status == "ok"


def test_a_cell_that_python_cannot_read_is_told_by_its_line_not_by_a_file(kernel):
    assert kernel.run("x = 1\ndef f(:\n    pass").error == (
        "SyntaxError: invalid syntax (line 2 of the cell)"
    )


def test_an_endless_cell_is_interrupted_and_the_kernel_lives_on(kernel):
    assert kernel.run("while True: pass").status == "timeout"
    assert kernel.alive
    assert kernel.run("1").status == "ok"


def test_an_endless_cell_that_swallows_interrupts_is_killed(kernel):
    stubborn = "import time\nwhile 1:\n    try: time.sleep(9)\n    except BaseException: pass"
    assert kernel.run(stubborn).status == "timeout"
    assert not kernel.alive


def test_a_cell_that_ends_the_process_is_noticed(kernel):
    assert kernel.run("import os; os._exit(1)").status == "killed"
    assert not kernel.alive


def test_sys_exit_is_an_error_like_any_other(kernel):
    assert kernel.run("import sys; sys.exit(0)").status == "error"
    assert kernel.run("1").status == "ok"


def test_outputs_are_cut_at_their_limit(kernel):
    ran = kernel.run("for i in range(2000): print('x' * 100)")
    assert sum(len(output.text) for output in ran.outputs) < 50_000
    assert "[output cut here]" in ran.outputs[-1].text


def test_a_kernel_starts_in_an_empty_folder_without_the_graders_variables(kernel, monkeypatch):
    assert kernel.run("import os; assert os.listdir() == []").status == "ok"
    assert kernel.run("assert 'MEDLAB_SECRET' not in os.environ").status == "ok"


def test_the_graders_secret_is_not_passed_on(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDLAB_SECRET", "x")
    started = Kernel(tmp_path / "k", SHORT)
    ran = started.run("import os; assert 'MEDLAB_SECRET' not in os.environ")
    started.stop()
    assert ran.status == "ok"


def test_a_stopped_kernel_takes_its_children_along(kernel):
    pid = kernel.run("import subprocess; subprocess.Popen(['sleep', '60']).pid").outputs[0]
    child = int(pid.data["text/plain"])
    assert psutil.pid_exists(child)
    kernel.stop()
    gone = not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"
    assert gone


def test_two_kernels_do_not_share_a_folder(tmp_path):
    kernels = [Kernel(tmp_path / name, SHORT) for name in "ab"]
    folders = {k.run("import os; os.getcwd()").outputs[0].data["text/plain"] for k in kernels}
    for one in kernels:
        one.stop()
    assert len(folders) == 2
    assert os.path.realpath(tmp_path) in os.path.realpath(eval(folders.pop()))


@pytest.mark.parametrize("leave", ["quit()", "exit", "get_ipython().ask_exit()"])
def test_a_cell_that_quits_leaves_no_kernel_that_is_about_to_end(kernel, leave):
    kernel.run(leave)
    assert not kernel.alive
