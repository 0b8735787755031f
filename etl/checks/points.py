"""Checks of places: points in metres of the city's zone, inside the district and the town that the row names."""

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.checks.polygons import unwrapped, usable
from etl.checks.values import Objects, _number, blank
from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings

__all__ = ["points", "within_district"]


def _coordinates(values: Objects, findings: Findings, field: str) -> NDArray[np.float64]:
    out = np.full(len(values), np.nan)
    given = ~blank(values)
    try:
        out[given] = values[given].astype(np.float64)
    except ValueError:
        for row in np.flatnonzero(given):
            number = _number(values[row])
            out[row] = np.nan if number is None else number
    findings.reject(~given, "coordinate_missing", field)
    wrong = given & ~np.isfinite(out)
    findings.reject(wrong, "coordinate_not_number", field, found=values)
    out[wrong] = np.nan
    return out


def points(
    table: Table, x_column: str | None, y_column: str | None, frame: Frame, ground: Ground, findings: Findings
) -> tuple[Objects, NDArray[np.float64], NDArray[np.float64]]:
    """Points in metres of the city's zone, and the coordinates as the file has them.

    From the two columns where the manifest names them, else from the file's geometry. Rows without a usable
    position are set aside; their point is None.
    """
    if x_column and y_column:
        x = _coordinates(table.columns[x_column], findings, x_column)
        y = _coordinates(table.columns[y_column], findings, y_column)
    else:
        assert table.geometry is not None
        geometry = unwrapped(table.geometry)
        usable(table, geometry, findings, "Point")
        is_point = shapely.get_type_id(geometry) == 0
        x = np.where(is_point, shapely.get_x(geometry), np.nan)
        y = np.where(is_point, shapely.get_y(geometry), np.nan)
    sane = np.isfinite(x) & np.isfinite(y)
    shown = np.array([f"{a:.6f}, {b:.6f}" for a, b in zip(x, y, strict=True)], dtype=object)
    if frame.is_geographic:
        # 0, 0 is what a blank becomes on its way through other programs.
        null_island = sane & (x == 0) & (y == 0)
        findings.reject(null_island, "coordinate_missing", "lon, lat")
        swapped = sane & (np.abs(y) > 90) & (np.abs(x) <= 90)
        findings.reject(swapped, "coordinate_swapped", "lon, lat", found=shown)
        wild = sane & ~swapped & ((np.abs(x) > 180) | (np.abs(y) > 90))
        findings.reject(wild, "coordinate_out_of_range", "lon, lat", found=shown)
        sane &= ~(null_island | swapped | wild)
    found = np.full(len(table), None, dtype=object)
    found[sane] = ground.metric_points(x[sane], y[sane], frame)
    lost = sane & blank(found)
    placed = np.flatnonzero(sane & ~lost)
    lost[placed[ground.outside_zone(found[placed])]] = True
    findings.reject(lost, "outside_zone", "lon, lat", found=shown)
    found[lost] = None
    return found, x, y


def within_district(
    found: Objects, named: Objects, ground: Ground, findings: Findings, tolerance_m: float
) -> Objects:
    """The town of each point, by location; points outside the district or the town they name are set aside.

    `named`: town code or name as the row gives it, None where it gives none. A town without a known outline
    cannot be compared: its own word is then taken.
    """
    codes = np.full(len(found), None, dtype=object)
    for row in np.flatnonzero(~blank(named)):
        codes[row] = ground.town_code(named[row])
    findings.reject(blank(codes) & ~blank(named), "unknown_town", "town", found=named)
    placed = np.flatnonzero(~blank(found))
    if ground.district is None:
        findings.notices.append(
            "库中没有行政区边界，位置未核对 / no outline of the district is stored: positions were not compared with it"
        )
        return codes
    # The prepared outline says quickly who is inside; only for the others is the distance worth its time.
    away = placed[~shapely.intersects(ground.district, found[placed])]
    metres = np.zeros(len(found))
    metres[away] = shapely.distance(found[away], ground.district)
    outside = metres > tolerance_m
    district = f"{ground.city.name_zh} {ground.city.name_en}"
    findings.reject(outside, "outside_district", "lon, lat", district=district, metres=_round(metres))
    towns = np.full(len(found), None, dtype=object)
    towns[placed] = ground.towns_at(found[placed], codes[placed])
    for row in placed[~outside[placed]]:
        town = ground.units.get(codes[row]) if codes[row] else None
        if town is None:
            continue
        if town.geom is None:
            towns[row] = town.code
            continue
        gap = 0.0 if towns[row] == town.code else shapely.distance(found[row], town.geom)
        if gap > tolerance_m:
            findings.reject_row(int(row), "outside_named_town", "town", town=town.name, metres=f"{gap:.0f}")
        elif gap > 0:
            towns[row] = town.code
    homeless = np.flatnonzero(~blank(found) & blank(towns))
    towns[homeless] = ground.nearest_town(found[homeless], tolerance_m)
    return towns


def _round(metres: NDArray[np.float64]) -> Any:
    return np.array([f"{m:.0f}" for m in metres], dtype=object)
