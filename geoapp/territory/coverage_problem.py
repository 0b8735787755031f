"""One fault of a grid: its name in both languages, its area, its cells and where it is."""

from dataclasses import dataclass
from functools import cached_property

import shapely

WORDS = {
    "invalid_cell": ("网格边界自相交", "cell outline crosses itself"),
    "multi_part": ("网格由几块组成", "cell consists of several parts"),
    "sliver": ("网格过于狭长", "cell is a sliver"),
    "duplicate_vertex": ("网格边界有重复点", "cell outline repeats a vertex"),
    "overlap": ("网格重叠", "cells overlap"),
    "gap": ("网格之间有细缝", "narrow gap between cells"),
    "t_junction": ("网格顶点落在邻格边的中间", "vertex of a cell on the inside of a neighbour's edge"),
    "edge_mismatch": ("相邻网格边界不吻合", "borders of neighbours do not match"),
    "uncovered": ("有地面不在任何网格内，也未声明", "ground in no cell and not declared"),
    "outside": ("网格超出上级边界", "cells reach outside their parent"),
    "outside_community": ("网格超出所属村居", "cells reach outside their community"),
    "declared_covered": ("声明不入格的地面被网格覆盖", "ground declared as in no cell lies in a cell"),
}

# These spoil a cell's shape, but a grid that has them still covers its ground once and without a hole.
_OF_SHAPE_ONLY = ("sliver", "duplicate_vertex")


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

    @property
    def breaks_coverage(self) -> bool:
        """Whether the grid is not valid by the house's rule because of it (a sliver or a repeated vertex is not)."""
        return self.name not in _OF_SHAPE_ONLY

    @cached_property
    def places(self) -> tuple[tuple[float, float], ...]:
        """A point (x, y) on each part of the geometry, metres: where a map shows the problem."""
        parts = shapely.get_parts(shapely.get_parts(self.geometry))
        points = shapely.point_on_surface(parts[~shapely.is_empty(parts)])
        return tuple((float(x), float(y)) for x, y in shapely.get_coordinates(points).tolist())
