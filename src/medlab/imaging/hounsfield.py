"""Hounsfield values: the range that scanners store, and a check that a volume is in them."""

import numpy as np

AIR = -1000  # HU, by definition of the scale
LOWEST, HIGHEST = -1024, 3071  # 12 bits from -1024 on, as most scanners store them


def to_stored(hu: np.ndarray) -> np.ndarray:
    """Return Hounsfield values as int16, rounded, within the range that scanners store.

    Raises ArithmeticError for NaN or infinity: a formula has left its domain.
    """
    if not np.isfinite(hu).all():
        raise ArithmeticError("a volume has Hounsfield values that are not finite")
    return np.clip(np.round(hu), LOWEST, HIGHEST).astype(np.int16)


def find_rescale_fault(hu: np.ndarray, most: float, what: str) -> str | None:
    """Return the fault of a volume whose lowest value is above most HU, else None.

    what: the tissue that the volume must contain, with its value, such as "air is near -1000 HU".
    """
    lowest = float(hu.min())
    if lowest <= most:
        return None
    return (
        f"its lowest value is {lowest:.0f}, but {what}: apply slope and intercept, or take the "
        "file before it was windowed"
    )
