"""Paint tubes and ellipsoids into a block of voxels.

Points are (x, y, z) in mm from the block's first voxel; arrays are (z, y, x).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Grid:
    """Voxel counts (nx, ny, nz) and spacing in mm."""

    counts: tuple[int, int, int]
    spacing: np.ndarray

    @property
    def extent(self) -> np.ndarray:
        """Return the place of the last voxel, mm."""
        return (np.array(self.counts) - 1) * self.spacing

    def box(self, low, high):
        """Return slices (z, y, x) around a box in mm, and open coordinates x, y, z there."""
        first = np.clip(np.floor(low / self.spacing).astype(int), 0, self.counts)
        last = np.clip(np.ceil(high / self.spacing).astype(int) + 1, 0, self.counts)
        x, y, z = (
            (np.arange(a, b) * s).astype(np.float32)
            for a, b, s in zip(first, last, self.spacing, strict=True)
        )
        where = tuple(slice(a, b) for a, b in zip(first[::-1], last[::-1], strict=True))
        return where, (x[None, None, :], y[None, :, None], z[:, None, None])


@dataclass(frozen=True)
class Tube:
    """A straight piece of a vessel: two ends (x, y, z) in mm, and its radius at each."""

    start: np.ndarray
    end: np.ndarray
    thick: float
    thin: float


def paint(grid: Grid, hu, low, high, distance: Callable, value: float, edge: float) -> None:
    """Blend a value in where distance(x, y, z) is below 0; edge: its width in mm."""
    where, (x, y, z) = grid.box(low, high)
    part = hu[where]
    if part.size:
        share = np.clip(0.5 - distance(x, y, z) / edge, 0, 1)
        part += share * (np.float32(value) - part)


def paint_tube(grid: Grid, hu, tube: Tube, value: float, edge: float = 0.8) -> None:
    """Paint a vessel's piece; its radius runs from thick to thin."""
    start, along = tube.start, tube.end - tube.start
    squared = float(along @ along) + 1e-9

    def distance(x, y, z):
        dx, dy, dz = x - start[0], y - start[1], z - start[2]
        t = np.clip((dx * along[0] + dy * along[1] + dz * along[2]) / squared, 0, 1)
        gap = (dx - t * along[0]) ** 2 + (dy - t * along[1]) ** 2 + (dz - t * along[2]) ** 2
        return np.sqrt(gap) - (tube.thick + t * (tube.thin - tube.thick))

    reach = max(tube.thick, tube.thin) + edge
    ends = np.stack([tube.start, tube.end])
    paint(grid, hu, ends.min(0) - reach, ends.max(0) + reach, distance, value, edge)


def paint_ellipsoid(grid: Grid, hu, centre, axes, turn, value: float, edge: float = 0.8) -> None:
    """Paint an ellipsoid; turn holds its three directions as rows."""

    def distance(x, y, z):
        dx, dy, dz = x - centre[0], y - centre[1], z - centre[2]
        total = 0
        for row, axis in zip(turn, axes, strict=True):
            total = total + ((dx * row[0] + dy * row[1] + dz * row[2]) / axis) ** 2
        return (np.sqrt(total) - 1) * min(axes)

    reach = max(axes) + edge
    paint(grid, hu, centre - reach, centre + reach, distance, value, edge)


def direction(rng) -> np.ndarray:
    """Return a direction, all equally likely."""
    drawn = rng.normal(size=3)
    return drawn / np.linalg.norm(drawn)


def rotation(rng) -> np.ndarray:
    """Return three directions at right angles, as rows."""
    return np.linalg.qr(rng.normal(size=(3, 3)))[0]
