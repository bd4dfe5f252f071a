"""Lung and chest wall of a generated block: texture, vessels, bronchi, pleura, scars.

Every constant is chosen. Hounsfield values are textbook orders of size: lung -850, blood 40.
"""

from dataclasses import dataclass

import numpy as np

from medlab.datasets.nodule_ct.shapes import Grid, Tube, direction, paint, paint_ellipsoid, rotation

LUNG, AIR, BLOOD, FAT, MUSCLE, BONE = -850.0, -990.0, 40.0, -100.0, 50.0, 420.0
THINNEST = 0.55  # mm, radius at which a vessel ends


@dataclass
class Wall:
    """The inside of the chest wall: a sphere seen from inside, with ripples."""

    centre: np.ndarray
    radius: float
    phase: np.ndarray

    def depth(self, x, y, z) -> np.ndarray:
        """Return how far inside the wall a point lies, mm; negative in the lung."""
        dx, dy, dz = x - self.centre[0], y - self.centre[1], z - self.centre[2]
        ripple = 0.7 * np.sin(y / 7 + self.phase[0]) * np.sin(z / 8 + self.phase[1])
        return np.sqrt(dx * dx + dy * dy + dz * dz) - self.radius + ripple

    def at(self, point) -> float:
        """Return the depth of one point, mm."""
        return float(self.depth(*point))


def grow(rng, grid: Grid, wall: Wall, root, heading, radius: float) -> list[Tube]:
    """Return a tree of vessels; at a fork r^3 = r1^3 + r2^3 (Murray's law)."""
    tubes, ends = [], [(np.array(root), np.array(heading), radius)]
    while ends and len(tubes) < 260:
        place, heading, radius = ends.pop()
        length = rng.uniform(3.0, 5.0) * radius + rng.uniform(2, 6)
        bent = heading + 0.25 * direction(rng)
        end = place + length * bent / np.linalg.norm(bent)
        tubes.append(Tube(place, end, radius, 0.93 * radius))
        outside = (end < -12).any() or (end > grid.extent + 12).any()
        if radius < THINNEST or outside or wall.at(end) > -3:
            continue
        share = rng.uniform(0.2, 0.8)
        side = np.cross(bent, direction(rng))
        side /= np.linalg.norm(side)
        for part, sign in ((share, 1), (1 - share, -1)):
            spread = rng.uniform(0.3, 0.9) * (1.2 - part)
            ends.append((end, bent + sign * spread * side, 0.93 * radius * part ** (1 / 3)))
    return tubes


def empty_block(rng, grid: Grid) -> tuple[np.ndarray, Wall]:
    """Return lung with texture and a density that grows to the back, and the chest wall."""
    side = rng.choice([-1, 1])
    middle = grid.extent / 2
    radius = rng.uniform(90, 140)
    surface = middle[0] + side * rng.uniform(0.32, 0.75) * middle[0] * 1.6
    centre = np.array([surface - side * radius, *(middle[1:] + rng.uniform(-15, 15, 2))])
    wall = Wall(centre, radius, rng.uniform(0, 6.28, 2))
    _where, (_x, y, _z) = grid.box(np.zeros(3), grid.extent)
    hu = np.full(grid.counts[::-1], LUNG + rng.normal(0, 20), np.float32)
    hu += np.float32(rng.uniform(10, 50)) * (y / grid.extent[1] - 0.5)
    return hu, wall


def paint_wall(rng, grid: Grid, hu, wall: Wall) -> None:
    """Paint pleura, muscle, fat and ribs outside the lung."""
    _where, (x, y, z) = grid.box(np.zeros(3), grid.extent)
    depth = wall.depth(x, y, z)
    share = np.clip(0.5 + depth / 0.8, 0, 1)
    tissue = np.where(depth > 9, np.float32(FAT), np.float32(MUSCLE))
    rib = (depth > 2) & (depth < 9) & (np.sin((z - 0.4 * y) / 4.6 + wall.phase[1]) > 0.3)
    tissue[rib] = BONE + rng.normal(0, 40)
    hu += share * (tissue - hu)


def grow_vessels(rng, grid: Grid, wall: Wall) -> tuple[list[Tube], list[Tube]]:
    """Return the pieces of arteries and veins, and those of the bronchi beside the arteries."""
    middle = grid.extent / 2
    inward = np.array([np.sign(wall.centre[0] - middle[0]), 0, 0])
    tubes, airways = [], []
    for artery in (True, False):
        root = middle + inward * (middle[0] + 4) + rng.uniform(-0.6, 0.6, 3) * [0, *middle[1:]]
        grown = grow(rng, grid, wall, root, -inward + 0.3 * direction(rng), rng.uniform(3.2, 4.6))
        tubes += grown
        if artery:
            airways = [_beside(tube) for tube in grown if tube.thin > 1.3]
    for _ in range(rng.integers(4, 8)):  # from neighbours, through the block
        root = rng.uniform(0, 1, 3) * grid.extent
        root[rng.integers(1, 3)] = -2.0
        heading = middle - root + 12 * direction(rng)
        heading /= np.linalg.norm(heading)
        tubes += grow(rng, grid, wall, root, heading, rng.uniform(1.2, 2.6))
    return tubes, airways


def _beside(tube: Tube) -> Tube:
    along = tube.end - tube.start
    side = np.cross(along, [0.3, 0.5, 0.8])
    shift = 2.1 * tube.thick * side / np.linalg.norm(side)
    return Tube(tube.start + shift, tube.end + shift, 0.95 * tube.thick, 0.95 * tube.thin)


def paint_fissure(rng, grid: Grid, hu) -> None:
    """Paint the thin sheet between two lobes, in most blocks."""
    if rng.random() < 0.7:
        normal, through = direction(rng), grid.extent * rng.uniform(0.25, 0.75, 3)

        def distance(x, y, z):
            offset = (np.stack(np.broadcast_arrays(x, y, z), -1) - through) @ normal
            return np.abs(offset).astype(np.float32) - 0.5

        paint(grid, hu, np.zeros(3), grid.extent, distance, -550.0, 1.0)


def point_in_lung(rng, grid: Grid, wall: Wall, margin: float) -> np.ndarray:
    """Return a point of the lung, 9 mm or more from the block's faces and margin from the wall."""
    for _ in range(200):
        point = rng.uniform(9, grid.extent - 9)
        if wall.at(point) < -margin:
            return point
    return np.array([9 if wall.centre[0] < grid.extent[0] / 2 else grid.extent[0] - 9,
                     *grid.extent[1:] / 2])  # fmt: skip


def paint_scar(rng, grid: Grid, wall: Wall, hu) -> np.ndarray:
    """Paint a flat scar; return its centre."""
    centre = point_in_lung(rng, grid, wall, 4)
    axes = (rng.uniform(5, 11), rng.uniform(3.5, 8), rng.uniform(0.8, 1.4))
    paint_ellipsoid(grid, hu, centre, axes, rotation(rng), rng.uniform(-250, 30))
    return centre


def point_on_wall(rng, grid: Grid, wall: Wall) -> np.ndarray | None:
    """Return a point on the pleura inside the block, or None if none was found."""
    for _ in range(60):
        point = rng.uniform(9, grid.extent - 9)
        outward = point - wall.centre
        outward /= np.linalg.norm(outward)
        point = point - outward * wall.at(point)
        if (point > 7).all() and (point < grid.extent - 7).all():
            return point
    return None


def paint_plaque(rng, grid: Grid, wall: Wall, hu) -> np.ndarray:
    """Paint a flat thickening of the pleura; return its centre."""
    centre = point_on_wall(rng, grid, wall)
    if centre is None:
        return point_in_lung(rng, grid, wall, 3)
    outward = (centre - wall.centre) / np.linalg.norm(centre - wall.centre)
    turn = np.linalg.qr(np.column_stack([outward, rng.normal(size=(3, 2))]))[0].T
    axes = (rng.uniform(1.5, 3.0), rng.uniform(4, 9), rng.uniform(4, 9))
    paint_ellipsoid(grid, hu, centre, axes, turn, MUSCLE)
    return centre - 1.0 * outward
