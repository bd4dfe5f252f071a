"""Sittings as units of work: done here in processes of their own, or anywhere medlab is."""

import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait

from medlab.classroom.referee.engine import SittingResult, judge_notebook, with_parameters
from medlab.classroom.referee.pace import Pace
from medlab.classroom.submissions.restoring import RestoredNotebook
from medlab.classroom.surroundings import surroundings
from medlab.course import Unit
from medlab.sandbox.allowance import limit_growth
from medlab.sandbox.fork_client import ForkServerGone
from medlab.sandbox.isolation import Isolation, isolate
from medlab.sandbox.limits import Limits

LATE_SECONDS = 600  # over a sitting's own limit; then its worker is replaced
GROWTH_BYTES = 2_000_000_000  # that a worker's memory may grow by; jailed code may send it much
TRIES = 2  # for a sitting whose worker, or fork server, dies


@dataclass(frozen=True)
class Task:
    """One sitting: all that a worker needs, and nothing that is on one machine only."""

    name: str  # tells sittings apart
    unit: Unit
    restored: RestoredNotebook
    key: bytes  # of the sitting, from sitting_key
    jail: str
    limits: Limits = field(default_factory=Limits)
    seed: int = 0  # of the notebook: the same for a whole class, which so has one beginning
    beginning: tuple[str, ...] = ()  # sources of the cells before the first exercise
    pace: Pace = field(default_factory=Pace)  # of the solution
    # None: of the kind named; a pool gives all its workers one, a worker of a cluster has its own.
    isolation: Isolation | None = None


@dataclass
class SittingOutcome:
    """The result of a sitting, or why it has none."""

    judged: SittingResult | None
    seconds: float = 0
    trouble: str = ""  # a traceback for the instructor, if it could not be judged
    again: bool = False  # it was not the submission's doing: another try may succeed
    remark: str = ""  # why its kernel was not forked behind the unit's beginning


def sit(task: Task) -> SittingOutcome:
    """Run and judge one sitting; an error is part of the outcome and never raised."""
    outcome = _try(task)
    # A fork server of one's own that died is replaced here, a pool's by the pool.
    return _try(task) if outcome.again and task.isolation is None else outcome


def _try(task: Task) -> SittingOutcome:
    started = time.perf_counter()
    outcome = SittingOutcome(None)
    try:
        ready = with_isolation(task)
        outcome.remark = ready.isolation.remark
        outcome.judged = _judge(ready)
    except Exception as error:
        outcome.trouble = traceback.format_exc()
        outcome.again = isinstance(error, ForkServerGone)
    outcome.seconds = round(time.perf_counter() - started, 2)
    return outcome


def with_isolation(task: Task) -> Task:
    """Return a task with isolation whose fork server, if it has one, is alive now."""
    if task.isolation is not None:
        return task
    libraries = task.unit.entry.libraries
    isolation = isolate(task.jail, libraries, surroundings(task.unit.entry.hides), task.beginning)
    return replace(task, isolation=isolation)


def _judge(task: Task) -> SittingResult:
    """Run a task's notebook, with the seed of its class, and judge it."""
    notebook = with_parameters(task.restored.notebook, {"SEED": task.seed})
    restored = replace(task.restored, notebook=notebook)
    return judge_notebook(
        task.unit, restored, task.key, task.limits, task.isolation, pace=task.pace
    )


class WorkerPool:
    """Worker processes that sit for one submission each at a time.

    Fork servers are this process's, one for each set of libraries: what they import is imported
    once for all workers.
    """

    def __init__(self, size: int):
        self._size = size
        self._workers: list[Worker] = []

    def __enter__(self) -> "WorkerPool":
        # All at once: they import what they need while the first fork server does the same.
        self._workers = [Worker() for _ in range(self._size)]
        return self

    def __exit__(self, *_) -> None:
        while self._workers:
            self._workers.pop().stop()

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, SittingOutcome]]:
        """Yield each task with its outcome, as it is done.

        A worker that dies, or takes too long, costs its own sitting at most, after TRIES. A fork
        server that dies is replaced, and its sittings are done again. Raises BadInput if none can
        be started.
        """
        waiting = deque((task, 1) for task in tasks)
        while waiting or any(worker.task for worker in self._workers):
            self._hand_out(waiting)
            for worker in self._done():
                task, tries, sat = worker.take()
                if sat is None:
                    self._replace(worker)
                    trouble = f"the worker was lost with {task.name}"
                    sat = SittingOutcome(None, trouble=trouble, again=not worker.late)
                if sat.again and tries < TRIES:
                    waiting.append((task, tries + 1))
                else:
                    yield task, sat

    def _hand_out(self, waiting: deque) -> None:
        free = [worker for worker in self._workers if worker.task is None]
        while waiting and (free or len(self._workers) < self._size):
            if not free:
                free.append(Worker())
                self._workers.append(free[-1])
            free.pop().give(*waiting.popleft())

    def _done(self) -> list["Worker"]:
        """Return the busy workers that have something to tell, are gone, or are late."""
        busy = [worker for worker in self._workers if worker.task]
        ready = wait([worker.connection for worker in busy], timeout=1)
        return [worker for worker in busy if worker.connection in ready or worker.late]

    def _replace(self, worker: "Worker") -> None:
        worker.stop()
        self._workers.remove(worker)


class Worker:
    """One process and the sitting it is at."""

    def __init__(self):
        context = multiprocessing.get_context("spawn")
        # A spawned process would look for modules in the working folder, among submissions perhaps.
        os.environ["PYTHONSAFEPATH"] = "1"
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs,))
        self._process.start()
        theirs.close()
        self.task: Task | None = None
        self._tries = 0
        self._deadline = 0.0

    @property
    def late(self) -> bool:
        return time.monotonic() > self._deadline

    def give(self, task: Task, tries: int) -> None:
        """Start on a task; raise BadInput if there is no isolation for it."""
        there = with_isolation(task)
        self.task, self._tries = task, tries
        self._deadline = time.monotonic() + task.limits.sitting_seconds + LATE_SECONDS
        with contextlib.suppress(OSError):  # a dead worker shows when it is asked
            self.connection.send(there)

    def take(self) -> tuple[Task, int, SittingOutcome | None]:
        """Return the task and its outcome, or None if the worker is lost."""
        task, self.task = self.task, None
        try:
            return task, self._tries, self.connection.recv() if self.connection.poll() else None
        except (EOFError, OSError):
            return task, self._tries, None

    def stop(self) -> None:
        """End the process at once; its kernels end with it."""
        self._process.kill()
        self._process.join()
        self.connection.close()


def _work(connection: Connection) -> None:
    """Sit for one task after the other until the grader is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the grader's to handle
    if sys.platform == "linux":
        from medlab.sandbox import linux

        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        limit_growth(GROWTH_BYTES)
    importlib.import_module("papermill")  # now, and not during the first sitting
    with contextlib.suppress(EOFError, OSError):
        while True:
            connection.send(sit(connection.recv()))
