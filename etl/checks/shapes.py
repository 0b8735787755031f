"""What checks of lines and of polygons have in common: which shapes can be used at all, and where they lie."""

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.checks.values import Bool, Objects, blank
from etl.frames import Frame, geometries_to_metric
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings

__all__ = [
    "corner",
    "in_metres",
    "refuse_outside",
    "unwrapped",
    "usable",
    "warn_partly_outside",
    "without_repeats",
]

_KINDS = {"Point": (0,), "Polygon": (3, 6), "LineString": (1, 5), "LineString or Polygon": (1, 5, 3, 6)}
_NAMES = np.array(
    ["Point", "LineString", "LinearRing", "Polygon", "MultiPoint", "MultiLineString", "MultiPolygon", "GeometryCollection", ""],
    dtype=object,
)  # fmt: skip
_NOTED_M2 = 1.0


def unwrapped(geometry: Objects) -> Objects:
    """Multi-geometries of one part as that part: many programs write every shape as multi."""
    single = (shapely.get_type_id(geometry) >= 4) & (shapely.get_num_geometries(geometry) == 1)
    out = geometry.copy()
    out[single] = shapely.get_geometry(geometry[single], 0)
    return out


def usable(table: Table, geometry: Objects, findings: Findings, expected: str) -> Bool:
    """Mask of the geometries that are there, not empty and of the expected kind, a key of `_KINDS`."""
    missing = shapely.is_missing(geometry)
    unread = np.zeros(len(table), dtype=bool)
    unread[[row for row, (code, _) in table.damaged.items() if code == "geometry_unreadable"]] = True
    findings.reject(missing & ~unread, "geometry_missing", "geometry")
    empty = ~missing & shapely.is_empty(geometry)
    findings.reject(empty, "geometry_empty", "geometry")
    kinds = shapely.get_type_id(geometry)
    wrong = ~missing & ~empty & ~np.isin(kinds, _KINDS[expected])
    findings.reject(wrong, "geometry_wrong_type", "geometry", found=_NAMES[kinds], expected=expected)
    return ~(missing | empty | wrong)


def corner(bounds: NDArray[np.float64]) -> Objects:
    """The lower corner of each box (n, 4) as text."""
    return np.array([f"{b[0]:.5f}, {b[1]:.5f}" for b in bounds], dtype=object)


def in_metres(geometry: Objects, good: Bool, frame: Frame, ground: Ground, findings: Findings) -> Objects:
    """The `good` geometries (file's frame) in metres of the city's zone, 2-D; None for others and for rows set aside.

    Set aside: coordinates that are no numbers or no place in the frame. Heights and measures are dropped with a notice.
    """
    _note_heights(geometry[good], findings)
    good = good & ~_rejected(good, ~_is_finite(geometry), "coordinate_not_finite", geometry, findings)
    if frame.is_geographic:
        bounds = shapely.bounds(geometry)
        with np.errstate(invalid="ignore"):
            wild = ((np.abs(bounds[:, [0, 2]]) > 180) | (np.abs(bounds[:, [1, 3]]) > 90)).any(axis=1)
        good = good & ~_rejected(good, wild, "coordinate_out_of_range", geometry, findings)
    out = np.full(len(geometry), None, dtype=object)
    out[good] = geometries_to_metric(geometry[good], frame, ground.srid)
    lost = good.copy()
    lost[good] = ~_is_finite(out[good])
    placed = np.flatnonzero(good & ~lost)
    lost[placed[ground.outside_zone(shapely.centroid(out[placed]))]] = True
    _rejected(good, lost, "outside_zone", geometry, findings)
    out[lost] = None
    return out


def _rejected(good: Bool, wrong: Bool, code: str, geometry: Objects, findings: Findings) -> Bool:
    """Sets the good rows that are wrong aside, with the corner of their box in the file's numbers; their mask."""
    found = good & wrong
    if found.any():
        shown = np.full(len(geometry), None, dtype=object)
        shown[found] = corner(shapely.bounds(geometry[found]))
        findings.reject(found, code, "geometry", found=shown)
    return found


def _note_heights(geometry: Objects, findings: Findings) -> None:
    count = int((shapely.has_z(geometry) | shapely.has_m(geometry)).sum())
    if count:
        findings.notices.append(
            f"{count:,} 个图形带高程或量测值（Z、M），只存平面坐标 / {count:,} shape(s) have heights or measures (Z, M); only the plane "
            "coordinates are stored"
        )


def _is_finite(geometry: Objects) -> Bool:
    """Mask of the geometries all of whose coordinates are numbers."""
    points, rows = shapely.get_coordinates(geometry, return_index=True)
    out = np.ones(len(geometry), dtype=bool)
    out[rows[~np.isfinite(points).all(axis=1)]] = False
    return out


def without_repeats(shapes: Objects, findings: Findings) -> None:
    """Takes vertices that stand twice in a row out of `shapes` (metres), and notes it."""
    placed = np.flatnonzero(~blank(shapes))
    points, place = shapely.get_coordinates(shapes[placed], return_index=True)
    again = (points[1:] == points[:-1]).all(axis=1) & (place[1:] == place[:-1])
    for row in placed[np.unique(place[1:][again])]:
        before = shapes[row]
        try:
            after = shapely.remove_repeated_points(before)
        except shapely.errors.GEOSException:  # nothing would be left of a ring: make_valid says what is wrong
            continue
        if shapely.get_num_coordinates(after) < shapely.get_num_coordinates(before):
            findings.repair(int(row), "vertices_repeated", "geometry", before.wkt, after.wkt)
            shapes[row] = after


def refuse_outside(shapes: Objects, ground: Ground, findings: Findings) -> None:
    """Sets the shapes (metres of the zone) aside that lie wholly outside the district."""
    if ground.district is None:
        note = "库中没有行政区边界，位置未核对 / no outline of the district is stored: positions were not compared with it"
        findings.notices.append(note)
        return
    for row in np.flatnonzero(~blank(shapes) & ~shapely.intersects(ground.district, shapes)):
        findings.reject_row(
            int(row),
            "outside_district",
            "geometry",
            district=f"{ground.city.name_zh} {ground.city.name_en}",
            metres=f"{shapely.distance(shapes[row], ground.district):.0f}",
        )


def warn_partly_outside(shapes: Objects, ground: Ground, findings: Findings) -> None:
    """Warns of polygons (metres of the zone) that lie partly outside the district, by more than 1 m²."""
    if ground.district is None:
        return
    rows = np.flatnonzero(~blank(shapes) & ~shapely.covers(ground.district, shapes))
    rows = rows[shapely.intersects(ground.district, shapes[rows])]
    outside = shapely.area(shapes[rows]) - shapely.area(shapely.intersection(shapes[rows], ground.district))
    for row, m2 in zip(rows, outside, strict=True):
        if m2 > _NOTED_M2:
            share = f"{100 * m2 / shapes[row].area:.1f}"
            findings.warn_row(int(row), "partly_outside", "geometry", m2=f"{m2:,.0f}", percent=share)
