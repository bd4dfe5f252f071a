"""PneumoniaMNIST: a maker of a stand-in in the same file, and a reader for both.

The real set is one NumPy archive, `pneumoniamnist.npz`, with six arrays: images (n, 28, 28) and
labels (n, 1) for train, val and test, both uint8; 0 is normal, 1 pneumonia
(https://medmnist.com/; CC BY 4.0; card: datasets/pneumonia-mnist.md).
"""

import io
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from medlab.datasets import chest_xray
from medlab.errors import BadInput

MADE_FROM = (chest_xray,)  # when that maker changes, so do these data
FILE = "pneumoniamnist.npz"
SPLITS = ("train", "val", "test")
SIDE = 28  # pixels
VALIDATION_SHARE = 0.1  # the real set's: 9 to 1
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # zip archives keep a time; the same bytes need the same time


@dataclass(frozen=True)
class Split:
    """The pictures of one split, uint8 (n, 28, 28), and their labels, int64 (n,), 1 pneumonia."""

    images: np.ndarray
    labels: np.ndarray


def make(
    out: Path,
    *,
    seed: int = 0,
    patients: int = 500,
    images_per_patient: int = 2,
    test_patients: int = 300,
    prevalence: float = 0.5,
    lesion: float = 1.0,
) -> None:
    """Write a generated `pneumoniamnist.npz` from the generated chest X-rays' JPEG variant.

    As in the real set a tenth of the training pictures is for validation and pictures are cut to
    a square, then resized. Unlike there, a tenth of the patients is taken, so that nobody is in
    two splits.
    """
    with tempfile.TemporaryDirectory() as folder:
        chest_xray.make(
            Path(folder),
            seed=seed,
            patients=patients,
            images_per_patient=images_per_patient,
            test_patients=test_patients,
            prevalence=prevalence,
            lesion=lesion,
            format="jpeg",
        )
        table = chest_xray.read_table(Path(folder))
        split = _splits(table, np.random.default_rng([seed, 28]))
        arrays = {}
        for name in SPLITS:
            rows = table[split == name]
            pictures = [thumbnail(Path(folder, path)) for path in rows["path"]]
            arrays[f"{name}_images"] = np.stack(pictures)
            arrays[f"{name}_labels"] = rows["label"].to_numpy(np.uint8)[:, None]
    _save(Path(out) / FILE, arrays)


def thumbnail(path: Path) -> np.ndarray:
    """Return a picture cut to its central square and resized, uint8 (28, 28)."""
    with Image.open(path) as opened:
        grey = opened.convert("L")
    side = min(grey.size)
    left, top = (grey.width - side) // 2, (grey.height - side) // 2
    square = grey.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def read(path: Path) -> dict[str, Split]:
    """Return the splits train, val and test of a real or generated archive.

    path: the archive, or the folder that holds `pneumoniamnist.npz`.
    Raises BadInput naming the file and the mend: not there, cut off, an array missing or of
    another shape, labels other than 0 and 1, a split with one class only.
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    arrays = _load(file)
    return {name: _split(arrays, name, file) for name in SPLITS}


def verify(folder: Path) -> list[str]:
    """Return what is wrong with a folder, in words that name file and mend; [] if nothing is."""
    try:
        read(folder)
    except BadInput as error:
        return [str(error)]
    return []


def _splits(table, rng: np.random.Generator) -> np.ndarray:
    """Return train, val or test for each row; a tenth of each class's patients is for val."""
    split = table["split"].to_numpy(dtype=object).copy()
    training = table[table["split"] == "train"]
    for label in (0, 1):
        patients = np.array(sorted(training.loc[training["label"] == label, "patient"].unique()))
        count = max(1, round(VALIDATION_SHARE * len(patients)))
        chosen = rng.permutation(patients)[:count]
        split[((table["split"] == "train") & table["patient"].isin(chosen)).to_numpy()] = "val"
    return split


def _save(file: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an .npz archive that has the same bytes for the same arrays."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", LONG_AGO), content.getvalue())


def _load(file: Path) -> dict[str, np.ndarray]:
    if not file.is_file():
        raise BadInput(f"{file} is not there: put {FILE} of MedMNIST in this folder, or make one")
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BadInput(f"{file} cannot be read ({error}): fetch or make it again") from None


def _split(arrays: dict[str, np.ndarray], name: str, file: Path) -> Split:
    images, labels = (_array(arrays, f"{name}_{kind}", file) for kind in ("images", "labels"))
    if images.ndim != 3 or images.shape[1] != images.shape[2] or images.dtype != np.uint8:
        raise BadInput(
            f"{file}: {name}_images is {images.dtype} {images.shape}: square grey pictures, uint8 "
            "(n, side, side), are expected; fetch the grey 28-pixel archive"
        )
    if labels.size != len(images):
        raise BadInput(
            f"{file}: {len(images)} {name}_images, {labels.size} {name}_labels: one label for each "
            "picture; fetch or make the file again"
        )
    found = np.unique(labels)
    if found.tolist() != [0, 1]:
        raise BadInput(
            f"{file}: {name}_labels holds {found.tolist()[:5]}: 0 and 1 must both occur, or no AUC "
            "can be computed; take another split"
        )
    return Split(images, labels.reshape(-1).astype(np.int64))


def _array(arrays: dict[str, np.ndarray], name: str, file: Path) -> np.ndarray:
    if name not in arrays:
        raise BadInput(
            f"{file} has no array {name}: there are {', '.join(sorted(arrays)) or 'none'}; fetch "
            "or make it again"
        )
    return arrays[name]
