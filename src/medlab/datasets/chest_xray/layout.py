"""Names in Kermany and others' set: `chest_xray/<split>/<NORMAL|PNEUMONIA>/<image>`.

The patient is in the file name, in one of the three forms that copies of the real set have.
"""

import re
from pathlib import Path

from medlab.errors import BadInput

CLASSES = ("NORMAL", "PNEUMONIA")
SPLITS = ("train", "val", "test")
SUFFIXES = (".jpeg", ".jpg", ".png", ".dcm")
TRUTH = "truth/images.csv"  # of the stand-in only
# Kaggle's copy has the first two forms, Mendeley's the third.
PATIENT_IN_NAME = (
    re.compile(r"(person\d+)_(?:bacteria|virus)_\d+"),
    re.compile(r"((?:NORMAL2-)?IM-\d+)(?:-\d+)+"),
    re.compile(r"(?:BACTERIA|VIRUS|NORMAL)-(\d+)-\d+"),
)


def patient_of(name: str) -> str:
    """Return the patient that a file name holds; raise BadInput if it holds none."""
    stem = Path(name).stem
    for form in PATIENT_IN_NAME:
        if found := form.fullmatch(stem):
            return found[1]
    raise BadInput(
        f"{name} names no patient: expected person<N>_bacteria_<k>, person<N>_virus_<k>, "
        "IM-<NNNN>-<KKKK> or BACTERIA-<N>-<k>; rename it or move it away"
    )
