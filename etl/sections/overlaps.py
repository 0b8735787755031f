"""Ground that two polygons share."""

import numpy as np
import shapely
from numpy.typing import NDArray

__all__ = ["overlaps"]


def overlaps(geom: NDArray[np.object_]) -> list[tuple[int, int, float]]:
    """Pairs of polygons that share ground, with the area in m²."""
    if len(geom) < 2:
        return []
    a, b = shapely.STRtree(geom).query(geom, predicate="intersects")
    a, b = a[a < b], b[a < b]
    areas = shapely.area(shapely.intersection(geom[a], geom[b]))
    return [(int(i), int(j), float(m2)) for i, j, m2 in zip(a, b, areas, strict=True) if m2 > 0]
