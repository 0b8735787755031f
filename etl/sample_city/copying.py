"""Rows into tables by binary COPY. Columns are written `name:type`, geometry as shapely shapes or (x, y) pairs."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import psycopg
import shapely
from psycopg import sql


def copy_rows(
    connection: psycopg.Connection[Any],
    table: str,
    columns: str,
    rows: Sequence[tuple[object, ...]],
    *,
    srid: int,
) -> int:
    """Copies all rows into `schema.table` and gives their number; identity columns take the ids in the rows.

    columns: "id:int8 geom:geometry …". Raises psycopg.Error where the database refuses a row.
    """
    names = [part.split(":")[0] for part in columns.split()]
    types = [part.split(":")[1] for part in columns.split()]
    schema, name = table.split(".")
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(schema, name), sql.SQL(", ").join(sql.Identifier(n) for n in names)
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        # PostGIS reads WKB where the binary format hands it a geometry.
        copy.set_types(["bytea" if t == "geometry" else t for t in types])
        for row in _with_wkb(rows, [i for i, t in enumerate(types) if t == "geometry"], srid):
            copy.write_row(row)
    if columns.startswith("id:int8"):
        connection.execute(
            sql.SQL("SELECT setval(pg_get_serial_sequence({}, 'id'), {})").format(
                sql.Literal(table), sql.Literal(max((int(str(r[0])) for r in rows), default=1))
            )
        )
    return len(rows)


def _with_wkb(rows: Sequence[tuple[object, ...]], places: list[int], srid: int) -> Iterable[Sequence[object]]:
    if not places:
        yield from rows
        return
    for begin in range(0, len(rows), 20_000):
        part = [list(row) for row in rows[begin : begin + 20_000]]
        for place in places:
            values = [row[place] for row in part]
            if values and isinstance(values[0], tuple):
                shapes = shapely.points(np.array(values))
            else:
                shapes = np.array(values, dtype=object)
            for row, wkb in zip(
                part, shapely.to_wkb(shapely.set_srid(shapes, srid), include_srid=True), strict=True
            ):
                row[place] = wkb
        yield from part
