"""Make generated blocks of lung, as a CT scanner shows them, in the layout of LUNA16."""

from pathlib import Path

import numpy as np
import pandas as pd
import SimpleITK as sitk
from scipy import ndimage

from medlab.datasets.nodule_ct.block import Block, paint_block
from medlab.datasets.nodule_ct.layout import ANNOTATIONS, CANDIDATES, SUBSETS, XYZ
from medlab.datasets.nodule_ct.nodules import Nodule
from medlab.datasets.nodule_ct.shapes import Grid
from medlab.errors import BadInput
from medlab.imaging.hounsfield import to_stored

COUNTS = (64, 64, 40)  # voxels x, y, z of every block
# Shares of what the negative candidates are; each kind that runs out is made up by the others.
DECOYS = {"vessel": 0.44, "fork": 0.24, "wall": 0.12, "bronchus": 0.08, "scar": 0.04, "lung": 0.08}
APART = 9.0  # mm between a nodule's edge and the nearest negative candidate


def make(
    out: Path,
    *,
    seed: int = 0,
    scans: int = 40,
    candidates: int = 50,
    prevalence: float = 0.02,
    strength: float = 1.0,
    noise: float = 1.0,
) -> None:
    """Write scans, annotations and candidates in the layout of LUNA16, and more in truth/.

    scans: blocks of lung, one of each patient, scan i in subset i % 10. candidates: of each scan.
    prevalence: share of nodules among candidates, exact in every subset. strength: of a nodule's
    contrast, 1 is full. noise: 1 is usual. Raises BadInput if scans is not a
    multiple of 10, or if prevalence does not give at least one whole nodule in each subset.
    """
    counts = _nodules_per_scan(seed, scans, candidates, prevalence)
    for subset in range(SUBSETS):
        Path(out, f"subset{subset}").mkdir(parents=True, exist_ok=True)
    Path(out, "truth").mkdir(exist_ok=True)
    tables = {ANNOTATIONS: [], CANDIDATES: [], "truth/nodules.csv": [], "truth/candidates.csv": []}
    for number, nodules in enumerate(counts):
        rng = np.random.default_rng([seed, number])
        uid = f"2.25.{rng.integers(10**17, 10**18)}"
        grid = Grid(COUNTS, np.array([*[rng.uniform(1.0, 1.25)] * 2, rng.uniform(1.5, 2.2)]))
        block = paint_block(rng, grid, int(nodules), strength)
        hu = scanned(rng, grid, block.hu, noise)
        corner = rng.uniform((-150, -120, -300), (80, 60, -100))
        _save(Path(out, f"subset{number % SUBSETS}", f"{uid}.mhd"), rng, grid, hu, corner)
        for name, rows in _rows(rng, uid, corner, block, candidates).items():
            tables[name] += rows
    for name, rows in tables.items():
        pd.DataFrame(rows).to_csv(
            Path(out, name), index=False, float_format="%.4f", lineterminator="\n"
        )


def _nodules_per_scan(seed: int, scans: int, candidates: int, prevalence: float) -> np.ndarray:
    """Return how many nodules each scan has; every subset has the same number."""
    if scans < SUBSETS or scans % SUBSETS:
        raise BadInput(f"nodule-ct: {scans} scans: expected a multiple of {SUBSETS}")
    each = scans // SUBSETS
    wanted = prevalence * candidates * each
    if round(wanted) < 1 or abs(wanted - round(wanted)) > 1e-6:
        raise BadInput(
            f"nodule-ct: prevalence {prevalence} of {candidates * each} candidates in a subset is "
            f"{wanted:g} nodules: choose numbers that give a whole one"
        )
    counts = np.zeros(scans, int)
    rng = np.random.default_rng([seed, 10**6])
    for subset in range(SUBSETS):
        of_subset = np.arange(subset, scans, SUBSETS)
        np.add.at(counts, rng.permutation(np.resize(of_subset, 3 * each))[: round(wanted)], 1)
    if counts.max() > candidates // 2 or counts.sum() < round(wanted) * SUBSETS:
        raise BadInput(f"nodule-ct: prevalence {prevalence} is too high: use 0.02 to 0.03")
    return counts


def scanned(rng, grid: Grid, hu: np.ndarray, noise: float) -> np.ndarray:
    """Return a block as a scanner gives it, int16: parenchyma's texture, blur, correlated noise.

    Half of the scanners have a sharp kernel (little blur, much noise), half a soft one.
    """
    sharp = rng.random() < 0.5
    blur, sd = (0.45, rng.uniform(36, 56)) if sharp else (0.8, rng.uniform(18, 30))
    texture = ndimage.gaussian_filter(rng.normal(size=hu.shape).astype(np.float32), 1.2)
    aerated = hu < -600
    hu = hu + aerated * texture * (22.0 / texture.std())
    x, _y, z = grid.spacing
    hu = ndimage.gaussian_filter(hu, (0.35 * min(z, 2.0) / z + 0.1, blur / x, blur / x))
    width = 0.35 if sharp else 0.7
    grain = ndimage.gaussian_filter(
        rng.normal(size=hu.shape).astype(np.float32), (0.2, width, width)
    )
    hu += grain * (noise * sd / grain.std())
    return to_stored(hu)


def _save(path: Path, rng, grid: Grid, hu: np.ndarray, corner: np.ndarray) -> None:
    """Write .mhd and .raw; one scan in four with its x and y axes running the other way."""
    way = np.array([-1.0, -1.0, 1.0]) if rng.random() < 0.25 else np.ones(3)
    origin = corner + np.where(way < 0, grid.extent, 0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(hu[:, :: int(way[1]), :: int(way[0])]))
    image.SetSpacing(grid.spacing.tolist())
    image.SetOrigin(origin.tolist())
    image.SetDirection(np.diag(way).ravel().tolist())
    sitk.WriteImage(image, str(path))


def _rows(rng, uid: str, corner, block: Block, candidates: int) -> dict[str, list[dict]]:
    """Return the rows that one scan adds to each table; candidates lie within 1 mm or so."""
    annotations = [_at(uid, corner + n.centre, diameter_mm=n.diameter) for n in block.nodules]
    about = [_about(uid, corner, n) for n in block.nodules]
    labelled = [("nodule", n.centre) for n in block.nodules]
    labelled += _negatives(rng, block, candidates - len(labelled))
    labelled = [labelled[i] for i in rng.permutation(len(labelled))]
    places = [(name, corner + place + rng.normal(0, 0.5, 3)) for name, place in labelled]
    return {
        ANNOTATIONS: annotations,
        CANDIDATES: [_at(uid, p, **{"class": int(n == "nodule")}) for n, p in places],
        "truth/nodules.csv": about,
        "truth/candidates.csv": [_at(uid, place, what=name) for name, place in places],
    }


def _at(uid: str, place, **more) -> dict:
    return {"seriesuid": uid, **dict(zip(XYZ, place, strict=True)), **more}


def _about(uid: str, corner, nodule: Nodule) -> dict:
    return _at(
        uid,
        corner + nodule.centre,
        diameter_mm=nodule.diameter,
        kind=nodule.kind,
        hu=nodule.hu,
        spiculated=nodule.spiculated,
        beside=nodule.beside,
    )


def _negatives(rng, block: Block, count: int) -> list[tuple[str, np.ndarray]]:
    """Return count decoys, none near a nodule, each kind with its share as far as possible."""
    left = [
        (name, place)
        for name, place in block.decoys
        if all(np.linalg.norm(place - n.centre) > n.diameter / 2 + APART for n in block.nodules)
    ]
    left = [left[i] for i in rng.permutation(len(left))]
    chosen = []
    for name, share in DECOYS.items():
        chosen += [item for item in left if item[0] == name][: round(share * count)]
    taken = {id(item) for item in chosen}
    chosen += [item for item in left if id(item) not in taken]
    while len(chosen) < count:  # a block of little lung: the same decoys, jittered again
        chosen += chosen[: count - len(chosen)]
    return chosen[:count]
