"""Assignments: which department leads or helps for a place type, where, from when, and who answers for it."""

from collections import defaultdict
from datetime import date
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from etl import checks, words
from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings
from etl.register_sections import Assignments
from etl.sections.persons import named_persons, person_ids, take_persons, write_persons
from etl.sections.references import departments, known, refuse_unknown, units
from etl.sections.spans import refuse_reversed, since
from etl.sections.values import Values
from etl.store import MATCH, Target

__all__ = ["TARGET", "prepare", "resolve"]

TARGET = Target(
    "duty.assignment",
    "local_id",
    retired_by="valid_to",
    types={
        "local_id": "text",
        "rule_code": "text",
        "unit_code": "text",
        "department_code": "text",
        "role": "text",
        "status": "text",
        "person_id": "int8",
        "valid_from": "date",
        "valid_to": "date",
        "document_no": "text",
    },
    name="rule_code",
)
_OF_DUTY = ("rule_code", "unit_code", "department_code", "role", "valid_from")
_FOREVER = date.max
_CONFIRMED = ("confirmed", "designated")


def prepare(
    table: Table, section: Assignments, frame: Frame | None, ground: Ground, findings: Findings
) -> Values:
    """Values of duty.assignment, the person still by name and phone. A blank unit is the county."""
    columns = section.columns
    rule = checks.required(checks.texts(table, columns.rule), findings, columns.rule)
    refuse_unknown(rule, known(ground, "SELECT code FROM duty.rule"), "unknown_rule", columns.rule, findings)
    department = checks.required(checks.texts(table, columns.department), findings, columns.department)
    department = departments(department, ground, findings, columns.department)
    unit = units(
        checks.texts(table, columns.unit, default=ground.county_code),
        ground,
        findings,
        columns.unit or "unit",
    )
    role = checks.texts(table, columns.role, default="lead")
    document = checks.texts(table, columns.document_no)
    start = since(table, columns.valid_from, findings)
    end = checks.dates(checks.texts(table, columns.valid_to), findings, columns.valid_to or "valid_to")
    refuse_reversed(start, end, findings, columns.valid_to or "valid_to")
    values: Values = {
        "rule_code": rule,
        "unit_code": unit,
        "department_code": department,
        "role": checks.allowed(role, findings, columns.role or "role", words.DUTY_ROLES),
        "status": _status(table, section, document, findings),
        "valid_from": start,
    }
    values["local_id"] = np.array(
        ["/".join(map(str, said)) for said in zip(*map(values.get, _OF_DUTY), strict=True)], dtype=object
    )
    if columns.valid_to:
        values["valid_to"] = end
    if columns.document_no:
        values["document_no"] = document
    values[MATCH] = _stored_ids(values, ground)
    _warn_of_two_leads(values, end, ground, findings)
    if columns.person:
        values |= named_persons(table, columns.person, columns.phone, department=department)
    return values


def _status(
    table: Table, section: Assignments, document: NDArray[np.object_], findings: Findings
) -> NDArray[np.object_]:
    """The file's word; without one, what a document orders is confirmed, and anything else a proposal."""
    column = section.columns.status
    said = checks.allowed(checks.texts(table, column), findings, column or "status", words.DUTY_STATUSES)
    silent = checks.blank(said)
    if column is None and silent.any():
        proposed = int(checks.blank(document).sum())
        findings.notices.append(
            f"文件没有状态列：有文号的按“已确认”，其余按“拟定”保存（本批 {proposed} 行拟定） / no column for the status: rows with a "
            f"document number are stored as confirmed, the others as proposed ({proposed} of these rows), which leaves the duty open"
        )
    return np.where(silent, np.where(checks.blank(document), "proposed", "confirmed"), said)


def _stored_ids(values: Values, ground: Ground) -> NDArray[np.object_]:
    """The stored assignment that says the same, whoever wrote it there; None for a new one."""
    asked: list[list[Any]] = [list(values[name]) for name in _OF_DUTY]
    rows = ground.connection.execute(
        "SELECT g.n, a.id FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[], %s::date[]) WITH ORDINALITY"
        " AS g (rule, unit, department, role, since, n)"
        " JOIN duty.assignment AS a ON (a.rule_code, a.unit_code, a.department_code, a.role, a.valid_from)"
        " = (g.rule, g.unit, g.department, g.role, g.since)",
        asked,
    ).fetchall()
    out = np.full(len(asked[0]), None, dtype=object)
    for row in rows:
        out[row["n"] - 1] = row["id"]
    return out


def _warn_of_two_leads(values: Values, end: NDArray[np.object_], ground: Ground, findings: Findings) -> None:
    """Two departments that lead one place type in one unit at one time are both stored, and shown as a gap."""
    leads = findings.accepted & (values["role"] == "lead") & np.isin(values["status"], _CONFIRMED)
    held: dict[tuple[str, str], list[tuple[str, date, date]]] = defaultdict(list)
    stored = ground.connection.execute(
        "SELECT rule_code, unit_code, department_code, valid_from, valid_to FROM duty.assignment"
        " WHERE role = 'lead' AND status = ANY (%s) AND rule_code = ANY (%s)",
        (list(_CONFIRMED), [str(code) for code in set(values["rule_code"][leads])]),
    ).fetchall()
    for row in stored:
        spell = (row["department_code"], row["valid_from"], row["valid_to"] or _FOREVER)
        held[row["rule_code"], row["unit_code"]].append(spell)
    for index in np.flatnonzero(leads):
        duty = values["rule_code"][index], values["unit_code"][index]
        mine = (values["department_code"][index], values["valid_from"][index], end[index] or _FOREVER)
        others = {d for d, start, stop in held[duty] if d != mine[0] and start < mine[2] and mine[1] < stop}
        if others:
            findings.warn(
                np.arange(findings.count) == index, "two_leads", "department",
                rule=duty[0], unit=ground.units[duty[1]].name, other=", ".join(sorted(others)),
            )  # fmt: skip
        held[duty].append(mine)


def resolve(connection: psycopg.Connection[dict[str, Any]], values: Values, batch_id: int) -> None:
    """The people named become rows of duty.person."""
    if "person_key" in values:
        persons = take_persons(values)
        write_persons(connection, persons, batch_id)
        values["person_id"] = person_ids(connection, persons["person_key"])
