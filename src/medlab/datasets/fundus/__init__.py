"""Fundus photographs graded for diabetic retinopathy, with patients: a stand-in and readers.

Not the real set, APTOS 2019 (datasets/fundus.md), whose folders it has; APTOS has no patients.
"""

from medlab.datasets.fundus.layout import COLUMNS, GRADES
from medlab.datasets.fundus.reading import (
    field_of_view,
    read_images,
    read_mask,
    read_photograph,
    read_table,
)
from medlab.datasets.fundus.verifying import verify
from medlab.datasets.lazy import on_first_use

__all__ = [
    "COLUMNS",
    "GRADES",
    "field_of_view",
    "make",
    "read_images",
    "read_mask",
    "read_photograph",
    "read_table",
    "verify",
]

__getattr__ = on_first_use(__name__, make="making")
