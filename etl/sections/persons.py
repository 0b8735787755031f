"""People whom rows name: found in the register, or made, when the rows are written."""

import unicodedata
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from etl import checks
from etl.readers import Table
from etl.sections.values import Values, only
from geoapp.database.sql_files import read_sql

__all__ = ["PERSON", "known_by_name", "named_persons", "person_ids", "take_persons", "write_persons"]

PERSON = ("person_key", "person_name", "person_phone", "person_department", "person_unit", "person_inspects")
"""Values of a row about its person; they go to duty.person, and the row gets `person_id` instead."""

Objects = NDArray[np.object_]


def named_persons(
    table: Table,
    name: str | None,
    phone: str | None,
    *,
    department: Objects | None = None,
    unit: Objects | None = None,
    inspects: Objects | None = None,
) -> Values:
    """The values `PERSON` of the rows; all None where a row names nobody.

    A person is known by name and phone. Without a phone, by the name within a department or unit: people of one name
    in two villages are two.
    """
    nobody = np.full(len(table), None, dtype=object)
    names, phones = checks.texts(table, name), checks.texts(table, phone)
    department = nobody if department is None else department
    unit = nobody if unit is None else unit
    keys = nobody.copy()
    for row in np.flatnonzero(~checks.blank(names)):
        phones[row] = _tidy(phones[row])
        keys[row] = f"{names[row]} {phones[row] or '@' + (unit[row] or department[row] or '')}"
    given = ~checks.blank(keys)
    columns = (names, phones, department, unit, nobody if inspects is None else inspects)
    return {
        "person_key": keys,
        **{label: only(given, column) for label, column in zip(PERSON[1:], columns, strict=True)},
    }


def _tidy(phone: str | None) -> str | None:
    if phone is None:
        return None
    return "".join(unicodedata.normalize("NFKC", phone).split()) or None


def take_persons(values: Values) -> Values:
    """Takes the values `PERSON` out of a section's values."""
    return {label: values.pop(label) for label in PERSON}


def write_persons(connection: psycopg.Connection[dict[str, Any]], persons: Values, batch_id: int) -> set[str]:
    """Finds or makes the people of the rows; the keys of those that are new or changed."""
    rows = np.flatnonzero(~checks.blank(persons["person_key"]))
    given: dict[str, Any] = {
        name: [persons[label][row] for row in rows]
        for name, label in zip(
            ("local_id", "name_zh", "phone", "department_code", "unit_code", "can_admin_inspect"),
            PERSON,
            strict=True,
        )
    }
    if not len(rows):
        return set()
    connection.execute(read_sql("staging/persons_known_before").encode(), given)
    written = connection.execute(
        read_sql("staging/persons").encode(), {**given, "batch_id": batch_id}
    ).fetchall()
    return {row["local_id"] for row in written}


def known_by_name(connection: psycopg.Connection[dict[str, Any]], persons: Values) -> None:
    """Rows that say a name and nothing else mean the one person of an import who has it, where there is exactly one."""
    alone = [key for key in set(persons["person_key"]) if key is not None and key.endswith(" @")]
    rows = connection.execute(
        "SELECT name_zh || ' @' AS said, min(local_id) AS key FROM duty.person"
        " WHERE name_zh || ' @' = ANY (%(keys)s) AND local_id IS NOT NULL GROUP BY name_zh"
        " HAVING count(*) = 1 AND NOT bool_or(local_id = ANY (%(keys)s))",
        {"keys": alone},
    ).fetchall()
    meant = {row["said"]: row["key"] for row in rows}
    persons["person_key"] = np.array([meant.get(key, key) for key in persons["person_key"]], dtype=object)


def person_ids(connection: psycopg.Connection[dict[str, Any]], keys: Objects) -> Objects:
    """duty.person.id for each key, None for none."""
    rows = connection.execute(
        "SELECT local_id, id FROM duty.person WHERE local_id = ANY (%s)",
        ([k for k in keys if k is not None],),
    ).fetchall()
    found = {row["local_id"]: row["id"] for row in rows}
    return np.array([None if key is None else found[key] for key in keys], dtype=object)
