"""Files written whole, YAML read, names that are free, and temporary folders with an owner."""

import itertools
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from pathlib import Path

from medlab import locks
from medlab.errors import BadInput


def write_text(path: Path, text: str) -> None:
    """Replace a file's text, UTF-8, in one step; as write_bytes."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file in one step, making its folder: a crash leaves the old one or the new one.

    Raises BadInput if it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=path.parent, prefix=".unfinished-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.chmod(unfinished, 0o644)
            os.replace(unfinished, path)
        except BaseException:
            os.unlink(unfinished)
            raise
    except OSError as error:
        fix = f"free disk space or fix permissions on {path.parent}, or name another file"
        raise BadInput(f"{path} cannot be written ({error.strerror}): {fix}") from None


def read_yaml(path: Path) -> object:
    """Return what a YAML file holds; raise BadInput if it cannot be read or is not YAML."""
    import yaml  # here, since most who write files read no YAML

    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8 text: save it as UTF-8") from None
    except yaml.YAMLError as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise BadInput(f"{path}:{line}: not valid YAML: correct the line") from None


def free_name(path: Path) -> Path:
    """Return the path, or the first of a.1.txt, a.2.txt and so on for a.txt that is not taken."""
    numbered = (path.with_name(f"{path.stem}.{n}{path.suffix}") for n in itertools.count(1))
    return next(name for name in itertools.chain([path], numbered) if not name.exists())


def is_filled(folder: Path) -> bool:
    """Tell whether a folder exists and is not empty."""
    return folder.is_dir() and any(folder.iterdir())


def check_new(folder: Path, fix: str) -> None:
    """Raise BadInput, with what to do, unless a folder is new or empty."""
    if is_filled(folder) or (folder.exists() and not folder.is_dir()):
        raise BadInput(f"{folder} exists and is not empty: {fix}")


def find_above(start: Path, holds: str, then: Sequence[Path] = ()) -> Path | None:
    """Return the first folder that holds a path: start, those above it, then the others named."""
    here = start.resolve()
    folders = (here, *here.parents, *then)
    return next((folder for folder in folders if (folder / holds).exists()), None)


PREFIX, OWNER = "medlab-", "owner"


class OwnedFolder(tempfile.TemporaryDirectory):
    """A temporary folder whose owner is on record: a locked file in it with this process's id.

    The system lets go of the lock when the process ends, however it ends, so that nobody takes a
    living process's folder for an abandoned one, nor a later process of the same id for its owner.
    """

    def __init__(self, place: str):
        super().__init__(prefix=PREFIX, dir=place)
        self._lock = _locked(Path(self.name))

    def cleanup(self) -> None:
        super().cleanup()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def folder_for_sockets() -> OwnedFolder:
    """Make a temporary folder whose path is short: a socket's may have about 100 characters.

    Where the folder for temporary files has a long path itself, /tmp serves.
    """
    return OwnedFolder(_place())


def clear_abandoned() -> list[Path]:
    """Remove the folders of folder_for_sockets whose owner was killed; return which."""
    found = [path for path in Path(_place()).glob(f"{PREFIX}*") if _is_abandoned(path)]
    for path in found:
        shutil.rmtree(path, ignore_errors=True)
    return found


def _place() -> str:
    here = tempfile.gettempdir()
    return here if len(here) <= 50 else "/tmp"


def _locked(folder: Path) -> int | None:
    """Put the locked file into a folder; return what holds the lock, None where there are none."""
    if not locks.AVAILABLE:
        return None
    # Locked before it has its name: a file of that name without a lock is one left behind.
    unfinished = folder / f".{OWNER}"
    lock = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    locks.wait_for(lock)
    os.write(lock, f"{os.getpid()}\n".encode())
    os.rename(unfinished, folder / OWNER)
    return lock


def _is_abandoned(folder: Path) -> bool:
    """Tell whether a folder is this user's, has an owner on record, and the owner is gone."""
    try:
        status = folder.lstat()
        if not locks.AVAILABLE or not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            return False
        lock = os.open(folder / OWNER, os.O_RDWR | os.O_NOFOLLOW)
        try:
            return locks.take(lock)
        finally:
            os.close(lock)
    except OSError:
        return False
