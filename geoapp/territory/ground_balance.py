"""Is all ground in a cell, and no cell off it? Areas are compared, because edges alone do not show a missing cell."""

from collections.abc import Mapping

import numpy as np
import shapely
from numpy.typing import NDArray

from geoapp.territory.coverage_problem import CoverageProblem

_TOUCH_M = 0.001

Geometries = NDArray[np.object_]


def covered_ground(shapes: Geometries, suspect: NDArray[np.bool_]) -> shapely.Geometry:
    """The ground of all cells, exact: those whose edges all match are dissolved fast, the suspect ones one by one."""
    if suspect.all():
        return shapely.union_all(shapes)
    inner = shapely.coverage_union_all(shapes[~suspect])
    if not shapely.is_valid(inner):  # sound layers that lie on each other
        return shapely.union_all(shapes)
    return shapely.union(inner, shapely.union_all(shapes[suspect])) if suspect.any() else inner


def without_holes(ground: shapely.Geometry) -> shapely.Geometry:
    """The ground with all its holes filled."""
    return shapely.union_all([shapely.Polygon(part.exterior) for part in shapely.get_parts(ground)])


def bare_ground(
    missing: shapely.Geometry,
    names: Geometries,
    shapes: Geometries,
    tree: shapely.STRtree,
    *,
    gap_width_m: float,
    tolerance_m2: float,
) -> list[CoverageProblem]:
    """Each place in no cell as a problem: `gap` (with the cells along it) where it is narrow, else `uncovered`."""
    problems = []
    for piece in _pieces(missing, tolerance_m2):
        narrow = piece.geom_type == "Polygon" and 2 * piece.area / piece.length < gap_width_m
        codes: tuple[str, ...] = ()
        if narrow:
            along = tree.query(piece, predicate="dwithin", distance=_TOUCH_M)
            codes = tuple(sorted(names[along].tolist()))
        problems.append(CoverageProblem("gap" if narrow else "uncovered", float(piece.area), codes, piece))
    return problems


def held_ground(
    name: str,
    ground: shapely.Geometry,
    names: Geometries,
    shapes: Geometries,
    tree: shapely.STRtree,
    tolerance_m2: float,
) -> list[CoverageProblem]:
    """Each place of the ground as a problem with the cells that hold some of it."""
    problems = []
    for piece in _pieces(ground, tolerance_m2):
        near = tree.query(piece, predicate="intersects")
        holds = shapely.area(shapely.intersection(shapes[near], piece)) > 0
        codes = tuple(sorted(names[near[holds]].tolist()))
        problems.append(CoverageProblem(name, float(piece.area), codes, piece))
    return problems


def _pieces(ground: shapely.Geometry, tolerance_m2: float) -> list[shapely.Geometry]:
    """The parts of some ground that are large enough; the small ones together where their sum is."""
    parts = shapely.get_parts(shapely.get_parts(ground))
    parts = parts[shapely.get_type_id(parts) == 3]
    area = shapely.area(parts)
    large = area >= tolerance_m2
    pieces = parts[large].tolist()
    if area[~large].sum() >= tolerance_m2:
        pieces.append(shapely.multipolygons(parts[~large]))
    return pieces


def outside_communities(
    names: Geometries,
    shapes: Geometries,
    suspect: NDArray[np.bool_],
    communities: Mapping[str, shapely.Geometry],
    tolerance_m2: float,
) -> list[CoverageProblem]:
    """Ground of cells that is not in the community that their code begins with. With nothing `uncovered` and no
    `overlap`, none of it means that the cells of each community tile it. Cells of other communities are not judged."""
    problems = []
    of = np.array([name[:12] for name in names])
    order = np.argsort(of, kind="stable")
    groups = np.split(order, np.flatnonzero(of[order][1:] != of[order][:-1]) + 1)
    for mine in groups:
        outline = communities.get(str(of[mine[0]]))
        if outline is None:
            continue
        beyond = covered_ground(shapes[mine], suspect[mine]).difference(outline)
        if beyond.area >= tolerance_m2:
            tree = shapely.STRtree(shapes[mine])
            problems += held_ground(
                "outside_community", beyond, names[mine], shapes[mine], tree, tolerance_m2
            )
    return problems
