"""Draw fundus photographs: disc, macula, vessels, lesions, then lens, light and sensor.

Lengths are in radii of the field of view; a field of 45 degrees has a radius of 22.5 degrees. All
constants are chosen so that images look plausible at 96 pixels. Shapes are drawn three times as
large with Pillow and reduced, which gives them soft edges; colours follow for many at once.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

FINER = 3  # shapes are drawn this many times larger
FIELD = 0.96  # radius of the field of view, in half image widths
LESION_RATE = 12.0  # expected microaneurysms in the field when severity has no upper bound
RED = np.array([0.50, 1.0, 0.85], np.float32)  # blood takes green and blue first
TONE = np.array([0.74, 0.36, 0.17], np.float32)  # of the retina, red green blue
YELLOW = np.array([0.34, 0.40, 0.16], np.float32)


@dataclass(frozen=True)
class Lesions:
    """Lesions of one photograph: rows of x, y, radius."""

    microaneurysms: np.ndarray
    haemorrhages: np.ndarray
    exudates: np.ndarray

    @property
    def counts(self) -> dict[str, int]:
        """How many there are of each kind."""
        return {name: len(rows) for name, rows in vars(self).items()}


def burden(severity: float) -> float:
    """Return severity on a scale from 0 to 1, by a logistic curve."""
    return 1 / (1 + np.exp(-1.6 * (severity - 0.9)))


def draw_lesions(rng: np.random.Generator, severity: float) -> Lesions:
    """Draw lesions; counts are Poisson, with a mean that grows with severity."""
    ill = burden(severity)
    return Lesions(
        _spots(rng, rng.poisson(LESION_RATE * ill), (0.024, 0.036)),
        _spots(rng, rng.poisson(LESION_RATE * 0.6 * ill**1.5), (0.035, 0.085)),
        _clusters(rng, rng.poisson(LESION_RATE * 0.25 * ill**1.5)),
    )


def _spots(rng: np.random.Generator, count: int, radii: tuple[float, float]) -> np.ndarray:
    """Return rows of x, y, radius, evenly over the field."""
    angle, radius = rng.uniform(0, 2 * np.pi, count), 0.88 * np.sqrt(rng.uniform(0, 1, count))
    place = radius * np.cos(angle), radius * np.sin(angle)
    return np.column_stack([*place, rng.uniform(*radii, count)])


def _clusters(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return exudates, which come in groups of three to six."""
    centres = np.repeat(_spots(rng, count, (0.02, 0.045)), rng.integers(3, 7, count), axis=0)
    centres[:, :2] += rng.normal(0, 0.05, (len(centres), 2))
    return centres


def draw_shapes(rng: np.random.Generator, lesions: Lesions, size: int) -> tuple[np.ndarray, dict]:
    """Return coverage 0 to 1 of vessels, blood, exudates, drusen, shape (4, size, size), and where
    disc and fovea lie.
    """
    side = rng.choice([-1, 1])  # right or left eye
    disc = np.array([0.60 * side, 0.0]) + rng.normal(0, 0.04, 2)
    fovea = np.array([-0.05 * side, 0.06]) + rng.normal(0, 0.03, 2)
    drusen = _spots(rng, rng.poisson(2.0), (0.015, 0.035))  # pale, and not a sign of this disease
    blood = np.vstack([lesions.microaneurysms, lesions.haemorrhages])
    layers = [
        _vessels(rng, disc, side, size),
        _dots(blood, size),
        _dots(lesions.exudates, size),
        _dots(drusen, size),
    ]
    return np.stack(layers), {"disc": disc, "fovea": fovea}


def _canvas(size: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    canvas = Image.new("L", (size * FINER, size * FINER))
    return canvas, ImageDraw.Draw(canvas)


def _reduced(canvas: Image.Image) -> np.ndarray:
    return np.asarray(canvas.reduce(FINER), np.float32) / 255


def _pixels(length: np.ndarray, size: int) -> np.ndarray:
    """Turn radii of the field into pixels of the finer canvas."""
    return np.asarray(length) * FIELD * size * FINER / 2


def _dots(rows: np.ndarray, size: int) -> np.ndarray:
    canvas, pen = _canvas(size)
    middle = size * FINER / 2
    for x, y, r in _pixels(rows, size):
        pen.ellipse((middle + x - r, middle + y - r, middle + x + r, middle + y + r), fill=255)
    return _reduced(canvas)


def _vessels(rng: np.random.Generator, disc: np.ndarray, side: int, size: int) -> np.ndarray:
    """Draw four arcades that leave the disc and arch around the fovea, each with four branches."""
    canvas, pen = _canvas(size)
    away = np.pi if side > 0 else 0.0  # the direction from the disc to the fovea
    start = np.array([1.25, -1.25, 2.3, -2.3]) + rng.normal(0, 0.12, 4)
    bend = np.array([-0.11, 0.11, 0.03, -0.03]) + rng.normal(0, 0.01, 4)
    trunks = _paths(rng, np.tile(disc, (4, 1)), away + side * start, side * bend, 16)
    trunk, at = np.repeat(np.arange(4), 4), rng.integers(2, 13, 16)
    forks = trunks[trunk, at]
    step = trunks[trunk, at + 1] - forks
    turn = rng.choice([-1, 1], 16) * rng.uniform(0.4, 0.9, 16)
    branches = _paths(rng, forks, np.arctan2(step[:, 1], step[:, 0]) + turn, -0.08 * turn, 8)
    _stroke(pen, trunks, 0.030, size)
    _stroke(pen, branches, 0.016, size)
    return _reduced(canvas)


def _paths(
    rng: np.random.Generator, start: np.ndarray, heading: np.ndarray, bend: np.ndarray, steps: int
) -> np.ndarray:
    """Return points of wandering paths, shape (paths, steps + 1, 2)."""
    wander = np.cumsum(rng.normal(0, 0.05, (len(start), steps)), axis=1)
    headings = heading[:, None] + bend[:, None] * np.arange(steps) + wander
    moves = 0.095 * np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    return np.concatenate([start[:, None], start[:, None] + np.cumsum(moves, axis=1)], axis=1)


def _stroke(pen: ImageDraw.ImageDraw, paths: np.ndarray, width: float, size: int) -> None:
    """Draw paths that get thinner half-way."""
    points = _pixels(paths, size) + size * FINER / 2
    half = points.shape[1] // 2
    for part, share in ((points[:, : half + 1], 1.0), (points[:, half:], 0.65)):
        broad = max(1, round(float(_pixels(width * share, size))))
        for path in part.reshape(len(part), -1).tolist():
            pen.line(path, fill=255, width=broad, joint="curve")


def develop(
    rng: np.random.Generator, shapes: np.ndarray, places: list[dict], quality: np.ndarray
) -> np.ndarray:
    """Turn shapes into photographs, uint8 of shape (photographs, size, size, 3).

    shapes: (photographs, 4, size, size). Low quality means blur, haze and noise.
    """
    count, _, size, _ = shapes.shape
    x, y = _grid(size)
    vessels, blood, exudates, drusen = (shapes[:, layer, ..., None] for layer in range(4))
    tone = TONE * np.exp(rng.normal(0, [0.08, 0.12, 0.15], (count, 3))).astype(np.float32)
    light = _light(rng, x, y, count)
    image = light[..., None] * tone[:, None, None, :]
    image += _glow(places, "disc", x, y, 0.13, 6)[..., None] * np.float32([0.20, 0.30, 0.20])
    image *= 1 - 0.40 * _glow(places, "fovea", x, y, 0.20, 2)[..., None]
    image *= 1 - np.maximum(0.38 * vessels, 0.63 * blood) * RED
    image += (exudates + 0.35 * drusen) * YELLOW
    return _photographed(rng, image, x, y, quality)


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of pixel centres in radii of the field."""
    line = ((np.arange(size, dtype=np.float32) + 0.5) / (size / 2) - 1) / FIELD
    return line[None, :], line[:, None]


def _light(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, count: int) -> np.ndarray:
    """Return illumination: darker at the rim and to one side."""
    tilt = rng.normal(0, 0.10, (2, count, 1, 1)).astype(np.float32)
    return 1 - 0.35 * (x**2 + y**2) + tilt[0] * x + tilt[1] * y


def _glow(
    places: list[dict], name: str, x: np.ndarray, y: np.ndarray, radius: float, power: int
) -> np.ndarray:
    """Return a spot of 1 around a place; a higher power has a sharper edge."""
    at = np.array([place[name] for place in places], np.float32)[:, :, None, None]
    apart = ((x - at[:, 0]) ** 2 + (y - at[:, 1]) ** 2) / np.float32(radius**2)
    return np.exp(-(apart ** (power / 2)))


def _photographed(
    rng: np.random.Generator,
    image: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    quality: np.ndarray,
) -> np.ndarray:
    """Add what lens, media and sensor do, and the black surround."""
    lost = (1 - quality).astype(np.float32)[:, None, None, None]
    size = image.shape[1]
    image = _blurred(image, (0.25 + 1.6 * (1 - quality)) * size / 96)
    image += 0.45 * lost * (np.float32([0.62, 0.45, 0.30]) - image)
    image += (0.012 + 0.025 * lost) * rng.standard_normal(image.shape, np.float32)
    image *= (x**2 + y**2 <= 1)[None, ..., None]
    if not np.isfinite(image).all():
        raise AssertionError("a generated photograph has a pixel that is not a number")
    return np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)


def _blurred(image: np.ndarray, sigma: np.ndarray) -> np.ndarray:
    """Blur each photograph with its own Gaussian, by two products with a band matrix."""
    size = image.shape[1]
    apart = np.subtract.outer(np.arange(size), np.arange(size)) ** 2
    band = np.exp(-apart / (2 * sigma[:, None, None] ** 2)).astype(np.float32)
    band /= band.sum(axis=2, keepdims=True)
    for _ in range(2):  # down the rows, then, with axes swapped, along the columns
        blurred = (band @ image.reshape(len(image), size, -1)).reshape(image.shape)
        image = blurred.transpose(0, 2, 1, 3)
    return np.ascontiguousarray(image)
