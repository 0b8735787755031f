"""Is the grid valid? Cells must cover their parent once, without a hole, except ground declared as in no cell.

shapely's coverage test looks at edges alone: it finds overlaps, unmatched vertices and narrow gaps, but a cell that
is missing altogether leaves a valid coverage behind. So areas are compared as well.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from geoapp.territory.cell_shape import mended, shape_problems
from geoapp.territory.coverage_problem import WORDS, CoverageProblem
from geoapp.territory.edge_faults import (
    beside,
    mismatches,
    not_of,
    overlaps,
    segments_of,
    t_junctions,
    unmatched_edges,
)
from geoapp.territory.ground_balance import (
    bare_ground,
    covered_ground,
    held_ground,
    outside_communities,
    without_holes,
)

__all__ = ["GAP_WIDTH_M", "TOLERANCE_M2", "WORDS", "CoverageProblem", "coverage_problems", "grid_problems"]

GAP_WIDTH_M = 0.5
"""Gaps narrower than this between cells are faults of drawing, metres."""
TOLERANCE_M2 = 1.0
"""Area below which a difference is noise, square metres."""
_WHOLE = ("uncovered", "outside", "declared_covered")


def coverage_problems(
    codes: Sequence[str],
    cells: Sequence[shapely.Geometry] | NDArray[np.object_],
    parent: shapely.Geometry | None,
    declared: Sequence[shapely.Geometry] = (),
    *,
    communities: Mapping[str, shapely.Geometry] | None = None,
    gap_width_m: float = GAP_WIDTH_M,
    tolerance_m2: float = TOLERANCE_M2,
) -> list[CoverageProblem]:
    """As `grid_problems`, with all uncovered ground as one problem, and so all ground outside and declared_covered."""
    found = grid_problems(
        codes, cells, parent, declared,
        communities=communities, gap_width_m=gap_width_m, tolerance_m2=tolerance_m2,
    )  # fmt: skip
    problems = [problem for problem in found if problem.name not in _WHOLE]
    for name in _WHOLE:
        same = [problem for problem in found if problem.name == name]
        if same:
            parts = np.concatenate([shapely.get_parts(problem.geometry) for problem in same])
            held = tuple(sorted({code for problem in same for code in problem.codes}))
            area_m2 = sum(problem.area_m2 for problem in same)
            problems.append(CoverageProblem(name, area_m2, held, shapely.multipolygons(parts)))
    return problems


def grid_problems(
    codes: Sequence[str],
    cells: Sequence[shapely.Geometry] | NDArray[np.object_],
    parent: shapely.Geometry | None,
    declared: Sequence[shapely.Geometry] = (),
    *,
    communities: Mapping[str, shapely.Geometry] | None = None,
    gap_width_m: float = GAP_WIDTH_M,
    tolerance_m2: float = TOLERANCE_M2,
) -> list[CoverageProblem]:
    """What is wrong with a grid, place by place; an empty list when nothing is.

    codes, cells: one each per cell, metric CRS (metres). parent: the outline that cells and declared ground must
    fill together (None: not known, so that only holes between cells are found). declared: ground that is meant to be in
    no cell. communities: outlines by 12-digit code; a cell must lie in the one that its code begins with.

    Problems of a cell by itself: invalid_cell, multi_part (area of the lesser parts), sliver (area; the rule is in
    `cell_shape`), duplicate_vertex (points). Of neighbours: overlap (area, a problem a pair), gap (area: narrower than
    `gap_width_m`), t_junction (a point), edge_mismatch (what else does not match, a problem a cell; also overlaps and
    gaps below `tolerance_m2`). Of the ground, a problem a place, with area: uncovered, outside, declared_covered,
    outside_community. Differences below `tolerance_m2` are not reported.
    A sliver or a duplicate_vertex alone leaves the grid valid: see CoverageProblem.breaks_coverage.
    Raises ValueError where codes and cells differ in number or no cell is given.
    """
    given = np.asarray(cells, dtype=object)
    names = np.asarray(codes, dtype=object)
    if len(given) != len(names) or len(given) == 0:
        raise ValueError(f"{len(names)} codes for {len(given)} cells: one each is needed, and at least one")

    # What is broken is mended for the rest of the test, so that one bad cell does not hide the others' faults.
    shapes, sound = mended(given)
    problems = shape_problems(names, shapes, sound, given)
    edges = unmatched_edges(shapes, gap_width_m)
    suspect = ~sound | ~shapely.is_empty(edges)
    tree = shapely.STRtree(shapes)

    shared = overlaps(names, shapes, np.flatnonzero(suspect), tree, tolerance_m2)
    covered = covered_ground(shapes, suspect)
    twice = shapely.area(shapes).sum() - covered.area - sum(problem.area_m2 for problem in shared)
    if twice > tolerance_m2 * max(len(shared), 1):
        # More ground is held than there is: whole layers of sound cells lie on each other, and only their rims showed.
        suspect[:] = True
        shared = overlaps(names, shapes, np.arange(len(shapes)), tree, tolerance_m2)
        covered = covered_ground(shapes, suspect)
    meant = shapely.union_all(list(declared))
    whole = without_holes(covered) if parent is None else parent
    missing = shapely.difference(whole, shapely.union(covered, meant))
    bare = bare_ground(missing, names, shapes, tree, gap_width_m=gap_width_m, tolerance_m2=tolerance_m2)

    ends, owner = segments_of(edges)
    areas = [problem for problem in (*shared, *bare) if problem.name in ("overlap", "gap")]
    junctions, known = t_junctions(names, ends, owner)
    known |= beside(ends, [problem.geometry for problem in areas])
    known |= beside(ends, [shapely.boundary(shape) for shape in shapes[~sound] if not shape.is_empty])
    problems += [*shared, *not_of(junctions, areas), *mismatches(names, ends, owner, known), *bare]
    problems += held_ground("outside", covered.difference(whole), names, shapes, tree, tolerance_m2)
    problems += held_ground(
        "declared_covered", covered.intersection(meant), names, shapes, tree, tolerance_m2
    )
    if communities:
        problems += outside_communities(names, shapes, suspect, communities, tolerance_m2)
    return problems
