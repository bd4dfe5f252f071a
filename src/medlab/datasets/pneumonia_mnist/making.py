"""Make a generated `pneumoniamnist.npz` out of generated chest radiographs."""

import io
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from medlab.datasets.chest_xray import making as radiographs
from medlab.datasets.chest_xray.reading import read_table
from medlab.datasets.pneumonia_mnist.layout import FILE, SIDE, SPLITS

VALIDATION_SHARE = 0.1  # the real set's: 9 to 1
TIME = (1980, 1, 1, 0, 0, 0)  # zip archives keep a time; the same bytes need the same time


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
    """Write a generated `pneumoniamnist.npz` from generated chest radiographs in JPEG format.

    As in the real set, a tenth of the training data is for validation, and images are cropped to
    a square and resized. Unlike there, a tenth of the patients is taken, so that no patient is
    in two splits.
    """
    with tempfile.TemporaryDirectory() as folder:
        radiographs.make(
            Path(folder),
            seed=seed,
            patients=patients,
            images_per_patient=images_per_patient,
            test_patients=test_patients,
            prevalence=prevalence,
            lesion=lesion,
            format="jpeg",
        )
        table = read_table(Path(folder))
        split = draw_splits(table, np.random.default_rng([seed, 28]))
        arrays = {}
        for name in SPLITS:
            rows = table[split == name]
            images = [thumbnail(Path(folder, path)) for path in rows["path"]]
            arrays[f"{name}_images"] = np.stack(images)
            arrays[f"{name}_labels"] = rows["label"].to_numpy(np.uint8)[:, None]
    _save(Path(out) / FILE, arrays)


def thumbnail(path: Path) -> np.ndarray:
    """Return an image cropped to its central square and resized, uint8 (28, 28)."""
    with Image.open(path) as opened:
        grey = opened.convert("L")
    side = min(grey.size)
    left, top = (grey.width - side) // 2, (grey.height - side) // 2
    square = grey.crop((left, top, left + side, top + side))
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def draw_splits(table, rng: np.random.Generator) -> np.ndarray:
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
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", TIME), content.getvalue())
