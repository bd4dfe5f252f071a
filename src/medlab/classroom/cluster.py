"""Sittings on an existing dask.distributed cluster: submissions are the unit of work."""

from collections.abc import Iterable, Iterator

import medlab
from medlab.classroom.surroundings import surroundings
from medlab.classroom.workers import SittingOutcome, Task, sit
from medlab.errors import BadInput
from medlab.sandbox.isolation import choose, isolate
from medlab.text import one_line

CONNECT_SECONDS = 10
RETRIES = 2  # of a sitting whose worker is lost


def run_on_cluster(address: str, tasks: Iterable[Task]) -> Iterator[tuple[Task, SittingOutcome]]:
    """Yield each task with its outcome, as the cluster's workers finish.

    Workers need medlab, of the same version, and nothing else: the unit travels with the task. A
    lost worker's sittings are done again elsewhere. Raises BadInput if there is no cluster, it has
    no workers, or a worker is not fit.
    """
    from distributed import as_completed

    tasks = list(tasks)
    with _client(address) as client:
        _check_workers(client, address)
        _warm_up(client, {(task.jail, task.unit.entry.libraries) for task in tasks})
        futures = {
            client.submit(sit, task, key=f"medlab-{task.name}", retries=RETRIES, pure=False): task
            for task in tasks
        }
        for future in as_completed(futures, loop=client.loop):
            yield futures[future], _result(future)


def _client(address: str):
    try:
        from distributed import Client
    except ImportError:
        raise BadInput("--dask needs the package distributed: pip install distributed") from None
    try:
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BadInput(f"no Dask scheduler answers at {address} ({_one_line(error)})") from None


def _check_workers(client, address: str) -> None:
    """Ask every worker which medlab it has."""
    if not client.scheduler_info()["workers"]:
        raise BadInput(f"the cluster at {address} has no workers: start some with 'dask worker'")
    for worker, version in client.run(_version, on_error="return").items():
        if isinstance(version, OSError):
            continue  # it went away just now; others do its work
        if not isinstance(version, str):
            missing = f"worker {worker} has no medlab"
            raise BadInput(f"{missing}: install version {medlab.__version__} there")
        if version != medlab.__version__:
            differing = f"worker {worker} has medlab {version}, this grader {medlab.__version__}"
            raise BadInput(f"{differing}: install the same version on both")


def _version() -> str:
    """Return a worker's version of medlab; a worker without it fails to import this."""
    return medlab.__version__


def _warm_up(client, wanted: set[tuple[str, tuple[str, ...]]]) -> None:
    """Let all workers import the libraries at the same time, and find out who has no jail."""
    for worker, problem in client.run(_start_fork_servers, wanted, on_error="return").items():
        if isinstance(problem, str) and problem:
            raise BadInput(f"worker {worker}: {problem}")


def _start_fork_servers(wanted: set[tuple[str, tuple[str, ...]]]) -> str:
    """Start fork servers on a worker; return why none can run there, or an empty text."""
    try:
        for kind, libraries in wanted:
            isolate(choose(kind), libraries, surroundings())
    except BadInput as problem:
        return str(problem)
    return ""


def _result(future) -> SittingOutcome:
    error = future.exception()
    if error:
        return SittingOutcome(None, trouble=f"the cluster lost it: {_one_line(error)}")
    return future.result()


def _one_line(error: BaseException) -> str:
    return one_line(f"{type(error).__name__}: {error}", 200)
