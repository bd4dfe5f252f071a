"""A frontal chest radiograph as physics: thickness of tissue in cm, times attenuation, summed.

Every shape is a formula in u and v (see patients.py), so any size can be rendered.
"""

import numpy as np
from scipy import ndimage

from medlab.datasets.chest_xray.patients import Blob, Extra, Patient, Pose, narrowing

# Attenuation in 1/cm. Soft tissue: water at 60 keV (Hubbell and Seltzer, NISTIR 5632, table 4).
# Lung: a quarter of that. Ribs are mostly spongy bone: 0.35. These and all the rest are chosen.
SOFT, LUNG, BONE, METAL = 0.206, 0.05, 0.35, 4.0
CHEST_CM, LUNG_CM = 20.0, 14.0
LUNG_TO_SOFT = SOFT - LUNG


def attenuation(
    patient: Patient, pose: Pose, blobs: list[Blob], extra: Extra, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return attenuation along each ray (size, size), without unit, and each blob's field.

    Fields are (blobs, size, size), from 0 to 1: how much of a blob's depth lies on a ray.
    """
    u, v = _grid(pose, size)
    lung, soft_lung = _lungs(patient, pose, u, v)
    heart = _heart(patient, extra.heart_scale, u, v)
    air = lung * (1 - 0.92 * heart)
    inside = soft_lung * (1 - 0.8 * heart)
    total = SOFT * _body(patient, u, v) - LUNG_TO_SOFT * air
    total += LUNG_TO_SOFT * _splat(patient.vessels, pose, size) * inside
    total += (0.35 * LUNG_TO_SOFT) * waves(patient.texture, u, v) * inside
    total += (BONE - SOFT) * (_ribs(patient, u, v) + _clavicles(patient, u, v) + _spine(u, v))
    total -= LUNG_TO_SOFT * _lucency(extra, u) * 2.5 * inside
    total += LUNG_TO_SOFT * _effusion(patient, pose, extra, u, v) * 0.8 * air
    fields = np.zeros((len(blobs), size, size), np.float32)
    for index, blob in enumerate(blobs):
        fields[index] = _blob(blob, u, v) * inside
        rough = 1 + blob.rough * waves(blob.texture, u, v)
        total += LUNG_TO_SOFT * blob.depth * fields[index] * np.clip(rough, 0.2, 2.0)
    total += _devices(extra, pose, u, v, size)
    total = np.maximum(total, 0.02).astype(np.float32)
    if not np.isfinite(total).all():
        raise AssertionError("a radiograph with NaN: a formula of thorax.py has left its domain")
    return total, fields


def _grid(pose: Pose, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return u and v of every pixel centre, (size, size) each."""
    line = ((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1).astype(np.float32)
    x, y = line[None, :] - np.float32(pose.shift[0]), line[:, None] - np.float32(pose.shift[1])
    cos, sin = np.float32(np.cos(pose.turn) / pose.zoom), np.float32(np.sin(pose.turn) / pose.zoom)
    return cos * x + sin * y, cos * y - sin * x


def _to_pixels(points: np.ndarray, pose: Pose, size: int) -> np.ndarray:
    """Return row and column (float) of points u, v: the way back through _grid."""
    cos, sin = np.cos(pose.turn) * pose.zoom, np.sin(pose.turn) * pose.zoom
    x = cos * points[:, 0] - sin * points[:, 1] + pose.shift[0]
    y = sin * points[:, 0] + cos * points[:, 1] + pose.shift[1]
    return (np.stack([y, x], axis=1) + 1) / 2 * size - 0.5


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def _by_side(pair: np.ndarray, u: np.ndarray) -> np.ndarray:
    return np.where(u < 0, np.float32(pair[0]), np.float32(pair[1]))


def _lungs(patient: Patient, pose: Pose, u: np.ndarray, v: np.ndarray):
    """Return cm of lung on each ray, and a soft mask of the lungs."""
    base = _by_side(patient.diaphragm + pose.breath, u)
    apex = _by_side(patient.apex, u)
    h = (v - apex) / (base - apex)
    width = _by_side(patient.lung_width, u) * narrowing(h) + np.float32(1e-3)
    t = (np.abs(u) - np.float32(patient.medial)) / width  # 0 at the midline side, 1 at the wall
    dome = base + np.float32(0.22) * np.clip(t - np.float32(0.35), -1, 1) ** 2
    soft = _sigmoid(np.clip(t, -3, 3) * 25) * _sigmoid((1 - np.clip(t, -3, 3)) * 25)
    soft = soft * _sigmoid((dome - v) * 50) * _sigmoid((v - apex) * 40)
    profile = np.clip(1 - np.clip(np.abs(2 * t - 1), 0, 1) ** 4, 0, 1)
    return LUNG_CM * soft * (0.35 + 0.65 * profile), soft


def _heart(patient: Patient, scale: float, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    cu, cv, a, b = patient.heart * np.array([1, 1, scale, scale])
    cos, sin = np.cos(patient.heart_angle), np.sin(patient.heart_angle)
    p, q = ((u - cu) * cos + (v - cv) * sin) / a, ((v - cv) * cos - (u - cu) * sin) / b
    muscle = _sigmoid((1 - np.sqrt(p * p + q * q)) * 14)
    knob = _sigmoid((0.09 - np.hypot(u - 0.12, v + 0.32)) * 60)
    return np.maximum(muscle, 0.8 * knob).astype(np.float32)


def _body(patient: Patient, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return cm of trunk on each ray, as if it were soft tissue throughout."""
    width = patient.body * (0.55 + 0.45 * _sigmoid((v + 0.85) * 14))
    chord = np.sqrt(np.clip(1 - (u / width) ** 2, 0, 1))
    breast = patient.breast * np.exp(-(((np.abs(u) - 0.45) / 0.25) ** 4) - ((v - 0.3) / 0.25) ** 4)
    return (CHEST_CM + patient.wall) * chord**0.6 + breast


def _ribs(patient: Patient, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return cm of bone: posterior ribs that rise to the spine, fainter anterior ones."""
    side = np.abs(u)
    wobble = _by_side(patient.rib_wobble[:, 0], u) * np.sin(5 * v + _by_side(patient.rib_phase, u))
    bend = patient.rib_slope * side**2 - patient.rib_bend * side * 0.35
    back = (v - bend) / patient.rib_gap + _by_side(patient.rib_phase, u) + wobble
    front = (v + 0.9 * patient.rib_slope * side) / (patient.rib_gap * 1.15) + patient.rib_bend
    cage = _sigmoid((patient.body * 0.93 - side) * 25) * _sigmoid((0.75 - v) * 15)
    cage = cage * _sigmoid((v + 0.85) * 20)
    near_wall = _sigmoid((side - 0.25) * 12)
    bone = 0.9 * _stripe(back, 0.13) + 0.45 * _stripe(front, 0.13) * near_wall
    return patient.rib_strength * bone * cage


def _stripe(phase: np.ndarray, width: float) -> np.ndarray:
    """Return ridges of height 1 wherever the phase passes a whole number."""
    off = phase - np.round(phase)
    return np.exp(-((off / width) ** 2))


def _clavicles(patient: Patient, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    height, slope = patient.clavicle
    off = v - (height - slope * (np.abs(u) - 0.1))
    ends = _sigmoid((np.abs(u) - 0.08) * 40) * _sigmoid((0.75 - np.abs(u)) * 25)
    return 1.0 * np.exp(-((off / 0.035) ** 2)) * ends


def _spine(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    column = _sigmoid((0.085 - np.abs(u)) * 60)
    return column * (2.2 + 0.7 * np.cos(2 * np.pi * v / 0.13))


def _lucency(extra: Extra, u: np.ndarray) -> np.ndarray:
    return _by_side(extra.lucent, u)


def _effusion(patient: Patient, pose: Pose, extra: Extra, u: np.ndarray, v: np.ndarray):
    """Return how much of the lung is under fluid: a level that rises to the wall."""
    height = _by_side(extra.effusion, u)
    base = _by_side(patient.diaphragm + pose.breath, u)
    level = base + 0.12 - height - 0.25 * np.clip(np.abs(u) - 0.4, -0.3, 0.4)
    return _sigmoid((v - level) * 30) * (height > 0)


def _blob(blob: Blob, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    cos, sin = np.cos(blob.angle), np.sin(blob.angle)
    du, dv = u - blob.u, v - blob.v
    p, q = (cos * du + sin * dv) / blob.radii[0], (cos * dv - sin * du) / blob.radii[1]
    return np.exp(-((p * p + q * q + 1e-9) ** (blob.edge / 2)))


def waves(texture: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return the sum of cosine waves at u and v."""
    waves = texture.astype(np.float32)[:, :, None, None]
    return (waves[:, 3] * np.cos(waves[:, 0] * u + waves[:, 1] * v + waves[:, 2])).sum(axis=0)


def _splat(points: np.ndarray, pose: Pose, size: int, width: float = 0.011) -> np.ndarray:
    """Return cm of tissue of tubes through points (u, v, cm)."""
    at = np.round(_to_pixels(points, pose, size)).astype(int)
    inside = ((at >= 0) & (at < size)).all(axis=1)
    canvas = np.zeros((size, size), np.float32)
    np.maximum.at(canvas, tuple(at[inside].T), points[inside, 2].astype(np.float32))
    sigma = max(0.5, width * size / 2)
    return ndimage.gaussian_filter(canvas, sigma) * np.float32(2.2 * sigma)


def _devices(extra: Extra, pose: Pose, u: np.ndarray, v: np.ndarray, size: int) -> np.ndarray:
    total = np.zeros((size, size), np.float32)
    for line in extra.lines:
        points = np.concatenate([line, np.full((len(line), 1), 0.12)], axis=1)
        total += METAL * _splat(points, pose, size, width=0.008)
    for cu, cv, radius in extra.discs:
        total += 0.25 * METAL * _sigmoid((radius - np.hypot(u - cu, v - cv)) * 150)
    return total
