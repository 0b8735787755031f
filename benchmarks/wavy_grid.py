"""A made-up grid of wavy cells that fit vertex by vertex, and faults planted in it whose areas are known."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def wavy_grid(
    side: int, rng: np.random.Generator, *, pitch_m: float = 200.0, per_edge: int = 9
) -> NDArray[np.object_]:
    """side x side valid cells, about `pitch_m` wide, each border bent by `per_edge` inner vertices; row by row from
    the south-west, coordinates on a grid of 1 mm."""
    corner = np.stack(np.meshgrid(np.arange(side + 1.0), np.arange(side + 1.0)), axis=-1)
    corner = np.round((corner + rng.uniform(-0.15, 0.15, corner.shape)) * pitch_m, 3)
    flat = _bent(corner[:, :-1], corner[:, 1:], per_edge, rng)
    upright = _bent(corner[:-1], corner[1:], per_edge, rng)
    south, east = flat[:-1], upright[:, 1:]
    north, west = _backwards(flat[1:], corner[1:, 1:]), _backwards(upright[:, :-1], corner[1:, :-1])
    rings = np.concatenate([south, east, north, west, south[..., :1, :]], axis=-2)
    return np.asarray(shapely.polygons(rings.reshape(side * side, -1, 2)), dtype=object)


def _bent(start: Floats, stop: Floats, per_edge: int, rng: np.random.Generator) -> Floats:
    """Vertices of edges (..., per_edge + 1, 2), the last end left out."""
    t = np.linspace(0, 1, per_edge + 2)[:-1]
    phase = rng.uniform(0, 6.28, start.shape[:-1])[..., None]
    height = rng.uniform(0.03, 0.1, start.shape[:-1])[..., None]
    offset = height * np.sin(np.pi * t) * np.sin(3 * np.pi * t + phase)
    along = stop - start
    across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    return np.round(
        start[..., None, :] + t[:, None] * along[..., None, :] + offset[..., None] * across[..., None, :], 3
    )


def _backwards(edges: Floats, far: Floats) -> Floats:
    return np.concatenate([far[..., None, :], edges[..., :0:-1, :]], axis=-2)


@dataclass(frozen=True)
class Fault:
    """A planted fault: the problem's name, the cells that it should name, its area in m² (0: a point or an edge)."""

    name: str
    cells: tuple[int, ...]
    area_m2: float


def plant(cells: NDArray[np.object_], at: int, kind: str, per_edge: int = 9) -> Fault:
    """Spoils the cell `at` (not on the east rim) in place, towards its eastern neighbour; gives what was planted.

    kind: overlap, gap, t_junction, or uncovered (the cell becomes None: leave it out)."""
    cell, neighbour = cells[at], cells[at + 1]
    ring = shapely.get_coordinates(cell)
    east = ring[per_edge + 1 : 2 * per_edge + 3]
    middle = east[len(east) // 2]
    if kind == "uncovered":
        cells[at] = None
        return Fault(kind, (), float(cell.area))
    if kind == "overlap":
        discs = [shapely.buffer(shapely.Point(middle), radius) for radius in np.arange(9.0, 7.0, -0.1)]
        cells[at] = _first_clear([shapely.union(cell, disc) for disc in discs])
        return Fault(kind, (at, at + 1), float(shapely.intersection(cells[at], neighbour).area))
    if kind == "gap":
        ring[per_edge + 5 : 2 * per_edge - 1, 0] -= (
            0.3  # its eastern vertices draw back, the neighbour's stay
        )
        cells[at] = shapely.Polygon(np.round(ring, 3))
        return Fault(kind, (at, at + 1), float(cell.area - cells[at].area))
    between = np.round((east[4] + east[5]) / 2, 3)
    cells[at] = shapely.Polygon(np.insert(ring, per_edge + 6, between, axis=0))
    return Fault("t_junction", (at + 1, at), 0.0)


def _first_clear(shapes: list[shapely.Polygon]) -> shapely.Polygon:
    """The first without two vertices a hair apart, which would be another fault than the one that is planted."""
    for shape in shapes:
        if np.abs(np.diff(shapely.get_coordinates(shape), axis=0)).max(axis=1).min() > 0.002:
            return shape
    raise ValueError("all have two vertices at one place")
