"""Read PneumoniaMNIST, generated or real."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medlab.datasets.pneumonia_mnist.layout import FILE, SPLITS
from medlab.errors import BadInput


@dataclass(frozen=True)
class Split:
    """The images of one split, uint8 (n, 28, 28), and their labels, int64 (n,), 1 pneumonia."""

    images: np.ndarray
    labels: np.ndarray


def read(path: Path) -> dict[str, Split]:
    """Return the splits train, val and test of a real or generated archive.

    path: the archive, or the folder that holds `pneumoniamnist.npz`.
    Raises BadInput for a missing or truncated file, a missing array or one of another shape,
    labels other than 0 and 1, and a split with one class only.
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    arrays = _load(file)
    return {name: _split(arrays, name, file) for name in SPLITS}


def _load(file: Path) -> dict[str, np.ndarray]:
    if not file.is_file():
        raise BadInput(f"{file} not found: copy MedMNIST's {FILE} into this folder, or make one")
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{file} cannot be read ({error}): fetch or make it again") from None


def _split(arrays: dict[str, np.ndarray], name: str, file: Path) -> Split:
    images, labels = (_array(arrays, f"{name}_{kind}", file) for kind in ("images", "labels"))
    if images.ndim != 3 or images.shape[1] != images.shape[2] or images.dtype != np.uint8:
        raise BadInput(
            f"{file}: {name}_images is {images.dtype} {images.shape}: expected square grey images, "
            "uint8 (n, side, side); fetch the grey 28-pixel archive"
        )
    if labels.size != len(images):
        raise BadInput(
            f"{file}: {len(images)} {name}_images, {labels.size} {name}_labels: expected one "
            "label for each image; fetch or make the file again"
        )
    found = np.unique(labels)
    if found.tolist() != [0, 1]:
        raise BadInput(
            f"{file}: {name}_labels holds {found.tolist()[:5]}: expected 0 and 1, as AUC "
            "needs both; take another split"
        )
    return Split(images, labels.reshape(-1).astype(np.int64))


def _array(arrays: dict[str, np.ndarray], name: str, file: Path) -> np.ndarray:
    if name not in arrays:
        raise BadInput(
            f"{file} has no array {name}: it has {', '.join(sorted(arrays)) or 'none'}; fetch "
            "or make it again"
        )
    return arrays[name]
