"""Where the edges of neighbours do not match: found by GEOS for the whole grid, looked at closely only where it finds any.

A coverage is sound where every inner edge is that of exactly two cells, vertex by vertex. `unmatched_edges` tells which
edges are not; overlaps, T-junctions and the rest are then told apart among those few.
"""

import numpy as np
import shapely
from numpy.typing import NDArray

from geoapp.territory.coverage_problem import CoverageProblem

ON_EDGE_M = 0.00075
"""A vertex rounded to 1 mm lies this near the edge that it was placed on, metres (half the grid's diagonal)."""
CORNER_M = 0.01
"""A vertex nearer than this to the end of a neighbour's edge is a corner that does not match, not a T-junction."""
BESIDE_M = 0.002
"""An edge so near to an overlap or a gap is a part of its outline."""
_MIX_X, _MIX_Y = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)

Geometries = NDArray[np.object_]
Ints = NDArray[np.int64]


def unmatched_edges(shapes: Geometries, gap_width_m: float) -> Geometries:
    """For each cell the edges that no neighbour matches (lines, empty where all is well), as shapely gives them for a whole
    grid; it is asked only about cells with an edge that has no partner, and about those around them.

    A cell all of whose edges have a partner can be flagged only for what such a cell does to it, so it is enough to look
    there. Overlapping layers that are each sound within are seen by neither: see `grid_problems` for the sum of areas.
    """
    found = np.full(len(shapes), shapely.from_wkt("LINESTRING EMPTY"), dtype=object)
    lonely = _with_lonely_edges(shapes)
    if not len(lonely):
        return found
    tree, bounds = shapely.STRtree(shapes), shapely.bounds(shapes)
    near = np.unique(tree.query(shapely.box(*_widened(bounds[lonely], gap_width_m + 1.0).T))[1])
    # With all neighbours of those too: without them their edges would lack a partner that they have.
    asked = np.unique(tree.query(shapely.box(*_widened(bounds[near], 0.01).T))[1])
    edges = shapely.coverage_invalid_edges(shapes[asked], gap_width=gap_width_m)
    wanted = np.isin(asked, near)
    found[asked[wanted]] = edges[wanted]
    return found


def _widened(bounds: NDArray[np.float64], by_m: float) -> NDArray[np.float64]:
    return bounds + np.array([-by_m, -by_m, by_m, by_m])


def _with_lonely_edges(shapes: Geometries) -> Ints:
    """Cells with an edge that is not walked exactly once in either direction by all cells together: with those on the rim.

    Rings are taken with the ground on their left. Edges are told apart by a 64-bit mix of their coordinates' bits.
    """
    parts, cell = shapely.get_parts(shapely.orient_polygons(shapes), return_index=True)
    xy, part = shapely.get_coordinates(parts, return_index=True)
    rings = shapely.get_rings(parts)
    first = np.zeros(len(xy), dtype=bool)
    first[np.concatenate([[0], np.cumsum(shapely.get_num_coordinates(rings))[:-1]])] = True
    joined = ~first[1:]
    bits = (xy + 0.0).view(np.uint64)  # adding zero makes -0.0 the same as 0.0
    mixed = (bits[:, 0] * _MIX_X) ^ ((bits[:, 1] * _MIX_Y) >> np.uint64(7)) ^ (bits[:, 1] * _MIX_X)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX_Y
    start, stop = mixed[:-1][joined], mixed[1:][joined]
    forward = start < stop
    key = np.where(forward, start, stop) * _MIX_X + np.where(forward, stop, start)
    order = np.argsort(key)
    starts = np.flatnonzero(np.concatenate([[True], np.diff(key[order]) != 0]))
    count = np.diff(np.concatenate([starts, [len(key)]]))
    balance = np.add.reduceat(np.where(forward[order], 1, -1), starts)
    lonely = np.repeat((count != 2) | (balance != 0), count)
    # A vertex that is repeated makes an edge of no length, which needs no partner.
    lonely &= (start != stop)[order]
    owner = cell[part[:-1][joined]]
    return np.unique(owner[order[lonely]])


def overlaps(
    names: Geometries, shapes: Geometries, suspect: Ints, tree: shapely.STRtree, tolerance_m2: float
) -> list[CoverageProblem]:
    """One problem a pair of cells that share ground; at least one of a pair is among the suspects."""
    left, right = tree.query(shapes[suspect], predicate="intersects")
    left = suspect[left]
    pairs = np.unique(np.sort(np.column_stack([left, right])[left != right], axis=1), axis=0)
    common = shapely.intersection(shapes[pairs[:, 0]], shapes[pairs[:, 1]])
    area = shapely.area(common)
    return [
        CoverageProblem("overlap", float(area[i]), tuple(names[pairs[i]].tolist()), _ground(common[i]))
        for i in np.flatnonzero(area >= tolerance_m2).tolist()
    ]


def _ground(shape: shapely.Geometry) -> shapely.Geometry:
    """Only the polygons of what may be a collection."""
    if shape.geom_type != "GeometryCollection":
        return shape
    parts = shapely.get_parts(shapely.get_parts(shape))
    return shapely.union_all(parts[shapely.get_type_id(parts) == 3])


def segments_of(edges: Geometries) -> tuple[NDArray[np.float64], Ints]:
    """All single segments of the cells' edges: ends (n, 2, 2) in metres, and the index of the cell of each."""
    lines, cell = shapely.get_parts(edges, return_index=True)
    xy, line = shapely.get_coordinates(lines, return_index=True)
    if len(xy) < 2:
        return np.empty((0, 2, 2)), np.empty(0, dtype=np.int64)
    joined = line[1:] == line[:-1]
    return np.stack([xy[:-1], xy[1:]], axis=1)[joined], cell[line[:-1][joined]]


def t_junctions(
    names: Geometries, ends: NDArray[np.float64], owner: Ints
) -> tuple[list[CoverageProblem], NDArray[np.bool_]]:
    """Vertices of one cell on the inside of another's edge, one problem a place, and the segments that they explain.

    ends (n, 2, 2), owner (n,): the unmatched segments. A problem's codes are the cell whose edge lacks the vertex, then
    the cells that have it; its geometry is the point.
    """
    explained = np.zeros(len(ends), dtype=bool)
    if not len(ends):
        return [], explained
    vertex, first_of = np.unique(ends.reshape(-1, 2), axis=0, return_inverse=True)
    first_of = first_of.reshape(-1, 2)
    segment, point = shapely.STRtree(shapely.points(vertex)).query(
        shapely.linestrings(ends), predicate="dwithin", distance=ON_EDGE_M
    )
    away = np.linalg.norm(ends[segment] - vertex[point][:, None, :], axis=2).min(axis=1)
    segment, point = segment[away > CORNER_M], point[away > CORNER_M]
    ends_at: dict[int, list[int]] = {}
    wanted = np.isin(first_of, point)
    for row, column in np.argwhere(wanted).tolist():
        ends_at.setdefault(int(first_of[row, column]), []).append(row)
    problems = []
    for s, p in sorted(set(zip(segment.tolist(), point.tolist(), strict=True))):
        having = [row for row in ends_at[p] if owner[row] != owner[s]]
        if not having:
            continue
        explained[[s, *(row for row in having if _along(ends[row], ends[s]))]] = True
        codes = (names[owner[s]], *sorted({names[owner[row]] for row in having}))
        problems.append(CoverageProblem("t_junction", 0.0, codes, shapely.Point(vertex[p])))
    return problems, explained


def not_of(junctions: list[CoverageProblem], areas: list[CoverageProblem]) -> list[CoverageProblem]:
    """The T-junctions that are not merely a corner of an overlap or gap of the same cells, and go with it."""
    if not junctions or not areas:
        return junctions
    points = np.array([problem.geometry for problem in junctions], dtype=object)
    point, area = shapely.STRtree([problem.geometry for problem in areas]).query(
        points, predicate="dwithin", distance=BESIDE_M
    )
    corner = {
        p
        for p, a in zip(point.tolist(), area.tolist(), strict=True)
        if junctions[p].codes[0] in areas[a].codes and set(junctions[p].codes[1:]) & set(areas[a].codes)
    }
    return [problem for i, problem in enumerate(junctions) if i not in corner]


def _along(part: NDArray[np.float64], whole: NDArray[np.float64]) -> bool:
    """Whether both ends of a segment lie on another, within the rounding."""
    line = shapely.LineString(whole)
    return bool((shapely.distance(line, shapely.points(part)) <= 2 * ON_EDGE_M).all())


def mismatches(
    names: Geometries, ends: NDArray[np.float64], owner: Ints, known: NDArray[np.bool_]
) -> list[CoverageProblem]:
    """What is left of the unmatched segments, one edge_mismatch a cell."""
    rest = np.flatnonzero(~known)
    return [
        CoverageProblem(
            "edge_mismatch",
            0.0,
            (names[cell],),
            shapely.line_merge(shapely.multilinestrings(ends[rest[owner[rest] == cell]])),
        )
        for cell in np.unique(owner[rest]).tolist()
    ]


def beside(ends: NDArray[np.float64], shapes: list[shapely.Geometry]) -> NDArray[np.bool_]:
    """Which segments lie on (or in) one of the shapes: (n,)."""
    near = np.zeros(len(ends), dtype=bool)
    if len(ends) and shapes:
        found = shapely.STRtree(np.array(shapes, dtype=object)).query(
            shapely.linestrings(ends), predicate="dwithin", distance=BESIDE_M
        )
        near[found[0]] = True
    return near
