"""Run untrusted firmware on an emulated board in a child process.

A malicious file can keep a reader of ELF files busy forever, and a program can crash the emulator.
Here that ends the child, and the caller gets one line. The child is not a sandbox: it has its
caller's rights. It is used again until it fails, so that the emulator is imported once.
"""

import atexit
import base64
import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence

from medlab.edge.boards.board import load
from medlab.edge.boards.firmware import Firmware
from medlab.edge.boards.run import RunRequest, RunResult
from medlab.errors import BadInput

BUDGET = 20_000_000  # instructions
SECONDS = 20.0
LARGEST_ELF, LARGEST_ANSWER = 8_000_000, 32_000_000  # bytes
MEMORY = 2_000_000_000  # bytes of memory for the child


def run(
    board: str, elf: bytes, feed: Sequence[int] = (), *, seconds: float = SECONDS, **options
) -> RunResult:
    """Run the ELF file with this content on a board, from reset to its end.

    feed and options are the fields of RunRequest, with a smaller budget. Raises BadInput for what
    is not a firmware of this board, for one without a watched function or the followed variable,
    and for one that crashes the emulator or does not end within seconds of wall-clock time.
    """
    if not isinstance(elf, bytes) or len(elf) > LARGEST_ELF:
        raise BadInput(f"firmware must be bytes, at most {LARGEST_ELF / 1e6:g} MB: build it again")
    request = RunRequest(feed, **{"budget": BUDGET} | options)
    message = {
        "board": board,
        "elf": base64.b64encode(elf).decode(),
        "request": request.as_json(),
    }
    with _lock:
        answer = _ask(json.dumps(message), seconds)
    if "problem" in answer:
        raise BadInput(answer["problem"])
    return RunResult.from_json(answer["result"])


class EmulatorProcess:
    """A child process that emulates: one line of JSON in, one line out."""

    def __init__(self):
        command = [sys.executable, "-P", "-m", "medlab.edge.boards.apart"]
        self.owner = os.getpid()
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._answers: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, line: str, seconds: float) -> dict:
        """Send a request and return the answer.

        Raises queue.Empty if it is late; OSError or ValueError if the child broke.
        """
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._answers.get(timeout=seconds))

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _read(self) -> None:
        with self._process.stdout as stdout:
            while line := stdout.readline(LARGEST_ANSWER):
                self._answers.put(line)
            self._answers.put(b"")  # which is not JSON


_lock = threading.Lock()
_child: EmulatorProcess | None = None


def _ask(line: str, seconds: float) -> dict:
    global _child
    if _child is None or _child.owner != os.getpid():  # a forked process has no child yet
        _child = EmulatorProcess()
        atexit.register(_child.stop)
    try:
        return _child.ask(line, seconds)
    except queue.Empty:
        problem = f"the emulation timed out after {seconds:g} s: look for an endless loop"
    except (OSError, ValueError):
        problem = "the emulator crashed on this firmware: build it again"
    atexit.unregister(_child.stop)
    _child.stop()
    _child = None
    raise BadInput(problem)


def main() -> None:
    """Answer requests until there are no more."""
    _limit_memory()
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)


def _answer(message: dict) -> dict:
    try:
        firmware = Firmware.from_bytes(base64.b64decode(message["elf"]), message["board"])
        request = RunRequest.from_json(message["request"])
        return {"result": load(message["board"]).emulate(firmware, request).as_json()}
    except BadInput as problem:
        return {"problem": str(problem)}
    except Exception as error:  # a damaged file can trip its reader in any way
        return {"problem": f"this firmware cannot be read ({type(error).__name__}): build it again"}


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
