"""Write files so that a reader never finds half of one."""

import os
import tempfile
from pathlib import Path

from medlab.errors import BadInput


def write_text(path: Path, text: str) -> None:
    """Replace a file's text in one step, making its folder; raise BadInput if that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            os.chmod(beside, 0o644)
            os.replace(beside, path)
        except BaseException:
            os.unlink(beside)
            raise
    except OSError as error:
        raise BadInput(f"{path} cannot be written ({error.strerror}): choose another") from None
