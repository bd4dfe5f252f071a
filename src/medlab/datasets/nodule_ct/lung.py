"""A block of generated lung: chest wall, vessels, bronchi, scars, nodules.

Points are (x, y, z) in mm from the block's first voxel; arrays are (z, y, x). Every constant is
chosen. Hounsfield values are textbook orders of size: lung -850, blood 40, ground glass -650.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

LUNG, AIR, BLOOD, FAT, MUSCLE, BONE = -850.0, -990.0, 40.0, -100.0, 50.0, 420.0
KINDS = {"solid": 0.6, "part-solid": 0.2, "ground-glass": 0.2}  # shares of nodules
THINNEST = 0.55  # mm, radius at which a vessel ends


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


@dataclass
class Nodule:
    """A nodule: its centre in mm, diameter in mm, kind and Hounsfield value."""

    centre: np.ndarray
    diameter: float
    kind: str
    hu: float
    spiculated: bool
    beside: str  # lung, vessel or wall


@dataclass
class Block:
    """A painted block, float32 Hounsfield values, and what a detector may mistake for a nodule."""

    hu: np.ndarray
    nodules: list[Nodule]
    decoys: list[tuple[str, np.ndarray]] = field(default_factory=list)


def paint(grid: Grid, hu, low, high, distance: Callable, value: float, edge: float) -> None:
    """Blend a value in where distance(x, y, z) is below 0; the edge is so many mm wide."""
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


def turned(rng) -> np.ndarray:
    """Return three directions at right angles, as rows."""
    return np.linalg.qr(rng.normal(size=(3, 3)))[0]


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


def vessels(rng, grid: Grid, wall: Wall) -> tuple[list[Tube], list[Tube]]:
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


def paint_block(rng, grid: Grid, nodules: int, strength: float) -> Block:
    """Paint a block with so many nodules; strength scales their contrast against the lung."""
    hu, wall = empty_block(rng, grid)
    tubes, airways = vessels(rng, grid, wall)
    block = Block(hu, [])
    _fissure(rng, grid, hu)
    for tube in airways:  # wall first, then the air in it
        paint_tube(grid, hu, tube, -250.0)
        paint_tube(grid, hu, Tube(tube.start, tube.end, 0.62 * tube.thick, 0.62 * tube.thin), AIR)
    for tube in tubes:
        paint_tube(grid, hu, tube, BLOOD)
    scars = [_scar(rng, grid, wall, hu) for _ in range(rng.integers(1, 4))]
    plaques = [_plaque(rng, grid, wall, hu) for _ in range(rng.integers(1, 4))]
    for _ in range(nodules):
        block.nodules.append(_place(rng, grid, wall, tubes, block.nodules, strength))
        _paint_nodule(rng, grid, hu, block.nodules[-1])
    paint_wall(rng, grid, hu, wall)
    block.decoys = _decoys(rng, grid, wall, tubes, airways)
    block.decoys += [("scar", place) for place in scars] + [("wall", place) for place in plaques]
    return block


def _fissure(rng, grid: Grid, hu) -> None:
    """Paint the thin sheet between two lobes, in most blocks."""
    if rng.random() < 0.7:
        normal, through = direction(rng), grid.extent * rng.uniform(0.25, 0.75, 3)

        def distance(x, y, z):
            offset = (np.stack(np.broadcast_arrays(x, y, z), -1) - through) @ normal
            return np.abs(offset).astype(np.float32) - 0.5

        paint(grid, hu, np.zeros(3), grid.extent, distance, -550.0, 1.0)


def _in_lung(rng, grid: Grid, wall: Wall, margin: float) -> np.ndarray:
    """Return a point of the lung, 9 mm or more from the block's faces and margin from the wall."""
    for _ in range(200):
        point = rng.uniform(9, grid.extent - 9)
        if wall.at(point) < -margin:
            return point
    return np.array([9 if wall.centre[0] < grid.extent[0] / 2 else grid.extent[0] - 9,
                     *grid.extent[1:] / 2])  # fmt: skip


def _scar(rng, grid: Grid, wall: Wall, hu) -> np.ndarray:
    """Paint a flat scar; return its centre."""
    centre = _in_lung(rng, grid, wall, 4)
    axes = (rng.uniform(5, 11), rng.uniform(3.5, 8), rng.uniform(0.8, 1.4))
    paint_ellipsoid(grid, hu, centre, axes, turned(rng), rng.uniform(-250, 30))
    return centre


def _on_wall(rng, grid: Grid, wall: Wall) -> np.ndarray | None:
    """Return a point on the pleura inside the block, or None if none was found."""
    for _ in range(60):
        point = rng.uniform(9, grid.extent - 9)
        outward = point - wall.centre
        outward /= np.linalg.norm(outward)
        point = point - outward * wall.at(point)
        if (point > 7).all() and (point < grid.extent - 7).all():
            return point
    return None


def _plaque(rng, grid: Grid, wall: Wall, hu) -> np.ndarray:
    """Paint a flat thickening of the pleura; return its centre."""
    centre = _on_wall(rng, grid, wall)
    if centre is None:
        return _in_lung(rng, grid, wall, 3)
    outward = (centre - wall.centre) / np.linalg.norm(centre - wall.centre)
    turn = np.linalg.qr(np.column_stack([outward, rng.normal(size=(3, 2))]))[0].T
    axes = (rng.uniform(1.5, 3.0), rng.uniform(4, 9), rng.uniform(4, 9))
    paint_ellipsoid(grid, hu, centre, axes, turn, MUSCLE)
    return centre - 1.0 * outward


def _place(rng, grid: Grid, wall: Wall, tubes, others, strength: float) -> Nodule:
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
    point = _in_lung(rng, grid, wall, radius + 1)
    if beside == "wall":
        found = _on_wall(rng, grid, wall)
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


def _paint_nodule(rng, grid: Grid, hu, nodule: Nodule) -> None:
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


def _decoys(rng, grid: Grid, wall: Wall, tubes, airways) -> list[tuple[str, np.ndarray]]:
    """Return places of vessels, forks, bronchi, pleura and plain lung inside the block."""
    found = []
    for tube in tubes:
        if tube.thin > 0.75:
            found += [("vessel", tube.start + t * (tube.end - tube.start)) for t in (0.3, 0.65)]
            found.append(("fork", tube.end))
    found += [("bronchus", (tube.start + tube.end) / 2) for tube in airways]
    pleura = [_on_wall(rng, grid, wall) for _ in range(8)]
    found += [("wall", point) for point in pleura if point is not None]
    found += [("lung", _in_lung(rng, grid, wall, 2)) for _ in range(6)]
    inside = [(name, p) for name, p in found if (p > 7).all() and (p < grid.extent - 7).all()]
    return [(name, p) for name, p in inside if wall.at(p) < 2]
