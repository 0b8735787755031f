"""A table or view of a PostGIS elsewhere, read without a chance to change it."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pyproj
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import dict_row

from etl.readers.columns_of_shapes import with_shapes_of_column
from etl.readers.source import Source, clean_names
from etl.readers.table import Table
from geoapp.access.redaction import redact
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

__all__ = ["SCHEMES", "open_table_elsewhere"]

SCHEMES = ("postgresql://", "postgres://")
_SHAPES = ("geometry", "geography")
_KINDS = {
    "int2": pa.int64(),
    "int4": pa.int64(),
    "int8": pa.int64(),
    "float4": pa.float64(),
    "float8": pa.float64(),
    "bool": pa.bool_(),
    "bytea": pa.binary(),
}
_TIME = {"timestamp": 'YYYY-MM-DD"T"HH24:MI:SS', "timestamptz": 'YYYY-MM-DD"T"HH24:MI:SSOF'}


def open_table_elsewhere(address: str, *, layer: str | None, geometry_column: str | None) -> Source:
    """A table or view at `postgresql://…`; `layer` is its name, `schema.table`.

    One read-only transaction with a cursor on the server, so that all rows are of one moment. The system is the
    geometry's SRID. A password in the address appears in no message. Raises Refused where it cannot be read.
    """
    shown = _shown(address)
    if layer is None:
        raise Refused(f"{shown}: 没有写表名 / no table is named; give it with `layer: schema.table`.")
    name = f"{shown} {layer}"
    try:
        connection = psycopg.connect(
            address, row_factory=dict_row, connect_timeout=10, application_name="geoapp import"
        )
    except psycopg.Error as fault:
        raise _refused(shown, fault, address) from None
    try:
        return _opened(connection, name, layer, geometry_column, address)
    except psycopg.Error as fault:
        connection.close()
        raise _refused(name, fault, address) from None
    except BaseException:
        connection.close()
        raise


def _opened(
    connection: psycopg.Connection[dict[str, Any]],
    name: str,
    layer: str,
    geometry_column: str | None,
    address: str,
) -> Source:
    connection.read_only = True
    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    table = sql.Identifier(*layer.split(".", 1))
    columns = connection.execute(
        read_sql("readers/columns_elsewhere").encode(), {"table": table.as_string(connection)}
    ).fetchall()
    if not columns:
        held = [row["name"] for row in connection.execute(read_sql("readers/tables_elsewhere").encode())]
        near = difflib.get_close_matches(layer, held, n=1, cutoff=0.4)
        hint = (
            f"; 是不是 / did you mean {near[0]}?"
            if near
            else f"; it has {', '.join(held[:20])}"
            if held
            else ""
        )
        raise Refused(
            f"{name}: 没有这张表或视图，或没有读取权限 / no such table or view, or no right to read it{hint}"
        )
    shapes = [column for column in columns if column["type"] in _SHAPES]
    chosen = _chosen(shapes, columns, geometry_column, name)
    attributes = [column for column in columns if column not in shapes]
    names, repeated = clean_names(column["name"] for column in attributes)
    query = _query(table, attributes, chosen, columns)
    source = Source(
        path=Path(layer),
        name=name,
        read=lambda opened, size: _tables(
            connection, query, attributes, names, opened, size, chosen is not None, address
        ),
        column_names=list(dict.fromkeys(names)),
        repeated=repeated,
        has_geometry=chosen is not None,
    )
    if chosen is not None:
        srid = chosen["srid"] or _srid(connection, table, chosen["name"], name)
        source.crs = _system(srid)
        source.crs_from = f"{layer}.{chosen['name']} (SRID {srid})" if source.crs is not None else ""
    source.closing.callback(connection.close)
    if geometry_column is not None and chosen is None:
        with_shapes_of_column(source, geometry_column)
    return source


def _chosen(
    shapes: list[dict[str, Any]], columns: list[dict[str, Any]], geometry_column: str | None, name: str
) -> dict[str, Any] | None:
    if geometry_column is not None:
        return next((column for column in shapes if column["name"] == geometry_column), None)
    if len(shapes) > 1:
        listed = ", ".join(column["name"] for column in shapes)
        raise Refused(
            f"{name}: 有多个图形列 / has several geometry columns ({listed}); name one with `geometry`."
        )
    return shapes[0] if shapes else None


def _query(
    table: sql.Identifier,
    attributes: list[dict[str, Any]],
    chosen: dict[str, Any] | None,
    columns: list[dict[str, Any]],
) -> sql.Composed:
    """All rows, by primary key where there is one, so that a row has the same number each time."""
    shown: list[sql.Composable] = []
    for column in attributes:
        it = sql.Identifier(column["name"])
        if column["type"] in _KINDS:
            shown.append(it)
        elif column["type"] in _TIME:
            shown.append(sql.SQL("to_char({}, {})").format(it, sql.Literal(_TIME[column["type"]])))
        else:
            shown.append(sql.SQL("{}::text").format(it))
    if chosen is not None:
        shape = sql.SQL("{}::geometry").format(sql.Identifier(chosen["name"]))
        shown.append(
            sql.SQL("ST_AsBinary(CASE WHEN ST_HasArc({0}) THEN ST_CurveToLine({0}) ELSE {0} END)").format(
                shape
            )
        )
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(shown or [sql.SQL("1")]), table)
    keys = sorted((c for c in columns if c["key_place"] is not None), key=lambda c: int(c["key_place"]))
    if keys:
        order = sql.SQL(", ").join(sql.Identifier(column["name"]) for column in keys)
        query = sql.SQL("{} ORDER BY {}").format(query, order)
    return query


def _srid(
    connection: psycopg.Connection[dict[str, Any]], table: sql.Identifier, column: str, name: str
) -> int | None:
    """The SRID of the values, where the column's type leaves it open. Raises Refused where they are of several."""
    it = sql.Identifier(column)
    found = connection.execute(
        sql.SQL(
            "SELECT DISTINCT ST_SRID({0}::geometry) AS srid FROM {1} WHERE {0} IS NOT NULL LIMIT 5"
        ).format(it, table)
    ).fetchall()
    srids = sorted(row["srid"] for row in found)
    if len(srids) > 1:
        raise Refused(
            f"{name}: 列 {column} 中坐标系不一致 / {column} holds several systems (SRID {srids}): make a view of one of them."
        )
    return srids[0] if srids else None


def _system(srid: int | None) -> pyproj.CRS | None:
    try:
        return pyproj.CRS.from_epsg(srid) if srid and srid > 0 else None
    except pyproj.exceptions.CRSError:
        return None


def _tables(
    connection: psycopg.Connection[dict[str, Any]],
    query: sql.Composed,
    attributes: list[dict[str, Any]],
    names: list[str],
    source: Source,
    size: int,
    has_shapes: bool,
    address: str,
) -> Iterator[Table]:
    kinds = [_KINDS.get(column["type"], pa.string()) for column in attributes]
    start = 0
    try:
        with connection.cursor(
            name="geoapp_import", row_factory=psycopg.rows.tuple_row, binary=True
        ) as cursor:
            cursor.execute(query)
            while rows := cursor.fetchmany(size):
                held: dict[str, pa.Array] = {}
                values = list(zip(*rows, strict=True))
                for place, (column, kind) in enumerate(zip(names, kinds, strict=True)):
                    held.setdefault(column, pa.array(values[place], type=kind))
                shapes = pa.array(values[-1], type=pa.binary()) if has_shapes else None
                row_no = np.arange(start + 1, start + len(rows) + 1, dtype=np.int64)
                start += len(rows)
                yield source.table(held, row_no, shapes)
    except psycopg.Error as fault:
        raise _refused(source.name, fault, address) from None


def _shown(address: str) -> str:
    """The address without account, password and parameters."""
    try:
        parts = conninfo_to_dict(address)
    except psycopg.Error:
        raise Refused(
            "postgresql://…: 地址写错了 / the address is not well-formed; it is postgresql://user:password@host:5432/database "
            "(special characters in a password are escaped as %40 and so on)."
        ) from None
    host = parts.get("host") or "localhost"
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"postgresql://{host}{port}/{parts.get('dbname') or ''}"


def _refused(name: str, fault: psycopg.Error, address: str) -> Refused:
    said = redact(" ".join(str(fault).split())[:300])
    try:
        password = conninfo_to_dict(address).get("password")
    except psycopg.Error:
        password = None
    if password:
        said = said.replace(str(password), "***")
    return Refused(
        f"{name}: 读不到数据库 / the database cannot be read: {said}. Check the address, the account's rights and the network."
    )
