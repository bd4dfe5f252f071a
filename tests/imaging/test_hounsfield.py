"""Hounsfield values are stored in 12 bits, and a volume without them is found out."""

import numpy as np
import pytest

from medlab.imaging.hounsfield import find_rescale_fault, to_stored


def test_values_are_rounded_and_kept_in_the_range_of_scanners():
    stored = to_stored(np.array([-5000.0, -1000.4, 0.6, 9000.0]))
    assert stored.dtype == np.int16
    assert stored.tolist() == [-1024, -1000, 1, 3071]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_an_error(value):
    with pytest.raises(ArithmeticError, match="not finite"):
        to_stored(np.array([0.0, value]))


def test_a_volume_without_air_has_a_fault():
    assert find_rescale_fault(np.array([-1000.0, 40]), -200, "air is near -1000 HU") is None
    fault = find_rescale_fault(np.array([0.0, 255]), -200, "air is near -1000 HU")
    assert fault.startswith("its lowest value is 0, but air is near -1000 HU: apply slope")
