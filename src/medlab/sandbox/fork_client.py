"""Fork servers as their users see them, and the provisioner that has one fork a kernel."""

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from jupyter_client.provisioning import LocalProvisioner
from traitlets import Dict, Unicode

from medlab.files import folder_for_sockets
from medlab.sandbox.forking import SETTINGS

START_SECONDS = 120  # for a fork server to import its libraries
READY_SECONDS = 30  # for a kernel to bind its sockets
# A forked kernel shows its server's first environment in /proc: nothing secret may be in it.
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH")


class ForkError(RuntimeError):
    """A fork server or a kernel could not be started."""


class ForkServerGone(ForkError):
    """The fork server has ended: another one may serve."""


class ForkServer:
    """One fork server and the address at which it forks."""

    def __init__(self, libraries: tuple[str, ...]):
        self._folder = folder_for_sockets()
        self.address = str(Path(self._folder.name, "socket"))
        # -P: no module is taken from the working folder, where submissions may lie.
        module = [sys.executable, "-P", "-m", "medlab.sandbox.fork_server"]
        self._process = subprocess.Popen(
            [*module, self.address, *libraries],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env=self._environment(),
        )
        self.missing = self._wait_until_warm()

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> None:
        """End the server; kernels that it forked go on until they are stopped."""
        self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._folder.cleanup()

    def _environment(self) -> dict[str, str]:
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        # Imports of torch make this folder; otherwise it would stay behind.
        return (
            passed_on
            | SETTINGS
            | {"TORCHINDUCTOR_CACHE_DIR": str(Path(self._folder.name, "torch"))}
        )

    def _wait_until_warm(self) -> list[str]:
        """Return the libraries that are not installed; raise ForkError if it is not fit to fork."""
        ready, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        answer = json.loads((ready and self._process.stdout.readline()) or "{}")
        if answer.get("ready") and answer["threads"] == 1:
            return answer["missing"]
        self.stop()
        if answer:
            raise ForkError(f"a library starts threads ({answer['threads']}): it cannot be forked")
        raise ForkError("the fork server did not start")


class ForkServers:
    """The fork servers of this process, one for each set of libraries, started when needed."""

    def __init__(self):
        self._by_set: dict[tuple[str, ...], ForkServer] = {}
        self._unfit: dict[tuple[str, ...], ForkError] = {}  # not tried again for each kernel
        self._lock = threading.Lock()

    def address(self, libraries: tuple[str, ...]) -> str:
        """Return where kernels with these libraries are forked, by a new server if one has died.

        Raises ForkError if there can be none.
        """
        with self._lock:
            if libraries in self._unfit:
                raise self._unfit[libraries]
            server = self._by_set.get(libraries)
            if server is not None and server.alive:
                return server.address
            if server is not None:
                server.stop()
            self._by_set.pop(libraries, None)
            server = self._by_set[libraries] = self._start(libraries)
            return server.address

    def _start(self, libraries: tuple[str, ...]) -> ForkServer:
        try:
            return ForkServer(libraries)
        except ForkError as error:
            self._unfit[libraries] = error
            raise

    def stop(self) -> None:
        with self._lock:
            while self._by_set:
                self._by_set.popitem()[1].stop()


class Conversation:
    """A connection to a fork server's child: one request, then lines of JSON."""

    def __init__(self, address: str, request: dict):
        """Send a request; raise ForkServerGone if nobody listens at the address."""
        self._connection = socket.socket(socket.AF_UNIX)
        self._unread = bytearray()
        try:
            self._connection.connect(address)
            self._connection.sendall((json.dumps(request) + "\n").encode())
        except OSError as error:
            self._connection.close()
            raise ForkServerGone(f"the fork server is gone ({error.strerror})") from None

    def until_ready(self, seconds: float) -> dict:
        """Return the first line; close the connection and raise ForkError if it says 'failed'."""
        answer = self.next(seconds)
        if answer and answer.get("ready"):
            return answer
        self.close()
        if answer is None:
            raise ForkError("it did not start in time")
        if not answer:
            raise ForkServerGone("the fork server ended before it answered")
        raise ForkError(answer.get("failed", "it did not start"))

    def next(self, seconds: float | None) -> dict | None:
        """Return the next line; {} once the other side is gone, None if nothing comes in time."""
        while b"\n" not in self._unread:
            ready, _, _ = select.select([self._connection], [], [], seconds)
            if not ready:
                return None
            more = self._receive()
            if not more:
                return {}
            self._unread += more
        line, _, rest = self._unread.partition(b"\n")
        self._unread = bytearray(rest)
        return json.loads(line)

    def send(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._connection.sendall(f"{line}\n".encode())

    def close(self) -> None:
        """Let go of the other side, which ends."""
        self._connection.close()

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(1 << 20)
        except OSError:
            return b""


class ForkedKernel:
    """A kernel that was forked, with as much of Popen's face as jupyter_client uses."""

    stdin = stdout = stderr = None

    def __init__(self, address: str, request: dict):
        """Have a kernel forked and wait until it is ready; raise ForkError if it does not come."""
        self._returncode: int | None = None
        self._keeper = Conversation(address, request)
        self._keeper.until_ready(READY_SECONDS)

    def poll(self) -> int | None:
        """Return the exit code, or None while the kernel lives."""
        if self._returncode is None:
            answer = self._keeper.next(0)
            if answer is not None:
                self._returncode = answer.get("exit", -signal.SIGKILL)
        return self._returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; raise TimeoutExpired if it does not come."""
        answer = self._keeper.next(timeout) if self._returncode is None else {}
        if answer is None:
            raise subprocess.TimeoutExpired("kernel", timeout)
        if self._returncode is None:
            self._returncode = answer.get("exit", -signal.SIGKILL)
        return self._returncode

    def send_signal(self, number: int) -> None:
        self._keeper.send(str(int(number)))

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    terminate = kill

    def close(self) -> None:
        """Let go of the kernel, which ends it if it still lives."""
        self._keeper.close()


class ForkProvisioner(LocalProvisioner):
    """Have a fork server fork the kernel (entry point `medlab-warm`)."""

    address = Unicode(config=True, help="Where the fork server listens.")
    request = Dict(config=True, help="What the keeper needs to know, but for the connection file.")

    async def launch_kernel(self, cmd: list[str], **kwargs) -> dict:
        """Fork instead of running cmd; the connection info is the manager's."""
        # The jail's user is another one; the folder that holds the file is the grader's alone.
        os.chmod(self.parent.connection_file, 0o644)
        request = self.request | {
            "connection_file": self.parent.connection_file,
            "environment": kwargs["env"],
        }
        self.process = ForkedKernel(self.address, request)
        self.pid = self.pgid = None
        return self.connection_info

    async def cleanup(self, restart: bool = False) -> None:
        if self.process is not None:
            self.process.close()
        await super().cleanup(restart)


def is_possible() -> bool:
    """Tell whether this system can fork a process safely and watch it."""
    return hasattr(os, "memfd_create") and hasattr(os, "pidfd_open")
