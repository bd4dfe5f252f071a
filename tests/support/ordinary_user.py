"""Run this: `python ordinary_user.py USER_ID PROGRAM...` runs a program as an ordinary user.

Needs root. What the program reads may lie in folders that only root can enter: in a mount
namespace of its own these are replaced by folders that hold nothing but the way there.
"""

import os
import sys
import tempfile
from pathlib import Path

from medlab.sandbox import linux, namespaces

CHECKOUT = Path(__file__).resolve().parents[2]


def main() -> None:
    user, command = int(sys.argv[1]), sys.argv[2:]
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount("none", Path("/"), flags=linux.MS_REC | linux.MS_PRIVATE)
    needed = [Path(path) for path in [*namespaces.readable_paths(), str(CHECKOUT), sys.prefix]]
    closed = {top for path in needed if (top := _closed_above(path))}
    for top in closed:
        _open(top, [path for path in needed if path.is_relative_to(top)])
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    os.chdir("/")
    os.execv(command[0], command)


def _closed_above(path: Path) -> Path | None:
    """Return the first folder on the way to a path that others may not enter."""
    ways = reversed(path.parents)
    return next((folder for folder in ways if not folder.stat().st_mode & 0o001), None)


def _open(top: Path, paths: list[Path]) -> None:
    aside = Path(tempfile.mkdtemp())
    linux.mount(str(top), aside, flags=linux.MS_BIND | linux.MS_REC)
    linux.mount("tmpfs", top, "tmpfs", 0, "mode=755")
    for path in paths:
        source = aside / path.relative_to(top)
        if not source.exists() or path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if source.is_dir() else path.touch()
        linux.mount(str(source), path, flags=linux.MS_BIND | linux.MS_REC)
    linux.mount("tmpfs", aside, "tmpfs", 0, "mode=700")


if __name__ == "__main__":
    main()
