"""Make generated chest radiographs in the layout of Kermany and others' set."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from medlab.datasets.chest_xray import patients as anatomy
from medlab.datasets.chest_xray import scanner as detector
from medlab.datasets.chest_xray import thorax
from medlab.datasets.chest_xray.layout import CLASSES, SPLITS, TRUTH, patient_of
from medlab.datasets.chest_xray.scanner import SCANNERS
from medlab.datasets.masks import FOLDER as MASKS
from medlab.datasets.masks import mask_file
from medlab.datasets.tables import write_rows
from medlab.errors import BadInput

FORMATS = {"jpeg": ".jpeg", "dicom": ".dcm"}
JPEG_QUALITY = 95
VIRAL_SHARE = 0.35  # 1,345 of 3,883 training images with pneumonia (doi 10.1016/j.cell.2018.02.010)
MASK_FROM = 0.35  # of a lesion's greatest depth
FEWEST_PIXELS = 32


@dataclass(frozen=True)
class Subject:
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
    The test patients are the same for any number of training patients.
    The same arguments give the same bytes. Raises BadInput for a value outside its range.
    """
    _check(patients, images_per_patient, test_patients, test_images_per_patient, size, lesion)
    _check_words(scanners, test_scanners, format)
    subjects = _subjects(seed, "train", patients, prevalence, first=1)
    subjects += _subjects(seed, "test", test_patients, prevalence, first=patients + 1)
    out = Path(out)
    (out / MASKS).mkdir(parents=True)
    for split in ("train", "test"):
        for label in CLASSES:
            (out / "chest_xray" / split / label).mkdir(parents=True)
    rows = []
    for subject in subjects:
        training = subject.split == "train"
        count = images_per_patient if training else test_images_per_patient
        letters = scanners if training else test_scanners
        number = subject.number if training else subject.number - patients
        rows += _make_subject(
            out, subject, [seed, not training, number], count, letters, size, lesion, format
        )
    write_rows(out / TRUTH, sorted(rows, key=lambda row: row["path"]))


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


def _subjects(seed: int, split: str, count: int, prevalence: float, first: int) -> list[Subject]:
    """Return the patients of a split, of whom a share is sick."""
    if not 0 < prevalence < 1:
        raise BadInput(f"chest-xray: prevalence={prevalence}, give a share between 0 and 1")
    sick = min(max(round(prevalence * count), 1), count - 1)
    rng = np.random.default_rng([seed, SPLITS.index(split), 0])
    chosen = set(rng.permutation(count)[:sick].tolist())
    viral = rng.random(count) < VIRAL_SHARE
    return [Subject(split, first + i, i in chosen, bool(viral[i])) for i in range(count)]


def _make_subject(out, subject, key, count, letters, size, lesion, format) -> list[dict]:
    """Write the images of one patient; return their rows of truth."""
    rng = np.random.default_rng([*key, 0])
    patient = anatomy.draw_patient(rng)
    blobs = anatomy.draw_consolidation(rng, patient, lesion, subject.viral) if subject.sick else []
    rows = []
    for k in range(1, count + 1):
        path = _path(subject, k, FORMATS[format])
        letter = _make_image(
            out, path, patient, blobs, np.random.default_rng([*key, k]), letters, size
        )
        rows.append(
            {
                "path": path.as_posix(),
                "split": subject.split,
                "label": int(subject.sick),
                "patient": patient_of(path.name),
                "scanner": letter,
            }
        )
    return rows


def _path(subject: Subject, k: int, suffix: str) -> Path:
    folder = Path("chest_xray", subject.split, CLASSES[subject.sick])
    if subject.sick:
        kind = "virus" if subject.viral else "bacteria"
        return folder / f"person{subject.number}_{kind}_{k}{suffix}"
    return folder / f"IM-{subject.number:04d}-{k:04d}{suffix}"


def _make_image(out, path, patient, blobs, rng, letters, size) -> str:
    """Write one radiograph, and its mask where it has a lesion; return its scanner."""
    letter = letters[int(rng.integers(len(letters)))]
    extra = anatomy.draw_devices(rng)
    attenuation, fields = thorax.attenuation(patient, anatomy.draw_pose(rng), blobs, extra, size)
    stored = detector.expose(attenuation, SCANNERS[letter], rng)
    if path.suffix == ".dcm":
        detector.write_dicom(out / path, stored, patient_of(path.name), letter)
    else:
        Image.fromarray(detector.grey(stored)).save(out / path, format="JPEG", quality=JPEG_QUALITY)
    if blobs:
        mask = (fields.max(axis=0) > MASK_FROM).astype(np.uint8) * 255
        Image.fromarray(mask).save(mask_file(out, path.stem))
    return letter
