"""A kernel in which a learner's code runs, behind the seam of a kernel provisioner.

A kernel has its own process, an empty working folder and an environment without the grader's
variables. Where it lives, and what it can reach from there, is its Isolation.
"""

import contextlib
import json
import math
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import zmq
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.session import DELIM as DELIMITER
from nbformat import NotebookNode
from nbformat.v4 import output_from_msg

from medlab.sandbox.fork_client import ForkedKernel, ForkServerGone
from medlab.sandbox.isolation import Isolation

START_SECONDS = 60
# What a kernel may put into this process's memory. A channel on which a larger message comes is
# cut off, and so many messages of it, besides the one that is coming in, wait to be read.
LARGEST_OUTPUT = 50_000_000  # bytes
WAITING = 2
READ_OUTPUT = 8  # a message of more than so many times the outputs that are kept is not unpacked
IDLE_SECONDS = 2  # for outputs to be complete, once the reply is there
FILE_OF_CELL = re.compile(r"\(\d+\.py, line (\d+)\)")  # how Python names a cell it cannot read
LARGEST_HEADER = 10_000  # bytes of one that is read of a message that is too large
INTERRUPT_SECONDS = 3  # between asking a kernel to stop and killing it
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT", "OMP_NUM_THREADS")


@dataclass(frozen=True)
class Limits:
    """What a learner's code may use."""

    cell_seconds: float = 120  # for one cell, and for one call from a hidden test
    output_bytes: int = 2_000_000  # kept of one cell's outputs
    answer_bytes: int = 64_000_000  # of one answer to a hidden test
    sitting_seconds: float = 600  # for all cells and calls of one notebook together


class KernelDied(Exception):
    """The kernel's process ended."""


class OutOfTime(Exception):
    """The kernel did not finish in time; it was interrupted, or killed if that did not help.

    Its text says which time that was.
    """


@dataclass
class CellResult:
    """What came of running one cell."""

    status: str  # ok, error, timeout or killed
    outputs: list[NotebookNode] = field(default_factory=list)
    error: str = ""  # one line, for a person


class SingleKernelSpec(KernelSpecManager):
    """Know one kernel, this Python's, whatever a notebook asks for."""

    def __init__(self, isolation: Isolation, folder: Path):
        super().__init__()
        self._isolation, self._folder = isolation, folder

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        return KernelSpec(
            argv=self._isolation.command(self._folder / "sockets"),
            display_name="medlab",
            language="python",
            interrupt_mode="signal",
            metadata={"kernel_provisioner": self._provisioner()},
        )

    def _provisioner(self) -> dict:
        if not self._isolation.address:
            return {"provisioner_name": "local-provisioner", "config": {}}
        config = {
            "address": self._isolation.address,
            "request": self._isolation.request(self._folder),
        }
        return {"provisioner_name": "medlab-warm", "config": config}


class Kernel:
    """One kernel process and the two things asked of it: run a cell, answer a request."""

    def __init__(
        self,
        folder: Path,
        limits: Limits | None = None,
        isolation: Isolation | None = None,
        until: float = math.inf,
    ):
        """Start a kernel; folder does not exist yet and will hold its sockets and its files.

        until is the end of the sitting on the clock time.monotonic(): no cell runs on after it.
        Raises KernelDied if it does not start, ForkServerGone if nobody is there to fork it.
        """
        self.limits = limits or Limits()
        self._until = until
        self._idle_seconds = IDLE_SECONDS
        isolation = isolation or Isolation()
        for name in ("work", "home", "root", "sockets"):
            (folder / name).mkdir(parents=True)
        (folder / "sockets").chmod(0o777)  # the jail's user is another; folder itself is private
        self._manager = _manager(folder, isolation)
        self._client = None
        try:
            given = dict(isolation.surroundings.environment)
            environment = _environment(isolation.home(folder)) | given
            self._manager.start_kernel(cwd=str(folder / "work"), env=environment)
            self._client = self._manager.blocking_client()
            self._client.context = self._manager.context  # with its bounds; the client makes none
            _open_channels(self._client, self.limits)
            self._wait(self._client.kernel_info(), START_SECONDS, "", None)
        except ForkServerGone:
            self.stop()
            raise
        except (RuntimeError, OutOfTime, KernelDied) as error:
            self.stop()
            raise KernelDied(f"the kernel did not start: {error}") from None

    @property
    def alive(self) -> bool:
        return bool(self._manager.is_alive())

    def run(self, source: str) -> CellResult:
        """Run one cell; nothing that it does raises here."""
        if not self.alive:
            return CellResult("killed", error="the kernel is gone")
        seconds, told = self._time()
        if seconds <= 0:
            return CellResult("timeout", error=told)
        ran = CellResult("ok")
        sent = self._client.execute(source, allow_stdin=False, stop_on_error=False)
        try:
            reply = self._wait(sent, seconds, told, ran)
        except OutOfTime:
            return CellResult("timeout", ran.outputs, told)
        except KernelDied:
            return CellResult("killed", ran.outputs, "the kernel died")
        if reply.get("status") != "ok":
            ran.status = "error"
            told = f"{reply.get('ename', 'error')}: {reply.get('evalue', '')}"
            ran.error = FILE_OF_CELL.sub(r"(line \1 of the cell)", told)
        if _asks_to_exit(reply):
            self._await_end()  # the next cell must not go to a process that is ending
        return ran

    def evaluate(self, expression: str, kind: str) -> str:
        """Evaluate an expression in the kernel; return the text it displays under a MIME type.

        Raises OutOfTime, KernelDied, or ValueError for an answer without such a text.
        """
        if not self.alive:
            raise KernelDied
        seconds, told = self._time()
        if seconds <= 0:
            raise OutOfTime(told)
        sent = self._client.execute(
            "", silent=True, user_expressions={"answer": expression}, allow_stdin=False
        )
        reply = self._wait(sent, seconds, told, None)
        return _answer_text(reply, kind, self.limits)

    def stop(self) -> None:
        """End the kernel, all it started that can be found, and the connection to it."""
        process = getattr(self._manager.provisioner, "process", None)
        if self._client is not None:
            with contextlib.suppress(Exception):
                self._client.stop_channels()
        if isinstance(process, ForkedKernel):
            # Ended here first, since the manager looks only every tenth of a second.
            process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(INTERRUPT_SECONDS)
        with contextlib.suppress(Exception):
            self._manager.shutdown_kernel(now=True)
        if isinstance(process, subprocess.Popen) and hasattr(os, "killpg"):
            # A cold kernel leads its own group; the group outlives its leader.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(Exception):
            self._manager.context.destroy(linger=0)

    def _await_end(self) -> None:
        deadline = time.monotonic() + INTERRUPT_SECONDS
        while self.alive and time.monotonic() < deadline:
            time.sleep(0.02)
        self.stop()

    def _time(self) -> tuple[float, str]:
        """Return the seconds that a cell or call may take now, and what to say when they pass."""
        left = self._until - time.monotonic()
        if left < self.limits.cell_seconds:
            return left, out_of_time(self.limits)
        return self.limits.cell_seconds, f"stopped after {self.limits.cell_seconds:g} s"

    def _wait(self, sent: str, seconds: float, told: str, ran: CellResult | None) -> dict:
        """Return the reply to a message, collecting outputs; stop the kernel when time is up."""
        deadline = time.monotonic() + seconds
        reply = self._collect(sent, deadline, ran)
        if reply is not None:
            return reply
        with contextlib.suppress(Exception):
            self._manager.interrupt_kernel()
        if self._collect(sent, time.monotonic() + INTERRUPT_SECONDS, None) is None:
            self.stop()
        raise OutOfTime(told)

    def _collect(self, sent: str, deadline: float, ran: CellResult | None) -> dict | None:
        """Read both channels until the reply is there and outputs are complete, or until late."""
        reply = None
        kept = OutputCollector(ran, self.limits.output_bytes)
        while (left := deadline - time.monotonic()) > 0:
            for message in self._messages(min(left, 0.5)):
                if message["parent_header"].get("msg_id") != sent:
                    continue
                if message["msg_type"].endswith("_reply"):
                    reply = message["content"]
                    # Outputs were sent before the reply; if 'idle' got lost, wait no longer.
                    deadline = min(deadline, time.monotonic() + self._idle_seconds)
                kept.take(message)
            if reply is not None and kept.idle:
                self._idle_seconds = IDLE_SECONDS
                return reply
            if reply is None and not self.alive:
                raise KernelDied
        if reply is not None:
            self._idle_seconds = 0.2  # it may have been cut off: the next cell waits less
        return reply

    def _messages(self, seconds: float) -> Iterator[dict]:
        """Yield what has arrived on the shell and iopub channels, waiting at most so long."""
        channels = (self._client.shell_channel, self._client.iopub_channel)
        poller = _poller(channels)
        for socket, _ in poller.poll(seconds * 1000):
            channel = next(c for c in channels if c.socket is socket)
            # The learner's process can send anything; what is no message is as good as silence.
            with contextlib.suppress(Exception):
                message = self._read(channel)
                if _is_sound(message):
                    yield message

    def _read(self, channel) -> dict:
        """Return the next message; of one that is too large only what it answers."""
        frames = channel.socket.recv_multipart(zmq.NOBLOCK, copy=False)
        is_reply = channel is self._client.shell_channel
        kept = _largest_reply(self.limits) if is_reply else READ_OUTPUT * self.limits.output_bytes
        if sum(map(len, frames)) > kept:
            return _in_place_of(frames, is_reply, self.limits)
        _, parts = self._client.session.feed_identities([frame.bytes for frame in frames])
        return self._client.session.deserialize(parts)


class OutputCollector:
    """The outputs of one cell, up to a size."""

    def __init__(self, ran: CellResult | None, limit: int):
        self.idle = False
        self._ran = ran
        self._left = limit

    def take(self, message: dict) -> None:
        """Keep an output, or note that the kernel is idle."""
        kind, content = message["msg_type"], message["content"]
        if kind == "status":
            self.idle = content.get("execution_state") == "idle"
        elif self._ran is None or self._left <= 0:
            return
        elif kind == TOO_LARGE:
            self._left = 0
            self._ran.outputs.append(_cut())
        elif kind in OUTPUTS:
            self._left -= len(str(content))
            self._add(message)

    def _add(self, message: dict) -> None:
        outputs = self._ran.outputs
        try:
            output = output_from_msg(message)
        except Exception:
            return  # forged: no kernel of Jupyter's sends such an output
        if self._left <= 0:
            output = _cut()
        if output.output_type == "stream" and outputs and _same_stream(outputs[-1], output):
            outputs[-1].text += output.text
        else:
            outputs.append(output)


OUTPUTS = {"stream", "display_data", "execute_result", "error"}
TOO_LARGE = "too large"  # in place of a message that was not unpacked


def out_of_time(limits: Limits) -> str:
    """Return what to say when a sitting is over."""
    return f"stopped: the whole notebook may take {limits.sitting_seconds:g} s"


def _cut() -> NotebookNode:
    return NotebookNode(output_type="stream", name="stderr", text="[output cut here]\n")


def _largest_reply(limits: Limits) -> int:
    return 2 * limits.answer_bytes + 1_000_000  # quotes inside an answer are escaped


def _in_place_of(frames: list, is_reply: bool, limits: Limits) -> dict:
    """Return a small message in place of a large one, to the same request."""
    parts = [frame.buffer for frame in frames]
    start = next(at for at, part in enumerate(parts) if part == DELIMITER)
    parent = json.loads(bytes(parts[start + 3][:LARGEST_HEADER]))
    kind = "execute_reply" if is_reply else TOO_LARGE
    content = {"status": "error", "ename": "ValueError", "evalue": _too_large(limits)}
    return {"header": {}, "parent_header": parent, "content": content, "msg_type": kind}


def _too_large(limits: Limits) -> str:
    return f"the answer is larger than {limits.answer_bytes / 1e6:g} MB"


def _open_channels(client, limits: Limits) -> None:
    """Connect the two channels that are used, each with a bound on what comes in.

    A socket takes its options from the context when it is made.
    """
    client.context.RCVHWM = WAITING
    client.context.MAXMSGSIZE = LARGEST_OUTPUT
    client.iopub_channel.start()  # first, so that it hears what the first request sets off
    client.context.MAXMSGSIZE = _largest_reply(limits)
    client.shell_channel.start()


def _is_sound(message: dict) -> bool:
    """Tell whether a message, which a learner's process may have forged, has the parts it needs."""
    mappings = (message["header"], message["parent_header"], message["content"])
    return all(isinstance(part, dict) for part in mappings) and isinstance(message["msg_type"], str)


def _asks_to_exit(reply: dict) -> bool:
    """Tell whether a cell called quit or exit: the kernel answers and then ends."""
    payload = reply.get("payload")
    parts = payload if isinstance(payload, list) else []
    return any(isinstance(part, dict) and part.get("source") == "ask_exit" for part in parts)


def _same_stream(before: NotebookNode, output: NotebookNode) -> bool:
    return before.output_type == "stream" and before.name == output.name


def _poller(channels) -> zmq.Poller:
    poller = zmq.Poller()
    for channel in channels:
        poller.register(channel.socket, zmq.POLLIN)
    return poller


def _manager(folder: Path, isolation: Isolation) -> KernelManager:
    context = zmq.Context()
    context.MAXMSGSIZE = LARGEST_OUTPUT
    spec = SingleKernelSpec(isolation, folder)
    manager = KernelManager(kernel_name="medlab", kernel_spec_manager=spec, context=context)
    manager.connection_file = str(folder / "sockets" / "kernel.json")
    if os.name == "posix":
        # Sockets in the file system: no port can clash, and no network is needed.
        manager.transport, manager.ip = "ipc", str(folder / "sockets" / "s")
    return manager


def _environment(home: Path) -> dict[str, str]:
    """Return the few variables that a learner's code gets: none of the grader's secrets."""
    passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    own = dict.fromkeys(("HOME", "IPYTHONDIR", "MPLCONFIGDIR", "JUPYTER_DATA_DIR"), str(home))
    user = {"USER": "learner", "LOGNAME": "learner"}
    return {"OMP_NUM_THREADS": "1"} | passed_on | own | user


def _answer_text(reply: dict, kind: str, limits: Limits) -> str:
    expressions = reply.get("user_expressions") or {}
    told = expressions.get("answer") or (reply if reply.get("status") == "error" else {})
    if told.get("status") != "ok":
        raise ValueError(f"{told.get('ename', 'no answer')}: {told.get('evalue', '')}")
    text = told.get("data", {}).get(kind)
    if not isinstance(text, str):
        raise ValueError("the kernel gave no answer")
    if len(text) > limits.answer_bytes:
        raise ValueError(_too_large(limits))
    return text
