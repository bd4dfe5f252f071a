"""Read a folder of chest radiographs, generated or real."""

from pathlib import Path

import numpy as np
import pandas as pd

from medlab.datasets import masks
from medlab.datasets.chest_xray.layout import CLASSES, SPLITS, SUFFIXES, patient_of
from medlab.errors import BadInput


def read_table(folder: Path) -> pd.DataFrame:
    """Read which images a folder holds: path (from folder), split, label (0 or 1), patient.

    Sorted by path. Everything comes from folder and file names, so that it reads the real set too.
    Raises BadInput for a missing folder, no image, and a file name without a patient.
    """
    rows = [_row(folder, path) for path in find_images(folder)]
    if not rows:
        raise BadInput(
            f"no image in {find_top(folder)}: it should hold <split>/NORMAL and <split>/PNEUMONIA "
            f"with files that end in {', '.join(SUFFIXES)}"
        )
    return pd.DataFrame(rows, columns=["path", "split", "label", "patient"])


def read_mask(folder: Path, path: str) -> np.ndarray:
    """Read where the lesion of a generated radiograph is: bool, of the image's shape.

    path: as in read_table. Raises BadInput if there is no mask: healthy and real images have none.
    """
    return masks.read_mask(folder, Path(path).stem, "generated images with PNEUMONIA")


def find_top(folder: Path) -> Path:
    """Return the folder that holds the splits; raise BadInput if there is none."""
    folder = Path(folder)
    for top in (folder / "chest_xray", folder):
        if any((top / split).is_dir() for split in SPLITS):
            return top
    raise BadInput(
        f"no folder {folder / 'chest_xray' / 'train'}: give the folder that holds chest_xray, "
        "or make one with `medlab data make chest-xray`"
    )


def find_images(folder: Path) -> list[Path]:
    """Return all images of a folder, sorted; hidden files are left out."""
    top = find_top(folder)
    return sorted(
        path
        for split in SPLITS
        for label in CLASSES
        for path in (top / split / label).glob("*")
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    )


def _row(folder: Path, path: Path) -> tuple[str, str, int, str]:
    label = CLASSES.index(path.parent.name)
    relative = path.relative_to(folder).as_posix()
    return relative, path.parent.parent.name, label, patient_of(path.name)
