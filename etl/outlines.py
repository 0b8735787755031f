"""Outlines that follow from their parts, and whether the stored cells are a valid grid."""

import numpy as np
import shapely

from etl.ground import Ground
from geoapp.territory.coverage import coverage_problems

__all__ = ["derive_outlines", "grid_notices"]


def derive_outlines(ground: Ground) -> list[str]:
    """Outlines of towns, then of the county, from what they consist of, where no file gave one; says how they compare.

    An outline that a file gave is kept, and compared with the union of its parts.
    """
    notices: list[str] = []
    for level, parts_level in (("town", "community"), ("county", "town")):
        parts: dict[str, list[shapely.Geometry]] = {}
        for unit in ground.units.values():
            if unit.level == parts_level and unit.geom is not None:
                parent = unit.code[:9] + "000" if level == "town" else unit.code[:6] + "000000"
                parts.setdefault(parent, []).append(unit.geom)
        for code, shapes in parts.items():
            parent_unit = ground.units.get(code)
            if parent_unit is not None and not parent_unit.is_generated:
                notices += _derive_outline(ground, code, parent_unit.name, level, shapely.union_all(shapes))
        ground.forget()
    return notices


def _derive_outline(ground: Ground, code: str, name: str, level: str, union: shapely.Geometry) -> list[str]:
    if union.geom_type == "Polygon":
        union = shapely.multipolygons([union])
    held = ground.connection.execute(
        "SELECT ST_AsBinary(geom) AS wkb, source_frame FROM territory.unit WHERE code = %s", (code,)
    ).fetchone()
    assert held is not None
    outline = None if held["wkb"] is None else shapely.from_wkb(bytes(held["wkb"]))
    if outline is not None and held["source_frame"] != "derived":
        if level != "county":
            return []
        both, either = shapely.intersection(outline, union).area, shapely.union(outline, union).area
        return [
            f"{name}的边界 {outline.area / 1e6:,.1f} km²，各镇合计 {union.area / 1e6:,.1f} km²，IoU {both / either:.3f} / its outline has "
            f"{outline.area / 1e6:,.1f} km², the union of its towns {union.area / 1e6:,.1f} km² "
            f"({shapely.difference(outline, union).area / 1e6:,.1f} km² of the outline is in no town)"
        ]
    if outline is None or outline.wkb != union.wkb:
        ground.connection.execute(
            "UPDATE territory.unit SET geom = ST_GeomFromWKB(%s, %s), source_frame = 'derived', version = version + 1 WHERE code = %s",
            (union.wkb, ground.srid, code),
        )
    if level != "county":
        return []
    return [
        f"{name}的边界由各镇合成，{union.area / 1e6:,.1f} km² / outline of {code} made as the union of its towns, {union.area / 1e6:,.1f} km²"
    ]


def grid_notices(ground: Ground) -> list[str]:
    """Whether the stored cells are a valid grid of the district, and if not, what is wrong, in m²."""
    if not ground.cells or ground.district is None:
        return ["没有网格或没有边界可比 / the grid was not compared: no cell or no outline is stored"]
    declared = ground.connection.execute(
        "SELECT ST_AsBinary(geom) AS wkb FROM territory.no_cell_ground"
    ).fetchall()
    problems = coverage_problems(
        [code for code, _ in ground.cells],
        np.array([cell for _, cell in ground.cells], dtype=object),
        ground.district,
        [shapely.from_wkb(bytes(row["wkb"])) for row in declared],
    )
    if not problems:
        return [
            "网格有效：不重叠、无缝隙 / the grid is valid: every place in the district is in one cell, or declared"
        ]
    notices = []
    for name in dict.fromkeys(problem.name for problem in problems):
        same = [problem for problem in problems if problem.name == name]
        cells = list(dict.fromkeys(code for problem in same for code in problem.codes))
        of = f": {', '.join(cells[:4])}{' …' if len(cells) > 4 else ''}" if cells else ""
        area = sum(problem.area_m2 for problem in same)
        notices.append(
            f"{same[0].zh} {area:,.0f} m² / {same[0].en}, {len(same)} place(s), {area:,.0f} m²{of}"
        )
    return notices
