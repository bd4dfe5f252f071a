"""A kernel in which a learner's code runs, behind the seam of a kernel provisioner.

A kernel has its own process, an empty working folder and an environment without the grader's
variables. Where it lives, and what it can reach from there, is its Isolation.
"""

import contextlib
import math
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import zmq
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager

from medlab.sandbox.fork_client import ForkedKernel, ForkServerGone
from medlab.sandbox.isolation import Isolation
from medlab.sandbox.limits import CellResult, Limits, out_of_time
from medlab.sandbox.messages import LARGEST_OUTPUT, Inbox, OutputCollector, too_large

START_SECONDS = 60
IDLE_SECONDS = 2  # for outputs to be complete, once the reply is there
FILE_OF_CELL = re.compile(r"\(\d+\.py, line (\d+)\)")  # how Python names a cell it cannot read
INTERRUPT_SECONDS = 3  # between asking a kernel to stop and killing it


class KernelDied(Exception):
    """The kernel's process ended."""


class OutOfTime(Exception):
    """The kernel did not finish in time; it was interrupted, or killed if that did not help.

    Its text says which time that was.
    """


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
        if not self._isolation.fork_address:
            return {"provisioner_name": "local-provisioner", "config": {}}
        config = {
            "address": self._isolation.fork_address,
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
            environment = isolation.environment(folder)
            self._manager.start_kernel(cwd=str(folder / "work"), env=environment)
            self._client = self._manager.blocking_client()
            self._client.context = self._manager.context  # with its bounds; the client makes none
            self._inbox = Inbox(self._client, self.limits)
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

    def run(self, source: str, seconds: float = math.inf) -> CellResult:
        """Run one cell for so long at most; nothing that it does raises here."""
        if not self.alive:
            return CellResult("killed", error="the kernel is gone")
        seconds, message = self._time(seconds)
        if seconds <= 0:
            return CellResult("timeout", error=message)
        ran = CellResult("ok")
        sent = self._client.execute(source, allow_stdin=False, stop_on_error=False)
        try:
            reply = self._wait(sent, seconds, message, ran)
        except OutOfTime:
            return CellResult("timeout", ran.outputs, message)
        except KernelDied:
            return CellResult("killed", ran.outputs, "the kernel died")
        if reply.get("status") != "ok":
            ran.status = "error"
            error = f"{reply.get('ename', 'error')}: {reply.get('evalue', '')}"
            ran.error = FILE_OF_CELL.sub(r"(line \1 of the cell)", error)
        if _asks_to_exit(reply):
            self._await_end()  # the next cell must not go to a process that is ending
        return ran

    def ask(self, expression: str, kind: str, seconds: float = math.inf) -> str:
        """Evaluate an expression in the kernel; return the text it displays under a MIME type.

        Raises OutOfTime, KernelDied, or ValueError for an answer without such a text.
        """
        if not self.alive:
            raise KernelDied
        seconds, message = self._time(seconds)
        if seconds <= 0:
            raise OutOfTime(message)
        sent = self._client.execute(
            "", silent=True, user_expressions={"answer": expression}, allow_stdin=False
        )
        reply = self._wait(sent, seconds, message, None)
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

    def _time(self, asked: float) -> tuple[float, str]:
        """Return the seconds that a cell or call may take, and the message when they are over."""
        left = self._until - time.monotonic()
        seconds = min(asked, self.limits.cell_seconds)
        if left < seconds:
            return left, out_of_time(self.limits)
        return seconds, f"stopped after {seconds:.3g} s"

    def _wait(self, sent: str, seconds: float, message: str, ran: CellResult | None) -> dict:
        """Return the reply to a message, collecting outputs; stop the kernel when time is up."""
        deadline = time.monotonic() + seconds
        reply = self._collect(sent, deadline, ran)
        if reply is not None:
            return reply
        with contextlib.suppress(Exception):
            self._manager.interrupt_kernel()
        if self._collect(sent, time.monotonic() + INTERRUPT_SECONDS, None) is None:
            self.stop()
        raise OutOfTime(message)

    def _collect(self, sent: str, deadline: float, ran: CellResult | None) -> dict | None:
        """Read both channels until the reply is there and outputs are complete, or until late."""
        reply = None
        kept = OutputCollector(ran, self.limits.output_bytes)
        while (left := deadline - time.monotonic()) > 0:
            for message in self._inbox.arrived(min(left, 0.5)):
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


def _asks_to_exit(reply: dict) -> bool:
    """Tell whether a cell called quit or exit: the kernel answers and then ends."""
    payload = reply.get("payload")
    parts = payload if isinstance(payload, list) else []
    return any(isinstance(part, dict) and part.get("source") == "ask_exit" for part in parts)


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


def _answer_text(reply: dict, kind: str, limits: Limits) -> str:
    expressions = reply.get("user_expressions") or {}
    answer = expressions.get("answer") or (reply if reply.get("status") == "error" else {})
    if answer.get("status") != "ok":
        raise ValueError(f"{answer.get('ename', 'no answer')}: {answer.get('evalue', '')}")
    text = answer.get("data", {}).get(kind)
    if not isinstance(text, str):
        raise ValueError("the kernel gave no answer")
    if len(text) > limits.answer_bytes:
        raise ValueError(too_large(limits))
    return text
