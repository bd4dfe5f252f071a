"""Checks that hold for a volume of any file format."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from medlab.errors import BadInput
from medlab.imaging.hounsfield import AIR


def times(numbers: Iterable[float]) -> str:
    """Return numbers as a size in words, such as 64 x 64 x 40."""
    return " x ".join(f"{n:g}" for n in numbers)


def check_axes(path: Path, shape: tuple[int, ...]) -> None:
    """Raise BadInput unless a volume has three axes."""
    if len(shape) != 3:
        raise BadInput(
            f"{path}: {len(shape)} axes ({times(shape)}): a volume has three axes; split it"
        )


def check_finite(path: Path, values: np.ndarray) -> None:
    """Raise BadInput if a volume has voxels that are NaN or infinite."""
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise BadInput(
            f"{path}: {bad} voxels are NaN or infinite: replace them by air ({AIR} HU) if they lie "
            f"outside the field of view, else export the scan again"
        )
