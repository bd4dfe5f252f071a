"""Read MetaImage volumes (.mhd with .raw), and find points of the world in them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from medlab.errors import BadInput
from medlab.imaging.volumes import check_axes, check_finite

BYTES = {"MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4,
         "MET_UINT": 4, "MET_FLOAT": 4, "MET_DOUBLE": 8}  # fmt: skip


@dataclass(frozen=True)
class Volume:
    """A volume: float32 values (z, y, x), in Hounsfield units for CT, and where it lies in LPS.

    spacing, origin: mm, in the order x, y, z. direction: 3 x 3, columns are the axes x, y, z.
    """

    hu: np.ndarray
    spacing: np.ndarray
    origin: np.ndarray
    direction: np.ndarray

    def indices(self, points: np.ndarray) -> np.ndarray:
        """Return where world points (n, 3) in mm lie, in voxels z, y, x."""
        steps = np.linalg.solve(self.direction, (np.asarray(points) - self.origin).T).T
        return (steps / self.spacing)[:, ::-1]


def read_metaimage(path: Path) -> Volume:
    """Read a volume from its .mhd file, as float32.

    Raises BadInput for a missing or truncated file, a header without
    spacing, anything but three axes, and values that are not finite.
    """
    path = Path(path)
    header = _header(path)
    _check_raw(path, header)
    try:
        image = sitk.ReadImage(str(path), sitk.sitkFloat32)
    except RuntimeError:  # ITK's own message is pages long, and does not help
        raise BadInput(f"{path} is not a readable MetaImage: fetch it again") from None
    hu = sitk.GetArrayFromImage(image)
    check_axes(path, image.GetSize())
    check_finite(path, hu)
    spacing, origin = np.array(image.GetSpacing()), np.array(image.GetOrigin())
    return Volume(hu, spacing, origin, np.array(image.GetDirection()).reshape(3, 3))


def _header(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(f"{path} not found: unpack or copy it again") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not a MetaImage header: fetch it again") from None
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    header = {name.strip(): value.strip() for name, _, value in pairs}
    if "ElementSpacing" not in header:  # ITK would assume 1 mm
        raise BadInput(
            f"{path}: no line ElementSpacing, so the voxel size is unknown: take the original "
            f"file, or convert the DICOM series again"
        )
    return header


def _check_raw(path: Path, header: dict[str, str]) -> None:
    """Raise BadInput where the file with the values is missing or of another size."""
    raw = path.parent / header.get("ElementDataFile", f"{path.stem}.raw")
    if not raw.is_file():
        raise BadInput(f"{raw} not found, but {path.name} refers to it: unpack or copy it again")
    width = BYTES.get(header.get("ElementType", ""))
    if width is None or header.get("CompressedData", "False") == "True":
        return  # ITK counts these itself
    try:
        expected = width * int(np.prod([int(n) for n in header.get("DimSize", "").split()]))
    except ValueError:
        raise BadInput(f"{path}: its line DimSize does not hold numbers: fetch it again") from None
    if raw.stat().st_size != expected:
        raise BadInput(
            f"{raw}: {raw.stat().st_size} bytes, expected {expected} by {path.name}: truncated, "
            f"or of another scan; fetch it again"
        )
