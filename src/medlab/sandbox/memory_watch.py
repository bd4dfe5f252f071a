"""Run a command and end it when all its processes together use too much.

Run as `python -m medlab.sandbox.memory_watch ALLOWANCE FOLDER COMMAND...`. It runs outside of
bubblewrap, whose processes cannot reach it, and watches their memory and the size of FOLDER, the
one place outside that they can write. It ends with its parent, and its command ends with it.
"""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from medlab.sandbox.allowance import Allowance, memory_of

WATCH_SECONDS = 0.25


def main() -> None:
    allowance, folder = Allowance(**json.loads(sys.argv[1])), Path(sys.argv[2])
    parent = os.getppid()
    # An interrupt is for the kernel, which is in the same group; bubblewrap inherits this.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    child = subprocess.Popen(sys.argv[3:])
    signal.signal(signal.SIGTERM, lambda *_: child.kill())
    while not _ended(child):
        too_large = _memory(child.pid) > allowance.memory_bytes
        if too_large or _size(folder) > allowance.file_bytes or os.getppid() != parent:
            child.kill()
    sys.exit(child.returncode if child.returncode >= 0 else 128 - child.returncode)


def _ended(child: subprocess.Popen) -> bool:
    try:
        child.wait(WATCH_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _memory(pid: int) -> int:
    try:
        pids = [process.pid for process in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    return memory_of([Path("/proc", str(pid)) for pid in pids])


def _size(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        total += 4096 + sum(os.lstat(Path(path, n)).st_size for n in names if _there(path, n))
    return total


def _there(folder: str, name: str) -> bool:
    return os.path.lexists(os.path.join(folder, name))


if __name__ == "__main__":
    main()
