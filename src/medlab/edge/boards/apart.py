"""Runs firmware that nobody vouches for on an emulated board in a process of its own.

A file made to do harm can keep a reader of ELF files busy for ever, and a program can crash the
emulator. Here that ends a child; the caller gets one line. The child is no jail: it has the rights
of its caller. It is used again until it fails, so that emulators are imported once.
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
from dataclasses import asdict, dataclass

from medlab.edge.boards.board import load
from medlab.edge.boards.firmware import Firmware
from medlab.errors import BadInput

BUDGET = 20_000_000  # instructions
SECONDS = 20.0
LARGEST_ELF, LARGEST_ANSWER = 8_000_000, 32_000_000  # bytes
MEMORY = 2_000_000_000  # bytes that the child may ask for


@dataclass(frozen=True)
class Seen:
    """What a run showed: the plain figures of run.Run."""

    text: str  # what was sent to the serial port
    trace: list[tuple[int, str]]  # the same by character, each with its cycle
    exit_status: int | None  # None where the firmware did not come to its end
    fault: str | None  # what stopped the core, and where
    out_of_budget: bool
    instructions: int
    stack_bytes: int
    samples_used: int
    flash_bytes: int
    ram_bytes: int
    calls: dict[str, list[int]]  # instructions of each call of a watched function
    by_function: dict[str, int]  # instructions in each function itself, the most first
    reads: list[int] | None  # which bytes of the followed variable were read, from 0


def run(
    board: str,
    elf: bytes,
    feed: Sequence[int] = (),
    budget: int = BUDGET,
    watch: Sequence[str] = (),
    seconds: float = SECONDS,
    rises: Sequence[int] = (),
    follow_reads: str = "",
) -> Seen:
    """Run the ELF file with this content on a board, from reset to its end.

    feed, budget, watch, rises and follow_reads are those of Board.run. Raises BadInput for what is
    no firmware of this board, for one without a watched function or the followed variable, and for
    one that the emulator does not survive or does not finish within seconds of wall-clock time.
    """
    if not isinstance(elf, bytes) or len(elf) > LARGEST_ELF:
        raise BadInput(f"a firmware is at most {LARGEST_ELF / 1e6:g} MB of bytes: build it again")
    asked = {
        "board": board,
        "elf": base64.b64encode(elf).decode(),
        "feed": [int(sample) for sample in feed],
        "budget": budget,
        "watch": list(watch),
        "rises": [int(cycle) for cycle in rises],
        "reads": follow_reads,
    }
    with _lock:
        answer = _ask(json.dumps(asked), seconds)
    if "problem" in answer:
        raise BadInput(answer["problem"])
    seen = answer["seen"]
    return Seen(**seen | {"trace": [tuple(event) for event in seen["trace"]]})  # JSON has no tuples


class Child:
    """A process that emulates: one line of JSON in, one line out."""

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
            self._answers.put(b"")  # which is no JSON


_lock = threading.Lock()
_child: Child | None = None


def _ask(line: str, seconds: float) -> dict:
    global _child
    if _child is None or _child.owner != os.getpid():  # a forked process has no child yet
        _child = Child()
        atexit.register(_child.stop)
    try:
        return _child.ask(line, seconds)
    except queue.Empty:
        problem = f"the emulation was stopped after {seconds:g} s: the firmware does not get on"
    except (OSError, ValueError):
        problem = "the emulator did not survive this firmware"
    atexit.unregister(_child.stop)
    _child.stop()
    _child = None
    raise BadInput(problem)


def main() -> None:
    """Answer requests until there are no more."""
    _limit_memory()
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)


def _answer(asked: dict) -> dict:
    try:
        return {"seen": asdict(_emulate(**asked))}
    except BadInput as problem:
        return {"problem": str(problem)}
    except Exception as error:  # a damaged file can trip its reader in any way
        return {"problem": f"this is no firmware that can be read ({type(error).__name__})"}


def _emulate(
    board: str, elf: str, feed: list, budget: int, watch: list, rises: list, reads: str
) -> Seen:
    firmware = Firmware.from_bytes(base64.b64decode(elf), board)
    seen = load(board).run(firmware, feed, budget, watch, rises, follow_reads=reads)
    return Seen(
        text=seen.text,
        trace=seen.trace,
        exit_status=seen.exit_status,
        fault=str(seen.fault) if seen.fault else None,
        out_of_budget=seen.outcome.out_of_budget,
        instructions=seen.instructions,
        stack_bytes=seen.stack_bytes,
        samples_used=seen.samples_used,
        flash_bytes=firmware.flash_bytes,
        ram_bytes=firmware.ram_bytes,
        calls=seen.calls,
        by_function=seen.by_function,
        reads=seen.reads,
    )


def _limit_memory() -> None:
    with contextlib.suppress(ImportError, ValueError):  # not on every system
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
