"""Abdominal CT with organ labels: a generated stand-in, and readers for both sets.

Not the real set, Synapse/BTCV (datasets/abdominal-ct.md), whose folders and label numbers it has.
"""

from medlab.datasets.abdominal_ct.layout import CLASS_NAMES, ORGANS, VENA_CAVA
from medlab.datasets.abdominal_ct.reading import Case, cases, read_case, to_classes
from medlab.datasets.abdominal_ct.verifying import verify
from medlab.datasets.lazy import on_first_use

__all__ = [
    "CLASS_NAMES",
    "ORGANS",
    "VENA_CAVA",
    "Case",
    "cases",
    "make",
    "read_case",
    "to_classes",
    "verify",
]

__getattr__ = on_first_use(__name__, make="making")
