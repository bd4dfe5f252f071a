"""Chest radiographs with and without pneumonia, in the folders and names of Kermany's set."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from medlab.datasets.chest_xray import scanner as scanners_
from medlab.datasets.chest_xray import thorax
from medlab.datasets.chest_xray.reading import (
    CLASSES,
    SPLITS,
    patient_of,
    read_mask,
    read_table,
    verify,
)
from medlab.datasets.chest_xray.scanner import SCANNERS
from medlab.errors import BadInput

__all__ = [
    "CLASSES",
    "SCANNERS",
    "SPLITS",
    "make",
    "patient_of",
    "read_mask",
    "read_table",
    "verify",
]

FORMATS = {"jpeg": ".jpeg", "dicom": ".dcm"}
JPEG_QUALITY = 95
VIRAL_SHARE = 0.35  # the real training folder: 1,345 of 3,883 pneumonia images (recalled)
MASK_FROM = 0.35  # of a lesion's greatest depth
FEWEST_PIXELS = 32


@dataclass(frozen=True)
class Person:
    """One patient of a split."""

    split: str
    number: int
    sick: bool
    viral: bool


def make(
    out: Path,
    *,
    seed: int = 0,
    patients: int = 120,
    images_per_patient: int = 3,
    test_patients: int = 200,
    test_images_per_patient: int = 1,
    size: int = 96,
    prevalence: float = 0.4,
    scanners: str = "ABC",
    test_scanners: str = "ABC",
    lesion: float = 1.0,
    format: str = "dicom",
) -> None:
    """Make a set of generated chest radiographs under out, with its truth beside it.

    size: pixels along each side. prevalence: share of patients with pneumonia, in each split.
    scanners, test_scanners: letters of SCANNERS; each image takes one, whatever its label.
    lesion: depth of the consolidations; below 1 they are harder to see. format: jpeg or dicom.
    The test patients are the same people for any number of training patients.
    The same arguments give the same bytes. Raises BadInput for a value outside its range.
    """
    _check(patients, images_per_patient, test_patients, test_images_per_patient, size, lesion)
    _check_words(scanners, test_scanners, format)
    people = _people(seed, "train", patients, prevalence, first=1)
    people += _people(seed, "test", test_patients, prevalence, first=patients + 1)
    out = Path(out)
    (out / "truth" / "masks").mkdir(parents=True)
    for split in ("train", "test"):
        for label in CLASSES:
            (out / "chest_xray" / split / label).mkdir(parents=True)
    rows = []
    for person in people:
        training = person.split == "train"
        count = images_per_patient if training else test_images_per_patient
        letters = scanners if training else test_scanners
        number = person.number if training else person.number - patients
        rows += _make_person(
            out, person, [seed, not training, number], count, letters, size, lesion, format
        )
    _write_rows(out / "truth" / "images.csv", rows)


def _check(patients, images, test_patients, test_images, size, lesion) -> None:
    least = {
        "patients": (patients, 2),
        "images_per_patient": (images, 1),
        "test_patients": (test_patients, 2),
        "test_images_per_patient": (test_images, 1),
        "size": (size, FEWEST_PIXELS),
    }
    for name, (value, low) in least.items():
        if value < low:
            raise BadInput(f"chest-xray: {name}={value} is too small, give at least {low}")
    if not 0 < lesion <= 3:
        raise BadInput(f"chest-xray: lesion={lesion}, give a depth above 0 and up to 3")


def _check_words(scanners: str, test_scanners: str, format: str) -> None:
    for letters in (scanners, test_scanners):
        if not letters or set(letters) - set(SCANNERS):
            raise BadInput(f"chest-xray: no scanners {letters!r}, give some of {''.join(SCANNERS)}")
    if format not in FORMATS:
        raise BadInput(f"chest-xray: no format {format!r}, give one of {', '.join(FORMATS)}")


def _people(seed: int, split: str, count: int, prevalence: float, first: int) -> list[Person]:
    """Return the patients of a split, of whom a share is sick."""
    if not 0 < prevalence < 1:
        raise BadInput(f"chest-xray: prevalence={prevalence}, give a share between 0 and 1")
    sick = min(max(round(prevalence * count), 1), count - 1)
    rng = np.random.default_rng([seed, SPLITS.index(split), 0])
    chosen = set(rng.permutation(count)[:sick].tolist())
    viral = rng.random(count) < VIRAL_SHARE
    return [Person(split, first + i, i in chosen, bool(viral[i])) for i in range(count)]


def _make_person(out, person, key, count, letters, size, lesion, format) -> list[list]:
    """Write the images of one patient; return their rows of truth."""
    rng = np.random.default_rng([*key, 0])
    patient = thorax.draw_patient(rng)
    blobs = thorax.draw_consolidation(rng, patient, lesion, person.viral) if person.sick else []
    rows = []
    for k in range(1, count + 1):
        path = _path(person, k, FORMATS[format])
        letter = _make_image(
            out, path, patient, blobs, np.random.default_rng([*key, k]), letters, size
        )
        rows.append(
            [path.as_posix(), person.split, int(person.sick), patient_of(path.name), letter]
        )
    return rows


def _path(person: Person, k: int, suffix: str) -> Path:
    folder = Path("chest_xray", person.split, CLASSES[person.sick])
    if person.sick:
        kind = "virus" if person.viral else "bacteria"
        return folder / f"person{person.number}_{kind}_{k}{suffix}"
    return folder / f"IM-{person.number:04d}-{k:04d}{suffix}"


def _make_image(out, path, patient, blobs, rng, letters, size) -> str:
    """Write one radiograph, and its mask where it has a lesion; return its scanner."""
    letter = letters[int(rng.integers(len(letters)))]
    extra = thorax.draw_devices(rng)
    attenuation, fields = thorax.attenuation(patient, thorax.draw_pose(rng), blobs, extra, size)
    stored = scanners_.expose(attenuation, SCANNERS[letter], rng)
    if path.suffix == ".dcm":
        scanners_.write_dicom(out / path, stored, patient_of(path.name), letter)
    else:
        Image.fromarray(scanners_.grey(stored)).save(
            out / path, format="JPEG", quality=JPEG_QUALITY
        )
    if blobs:
        mask = (fields.max(axis=0) > MASK_FROM).astype(np.uint8) * 255
        Image.fromarray(mask).save(out / "truth" / "masks" / f"{path.stem}.png")
    return letter


def _write_rows(path: Path, rows: list[list]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["path", "split", "label", "patient", "scanner"])
        writer.writerows(sorted(rows))
