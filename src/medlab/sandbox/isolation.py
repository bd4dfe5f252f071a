"""Where a learner's kernel lives: in namespaces, in bubblewrap, or under limits alone."""

import atexit
import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

from medlab.errors import BadInput
from medlab.sandbox import fork_client, namespaces
from medlab.sandbox.allowance import Allowance
from medlab.sandbox.checkpoints import Checkpoints, Start
from medlab.sandbox.namespaces import HOME

NAMESPACES, BUBBLEWRAP, LIMITS, AUTO = "namespaces", "bubblewrap", "limits", "auto"
KINDS = (AUTO, NAMESPACES, BUBBLEWRAP, LIMITS)
PROBE_SECONDS = 20
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT", "OMP_NUM_THREADS")
# What each kind leaves open, for the report and for `--jail limits`.
LEAVES_OPEN = {
    NAMESPACES: "holes in the Linux kernel itself",
    BUBBLEWRAP: "holes in the Linux kernel itself; kernels start cold",
    LIMITS: "reading and writing whatever the user who grades can, and the network",
}


@dataclass(frozen=True)
class Surroundings:
    """What a kernel's caller gives it besides Python and medlab."""

    readable: tuple[str, ...] = ()  # paths outside, shown read-only
    hidden: tuple[str, ...] = ()  # Python files of what is shown that cannot be imported or read
    environment: tuple[tuple[str, str], ...] = ()
    preloaded: tuple[str, ...] = ()  # modules that a fork server imports for every kernel


@dataclass(frozen=True)
class Isolation:
    """How kernels are started: the level, what it allows and shows, and a fork server's address."""

    kind: str = LIMITS
    allowance: Allowance = field(default_factory=Allowance)
    address: str = ""  # needed for namespaces; elsewhere kernels start cold
    surroundings: Surroundings = field(default_factory=Surroundings)
    start: Start | None = None  # the checkpoint from which kernels are forked
    remark: str = ""  # why there is no checkpoint, although one was asked for

    def __post_init__(self):
        if (self.kind == NAMESPACES) != bool(self.address):
            raise ValueError("namespaces, and nothing else, need a fork server's address")

    @property
    def fork_address(self) -> str:
        """Where kernels are forked; empty where they start cold."""
        return self.start.address if self.start else self.address

    def command(self, sockets: Path) -> list[str]:
        """Return the command of a cold kernel."""
        kernel = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        if sys.platform == "win32":  # which has neither limits nor exec
            return kernel
        limited = [*_module("limited"), self._allowance(), self.kind, *kernel]
        if self.kind != BUBBLEWRAP:
            return limited
        watched = [*_module("memory_watch"), self._allowance(), str(sockets)]
        # In there the grader is not to be seen, which would look as if it were gone.
        alone = "--IPKernelApp.parent_handle=0"
        jail = _bubblewrap(sockets, self.allowance, self.surroundings)
        return [*watched, *jail, *limited, alone]

    def request(self, folder: Path) -> dict:
        """Return what a fork server's keeper needs to know about a kernel."""
        work = HOME / "work" if self.kind == NAMESPACES else folder / "work"
        return {
            "do": "kernel",
            "folder": str(folder),
            "work": str(work),
            "jail": self.kind,
            "allowance": self.allowance.as_dict(),
            "readable": list(self.surroundings.readable),
            "hidden": list(self.surroundings.hidden),
            "number": int.from_bytes(os.urandom(4), "big"),
        }

    def checkpoint_request(self) -> dict:
        """Return what a checkpoint needs to know; it is in namespaces always."""
        return {
            "work": str(HOME / "work"),
            "allowance": self.allowance.as_dict(),
            "readable": list(self.surroundings.readable),
            "hidden": list(self.surroundings.hidden),
            "environment": self.environment(HOME),
        }

    def home(self, folder: Path) -> Path:
        """Return the home folder as the kernel sees it."""
        return folder / "home" if self.kind == LIMITS else HOME / "home"

    def environment(self, folder: Path) -> dict[str, str]:
        """Return the few variables that a learner's code gets: none of the grader's secrets."""
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        names = ("HOME", "IPYTHONDIR", "MPLCONFIGDIR", "JUPYTER_DATA_DIR")
        own = dict.fromkeys(names, str(self.home(folder)))
        user = {"USER": "learner", "LOGNAME": "learner"}
        given = dict(self.surroundings.environment)
        return {"OMP_NUM_THREADS": "1"} | passed_on | own | user | given

    def _allowance(self) -> str:
        return json.dumps(self.allowance.as_dict())


def choose(kind: str = AUTO) -> str:
    """Return the kind of jail to use; 'auto' is the strongest that works here.

    Raises BadInput if the kind asked for does not work, or if none does: 'limits' must be named.
    """
    if kind not in KINDS:
        raise BadInput(f"there is no jail '{kind}': choose one of {', '.join(KINDS)}")
    if kind == LIMITS:
        return kind
    problems = {}
    for candidate in (NAMESPACES, BUBBLEWRAP) if kind == AUTO else (kind,):
        problems[candidate] = problem_with(candidate)
        if not problems[candidate]:
            return candidate
    reasons = "; ".join(f"{name}: {why}" for name, why in problems.items())
    raise BadInput(
        f"no jail can be built here ({reasons}): install bubblewrap, grade in a container "
        f"(CONTRIBUTING.md), or pass --jail limits, which leaves open {LEAVES_OPEN[LIMITS]}"
    )


@functools.cache
def problem_with(kind: str) -> str:
    """Try to build a jail of this kind; return why it does not work, or an empty text."""
    if kind == NAMESPACES:
        if not fork_client.is_possible():
            return "this system has no namespaces of Linux"
        return _try(_module("namespaces"))
    if shutil.which("bwrap") is None:
        return "bwrap is not installed"
    if os.geteuid() == 0:
        return "in bubblewrap root stays root, whom no limit on processes stops"
    with tempfile.TemporaryDirectory() as folder:
        limited = [*_module("limited"), json.dumps(Allowance().as_dict()), BUBBLEWRAP]
        jailed = _bubblewrap(Path(folder), Allowance(), Surroundings())
        return _try([*jailed, *limited, sys.executable, "-c", "pass"])


def isolate(
    kind: str,
    libraries: tuple[str, ...] = (),
    surroundings: Surroundings | None = None,
    cells: tuple[str, ...] = (),
) -> Isolation:
    """Return isolation for kernels that will import these libraries, with a fork server if it can.

    cells are the course's own that every kernel runs first: where a checkpoint can run them once,
    kernels go on behind them. Fork servers live as long as this process; one that died is
    replaced. Raises BadInput if none can be started.
    """
    surroundings = surroundings or Surroundings()
    if kind != NAMESPACES:
        return Isolation(kind, surroundings=surroundings)
    try:
        try:
            return _forked(libraries, surroundings, cells)
        except fork_client.ForkServerGone:  # between two requests: another one serves
            return _forked(libraries, surroundings, cells)
    except (fork_client.ForkError, OSError) as error:
        raise BadInput(f"no kernel can be forked here: {error}: try --jail bubblewrap") from None


def _forked(
    libraries: tuple[str, ...], surroundings: Surroundings, cells: tuple[str, ...]
) -> Isolation:
    address = _address(surroundings.preloaded, libraries)
    made = Isolation(NAMESPACES, address=address, surroundings=surroundings)
    return _behind(made, cells) if cells else made


def _behind(isolation: Isolation, cells: tuple[str, ...]) -> Isolation:
    """Return isolation for kernels that go on behind cells, or with a remark why they cannot."""
    try:
        start = _checkpoints().start(isolation.address, isolation.checkpoint_request(), cells)
    except fork_client.ForkServerGone:
        raise
    except fork_client.ForkError as error:
        return replace(isolation, remark=str(error))
    return go_on_from(isolation, start)


def go_on_from(isolation: Isolation, start: Start) -> Isolation:
    """Return isolation for kernels that are forked from a checkpoint."""
    return replace(isolation, start=start)


def _address(preloaded: tuple[str, ...], libraries: tuple[str, ...]) -> str:
    """Return a fork server's address; one without libraries where they cannot be forked."""
    try:
        return _fork_servers().address((*preloaded, *libraries))
    except fork_client.ForkError:
        if not libraries:
            raise
        return _fork_servers().address(preloaded)


@functools.cache
def _checkpoints() -> Checkpoints:
    found = Checkpoints()
    atexit.register(found.stop)
    return found


@functools.cache
def _fork_servers() -> fork_client.ForkServers:
    servers = fork_client.ForkServers()
    atexit.register(servers.stop)
    return servers


def _try(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or ["it failed"])[-1]


def _module(name: str) -> list[str]:
    """Return the command of one of these modules; -P: none is taken from the working folder."""
    return [sys.executable, "-P", "-m", f"medlab.sandbox.{name}"]


def _bubblewrap(sockets: Path, allowance: Allowance, shown: Surroundings) -> list[str]:
    """Return bwrap and its options for a jail like the one of namespaces."""
    options = ["bwrap", "--unshare-all", "--die-with-parent", "--cap-drop", "ALL"]
    options += ["--proc", "/proc", "--dev", "/dev"]
    # The writable folders first: what must be readable may lie in one of them.
    for folder in ("/tmp", "/learner", "/dev/shm"):
        options += ["--size", str(allowance.disk_bytes), "--tmpfs", folder]
    for path in namespaces.readable_paths(shown.readable):
        if os.path.islink(path):
            options += ["--symlink", os.readlink(path), path]
        else:
            options += ["--ro-bind", path, path]
    for path in shown.hidden:
        options += ["--ro-bind", str(namespaces.SUBSTITUTE), path]
    options += ["--dir", "/learner/work", "--dir", "/learner/home"]
    return [*options, "--bind", str(sockets), str(sockets), "--chdir", "/learner/work", "--"]


def main() -> None:
    """Print the strongest jail that works here, or 'limits' and, on stderr, why it must do."""
    try:
        print(choose(AUTO))
    except BadInput as problem:
        print(f"medlab: {problem}", file=sys.stderr)
        print(LIMITS)


if __name__ == "__main__":
    main()
