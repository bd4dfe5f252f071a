"""Abdominal CT with organ labels: a stand-in for Synapse/BTCV, and readers for both.

On disk both lie in `RawData/Training/img/img0001.nii.gz` and
`RawData/Training/label/label0001.nii.gz`, with the label numbers of BTCV. The Synapse protocol
scores eight of its thirteen structures.

Every constant of the stand-in is chosen, unless a source stands beside it: organ places and sizes
are near those of one real CT, Hounsfield values are textbook orders of size for the portal venous
phase. datasets/abdominal-ct.md has the equations.
"""

import csv
import gzip
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from scipy import ndimage

from medlab.errors import BadInput

# BTCV's numbers of the eight organs that the Synapse protocol scores, in their order.
ORGANS = {
    1: "spleen",
    2: "right kidney",
    3: "left kidney",
    4: "gallbladder",
    6: "liver",
    7: "stomach",
    8: "aorta",
    11: "pancreas",
}
CLASS_NAMES = ("background", *ORGANS.values())
VENA_CAVA = 9  # labelled in BTCV, not scored by the Synapse protocol
IMAGES, LABELS = "RawData/Training/img", "RawData/Training/label"

# --- the stand-in --------------------------------------------------------------------------------
FIELD = np.array([344.0, 256.0, 196.0])  # mm to the right, to the front, to the head
BODY = np.array([160.0, 116.0])  # half axes of the trunk, mm
STORED_AS = ("LAS", "RAS", "LPS", "RPS", "LPI", "RAI", "ALS", "SRA")  # axes of files, chosen
AIR, LUNG, FAT, MUSCLE, GAS = -1000.0, -850.0, -100.0, 55.0, -900.0


@dataclass(frozen=True)
class Ellipsoid:
    """An organ or a part of it: centre and half axes in RAS mm, mean Hounsfield value."""

    name: str
    label: int
    centre: tuple[float, float, float]
    axes: tuple[float, float, float]
    hu: float


# In the order of painting: what comes later lies in front. x grows to the patient's right.
PARTS = (
    Ellipsoid("liver", 6, (74, 16, 18), (70, 78, 72), 108),
    Ellipsoid("liver", 6, (8, 52, 42), (56, 34, 28), 108),
    Ellipsoid("stomach", 7, (-48, 46, 16), (40, 34, 46), 38),
    Ellipsoid("spleen", 1, (-104, -34, 20), (28, 46, 42), 122),
    Ellipsoid("right kidney", 2, (68, -40, -24), (28, 27, 48), 168),
    Ellipsoid("left kidney", 3, (-70, -40, -14), (28, 27, 48), 168),
    Ellipsoid("gallbladder", 4, (58, 58, -22), (21, 20, 30), 8),
    Ellipsoid("pancreas", 11, (-16, 24, -10), (62, 13, 15), 92),
    Ellipsoid("vena cava", VENA_CAVA, (20, 0, 0), (13, 12, 1e4), 138),
    Ellipsoid("aorta", 8, (-13, -6, 0), (12, 12, 1e4), 156),
)


def make(
    out: Path,
    *,
    seed: int = 0,
    scans: int = 24,
    deformation: float = 6.0,
    jitter: float = 12.0,
    noise: float = 14.0,
) -> None:
    """Write scans and labels in the layout of Synapse/BTCV, and what is known of them in truth/.

    deformation: standard deviation of the smooth warp, mm. jitter: of an organ's mean from scan
    to scan, HU. noise: of a voxel, HU. Raises BadInput for fewer than one scan.
    """
    if scans < 1:
        raise BadInput(f"abdominal-ct: {scans} scans: make at least one")
    for folder in (IMAGES, LABELS, "truth"):
        Path(out, folder).mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(1, scans + 1):
        rng = np.random.default_rng([seed, number])
        hu, label, affine, means = one_scan(rng, deformation, jitter, noise)
        code = STORED_AS[rng.integers(len(STORED_AS))]
        _save(Path(out, IMAGES, f"img{number:04}.nii.gz"), hu, affine, code)
        _save(Path(out, LABELS, f"label{number:04}.nii.gz"), label, affine, code)
        rows += _truth(number, code, label, affine, means)
    with Path(out, "truth", "organs.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def one_scan(rng, deformation: float, jitter: float, noise: float):
    """Return Hounsfield values (int16), label (uint8), affine (RAS) and the organs' true means."""
    spacing = np.array([*[rng.uniform(2.4, 3.2)] * 2, rng.uniform(3.0, 6.0)])
    shape = np.round(FIELD / spacing).astype(int)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -spacing * (shape - 1) / 2
    place = _patient(rng, shape, spacing, deformation)
    means = {part.name: part.hu + rng.normal(0, jitter) for part in PARTS}
    hu = _trunk(place, rng)
    room = _radius(place) < 0.81
    _bowel(hu, place, room, rng)
    label = np.zeros(shape, np.uint8)
    for part in PARTS:
        inside = room & _inside(part, place, rng)
        hu[inside] = means[part.name]
        label[inside] = part.label
    _gas_in_stomach(hu, label, place)
    # A slice averages over its thickness, a pixel over its area; noise has the detector's grain.
    hu = ndimage.gaussian_filter(hu, (0.45, 0.45, 0.4))
    grain = ndimage.gaussian_filter(rng.normal(size=shape).astype(np.float32), (0.6, 0.6, 0))
    texture = _smooth(rng, shape, spacing, 18.0)
    hu += grain * (noise / grain.std()) + 4.0 * texture
    if not np.isfinite(hu).all():
        raise ArithmeticError("abdominal-ct: a generated volume is not finite")
    return np.clip(np.round(hu), -1024, 3071).astype(np.int16), label, affine, means


def _patient(rng, shape, spacing, deformation: float) -> list[np.ndarray]:
    """Return, for every voxel, where it lies in the mean patient: three arrays in RAS mm."""
    stretch = rng.normal(1.0, 0.05, size=3).clip(0.88, 1.12)
    shift = rng.normal(0, (3.0, 3.0, 9.0))
    grid = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True)],
        indexing="ij",
    )
    return [
        ((axis - shift[i]) / stretch[i]).astype(np.float32)
        + np.float32(deformation) * _smooth(rng, shape, spacing, 45.0)
        for i, axis in enumerate(grid)
    ]


def _smooth(rng, shape, spacing, length: float) -> np.ndarray:
    """Return a smooth random field of mean 0 and standard deviation 1; length in mm.

    Random numbers on a coarse grid, blended by Gaussians: one small matrix for each axis.
    """
    blends = [_blend(n, n * s, length) for n, s in zip(shape, spacing, strict=True)]
    field = rng.normal(size=[blend.shape[1] for blend in blends])
    for blend in blends:  # each turn takes the first axis and puts the finer one last
        field = np.tensordot(field, blend, axes=(0, 1))
    return ((field - field.mean()) / field.std()).astype(np.float32)


def _blend(count: int, extent: float, length: float) -> np.ndarray:
    """Return Gaussian weights (voxels, coarse points), coarse points 0.8 lengths apart."""
    at = (np.arange(count) + 0.5) / count * extent
    points = np.arange(-2 * length, extent + 2 * length, 0.8 * length)
    return np.exp(-(((at[:, None] - points) / (0.8 * length)) ** 2))


def _radius(place) -> np.ndarray:
    """Return how far a voxel is from the trunk's axis: 1 on the skin."""
    return np.hypot(place[0] / BODY[0], place[1] / BODY[1])


def _trunk(place, rng) -> np.ndarray:
    """Return a trunk without organs: air, fat, muscle, lungs, ribs and spine, in HU."""
    x, y, z = place
    radius = _radius(place)
    hu = np.full(x.shape, AIR, np.float32)
    hu[radius < 1.0] = FAT
    hu[radius < 0.9] = MUSCLE + rng.normal(0, 5)
    inner = radius < 0.82
    hu[inner] = FAT
    # Below the domes of the diaphragm is the abdomen; lungs fill what is above and beside.
    hu[inner & (z > 96 - 150 * radius**2)] = LUNG
    rib = (radius > 0.83) & (radius < 0.89) & (np.sin((z - 0.35 * y) / 5.5) > 0.35) & (z > -45)
    hu[rib] = 420 + rng.normal(0, 40)
    back = (y < -44) & (np.abs(np.abs(x) - 36) < 26) & (y > -96) & (radius < 0.92)
    hu[back] = MUSCLE
    spine = (x / 24) ** 2 + ((y + 52) / 21) ** 2 < 1
    hu[spine] = np.where(np.sin(z[spine] / 5.2) > -0.8, 230.0, 70.0)  # vertebrae and discs
    return hu


def _bowel(hu, place, room, rng) -> None:
    """Paint bowel loops, some with gas, in front of and below the organs."""
    for _ in range(16):
        centre = rng.uniform((-105, 0, -95), (105, 78, -6))
        axes = rng.uniform(11, 22, size=3)
        squared = _squared(place, centre, axes)
        loop = (squared < 1) & room
        hu[loop] = rng.uniform(35, 80)
        if rng.random() < 0.35:
            hu[loop & (squared < 0.45)] = GAS


def _squared(place, centre, axes) -> np.ndarray:
    total = np.zeros(place[0].shape, np.float32)
    for p, c, a in zip(place, centre, axes, strict=True):
        step = p - np.float32(c)
        step *= np.float32(1 / a)
        step *= step
        total += step
    return total


def _inside(part: Ellipsoid, place, rng) -> np.ndarray:
    """Return where an organ is; its size and place vary from scan to scan."""
    centre = np.array(part.centre) + rng.normal(0, 2.5, size=3)
    axes = np.array(part.axes) * rng.normal(1.0, 0.06, size=3).clip(0.85, 1.15)
    x, y, z = place
    if part.name == "pancreas":  # bent around the spine, its tail rising to the spleen
        along = (x - centre[0]) / axes[0]
        place = [x, y + 22 * along**2 - 8, z + 20 * along]
    return _squared(place, centre, axes) < 1


def _gas_in_stomach(hu, label, place) -> None:
    """Paint the bubble in front of the fluid: the patient lies on the back."""
    stomach = label == 7
    if stomach.any():
        front = np.quantile(place[1][stomach], 0.82)
        hu[ndimage.binary_erosion(stomach) & (place[1] > front)] = GAS


def _save(path: Path, array, affine, code: str) -> None:
    """Write an array with its axes in the order and directions of code, e.g. LPS."""
    image = nib.Nifti1Image(array, affine)
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(affine), nib.orientations.axcodes2ornt(code)
    )
    turned = image.as_reoriented(turn)
    turned.header.set_xyzt_units("mm")
    turned.header["descrip"] = b"generated by medlab, no patient"
    nib.save(turned, path)


def _truth(number, code, label, affine, means) -> list[dict]:
    voxel = abs(np.linalg.det(affine[:3, :3])) / 1000
    names = ORGANS | {VENA_CAVA: "vena cava"}
    spacing = " ".join(f"{s:.3f}" for s in np.diag(affine)[:3])
    return [
        {
            "scan": f"img{number:04}",
            "stored_as": code,
            "spacing_ras_mm": spacing,
            "organ": name,
            "label": value,
            "hu": f"{means[name]:.1f}",
            "ml": f"{(label == value).sum() * voxel:.1f}",
        }
        for value, name in names.items()
    ]


# --- readers -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Case:
    """One scan with its label: a name such as img0001, and two files."""

    name: str
    image: Path
    label: Path


def cases(folder: Path) -> list[Case]:
    """Return the scans of a folder that have labels, in the order of their numbers.

    folder: what holds `RawData/Training`, that folder itself, or one with `img` and `label`.
    Raises BadInput where there are no scans, or where a scan or a label stands alone.
    """
    faults, found = _pairs(Path(folder))
    if faults:
        raise BadInput(faults[0])
    return found


def _pairs(folder: Path) -> tuple[list[str], list[Case]]:
    """Return what is wrong with the files' names, and the scans that are whole."""
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

    Orientation and spacing are as stored. Raises BadInput, naming file and mend, for a truncated
    file, a volume without spacing, NaN, a scan and a label that do not lie on one grid, a label
    with other than whole numbers, and a label without any of the eight organs.
    """
    image, label = read_volume(case.image), read_volume(case.label)
    if image.shape != label.shape:
        raise BadInput(
            f"{case.label}: {_by(label.shape)} voxels, but {case.image.name} has "
            f"{_by(image.shape)}: take the label that was drawn on this scan"
        )
    if corner_distance(image, label) > 0.1:
        raise BadInput(
            f"{case.label}: lies {corner_distance(image, label):.1f} mm away from "
            f"{case.image.name} (the affines differ): resample it onto the scan's grid, or copy "
            f"the scan's affine if you know that both have one grid"
        )
    return image, _checked_label(case.label, label)


UNREADABLE = (
    EOFError,
    OSError,
    ValueError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
    WrapStructError,
)


def read_volume(path: Path) -> nib.Nifti1Image:
    """Read a NIfTI volume as float32; raise BadInput, naming file and mend, if it is of no use."""
    try:
        # The whole stream is read, so that its checksum is looked at: nibabel stops before it.
        image = nib.Nifti1Image.from_bytes(_unpacked(path))
        values = np.asarray(image.dataobj, dtype=np.float32)
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file: check the folder's name") from None
    except UNREADABLE as error:
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise BadInput(f"{path}: truncated or not NIfTI ({reason}): fetch it again") from None
    if values.ndim != 3:
        raise BadInput(f"{path}: shape {_by(values.shape)}: a volume has three axes; split it")
    _check_geometry(path, image)
    if not np.isfinite(values).all():
        bad = int((~np.isfinite(values)).sum())
        raise BadInput(
            f"{path}: {bad} voxels are NaN or infinite: replace them by air (-1024) if they lie "
            f"outside the field of view, else export the scan again"
        )
    return nib.Nifti1Image(values, image.affine)


def _unpacked(path: Path) -> bytes:
    content = Path(path).read_bytes()
    return gzip.decompress(content) if str(path).endswith(".gz") else content


def _check_geometry(path: Path, image) -> None:
    header = image.header
    spacing = np.asarray(header["pixdim"][1:4], dtype=float)
    unplaced = int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0
    if not np.isfinite(spacing).all() or (spacing <= 0).any() or unplaced:
        raise BadInput(
            f"{path}: no spacing and orientation in the header (pixdim "
            f"{_by(spacing.round(3))}, sform and qform code {int(header['sform_code'])} and "
            f"{int(header['qform_code'])}): convert the DICOM series again, keeping them"
        )
    affine = image.affine
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-6:
        raise BadInput(f"{path}: its affine is not usable: convert the DICOM series again")


def _checked_label(path: Path, label) -> nib.Nifti1Image:
    values = np.asarray(label.dataobj)
    if (values != np.round(values)).any() or values.min() < 0 or values.max() > 255:
        raise BadInput(
            f"{path}: holds {values.min():g} to {values.max():g} with other than whole numbers: "
            f"was it resampled linearly? Take the file as it was drawn"
        )
    if not np.isin(values, list(ORGANS)).any():
        raise BadInput(
            f"{path}: an empty label: none of the eight organs ({', '.join(map(str, ORGANS))}): "
            f"leave this scan out or take its own label"
        )
    return nib.Nifti1Image(values.astype(np.uint8), label.affine)


def corner_distance(one, other) -> float:
    """Return how far apart the corners of two volumes of one shape lie, at most, in mm."""
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(one.shape[:3]) - 1)
    apart = nib.affines.apply_affine(one.affine, corners) - nib.affines.apply_affine(
        other.affine, corners
    )
    return float(np.linalg.norm(apart, axis=1).max())


def to_classes(label: np.ndarray) -> np.ndarray:
    """Return classes 0 to 8 (see CLASS_NAMES) for BTCV's numbers; all others become background."""
    table = np.zeros(256, np.uint8)
    table[list(ORGANS)] = range(1, len(ORGANS) + 1)
    return table[np.asarray(label, dtype=np.uint8)]


def _by(numbers) -> str:
    return " x ".join(f"{n:g}" for n in numbers)


def verify(folder: Path) -> list[str]:
    """Return what is wrong with a folder, in words that name file and mend; [] if nothing is."""
    faults, found = _pairs(Path(folder))
    for case in found:
        try:
            image, _label = read_case(case)
        except BadInput as error:
            faults.append(str(error))
            continue
        lowest = float(np.asarray(image.dataobj).min())
        if lowest > -200:
            faults.append(
                f"{case.image}: its lowest value is {lowest:.0f}, but air is near -1000 HU: apply "
                f"slope and intercept, or take the file before it was windowed"
            )
    return faults
