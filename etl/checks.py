"""Checks of columns and geometries: each gives the values to store and notes why a row cannot be."""

import re
import unicodedata
from datetime import date
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.frames import Frame, geometries_to_metric
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings
from geoapp.registry.identifiers import uscc_problem

__all__ = [
    "allowed",
    "blank",
    "dates",
    "divisions",
    "flags",
    "numbers",
    "points",
    "polygons",
    "required",
    "texts",
    "usccs",
    "within_district",
]

Objects = NDArray[np.object_]
Bool = NDArray[np.bool_]

_YES = frozenset({"是", "有", "true", "yes", "y", "1", "t"})
_NO = frozenset({"否", "无", "false", "no", "n", "0", "f"})


def blank(values: Objects) -> Bool:
    """Mask of the values that are not given."""
    return np.fromiter((value is None for value in values), dtype=bool, count=len(values))


def texts(table: Table, column: str | None, *, default: str | None = None) -> Objects:
    """A column's text, blanks as `default`; all `default` when the manifest names no column."""
    out = np.full(len(table), default, dtype=object)
    if column is not None:
        given = ~blank(table.columns[column])
        out[given] = table.columns[column][given]
    return out


def required(values: Objects, findings: Findings, field: str, code: str = "value_missing") -> Objects:
    """The same values; rows where it is blank are set aside."""
    findings.reject(blank(values), code, field)
    return values


def numbers(
    values: Objects, findings: Findings, field: str, *, low: float, high: float, whole: bool = False
) -> Objects:
    """Numbers from text (None for a blank), within low..high, as float or, when `whole`, int."""
    out = np.full(len(values), None, dtype=object)
    for row in np.flatnonzero(~blank(values)):
        number = _number(values[row])
        if number is None or (whole and not number.is_integer()):
            findings.reject_row(int(row), "not_a_number", field, found=values[row])
        elif not low <= number <= high:
            expected = f"{low:g}..{high:g}"
            findings.reject_row(int(row), "out_of_range", field, found=values[row], expected=expected)
        else:
            out[row] = int(number) if whole else number
    return out


def _number(text: str) -> float | None:
    try:
        number = float(unicodedata.normalize("NFKC", text).strip().rstrip("°"))
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def allowed(values: Objects, findings: Findings, field: str, words: dict[str, str]) -> Objects:
    """The stored word for each text (`words` maps what a file may say to what is stored); others are set aside."""
    out = np.full(len(values), None, dtype=object)
    for row in np.flatnonzero(~blank(values)):
        out[row] = words.get(unicodedata.normalize("NFKC", values[row]).lower())
    wrong = blank(out) & ~blank(values)
    findings.reject(
        wrong, "not_allowed", field, found=values, expected=" ".join(dict.fromkeys(words.values()))
    )
    return out


def flags(values: Objects, findings: Findings, field: str, *, default: bool) -> Objects:
    """True or false from 是/否, yes/no, 1/0; blanks are `default`."""
    words = dict.fromkeys(_YES, "yes") | dict.fromkeys(_NO, "no")
    said = allowed(values, findings, field, words)
    return np.where(blank(said), default, said == "yes").astype(object)


def dates(values: Objects, findings: Findings, field: str) -> Objects:
    """Dates from 2026-11-22, 2026/11/22, 2026.11.22, 20261122 or 2026年11月22日 (a time of day is dropped)."""
    out = np.full(len(values), None, dtype=object)
    for row in np.flatnonzero(~blank(values)):
        match = re.match(r"^(\d{4})\D?(\d{1,2})\D?(\d{1,2})(?:日|\D.*)?$", values[row])
        try:
            out[row] = date(*(int(part) for part in match.groups())) if match else None
        except ValueError:
            out[row] = None
    findings.reject(blank(out) & ~blank(values), "not_a_date", field, found=values)
    return out


def usccs(values: Objects, findings: Findings, field: str) -> Objects:
    """Unified social credit codes, half-width and in capitals; a wrong one sets its row aside, a blank does not."""
    out = np.full(len(values), None, dtype=object)
    for row in np.flatnonzero(~blank(values)):
        tidy = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", values[row])).upper()
        why = uscc_problem(tidy)
        if why is not None:
            findings.reject_row(int(row), "uscc_invalid", field, found=values[row], why=why)
            continue
        if tidy != values[row]:
            findings.repair(int(row), "uscc_tidied", field, values[row], tidy)
        out[row] = tidy
    return out


def divisions(values: Objects, findings: Findings, field: str) -> Objects:
    """12-digit division codes; the short forms of 6 (county) and 9 digits (town) are filled up and noted as repaired."""
    out = np.full(len(values), None, dtype=object)
    for row in np.flatnonzero(~blank(values)):
        if re.fullmatch(r"\d{12}|\d{9}|\d{6}", values[row]):
            out[row] = values[row].ljust(12, "0")
            if out[row] != values[row]:
                findings.repair(int(row), "unit_code_padded", field, values[row], out[row])
    findings.reject(blank(out) & ~blank(values), "unit_code_invalid", field, found=values)
    return out


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
        geometry = _unwrapped(table.geometry)
        _usable(table, geometry, findings, "Point")
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


def _unwrapped(geometry: Objects) -> Objects:
    """Multi-geometries of one part as that part: many programs write every shape as multi."""
    single = (shapely.get_type_id(geometry) >= 4) & (shapely.get_num_geometries(geometry) == 1)
    out = geometry.copy()
    out[single] = shapely.get_geometry(geometry[single], 0)
    return out


def _usable(table: Table, geometry: Objects, findings: Findings, expected: str) -> Bool:
    """Mask of the geometries that are there, not empty and of the expected kind (Point or Polygon)."""
    missing = shapely.is_missing(geometry)
    unread = np.zeros(len(table), dtype=bool)
    unread[[row for row, (code, _) in table.damaged.items() if code == "geometry_unreadable"]] = True
    findings.reject(missing & ~unread, "geometry_missing", "geometry")
    empty = ~missing & shapely.is_empty(geometry)
    findings.reject(empty, "geometry_empty", "geometry")
    kinds = (0,) if expected == "Point" else (3, 6)
    names = np.array([g.geom_type if g is not None else "" for g in geometry], dtype=object)
    wrong = ~missing & ~empty & ~np.isin(shapely.get_type_id(geometry), kinds)
    findings.reject(wrong, "geometry_wrong_type", "geometry", found=names, expected=expected)
    return ~(missing | empty | wrong)


def polygons(table: Table, frame: Frame, ground: Ground, findings: Findings, *, multi: bool) -> Objects:
    """Polygons (MultiPolygons when `multi`) in metres of the city's zone; None for rows that are set aside.

    A shape that crosses itself is made valid and noted with its form before and after; one that is no polygon
    afterwards is set aside.
    """
    assert table.geometry is not None
    geometry = _unwrapped(table.geometry)
    good = _usable(table, geometry, findings, "Polygon")
    if frame.is_geographic:
        bounds = shapely.bounds(geometry)
        with np.errstate(invalid="ignore"):
            wild = good & ((np.abs(bounds[:, [0, 2]]) > 180) | (np.abs(bounds[:, [1, 3]]) > 90)).any(axis=1)
        findings.reject(wild, "coordinate_out_of_range", "geometry", found=_corner(bounds))
        good &= ~wild
    out = np.full(len(table), None, dtype=object)
    out[good] = geometries_to_metric(geometry[good], frame, ground.srid)
    placed = np.flatnonzero(good)
    finite = np.array([np.isfinite(b).all() for b in shapely.bounds(out[placed])], dtype=bool)
    lost = np.zeros(len(table), dtype=bool)
    lost[placed[~finite]] = True
    placed = placed[finite]
    lost[placed[ground.outside_zone(shapely.centroid(out[placed]))]] = True
    findings.reject(lost, "outside_zone", "geometry", found=_corner(shapely.bounds(geometry)))
    good &= ~lost
    for row in np.flatnonzero(good & ~shapely.is_valid(out)):
        _make_valid(int(row), out, findings)
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


def _corner(bounds: NDArray[np.float64]) -> Objects:
    return np.array([f"{b[0]:.5f}, {b[1]:.5f}" for b in bounds], dtype=object)


def _make_valid(row: int, out: Objects, findings: Findings) -> None:
    before = out[row]
    why = shapely.is_valid_reason(before)
    after = shapely.make_valid(before, method="structure", keep_collapsed=False)
    if after.geom_type not in ("Polygon", "MultiPolygon") or after.area <= 0:
        findings.reject_row(int(row), "geometry_invalid", "geometry", why=why)
        out[row] = None
        return
    findings.repair(row, "geometry_made_valid", "geometry", before.wkt, after.wkt)
    out[row] = after


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
