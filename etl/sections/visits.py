"""Checks: visits to sites, by whom and with what outcome."""

from typing import Any

import psycopg

from etl import checks, words
from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings
from etl.register_sections import Checks
from etl.sections.own_keys import file_keys
from etl.sections.persons import known_by_name, named_persons, person_ids, take_persons, write_persons
from etl.sections.references import site_ids
from etl.sections.values import Values
from etl.store import Target

__all__ = ["TARGET", "prepare", "resolve"]

TARGET = Target(
    "inspection.visit",
    "local_id",
    types={
        "local_id": "text",
        "site_id": "int8",
        "kind": "text",
        "done_at": "timestamptz",
        "person_id": "int8",
        "outcome": "text",
    },
    name="kind",
)


def prepare(table: Table, section: Checks, frame: Frame | None, ground: Ground, findings: Findings) -> Values:
    """Values of inspection.visit, the person still by name and phone."""
    columns, zone = section.columns, ground.city.timezone
    site = checks.required(checks.texts(table, columns.site), findings, columns.site)
    kind = checks.required(
        checks.texts(table, columns.kind, default=section.kind), findings, columns.kind or "kind"
    )
    done = checks.required(checks.texts(table, columns.done_at), findings, columns.done_at)
    outcome = checks.required(checks.texts(table, columns.outcome), findings, columns.outcome)
    person = checks.texts(table, columns.person)
    values: Values = {
        "local_id": file_keys(table, columns.id, "check", [site, kind, done, person], ground, findings),
        "site_id": site_ids(site, ground, findings, columns.site),
        "kind": checks.allowed(kind, findings, columns.kind or "kind", words.CHECK_KINDS),
        "done_at": checks.times(done, findings, columns.done_at, zone),
        "outcome": checks.allowed(outcome, findings, columns.outcome, words.CHECK_OUTCOMES),
    }
    if columns.person:
        values |= named_persons(table, columns.person, columns.phone)
    return values


def resolve(connection: psycopg.Connection[dict[str, Any]], values: Values, batch_id: int) -> None:
    """The people named become rows of duty.person."""
    if "person_key" in values:
        persons = take_persons(values)
        known_by_name(connection, persons)
        write_persons(connection, persons, batch_id)
        values["person_id"] = person_ids(connection, persons["person_key"])
