import time

import pytest

from medlab.sandbox import fork_client, isolation
from medlab.sandbox.isolation import isolate
from medlab.sandbox.kernel import Kernel
from medlab.sandbox.limits import Limits

if isolation.problem_with(isolation.NAMESPACES):
    pytest.skip(isolation.problem_with(isolation.NAMESPACES), allow_module_level=True)


@pytest.fixture
def parents():
    made = fork_client.ForkServers()
    yield made
    made.stop()


@pytest.fixture
def threaded(tmp_path, monkeypatch):
    """The name of a library that starts a thread when it is imported."""
    body = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True)"
    (tmp_path / "threaded.py").write_text(f"{body}.start()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "threaded"


def test_one_parent_serves_one_set_of_libraries(parents):
    assert parents.address(("json",)) == parents.address(("json",))
    assert parents.address(("json",)) != parents.address(())


def test_a_library_that_starts_threads_is_refused(threaded):
    with pytest.raises(fork_client.ForkError, match="starts threads"):
        fork_client.ForkServer((threaded,))


def test_then_kernels_come_from_a_parent_without_libraries(threaded):
    assert isolate("namespaces", (threaded,)).address == isolate("namespaces").address


def test_a_library_that_is_not_installed_is_left_out():
    parent = fork_client.ForkServer(("no_such_library",))
    assert parent.missing == ["no_such_library"]
    parent.stop()


def test_a_parent_that_was_killed_is_started_again(parents):
    first = parents.address(())
    parents._by_set[()]._process.kill()
    parents._by_set[()]._process.wait()
    assert parents.address(()) != first


def test_a_set_that_cannot_be_forked_is_tried_once(parents, threaded, monkeypatch):
    for _ in range(2):
        with pytest.raises(fork_client.ForkError, match="starts threads"):
            parents.address((threaded,))
        monkeypatch.setattr(fork_client, "ForkServer", None)


def test_nothing_of_the_working_folder_or_the_environment_reaches_a_parent(tmp_path, monkeypatch):
    (tmp_path / "json.py").write_text("raise SystemExit")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDLAB_SECRET", "secret")
    parent = fork_client.ForkServer(())
    with open(f"/proc/{parent._process.pid}/environ") as environment:
        assert "MEDLAB_SECRET" not in environment.read()
    parent.stop()


def test_a_kernel_ends_with_its_connection(tmp_path):
    kernel = Kernel(tmp_path / "k", Limits(5), isolate("namespaces"))
    process = kernel._manager.provisioner.process
    assert process.poll() is None
    kernel.stop()
    deadline = time.monotonic() + 5
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is not None


def test_the_exit_code_is_the_keepers_to_tell(tmp_path):
    kernel = Kernel(tmp_path / "k", Limits(5), isolate("namespaces"))
    process = kernel._manager.provisioner.process
    kernel.run("import os, signal; os.kill(os.getpid(), signal.SIGKILL); os._exit(7)")
    assert process.poll() == 7  # no signal of its own reaches the first process
    kernel.stop()


def test_a_jail_that_cannot_be_built_is_told(tmp_path):
    request = isolate("namespaces").request(tmp_path / "nowhere")
    with pytest.raises(fork_client.ForkError, match="No such file"):
        fork_client.ForkedKernel(isolate("namespaces").address, request | {"connection_file": "x"})


def test_random_numbers_differ_between_kernels_of_one_parent(tmp_path):
    said = set()
    for name in "ab":
        kernel = Kernel(tmp_path / name, Limits(5), isolate("namespaces"))
        source = "import numpy, random; (random.random(), numpy.random.rand())"
        said.add(kernel.run(source).outputs[0].data["text/plain"])
        kernel.stop()
    assert len(said) == 2
