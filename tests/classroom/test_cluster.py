import dataclasses
import subprocess
import sys
import time

import dask
import pytest
from distributed import LocalCluster

import medlab
from medlab.classroom import cluster as module
from medlab.classroom.cluster import run_on_cluster
from medlab.classroom.submissions.restoring import RestoredNotebook
from medlab.classroom.workers import Task
from medlab.course.audience import answered
from medlab.errors import BadInput
from medlab.sandbox.isolation import LIMITS, Isolation

WITHOUT_MEDLAB = """
import sys
sys.modules["medlab"] = None
from distributed.cli.dask_worker import main
main()
"""


@pytest.fixture(scope="module")
def cluster():
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as made:
        yield made


def tasks(unit, count, add="def add(a, b): return a + b"):
    restored = RestoredNotebook(answered(unit, {"add": add}))
    names = [f"{time.time_ns()}-{number}" for number in range(count)]
    return [Task(name, unit, restored, b"key", LIMITS, isolation=Isolation()) for name in names]


def added(sat):
    return next(result.points for result in sat.judged.exercises if result.name == "add")


def test_a_cluster_grades_as_this_machine_does(cluster, tiny_unit):
    given = tasks(tiny_unit, 4)
    done = {task.name: added(sat) for task, sat in run_on_cluster(cluster.scheduler_address, given)}
    assert done == {task.name: 2 for task in given}


def test_a_lost_workers_sittings_are_done_again_elsewhere(tiny_unit):
    # Should the scheduler miss the death, it is to notice sooner than after its five minutes.
    dask.config.set({"distributed.scheduler.worker-ttl": "20s"})
    slow = "import time\ntime.sleep(1)\ndef add(a, b): return a + b"
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as made:
        given = tasks(tiny_unit, 4, slow)
        running = run_on_cluster(made.scheduler_address, given)
        done = [next(running)]
        made.workers[0].process.process._process.kill()
        done += list(running)
    done = {task.name: added(sat) for task, sat in done}
    assert done == {task.name: 2 for task in given}


def test_a_cluster_that_is_not_there_is_one_line(monkeypatch, tiny_unit):
    monkeypatch.setattr(module, "CONNECT_SECONDS", 1)
    with pytest.raises(BadInput, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        list(run_on_cluster("tcp://127.0.0.1:9", tasks(tiny_unit, 1)))


def test_a_nonsense_address_is_one_line(monkeypatch, tiny_unit):
    with pytest.raises(BadInput, match="no Dask scheduler answers at nonsense://x"):
        list(run_on_cluster("nonsense://x", tasks(tiny_unit, 1)))


def test_a_cluster_without_workers_is_one_line(tiny_unit):
    with (
        LocalCluster(n_workers=0, dashboard_address=":0") as empty,
        pytest.raises(BadInput, match="has no workers"),
    ):
        list(run_on_cluster(empty.scheduler_address, tasks(tiny_unit, 1)))


def test_a_worker_of_another_version_is_named(cluster, tiny_unit, monkeypatch):
    monkeypatch.setattr(medlab, "__version__", "9.9")
    with pytest.raises(BadInput, match=r"worker tcp://.* has medlab .*, this grader 9\.9"):
        list(run_on_cluster(cluster.scheduler_address, tasks(tiny_unit, 1)))


def test_a_worker_that_cannot_build_the_jail_is_named(cluster, tiny_unit):
    [task] = tasks(tiny_unit, 1)
    unknown = dataclasses.replace(task, jail="a tower")
    with pytest.raises(BadInput, match=r"worker tcp://.*: there is no jail 'a tower'"):
        list(run_on_cluster(cluster.scheduler_address, [unknown]))


def test_a_worker_without_medlab_is_named(cluster, tiny_unit):
    options = ["--no-nanny", "--no-dashboard", "--nthreads", "1"]
    command = [sys.executable, "-c", WITHOUT_MEDLAB, cluster.scheduler_address, *options]
    worker = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_for_workers(cluster, 3)
        with pytest.raises(BadInput, match=r"worker tcp://.* has no medlab: install version"):
            list(run_on_cluster(cluster.scheduler_address, tasks(tiny_unit, 1)))
    finally:
        worker.kill()
        worker.wait()


def wait_for_workers(cluster, count):
    deadline = time.monotonic() + 60
    while len(cluster.scheduler.workers) < count and time.monotonic() < deadline:
        time.sleep(0.1)
