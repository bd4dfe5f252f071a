"""Read NIfTI volumes, and compare where they lie."""

import gzip
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from medlab.errors import BadInput
from medlab.imaging.volumes import check_axes, check_finite, times

UNREADABLE = (
    EOFError,
    OSError,
    ValueError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
    WrapStructError,
)


def read_nifti(path: Path) -> nib.Nifti1Image:
    """Read a NIfTI volume as float32, in the orientation it is stored in.

    Raises BadInput for a missing or truncated file, anything but three axes, a header without
    spacing or orientation, and values that are NaN or infinite.
    """
    try:
        # The whole stream is read, so that gzip checks its checksum: nibabel stops before it.
        image = nib.Nifti1Image.from_bytes(_unpacked(path))
        values = np.asarray(image.dataobj, dtype=np.float32)
    except FileNotFoundError:
        raise BadInput(f"{path} not found: check the folder's name") from None
    except UNREADABLE as error:
        reason = str(error).splitlines()[0][:80] if str(error) else type(error).__name__
        raise BadInput(f"{path}: truncated or not NIfTI ({reason}): fetch it again") from None
    check_axes(path, values.shape)
    _check_geometry(path, image)
    check_finite(path, values)
    return nib.Nifti1Image(values, image.affine)


def _unpacked(path: Path) -> bytes:
    content = Path(path).read_bytes()
    return gzip.decompress(content) if str(path).endswith(".gz") else content


def _check_geometry(path: Path, image) -> None:
    header = image.header
    spacing = np.asarray(header["pixdim"][1:4], dtype=float)
    unplaced = int(header["sform_code"]) == 0 and int(header["qform_code"]) == 0
    if not np.isfinite(spacing).all() or (spacing <= 0).any() or unplaced:
        raise BadInput(
            f"{path}: no spacing and orientation in the header (pixdim "
            f"{times(spacing.round(3))}, sform and qform code {int(header['sform_code'])} and "
            f"{int(header['qform_code'])}): convert the DICOM series again, keeping them"
        )
    affine = image.affine
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-6:
        raise BadInput(f"{path}: its affine cannot be inverted: convert the DICOM series again")


def corner_distance(one, other) -> float:
    """Return the largest distance between corresponding corners of two volumes of one shape, mm."""
    corners = np.array(list(np.ndindex(2, 2, 2))) * (np.array(one.shape[:3]) - 1)
    apart = nib.affines.apply_affine(one.affine, corners) - nib.affines.apply_affine(
        other.affine, corners
    )
    return float(np.linalg.norm(apart, axis=1).max())
