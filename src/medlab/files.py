"""Write files so that a reader never finds half of one; make folders that hold sockets."""

import os
import tempfile
from pathlib import Path

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
        mend = "make room and its folder writable, or name another"
        raise BadInput(f"{path} cannot be written ({error.strerror}): {mend}") from None


def folder_for_sockets() -> tempfile.TemporaryDirectory:
    """Make a temporary folder whose path is short: a socket's may have about 100 characters.

    Where the folder for temporary files has a long path itself, /tmp serves.
    """
    here = tempfile.gettempdir()
    return tempfile.TemporaryDirectory(prefix="medlab-", dir=here if len(here) <= 50 else "/tmp")
