"""Spikes: a ring that runs out to a point and back beside itself, as a slip of the hand leaves them."""

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.checks.values import Bool, Objects, blank
from etl.reasons import Findings

__all__ = ["without_spikes"]

Floats = NDArray[np.float64]

_WIDTH_M = 0.01
_LEAST_LENGTH_M = 0.1
_ROUNDS = 3


def without_spikes(shapes: Objects, findings: Findings) -> None:
    """Takes the points of spikes narrower than 1 cm out of `shapes` (polygons in metres, None), and notes it.

    A slit of that width goes too: the neighbour of a cell with a spike has one.
    """
    placed = np.flatnonzero(~blank(shapes))
    if not len(placed):
        return
    for row in np.unique(placed[_rows_with_spikes(shapes[placed])]):
        after = _mended(shapes[row])
        if after is not None:
            findings.repair(int(row), "spike_removed", "geometry", shapes[row].wkt, after.wkt)
            shapes[row] = after


def _rows_with_spikes(shapes: Objects) -> NDArray[np.intp]:
    parts, row_of_part = shapely.get_parts(shapes, return_index=True)
    rings, part_of_ring = shapely.get_rings(parts, return_index=True)
    points, ring_of_point = shapely.get_coordinates(rings, return_index=True)
    # Each ring ends with its first point: that one is left out, and its neighbours are found around the seam.
    last = np.append(ring_of_point[1:] != ring_of_point[:-1], True)
    points, ring = points[~last], ring_of_point[~last]
    if not len(points):
        return np.zeros(0, dtype=np.intp)
    starts = np.flatnonzero(np.append(True, ring[1:] != ring[:-1]))
    sizes = np.diff(np.append(starts, len(ring)))
    before, after = np.arange(len(ring)) - 1, np.arange(len(ring)) + 1
    before[starts], after[starts + sizes - 1] = starts + sizes - 1, starts
    spiky = _are_spikes(points[before], points, points[after])
    return np.asarray(row_of_part[part_of_ring[ring[spiky]]])


def _are_spikes(a: Floats, b: Floats, c: Floats) -> Bool:
    """Whether the way a, b, c (each (n, 2)) runs out to b and back within 1 cm of itself."""
    out, back = b - a, c - b
    long_out, long_back = np.hypot(*out.T), np.hypot(*back.T)
    with np.errstate(invalid="ignore", divide="ignore"):
        # From the nearer of a and c, the way to the other side of the spike.
        side = np.abs(out[:, 0] * back[:, 1] - out[:, 1] * back[:, 0]) / np.maximum(long_out, long_back)
    turns_back = (out * back).sum(axis=1) < 0
    return turns_back & (side < _WIDTH_M) & (np.minimum(long_out, long_back) > _LEAST_LENGTH_M)


def _mended(shape: shapely.Geometry) -> shapely.Geometry | None:
    """The polygon without the points of its spikes; None where that would leave no ring."""
    parts = []
    for part in shapely.get_parts(shape):
        outer = _ring(shapely.get_coordinates(part.exterior))
        if outer is None:
            return None
        holes = [_ring(shapely.get_coordinates(hole)) for hole in part.interiors]
        parts.append(shapely.polygons(outer, [hole for hole in holes if hole is not None] or None))
    return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)


def _ring(points: Floats) -> Floats | None:
    open_ring = points[:-1]
    for _ in range(_ROUNDS):  # at the foot of a spike there may be another
        spiky = _are_spikes(np.roll(open_ring, 1, axis=0), open_ring, np.roll(open_ring, -1, axis=0))
        if not spiky.any():
            break
        open_ring = open_ring[~spiky]
    if len(open_ring) < 3:
        return None
    return np.vstack([open_ring, open_ring[:1]])
