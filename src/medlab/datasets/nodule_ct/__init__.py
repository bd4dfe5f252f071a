"""Lung nodules in CT: a stand-in for LUNA16, and readers for both.

On disk both lie in `subset0` to `subset9`, each with `<seriesuid>.mhd` and `.raw`, and two tables:
`annotations.csv` (seriesuid, coordX, coordY, coordZ, diameter_mm) and `candidates_V2.csv`
(seriesuid, coordX, coordY, coordZ, class). Coordinates are world millimetres in LPS: x to the
patient's left, y to the back, z to the head. datasets/nodule-ct.md has the equations.
"""

from medlab.datasets.nodule_ct.lung import KINDS
from medlab.datasets.nodule_ct.making import make
from medlab.datasets.nodule_ct.reading import (
    SUBSETS,
    Volume,
    find_series,
    read_annotations,
    read_candidates,
    read_patches,
    read_volume,
)
from medlab.datasets.nodule_ct.verifying import verify

__all__ = [
    "KINDS",
    "SUBSETS",
    "Volume",
    "find_series",
    "make",
    "read_annotations",
    "read_candidates",
    "read_patches",
    "read_volume",
    "verify",
]
