"""A checkpoint: a process in a jail that has run cells, and from which kernels are forked.

It has the interactive shell of a kernel but no kernel: no sockets and no threads, so that a fork
of it goes on where it stopped. What its cells display is recorded. It runs the course's own cells;
code of students runs in kernels only.
"""

import gc
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from medlab.sandbox import linux, namespaces, recording
from medlab.sandbox.allowance import Allowance
from medlab.sandbox.forking import SETTINGS, listen, redirect, tell, threads


class Unfit(Exception):
    """The process cannot be forked as it is; the text says why."""


def become(
    connection: socket.socket, request: dict, shared: Path | None, serve: Callable[..., None]
) -> None:
    """Turn this process into a checkpoint: run cells, then fork kernels; never return.

    request: address (of the socket to listen on), shared (the folder that the jail shares with the
    outside), root (an empty folder), cells, work, environment, allowance, readable, hidden,
    seconds. In the jail of another checkpoint, where shared is given, it gets one of its own.
    Answers with 'ready' and the messages that each cell displayed; raises Unfit.
    """
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # an endless cell ends the process
    signal.setitimer(signal.ITIMER_REAL, request["seconds"])
    listener = listen(request["address"])
    _enter_jail(request, shared)
    redirect(os.open(os.devnull, os.O_RDWR))
    os.environ.clear()
    os.environ.update(request["environment"] | SETTINGS)
    os.chdir(request["work"])
    before = _shared_memory()
    shown = [_run(cell) for cell in request["cells"]]
    gc.collect()
    _check_fitness(before)
    signal.setitimer(signal.ITIMER_REAL, 0)
    tell(connection, ready=True, shown=shown)
    serve(listener, connection.fileno(), Path(request["shared"]))


def _enter_jail(request: dict, shared: Path | None) -> None:
    allowance = Allowance(**request["allowance"])
    if shared:
        namespaces.branch_off(shared, shared, allowance, linux.CLONE_NEWNS)
        return
    root = Path(request["root"])
    namespaces.enter_namespaces(linux.CLONE_NEWNS)
    shared, shown, hidden = Path(request["shared"]), request["readable"], request["hidden"]
    namespaces.build_root(root, shared, allowance, shown, hidden)
    namespaces.enter_root_of_checkpoint(root)


def _run(cell: str) -> list[dict]:
    messages, error = recording.run(cell)
    if error:
        raise Unfit(f"a cell raises {error}")
    return messages


def _check_fitness(shared_before: set[str]) -> None:
    """Raise Unfit if forks of this process could hang, or could write into each other's memory."""
    if threads() != 1:
        raise Unfit(f"a cell starts threads ({threads() - 1})")
    if _shared_memory() - shared_before:
        raise Unfit("a cell shares memory with other processes")


def _shared_memory() -> set[str]:
    """Return the mappings of memory that a fork would write to together with this process."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {line for line in lines if line.split()[1] == "rw-s"}
