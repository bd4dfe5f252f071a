"""The folder hardware_labs: where it is, which boards and applications it has."""

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path

from medlab.errors import BadInput
from medlab.files import find_above

FOLDER = "hardware_labs"
BOARDS = f"{FOLDER}/boards"


def find_hardware_labs(start: Path | None = None) -> Path:
    """Return the folder hardware_labs.

    Looks at the environment variable MEDLAB_HARDWARE_LABS, which names that folder itself, then
    upwards from start (default: the working folder), then at the checkout from which medlab is
    installed, then beside medlab's packages, where a wheel brings it. Raises BadInput if none has
    it.
    """
    named = os.environ.get("MEDLAB_HARDWARE_LABS", "").strip()
    if named:
        return _named_labs(Path(named))
    here = start or Path.cwd()
    package = Path(__file__).resolve().parents[2]
    if found := find_above(here, BOARDS, [package.parents[1], package]):
        return found / FOLDER
    raise BadInput(
        f"no {BOARDS} in {here.resolve()} or above it: run inside a medlab checkout, "
        "or set MEDLAB_HARDWARE_LABS to its folder hardware_labs"
    )


def _named_labs(folder: Path) -> Path:
    if not (folder / "boards").is_dir():
        raise BadInput(f"MEDLAB_HARDWARE_LABS names {folder}, which has no boards/: correct it")
    return folder.resolve()


def names() -> list[str]:
    """Return the names of all boards."""
    return sorted(path.parent.name for path in find_hardware_labs().glob("boards/*/board.yaml"))


def application(name: str) -> Path:
    """Return an application's folder: a path, or a name in hardware_labs. Raises BadInput."""
    folder = Path(name)
    if not folder.is_dir():
        folder = find_hardware_labs() / name
    if not folder.is_dir():
        own = ", ".join(_applications())
        raise BadInput(f"there is no application {name}: name a folder with C files, or {own}")
    return folder.resolve()


def _applications() -> list[str]:
    """Return the names of the folders in hardware_labs that have a main."""
    begins = re.compile(rb"\bint main\([^)]*\)\s*\{")
    files = find_hardware_labs().glob("*/*.c")
    return sorted({file.parent.name for file in files if begins.search(file.read_bytes())})


def sources(folder: Path) -> list[Path]:
    """Return the C files of an application, by name. Raises BadInput if there are none."""
    found = sorted(folder.glob("*.c"))
    if not found:
        raise BadInput(f"{folder} holds no C file: an application needs a main.c")
    return found


def wants_model(files: Sequence[Path]) -> bool:
    """Return whether C files include model.h, which a compiled model brings, and lack it."""
    return any(
        re.search(rb'(?m)^\s*#\s*include\s*"model\.h"', file.read_bytes())
        and not (file.parent / "model.h").exists()
        for file in files
    )


def build_folder(application: Path, model: Path | None = None) -> Path:
    """Return the folder for built firmware, which git ignores: below build/ in the checkout.

    Two applications of one name, or one with two models, may be built and run at once: each has a
    folder of its own.
    """
    who = f"{application.resolve()}\n{model.resolve() if model else ''}"
    key = hashlib.sha256(os.fsencode(who)).hexdigest()[:12]
    return find_hardware_labs().parent / "build" / "firmware" / f"{application.name}-{key}"
