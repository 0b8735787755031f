"""Faults that a cell has by itself, whatever its neighbours are."""

import numpy as np
import shapely
from numpy.typing import NDArray

from geoapp.territory.coverage_problem import CoverageProblem

SLIVER_THINNESS = 0.3
"""Thinness ratio 4*pi*area/perimeter² (1 for a circle) below which a narrow cell is a sliver. The ratio is that of Polsby
and Popper (1991), and of the polygon sliver check of Esri's Data Reviewer; the bound is ours: a strip 1 : 11 has 0.24."""
SLIVER_WIDTH_M = 5.0
"""Mean width (twice the area over the perimeter) from which no cell is a sliver: a wide river's cell is long, but meant."""
SAME_POINT_M = 0.0005
"""Vertices nearer than half the grid of 1 mm are the same point."""

Geometries = NDArray[np.object_]


def mended(shapes: Geometries) -> tuple[Geometries, NDArray[np.bool_]]:
    """The cells with broken ones (invalid, empty or not polygons) replaced by their polygonal part, and which are sound."""
    sound = shapely.is_valid(shapes) & ~shapely.is_empty(shapes)
    sound &= np.isin(shapely.get_type_id(shapes), (3, 6))
    if sound.all():
        return shapes, sound
    repaired = shapes.copy()
    for i in np.flatnonzero(~sound).tolist():
        parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(shapes[i])))
        repaired[i] = shapely.union_all(parts[shapely.get_type_id(parts) == 3])
    return repaired, sound


def shape_problems(
    names: Geometries, shapes: Geometries, sound: NDArray[np.bool_], outlines: Geometries
) -> list[CoverageProblem]:
    """invalid_cell, multi_part, sliver and duplicate_vertex. shapes: mended; outlines: the same cells as they came.

    The area of multi_part is that of all parts but the largest; duplicate_vertex has none, and a point per repeat.
    """
    problems = [
        CoverageProblem("invalid_cell", float(shapely.area(outlines[i])), (names[i],), outlines[i])
        for i in np.flatnonzero(~sound).tolist()
    ]
    area, perimeter = shapely.area(shapes), shapely.length(shapes)
    for i in np.flatnonzero(sound & (shapely.get_num_geometries(shapes) > 1)).tolist():
        parts = shapely.get_parts(shapes[i])
        lesser = np.delete(parts, np.argmax(shapely.area(parts)))
        area_m2 = float(shapely.area(lesser).sum())
        problems.append(CoverageProblem("multi_part", area_m2, (names[i],), shapely.multipolygons(lesser)))
    with np.errstate(divide="ignore", invalid="ignore"):
        thin = (4 * np.pi * area / perimeter**2 < SLIVER_THINNESS) & (2 * area / perimeter < SLIVER_WIDTH_M)
    problems += [
        CoverageProblem("sliver", float(area[i]), (names[i],), shapes[i])
        for i in np.flatnonzero(sound & thin).tolist()
    ]
    return problems + _repeated_vertices(names, outlines)


def _repeated_vertices(names: Geometries, outlines: Geometries) -> list[CoverageProblem]:
    parts, of = shapely.get_parts(outlines, return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    near = (np.abs(np.diff(xy, axis=0)) <= SAME_POINT_M).all(axis=1) & (ring[1:] == ring[:-1])
    at = np.flatnonzero(near)
    owner = of[part[ring[at]]]
    return [
        CoverageProblem("duplicate_vertex", 0.0, (names[i],), shapely.multipoints(xy[at[owner == i]]))
        for i in np.unique(owner).tolist()
    ]
