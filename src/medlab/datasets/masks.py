"""Lesion masks of stand-ins: one PNG for each image that has a lesion."""

from pathlib import Path

import numpy as np
from PIL import Image

from medlab.errors import BadInput

FOLDER = "truth/masks"


def mask_file(folder: Path, stem: str) -> Path:
    """Return where the mask of an image is, by the stem of the image's file name."""
    return Path(folder) / FOLDER / f"{stem}.png"


def read_mask(folder: Path, stem: str, have_one: str) -> np.ndarray:
    """Read where lesions are, bool of the image's shape.

    have_one: which images have a mask, in words. Raises BadInput where there is none.
    """
    file = mask_file(folder, stem)
    if not file.is_file():
        raise BadInput(f"no lesion mask {file}: only {have_one} have one")
    with Image.open(file) as mask:
        return np.asarray(mask.convert("L")) > 0
