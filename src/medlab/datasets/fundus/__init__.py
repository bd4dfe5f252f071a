"""Fundus photographs with a grade of diabetic retinopathy and a table of patients, generated.

The folder has the layout of APTOS 2019: train.csv (id_code, diagnosis) and
train_images/<id_code>.png. APTOS has no patient table; patients.csv is the stand-in's own.
What no real set tells stands apart in truth/: severity, quality, lesion counts, lesion masks.
"""

from medlab.datasets.fundus.making import make
from medlab.datasets.fundus.patients import (
    COLUMNS,
    CUTS,
    GRADES,
    NOISE,
    QUALITY,
    WEIGHTS,
    draw_patients,
)
from medlab.datasets.fundus.reading import (
    field_of_view,
    read_images,
    read_mask,
    read_photograph,
    read_table,
)
from medlab.datasets.fundus.verifying import verify

__all__ = [
    "COLUMNS",
    "CUTS",
    "GRADES",
    "NOISE",
    "QUALITY",
    "WEIGHTS",
    "draw_patients",
    "field_of_view",
    "make",
    "read_images",
    "read_mask",
    "read_photograph",
    "read_table",
    "verify",
]
