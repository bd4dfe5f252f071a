"""What this machine has, and what each missing package or tool would enable.

Versions come from package metadata and tools from PATH: nothing is imported or started, so that
a broken package cannot break the report. Not covered: whether a tool that is present works, and
whether a device is plugged in.
"""

import glob
import os
import platform
import re
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

GIB = 2**30
LEAST_DISK = 1 * GIB

DISTRIBUTION = "medlab-course"  # PyPI has another medlab
CORE_EXTRAS = {"foundations"}

# package: what it enables
LATER_PACKAGES = {
    "jupyterlab": "opening notebooks with `make lab`",
    "nbval": "re-running solutions in `make test`",
    "torch": "training networks",
    "monai": "3D transforms and segmentation networks",
    "tensorflow": "int8 conversion for microcontrollers",
    "grad-cam": "heat maps of what a classifier looks at",
    "ziglang": "firmware built without the vendor's compiler",
    "unicorn": "firmware on emulated boards",
}
CPU_BUILDS = {"tensorflow": "tensorflow-cpu"}  # the same import, by another package

# tool: (program names, what it enables)
LATER_TOOLS = {
    "chromium": (("chromium", "chromium-browser", "google-chrome"), "tests in a real browser"),
    "pg_ctl": (("pg_ctl",), "testing the gradebook on PostgreSQL"),
    "gcc-arm-none-eabi": (("arm-none-eabi-gcc",), "firmware built with the vendor's compiler"),
    "arduino-cli": (("arduino-cli",), "flashing Arduino boards"),
    "qemu-system-arm": (("qemu-system-arm",), "firmware in a second emulator, with interrupts"),
    "pyocd": (("pyocd",), "flashing boards through a debug probe"),
    "st-flash": (("st-flash",), "flashing STM32 boards"),
    "docker": (("docker",), "building the containers of the cloud labs"),
    "nvidia-smi": (("nvidia-smi",), "training on a GPU"),
}

State = Literal["ok", "absent", "differs", "needed"]


@dataclass(frozen=True)
class Finding:
    """One line of the report."""

    topic: str  # machine, course, package or tool
    name: str
    found: str  # version, size or place; empty when missing
    state: State  # absent: optional and missing; needed: the course may not run without it
    note: str = ""  # what it would enable, or the command to run


def examine() -> list[Finding]:
    """List what this machine has and what is missing; changes nothing, under a second."""
    root = _course_root()
    return [*_machine(), *_course(root), *_packages(root), *_tools()]


def summarise_findings(findings: list[Finding]) -> str:
    """Return what is still needed, with the command for each; or that nothing is."""
    needed = [f"{f.name}: {f.note}" for f in findings if f.state == "needed"]
    if needed:
        return "\n".join(["Still needed:", *(f"  {line}" for line in needed)])
    return "Everything the course needs is installed. What is absent is optional."


# --- machine ---


def _machine() -> list[Finding]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return [
        Finding("machine", "Python", platform.python_version(), "ok"),
        Finding("machine", "medlab", _version(DISTRIBUTION) or "not installed", "ok"),
        Finding("machine", "memory", f"{memory / GIB:.1f} GiB", "ok"),
        Finding("machine", "cores", str(_cores()), "ok"),
        _disk(shutil.disk_usage(Path.cwd()).free),
    ]


def _cores() -> int:
    """Count the cores this process may use, which a container may limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _disk(free: int) -> Finding:
    if free < LEAST_DISK:
        return Finding("machine", "disk", f"{free / GIB:.1f} GiB free", "needed", "free 1 GiB")
    return Finding("machine", "disk", f"{free / GIB:.1f} GiB free", "ok")


# --- course and lock ---


def _course_root() -> Path | None:
    # Late and guarded: the course room needs packages that may be the very thing missing.
    try:
        from medlab.course import find_course

        return find_course()
    except Exception:
        return None


def _course(root: Path | None) -> list[Finding]:
    if root is None:
        note = "run inside a medlab checkout, or set MEDLAB_COURSE to one"
        return [Finding("course", "course folder", "", "needed", note)]
    return [Finding("course", "course folder", str(root), "ok"), _lock(root)]


def _lock(root: Path) -> Finding:
    lock = root / "requirements.lock"
    if not lock.is_file():
        note = "without it versions are not pinned, and printed figures may differ"
        return Finding("course", "tested set", "", "absent", note)
    wanted = locked_versions(lock.read_text())
    differing = [name for name, version in wanted.items() if _version(name) != version]
    if not differing:
        return Finding("course", "tested set", f"all {len(wanted)} versions match", "ok")
    found = f"{len(differing)} of {len(wanted)} differ: {', '.join(differing[:3])}"
    return Finding("course", "tested set", found, "differs", "make clean setup")


def locked_versions(lock: str) -> dict[str, str]:
    """Read name -> version from a requirements lock, for this Python and platform only."""
    from packaging.markers import Marker

    lines = re.findall(r"^([\w.-]+)==([^\s;]+)(?: ; (.+?))? \\$", lock, flags=re.MULTILINE)
    return {
        name: version for name, version, marker in lines if not marker or Marker(marker).evaluate()
    }


# --- packages ---


def _packages(root: Path | None) -> list[Finding]:
    later = [_optional_package(name, enables) for name, enables in LATER_PACKAGES.items()]
    return [*(_core_package(name, root) for name in _core_names()), *later]


def _core_names() -> list[str]:
    """Return the packages that medlab and its first track require."""
    from packaging.requirements import Requirement

    try:
        requirements = [Requirement(line) for line in metadata.requires(DISTRIBUTION) or []]
    except metadata.PackageNotFoundError:
        return []
    return [r.name for r in requirements if _is_core(r)]


def _is_core(requirement) -> bool:
    extras = {"", *CORE_EXTRAS}
    return requirement.marker is None or any(
        requirement.marker.evaluate({"extra": extra}) for extra in extras
    )


def _core_package(name: str, root: Path | None) -> Finding:
    version = _version(name)
    if version:
        return Finding("package", name, version, "ok")
    command = "make clean setup" if root else "install medlab from its checkout: make setup"
    return Finding("package", name, "", "needed", command)


def _optional_package(name: str, enables: str) -> Finding:
    version = _version(name) or _version(CPU_BUILDS.get(name, name))
    return Finding("package", name, version, "ok" if version else "absent", enables)


def _version(name: str) -> str:
    try:
        return metadata.version(name) or ""
    except metadata.PackageNotFoundError:
        return ""


# --- tools ---


def _tools() -> list[Finding]:
    needed = [_needed_tool(name) for name in ("git", "make")]
    return [*needed, *(_optional_tool(name, *rest) for name, rest in LATER_TOOLS.items())]


def _needed_tool(name: str) -> Finding:
    place = shutil.which(name)
    if place:
        return Finding("tool", name, place, "ok")
    return Finding("tool", name, "", "needed", f"sudo apt-get install {name}")


def _optional_tool(name: str, programs: tuple[str, ...], enables: str) -> Finding:
    place = next(filter(None, map(_place, programs)), "")
    return Finding("tool", name, _detail(name, place), "ok" if place else "absent", enables)


def _place(program: str) -> str:
    # Debian keeps PostgreSQL's server programs out of PATH, one folder per version.
    debian = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{program}"))
    return shutil.which(program) or (debian[-1] if debian else "")


def _detail(name: str, place: str) -> str:
    """Return a tool's path, and whether Docker's engine runs or which GPU there is."""
    if place and name == "docker" and not Path("/var/run/docker.sock").exists():
        return f"{place} (no engine running)"
    if place and name == "nvidia-smi":
        return ", ".join(_gpus()) or f"{place} (no GPU)"
    return place


def _gpus() -> list[str]:
    # The driver lists its devices in files: nvidia-smi itself can take a second to answer.
    pages = [Path(p).read_text() for p in glob.glob("/proc/driver/nvidia/gpus/*/information")]
    return re.findall(r"^Model:\s*(.+)$", "\n".join(pages), flags=re.MULTILINE)
