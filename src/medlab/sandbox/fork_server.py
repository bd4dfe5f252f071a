"""The warm parent: a process that has imported a unit's libraries and forks kernels.

Run as `python -m medlab.sandbox.fork_server SOCKET LIBRARY...`. It must have one thread, or a fork
could copy a lock that nobody holds any more. It ends when its standard input does.

For each connection: the client sends one line of JSON (folder, connection file, environment,
number, allowance, readable paths, jail); a keeper is forked, which forks the kernel into its jail.
The keeper answers lines of JSON ('ready' or 'failed', later 'exit') and obeys 'signal N'. When
the connection ends, the kernel does.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path

# Before any library is imported: one thread each, and no helper threads.
SETTINGS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    # ipykernel would set it before pyplot is imported; here pyplot may come first.
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # nobody sets a breakpoint here
}
ALWAYS = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.debugger",  # a kernel's start imports it
    "IPython.core.magics.extension",
)
WATCH_SECONDS = 0.25  # between two looks at a jail's memory


def main() -> None:
    """Import the libraries named on the command line, then fork kernels until told to end."""
    os.environ.update(SETTINGS)
    address, libraries = sys.argv[1], sys.argv[2:]
    missing = warm_up(libraries)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers report over their connections
    print(json.dumps({"ready": True, "missing": missing, "threads": threads()}), flush=True)
    gc.collect()
    gc.freeze()  # so that a collection in a kernel does not touch, and copy, what is shared
    _serve(listener)
    # At once: taking apart what was imported takes time, and some libraries remark on it.
    os._exit(0)


def warm_up(libraries: list[str]) -> list[str]:
    """Import what kernels will need; return what is not installed."""
    missing = []
    for name in (*ALWAYS, *libraries):
        try:
            importlib.import_module(name)
        except ImportError:
            missing.append(name)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
        with contextlib.suppress(ImportError):
            importlib.import_module("torch._dynamo")  # the first optimiser step imports it
    return missing


def threads() -> int:
    """Return how many threads this process has."""
    return len(os.listdir("/proc/self/task"))


def _serve(listener: socket.socket) -> None:
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready and not sys.stdin.buffer.read1(1):
            return
        if listener in ready:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _keep(connection)
            connection.close()


def _keep(connection: socket.socket) -> None:
    """Be the keeper of one kernel; never returns."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        request = json.loads(connection.makefile("r").readline())
        Keeper(connection, request).run()
        status = 0
    except Exception as error:
        _tell(connection, failed=f"{type(error).__name__}: {error}")
    finally:
        os._exit(status)


class Keeper:
    """Fork one kernel into its jail, pass signals on, and watch its memory."""

    def __init__(self, connection: socket.socket, request: dict):
        from medlab.sandbox.namespaces import Allowance

        self._connection, self._request = connection, request
        self._sockets = Path(request["folder"], "sockets")
        self._allowance = Allowance(**request["allowance"])
        self._jailed = request["jail"] == "namespaces"
        self._baseline = 0

    def run(self) -> None:
        """Keep the kernel until it ends or the client lets go of it."""
        from medlab.sandbox import namespaces

        if self._jailed:
            namespaces.enter_namespaces()
            namespaces.build_root(
                Path(self._request["folder"], "root"),
                self._sockets,
                self._allowance,
                self._request["readable"],
            )
        log = os.memfd_create("launch")
        bound, say_bound = os.pipe()
        kernel = os.fork()
        if kernel == 0:
            os.close(bound)
            self._connection.close()
            _be_kernel(self._request, self._allowance, self._jailed, say_bound, log)
        os.close(say_bound)
        ended = os.pidfd_open(kernel)
        if not os.read(bound, 1):
            _tell(self._connection, failed=_tail(log))
            return
        os.close(log)
        if self._jailed:
            namespaces.close_sockets(self._sockets)
            self._baseline = namespaces.memory_bytes()
        _tell(self._connection, ready=True)
        self._watch(kernel, ended)

    def _watch(self, kernel: int, ended: int) -> None:
        while True:
            ready, _, _ = select.select([self._connection, ended], [], [], WATCH_SECONDS)
            if ended in ready:
                _, status = os.waitpid(kernel, 0)
                _tell(self._connection, exit=os.waitstatus_to_exitcode(status))
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
        from medlab.sandbox import namespaces

        most = self._baseline + self._allowance.memory_bytes
        return namespaces.memory_bytes(enough=most) > most


def _be_kernel(request: dict, allowance, jailed: bool, say_bound: int, log: int) -> None:
    """Turn this process into a kernel; never returns."""
    from medlab.sandbox import namespaces

    status = 1
    try:
        os.setsid()
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        _close_all_but(say_bound)
        if jailed:
            namespaces.enter_root(Path(request["folder"], "root"))
        os.environ.clear()
        os.environ.update(request["environment"] | SETTINGS)
        os.chdir(request["work"])
        namespaces.limit(allowance)
        if jailed:
            namespaces.become_nobody(request["number"])
        _run_kernel(request["connection_file"], say_bound)
        status = 0
    except BaseException:
        import traceback

        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(status)


def _run_kernel(connection_file: str, say_bound: int) -> None:
    import asyncio
    import random

    import numpy as np
    from ipykernel.kernelapp import IPKernelApp

    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    random.seed()
    np.random.seed()
    asyncio.set_event_loop(asyncio.new_event_loop())
    sys.argv = ["ipykernel_launcher"]
    application = IPKernelApp.instance()
    options = ["--IPKernelApp.parent_handle=0", "--HistoryManager.enabled=False"]
    application.initialize(["-f", connection_file, *options])
    os.write(say_bound, b"1")
    os.close(say_bound)
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 2)
    application.start()


def _close_all_but(kept: int) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) != kept:
            with contextlib.suppress(OSError):
                os.close(int(name))


def _tell(connection: socket.socket, **what) -> None:
    with contextlib.suppress(OSError):
        connection.sendall((json.dumps(what) + "\n").encode())


def _tail(log: int) -> str:
    """Return the last line that a kernel wrote before it failed to start."""
    time.sleep(0.05)
    text = os.pread(log, 100_000, 0).decode(errors="replace").strip()
    return text.splitlines()[-1] if text else "the kernel ended while it started"


if __name__ == "__main__":
    main()
