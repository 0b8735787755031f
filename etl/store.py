"""Checked rows into a register table: binary COPY into a temporary table, then only what is new or changed is written."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import shapely
from numpy.typing import NDArray
from psycopg import sql

__all__ = ["Target", "upsert"]


@dataclass(frozen=True)
class Target:
    """A register table: its key column, and the PostgreSQL type of each column that an import may write.

    `counts_versions`: the table has a `version` that a change must raise (where no trigger does it).
    """

    table: str
    key: str
    types: dict[str, str]
    counts_versions: bool = False
    has_batch: bool = True
    has_generated: bool = True


def upsert(
    connection: psycopg.Connection[dict[str, Any]],
    target: Target,
    values: dict[str, NDArray[np.object_]],
    *,
    srid: int,
    batch_id: int,
    key: str | None = None,
) -> NDArray[np.object_]:
    """Writes rows (arrays of equal length n, geometry as shapely in metres of `srid`) by their key.

    Gives for each row "new", "changed", "unchanged" or "sample" (the key is held by a generated row, which is left
    alone). A row that is stored already with the same values is not touched, nor is the layer's version.
    """
    key = key or target.key
    columns = list(values)
    count = len(values[key])
    outcome = np.full(count, "unchanged", dtype=object)
    if count == 0:
        return outcome
    names = [sql.Identifier(name) for name in columns]
    table = sql.Identifier(*target.table.split("."))
    connection.execute("DROP TABLE IF EXISTS pg_temp.incoming")
    connection.execute(
        sql.SQL(
            "CREATE TEMP TABLE incoming ON COMMIT DROP AS SELECT 0 AS row_index, {} FROM {} WITH NO DATA"
        ).format(sql.SQL(", ").join(names), table)
    )
    _copy(connection, target, values, srid)
    connection.execute("ANALYZE incoming")
    differs = sql.SQL(" OR ").join(
        sql.SQL("t.{0} IS DISTINCT FROM i.{0}").format(name) for name in names if name != sql.Identifier(key)
    )
    generated = sql.SQL("t.is_generated") if target.has_generated else sql.SQL("false")
    found = connection.execute(
        sql.SQL(
            "SELECT i.row_index, CASE WHEN t.{key} IS NULL THEN 'new' WHEN {generated} THEN 'sample' ELSE 'changed' END AS outcome"
            " FROM pg_temp.incoming AS i LEFT JOIN {table} AS t ON t.{key} = i.{key}"
            " WHERE t.{key} IS NULL OR {generated} OR {differs}"
        ).format(
            key=sql.Identifier(key), table=table, generated=generated, differs=differs or sql.SQL("false")
        )
    ).fetchall()
    for row in found:
        outcome[row["row_index"]] = row["outcome"]
    if np.isin(outcome, ("new", "changed")).any():
        _write(connection, target, key, columns, outcome, batch_id)
    connection.execute("DROP TABLE pg_temp.incoming")
    return outcome


def _copy(
    connection: psycopg.Connection[dict[str, Any]],
    target: Target,
    values: dict[str, NDArray[np.object_]],
    srid: int,
) -> None:
    ready: list[Any] = []
    for name, column in values.items():
        if target.types[name] != "geometry":
            ready.append(column)
            continue
        given = np.array([shape is not None for shape in column], dtype=bool)
        wkb = np.full(len(column), None, dtype=object)
        wkb[given] = shapely.to_wkb(shapely.set_srid(column[given], srid), include_srid=True)
        ready.append(wkb)
    # The bytes of a bytea are themselves: with that name the geometry's EWKB reaches PostGIS's own receive function.
    types = ["int4", *("bytea" if target.types[n] == "geometry" else target.types[n] for n in values)]
    statement = sql.SQL("COPY pg_temp.incoming (row_index, {}) FROM STDIN (FORMAT binary)").format(
        sql.SQL(", ").join(map(sql.Identifier, values))
    )
    with connection.cursor().copy(statement) as copy:
        copy.set_types(types)
        for index, row in enumerate(zip(*ready, strict=True)):
            copy.write_row((index, *row))


def _write(
    connection: psycopg.Connection[dict[str, Any]],
    target: Target,
    key: str,
    columns: list[str],
    outcome: NDArray[np.object_],
    batch_id: int,
) -> None:
    wanted = [int(row) for row in np.flatnonzero(np.isin(outcome, ("new", "changed")))]
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    updates: list[sql.Composable] = [
        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(c)) for c in columns if c != key
    ]
    extra_names: sql.Composable = sql.SQL("")
    extra_values: sql.Composable = sql.SQL("")
    if target.has_batch:
        extra_names, extra_values = sql.SQL(", batch_id"), sql.SQL(", {}").format(sql.Literal(batch_id))
        updates.append(sql.SQL("batch_id = excluded.batch_id"))
    if target.counts_versions:
        updates.append(sql.SQL("version = t.version + 1"))
    connection.execute(
        sql.SQL(
            "INSERT INTO {table} AS t ({names}{extra_names}) SELECT {names}{extra_values} FROM pg_temp.incoming"
            " WHERE row_index = ANY (%s) ORDER BY row_index ON CONFLICT ({key}) DO UPDATE SET {updates}"
        ).format(
            table=sql.Identifier(*target.table.split(".")),
            names=names,
            extra_names=extra_names,
            extra_values=extra_values,
            key=sql.Identifier(key),
            updates=sql.SQL(", ").join(updates),
        ),
        (wanted,),
    )
