"""Chest radiographs with and without pneumonia: a generated stand-in, and readers for both sets.

Not the real set, Kermany and others' (datasets/chest-xray.md), whose folders and names it has.
"""

from medlab.datasets.chest_xray.layout import CLASSES, SPLITS, patient_of
from medlab.datasets.chest_xray.reading import read_mask, read_table
from medlab.datasets.chest_xray.verifying import verify
from medlab.datasets.lazy import on_first_use

__all__ = ["CLASSES", "SPLITS", "make", "patient_of", "read_mask", "read_table", "verify"]

__getattr__ = on_first_use(__name__, make="making")
