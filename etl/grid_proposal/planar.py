"""Cells as faces of one planar drawing, so that neighbours share every vertex of their border.

The pieces that were cut out lie on a grid of 1 mm, but outlines come with coordinates of their own. All lines are drawn
together with snap rounding, which leaves each face's border vertex by vertex its neighbour's; then the vertices that lie
on outlines are put back onto them exactly. Every cell that has such a vertex moves it alike, so the cells still match,
and the ground they cover is that of the outlines to far less than a square metre.
"""

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.grid_proposal.atoms import GRID_M, polygons_in

__all__ = ["drawn_together"]

_CRUMB_M2 = 0.5
_REACH_M = 0.002

Geometries = NDArray[np.object_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def drawn_together(cells: Geometries, community: Ints, grounds: Geometries) -> Geometries:
    """The cells (n,) as a valid coverage of the grounds (m,): polygons, or multipolygons where nothing else is possible.

    cells: pieces of the grounds, whose borders need not match. community: (n,) the ground that each belongs to.
    """
    lines = np.concatenate([shapely.boundary(cells), shapely.boundary(grounds)])
    noded = shapely.union_all(lines, grid_size=GRID_M)
    faces = polygons_in(shapely.polygonize(shapely.get_parts(noded)))
    of = _cell_of(faces, cells, community, grounds)
    faces, of = faces[of >= 0], of[of >= 0]
    of = _crumbs_joined(faces, of, community)
    order = np.argsort(of, kind="stable")
    starts = np.flatnonzero(np.diff(of[order], prepend=-1))
    made = np.full(len(cells), shapely.Polygon(), dtype=object)
    for mine in np.split(order, starts[1:]):
        made[of[mine[0]]] = _single(shapely.coverage_union_all(faces[mine]))
    return _put_back(made, grounds)


def _single(shape: shapely.Geometry) -> shapely.Geometry:
    parts = polygons_in(shape)
    return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)


def _cell_of(faces: Geometries, cells: Geometries, community: Ints, grounds: Geometries) -> Ints:
    """The cell of each face, -1 for a face in no ground: a hole of the outlines."""
    inner = shapely.point_on_surface(faces)
    of = np.full(len(faces), -1, dtype=np.int64)
    face, cell = shapely.STRtree(cells).query(inner, predicate="intersects")
    order = np.lexsort((cell, face))[::-1]
    of[face[order]] = cell[order]  # written from the highest down: the lowest stays
    # Between a cell's rounded border and the outline may lie a face of a hair's width: it goes to a cell of that ground.
    face, ground = shapely.STRtree(grounds).query(inner, predicate="intersects")
    for f, g in zip(face.tolist(), ground.tolist(), strict=True):
        if of[f] < 0:
            mine = np.flatnonzero(community == g)
            of[f] = mine[int(np.argmin(shapely.distance(cells[mine], inner[f])))]
    held = np.zeros(len(faces), dtype=bool)
    held[face] = True
    return np.where(held, of, -1)


def _crumbs_joined(faces: Geometries, of: Ints, community: Ints) -> Ints:
    """Crumbs of less than half a square metre go to the cell of the same community that they border on for longest."""
    of = of.copy()
    crumbs = np.flatnonzero(shapely.area(faces) < _CRUMB_M2)
    if not len(crumbs):
        return of
    tree = shapely.STRtree(faces)
    for crumb in crumbs.tolist():
        near = tree.query(faces[crumb], predicate="touches")
        near = near[community[of[near]] == community[of[crumb]]]
        common = shapely.length(shapely.intersection(faces[near], faces[crumb]))
        if len(near) and common.max() > 0:
            of[crumb] = of[near[int(np.argmax(common))]]
    return of


def _put_back(cells: Geometries, grounds: Geometries) -> Geometries:
    """The same cells with the vertices that lie on outlines moved onto them, each by the same rule wherever it occurs."""
    outline = shapely.get_coordinates(grounds)
    xy = shapely.get_coordinates(cells)
    place, row = np.unique(xy, axis=0, return_inverse=True)
    moved = place.copy()
    known = {_key(rounded): exact for rounded, exact in zip(outline, outline.tolist(), strict=True)}
    corner = np.array([_key(p) in known for p in place])
    moved[corner] = [known[_key(p)] for p in place[corner]]

    rings = shapely.get_rings(grounds)
    ends, ring = shapely.get_coordinates(rings, return_index=True)
    joined = ring[1:] == ring[:-1]
    sides = shapely.linestrings(np.stack([ends[:-1][joined], ends[1:][joined]], axis=1))
    rest = np.flatnonzero(~corner)
    point, side = shapely.STRtree(sides).query_nearest(
        shapely.points(place[rest]), max_distance=_REACH_M, all_matches=False
    )
    on = shapely.line_interpolate_point(
        sides[side], shapely.line_locate_point(sides[side], shapely.points(place[rest[point]]))
    )
    moved[rest[point]] = shapely.get_coordinates(on)
    return np.asarray(shapely.set_coordinates(cells.copy(), moved[row.ravel()]), dtype=object)


def _key(point: Floats) -> tuple[int, int]:
    return (round(float(point[0]) / GRID_M), round(float(point[1]) / GRID_M))
