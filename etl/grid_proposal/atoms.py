"""Atoms: pieces of ground between lines, from which communities and cells are put together whole.

All coordinates that arise here lie on a grid of 1 mm (snap rounding), so that neighbours use the same points.
"""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

__all__ = [
    "GRID_M",
    "atoms_between",
    "contiguous",
    "holders",
    "inner_seam",
    "joined",
    "merged",
    "polygons_in",
    "seam_between",
    "split_by_line",
]

GRID_M = 0.001
_ALONG_M = 0.003

Geometries = NDArray[np.object_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def polygons_in(shape: shapely.Geometry) -> Geometries:
    """The polygons of a geometry of any type."""
    parts = shapely.get_parts(shapely.get_parts(shape))
    return parts[(shapely.get_type_id(parts) == 3) & ~shapely.is_empty(parts)]


def atoms_between(ground: shapely.Polygon, lines: Sequence[shapely.Geometry] | Geometries) -> Geometries:
    """The faces that lines cut a polygon into; line ends that lead nowhere cut nothing. At least one polygon."""
    inside = [line for line in lines if not line.is_empty]
    noded = shapely.union_all([ground.boundary, *inside], grid_size=GRID_M)
    faces = polygons_in(shapely.polygonize(shapely.get_parts(noded)))
    held = shapely.intersects(ground, shapely.point_on_surface(faces))
    found = faces[held]
    return found if len(found) else np.array([ground], dtype=object)


def joined(lines: Geometries, reach_m: float = 30.0) -> Geometries:
    """The lines, and a short link from each end that stops within `reach_m` metres of another line without touching it."""
    single = shapely.get_parts(shapely.get_parts(lines))
    single = single[(shapely.get_type_id(single) == 1) & (shapely.length(single) > 0)]
    if len(single) < 2:
        return np.asarray(single, dtype=object)
    ends = np.concatenate([shapely.get_point(single, 0), shapely.get_point(single, -1)])
    own = np.tile(np.arange(len(single)), 2)
    end, line = shapely.STRtree(single).query(ends, predicate="dwithin", distance=reach_m)
    end, line = end[own[end] != line], line[own[end] != line]
    away = shapely.distance(ends[end], single[line])
    order = np.lexsort((line, away, end))
    _, first = np.unique(end[order], return_index=True)
    nearest = order[first]
    nearest = nearest[away[nearest] > GRID_M]
    links = shapely.shortest_line(ends[end[nearest]], single[line[nearest]])
    return np.concatenate([single, links]).astype(object)


def split_by_line(
    atoms: Geometries, chosen: NDArray[np.bool_], line: shapely.LineString
) -> tuple[Geometries, Ints]:
    """The atoms with the chosen ones cut along a straight line, and the atom that each piece is of: (n,) and (n,).

    Atoms beside a cut one get the cut's ends as vertices, so that all pieces still match.
    """
    beside = shapely.dwithin(atoms, shapely.multipolygons(atoms[chosen].tolist()), 0.01)
    whole, near = np.flatnonzero(~beside), np.flatnonzero(beside)
    lines = [*shapely.boundary(atoms[near]), *shapely.intersection(line, atoms[chosen])]
    noded = shapely.union_all(lines, grid_size=GRID_M)
    pieces = polygons_in(shapely.polygonize(shapely.get_parts(noded)))
    piece, atom = shapely.STRtree(atoms[near]).query(shapely.point_on_surface(pieces), predicate="intersects")
    held, first = np.unique(piece, return_index=True)  # what lies in no atom is a hole
    return np.concatenate([atoms[whole], pieces[held]]), np.concatenate([whole, near[atom[first]]])


def holders(polygons: Geometries, xy: Floats) -> Ints:
    """The polygon that each point (n, 2) lies in, the first where several hold it, the nearest where none does: (n,)."""
    points = shapely.points(xy)
    found = np.full(len(xy), -1, dtype=np.int64)
    polygon, point = shapely.STRtree(points).query(polygons, predicate="intersects")
    found[point[::-1]] = polygon[::-1]
    lost = np.flatnonzero(found < 0)
    if len(lost):
        found[lost] = shapely.STRtree(polygons).query_nearest(points[lost], all_matches=False)[1]
    return found


def merged(atoms: Geometries) -> shapely.Geometry:
    """The ground of atoms that match vertex by vertex, as one geometry."""
    return atoms[0] if len(atoms) == 1 else _plain(shapely.coverage_union_all(atoms))


def _plain(shape: shapely.Geometry) -> shapely.Geometry:
    parts = polygons_in(shape)
    return parts[0] if len(parts) == 1 else shapely.multipolygons(parts)


def contiguous(atoms: Geometries) -> Ints:
    """Which connected piece each atom belongs to: (n,) numbers from 0. A shared corner does not connect."""
    parts = polygons_in(merged(atoms))
    if len(parts) == 1:
        return np.zeros(len(atoms), dtype=np.int64)
    nearest = shapely.STRtree(parts).query_nearest(shapely.point_on_surface(atoms), all_matches=False)
    return np.asarray(nearest[1], dtype=np.int64)


def inner_seam(part: shapely.Geometry, drawn: Sequence[shapely.Geometry]) -> shapely.Geometry:
    """The border of a part that does not run along lines that are drawn already, as lines.

    Told by the middles of its segments, so that a border rounded otherwise than the drawn line, by a millimetre, is not
    taken for another one.
    """
    rings = shapely.get_parts(shapely.get_rings(polygons_in(part)))
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    joined = ring[1:] == ring[:-1]
    start, stop = xy[:-1][joined], xy[1:][joined]
    middle = shapely.points((start + stop) / 2)
    along = np.zeros(len(middle), dtype=bool)
    for lines in drawn:
        shapely.prepare(lines)
        along |= shapely.dwithin(lines, middle, _ALONG_M)
    if along.all():
        return shapely.MultiLineString()
    return shapely.line_merge(shapely.multilinestrings(np.stack([start, stop], axis=1)[~along]))


def seam_between(one: shapely.Geometry, other: shapely.Geometry) -> shapely.Geometry:
    """The border that two pieces of ground share."""
    return shapely.intersection(one.boundary, other.boundary, grid_size=GRID_M)
