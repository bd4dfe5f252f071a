"""The C compilers that build firmware: Arm's gcc where it is installed, else clang as zig ships it.

Both get the same options: C11, no C library, -O2. Zig's cache is inside medlab's own, so that
nothing is written elsewhere. MEDLAB_TOOLCHAIN=gcc or zig picks one.
"""

import contextlib
import importlib.util
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import platformdirs

from medlab.edge.boards.programs import first_error
from medlab.errors import BadInput

GCC = "arm-none-eabi-gcc"
PROCESSORS = 4  # at most, for one compiler
CORE_FLAGS = {
    "gcc": {
        "cortex-m4": "-mcpu=cortex-m4 -mthumb -mfloat-abi=hard -mfpu=fpv4-sp-d16",
        "cortex-m7": "-mcpu=cortex-m7 -mthumb -mfloat-abi=hard -mfpu=fpv5-sp-d16",
    },
    "zig": {
        "cortex-m4": "-target thumb-freestanding-eabihf -mcpu=cortex_m4+vfp4d16sp",
        "cortex-m7": "-target thumb-freestanding-eabihf -mcpu=cortex_m7+fp_armv8d16sp",
    },
}
FLAGS = "-std=gnu11 -O2 -ffreestanding -fomit-frame-pointer -ffunction-sections -fdata-sections"
WARNINGS = "-Wall -Wextra"
LINK = "-nostdlib -Wl,--gc-sections -Wl,-e,Reset_Handler"
OWN_LINK = {
    # lib/string.c is linked in, so the compiler's own helpers are all that -lgcc may add.
    "gcc": "-lgcc -Wl,--no-warn-rwx-segments",
    "zig": "",
}
OWN_FLAGS = {"gcc": "-fno-tree-loop-distribute-patterns", "zig": "-fno-sanitize=all -g0"}


@dataclass(frozen=True)
class Toolchain:
    """A compiler for Cortex-M: which kind, how to start it, and its name with version."""

    kind: str
    command: tuple[str, ...]
    name: str

    def link(
        self,
        core: str,
        sources: Sequence[Path],
        out: Path,
        script: Path,
        library: Path,
        folders: Sequence[Path] = (),
        defines: Mapping[str, object] | None = None,
    ) -> None:
        """Compile C files and link them by a linker script into the ELF file out.

        library holds what the script includes; folders are searched for headers. Raises BadInput
        with the compiler's first error.
        """
        command = [*self.command, *CORE_FLAGS[self.kind][core].split(), *FLAGS.split()]
        command += [*WARNINGS.split(), *OWN_FLAGS[self.kind].split()]
        command += [f"-D{name}={value}" for name, value in (defines or {}).items()]
        command += [f"-I{folder.resolve()}" for folder in folders]
        command += [str(source.resolve()) for source in sources]
        command += ["-T", str(script.resolve()), *LINK.split(), *OWN_LINK[self.kind].split()]
        command += ["-o", str(out.resolve())]
        # A linker script's INCLUDE is looked for in the working folder: zig does not pass on -L.
        with _few_processors():
            done = subprocess.run(
                command, capture_output=True, text=True, env=_environment(), cwd=library
            )
        if done.returncode:
            raise BadInput(f"{self.name} cannot build {out.name}: {first_error(done.stderr)}")


def find(kind: str | None = None) -> Toolchain:
    """Return the compiler named by kind or MEDLAB_TOOLCHAIN, else the first that is there.

    Raises BadInput where there is none, with what to install.
    """
    wanted = kind or os.environ.get("MEDLAB_TOOLCHAIN", "").strip()
    if wanted and wanted not in CORE_FLAGS:
        raise BadInput(f"there is no toolchain {wanted}: use gcc or zig")
    found = [make() for name, make in (("gcc", _gcc), ("zig", _zig)) if wanted in ("", name)]
    for toolchain in filter(None, found):
        return toolchain
    raise BadInput(
        f"no compiler for Cortex-M ({wanted or 'gcc or zig'}): pip install ziglang, "
        "or install gcc-arm-none-eabi"
    )


def _gcc() -> Toolchain | None:
    place = shutil.which(GCC)
    if place is None:
        return None
    version = subprocess.run([place, "-dumpversion"], capture_output=True, text=True, check=False)
    return Toolchain("gcc", (place,), f"{GCC} {version.stdout.strip()}")


def _zig() -> Toolchain | None:
    if importlib.util.find_spec("ziglang") is None:
        return None
    command = (sys.executable, "-m", "ziglang", "cc")
    return Toolchain("zig", command, f"ziglang {metadata.version('ziglang')} (clang)")


@contextlib.contextmanager
def _few_processors() -> Iterator[None]:
    """Let child processes see few processors: zig starts a thread for each.

    They are chosen at random, so that a class does not compile on the same four.
    """
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, random.sample(sorted(allowed), min(PROCESSORS, len(allowed))))
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def _environment() -> dict[str, str]:
    cache = str(platformdirs.user_cache_path("medlab") / "zig")
    ours = {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}
    return os.environ | {name: os.environ.get(name, place) for name, place in ours.items()}
