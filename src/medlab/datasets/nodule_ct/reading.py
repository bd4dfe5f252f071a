"""Read LUNA16 or its stand-in: series, annotations, candidates, volumes, patches."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk
from scipy import ndimage

from medlab.datasets.nodule_ct.making import SUBSETS, XYZ
from medlab.errors import BadInput

ANNOTATIONS, CANDIDATES = "annotations.csv", "candidates_V2.csv"
AIR = -1000  # HU, of what a scan does not show


@dataclass(frozen=True)
class Volume:
    """A scan: float32 Hounsfield values (z, y, x), and where it lies in LPS.

    spacing, origin: mm, in the order x, y, z. direction: 3 x 3, columns are the axes x, y, z.
    """

    hu: np.ndarray
    spacing: np.ndarray
    origin: np.ndarray
    direction: np.ndarray

    def indices(self, points: np.ndarray) -> np.ndarray:
        """Return where world points (n, 3) in mm lie, in voxels z, y, x."""
        steps = np.linalg.solve(self.direction, (np.asarray(points) - self.origin).T).T
        return (steps / self.spacing)[:, ::-1]


def find_series(folder: Path, subsets: Sequence[int] | None = None) -> dict[str, tuple[int, Path]]:
    """Return subset and .mhd file of each series, by its uid.

    subsets: numbers 0 to 9; all that are there where None. Raises BadInput, naming file and mend,
    where there is no subset, a subset without a series, or one series in two subsets.
    """
    folder = Path(folder)
    wanted = range(SUBSETS) if subsets is None else subsets
    there = [n for n in wanted if (folder / f"subset{n}").is_dir()]
    missing = [n for n in wanted if n not in there]
    if not there or (subsets is not None and missing):
        name = f"subset{(missing or [0])[0]}"
        raise BadInput(f"{folder}: no folder {name}: unpack {name}.zip here, or name another")
    found = {}
    for number in there:
        files = sorted((folder / f"subset{number}").glob("*.mhd"))
        if not files:
            raise BadInput(f"{folder / f'subset{number}'}: holds no .mhd file: unpack it again")
        for path in files:
            if path.stem in found:
                raise BadInput(
                    f"{path}: this series is in subset{found[path.stem][0]} too: keep one, or a "
                    f"patient is in two splits"
                )
            found[path.stem] = (number, path)
    return found


def read_annotations(folder: Path, subsets: Sequence[int] | None = None) -> pd.DataFrame:
    """Return the nodules: seriesuid, subset, coordX, coordY, coordZ in mm (LPS), diameter_mm.

    subsets: only nodules of these; every row's series must be there where None. Raises BadInput,
    naming file and mend, for a missing file, column or series, a gap or no number, no diameter.
    """
    path = Path(folder, ANNOTATIONS)
    table = _table(path, (*XYZ, "diameter_mm"))
    bad = table.index[table["diameter_mm"] <= 0]
    if len(bad):
        raise BadInput(f"{path}: line {bad[0] + 2}: diameter_mm is not above 0: correct it")
    return _with_subset(path, table, Path(folder), subsets)


def read_candidates(folder: Path, subsets: Sequence[int] | None = None) -> pd.DataFrame:
    """Return the candidates: seriesuid, subset, coordX, coordY, coordZ in mm (LPS), class.

    class is 1 for a nodule and 0 for anything else. subsets and errors as for read_annotations.
    """
    path = Path(folder, CANDIDATES)
    table = _table(path, (*XYZ, "class"))
    bad = table.index[~table["class"].isin([0, 1])]
    if len(bad):
        said = f"{table['class'][bad[0]]:g}"
        raise BadInput(f"{path}: line {bad[0] + 2}: class {said}: write 1 for a nodule, else 0")
    table["class"] = table["class"].astype(int)
    return _with_subset(path, table, Path(folder), subsets)


def _table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype={"seriesuid": str})
    except FileNotFoundError:
        raise BadInput(f"{path} is not there: point to the folder that holds it") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not a table ({error}): fetch or make it again") from None
    wanted = ("seriesuid", *columns)
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        raise BadInput(
            f"{path} has no column {', '.join(missing)}: it has {', '.join(table.columns)}; add "
            f"it, or give it its name in the first line"
        )
    table = table[list(wanted)]
    for name in columns:
        table[name] = pd.to_numeric(table[name], errors="coerce")
        bad = table.index[~np.isfinite(table[name])]
        if len(bad):
            raise BadInput(f"{path}: line {bad[0] + 2}: {name} is no number: fill it in")
    return table


def _with_subset(path: Path, table: pd.DataFrame, folder: Path, subsets) -> pd.DataFrame:
    found = find_series(folder, subsets)
    here = table["seriesuid"].isin(found.keys())
    if subsets is None and not here.all():
        lost = table.index[~here][0]
        raise BadInput(
            f"{path}: line {lost + 2}: series {table['seriesuid'][lost]} has no .mhd file in "
            f"{folder}: unpack the subset that holds it, or name the subsets that you have"
        )
    table = table[here].reset_index(drop=True)
    table.insert(1, "subset", [found[uid][0] for uid in table["seriesuid"]])
    return table


def read_volume(path: Path) -> Volume:
    """Read a scan from its .mhd file.

    Raises BadInput, naming file and mend, for a missing or truncated file, a header without
    spacing, anything but three axes, and values that are not finite.
    """
    path = Path(path)
    header = _header(path)
    _check_raw(path, header)
    try:
        image = sitk.ReadImage(str(path), sitk.sitkFloat32)
    except RuntimeError:  # what ITK says is pages long, and names no mend
        raise BadInput(f"{path}: is no MetaImage that can be read: fetch it again") from None
    if image.GetDimension() != 3:
        raise BadInput(f"{path}: {image.GetDimension()} axes: a scan has three; split it")
    hu = sitk.GetArrayFromImage(image)
    bad = int((~np.isfinite(hu)).sum())
    if bad:
        raise BadInput(f"{path}: {bad} voxels are NaN or infinite: write air (-1000) there")
    spacing, origin = np.array(image.GetSpacing()), np.array(image.GetOrigin())
    return Volume(hu, spacing, origin, np.array(image.GetDirection()).reshape(3, 3))


def _header(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(f"{path} is not there: unpack its subset again") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path}: is no MetaImage header: fetch it again") from None
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    header = {name.strip(): value.strip() for name, _, value in pairs}
    if "ElementSpacing" not in header:  # ITK would take 1 mm for granted
        raise BadInput(
            f"{path}: no line ElementSpacing, so nobody knows how large a voxel is: take the file "
            f"as its owner gives it, or convert the DICOM series again"
        )
    return header


BYTES = {"MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4,
         "MET_UINT": 4, "MET_FLOAT": 4, "MET_DOUBLE": 8}  # fmt: skip


def _check_raw(path: Path, header: dict[str, str]) -> None:
    """Raise BadInput where the file with the values is missing or of another size."""
    raw = path.parent / header.get("ElementDataFile", f"{path.stem}.raw")
    if not raw.is_file():
        raise BadInput(f"{raw} is not there, but {path.name} names it: unpack its subset again")
    width = BYTES.get(header.get("ElementType", ""))
    if width is None or header.get("CompressedData", "False") == "True":
        return  # ITK counts these itself
    try:
        expected = width * int(np.prod([int(n) for n in header.get("DimSize", "").split()]))
    except ValueError:
        raise BadInput(f"{path}: its line DimSize holds no numbers: fetch it again") from None
    if raw.stat().st_size != expected:
        raise BadInput(
            f"{raw}: {raw.stat().st_size} bytes, but {path.name} says {expected}: truncated, or "
            f"of another scan; fetch it again"
        )


def read_patches(
    folder: Path, table: pd.DataFrame, *, side: int = 16, spacing: float = 1.5
) -> np.ndarray:
    """Return a cube of int16 Hounsfield values around each row's point, (n, side, side, side).

    table: rows with seriesuid, coordX, coordY, coordZ. spacing: mm between voxels, the same along
    all axes; the cube's axes are z, y, x of LPS, whichever way the file stores them. Values are
    interpolated linearly and cut to -1000 to 1000; beyond the scan they are its nearest voxel's.
    Raises BadInput, naming file and mend, for a point outside its scan and a missing series.
    """
    found = find_series(folder)
    patches = np.empty((len(table), side, side, side), np.int16)
    steps = (np.arange(side) - (side - 1) / 2) * spacing
    z, y, x = (axis.ravel() for axis in np.meshgrid(steps, steps, steps, indexing="ij"))
    offsets = np.stack([x, y, z], axis=1)
    uids = table["seriesuid"].to_numpy()
    for uid in dict.fromkeys(uids):
        if uid not in found:
            raise BadInput(f"{folder}: no file {uid}.mhd in any subset: unpack the one it is in")
        rows = np.flatnonzero(uids == uid)
        volume = read_volume(found[uid][1])
        points = table.iloc[rows][XYZ].to_numpy(float)
        check_inside(found[uid][1], volume, points)
        at = volume.indices((points[:, None] + offsets).reshape(-1, 3))
        values = ndimage.map_coordinates(volume.hu, at.T, order=1, mode="nearest")
        patches[rows] = np.clip(values, AIR, 1000).reshape(-1, side, side, side).round()
    return patches


def check_inside(path: Path, volume: Volume, points: np.ndarray) -> None:
    """Raise BadInput naming the first of these points, in mm, that lies outside the volume."""
    at = volume.indices(points)
    outside = ((at < -0.5) | (at > np.array(volume.hu.shape) - 0.5)).any(axis=1)
    if outside.any():
        point = ", ".join(f"{c:.1f}" for c in points[np.argmax(outside)])
        raise BadInput(
            f"{path}: the point ({point}) mm lies outside this scan: are the coordinates world mm "
            f"in LPS, x first? Correct the table, or take the scan it was made on"
        )
