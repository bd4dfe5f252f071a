"""Read LUNA16 or its stand-in: series, annotations, candidates, patches."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage

from medlab.datasets.nodule_ct.layout import ANNOTATIONS, CANDIDATES, SUBSETS, XYZ
from medlab.datasets.tables import read_table
from medlab.errors import BadInput
from medlab.imaging.hounsfield import AIR
from medlab.imaging.metaimage import Volume
from medlab.imaging.metaimage import read_metaimage as read_volume


def find_series(folder: Path, subsets: Sequence[int] | None = None) -> dict[str, tuple[int, Path]]:
    """Return subset and .mhd file of each series, by its uid.

    subsets: numbers 0 to 9; None for all in the folder. Raises BadInput for a missing subset, a
    subset without a series, and a series in two subsets.
    """
    folder = Path(folder)
    wanted = range(SUBSETS) if subsets is None else subsets
    there = [n for n in wanted if (folder / f"subset{n}").is_dir()]
    missing = [n for n in wanted if n not in there]
    if not there or (subsets is not None and missing):
        name = f"subset{(missing or [0])[0]}"
        raise BadInput(f"{folder}: no folder {name}: unpack {name}.zip here, or choose another")
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

    subsets: only nodules of these; None for all, and then every row's series must exist. Raises
    BadInput for a missing file, column, series, number or diameter.
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
        found = f"{table['class'][bad[0]]:g}"
        raise BadInput(f"{path}: line {bad[0] + 2}: class {found}: write 1 for a nodule, else 0")
    table["class"] = table["class"].astype(int)
    return _with_subset(path, table, Path(folder), subsets)


def _table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    table = read_table(path, "seriesuid", columns)[["seriesuid", *columns]]
    for name in columns:
        table[name] = pd.to_numeric(table[name], errors="coerce")
        bad = table.index[~np.isfinite(table[name])]
        if len(bad):
            raise BadInput(f"{path}: line {bad[0] + 2}: {name} is not a number: fill it in")
    return table


def _with_subset(path: Path, table: pd.DataFrame, folder: Path, subsets) -> pd.DataFrame:
    found = find_series(folder, subsets)
    here = table["seriesuid"].isin(found.keys())
    if subsets is None and not here.all():
        lost = table.index[~here][0]
        raise BadInput(
            f"{path}: line {lost + 2}: series {table['seriesuid'][lost]} has no .mhd file in "
            f"{folder}: unpack the subset that holds it, or list the subsets that you have"
        )
    table = table[here].reset_index(drop=True)
    table.insert(1, "subset", [found[uid][0] for uid in table["seriesuid"]])
    return table


def read_patches(
    folder: Path, table: pd.DataFrame, *, side: int = 16, spacing: float = 1.5
) -> np.ndarray:
    """Return a cube of int16 Hounsfield values around each row's point, (n, side, side, side).

    table: rows with seriesuid, coordX, coordY, coordZ. spacing: mm between voxels, the same along
    all axes; the cube's axes are z, y, x of LPS, however the file stores them. Values are
    interpolated linearly and cut to -1000 to 1000; beyond the scan they are its nearest voxel's.
    Raises BadInput for a point outside its scan and a missing series.
    """
    found = find_series(folder)
    patches = np.empty((len(table), side, side, side), np.int16)
    steps = (np.arange(side) - (side - 1) / 2) * spacing
    z, y, x = (axis.ravel() for axis in np.meshgrid(steps, steps, steps, indexing="ij"))
    offsets = np.stack([x, y, z], axis=1)
    uids = table["seriesuid"].to_numpy()
    for uid in dict.fromkeys(uids):
        if uid not in found:
            raise BadInput(f"{folder}: no file {uid}.mhd in any subset: unpack the subset with it")
        rows = np.flatnonzero(uids == uid)
        volume = read_volume(found[uid][1])
        points = table.iloc[rows][XYZ].to_numpy(float)
        check_inside(found[uid][1], volume, points)
        at = volume.indices((points[:, None] + offsets).reshape(-1, 3))
        values = ndimage.map_coordinates(volume.hu, at.T, order=1, mode="nearest")
        patches[rows] = np.clip(values, AIR, 1000).reshape(-1, side, side, side).round()
    return patches


def check_inside(path: Path, volume: Volume, points: np.ndarray) -> None:
    """Raise BadInput for the first of these points, in mm, that is outside the volume."""
    at = volume.indices(points)
    outside = ((at < -0.5) | (at > np.array(volume.hu.shape) - 0.5)).any(axis=1)
    if outside.any():
        point = ", ".join(f"{c:.1f}" for c in points[np.argmax(outside)])
        raise BadInput(
            f"{path}: the point ({point}) mm is outside this scan: are the coordinates world mm "
            f"in LPS, x first? Correct the table, or take the scan it was made on"
        )
