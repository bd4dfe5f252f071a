"""A whole generated block of lung, and the places in it that a detector may take for nodules."""

from dataclasses import dataclass, field

import numpy as np

from medlab.datasets.nodule_ct import lung
from medlab.datasets.nodule_ct.lung import Wall
from medlab.datasets.nodule_ct.nodules import Nodule, draw_nodule, paint_nodule
from medlab.datasets.nodule_ct.shapes import Grid, Tube, paint_tube


@dataclass
class Block:
    """A block, float32 Hounsfield values, and places that a detector may take for a nodule."""

    hu: np.ndarray
    nodules: list[Nodule]
    decoys: list[tuple[str, np.ndarray]] = field(default_factory=list)


def paint_block(rng, grid: Grid, nodules: int, strength: float) -> Block:
    """Paint a block with a number of nodules; strength scales their contrast against the lung."""
    hu, wall = lung.empty_block(rng, grid)
    tubes, airways = lung.grow_vessels(rng, grid, wall)
    block = Block(hu, [])
    lung.paint_fissure(rng, grid, hu)
    for tube in airways:  # wall first, then the air in it
        paint_tube(grid, hu, tube, -250.0)
        paint_tube(
            grid, hu, Tube(tube.start, tube.end, 0.62 * tube.thick, 0.62 * tube.thin), lung.AIR
        )
    for tube in tubes:
        paint_tube(grid, hu, tube, lung.BLOOD)
    scars = [lung.paint_scar(rng, grid, wall, hu) for _ in range(rng.integers(1, 4))]
    plaques = [lung.paint_plaque(rng, grid, wall, hu) for _ in range(rng.integers(1, 4))]
    for _ in range(nodules):
        block.nodules.append(draw_nodule(rng, grid, wall, tubes, block.nodules, strength))
        paint_nodule(rng, grid, hu, block.nodules[-1])
    lung.paint_wall(rng, grid, hu, wall)
    block.decoys = _decoys(rng, grid, wall, tubes, airways)
    block.decoys += [("scar", place) for place in scars] + [("wall", place) for place in plaques]
    return block


def _decoys(rng, grid: Grid, wall: Wall, tubes, airways) -> list[tuple[str, np.ndarray]]:
    """Return places of vessels, forks, bronchi, pleura and plain lung inside the block."""
    found = []
    for tube in tubes:
        if tube.thin > 0.75:
            found += [("vessel", tube.start + t * (tube.end - tube.start)) for t in (0.3, 0.65)]
            found.append(("fork", tube.end))
    found += [("bronchus", (tube.start + tube.end) / 2) for tube in airways]
    pleura = [lung.point_on_wall(rng, grid, wall) for _ in range(8)]
    found += [("wall", point) for point in pleura if point is not None]
    found += [("lung", lung.point_in_lung(rng, grid, wall, 2)) for _ in range(6)]
    inside = [(name, p) for name, p in found if (p > 7).all() and (p < grid.extent - 7).all()]
    return [(name, p) for name, p in inside if wall.at(p) < 2]
