"""Hot-work permits: who may work with fire where, from when to when."""

import numpy as np
import shapely
from numpy.typing import NDArray

from etl import checks, words
from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings
from etl.register_sections import Permits
from etl.sections.references import site_ids, site_points
from etl.sections.spans import refuse_reversed
from etl.sections.values import Values, constant
from etl.store import Target

__all__ = ["TARGET", "prepare"]

TARGET = Target(
    "registry.hot_work_permit",
    "permit_no",
    types={
        "permit_no": "text",
        "site_id": "int8",
        "level": "text",
        "geom": "geometry",
        "starts_at": "timestamptz",
        "ends_at": "timestamptz",
        "watcher": "text",
        "status": "text",
    },
    name="permit_no",
)
# Longest validity, hours (GB 30871-2022).
_LONGEST = {"special": 8, "first": 8, "second": 72}
_LEVEL_ZH = {"special": "特级", "first": "一级", "second": "二级"}


def prepare(
    table: Table, section: Permits, frame: Frame | None, ground: Ground, findings: Findings
) -> Values:
    """Values of registry.hot_work_permit; areas in metres of the zone."""
    columns, zone = section.columns, ground.city.timezone
    site = site_ids(
        checks.required(checks.texts(table, columns.site), findings, columns.site),
        ground,
        findings,
        columns.site,
    )
    level = checks.required(checks.texts(table, columns.level), findings, columns.level)
    level = checks.allowed(level, findings, columns.level, words.PERMIT_LEVELS)
    starts = checks.required(checks.texts(table, columns.starts_at), findings, columns.starts_at)
    starts = checks.times(starts, findings, columns.starts_at, zone)
    ends = checks.required(checks.texts(table, columns.ends_at), findings, columns.ends_at)
    ends = checks.times(ends, findings, columns.ends_at, zone, day_ends=True)
    refuse_reversed(starts, ends, findings, columns.ends_at, or_equal=True)
    status = checks.texts(table, columns.status, default="approved")
    number = checks.required(
        checks.texts(table, columns.permit_no), findings, columns.permit_no, "key_missing"
    )
    values: Values = {
        "permit_no": number,
        "site_id": site,
        "level": level,
        "geom": _areas(table, section, frame, site, ground, findings),
        "starts_at": starts,
        "ends_at": ends,
        "status": checks.allowed(status, findings, columns.status or "status", words.PERMIT_STATUSES),
    }
    if columns.watcher:
        values["watcher"] = checks.texts(table, columns.watcher)
    _warn_of_long_ones(values, findings, columns.ends_at)
    return values


def _areas(
    table: Table,
    section: Permits,
    frame: Frame | None,
    site: NDArray[np.object_],
    ground: Ground,
    findings: Findings,
) -> NDArray[np.object_]:
    """The file's polygons, else circles around its points, else around the sites; None for rows that are set aside."""
    columns = section.columns
    radius = checks.texts(table, columns.radius_m)
    metres = checks.numbers(radius, findings, columns.radius_m or "radius_m", low=0.1, high=1000)
    metres = np.where(checks.blank(metres), section.radius_m, metres).astype(float)
    nowhere = constant(table, None)
    if frame is not None and columns.lon is None and _has_areas(table):
        shapes = checks.polygons(table, frame, ground, findings, multi=False)
        checks.warn_partly_outside(shapes, ground, findings)
        inside = constant(table, None)
        placed = ~checks.blank(shapes)
        inside[placed] = shapely.point_on_surface(shapes[placed])
        checks.within_district(inside, nowhere, ground, findings, section.border_tolerance_m)
        return shapes
    if frame is not None:
        places, _, _ = checks.points(table, columns.lon, columns.lat, frame, ground, findings)
        checks.within_district(places, nowhere, ground, findings, section.border_tolerance_m)
        centres = places.shapes()
    else:
        stands = site_points(site, ground)
        centres = np.array(
            [shapely.Point(stands[one]) if one in stands else None for one in site], dtype=object
        )
    out = constant(table, None)
    known = ~checks.blank(centres)
    out[known] = shapely.buffer(centres[known], metres[known])
    return out


def _has_areas(table: Table) -> bool:
    if table.geometry is None:
        return False
    kinds = shapely.get_type_id(table.geometry)
    return bool(np.isin(kinds, (3, 6)).any())


def _warn_of_long_ones(values: Values, findings: Findings, field: str) -> None:
    for row in np.flatnonzero(findings.accepted):
        level = values["level"][row]
        hours = (values["ends_at"][row] - values["starts_at"][row]).total_seconds() / 3600
        if hours > _LONGEST[level]:
            mask = np.arange(findings.count) == row
            said = {"hours": f"{hours:.0f}", "limit": _LONGEST[level], "level": _LEVEL_ZH[level]}
            findings.warn(mask, "permit_too_long", field, **said)
