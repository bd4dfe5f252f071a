"""The one dial for size: MEDLAB_SCALE=ci|laptop|gpu."""

import os

from medlab.errors import BadInput

SCALES = ("ci", "laptop", "gpu")


def scale() -> str:
    """Return what MEDLAB_SCALE says; ci, which suits two cores, where it says nothing.

    Raises BadInput for another word.
    """
    said = os.environ.get("MEDLAB_SCALE", "").strip() or SCALES[0]
    if said not in SCALES:
        raise BadInput(f"MEDLAB_SCALE is {said!r}: set it to one of {', '.join(SCALES)}")
    return said


def pick(*, ci, laptop, gpu):
    """Return the value for the scale in use: `EPOCHS = pick(ci=6, laptop=15, gpu=30)`."""
    return {"ci": ci, "laptop": laptop, "gpu": gpu}[scale()]
