"""Cells as faces of one planar drawing, so that neighbours share every vertex of their border.

Seams lie on a grid of 1 mm, but outlines come with coordinates of their own. All lines are drawn together with snap
rounding, which leaves each face's border vertex by vertex its neighbour's; then the vertices that lie on outlines are put
back onto them exactly. Every cell that has such a vertex moves it alike, so the cells still match, and the ground they
cover is that of the outlines to far less than a square metre. Each line is drawn once: two versions of one border that
differ by half a millimetre would leave a hair between them.
"""

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from etl.grid_proposal.atoms import GRID_M, polygons_in
from etl.grid_proposal.outlines import HAIR_M

__all__ = ["drawn_together"]

_CRUMB_M2 = 0.5
_REACH_M = 0.002
_BESIDE_M = 0.02
_OVERSHOOT_M = 0.02

Geometries = NDArray[np.object_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def drawn_together(
    cells: Geometries, community: Ints, grounds: Geometries, seams: list[shapely.Geometry]
) -> Geometries:
    """The cells (n,) as a valid coverage of the grounds (m,): polygons, or multipolygons where nothing else is possible.

    cells: pieces of the grounds, whose borders need not match to the millimetre. community: (n,) the ground that each
    belongs to. seams: the borders between cells of one ground.
    """
    lines = [*shapely.boundary(grounds).tolist(), *_overshot(seams)]
    noded = shapely.union_all(lines, grid_size=GRID_M)
    faces = polygons_in(shapely.polygonize(shapely.get_parts(noded)))
    of = _cell_of(faces, cells, community, grounds)
    of = _hairs_filled(faces, of)
    faces, of = faces[of >= 0], of[of >= 0]
    of = _crumbs_joined(faces, of, community)
    order = np.argsort(of, kind="stable")
    starts = np.flatnonzero(np.diff(of[order], prepend=-1))
    made = np.full(len(cells), shapely.Polygon(), dtype=object)
    for mine in np.split(order, starts[1:]):
        made[of[mine[0]]] = _single(shapely.coverage_union_all(faces[mine]))
    return _put_back(made, grounds)


def _overshot(seams: list[shapely.Geometry]) -> list[shapely.LineString]:
    """The seams as single lines, each carried on by 2 cm at both ends, so that rounding cannot keep it from the line that
    it ends on. What stands over bounds nothing, and is gone when faces are made."""
    lines = []
    for seam in seams:
        parts = shapely.get_parts(seam)
        parts = parts[np.isin(shapely.get_type_id(parts), (1, 5))]
        for line in shapely.get_parts(shapely.line_merge(shapely.union_all(parts))).tolist():
            xy = shapely.get_coordinates(line)
            if not line.is_closed:
                xy = np.vstack([_beyond(line, xy[0]), xy, _beyond(shapely.reverse(line), xy[-1])])
            lines.append(shapely.LineString(xy))
    return lines


def _beyond(line: shapely.LineString, end: Floats) -> Floats:
    back = shapely.get_coordinates(shapely.line_interpolate_point(line, min(0.5, line.length)))[0]
    return end + (end - back) / max(float(np.hypot(*(end - back))), 1e-9) * _OVERSHOOT_M


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


def _hairs_filled(faces: Geometries, of: Ints) -> Ints:
    """Gaps between outlines that are narrower than 0.5 m (faults of drawing by the house's rule) go to a cell beside them."""
    of = of.copy()
    width = 2 * shapely.area(faces) / shapely.length(faces)
    hairs = np.flatnonzero((of < 0) & (width < HAIR_M))
    tree = shapely.STRtree(faces) if len(hairs) else None
    for hair in hairs.tolist():
        assert tree is not None
        near = tree.query(faces[hair], predicate="touches")
        near = near[of[near] >= 0]
        common = shapely.length(shapely.intersection(faces[near], faces[hair]))
        if len(near) and common.max() > 0:
            of[hair] = of[near[int(np.argmax(common))]]
    return of


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
    rings = shapely.get_rings(shapely.get_parts(grounds))
    outline, ring = shapely.get_coordinates(rings, return_index=True)
    corner, number = _corners(outline)
    sides = _sides(corner, number, ring)

    place, row = np.unique(shapely.get_coordinates(cells), axis=0, return_inverse=True)
    moved = place.copy()
    known = {_key(point): corner[n] for point, n in zip(outline, number.tolist(), strict=True)}
    is_corner = np.array([_key(point) in known for point in place])
    moved[is_corner] = np.array([known[_key(point)] for point in place[is_corner]]).reshape(-1, 2)

    rest = np.flatnonzero(~is_corner)
    points = shapely.points(place[rest])
    point, side = shapely.STRtree(sides).query_nearest(points, max_distance=_REACH_M, all_matches=False)
    at = shapely.line_locate_point(sides[side], points[point])
    length = shapely.length(sides[side])
    # Beside a corner of the outline the order along it would be lost: such a vertex becomes the corner.
    at = np.where(at < _BESIDE_M, 0.0, np.where(at > length - _BESIDE_M, length, at))
    at = _run_together(side, at)
    moved[rest[point]] = shapely.get_coordinates(shapely.line_interpolate_point(sides[side], at))
    put = shapely.set_coordinates(cells.copy(), moved[row.ravel()])
    return np.asarray(shapely.remove_repeated_points(put), dtype=object)


def _corners(outline: Floats) -> tuple[Floats, Ints]:
    """Vertices (m, 2) of the outlines (n, 2), those within 2 mm of each other taken as one, and the number of each (n,)."""
    corner, number = np.unique(outline, axis=0, return_inverse=True)
    close = cKDTree(corner).query_pairs(_REACH_M, output_type="ndarray")
    joined = coo_array((np.ones(len(close)), close.T), shape=(len(corner), len(corner)))
    _, group = connected_components(joined, directed=False)
    _, first = np.unique(group, return_index=True)
    return corner[first], group[number.ravel()]


def _sides(corner: Floats, number: Ints, ring: Ints) -> Geometries:
    """Every side of the outlines once, cut at each corner that lies on it: neighbours need not have the same vertices."""
    pairs = np.column_stack([number[:-1], number[1:]])[ring[1:] == ring[:-1]]
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    whole = shapely.linestrings(corner[pairs])
    side, on = shapely.STRtree(shapely.points(corner)).query(whole, predicate="dwithin", distance=_REACH_M)
    inner = (on != pairs[side, 0]) & (on != pairs[side, 1])
    extra: dict[int, list[int]] = {}
    for s, c in zip(side[inner].tolist(), on[inner].tolist(), strict=True):
        extra.setdefault(s, []).append(c)
    cut = [pairs[np.setdiff1d(np.arange(len(pairs)), list(extra))]]
    for s, between in extra.items():
        along = shapely.line_locate_point(whole[s], shapely.points(corner[between]))
        chain = np.array([pairs[s, 0], *np.array(between)[np.argsort(along)], pairs[s, 1]])
        cut.append(np.column_stack([chain[:-1], chain[1:]]))
    every = np.unique(np.sort(np.concatenate(cut), axis=1), axis=0)
    return np.asarray(shapely.linestrings(corner[every]), dtype=object)


def _run_together(side: Ints, at: Floats) -> Floats:
    """Places along sides, with those of one side that follow each other within 2 cm made one: a seam's last vertex may lie
    on the side by the rounding beside the point where it meets it."""
    order = np.lexsort((at, side))
    near = (side[order][1:] == side[order][:-1]) & (np.diff(at[order]) < _BESIDE_M)
    first = np.maximum.accumulate(np.where(np.concatenate([[False], near]), 0, np.arange(len(order))))
    merged = at.copy()
    merged[order] = at[order][first]
    return merged


def _key(point: Floats) -> tuple[int, int]:
    return (round(float(point[0]) / GRID_M), round(float(point[1]) / GRID_M))
