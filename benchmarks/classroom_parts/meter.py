"""Run a command and measure it with everything that it starts: time, processor time, memory.

Processor time is the larger of two lower bounds. The kernel's own account (getrusage) is exact, but
leaves out children of a process that ignores SIGCHLD. Looking into /proc sees every process, but
misses what a process does between the last look and its end.
"""

import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

LOOK_SECONDS = 0.05  # between two looks at processor time
WEIGH_SECONDS = 1.0  # between two looks at memory, which cost more
PR_SET_CHILD_SUBREAPER = 36
TICK = os.sysconf("SC_CLK_TCK")
HOW_CPU = "processor time: the larger of getrusage and /proc read every 50 ms, over the whole tree"
HOW_PSS = "memory: PSS summed over all processes, once a second"


@dataclass
class Measured:
    """What a command took."""

    seconds: float
    cpu_seconds: float
    peak_pss_mb: float
    weighed: list[tuple[int, float]] = field(default_factory=list)  # progress, MB of PSS
    cpu_by_rusage: float = 0.0
    cpu_by_proc: float = 0.0


def measure(command, cwd, environment, log, progress=lambda: 0):
    """Run a command to its end and return what it took; RuntimeError if it fails.

    progress: called at each weighing; the number it returns is kept with the weight.
    """
    adopt_orphans()
    meter = Meter(progress)
    with open(log, "wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            [str(part) for part in command], cwd=cwd, env=environment, stdout=output, stderr=output
        )
        while process.poll() is None:
            meter.look()
            time.sleep(LOOK_SECONDS)
        seconds = time.perf_counter() - started
    meter.finish()
    if process.returncode != 0:
        tail = Path(log).read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{command[0]} ended with {process.returncode}:\n{tail}")
    return meter.measured(seconds)


class Meter:
    """Adds up what all descendants of this process use, from now on."""

    def __init__(self, progress):
        self._progress = progress
        self._rusage = _rusage()
        self._before = {who: used for who, (_, used) in _processes().items()}
        self._cpu = {}
        self._weighed = []
        self._next_weighing = 0.0

    def look(self):
        processes = _processes()
        tree = descendants(processes)
        for who in tree:
            self._cpu[who] = processes[who][1] - self._before.get(who, 0.0)
        if time.monotonic() >= self._next_weighing:
            self._weighed.append((self._progress(), sum(pss_mb(pid) for pid, _ in tree)))
            self._next_weighing = time.monotonic() + WEIGH_SECONDS

    def finish(self, seconds=5):
        """Wait for what the command left behind, then end it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._left():
            self.look()
            time.sleep(LOOK_SECONDS)
        for pid, _ in self._left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def measured(self, seconds):
        by_rusage, by_proc = _rusage() - self._rusage, sum(self._cpu.values())
        return Measured(
            seconds=seconds,
            cpu_seconds=max(by_rusage, by_proc),
            peak_pss_mb=max(pss for _, pss in self._weighed),
            weighed=self._weighed,
            cpu_by_rusage=by_rusage,
            cpu_by_proc=by_proc,
        )

    def _left(self):
        left = descendants(_processes(), but=self._before)
        for pid, _ in left:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)  # an orphan that became our child
        return left


def adopt_orphans():
    """Become the parent of descendants whose own parent ends, so that they stay in sight."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(processes, but=()):
    """Return the processes, (pid, start), that descend from this one, but not through some."""
    children = {}
    for who, (parent, _) in processes.items():
        children.setdefault(parent, []).append(who)
    found, waiting = [], [os.getpid()]
    while waiting:
        mine = [who for who in children.get(waiting.pop(), []) if who not in but]
        found += mine
        waiting += [pid for pid, _ in mine]
    return found


def pss_mb(pid):
    """Return a process's proportional share of memory in MB (10^6 bytes); 0 if it is gone."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024 / 1e6
    return 0.0


def tree_pss_mb():
    """Return the PSS of all descendants of this process, in MB."""
    return sum(pss_mb(pid) for pid, _ in descendants(_processes()))


def _rusage():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _processes():
    """Return {(pid, start): (parent, processor seconds)} of all processes."""
    found = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        with contextlib.suppress(OSError):
            with open(f"/proc/{name}/stat", "rb") as file:
                # The command's name, in brackets, may hold anything.
                fields = file.read().rpartition(b") ")[2].split()
            used = (int(fields[11]) + int(fields[12])) / TICK
            found[int(name), int(fields[19])] = (int(fields[1]), used)
    return found
