"""The keeper of one forked kernel: puts it into its jail, passes signals on, watches its memory.

A request names the kernel's folder, working folder, connection file, environment, allowance,
isolation level, readable paths and a number. The keeper answers 'ready' or 'failed', later 'exit',
and obeys a line with the number of a signal.
"""

import contextlib
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path

from medlab.sandbox import allowance, namespaces, recording
from medlab.sandbox.allowance import Allowance
from medlab.sandbox.forking import SETTINGS, redirect, tell

WATCH_SECONDS = 0.25  # between two looks at a jail's memory


class Keeper:
    """Fork one kernel into its jail, pass signals on, and watch its memory."""

    def __init__(self, connection: socket.socket, request: dict, shared: Path | None):
        self._connection, self._request, self._shared = connection, request, shared
        self._sockets = Path(request["folder"], "sockets")
        self._root = Path(request["folder"], "root")
        self._allowance = Allowance(**request["allowance"])
        self._jailed = request["jail"] == "namespaces"
        self._baseline = 0

    def run(self) -> None:
        """Keep the kernel until it ends or the client lets go of it."""
        self._build_jail()
        log = os.memfd_create("launch")
        bound, say_bound = os.pipe()
        kernel = os.fork()
        if kernel == 0:
            os.close(bound)
            self._connection.close()
            self._be_kernel(say_bound, log)
        os.close(say_bound)
        ended = os.pidfd_open(kernel)
        if not os.read(bound, 1):
            tell(self._connection, failed=_tail(log))
            return
        os.close(log)
        if self._jailed:
            namespaces.close_sockets(self._sockets)
            self._baseline = allowance.memory_bytes()
        tell(self._connection, ready=True)
        self._watch(kernel, ended)

    def _build_jail(self) -> None:
        """Create the namespaces, from scratch or from the jail of the checkpoint we come from."""
        if self._shared:
            namespaces.branch_off(self._shared, self._sockets, self._allowance)
        elif self._jailed:
            namespaces.enter_namespaces()
            shown, hidden = self._request["readable"], self._request["hidden"]
            namespaces.build_root(self._root, self._sockets, self._allowance, shown, hidden)

    def _enter_jail(self) -> None:
        if self._shared:
            namespaces.show_processes()
        elif self._jailed:
            namespaces.enter_root(self._root)

    def _be_kernel(self, say_bound: int, log: int) -> None:
        """Turn this process into a kernel; never return."""
        status = 1
        try:
            os.setsid()
            redirect(log)
            _close_all_but(say_bound)
            self._enter_jail()
            os.environ.clear()
            os.environ.update(self._request["environment"] | SETTINGS)
            os.chdir(self._request["work"])
            allowance.limit(self._allowance)
            if self._jailed:
                namespaces.become_nobody(self._request["number"])
            _run_kernel(self._request["connection_file"], say_bound)
            status = 0
        except BaseException:
            import traceback

            os.write(2, traceback.format_exc().encode())
        finally:
            os._exit(status)

    def _watch(self, kernel: int, ended: int) -> None:
        while True:
            ready, _, _ = select.select([self._connection, ended], [], [], WATCH_SECONDS)
            if ended in ready:
                _, status = os.waitpid(kernel, 0)
                tell(self._connection, exit=os.waitstatus_to_exitcode(status))
                return
            if self._connection in ready:
                self._obey(kernel)
            if self._jailed and self._too_large():
                os.kill(kernel, signal.SIGKILL)

    def _obey(self, kernel: int) -> None:
        """Pass on the signals asked for; without a client, end the kernel."""
        for line in self._connection.recv(1024).decode().splitlines() or ["9"]:
            os.kill(kernel, int(line))

    def _too_large(self) -> bool:
        most = self._baseline + self._allowance.memory_bytes
        return allowance.memory_bytes(enough=most) > most


def _run_kernel(connection_file: str, say_bound: int) -> None:
    import asyncio

    from ipykernel.kernelapp import IPKernelApp

    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    asyncio.set_event_loop(asyncio.new_event_loop())
    if not recording.has_run():
        _seed()
    sys.argv = ["ipykernel_launcher"]
    application = IPKernelApp.instance()
    options = ["--IPKernelApp.parent_handle=0", "--HistoryManager.enabled=False"]
    application.initialize(["-f", connection_file, *options])
    recording.attach(application)
    os.write(say_bound, b"1")
    os.close(say_bound)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 2)
    application.start()


def _seed() -> None:
    """Give this process random numbers of its own, as a freshly started process has."""
    import random

    import numpy as np

    random.seed()
    np.random.seed()


def _close_all_but(kept: int) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != kept:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _tail(log: int) -> str:
    """Return the last line that a kernel wrote before it failed to start."""
    time.sleep(0.05)
    text = os.pread(log, 100_000, 0).decode(errors="replace").strip()
    return text.splitlines()[-1] if text else "the kernel ended while it started"
