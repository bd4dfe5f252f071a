"""How long the command line takes to answer."""

import resource
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.record import record
from medlab.figures import Figure

RUNS = 9
MEDLAB = Path(sys.executable).with_name("medlab")


def cpu_seconds(command):
    """Run a command; return the processor seconds it took, user and system together."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def figure(name, command):
    """Measure one command: the median over RUNS."""
    cpu_seconds(command)  # writes bytecode, fills the page cache
    value = statistics.median(cpu_seconds(command) for _ in range(RUNS))
    how = f"median of {RUNS} warm runs, processor seconds"
    return Figure(name, round(value, 3), "s", "host", how)


if __name__ == "__main__":
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "medlab --help": [MEDLAB, "--help"],
        "medlab doctor": [MEDLAB, "doctor"],
    }
    record(__file__, [figure(name, command) for name, command in commands.items()])
