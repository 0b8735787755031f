"""Which polygon a point lies in, for a million points and thousands of polygons that hardly overlap.

A raster of square bins lists the polygons whose box touches each bin; a point is only tested against those of its bin,
by prepared outlines and without a geometry object of its own.
"""

from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

__all__ = ["PolygonLookup", "first_containing", "make_lookup"]

_MOST_BINS = 4_000_000


class PolygonLookup(NamedTuple):
    """Prepared polygons (metres), and for each bin of a raster the polygons whose box touches it.

    `members[starts[b]:starts[b + 1]]` are the polygons of bin b = row * columns + column, in ascending order.
    """

    polygons: NDArray[np.object_]
    west: float
    south: float
    size_m: float
    columns: int
    rows: int
    starts: NDArray[np.int64]
    members: NDArray[np.int64]


def make_lookup(polygons: NDArray[np.object_]) -> PolygonLookup | None:
    """The lookup of polygons, shape (n,), metres; None where there is none."""
    if not len(polygons):
        return None
    shapely.prepare(polygons)
    box = shapely.bounds(polygons)
    west, south = box[:, 0].min(), box[:, 1].min()
    wide, high = box[:, 2].max() - west, box[:, 3].max() - south
    # A quarter of a usual polygon: half of the bins then touch only one.
    usual = float(np.median(np.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1])))
    size = max(usual / 4, np.sqrt(wide * high / _MOST_BINS), 1e-3)
    columns, rows = int(wide // size) + 1, int(high // size) + 1
    first_column, last_column = ((box[:, c] - west) // size for c in (0, 2))
    first_row, last_row = ((box[:, r] - south) // size for r in (1, 3))
    across = (last_column - first_column + 1).astype(np.int64)
    count = across * (last_row - first_row + 1).astype(np.int64)
    member = np.repeat(np.arange(len(polygons)), count)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    column = first_column[member].astype(np.int64) + within % across[member]
    row = first_row[member].astype(np.int64) + within // across[member]
    bins = row * columns + column
    order = np.argsort(bins, kind="stable")
    starts = np.searchsorted(bins[order], np.arange(columns * rows + 1))
    return PolygonLookup(polygons, west, south, size, columns, rows, starts, member[order])


def first_containing(
    lookup: PolygonLookup | None, x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Index of the first polygon (lowest index) that holds or touches each point, shape (n,); -1 where none does."""
    found = np.full(len(x), -1, dtype=np.int64)
    if lookup is None:
        return found
    with np.errstate(invalid="ignore"):
        column, row = (x - lookup.west) // lookup.size_m, (y - lookup.south) // lookup.size_m
        inside = (column >= 0) & (column < lookup.columns) & (row >= 0) & (row < lookup.rows)
    point = np.flatnonzero(inside)
    bins = (row[point] * lookup.columns + column[point]).astype(np.int64)
    start, end = lookup.starts[bins], lookup.starts[bins + 1]
    # Round by round: the first candidate of every point, then the second of those that are still without.
    nth = 0
    while len(point):
        left = start + nth < end
        point, start, end = point[left], start[left], end[left]
        candidate = lookup.members[start + nth]
        hit = shapely.intersects_xy(lookup.polygons[candidate], x[point], y[point])
        found[point[hit]] = candidate[hit]
        point, start, end = point[~hit], start[~hit], end[~hit]
        nth += 1
    return found
