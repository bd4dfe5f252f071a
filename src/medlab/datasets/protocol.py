"""What a package under medlab.datasets offers."""

from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class DataSetModule(Protocol):
    """The package of one data set: it makes the stand-in and checks a folder, made or real.

    `make` is imported when it is first used; a reader imports no maker.
    """

    __name__: str
    __file__: str

    def make(self, out: Path, *, seed: int = 0) -> None:
        """Write the stand-in under out; further settings are keywords with defaults.

        The same settings give the same bytes. Raises BadInput for a setting out of range.
        """

    def verify(self, folder: Path) -> list[str]:
        """Return one line for each fault, naming the file and the fix; [] if there is none."""
