"""What a kernel may use: memory, disk, processes and time; and how much memory processes use."""

import contextlib
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Allowance:
    """What a jailed kernel may use."""

    memory_bytes: int = 2_000_000_000  # more than what it was forked with
    disk_bytes: int = 256_000_000  # in each of its writable folders, which are in memory
    files: int = 20_000  # in each of its writable folders
    file_bytes: int = 200_000_000
    processes: int = 64  # and threads
    cpu_seconds: int = 1_800

    def as_dict(self) -> dict:
        return asdict(self)


def limit(allowance: Allowance) -> None:
    """Set the limits that the kernel enforces for each process."""
    import resource  # not on every system that medlab runs on

    limit_growth(allowance.memory_bytes)
    for what, most in (
        (resource.RLIMIT_FSIZE, allowance.file_bytes),
        (resource.RLIMIT_NPROC, allowance.processes),
        (resource.RLIMIT_CPU, allowance.cpu_seconds),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 1024),
    ):
        with contextlib.suppress(ValueError):  # a lower limit is set already
            resource.setrlimit(what, (most, most))


def limit_growth(most: int) -> None:
    """Let this process ask for so many bytes more than it has."""
    import resource

    data = _own_bytes("VmData") + most
    with contextlib.suppress(ValueError):  # a lower limit is set already
        resource.setrlimit(resource.RLIMIT_DATA, (data, data))


def memory_bytes(enough: int = 0) -> int:
    """Return the memory of all processes that /proc shows, in bytes, without that of files.

    Forked processes share pages; they are told apart, which costs time, only when the plain sum
    is larger than enough.
    """
    folders = [folder for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    return memory_of(folders, enough)


def memory_of(folders: list[Path], enough: int = 0) -> int:
    """Return the memory of the processes of these folders of /proc, as memory_bytes."""
    plain = sum(_plain_bytes(folder) for folder in folders)
    if plain <= enough:
        return plain
    # A process can forbid the exact look; then it is charged for shared pages in full.
    return sum(_exact_bytes(folder) or _plain_bytes(folder) for folder in folders)


def _plain_bytes(folder: Path) -> int:
    return _bytes_in(folder / "status", "RssAnon", "RssShmem", "VmSwap")


def _exact_bytes(folder: Path) -> int:
    return _bytes_in(folder / "smaps_rollup", "Pss_Anon", "Pss_Shmem", "SwapPss")


def _own_bytes(name: str) -> int:
    return _bytes_in(Path("/proc/self/status"), name)


def _bytes_in(path: Path, *names: str) -> int:
    """Return the sum of sizes that a file of /proc states in kB; 0 if the process is gone."""
    with contextlib.suppress(OSError):
        stated = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
        return sum(int(stated.get(name, "0").split()[0]) * 1024 for name in names)
    return 0
