"""Checked rows into a register table, chunk by chunk, by binary COPY.

An empty register is filled at once, its indexes made afterwards. Into any other, rows go to a temporary table first and
are compared with what is stored: only what is new or changed is written, and what it was before is kept.
A chunk is encoded and sent by a thread of its own while the next one is read and checked.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import sql

from etl.binary_copy import HEADER, TRAILER, Places, encode
from etl.indexes_later import without_indexes

__all__ = ["MATCH", "MOVED_M", "Outcome", "Receiver", "Target", "receiver", "take"]

Connection = psycopg.Connection[dict[str, Any]]
Values = dict[str, Any]

MATCH = "match_id"
"""Name among the values under which a section gives the id of the stored row that a row is (None: a new one)."""
MOVED_M = 5.0
"""A stored row that lies further than this from where it was has moved, metres."""
# The same place, given again with other digits or in another frame, is no change: metres.
_SAME_PLACE_M = 0.001
_EXAMPLES = 20


@dataclass(frozen=True)
class Target:
    """A register table: its key column, and the PostgreSQL type of each column that an import may write.

    `counts_versions`: the table has a `version` that a change must raise (where no trigger does it). `row_id`: its
    primary key. `fills`: an empty one is filled without a detour. `retired_by`: the date column that ends a row.
    `said_of_place`: columns that only say how the place was given; a difference in them alone is no change.
    """

    table: str
    key: str
    types: dict[str, str]
    counts_versions: bool = False
    has_batch: bool = True
    has_generated: bool = True
    row_id: str = "id"
    fills: bool = False
    retired_by: str | None = None
    said_of_place: tuple[str, ...] = ()
    name: str = "name_zh"
    alternative_keys: tuple[str, ...] = ()

    @property
    def identifier(self) -> sql.Identifier:
        """The table's qualified name, quoted."""
        return sql.Identifier(*self.table.split("."))


@dataclass
class Outcome:
    """What became of the rows of one file. `examples`: up to 20 rows each of new, changed, moved: key and name."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    moved: int = 0
    examples: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    unchanged_rows: Callable[[NDArray[np.int64]], set[int]] = lambda row_no: set()
    """Which of some row numbers were stored already with the same values."""


class Receiver(Protocol):
    """Takes checked rows, chunk by chunk, and says at the end what became of them."""

    def add(self, values: Values, row_no: NDArray[np.int64]) -> None:
        """The rows of a chunk, all of them accepted."""

    def wait(self) -> None:
        """Returns when the connection is free; raises what went wrong while a chunk was written."""

    def finish(self, say: Callable[[str], None]) -> Outcome:
        """After the last chunk: everything is in the register, inside the open transaction."""


def take(values: Values, rows: NDArray[Any]) -> Values:
    """The values of a mask or of row indices; arrays may be numpy, Arrow or Places."""
    out = {}
    for name, column in values.items():
        if isinstance(column, Places):
            out[name] = column.take(rows)
        elif isinstance(column, np.ndarray):
            out[name] = column[rows]
        else:
            out[name] = column.filter(rows) if rows.dtype == bool else column.take(rows)
    return out


def receiver(
    connection: Connection, target: Target, *, srid: int, batch_id: int, is_empty: bool, many: bool
) -> Receiver:
    """The way into a register: `is_empty` says that it holds no row, `many` that the file fills more than a chunk."""
    if target.fills and is_empty:
        return _Filling(connection, target, srid, batch_id, many=many)
    return _Comparing(connection, target, srid, batch_id)


class _Sending:
    """One thread that writes chunks on the connection, one after the other."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="copy")
        self._pending: Future[None] | None = None

    def send(self, table: sql.Composable, values: Values, types: dict[str, str], srid: int) -> None:
        self.wait()
        self._pending = self._pool.submit(self._copy, table, values, types, srid)

    def _copy(self, table: sql.Composable, values: Values, types: dict[str, str], srid: int) -> None:
        body = encode(values, types, srid=srid)
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
            table, sql.SQL(", ").join(map(sql.Identifier, values))
        )
        with self.connection.cursor().copy(statement) as copy:
            copy.write(HEADER)
            if body.size:
                copy.write(body.to_pybytes())
            copy.write(TRAILER)

    def wait(self) -> None:
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        try:
            self.wait()
        finally:
            self._pool.shutdown()


class _Filling:
    """Straight into an empty register: every row is new."""

    def __init__(
        self, connection: Connection, target: Target, srid: int, batch_id: int, *, many: bool
    ) -> None:
        self._target, self._srid, self._batch_id = target, srid, batch_id
        self._connection = connection
        self._sending = _Sending(connection)
        self._restore = without_indexes(connection, target.table) if many else None
        self._outcome = Outcome()

    def add(self, values: Values, row_no: NDArray[np.int64]) -> None:
        target = self._target
        rows = {name: column for name, column in values.items() if name != MATCH}
        if target.has_batch:
            rows["batch_id"] = np.full(len(row_no), self._batch_id, dtype=np.int64)
        self._outcome.new += len(row_no)
        _example(self._outcome, values, target)
        self._sending.send(target.identifier, rows, {**target.types, "batch_id": "int8"}, self._srid)

    def wait(self) -> None:
        self._sending.wait()

    def finish(self, say: Callable[[str], None]) -> Outcome:
        self._sending.close()
        if self._restore is not None:
            say("索引 / indexes")
            self._restore()
        return self._outcome


def _example(outcome: Outcome, values: Values, target: Target) -> None:
    found = outcome.examples.setdefault("new", [])
    columns = [c for c in (target.key, *target.alternative_keys, target.name) if c in values]
    for row in range(min(_EXAMPLES - len(found), len(values[columns[0]]))):
        found.append({c: _python(values[c][row]) for c in dict.fromkeys(columns)})


def _python(value: Any) -> Any:
    return value.as_py() if hasattr(value, "as_py") else value


class _Comparing:
    """Through a temporary table: rows are compared with those stored before anything is written."""

    def __init__(self, connection: Connection, target: Target, srid: int, batch_id: int) -> None:
        self._connection, self._target, self._srid, self._batch_id = connection, target, srid, batch_id
        self._sending = _Sending(connection)
        self._columns: list[str] = []

    def add(self, values: Values, row_no: NDArray[np.int64]) -> None:
        self._sending.wait()
        if not self._columns:
            self._columns = list(values)
            self._make_table()
        rows = {"row_no": row_no.astype(np.int32), **{name: values[name] for name in self._columns}}
        types = {**self._target.types, "row_no": "int4", MATCH: "int8"}
        self._sending.send(sql.SQL("pg_temp.incoming"), rows, types, self._srid)

    def wait(self) -> None:
        self._sending.wait()

    def _make_table(self) -> None:
        columns = sql.SQL(", ").join(
            sql.SQL("0::bigint AS {}").format(sql.Identifier(MATCH))
            if name == MATCH
            else sql.Identifier(name)
            for name in self._columns
        )
        self._connection.execute("DROP TABLE IF EXISTS pg_temp.incoming, pg_temp.verdict")
        self._connection.execute(
            sql.SQL(
                "CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT 0 AS row_no, {} FROM {} WITH NO DATA"
            ).format(columns, self._target.identifier)
        )

    def finish(self, say: Callable[[str], None]) -> Outcome:
        self._sending.close()
        if not self._columns:
            return Outcome()
        say("比较 / comparing")
        self._connection.execute("ANALYZE pg_temp.incoming")
        self._judge()
        outcome = self._outcome()
        # A statement that touches no row would still raise the layer's version.
        if outcome.changed:
            self._keep_what_was()
            self._update()
        if outcome.new:
            self._insert()
        return outcome

    @property
    def _written(self) -> list[str]:
        return [name for name in self._columns if name != MATCH]

    def _judge(self) -> None:
        target = self._target
        matched = (
            sql.SQL("t.{id} = i.{match}").format(
                id=sql.Identifier(target.row_id), match=sql.Identifier(MATCH)
            )
            if MATCH in self._columns
            else sql.SQL("t.{key} = i.{key}").format(key=sql.Identifier(target.key))
        )
        differs = [
            _differs(name, target.types[name])
            for name in self._written
            if name not in target.said_of_place and not (name == target.key and MATCH not in self._columns)
        ]
        moved = (
            sql.SQL("coalesce(ST_Distance(t.geom, i.geom) > {}, false)").format(sql.Literal(MOVED_M))
            if "geom" in self._columns
            else sql.SQL("false")
        )
        self._connection.execute(
            sql.SQL(
                "CREATE TEMP TABLE verdict ON COMMIT DROP AS SELECT i.row_no, t.{id} AS row_id,"
                " CASE WHEN t.{id} IS NULL THEN 'new' WHEN {differs} THEN 'changed' ELSE 'unchanged' END AS outcome,"
                " {moved} AS moved FROM pg_temp.incoming AS i LEFT JOIN {table} AS t ON {matched}"
            ).format(
                id=sql.Identifier(target.row_id),
                differs=sql.SQL(" OR ").join(differs) if differs else sql.SQL("false"),
                moved=moved,
                table=target.identifier,
                matched=matched,
            )
        )
        self._connection.execute("CREATE INDEX ON pg_temp.verdict (row_no)")
        self._connection.execute("ANALYZE pg_temp.verdict")

    def _outcome(self) -> Outcome:
        counts = self._connection.execute(
            "SELECT count(*) FILTER (WHERE outcome = 'new') AS new, count(*) FILTER (WHERE outcome = 'changed') AS changed,"
            " count(*) FILTER (WHERE outcome = 'unchanged') AS unchanged,"
            " count(*) FILTER (WHERE outcome = 'changed' AND moved) AS moved FROM pg_temp.verdict"
        ).fetchone()
        assert counts is not None
        outcome = Outcome(**counts)
        for kind, condition in (
            ("new", "v.outcome = 'new'"),
            ("changed", "v.outcome = 'changed' AND NOT v.moved"),
            ("moved", "v.outcome = 'changed' AND v.moved"),
        ):
            outcome.examples[kind] = self._connection.execute(
                sql.SQL(
                    "SELECT {columns} FROM pg_temp.verdict AS v JOIN pg_temp.incoming AS i USING (row_no) WHERE {condition}"
                    " ORDER BY row_no LIMIT {n}"
                ).format(
                    columns=sql.SQL(", ").join(
                        sql.SQL("i.{}").format(sql.Identifier(c)) for c in self._example_columns
                    ),
                    condition=sql.SQL(condition),
                    n=sql.Literal(_EXAMPLES),
                )
            ).fetchall()
        outcome.unchanged_rows = self._unchanged_rows
        return outcome

    @property
    def _example_columns(self) -> list[str]:
        target = self._target
        wanted = (target.key, *target.alternative_keys, target.name)
        return [c for c in dict.fromkeys(wanted) if c in self._columns] or self._written[:1]

    def _unchanged_rows(self, row_no: NDArray[np.int64]) -> set[int]:
        found = self._connection.execute(
            "SELECT row_no FROM pg_temp.verdict WHERE row_no = ANY (%s) AND outcome = 'unchanged'",
            ([int(n) for n in row_no],),
        ).fetchall()
        return {row["row_no"] for row in found}

    def _keep_what_was(self) -> None:
        keep_before(
            self._connection,
            self._target,
            self._batch_id,
            sql.SQL("JOIN pg_temp.verdict AS v ON v.row_id = t.{} AND v.outcome = 'changed'").format(
                sql.Identifier(self._target.row_id)
            ),
        )

    def _update(self) -> None:
        target = self._target
        updates: list[sql.Composable] = [
            sql.SQL("{0} = i.{0}").format(sql.Identifier(name)) for name in self._written
        ]
        if target.has_batch:
            updates.append(sql.SQL("batch_id = {}").format(sql.Literal(self._batch_id)))
        if target.counts_versions:
            updates.append(sql.SQL("version = t.version + 1"))
        self._connection.execute(
            sql.SQL(
                "UPDATE {table} AS t SET {updates} FROM pg_temp.verdict AS v JOIN pg_temp.incoming AS i USING (row_no)"
                " WHERE v.outcome = 'changed' AND t.{id} = v.row_id"
            ).format(
                table=target.identifier, updates=sql.SQL(", ").join(updates), id=sql.Identifier(target.row_id)
            )
        )

    def _insert(self) -> None:
        target = self._target
        columns = [sql.Identifier(name) for name in self._written]
        values: list[sql.Composable] = [sql.SQL("i.{}").format(column) for column in columns]
        if target.has_batch:
            columns.append(sql.Identifier("batch_id"))
            values.append(sql.Literal(self._batch_id))
        self._connection.execute(
            sql.SQL(
                "INSERT INTO {table} ({names}) SELECT {values} FROM pg_temp.incoming AS i"
                " JOIN pg_temp.verdict AS v USING (row_no) WHERE v.outcome = 'new' ORDER BY row_no"
            ).format(
                table=target.identifier,
                names=sql.SQL(", ").join(columns),
                values=sql.SQL(", ").join(values),
            )
        )


def _differs(name: str, kind: str) -> sql.Composable:
    column = sql.Identifier(name)
    if kind != "geometry":
        return sql.SQL("t.{0} IS DISTINCT FROM i.{0}").format(column)
    return sql.SQL(
        "(t.{0} IS DISTINCT FROM i.{0} AND NOT coalesce(ST_GeometryType(t.{0}) = 'ST_Point'"
        " AND ST_DWithin(t.{0}, i.{0}, {1}), false))"
    ).format(column, sql.Literal(_SAME_PLACE_M))


def keep_before(connection: Connection, target: Target, batch_id: int, which: sql.Composable) -> None:
    """Keeps the stored rows `t` that `which` (a JOIN or WHERE) chooses in staging.change, as they are now.

    Geometry is kept as hex EWKB, which the way back reads exactly. Generated columns are left out.
    """
    columns = connection.execute(
        "SELECT attname, format_type(atttypid, NULL) AS type FROM pg_attribute WHERE attrelid = %s::regclass"
        " AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
        (target.table,),
    ).fetchall()
    pairs = sql.SQL(", ").join(
        sql.SQL("{}, {}").format(
            sql.Literal(c["attname"]),
            sql.SQL("t.{}::text" if c["type"] == "geometry" else "t.{}").format(sql.Identifier(c["attname"])),
        )
        for c in columns
    )
    connection.execute(
        sql.SQL(
            "INSERT INTO staging.change (batch_id, register, row_id, before)"
            " SELECT {batch}, {register}, t.{id}::text, jsonb_build_object({pairs}) FROM {table} AS t {which}"
            " ON CONFLICT DO NOTHING"
        ).format(
            batch=sql.Literal(batch_id),
            register=sql.Literal(target.table),
            id=sql.Identifier(target.row_id),
            pairs=pairs,
            table=target.identifier,
            which=which,
        )
    )
