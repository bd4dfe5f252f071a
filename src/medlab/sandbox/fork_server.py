"""The fork server: a process that has imported a unit's libraries and forks kernels.

Run as `python -m medlab.sandbox.fork_server SOCKET LIBRARY...`. It must have one thread, or a fork
could copy a lock that nobody holds any more. It ends when its standard input does.

For each connection the client sends one line of JSON, a request, and a process is forked that
serves it: a keeper of one kernel (`keeper`), or a checkpoint, which runs cells and is then a fork
server itself (`checkpoint`). It answers in lines of JSON, 'ready' or 'failed' first. When the
connection ends, so does what was asked for.
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
from pathlib import Path

from medlab.sandbox import checkpoint, keeper
from medlab.sandbox.forking import listen, tell, threads

ALWAYS = (
    "ipykernel.kernelapp",
    "ipykernel.ipkernel",
    "ipykernel.debugger",  # a kernel's start imports it
    "IPython.core.magics.extension",
)


def main() -> None:
    """Import the libraries named on the command line, then fork until standard input ends."""
    address, libraries = sys.argv[1], sys.argv[2:]
    missing = warm_up(libraries)
    listener = listen(address)
    print(json.dumps({"ready": True, "missing": missing, "threads": threads()}), flush=True)
    serve(listener, sys.stdin.fileno())


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


def serve(listener: socket.socket, client: int, shared: Path | None = None) -> None:
    """Fork a process for each request until the client's file descriptor ends; never return.

    shared is the folder that a checkpoint's jail shares with the outside; None outside of a jail.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers report over their connections
    gc.collect()
    gc.freeze()  # so that a collection in a kernel does not touch, and copy, what is shared
    while True:
        ready, _, _ = select.select([listener, client], [], [])
        if client in ready and not os.read(client, 1):
            # At once: taking apart what was imported takes time, and some libraries remark on it.
            os._exit(0)
        if listener in ready:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _answer(connection, shared)
            connection.close()


def _answer(connection: socket.socket, shared: Path | None) -> None:
    """Do what one request asks for; never return."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        request = json.loads(connection.makefile("r").readline())
        if request["do"] == "checkpoint":
            checkpoint.become(connection, request, shared, serve)
        else:
            keeper.Keeper(connection, request, shared).run()
        status = 0
    except Exception as error:
        tell(connection, failed=f"{type(error).__name__}: {error}")
    finally:
        os._exit(status)


if __name__ == "__main__":
    main()
