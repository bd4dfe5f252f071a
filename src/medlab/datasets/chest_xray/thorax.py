"""A frontal chest radiograph as physics: thickness of tissue in cm, times attenuation, summed.

All places are in the patient's own plane: u grows to the right of the picture, v downwards, both
from -1 to 1 (about 36 cm). Every shape is a formula in u and v, so any size can be rendered.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

# Attenuation in 1/cm. Water at 60 keV is 0.206 (NIST XCOM, recalled); lung is a quarter as dense;
# ribs are mostly spongy bone, so half of cortical bone's 0.6. The rest of this file is chosen.
SOFT, LUNG, BONE, METAL = 0.206, 0.05, 0.35, 4.0
CHEST_CM, LUNG_CM = 20.0, 14.0
LUNG_TO_SOFT = SOFT - LUNG

TEXTURE_WAVES = 10
BRANCHES, BRANCH_STEPS = 9, 26


@dataclass(frozen=True)
class Patches:
    """What a kind of pneumonia looks like: ranges to draw from."""

    patches: tuple[int, int]  # how many, the last excluded
    radius: tuple[float, float]
    depth: tuple[float, float]  # cm of lung filled with fluid


BACTERIAL = Patches((1, 3), (0.22, 0.36), (2.5, 8.0))
VIRAL = Patches((2, 4), (0.18, 0.30), (1.5, 5.0))


@dataclass
class Patient:
    """One person's anatomy: what stays the same in every radiograph of them."""

    body: float  # half width of the trunk
    wall: float  # cm of chest wall more or less than usual
    lung_width: np.ndarray  # left and right of the picture
    apex: np.ndarray
    diaphragm: np.ndarray
    medial: float
    heart: np.ndarray  # centre u, v; radii
    heart_angle: float
    rib_gap: float
    rib_phase: np.ndarray
    rib_slope: float
    rib_bend: float
    rib_strength: float
    rib_wobble: np.ndarray
    clavicle: np.ndarray
    breast: float
    vessels: np.ndarray  # points u, v and their strength in cm
    texture: np.ndarray  # waves: frequency u, v, phase, strength


@dataclass
class Blob:
    """A density (or a lucency) in a lung: centre, radii, turn, and depth in cm of tissue."""

    u: float
    v: float
    radii: tuple[float, float]
    angle: float
    depth: float
    edge: float  # exponent: 2 is soft, 6 has a border
    texture: np.ndarray
    rough: float


@dataclass
class Pose:
    """How one radiograph was taken: place, turn and size of the person, and breath."""

    shift: np.ndarray
    turn: float
    zoom: float
    breath: float


@dataclass
class Extra:
    """What else is in the picture: fluid, air, devices, a large heart."""

    effusion: np.ndarray = field(default_factory=lambda: np.zeros(2))  # height, per side
    lucent: np.ndarray = field(default_factory=lambda: np.zeros(2))
    heart_scale: float = 1.0
    lines: list[np.ndarray] = field(default_factory=list)  # points u, v
    discs: list[np.ndarray] = field(default_factory=list)  # u, v, radius


def draw_patient(rng: np.random.Generator) -> Patient:
    """Draw a person's anatomy."""
    return Patient(
        body=rng.uniform(0.86, 1.02),
        wall=rng.normal(0, 1.2),
        lung_width=rng.uniform(0.56, 0.70, 2),
        apex=rng.normal(-0.80, 0.04, 2),
        diaphragm=rng.normal(0.52, 0.06) + np.array([-0.03, 0.03]) + rng.normal(0, 0.02, 2),
        medial=rng.uniform(0.10, 0.15),
        heart=np.array(
            [
                rng.normal(0.12, 0.03),
                rng.normal(0.28, 0.04),
                rng.uniform(0.27, 0.36),
                rng.uniform(0.26, 0.34),
            ]
        ),
        heart_angle=rng.normal(0.5, 0.15),
        rib_gap=rng.uniform(0.155, 0.20),
        rib_phase=rng.uniform(0, 1, 2),
        rib_slope=rng.uniform(0.25, 0.5),
        rib_bend=rng.uniform(0.3, 0.7),
        rib_strength=rng.uniform(0.7, 1.3),
        rib_wobble=rng.normal(0, 0.08, (2, 4)),
        clavicle=np.array([rng.normal(-0.62, 0.03), rng.uniform(0.15, 0.3)]),
        breast=max(0.0, rng.normal(0.8, 1.0)),
        vessels=_draw_vessels(rng),
        texture=draw_texture(rng, 4, 16),
    )


def draw_texture(rng: np.random.Generator, low: float, high: float) -> np.ndarray:
    """Draw waves: (waves, 4) of frequency u, frequency v, phase, strength."""
    angle, rate = rng.uniform(0, np.pi, TEXTURE_WAVES), rng.uniform(low, high, TEXTURE_WAVES)
    phase = rng.uniform(0, 2 * np.pi, TEXTURE_WAVES)
    strength = rng.normal(0, 1, TEXTURE_WAVES) / np.sqrt(TEXTURE_WAVES / 2)
    return np.stack([rate * np.cos(angle), rate * np.sin(angle), phase, strength], axis=1)


def _draw_vessels(rng: np.random.Generator) -> np.ndarray:
    """Draw vessels that leave each hilum and thin out: (points, 3) of u, v, cm."""
    branches = []
    for side in (-1, 1):
        angles = np.linspace(-1.25, 1.25, BRANCHES) + rng.normal(0, 0.15, BRANCHES)
        for angle in angles:
            step = rng.uniform(0.016, 0.024)
            turns = np.cumsum(rng.normal(0, 0.10, BRANCH_STEPS)) + angle
            u = side * (0.17 + step * np.cumsum(np.cos(turns)))
            v = -0.05 + step * np.cumsum(np.sin(turns)) + rng.normal(0, 0.02)
            strength = rng.uniform(1.2, 2.4) * np.linspace(1, 0.15, BRANCH_STEPS)
            branches.append(np.stack([u, v, strength], axis=1))
    return np.concatenate(branches)


def draw_pose(rng: np.random.Generator) -> Pose:
    """Draw how a radiograph is taken."""
    return Pose(
        shift=rng.normal(0, 0.03, 2),
        turn=rng.normal(0, 0.03),
        zoom=rng.uniform(0.95, 1.06),
        breath=rng.normal(0, 0.035),
    )


def place_in_lung(rng: np.random.Generator, patient: Patient) -> tuple[float, float]:
    """Draw a place inside a lung of this person, clear of its border."""
    side = int(rng.integers(2))
    h = rng.uniform(0.22, 0.88)
    v = patient.apex[side] + h * (patient.diaphragm[side] - patient.apex[side])
    width = patient.lung_width[side] * _narrowing(np.float64(h))
    u = patient.medial + rng.uniform(0.25, 0.80) * width
    return float(u if side else -u), float(v)


def draw_consolidation(
    rng: np.random.Generator, patient: Patient, strength: float = 1.0, viral: bool = False
) -> list[Blob]:
    """Draw pneumonia: one or two dense patches (bacterial) or two or three thin ones (viral)."""
    kind = VIRAL if viral else BACTERIAL
    return [_patch(rng, patient, kind, strength) for _ in range(int(rng.integers(*kind.patches)))]


def _patch(rng: np.random.Generator, patient: Patient, kind: Patches, strength: float) -> Blob:
    u, v = place_in_lung(rng, patient)
    radius = rng.uniform(*kind.radius)
    radii = (radius, radius * rng.uniform(0.7, 1.3))
    angle, depth = rng.uniform(0, np.pi), strength * rng.uniform(*kind.depth)
    return Blob(u, v, radii, angle, depth, 2.5, draw_texture(rng, 10, 40), 0.2)


def draw_nodule(rng: np.random.Generator, patient: Patient) -> Blob:
    """Draw a nodule: small, round, with a border."""
    u, v = place_in_lung(rng, patient)
    radius = rng.uniform(0.05, 0.09)
    depth = 36 * radius  # a ball: as deep as it is wide
    return Blob(u, v, (radius, radius), 0.0, depth, 4.0, draw_texture(rng, 12, 30), 0.1)


def draw_devices(rng: np.random.Generator, chance: float = 0.35) -> Extra:
    """Draw leads, a line and electrodes, whatever the person has."""
    extra = Extra()
    if rng.random() < chance:
        steps = np.linspace(0, 1, 60)
        start, end = rng.uniform(-0.6, 0.6, 2), rng.uniform(-0.5, 0.5, 2)
        bow = rng.normal(0, 0.25)
        u = start[0] + (end[0] - start[0]) * steps + bow * np.sin(np.pi * steps)
        extra.lines.append(np.stack([u, -1 + (end[1] + 1) * steps], axis=1))
    if rng.random() < chance:
        for _ in range(int(rng.integers(1, 4))):
            extra.discs.append(np.append(rng.uniform(-0.75, 0.75, 2), rng.uniform(0.025, 0.04)))
    return extra


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


def _narrowing(h: np.ndarray) -> np.ndarray:
    """Return how wide a lung is at height h (0 at the apex, 1 at the base), from 0 to 1."""
    h = np.clip(h, 0, 1)
    return np.sqrt(h * (2 - h)) ** 0.8


def _by_side(pair: np.ndarray, u: np.ndarray) -> np.ndarray:
    return np.where(u < 0, np.float32(pair[0]), np.float32(pair[1]))


def _lungs(patient: Patient, pose: Pose, u: np.ndarray, v: np.ndarray):
    """Return cm of lung on each ray, and a soft mask of the lungs."""
    base = _by_side(patient.diaphragm + pose.breath, u)
    apex = _by_side(patient.apex, u)
    h = (v - apex) / (base - apex)
    width = _by_side(patient.lung_width, u) * _narrowing(h) + np.float32(1e-3)
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
    """Return how much of the lung is drowned: a fluid level that rises to the wall."""
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
