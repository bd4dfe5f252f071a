"""Check a folder of chest radiographs, generated or real."""

from pathlib import Path

import pandas as pd
import pydicom
from PIL import Image

from medlab.datasets.chest_xray.layout import CLASSES, TRUTH, patient_of
from medlab.datasets.chest_xray.reading import find_images, find_top
from medlab.datasets.masks import mask_file
from medlab.errors import BadInput

NAMED_FAULTS = 8  # more of one kind are counted


def verify(folder: Path) -> list[str]:
    """Return one line for each fault, naming the file and the fix; [] if there is none."""
    try:
        top = find_top(folder)
    except BadInput as error:
        return [str(error)]
    return [
        *_missing_folders(top),
        *_few(_unnamed(folder)),
        *_few(_unreadable(folder)),
        *_few(_in_two_splits(folder)),
        *_few(_untrue(Path(folder))),
    ]


def _few(faults: list[str]) -> list[str]:
    """Return the first faults of a kind, and how many more there are."""
    rest = len(faults) - NAMED_FAULTS
    return faults if rest <= 0 else [*faults[:NAMED_FAULTS], f"... and {rest} more like the last"]


def _missing_folders(top: Path) -> list[str]:
    wanted = [top / split / label for split in ("train", "test") for label in CLASSES]
    return [f"{path}: missing; fetch or make the set again" for path in wanted if not path.is_dir()]


def _unnamed(folder: Path) -> list[str]:
    faults = []
    for path in find_images(folder):
        try:
            patient_of(path.name)
        except BadInput as error:
            faults.append(str(error))
    return faults


def _unreadable(folder: Path) -> list[str]:
    faults = []
    for path in find_images(folder):
        try:
            _decode(path)
        except Exception as error:  # a broken file may fail in any way
            why = " ".join(str(error).split())[:80] or type(error).__name__
            faults.append(f"{path}: cannot be read ({why}); fetch or make this file again")
    return faults


def _decode(path: Path) -> None:
    if path.suffix.lower() == ".dcm":
        _ = pydicom.dcmread(path).pixel_array
        return
    with Image.open(path) as image:
        image.load()


def _in_two_splits(folder: Path) -> list[str]:
    seen: dict[str, dict[str, Path]] = {}
    for path in find_images(folder):
        try:
            seen.setdefault(patient_of(path.name), {}).setdefault(path.parent.parent.name, path)
        except BadInput:
            continue  # _unnamed reports it
    return [
        f"{list(splits.values())[-1]}: patient {patient} is in {' and '.join(splits)}; "
        "move all images of a patient into one split"
        for patient, splits in seen.items()
        if len(splits) > 1
    ]


def _untrue(folder: Path) -> list[str]:
    """Compare the truth of a generated folder with its files; real folders have none."""
    file = folder / TRUTH
    if not file.is_file():
        return []
    truth = pd.read_csv(file, dtype={"patient": str})
    there = {path.relative_to(folder).as_posix() for path in find_images(folder)}
    fix = "make the set again"
    faults = [
        f"{file}: lists {path}, which is missing; {fix}" for path in truth.path if path not in there
    ]
    faults += [
        f"{folder / path}: is not in {file.name}; {fix}" for path in sorted(there - set(truth.path))
    ]
    for path in truth.path[truth.label == 1]:
        mask = mask_file(folder, Path(path).stem)
        if not mask.is_file():
            faults.append(f"{mask}: missing; {fix}")
    return faults
