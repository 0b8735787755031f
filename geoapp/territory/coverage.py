"""Is the grid valid? Cells must cover their parent once, without a hole, except ground declared as in no cell.

shapely's coverage test looks at edges alone: it finds overlaps, unmatched vertices and narrow gaps, but a cell that
is missing altogether leaves a valid coverage behind. So areas are compared as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

GAP_WIDTH_M = 0.5
"""Gaps narrower than this between cells are faults of drawing, metres."""
TOLERANCE_M2 = 1.0
"""Area below which a difference is noise, square metres."""

WORDS = {
    "invalid_cell": ("网格边界自相交", "cell outline crosses itself"),
    "overlap": ("网格重叠", "cells overlap"),
    "edge_mismatch": ("相邻网格边界不吻合", "borders of neighbours do not match"),
    "uncovered": ("有地面不在任何网格内，也未声明", "ground in no cell and not declared"),
    "outside": ("网格超出上级边界", "cells reach outside their parent"),
    "declared_covered": ("声明不入格的地面被网格覆盖", "ground declared as in no cell lies in a cell"),
}


@dataclass(frozen=True)
class CoverageProblem:
    """One named problem of a grid; area in square metres, geometry in the metric CRS of the cells."""

    name: str
    area_m2: float
    codes: tuple[str, ...]
    geometry: shapely.Geometry

    @property
    def zh(self) -> str:
        """The problem's name in Chinese."""
        return WORDS[self.name][0]

    @property
    def en(self) -> str:
        """The problem's name in English."""
        return WORDS[self.name][1]


def coverage_problems(
    codes: Sequence[str],
    cells: Sequence[shapely.Polygon] | NDArray[np.object_],
    parent: shapely.Geometry,
    declared: Sequence[shapely.Geometry] = (),
    *,
    gap_width_m: float = GAP_WIDTH_M,
    tolerance_m2: float = TOLERANCE_M2,
) -> list[CoverageProblem]:
    """What is wrong with a grid, by the house's rule for a valid grid; an empty list when nothing is.

    codes, cells: one each per cell, metric CRS (metres). parent: the outline that cells and declared ground must
    fill together. declared: ground that is meant to be in no cell.
    Problems: invalid_cell, overlap (area), edge_mismatch (a gap narrower than `gap_width_m` or unmatched vertices;
    area 0), uncovered, outside, declared_covered (area). Differences below `tolerance_m2` are not reported, except
    that an overlap also shows as an edge_mismatch when it is that small.
    Raises ValueError where codes and cells differ in number or no cell is given.
    """
    shapes = np.asarray(cells, dtype=object)
    names = np.asarray(codes, dtype=object)
    if len(shapes) != len(names) or len(shapes) == 0:
        raise ValueError(f"{len(names)} codes for {len(shapes)} cells: one each is needed, and at least one")

    problems: list[CoverageProblem] = []
    sound = shapely.is_valid(shapes) & ~shapely.is_empty(shapes)
    for i in np.flatnonzero(~sound).tolist():
        problems.append(
            CoverageProblem("invalid_cell", float(shapely.area(shapes[i])), (names[i],), shapes[i])
        )
    # What is broken is mended for the rest of the test, so that one bad cell does not hide the others' faults.
    mended = np.where(sound, shapes, shapely.make_valid(shapes))
    is_coverage = bool(sound.all()) and bool(shapely.coverage_is_valid(shapes, gap_width=gap_width_m))
    overlaps = [] if is_coverage else _overlaps(names, mended, tolerance_m2)
    problems += overlaps
    if not is_coverage and sound.all():
        problems += _mismatches(names, shapes, gap_width_m, {code for o in overlaps for code in o.codes})

    covered = shapely.coverage_union_all(shapes) if is_coverage else shapely.union_all(mended)
    meant = shapely.union_all(list(declared))
    problems += _difference("uncovered", parent.difference(shapely.union(covered, meant)), tolerance_m2)
    problems += _difference("outside", covered.difference(parent), tolerance_m2, names, mended)
    problems += _difference("declared_covered", covered.intersection(meant), tolerance_m2, names, mended)
    return problems


def _overlaps(
    names: NDArray[np.object_], shapes: NDArray[np.object_], tolerance_m2: float
) -> list[CoverageProblem]:
    left, right = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    once = left < right
    left, right = left[once], right[once]
    common = shapely.intersection(shapes[left], shapes[right])
    area = shapely.area(common)
    return [
        CoverageProblem("overlap", float(area[i]), (names[left[i]], names[right[i]]), common[i])
        for i in np.flatnonzero(area >= tolerance_m2).tolist()
    ]


def _mismatches(
    names: NDArray[np.object_], shapes: NDArray[np.object_], gap_width_m: float, known: set[str]
) -> list[CoverageProblem]:
    """Bad edges of cells that no overlap explains yet, one problem a cell."""
    edges = shapely.coverage_invalid_edges(shapes, gap_width=gap_width_m)
    return [
        CoverageProblem("edge_mismatch", 0.0, (names[i],), edges[i])
        for i in np.flatnonzero(~shapely.is_empty(edges)).tolist()
        if names[i] not in known
    ]


def _difference(
    name: str,
    ground: shapely.Geometry,
    tolerance_m2: float,
    names: NDArray[np.object_] | None = None,
    shapes: NDArray[np.object_] | None = None,
) -> list[CoverageProblem]:
    """The ground as one problem if there is enough of it, with the cells that hold some."""
    if ground.area < tolerance_m2:
        return []
    held: tuple[str, ...] = ()
    if names is not None and shapes is not None:
        near = shapely.STRtree(shapes).query(ground, predicate="intersects")
        held = tuple(sorted(names[i] for i in near.tolist() if shapes[i].intersection(ground).area > 0))
    return [CoverageProblem(name, float(ground.area), held, ground)]
