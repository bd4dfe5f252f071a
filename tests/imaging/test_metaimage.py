"""A MetaImage is read with its geometry: points of the world are found in its voxels."""

import numpy as np
import SimpleITK as sitk

from medlab.imaging.metaimage import read_metaimage


def test_a_volume_agrees_with_simpleitk_about_every_point(tmp_path):
    rng = np.random.default_rng(0)
    image = sitk.GetImageFromArray(rng.integers(-1000, 1000, (4, 5, 6)).astype(np.int16))
    image.SetSpacing((0.7, 0.8, 2.5))
    image.SetOrigin((-10.0, 20.0, -300.0))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(tmp_path / "scan.mhd"))

    volume = read_metaimage(tmp_path / "scan.mhd")

    points = rng.uniform(-20, 20, (7, 3)) + np.array([-10, 20, -300])
    wanted = [image.TransformPhysicalPointToContinuousIndex(p.tolist())[::-1] for p in points]
    assert volume.hu.shape == (4, 5, 6)
    assert volume.hu.dtype == np.float32
    np.testing.assert_allclose(volume.indices(points), wanted, atol=1e-9)
