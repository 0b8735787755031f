"""How many cells a community gets, and the load that is shared out among them."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

__all__ = ["Wish", "cell_counts", "sampled"]

SMALLEST_CELL_M2 = 4_000.0
"""However many sites stand in one spot, no more cells are made than this leaves room for."""
_POINTS_A_CELL, _POINTS_LEAST, _POINTS_MOST = 200, 400, 30_000

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Wish:
    """What a cell should hold at most: sites, and area in square metres."""

    sites: float = 40.0
    area_m2: float = 500_000.0


def cell_counts(area_m2: Floats, sites: Floats, wish: Wish, most: int) -> NDArray[np.int64]:
    """Number of cells of each part (an island, or all) of a community, at least one each, together at most `most`.

    Either measure can ask for more cells: a town by its sites, farmland by its area.
    """
    wanted = np.maximum(sites / wish.sites, area_m2 / wish.area_m2)
    total = max(int(np.round(wanted.sum())), len(wanted))
    room = np.maximum(np.floor(area_m2 / SMALLEST_CELL_M2).astype(int), 1)
    count = np.minimum(np.maximum(np.round(wanted).astype(int), 1), room)
    spare = np.where(count < room, wanted - count, -np.inf)
    while count.sum() < total and np.isfinite(spare).any():
        count[int(np.argmax(spare))] += 1
        spare = np.where(count < room, wanted - count, -np.inf)
    while count.sum() > max(most, len(count)):
        count[int(np.argmax(count))] -= 1
    return count


def sampled(part: shapely.Polygon, sites: Floats, cells: int, wish: Wish) -> tuple[Floats, Floats]:
    """Points (n, 2) in a part of a community and their load (n,), 1 in all: an even lattice for the area, and the sites.

    The measure that asks for more cells weighs more, so that cells are balanced by sites in a town and by area outside.
    """
    spacing = float(np.sqrt(part.area / np.clip(_POINTS_A_CELL * cells, _POINTS_LEAST, _POINTS_MOST)))
    west, south, east, north = part.bounds
    rows = np.arange(south + spacing / 2, north, spacing)
    columns = np.arange(west + spacing / 2, east + spacing, spacing)
    x, y = np.meshgrid(columns, rows)
    x = x - (np.arange(len(rows)) % 2)[:, None] * spacing / 2
    shapely.prepare(part)
    inside = shapely.contains_xy(part, x.ravel(), y.ravel())
    lattice = np.column_stack([x.ravel()[inside], y.ravel()[inside]])
    if not len(lattice):
        lattice = shapely.get_coordinates(shapely.point_on_surface(part))
    by_sites, by_area = len(sites) / wish.sites, part.area / wish.area_m2
    weight = by_sites / (by_sites + by_area)
    load = np.full(len(lattice), (1 - weight) / len(lattice))
    if not len(sites):
        return lattice, load
    return np.vstack([lattice, sites]), np.concatenate([load, np.full(len(sites), weight / len(sites))])
