"""Write files so that a reader never finds half of one."""

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
