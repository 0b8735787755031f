"""Key risk source areas: polygons inside a site."""

import shapely

from etl import checks
from etl.frames import Frame
from etl.ground import Ground
from etl.manifest import KeyRiskAreas
from etl.readers import Table
from etl.reasons import Findings
from etl.sections.levels import LEVELS
from etl.sections.references import site_ids
from etl.sections.values import Values, constant
from etl.store import Target

__all__ = ["TARGET", "prepare"]

TARGET = Target(
    "registry.key_risk_area",
    "code",
    {
        "code": "text",
        "site_id": "int8",
        "name_zh": "text",
        "name_en": "text",
        "kind": "text",
        "level": "text",
        "geom": "geometry",
        "town_code": "text",
        "onboarded_on": "date",
        "retired_on": "date",
    },
)


def prepare(
    table: Table, section: KeyRiskAreas, frame: Frame | None, ground: Ground, findings: Findings
) -> Values:
    """Values of registry.key_risk_area; polygons in metres of the zone."""
    columns = section.columns
    assert frame is not None
    site = checks.required(checks.texts(table, columns.site), findings, columns.site)
    level = checks.required(checks.texts(table, columns.level), findings, columns.level)
    geom = checks.polygons(table, frame, ground, findings, multi=False)
    checks.warn_partly_outside(geom, ground, findings)
    place = constant(table, None)
    placed = ~checks.blank(geom)
    place[placed] = shapely.point_on_surface(geom[placed])
    nowhere = constant(table, None)
    values: Values = {
        "code": checks.required(checks.texts(table, columns.code), findings, columns.code, "key_missing"),
        "site_id": site_ids(site, ground, findings, columns.site),
        "name_zh": checks.required(checks.texts(table, columns.name), findings, columns.name, "name_missing"),
        "kind": checks.required(checks.texts(table, columns.kind), findings, columns.kind),
        "level": checks.allowed(level, findings, columns.level, LEVELS),
        "geom": geom,
        "town_code": checks.within_district(place, nowhere, ground, findings, 0.0),
    }
    if columns.name_en:
        values["name_en"] = checks.texts(table, columns.name_en, default="")
    if columns.onboarded_on:
        day = checks.texts(table, columns.onboarded_on)
        values["onboarded_on"] = checks.dates(day, findings, columns.onboarded_on)
    # The first day on which it is no longer in the network, past or to come; an empty one brings it back.
    if columns.retired_on:
        day = checks.texts(table, columns.retired_on)
        values["retired_on"] = checks.dates(day, findings, columns.retired_on)
    return values
