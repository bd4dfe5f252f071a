"""The one dial for size: MEDLAB_SCALE=ci|laptop|gpu."""

import os

from medlab.errors import BadInput

SCALES = ("ci", "laptop", "gpu")


def scale() -> str:
    """Return the scale that MEDLAB_SCALE names; by default ci, which suits two cores.

    Raises BadInput for an unknown scale.
    """
    name = os.environ.get("MEDLAB_SCALE", "").strip() or SCALES[0]
    if name not in SCALES:
        raise BadInput(f"MEDLAB_SCALE is {name!r}: set it to one of {', '.join(SCALES)}")
    return name


def pick(*, ci, laptop, gpu):
    """Return the value for the scale in use: `EPOCHS = pick(ci=6, laptop=15, gpu=30)`."""
    return {"ci": ci, "laptop": laptop, "gpu": gpu}[scale()]
