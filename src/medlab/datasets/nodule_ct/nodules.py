"""Nodules of a generated block: where they lie, of what kind they are, and how they look."""

from dataclasses import dataclass

import numpy as np

from medlab.datasets.nodule_ct.lung import LUNG, Wall, point_in_lung, point_on_wall
from medlab.datasets.nodule_ct.shapes import (
    Grid,
    Tube,
    direction,
    paint,
    paint_ellipsoid,
    paint_tube,
)

KINDS = {"solid": 0.6, "part-solid": 0.2, "ground-glass": 0.2}  # shares of nodules


@dataclass
class Nodule:
    """A nodule: its centre in mm, diameter in mm, kind and Hounsfield value."""

    centre: np.ndarray
    diameter: float
    kind: str
    hu: float
    spiculated: bool
    beside: str  # lung, vessel or wall


def draw_nodule(rng, grid: Grid, wall: Wall, tubes, others, strength: float) -> Nodule:
    """Draw a nodule that is 12 mm or more from the edge of every other one."""
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    diameter = float(np.clip(np.exp(rng.normal(np.log(6.5), 0.32)), 3.6, 16))
    if kind == "ground-glass":
        diameter = max(diameter, 5.0)
    beside = str(rng.choice(["lung", "vessel", "wall"], p=[0.5, 0.35, 0.15]))
    for _ in range(60):
        centre = _place_beside(rng, grid, wall, tubes, beside, diameter / 2)
        apart = [np.linalg.norm(centre - o.centre) - o.diameter / 2 for o in others]
        if min(apart, default=99) - diameter / 2 > 12:
            break
    level = rng.normal(-640, 45) if kind == "ground-glass" else rng.normal(20, 25)
    hu = LUNG + strength * (level - LUNG)
    return Nodule(centre, diameter, kind, hu, bool(rng.random() < 0.35), beside)


def _place_beside(rng, grid: Grid, wall: Wall, tubes, beside: str, radius: float) -> np.ndarray:
    """Return a nodule's centre: anywhere in the lung, touching a vessel, or touching the wall."""
    point = point_in_lung(rng, grid, wall, radius + 1)
    if beside == "wall":
        found = point_on_wall(rng, grid, wall)
        if found is not None:
            inward = wall.centre - found
            return found + 0.8 * radius * inward / np.linalg.norm(inward)
    if beside == "vessel":
        tube = tubes[rng.integers(len(tubes))]
        side = np.cross(tube.end - tube.start, direction(rng))
        offset = (0.8 * radius + tube.thick) * side / np.linalg.norm(side)
        near = (tube.start + tube.end) / 2 + offset
        if (near > 9).all() and (near < grid.extent - 9).all() and wall.at(near) < -radius:
            return near
    return point


def paint_nodule(rng, grid: Grid, hu, nodule: Nodule) -> None:
    """Paint a lobulated body, its solid core if it has one, and spicules."""
    radius, centre = nodule.diameter / 2, nodule.centre
    lobes = [(direction(rng), rng.uniform(-0.16, 0.16)) for _ in range(5)]
    stretch = rng.uniform(0.88, 1.13, size=3)

    def distance(x, y, z):
        dx, dy, dz = ((v - c) / s for v, c, s in zip((x, y, z), centre, stretch, strict=True))
        gap = np.sqrt(dx * dx + dy * dy + dz * dz) + 1e-6
        shape = 1.0
        for way, size in lobes:
            shape = shape + size * ((dx * way[0] + dy * way[1] + dz * way[2]) / gap) ** 3
        return gap - radius * shape

    reach = 1.6 * radius + 1.5
    low, high = centre - reach, centre + reach
    if nodule.kind == "part-solid":
        paint(grid, hu, low, high, distance, rng.normal(-620, 45), 1.6)
        core = centre + 0.25 * radius * direction(rng)
        paint_ellipsoid(grid, hu, core, [0.5 * radius] * 3, np.eye(3), nodule.hu, 1.2)
    else:
        paint(grid, hu, low, high, distance, nodule.hu, 1.8 if nodule.kind != "solid" else 1.0)
    if nodule.spiculated:
        for _ in range(rng.integers(5, 10)):
            way = direction(rng)
            tip = centre + way * radius * rng.uniform(1.4, 2.0)
            paint_tube(grid, hu, Tube(centre + 0.8 * radius * way, tip, 0.6, 0.3),
                       LUNG + 0.6 * (nodule.hu - LUNG))  # fmt: skip
