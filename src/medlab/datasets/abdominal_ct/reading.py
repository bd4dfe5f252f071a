"""Read abdominal CT with organ labels: Synapse/BTCV itself, or its stand-in."""

import re
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np

from medlab.datasets.abdominal_ct.layout import IMAGES, ORGANS
from medlab.errors import BadInput
from medlab.imaging.nifti import corner_distance, read_nifti
from medlab.imaging.volumes import times


@dataclass(frozen=True)
class Case:
    """One scan with its label: a name such as img0001, and two files."""

    name: str
    image: Path
    label: Path


def cases(folder: Path) -> list[Case]:
    """Return the scans of a folder that have labels, in the order of their numbers.

    folder: what holds `RawData/Training`, that folder itself, or one with `img` and `label`.
    Raises BadInput if there are no scans, or for a scan or a label without the other.
    """
    faults, found = find_pairs(Path(folder))
    if faults:
        raise BadInput(faults[0])
    return found


def find_pairs(folder: Path) -> tuple[list[str], list[Case]]:
    """Return the faults of the file names, and the scans that have a label."""
    base = next((b for b in _bases(folder) if (b / "img").is_dir()), None)
    if base is None:
        return [f"{folder}: no folder img: point to the folder that holds {IMAGES}"], []
    images = _numbered(base / "img", "img")
    labels = _numbered(base / "label", "label")
    if not images:
        return [f"{base / 'img'}: no file img0001.nii.gz or the like: unpack the archive here"], []
    faults = [
        f"{images[n]}: its label label{n}.nii.gz is missing in {base / 'label'}: copy it there"
        for n in sorted(images.keys() - labels.keys())
    ] + [
        f"{labels[n]}: its scan img{n}.nii.gz is missing in {base / 'img'}: copy it there"
        for n in sorted(labels.keys() - images.keys())
    ]
    both = sorted(images.keys() & labels.keys())
    return faults, [Case(f"img{n}", images[n], labels[n]) for n in both]


def _bases(folder: Path) -> list[Path]:
    return [folder, folder / "Training", folder / "RawData" / "Training"]


def _numbered(folder: Path, stem: str) -> dict[str, Path]:
    pattern = re.compile(rf"{stem}(\d+)\.nii\.gz")
    found = {path: pattern.fullmatch(path.name) for path in folder.glob(f"{stem}*.nii.gz")}
    return {match[1]: path for path, match in found.items() if match}


def read_case(case: Case) -> tuple[nib.Nifti1Image, nib.Nifti1Image]:
    """Read a scan and its label: float32 Hounsfield values, uint8 numbers of BTCV, one affine.

    Orientation and spacing are as stored. Raises BadInput for what read_nifti refuses, a label on
    another grid than its scan, a label with fractions, and a label without any of the eight organs.
    """
    image, label = read_nifti(case.image), read_nifti(case.label)
    if image.shape != label.shape:
        raise BadInput(
            f"{case.label}: {times(label.shape)} voxels, but {case.image.name} has "
            f"{times(image.shape)}: take the label that was drawn on this scan"
        )
    if corner_distance(image, label) > 0.1:
        raise BadInput(
            f"{case.label}: lies {corner_distance(image, label):.1f} mm away from "
            f"{case.image.name} (the affines differ): resample it onto the scan's grid, or copy "
            f"the scan's affine if you know that both have one grid"
        )
    return image, _checked_label(case.label, label)


def _checked_label(path: Path, label) -> nib.Nifti1Image:
    values = np.asarray(label.dataobj)
    if (values != np.round(values)).any() or values.min() < 0 or values.max() > 255:
        raise BadInput(
            f"{path}: holds {values.min():g} to {values.max():g}, not whole numbers from 0 to 255: "
            f"was it resampled linearly? Take the file as it was drawn"
        )
    if not np.isin(values, list(ORGANS)).any():
        raise BadInput(
            f"{path}: an empty label: none of the eight organs ({', '.join(map(str, ORGANS))}): "
            f"leave this scan out or take its own label"
        )
    return nib.Nifti1Image(values.astype(np.uint8), label.affine)


def to_classes(label: np.ndarray) -> np.ndarray:
    """Return classes 0 to 8 (see CLASS_NAMES) for BTCV's numbers; all others become background."""
    table = np.zeros(256, np.uint8)
    table[list(ORGANS)] = range(1, len(ORGANS) + 1)
    return table[np.asarray(label, dtype=np.uint8)]
