"""Chest CT with lung nodules and candidates: a generated stand-in, and readers for both sets.

Not the real set, LUNA16 (datasets/nodule-ct.md), whose folders, tables and coordinates it has:
world millimetres in LPS, x to the patient's left, y to the back, z to the head.
"""

from medlab.datasets.lazy import on_first_use
from medlab.datasets.nodule_ct.layout import SUBSETS
from medlab.datasets.nodule_ct.reading import (
    find_series,
    read_annotations,
    read_candidates,
    read_patches,
    read_volume,
)
from medlab.datasets.nodule_ct.verifying import verify
from medlab.imaging.metaimage import Volume

__all__ = [
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

__getattr__ = on_first_use(__name__, make="making")
