"""Checks of polygons in metres of the city's zone: what can be mended is mended and noted, the rest is set aside."""

import numpy as np
import shapely

from etl.checks.shapes import corner, in_metres, unwrapped, usable, without_repeats
from etl.checks.spikes import without_spikes
from etl.checks.values import Objects, blank
from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings

__all__ = ["corner", "make_valid", "polygons", "unwrapped", "usable"]

_LEAST_M2 = 1.0
_CRUMB_M2 = 1.0
_THIN_M = 0.5


def polygons(table: Table, frame: Frame, ground: Ground, findings: Findings, *, multi: bool) -> Objects:
    """Polygons (MultiPolygons when `multi`) in metres of the city's zone; None for rows that are set aside.

    Mended, with the form before and after: vertices that stand twice, spikes under 1 cm, rings that cross, holes that
    overlap, parts under 1 m² beside a larger one. Set aside: no polygon, no place, under 1 m², several parts (unless
    `multi`). A shape of less than half a metre's width is stored with a warning. Outer rings become counter-clockwise.
    """
    assert table.geometry is not None
    geometry = unwrapped(table.geometry)
    out = in_metres(geometry, usable(table, geometry, findings, "Polygon"), frame, ground, findings)
    without_repeats(out, findings)
    without_spikes(out, findings)
    make_valid(out, findings)
    _without_crumbs(out, findings)
    placed = ~blank(out)
    area = shapely.area(out)
    tiny = placed & (area < _LEAST_M2)
    findings.reject(tiny, "area_tiny", "geometry", m2=np.round(area, 3))
    out[tiny] = None
    if not multi:
        parts = shapely.get_num_geometries(out)
        many = ~blank(out) & (parts > 1)
        findings.reject(many, "geometry_multi_part", "geometry", found=parts)
        out[many] = None
    _warn_of_thin(out, findings)
    _orient(out, findings)
    placed = ~blank(out)
    single = placed & (shapely.get_type_id(out) == 3)
    if multi:
        out[single] = shapely.multipolygons(out[single], indices=np.arange(single.sum()))
    else:
        out = unwrapped(out)
    return out


def make_valid(shapes: Objects, findings: Findings) -> None:
    """Makes the polygons among `shapes` (metres; None and lines are left) valid and notes it.

    What is no polygon afterwards is set aside, and becomes None.
    """
    areal = shapely.get_dimensions(shapes) == 2
    rows = np.flatnonzero(areal & ~shapely.is_valid(shapes))
    if not len(rows):
        return
    mended = shapely.make_valid(shapes[rows], method="structure", keep_collapsed=False)
    # GEOS leaves parts side by side whose rings walk one edge both ways: they are one area.
    wrong = np.flatnonzero(~shapely.is_valid(mended))
    mended[wrong] = [shapely.union_all(shapely.get_parts(mended[row])) for row in wrong]
    for row, after in zip(rows, mended, strict=True):
        before = shapes[row]
        if after.geom_type in ("Polygon", "MultiPolygon") and after.area > 0:
            findings.repair(int(row), "geometry_made_valid", "geometry", before.wkt, after.wkt)
            shapes[row] = after
        else:
            why = shapely.is_valid_reason(before)
            findings.reject_row(int(row), "geometry_invalid", "geometry", why=why)
            shapes[row] = None


def _without_crumbs(shapes: Objects, findings: Findings) -> None:
    """Drops parts under 1 m² of shapes that have a larger one, and notes it."""
    for row in np.flatnonzero(shapely.get_num_geometries(shapes) > 1):
        parts = shapely.get_parts(shapes[row])
        large = shapely.area(parts) >= _CRUMB_M2
        if large.any() and not large.all():
            after = parts[large][0] if large.sum() == 1 else shapely.multipolygons(parts[large])
            findings.repair(int(row), "parts_dropped", "geometry", shapes[row].wkt, after.wkt)
            shapes[row] = after


def _warn_of_thin(shapes: Objects, findings: Findings) -> None:
    with np.errstate(invalid="ignore", divide="ignore"):
        width = 2 * shapely.area(shapes) / shapely.length(shapes)
        thin = ~blank(shapes) & (width < _THIN_M)
    findings.warn(thin, "shape_thin", "geometry", metres=np.round(width, 2))


def _orient(shapes: Objects, findings: Findings) -> None:
    """Outer rings counter-clockwise, holes clockwise; a notice where the file has them both ways."""
    placed = ~blank(shapes)
    first = shapely.get_exterior_ring(shapely.get_geometry(shapes[placed], 0))
    right = shapely.is_ccw(first)
    if right.any() and not right.all():
        count = int((~right).sum())
        findings.notices.append(
            f"{count:,} 个图形的外环方向与其他的相反，已统一 / outer rings of {count:,} shape(s) run the other way round than the rest; "
            "all were made alike"
        )
    shapes[placed] = shapely.orient_polygons(shapes[placed])
