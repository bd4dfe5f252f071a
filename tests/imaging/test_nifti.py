"""NIfTI volumes are read as float32 in their stored orientation, and compared by their corners."""

import nibabel as nib
import numpy as np
import pytest

from medlab.errors import BadInput
from medlab.imaging.nifti import corner_distance, read_nifti

AFFINE = np.diag([-2.0, 2.0, 3.0, 1.0])


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_a_volume_is_read_as_stored(tmp_path, name):
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    nib.save(nib.Nifti1Image(values, AFFINE), tmp_path / name)
    image = read_nifti(tmp_path / name)
    assert image.get_data_dtype() == np.float32
    np.testing.assert_array_equal(np.asarray(image.dataobj), values)
    np.testing.assert_array_equal(image.affine, AFFINE)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"nosuch\.nii not found"):
        read_nifti(tmp_path / "nosuch.nii")


def test_the_distance_of_corners_is_in_mm():
    moved = AFFINE.copy()
    moved[:3, 3] += (3, 4, 0)
    one, other = (nib.Nifti1Image(np.zeros((2, 3, 4)), a) for a in (AFFINE, moved))
    assert corner_distance(one, one) == 0
    assert corner_distance(one, other) == pytest.approx(5)
