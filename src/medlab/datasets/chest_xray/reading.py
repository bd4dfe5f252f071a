"""Reading and checking a folder of chest radiographs, generated or real.

The layout is that of Kermany and others' set: `chest_xray/<split>/<NORMAL|PNEUMONIA>/<image>`.
The patient is in the file name, in one of the three forms that copies of the real set have.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pydicom
from PIL import Image

from medlab.errors import BadInput

CLASSES = ("NORMAL", "PNEUMONIA")
SPLITS = ("train", "val", "test")
SUFFIXES = (".jpeg", ".jpg", ".png", ".dcm")
NAMED_FAULTS = 8  # more of one kind are counted

# The real set's names are recalled: Kaggle's copy has the first two forms, Mendeley's the third.
PATIENT_IN_NAME = (
    re.compile(r"(person\d+)_(?:bacteria|virus)_\d+"),
    re.compile(r"((?:NORMAL2-)?IM-\d+)(?:-\d+)+"),
    re.compile(r"(?:BACTERIA|VIRUS|NORMAL)-(\d+)-\d+"),
)


def read_table(folder: Path) -> pd.DataFrame:
    """Read which images a folder holds: path (from folder), split, label (0 or 1), patient.

    Sorted by path. Everything comes from folder and file names, so that it reads the real set too.
    Raises BadInput for a missing folder, no image, and a file name that names no patient.
    """
    rows = [_row(folder, path) for path in _images(folder)]
    if not rows:
        raise BadInput(
            f"no image in {_top(folder)}: it should hold <split>/NORMAL and <split>/PNEUMONIA "
            f"with files that end in {', '.join(SUFFIXES)}"
        )
    return pd.DataFrame(rows, columns=["path", "split", "label", "patient"])


def patient_of(name: str) -> str:
    """Return the patient that a file name names; raise BadInput where it names none."""
    stem = Path(name).stem
    for form in PATIENT_IN_NAME:
        if found := form.fullmatch(stem):
            return found[1]
    raise BadInput(
        f"{name} names no patient: expected person<N>_bacteria_<k>, person<N>_virus_<k>, "
        "IM-<NNNN>-<KKKK> or BACTERIA-<N>-<k>; rename it or move it away"
    )


def read_mask(folder: Path, path: str) -> np.ndarray:
    """Read where the lesion of a generated image is: bool, of the image's shape.

    path: as in read_table. Raises BadInput where no mask is: healthy and real images have none.
    """
    file = Path(folder) / "truth" / "masks" / f"{Path(path).stem}.png"
    if not file.is_file():
        raise BadInput(f"no lesion mask {file}: only generated images with PNEUMONIA have one")
    with Image.open(file) as picture:
        return np.asarray(picture) > 0


def verify(folder: Path) -> list[str]:
    """List what is wrong with a folder, generated or real: a file and a mend in every line."""
    try:
        top = _top(folder)
    except BadInput as error:
        return [str(error)]
    return [
        *_missing_folders(top),
        *_few(_unnamed(folder)),
        *_few(_unreadable(folder)),
        *_few(_in_two_splits(folder)),
        *_few(_untrue(Path(folder))),
    ]


def _top(folder: Path) -> Path:
    """Return the folder that holds the splits."""
    folder = Path(folder)
    for top in (folder / "chest_xray", folder):
        if any((top / split).is_dir() for split in SPLITS):
            return top
    raise BadInput(
        f"no folder {folder / 'chest_xray' / 'train'}: give the folder that holds chest_xray, "
        "or make one with `medlab data make chest-xray`"
    )


def _images(folder: Path) -> list[Path]:
    top = _top(folder)
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


def _few(faults: list[str]) -> list[str]:
    """Return the first faults of a kind, and how many more there are."""
    rest = len(faults) - NAMED_FAULTS
    return faults if rest <= 0 else [*faults[:NAMED_FAULTS], f"... and {rest} more like the last"]


def _missing_folders(top: Path) -> list[str]:
    wanted = [top / split / label for split in ("train", "test") for label in CLASSES]
    return [f"{path}: missing; fetch or make the set again" for path in wanted if not path.is_dir()]


def _unnamed(folder: Path) -> list[str]:
    faults = []
    for path in _images(folder):
        try:
            patient_of(path.name)
        except BadInput as error:
            faults.append(str(error))
    return faults


def _unreadable(folder: Path) -> list[str]:
    faults = []
    for path in _images(folder):
        try:
            _decode(path)
        except Exception as error:  # a broken file may fail in any way
            said = " ".join(str(error).split())[:80] or type(error).__name__
            faults.append(f"{path}: cannot be read ({said}); fetch or make this file again")
    return faults


def _decode(path: Path) -> None:
    if path.suffix.lower() == ".dcm":
        _ = pydicom.dcmread(path).pixel_array
        return
    with Image.open(path) as picture:
        picture.load()


def _in_two_splits(folder: Path) -> list[str]:
    seen: dict[str, dict[str, Path]] = {}
    for path in _images(folder):
        try:
            seen.setdefault(patient_of(path.name), {}).setdefault(path.parent.parent.name, path)
        except BadInput:
            continue  # said by _unnamed
    return [
        f"{list(splits.values())[-1]}: patient {patient} is in {' and '.join(splits)}; "
        "move all images of a patient into one split"
        for patient, splits in seen.items()
        if len(splits) > 1
    ]


def _untrue(folder: Path) -> list[str]:
    """Compare the truth of a generated folder with its files; real folders have none."""
    file = folder / "truth" / "images.csv"
    if not file.is_file():
        return []
    said = pd.read_csv(file, dtype={"patient": str})
    there = {path.relative_to(folder).as_posix() for path in _images(folder)}
    mend = "make the set again"
    faults = [
        f"{file}: names {path}, which is not there; {mend}"
        for path in said.path
        if path not in there
    ]
    faults += [
        f"{folder / path}: is not in {file.name}; {mend}" for path in sorted(there - set(said.path))
    ]
    for path in said.path[said.label == 1]:
        mask = folder / "truth" / "masks" / f"{Path(path).stem}.png"
        if not mask.is_file():
            faults.append(f"{mask}: missing; {mend}")
    return faults
