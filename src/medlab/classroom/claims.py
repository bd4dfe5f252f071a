"""Claims: two graders that write into one folder do not grade the same submission.

A claim is a lock on one byte of a file in the output folder. The system releases it when the
process ends, however it ends, so that no claim outlives its grader. Graders with folders of their
own grade on their own, also where they share a gradebook: each folder gets its own pages. Where a
system has no locks (Windows), two graders may grade the same submission.
"""

import hashlib
import os
from pathlib import Path

from medlab import locks
from medlab.errors import BadInput


class Claims:
    """What this process has claimed in a folder."""

    def __init__(self, path: Path):
        """Open or make the file of locks; raise BadInput if that fails."""
        try:
            self._file = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            problem = f"{path} cannot be written ({error.strerror})"
            raise BadInput(f"{problem}: choose another --out") from None

    def __enter__(self) -> "Claims":
        return self

    def __exit__(self, *_) -> None:
        os.close(self._file)  # and with it all claims

    def take(self, name: str) -> bool:
        """Claim something, unless another process has; return whether it is ours now."""
        return locks.take_byte(self._file, _place(name))

    def release(self, name: str) -> None:
        """Release the claim, so that another process can take it."""
        locks.release_byte(self._file, _place(name))


def _place(name: str) -> int:
    """Return the byte to lock for a name; a lock may be far beyond the end of a file."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") >> 2
