"""Staff: the people of cells, units and departments. One row of the file is a person and, where it names one, an office."""

from collections.abc import Callable
from typing import Any

import numpy as np
import psycopg
from numpy.typing import NDArray

from etl import checks, words
from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings
from etl.register_sections import Staff
from etl.sections.persons import named_persons, person_ids, write_persons
from etl.sections.references import cells, departments, units
from etl.sections.spans import refuse_reversed, since
from etl.sections.values import Values, constant, only
from etl.store import Outcome, Target, receiver, take

__all__ = ["TARGET", "StaffReceiver", "prepare"]

_OFFICE = {
    "local_id": "text",
    "person_id": "int8",
    "role": "text",
    "assigned_from": "date",
    "assigned_to": "date",
}
TARGET = Target(
    "duty.grid_staff",
    "local_id",
    retired_by="assigned_to",
    types={**_OFFICE, "cell_code": "text", "trained_at": "date"},
    name="role",
)
_OF_UNITS = Target("duty.unit_staff", "local_id", types={**_OFFICE, "unit_code": "text"}, name="role")
_ROLES = {"cell": ("chief", "worker"), "unit": ("leader", "safety_officer")}


def prepare(table: Table, section: Staff, frame: Frame | None, ground: Ground, findings: Findings) -> Values:
    """Values of a person and of an office in a cell or a unit; of neither where only a department is named."""
    columns = section.columns
    name = checks.required(checks.texts(table, columns.name), findings, columns.name, "name_missing")
    department = departments(
        checks.texts(table, columns.department), ground, findings, columns.department or "department"
    )
    cell = cells(checks.texts(table, columns.cell), ground, findings, columns.cell or "cell")
    unit = units(checks.texts(table, columns.unit), ground, findings, columns.unit or "unit")
    said = [checks.blank(checks.texts(table, c)) for c in (columns.cell, columns.unit, columns.department)]
    findings.reject(np.logical_and.reduce(said), "place_missing", columns.cell or columns.unit)
    in_cell, in_unit = ~checks.blank(cell), checks.blank(cell) & ~checks.blank(unit)
    start = since(table, columns.assigned_from, findings)
    end = checks.dates(
        checks.texts(table, columns.assigned_to), findings, columns.assigned_to or "assigned_to"
    )
    refuse_reversed(start, end, findings, columns.assigned_to or "assigned_to")
    home = np.where(
        checks.blank(unit), np.array([None if c is None else c[:12] for c in cell], dtype=object), unit
    )
    persons = named_persons(
        table,
        columns.name,
        columns.phone,
        department=department,
        unit=home,
        inspects=_inspects(table, section, findings),
    )
    role = _roles(table, section, in_cell, in_unit, findings)
    place = np.where(in_cell, cell, unit)
    values: Values = {
        **persons,
        "name_zh": name,
        "cell_code": only(in_cell, cell),
        "unit_code": only(in_unit, unit),
        "role": role,
        "assigned_from": start,
        "local_id": np.array(
            [
                "/".join(map(str, said))
                for said in zip(place, role, start, persons["person_key"], strict=True)
            ],
            dtype=object,
        ),
    }
    if columns.assigned_to:
        values["assigned_to"] = end
    if columns.trained_at:
        text = checks.texts(table, columns.trained_at)
        values["trained_at"] = checks.dates(text, findings, columns.trained_at)
    return values


def _inspects(table: Table, section: Staff, findings: Findings) -> NDArray[np.object_]:
    column = section.columns.can_admin_inspect
    if column is None:
        return constant(table, None)
    text = checks.texts(table, column)
    return only(~checks.blank(text), checks.flags(text, findings, column, default=False))


def _roles(
    table: Table, section: Staff, in_cell: NDArray[np.bool_], in_unit: NDArray[np.bool_], findings: Findings
) -> NDArray[np.object_]:
    """A cell has chiefs and workers (a worker where nothing is said), a unit leaders and safety officers (who must be told apart)."""
    column = section.columns.role or "role"
    text = checks.texts(table, section.columns.role)
    role = checks.allowed(text, findings, column, words.STAFF_ROLES)
    role = np.where(checks.blank(text) & in_cell, "worker", role)
    findings.reject(in_unit & checks.blank(text), "value_missing", column)
    for rows, place in ((in_cell, "cell"), (in_unit, "unit")):
        expected = ", ".join(_ROLES[place])
        wrong = rows & ~checks.blank(role) & ~np.isin(role, _ROLES[place])
        findings.reject(wrong, "not_allowed", column, found=text, expected=expected)
    return role


class StaffReceiver:
    """Takes the rows of a staff list (some ten thousand at most) and writes them to three registers at the end."""

    def __init__(
        self,
        connection: psycopg.Connection[dict[str, Any]],
        target: Target,
        *,
        srid: int,
        batch_id: int,
        is_empty: bool,
        many: bool,
    ) -> None:
        self._connection, self._srid, self._batch_id = connection, srid, batch_id
        self._chunks: list[tuple[Values, NDArray[np.int64]]] = []

    def add(self, values: Values, row_no: NDArray[np.int64]) -> None:
        """The rows of a chunk, all of them accepted."""
        self._chunks.append((values, row_no))

    def wait(self) -> None:
        """The connection is free: nothing is written before the end."""

    def finish(self, say: Callable[[str], None]) -> Outcome:
        """Writes people, then their offices. A row whose office is as it was but whose person is not, is changed."""
        if not self._chunks:
            return Outcome()
        first, _ = self._chunks[0]
        values = {name: np.concatenate([chunk[name] for chunk, _ in self._chunks]) for name in first}
        row_no = np.concatenate([numbers for _, numbers in self._chunks])
        touched = write_persons(self._connection, values, self._batch_id)
        keys = values["person_key"]
        values["person_id"] = person_ids(self._connection, keys)
        touched_rows = {int(n) for n, key in zip(row_no, keys, strict=True) if key in touched}
        total, same = Outcome(), set[int]()
        for target, place in ((TARGET, "cell_code"), (_OF_UNITS, "unit_code")):
            rows = ~checks.blank(values[place])
            if rows.any():
                _adopt(self._connection, target, place, take(values, rows))
                outcome, unchanged = self._write(target, take(values, rows), row_no[rows], say)
                _add(total, outcome, unchanged & touched_rows)
                same |= unchanged - touched_rows
        idle = {int(n) for n in row_no[checks.blank(values["cell_code"]) & checks.blank(values["unit_code"])]}
        _add_people(total, idle, touched_rows, same)
        total.unchanged_rows = lambda numbers: same & {int(n) for n in numbers}
        return total

    def _write(
        self, target: Target, values: Values, row_no: NDArray[np.int64], say: Callable[[str], None]
    ) -> tuple[Outcome, set[int]]:
        into = receiver(
            self._connection, target, srid=self._srid, batch_id=self._batch_id, is_empty=False, many=False
        )
        into.add({name: values[name] for name in target.types if name in values}, row_no)
        outcome = into.finish(say)
        return outcome, outcome.unchanged_rows(row_no)


def _adopt(
    connection: psycopg.Connection[dict[str, Any]], target: Target, place: str, values: Values
) -> None:
    """An office that was written down by hand gets the key of the file that says the same."""
    said = [list(values[name]) for name in ("local_id", place, "person_id", "role", "assigned_from")]
    same = connection.execute(
        "SELECT t.id, g.local_id"
        " FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::text[], %s::date[]) AS g (local_id, place, person, role, since)"
        f" JOIN {target.table} AS t ON (t.{place}, t.person_id, t.role, t.assigned_from) = (g.place, g.person, g.role, g.since)"
        " WHERE t.local_id IS NULL AND NOT t.is_generated".encode(),
        said,
    ).fetchall()
    for row in same:
        connection.execute(
            f"UPDATE {target.table} SET local_id = %s WHERE id = %s".encode(), (row["local_id"], row["id"])
        )


def _add(total: Outcome, part: Outcome, person_changed: set[int]) -> None:
    total.new += part.new
    total.changed += part.changed + len(person_changed)
    total.unchanged += part.unchanged - len(person_changed)
    for kind, rows in part.examples.items():
        total.examples.setdefault(kind, []).extend(rows)


def _add_people(total: Outcome, idle: set[int], touched: set[int], same: set[int]) -> None:
    """Rows that name a department only are the person alone: new or changed with it."""
    total.changed += len(idle & touched)
    total.unchanged += len(idle - touched)
    same |= idle - touched
