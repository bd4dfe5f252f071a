"""Draw generated patients, how they are posed, and what there is to see in their chests.

All places are in the patient's own plane: u grows to the right of the image, v downwards, both
from -1 to 1 (about 36 cm). All ranges are chosen.
"""

from dataclasses import dataclass, field

import numpy as np

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
    """One patient's anatomy: what is the same in all of their radiographs."""

    body: float  # half width of the trunk
    wall: float  # cm of chest wall more or less than usual
    lung_width: np.ndarray  # left and right of the image
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
    """How one radiograph was taken: place, turn and size of the patient, and breath."""

    shift: np.ndarray
    turn: float
    zoom: float
    breath: float


@dataclass
class Extra:
    """What else is in the radiograph: fluid, air, devices, a large heart."""

    effusion: np.ndarray = field(default_factory=lambda: np.zeros(2))  # height, per side
    lucent: np.ndarray = field(default_factory=lambda: np.zeros(2))
    heart_scale: float = 1.0
    lines: list[np.ndarray] = field(default_factory=list)  # points u, v
    discs: list[np.ndarray] = field(default_factory=list)  # u, v, radius


def draw_patient(rng: np.random.Generator) -> Patient:
    """Draw a patient's anatomy."""
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
    """Draw a place inside a lung of this patient, clear of its border."""
    side = int(rng.integers(2))
    h = rng.uniform(0.22, 0.88)
    v = patient.apex[side] + h * (patient.diaphragm[side] - patient.apex[side])
    width = patient.lung_width[side] * narrowing(np.float64(h))
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
    """Draw leads, a line and electrodes, independent of any disease."""
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


def narrowing(h: np.ndarray) -> np.ndarray:
    """Return how wide a lung is at height h (0 at the apex, 1 at the base), from 0 to 1."""
    h = np.clip(h, 0, 1)
    return np.sqrt(h * (2 - h)) ** 0.8
