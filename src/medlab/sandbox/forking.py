"""What the processes of a fork server share: settings, the socket, lines of JSON."""

import contextlib
import json
import os
import socket

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


def listen(address: str) -> socket.socket:
    """Return a socket on which requests come."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen(64)
    return listener


def tell(connection: socket.socket, **what) -> None:
    """Send a line of JSON; a client that is gone needs none."""
    with contextlib.suppress(OSError):
        connection.sendall((json.dumps(what) + "\n").encode())


def threads() -> int:
    """Return how many threads this process has."""
    return len(os.listdir("/proc/self/task"))


def redirect(output: int) -> None:
    """Read from nowhere, and write what goes to standard output and error to a file descriptor."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
