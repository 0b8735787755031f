"""Outlines that nearly fit: ground that two of them hold, and hairs between them that none holds."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.grid_proposal.atoms import polygons_in

__all__ = ["HAIR_M", "hairs_closed", "shared_ground_removed"]

HAIR_M = 0.5
"""A gap between outlines that is narrower than this (mean width) is a fault of drawing, by the house's rule; metres."""

Geometries = NDArray[np.object_]


def shared_ground_removed(
    outlines: Sequence[shapely.Geometry],
) -> tuple[Geometries, list[tuple[int, int, float]]]:
    """The outlines (n,) with ground that two of them hold left to the first, and which pairs shared how many m²."""
    given = np.asarray(outlines, dtype=object)
    kept = given.copy()
    shared: list[tuple[int, int, float]] = []
    first, later = shapely.STRtree(given).query(given, predicate="intersects")
    for i, j in sorted(zip(first.tolist(), later.tolist(), strict=True)):
        if i >= j:
            continue
        area = float(shapely.intersection(given[i], given[j]).area)
        if area > 1e-6:
            kept[j] = shapely.difference(kept[j], given[i])
            shared.append((i, j, area))
    return kept, shared


def hairs_closed(outlines: Sequence[shapely.Geometry]) -> tuple[Geometries, list[tuple[int, float]]]:
    """The outlines (n,) with each hair between them given to the one that borders on it for longest, and how much m² each
    such outline got. Only gaps enclosed by outlines are seen."""
    kept = np.asarray(outlines, dtype=object).copy()
    whole = polygons_in(shapely.union_all(kept))
    holes = np.array([shapely.Polygon(ring) for part in whole for ring in part.interiors], dtype=object)
    if not len(holes):
        return kept, []
    narrow = holes[2 * shapely.area(holes) / shapely.length(holes) < HAIR_M]
    tree = shapely.STRtree(kept)
    got: list[tuple[int, float]] = []
    for hair in narrow.tolist():
        near = tree.query(hair, predicate="dwithin", distance=0.001)
        beside = shapely.length(shapely.intersection(hair.boundary, shapely.buffer(kept[near], 0.001)))
        owner = int(near[int(np.argmax(beside))])
        kept[owner] = shapely.union(kept[owner], hair)
        got.append((owner, float(hair.area)))
    return kept, got
