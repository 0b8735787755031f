"""Checks of lines, and of shapes that may be lines or areas: roads, rivers and lakes."""

import numpy as np
import shapely

from etl.checks.polygons import corner, make_valid, unwrapped, usable
from etl.checks.values import Objects, blank
from etl.frames import Frame, geometries_to_metric
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings

__all__ = ["lines"]


def lines(
    table: Table, frame: Frame, ground: Ground, findings: Findings, *, or_areas: bool = False
) -> Objects:
    """Lines (with `or_areas` also polygons), single or multi, in metres of the city's zone; None for rows set aside.

    What lies wholly outside the district is set aside; what crosses its border is kept whole. Areas that cross
    themselves are made valid, and noted with their form before and after.
    """
    assert table.geometry is not None
    geometry = unwrapped(table.geometry)
    good = usable(table, geometry, findings, "LineString or Polygon" if or_areas else "LineString")
    if frame.is_geographic:
        bounds = shapely.bounds(geometry)
        with np.errstate(invalid="ignore"):
            wild = good & ((np.abs(bounds[:, [0, 2]]) > 180) | (np.abs(bounds[:, [1, 3]]) > 90)).any(axis=1)
        findings.reject(wild, "coordinate_out_of_range", "geometry", found=corner(bounds))
        good &= ~wild
    out = np.full(len(table), None, dtype=object)
    out[good] = geometries_to_metric(geometry[good], frame, ground.srid)
    finite = np.isfinite(shapely.bounds(out)).all(axis=1)
    lost = good & ~finite
    findings.reject(lost, "outside_zone", "geometry", found=corner(shapely.bounds(geometry)))
    out[lost] = None
    for row in np.flatnonzero(~blank(out) & ~shapely.is_valid(out) & (shapely.get_dimensions(out) == 2)):
        make_valid(int(row), out, findings)
    _refuse_outside(out, ground, findings)
    return out


def _refuse_outside(shapes: Objects, ground: Ground, findings: Findings) -> None:
    if ground.district is None:
        note = "库中没有行政区边界，位置未核对 / no outline of the district is stored: positions were not compared with it"
        findings.notices.append(note)
        return
    away = np.flatnonzero(~blank(shapes) & ~shapely.intersects(ground.district, shapes))
    for row in away:
        findings.reject_row(
            int(row),
            "outside_district",
            "geometry",
            district=f"{ground.city.name_zh} {ground.city.name_en}",
            metres=f"{shapely.distance(shapes[row], ground.district):.0f}",
        )
