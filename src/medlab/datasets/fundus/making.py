"""Make generated fundus photographs with patients in the layout of APTOS 2019."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from medlab.datasets import masks
from medlab.datasets.fundus.layout import GRADES_FILE, IMAGES, PATIENTS_FILE
from medlab.datasets.fundus.patients import draw_patients
from medlab.datasets.fundus.photograph import develop, draw_lesions, draw_shapes
from medlab.errors import BadInput

BATCH = 8  # photographs developed at once
FAST = {"compress_level": 1, "compress_type": 3}  # Z_RLE: noise does not compress better by more


def make(out: Path, *, seed: int = 0, patients: int = 1000, size: int = 96) -> None:
    """Write train.csv, train_images/, patients.csv and truth/ for one photograph per patient.

    size: width and height of a photograph in pixels, 32 or more. The same arguments give the same
    bytes. Raises BadInput for a setting out of range.
    """
    if patients < 1 or size < 32:
        raise BadInput(
            f"fundus: patients={patients}, size={size}: expected 1 patient and 32 pixels or more"
        )
    rng = np.random.default_rng([seed, 2019])
    table, truth = draw_patients(rng, patients)
    names = _names(rng, patients)
    for folder in (IMAGES, masks.FOLDER):
        (out / folder).mkdir(parents=True, exist_ok=True)
    counts = []
    for first in range(0, patients, BATCH):
        part = slice(first, first + BATCH)
        counts += _write_photographs(out, rng, names[part], truth.iloc[part], size)
    _write_tables(out, names, table, pd.concat([truth, pd.DataFrame(counts)], axis=1))


def _names(rng: np.random.Generator, count: int) -> list[str]:
    """Return different names of 12 hex digits, as APTOS has them."""
    return [f"{n:05x}{tail:07x}" for n, tail in enumerate(rng.integers(0, 16**7, count))]


def _write_photographs(
    out: Path, rng: np.random.Generator, names: list[str], truth: pd.DataFrame, size: int
) -> list[dict]:
    lesions = [draw_lesions(rng, severity) for severity in truth["severity"]]
    drawn = [draw_shapes(rng, spots, size) for spots in lesions]
    shapes = np.stack([layers for layers, _ in drawn])
    photographs = develop(rng, shapes, [at for _, at in drawn], truth["quality"].to_numpy())
    marked = np.maximum(shapes[:, 1], shapes[:, 2]) > 0.25
    for name, photograph, mask in zip(names, photographs, marked, strict=True):
        Image.fromarray(photograph).save(out / IMAGES / f"{name}.png", **FAST)
        Image.fromarray(mask).save(masks.mask_file(out, name), **FAST)
    return [spots.counts for spots in lesions]


def _write_tables(out: Path, names: list[str], table: pd.DataFrame, truth: pd.DataFrame) -> None:
    grades = pd.DataFrame({"id_code": names, "diagnosis": truth["grade"]})
    grades.to_csv(out / GRADES_FILE, index=False)
    table.insert(0, "id_code", names)
    table.to_csv(out / PATIENTS_FILE, index=False)
    truth.insert(0, "id_code", names)
    truth.round(4).to_csv(out / "truth" / "images.csv", index=False)
