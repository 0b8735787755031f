"""Checks of shapes: polygons in metres of the city's zone, and why a row's shape cannot be stored."""

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.checks.values import Bool, Objects, blank
from etl.frames import Frame, geometries_to_metric
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings

__all__ = ["corner", "make_valid", "polygons", "unwrapped", "usable"]

_KINDS = {"Point": (0,), "Polygon": (3, 6), "LineString": (1, 5), "LineString or Polygon": (1, 5, 3, 6)}


def polygons(table: Table, frame: Frame, ground: Ground, findings: Findings, *, multi: bool) -> Objects:
    """Polygons (MultiPolygons when `multi`) in metres of the city's zone; None for rows that are set aside.

    A shape that crosses itself is made valid and noted with its form before and after; one that is no polygon
    afterwards is set aside.
    """
    assert table.geometry is not None
    geometry = unwrapped(table.geometry)
    good = usable(table, geometry, findings, "Polygon")
    if frame.is_geographic:
        bounds = shapely.bounds(geometry)
        with np.errstate(invalid="ignore"):
            wild = good & ((np.abs(bounds[:, [0, 2]]) > 180) | (np.abs(bounds[:, [1, 3]]) > 90)).any(axis=1)
        findings.reject(wild, "coordinate_out_of_range", "geometry", found=corner(bounds))
        good &= ~wild
    out = np.full(len(table), None, dtype=object)
    out[good] = geometries_to_metric(geometry[good], frame, ground.srid)
    placed = np.flatnonzero(good)
    finite = np.array([np.isfinite(b).all() for b in shapely.bounds(out[placed])], dtype=bool)
    lost = np.zeros(len(table), dtype=bool)
    lost[placed[~finite]] = True
    placed = placed[finite]
    lost[placed[ground.outside_zone(shapely.centroid(out[placed]))]] = True
    findings.reject(lost, "outside_zone", "geometry", found=corner(shapely.bounds(geometry)))
    good &= ~lost
    for row in np.flatnonzero(good & ~shapely.is_valid(out)):
        make_valid(int(row), out, findings)
    parts = shapely.get_num_geometries(out)
    if not multi:
        many = ~blank(out) & (shapely.get_type_id(out) == 6) & (parts > 1)
        findings.reject(many, "geometry_multi_part", "geometry", found=parts)
        out[many] = None
    for row in np.flatnonzero(~blank(out)):
        if multi and out[row].geom_type == "Polygon":
            out[row] = shapely.multipolygons([out[row]])
    out[lost] = None
    return out


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
    names = np.array([g.geom_type if g is not None else "" for g in geometry], dtype=object)
    wrong = ~missing & ~empty & ~np.isin(shapely.get_type_id(geometry), _KINDS[expected])
    findings.reject(wrong, "geometry_wrong_type", "geometry", found=names, expected=expected)
    return ~(missing | empty | wrong)


def corner(bounds: NDArray[np.float64]) -> Objects:
    """The lower corner of each box (n, 4) as text."""
    return np.array([f"{b[0]:.5f}, {b[1]:.5f}" for b in bounds], dtype=object)


def make_valid(row: int, out: Objects, findings: Findings) -> None:
    """Makes the polygon `out[row]` valid and notes it; one that is no polygon afterwards is set aside."""
    before = out[row]
    why = shapely.is_valid_reason(before)
    after = shapely.make_valid(before, method="structure", keep_collapsed=False)
    if after.geom_type not in ("Polygon", "MultiPolygon") or after.area <= 0:
        findings.reject_row(int(row), "geometry_invalid", "geometry", why=why)
        out[row] = None
        return
    findings.repair(row, "geometry_made_valid", "geometry", before.wkt, after.wkt)
    out[row] = after
