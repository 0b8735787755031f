"""Enterprise sites: points, known by their credit code, else by the file's own id."""

import numpy as np
from numpy.typing import NDArray

from etl import checks
from etl.frames import Frame
from etl.ground import Ground
from etl.manifest import Sites
from etl.readers import Table
from etl.reasons import Findings
from etl.sections.levels import LEVELS
from etl.sections.named_town import within_named_town
from etl.sections.references import known, refuse_unknown
from etl.sections.values import Values, constant
from etl.store import MATCH, Target

__all__ = ["TARGET", "match_sites", "prepare"]

TARGET = Target(
    "registry.site",
    "local_id",
    fills=True,
    retired_by="active_to",
    said_of_place=("source_frame", "source_x", "source_y"),
    alternative_keys=("uscc",),
    types={
        "uscc": "text",
        "local_id": "text",
        "name_zh": "text",
        "address": "text",
        "rule_code": "text",
        "gbt4754": "text",
        "scale": "text",
        "nine_small": "text",
        "hazard_level": "text",
        "people": "int4",
        "vulnerability": "text",
        "contact_name": "text",
        "contact_phone": "text",
        "visit_cap_per_year": "int4",
        "active_from": "date",
        "active_to": "date",
        "geom": "geometry",
        "town_code": "text",
        "cell_code": "text",
        "source_frame": "text",
        "source_x": "float8",
        "source_y": "float8",
    },
)

_SCALES = {
    "above": "above", "规上": "above", "规模以上": "above",
    "below": "below", "规下": "below", "规模以下": "below",
    "sole_trader": "sole_trader", "个体": "sole_trader", "个体工商户": "sole_trader", "个体户": "sole_trader",
}  # fmt: skip
_VULNERABILITIES = {word: word for word in ("normal", "mixed", "sleeping", "both")}


def prepare(table: Table, section: Sites, frame: Frame | None, ground: Ground, findings: Findings) -> Values:
    """Values of registry.site; points in metres of the zone."""
    columns = section.columns
    assert frame is not None
    local_id = checks.texts(table, columns.id)
    given = checks.texts(table, columns.uscc)
    uscc = checks.usccs(given, findings, columns.uscc or "uscc").copy()
    findings.reject(checks.blank(local_id) & checks.blank(given), "key_missing", columns.uscc or columns.id)
    places, x, y = checks.points(table, columns.lon, columns.lat, frame, ground, findings)
    town = within_named_town(table, columns.town_code, columns.town, places, ground, findings, section)
    name = checks.required(checks.words(table, columns.name), findings, columns.name, "name_missing")
    values: Values = {
        MATCH: match_sites(uscc, local_id, ground, findings),
        "uscc": uscc,
        "local_id": local_id,
        "name_zh": name,
        "geom": places,
        "town_code": town,
        "cell_code": ground.cells_at(places),
        "source_frame": constant(table, frame.name),
        "source_x": x,
        "source_y": y,
    }
    for field, column, default in (
        ("address", columns.address, ""),
        ("gbt4754", columns.gbt4754, ""),
        ("nine_small", columns.nine_small, None),
        ("contact_name", columns.contact_name, None),
        ("contact_phone", columns.contact_phone, None),
    ):
        if column:
            values[field] = checks.words(table, column, default=default)
    for field, column, words in (
        ("hazard_level", columns.hazard_level, LEVELS),
        ("scale", columns.scale, _SCALES),
        ("vulnerability", columns.vulnerability, _VULNERABILITIES),
    ):
        if column:
            values[field] = checks.allowed(checks.words(table, column), findings, column, words)
    for field, column, high in (
        ("people", columns.people, 1_000_000),
        ("visit_cap_per_year", columns.visit_cap_per_year, 366),
    ):
        if column:
            text = checks.words(table, column)
            values[field] = checks.numbers(text, findings, column, low=0, high=high, whole=True)
    if columns.active_from:
        text = checks.words(table, columns.active_from)
        values["active_from"] = checks.dates(text, findings, columns.active_from)
        findings.reject(checks.blank(text), "value_missing", columns.active_from)
    if columns.active_to:
        text = checks.words(table, columns.active_to)
        values["active_to"] = checks.dates(text, findings, columns.active_to)
    if columns.rule:
        rule = checks.texts(table, columns.rule)
        refuse_unknown(
            rule, known(ground, "SELECT code FROM duty.rule"), "unknown_rule", columns.rule, findings
        )
        values["rule_code"] = rule
    return values


def match_sites(
    uscc: NDArray[np.object_], local_id: NDArray[np.object_], ground: Ground, findings: Findings
) -> NDArray[np.object_]:
    """Id of the stored site that each row is, shape (n,), None for a new one.

    A site is known by its credit code, else by the file's own id. A stored one without a code that has the row's id is
    the same site, and takes the code. Written into `uscc` and `local_id`: what the row leaves blank and the stored site
    has. Rows whose code and id belong to two different stored sites are set aside; so are rows of a site that a person
    has merged into another, though that one has their code now: two rows would change one site in turn.
    """
    match = np.full(len(uscc), None, dtype=object)
    if ground.is_empty("registry.site"):
        return match
    wanted = ([k for k in uscc if k is not None], [k for k in local_id if k is not None])
    stored = ground.connection.execute(
        "SELECT id, uscc, local_id FROM registry.site WHERE uscc = ANY (%s) OR local_id = ANY (%s)", wanted
    ).fetchall()
    by_code = {r["uscc"]: r for r in stored if r["uscc"] is not None}
    by_id = {r["local_id"]: r for r in stored if r["local_id"] is not None}
    merged = ground.connection.execute(
        "SELECT a.uscc, a.local_id, s.name_zh FROM registry.site_alias AS a JOIN registry.site AS s ON s.id = a.site_id"
        " WHERE a.uscc = ANY (%s) OR a.local_id = ANY (%s)",
        wanted,
    ).fetchall()
    into = {r["uscc"]: r["name_zh"] for r in merged} | {r["local_id"]: r["name_zh"] for r in merged}
    into.pop(None, None)
    for row in range(len(uscc)):
        code, own = uscc[row], local_id[row]
        coded, named = by_code.get(code), by_id.get(own)
        if named is not None and code is not None and named["uscc"] not in (None, code):
            findings.reject_row(row, "duplicate_in_store", "id", key=own, other=named["uscc"])
        elif coded is not None and named is not None and coded["id"] != named["id"]:
            other = coded["local_id"] or coded["uscc"]
            findings.reject_row(row, "duplicate_in_store", "uscc", key=code, other=other)
        elif named is None and (own in into or code in into):
            findings.reject_row(row, "merged_site", "id", other=into.get(own) or into.get(code))
        elif (found := named or coded) is not None:
            match[row] = found["id"]
            uscc[row], local_id[row] = code or found["uscc"], own or found["local_id"]
    return match
