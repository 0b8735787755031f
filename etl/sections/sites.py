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
from etl.store import Target

__all__ = ["TARGET", "prepare"]

TARGET = Target(
    "registry.site",
    "local_id",
    {
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
    local_id = checks.texts(table, columns.id)
    uscc = checks.usccs(checks.texts(table, columns.uscc), findings, columns.uscc or "uscc")
    given = checks.texts(table, columns.uscc)
    findings.reject(checks.blank(local_id) & checks.blank(given), "key_missing", columns.uscc or columns.id)
    _refuse_foreign_keys(uscc, local_id, ground, findings)
    assert frame is not None
    geom, x, y = checks.points(table, columns.lon, columns.lat, frame, ground, findings)
    town = within_named_town(table, columns.town_code, columns.town, geom, ground, findings, section)
    values: Values = {
        "uscc": uscc,
        "local_id": local_id,
        "name_zh": checks.required(checks.texts(table, columns.name), findings, columns.name, "name_missing"),
        "geom": geom,
        "town_code": town,
        "cell_code": ground.cells_at(geom),
        "source_frame": constant(table, frame.name),
        "source_x": x.astype(object),
        "source_y": y.astype(object),
    }
    if columns.uscc is None:
        del values["uscc"]
    if columns.id is None:
        del values["local_id"]
    for field, column, default in (
        ("address", columns.address, ""),
        ("gbt4754", columns.gbt4754, ""),
        ("nine_small", columns.nine_small, None),
        ("contact_name", columns.contact_name, None),
        ("contact_phone", columns.contact_phone, None),
    ):
        if column:
            values[field] = checks.texts(table, column, default=default)
    for field, column, words in (
        ("hazard_level", columns.hazard_level, LEVELS),
        ("scale", columns.scale, _SCALES),
        ("vulnerability", columns.vulnerability, _VULNERABILITIES),
    ):
        if column:
            values[field] = checks.allowed(checks.texts(table, column), findings, column, words)
    for field, column, high in (
        ("people", columns.people, 1_000_000),
        ("visit_cap_per_year", columns.visit_cap_per_year, 366),
    ):
        if column:
            text = checks.texts(table, column)
            values[field] = checks.numbers(text, findings, column, low=0, high=high, whole=True)
    if columns.active_from:
        since = checks.dates(checks.texts(table, columns.active_from), findings, columns.active_from)
        findings.reject(
            checks.blank(checks.texts(table, columns.active_from)), "value_missing", columns.active_from
        )
        values["active_from"] = since
    if columns.active_to:
        values["active_to"] = checks.dates(
            checks.texts(table, columns.active_to), findings, columns.active_to
        )
    if columns.rule:
        rule = checks.texts(table, columns.rule)
        refuse_unknown(
            rule, known(ground, "SELECT code FROM duty.rule"), "unknown_rule", columns.rule, findings
        )
        values["rule_code"] = rule
    _warn_of_twins(values, checks.texts(table, columns.address), table, findings)
    return values


def _refuse_foreign_keys(
    uscc: NDArray[np.object_], local_id: NDArray[np.object_], ground: Ground, findings: Findings
) -> None:
    """Sets aside rows whose credit code and local id belong to two different stored sites.

    A stored site without a credit code that has the row's local id is the same site, and takes the code; a row
    without one takes the stored site's (written into `uscc`).
    """
    stored = ground.connection.execute("SELECT uscc, local_id FROM registry.site").fetchall()
    uscc_of = {r["local_id"]: r["uscc"] for r in stored if r["local_id"] is not None}
    id_of = {r["uscc"]: r["local_id"] for r in stored if r["uscc"] is not None}
    for row in np.flatnonzero(~checks.blank(local_id)):
        held = uscc_of.get(local_id[row])
        if uscc[row] is None:
            uscc[row] = held  # a blank does not take a stored code away
        elif held is not None and held != uscc[row]:
            findings.reject_row(int(row), "duplicate_in_store", "id", key=local_id[row], other=held)
        elif uscc[row] in id_of and local_id[row] in uscc_of and held is None:
            other = id_of[uscc[row]] or uscc[row]
            findings.reject_row(int(row), "duplicate_in_store", "uscc", key=uscc[row], other=other)


def _warn_of_twins(values: Values, address: NDArray[np.object_], table: Table, findings: Findings) -> None:
    """Two accepted rows of the same name and address are probably one site: said, never merged in silence."""
    seen: dict[tuple[str, str], int] = {}
    twins: list[tuple[int, int]] = []
    for row in np.flatnonzero(findings.accepted & ~checks.blank(address)):
        key = (values["name_zh"][row], address[row])
        if key in seen:
            twins.append((int(table.row_no[seen[key]]), int(table.row_no[row])))
        seen.setdefault(key, int(row))
    if twins:
        shown = ", ".join(f"{a}={b}" for a, b in twins[:5])
        findings.notices.append(
            f"{len(twins)} 对行名称和地址相同，可能是同一场所 / pair(s) of rows have the same name and address and may be one site "
            f"(both stored): rows {shown}{' …' if len(twins) > 5 else ''}"
        )
