"""A generated trunk: organs as ellipsoids in a smoothly deformed mean patient.

Every constant is chosen, unless a source is named beside it: organ places and sizes are near those
of one real CT, Hounsfield values are textbook orders of size for the portal venous phase.
datasets/abdominal-ct.md has the equations.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from medlab.datasets.abdominal_ct.layout import VENA_CAVA
from medlab.imaging import hounsfield

FIELD = np.array([344.0, 256.0, 196.0])  # mm to the right, to the front, to the head
BODY = np.array([160.0, 116.0])  # half axes of the trunk, mm
LUNG, FAT, MUSCLE, GAS = -850.0, -100.0, 55.0, -900.0


@dataclass(frozen=True)
class Ellipsoid:
    """An organ or a part of it: centre and half axes in RAS mm, mean Hounsfield value."""

    name: str
    label: int
    centre: tuple[float, float, float]
    axes: tuple[float, float, float]
    hu: float


# In the order of painting: a later part covers earlier ones. x grows to the patient's right.
PARTS = (
    Ellipsoid("liver", 6, (74, 16, 18), (70, 78, 72), 108),
    Ellipsoid("liver", 6, (8, 52, 42), (56, 34, 28), 108),
    Ellipsoid("stomach", 7, (-48, 46, 16), (40, 34, 46), 38),
    Ellipsoid("spleen", 1, (-104, -34, 20), (28, 46, 42), 122),
    Ellipsoid("right kidney", 2, (68, -40, -24), (28, 27, 48), 168),
    Ellipsoid("left kidney", 3, (-70, -40, -14), (28, 27, 48), 168),
    Ellipsoid("gallbladder", 4, (58, 58, -22), (21, 20, 30), 8),
    Ellipsoid("pancreas", 11, (-16, 24, -10), (62, 13, 15), 92),
    Ellipsoid("vena cava", VENA_CAVA, (20, 0, 0), (13, 12, 1e4), 138),
    Ellipsoid("aorta", 8, (-13, -6, 0), (12, 12, 1e4), 156),
)


def draw_scan(rng, deformation: float, jitter: float, noise: float):
    """Return Hounsfield values (int16), label (uint8), affine (RAS) and the organs' true means."""
    spacing = np.array([*[rng.uniform(2.4, 3.2)] * 2, rng.uniform(3.0, 6.0)])
    shape = np.round(FIELD / spacing).astype(int)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -spacing * (shape - 1) / 2
    place = _patient(rng, shape, spacing, deformation)
    means = {part.name: part.hu + rng.normal(0, jitter) for part in PARTS}
    hu = _trunk(place, rng)
    room = _radius(place) < 0.81
    _bowel(hu, place, room, rng)
    label = np.zeros(shape, np.uint8)
    for part in PARTS:
        inside = room & _inside(part, place, rng)
        hu[inside] = means[part.name]
        label[inside] = part.label
    _gas_in_stomach(hu, label, place)
    # A slice averages over its thickness, a pixel over its area; noise has the detector's grain.
    hu = ndimage.gaussian_filter(hu, (0.45, 0.45, 0.4))
    grain = ndimage.gaussian_filter(rng.normal(size=shape).astype(np.float32), (0.6, 0.6, 0))
    texture = _smooth(rng, shape, spacing, 18.0)
    hu += grain * (noise / grain.std()) + 4.0 * texture
    return hounsfield.to_stored(hu), label, affine, means


def _patient(rng, shape, spacing, deformation: float) -> list[np.ndarray]:
    """Return, for every voxel, where it lies in the mean patient: three arrays in RAS mm."""
    stretch = rng.normal(1.0, 0.05, size=3).clip(0.88, 1.12)
    shift = rng.normal(0, (3.0, 3.0, 9.0))
    grid = np.meshgrid(
        *[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing, strict=True)],
        indexing="ij",
    )
    return [
        ((axis - shift[i]) / stretch[i]).astype(np.float32)
        + np.float32(deformation) * _smooth(rng, shape, spacing, 45.0)
        for i, axis in enumerate(grid)
    ]


def _smooth(rng, shape, spacing, length: float) -> np.ndarray:
    """Return a smooth random field of mean 0 and standard deviation 1; length in mm.

    Random numbers on a coarse grid, blended by Gaussians: one small matrix for each axis.
    """
    blends = [_blend(n, n * s, length) for n, s in zip(shape, spacing, strict=True)]
    field = rng.normal(size=[blend.shape[1] for blend in blends])
    for blend in blends:  # each turn takes the first axis and puts the finer one last
        field = np.tensordot(field, blend, axes=(0, 1))
    return ((field - field.mean()) / field.std()).astype(np.float32)


def _blend(count: int, extent: float, length: float) -> np.ndarray:
    """Return Gaussian weights (voxels, coarse points), coarse points 0.8 lengths apart."""
    at = (np.arange(count) + 0.5) / count * extent
    points = np.arange(-2 * length, extent + 2 * length, 0.8 * length)
    return np.exp(-(((at[:, None] - points) / (0.8 * length)) ** 2))


def _radius(place) -> np.ndarray:
    """Return how far a voxel is from the trunk's axis: 1 on the skin."""
    return np.hypot(place[0] / BODY[0], place[1] / BODY[1])


def _trunk(place, rng) -> np.ndarray:
    """Return a trunk without organs: air, fat, muscle, lungs, ribs and spine, in HU."""
    x, y, z = place
    radius = _radius(place)
    hu = np.full(x.shape, hounsfield.AIR, np.float32)
    hu[radius < 1.0] = FAT
    hu[radius < 0.9] = MUSCLE + rng.normal(0, 5)
    inner = radius < 0.82
    hu[inner] = FAT
    # Below the domes of the diaphragm is the abdomen; lungs fill what is above and beside.
    hu[inner & (z > 96 - 150 * radius**2)] = LUNG
    rib = (radius > 0.83) & (radius < 0.89) & (np.sin((z - 0.35 * y) / 5.5) > 0.35) & (z > -45)
    hu[rib] = 420 + rng.normal(0, 40)
    back = (y < -44) & (np.abs(np.abs(x) - 36) < 26) & (y > -96) & (radius < 0.92)
    hu[back] = MUSCLE
    spine = (x / 24) ** 2 + ((y + 52) / 21) ** 2 < 1
    hu[spine] = np.where(np.sin(z[spine] / 5.2) > -0.8, 230.0, 70.0)  # vertebrae and discs
    return hu


def _bowel(hu, place, room, rng) -> None:
    """Paint bowel loops, some with gas, in front of and below the organs."""
    for _ in range(16):
        centre = rng.uniform((-105, 0, -95), (105, 78, -6))
        axes = rng.uniform(11, 22, size=3)
        squared = _squared(place, centre, axes)
        loop = (squared < 1) & room
        hu[loop] = rng.uniform(35, 80)
        if rng.random() < 0.35:
            hu[loop & (squared < 0.45)] = GAS


def _squared(place, centre, axes) -> np.ndarray:
    total = np.zeros(place[0].shape, np.float32)
    for p, c, a in zip(place, centre, axes, strict=True):
        step = p - np.float32(c)
        step *= np.float32(1 / a)
        step *= step
        total += step
    return total


def _inside(part: Ellipsoid, place, rng) -> np.ndarray:
    """Return where an organ is; its size and place vary from scan to scan."""
    centre = np.array(part.centre) + rng.normal(0, 2.5, size=3)
    axes = np.array(part.axes) * rng.normal(1.0, 0.06, size=3).clip(0.85, 1.15)
    x, y, z = place
    if part.name == "pancreas":  # bent around the spine, its tail rising to the spleen
        along = (x - centre[0]) / axes[0]
        place = [x, y + 22 * along**2 - 8, z + 20 * along]
    return _squared(place, centre, axes) < 1


def _gas_in_stomach(hu, label, place) -> None:
    """Paint the bubble in front of the fluid: the patient lies on the back."""
    stomach = label == 7
    if stomach.any():
        front = np.quantile(place[1][stomach], 0.82)
        hu[ndimage.binary_erosion(stomach) & (place[1] > front)] = GAS
