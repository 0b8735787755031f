"""Checks of places: points in metres of the city's zone, inside the district and the town that the row names."""

from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from etl.binary_copy import Places
from etl.checks.polygons import unwrapped, usable
from etl.checks.values import Bool, Objects, _number, blank
from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings

__all__ = ["points", "within_district"]

Floats = NDArray[np.float64]


def _coordinates(table: Table, column: str, findings: Findings) -> Floats:
    """A column's numbers, shape (n,); NaN, with the reason noted, where there is none."""
    numbers = table.numbers(column)
    if numbers is not None and np.isfinite(numbers).all():
        return numbers
    values = table.columns[column]
    out = np.full(len(values), np.nan)
    given = ~blank(values)
    try:
        out[given] = values[given].astype(np.float64)
    except ValueError:
        for row in np.flatnonzero(given):
            number = _number(values[row])
            out[row] = np.nan if number is None else number
    findings.reject(~given, "coordinate_missing", column)
    wrong = given & ~np.isfinite(out)
    findings.reject(wrong, "coordinate_not_number", column, found=values)
    out[wrong] = np.nan
    return out


def _own_points(table: Table, findings: Findings) -> tuple[Floats, Floats]:
    """Coordinates of the file's own points; NaN, with the reason noted, where a row has none that can be used."""
    found = table.points()
    if found is not None and np.isfinite(found[0]).all() and np.isfinite(found[1]).all():
        return found
    assert table.geometry is not None
    geometry = unwrapped(table.geometry)
    usable(table, geometry, findings, "Point")
    is_point = (shapely.get_type_id(geometry) == 0) & ~shapely.is_empty(geometry)
    x, y = np.full(len(geometry), np.nan), np.full(len(geometry), np.nan)
    # Asked for an empty point's coordinate, shapely raises.
    x[is_point], y[is_point] = shapely.get_x(geometry[is_point]), shapely.get_y(geometry[is_point])
    return x, y


def _shown(x: Floats, y: Floats, rows: Bool) -> Objects:
    """The coordinates as text, for the rows of a mask only: a text for every good row would cost more than the check."""
    out = np.full(len(x), None, dtype=object)
    for row in np.flatnonzero(rows):
        out[row] = f"{x[row]:.6f}, {y[row]:.6f}"
    return out


def points(
    table: Table, x_column: str | None, y_column: str | None, frame: Frame, ground: Ground, findings: Findings
) -> tuple[Places, Floats, Floats]:
    """Points in metres of the city's zone, and the coordinates as the file has them, each of shape (n,).

    From the two columns where the manifest names them, else from the file's geometry. Rows without a usable
    position are set aside; their place is NaN.
    """
    if x_column and y_column:
        x, y = _coordinates(table, x_column, findings), _coordinates(table, y_column, findings)
    else:
        x, y = _own_points(table, findings)
    sane = np.isfinite(x) & np.isfinite(y)
    if frame.is_geographic:
        # 0, 0 is what a blank becomes on its way through other programs.
        null_island = sane & (x == 0) & (y == 0)
        findings.reject(null_island, "coordinate_missing", "lon, lat")
        swapped = sane & (np.abs(y) > 90) & (np.abs(x) <= 90)
        findings.reject(swapped, "coordinate_swapped", "lon, lat", found=_shown(x, y, swapped))
        wild = sane & ~swapped & ((np.abs(x) > 180) | (np.abs(y) > 90))
        findings.reject(wild, "coordinate_out_of_range", "lon, lat", found=_shown(x, y, wild))
        sane &= ~(null_island | swapped | wild)
    found = ground.metric_places(np.where(sane, x, np.nan), np.where(sane, y, np.nan), frame)
    lost = sane & (~found.known | ground.outside_zone(found))
    findings.reject(lost, "outside_zone", "lon, lat", found=_shown(x, y, lost))
    return Places(np.where(lost, np.nan, found.x), np.where(lost, np.nan, found.y)), x, y


def within_district(
    found: Places | Objects, named: Objects, ground: Ground, findings: Findings, tolerance_m: float
) -> Objects:
    """The town of each point, by location; points outside the district or the town they name are set aside.

    `found`: Places or shapely points, metres of the city's zone. `named`: town code or name as the row gives it, None
    where it gives none. A town without a known outline cannot be compared: its own word is then taken.
    """
    places = found if isinstance(found, Places) else ground.places_of(found)
    codes = _named_codes(named, ground)
    findings.reject(blank(codes) & ~blank(named), "unknown_town", "town", found=named)
    if ground.district is None:
        note = "库中没有行政区边界，位置未核对 / no outline of the district is stored: positions were not compared with it"
        findings.notices.append(note)
        return codes
    known = places.known
    # The prepared outline says quickly who is inside; only for the others is the distance worth its time.
    away = known & ~shapely.intersects_xy(ground.district, places.x, places.y)
    metres = np.zeros(len(known))
    if away.any():
        metres[away] = shapely.distance(places.take(away).shapes(), ground.district)
    outside = metres > tolerance_m
    district = f"{ground.city.name_zh} {ground.city.name_en}"
    findings.reject(outside, "outside_district", "lon, lat", district=district, metres=_round(metres))
    towns = ground.towns_at(places, codes)
    _compare_with_named(towns, codes, places, known & ~outside, ground, findings, tolerance_m)
    homeless = known & blank(towns)
    if homeless.any():
        towns[homeless] = ground.nearest_town(places.take(homeless).shapes(), tolerance_m)
    return towns


def _named_codes(named: Objects, ground: Ground) -> Objects:
    """The town's code for what each row names; one look-up for each word that the rows use."""
    place, words = pd.factorize(named)
    codes = np.array([*(ground.town_code(word) for word in words), None], dtype=object)
    return codes[place]  # a blank has place -1: the last


def _compare_with_named(
    towns: Objects,
    codes: Objects,
    places: Places,
    rows: Bool,
    ground: Ground,
    findings: Findings,
    tolerance_m: float,
) -> None:
    differs = np.flatnonzero(rows & ~blank(codes) & (towns != codes))
    for row in differs:
        town = ground.units[codes[row]]
        if town.geom is None:
            towns[row] = town.code
            continue
        gap = shapely.distance(shapely.points(places.x[row], places.y[row]), town.geom)
        if gap > tolerance_m:
            findings.reject_row(int(row), "outside_named_town", "town", town=town.name, metres=f"{gap:.0f}")
        else:
            towns[row] = town.code


def _round(metres: Floats) -> Any:
    out = np.full(len(metres), None, dtype=object)
    for row in np.flatnonzero(metres):
        out[row] = f"{metres[row]:.0f}"
    return out
