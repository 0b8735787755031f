"""The rows of a register that the connection's role may see, piece by piece, so that a million of them need little memory."""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

import numpy as np
import psycopg
import shapely
from numpy.typing import NDArray
from psycopg import sql
from psycopg.rows import tuple_row

from geoapp.access.caller import NO_RIGHT, Forbidden
from geoapp.errors import Refused
from geoapp.territory.frames import geometries_from_metric, points_to_metric
from layers.answers import lens_classes
from layers.export.meanings import meaning
from layers.export.order import Order
from layers.export.registers import NEVER, Register
from layers.rows_query import Span, all_of, column_of, conditions, source_of

Connection = psycopg.Connection[dict[str, Any]]
Kind = Literal["text", "integer", "real", "boolean", "date", "moment"]
Family = Literal["point", "line", "polygon", "mixed"]

PIECE = 10_000
# Where a stored row came in this frame, its own numbers are handed back, if they say the same place within this.
SAME_PLACE_M = 0.01
_KINDS: tuple[tuple[str, Kind], ...] = (
    ("text", "text"), ("character", "text"), ("integer", "integer"), ("bigint", "integer"), ("smallint", "integer"),
    ("double precision", "real"), ("real", "real"), ("numeric", "real"), ("boolean", "boolean"), ("date", "date"),
    ("timestamp", "moment"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """A column of the file. source: where it is read from, an expression over the query's tables."""

    name: str
    kind: Kind
    source: sql.Composable
    is_personal: bool = False
    is_wkt: bool = False

    @property
    def meaning(self) -> tuple[str, str]:
        """What it is, in Chinese and English; empty where nobody has said."""
        return meaning(self.name)


@dataclass(slots=True)
class Piece:
    """Some rows: values by column, in the order of the fields, and shapes in the file's frame (None = no geometry).

    as_came: points whose numbers are those that were loaded; they are not rounded.
    """

    values: list[list[Any]]
    shapes: NDArray[np.object_] | None
    as_came: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.values[0])


@dataclass
class Content:
    """All that a format needs: fields, family of geometry, number of rows and of those without a shape, and the pieces.

    gdal_type: the geometry type of a layer that holds all shapes ("MultiPolygon", "Unknown"). pieces() reads the rows once, in the order of the key; it needs the transaction in which the content was made.
    progress is told the rows read so far.
    """

    order: Order
    fields: list[Field]
    family: Family | None
    gdal_type: str | None
    rows: int
    shapeless: int
    city: dict[str, Any]
    at: datetime
    scope: str
    _connection: Connection
    _query: sql.Composed
    _lenses: dict[str, dict[Any, str]] = field(default_factory=dict)
    progress: Callable[[int], None] = lambda _: None

    @property
    def personal(self) -> list[str]:
        """Columns about people that are in the file."""
        return [one.name for one in self.fields if one.is_personal]

    def pieces(self) -> Iterator[Piece]:
        """The rows, at most PIECE at a time."""
        read = 0
        with self._connection.cursor(f"export_{uuid.uuid4().hex}", row_factory=tuple_row) as cursor:
            cursor.execute(self._query)
            while rows := cursor.fetchmany(PIECE):
                yield self._piece(rows)
                read += len(rows)
                self.progress(read)

    def _piece(self, rows: list[tuple[Any, ...]]) -> Piece:
        columns = list(zip(*rows, strict=True))
        stored = len(self.fields) - len(self._lenses)
        values = [_plain_column(one, columns[n]) for n, one in enumerate(self.fields[:stored])]
        for n, one in enumerate(self.fields[:stored]):
            if one.is_wkt:
                values[n] = self._wkt(columns[n])
        if self._lenses:
            key = [one.name for one in self.fields].index("cell_no")
            # A lens says nothing of a cell of which the caller sees a part only: no class is not a calm one.
            values += [[classes.get(no) for no in values[key]] for classes in self._lenses.values()]
        if self.family is None:
            return Piece(values, None)
        metric = shapely.from_wkb(np.array(columns[stored], dtype=object))
        shapes = geometries_from_metric(metric, self.order.frame, self.order.srid)
        same = self._same_as_loaded(metric, values)
        if same is not None:
            names = [one.name for one in self.fields]
            x, y = (
                np.array(values[names.index(n)], dtype=np.float64)[same] for n in ("source_x", "source_y")
            )
            shapes = shapes.copy()
            shapes[same] = shapely.points(x, y)
        return Piece(values, shapes, same)

    def _wkt(self, wkb: tuple[Any, ...]) -> list[Any]:
        shapes = geometries_from_metric(
            shapely.from_wkb(np.array(wkb, dtype=object)), self.order.frame, self.order.srid
        )
        digits = 9 if self.order.frame.is_geographic else 4
        return [None if one is None else shapely.to_wkt(one, rounding_precision=digits) for one in shapes]

    def _same_as_loaded(
        self, metric: NDArray[np.object_], values: list[list[Any]]
    ) -> NDArray[np.bool_] | None:
        """Which points were loaded in the frame asked for and lie where their own numbers say; None = none.

        They are handed back with these numbers, so that loading the file again changes nothing.
        """
        names = [one.name for one in self.fields]
        if self.family != "point" or "source_x" not in names or self.order.frame.epsg == self.order.srid:
            return None
        frame = np.array(values[names.index("source_frame")], dtype=object)
        x = np.array(values[names.index("source_x")], dtype=np.float64)
        y = np.array(values[names.index("source_y")], dtype=np.float64)
        same = (frame == self.order.frame.name) & np.isfinite(x) & np.isfinite(y)
        if not same.any():
            return None
        back_x, back_y = points_to_metric(x[same], y[same], self.order.frame, self.order.srid)
        off = np.hypot(back_x - shapely.get_x(metric[same]), back_y - shapely.get_y(metric[same]))
        same[same] = off < SAME_PLACE_M
        return same


def content_of(connection: Connection, wanted: Order) -> Content:
    """What the connection's role may see of the register, ready to be read inside the present transaction.

    Raises Refused where the database has no such table, Forbidden where the role may read nothing of it.
    """
    register = wanted.register
    columns = _readable(connection, register.source)
    fields, joins = _fields(connection, register, columns)
    fields += _computed(register, wanted.span, columns)
    # Text of declarations, and values as literals: nothing that somebody wrote into an address.
    source = sql.SQL("{} AS s").format(sql.Identifier(*register.source.split(".")))
    where: sql.Composable = sql.SQL("WHERE " + register.where if register.where else "")
    if register.layer is not None:
        source = source_of(register.layer, wanted.span)
        where = sql.SQL("WHERE {}").format(all_of(conditions(register.layer, wanted.span)))
    shape, type_ = _geometry(connection, register, columns)
    ground = _ground_join(register)
    base = sql.SQL("FROM {} {} {}").format(source, ground, sql.SQL(" ").join(joins))
    geometry = type_ is not None
    family, gdal_type = _shapes(connection, register, type_, shape, base, where) if type_ else (None, None)
    counted = connection.execute(
        sql.SQL(
            "SELECT count(*) AS rows, count(*) - count({}) AS shapeless, now() AS at FROM {} {} {}"
        ).format(shape, source, ground, where)
    ).fetchone()
    assert counted is not None
    wanted_columns = [one.source for one in fields] + (
        [sql.SQL("ST_AsBinary({})").format(shape)] if geometry else []
    )
    query = sql.SQL("SELECT {} {} {} ORDER BY s.{}").format(
        sql.SQL(", ").join(wanted_columns), base, where, sql.Identifier(register.key)
    )
    lenses = _lens_classes(connection, register, wanted.span)
    fields += [Field(name, "text", sql.SQL("")) for name in lenses]
    city = connection.execute("SELECT name_zh, name_en, code, timezone FROM territory.city").fetchone()
    return Content(
        order=wanted,
        fields=fields,
        family=family,
        gdal_type=gdal_type,
        rows=counted["rows"],
        shapeless=counted["shapeless"] if geometry else 0,
        city=city or {"name_zh": "", "name_en": "", "code": "", "timezone": "Asia/Shanghai"},
        at=counted["at"],
        scope=_scope(connection),
        _connection=connection,
        _query=query,
        _lenses=lenses,
    )


def metric_srid(connection: Connection) -> int:
    """EPSG code of the city's zone, in which all geometry is stored."""
    row = connection.execute("SELECT Find_SRID('territory', 'unit', 'seat') AS srid").fetchone()
    assert row is not None
    return int(row["srid"])


def _readable(connection: Connection, source: str) -> dict[str, str]:
    """Columns of a table or view that the role may read, with their types."""
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, atttypmod) AS type, has_column_privilege(attrelid, attnum, 'SELECT') AS may"
        " FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
        (source,),
    ).fetchall()
    if not rows:
        raise Refused(f"数据库里没有 {source} / the database has no {source}. Run: geoapp db up")
    found = {row["attname"]: row["type"] for row in rows if row["may"]}
    if not found:
        raise Forbidden(NO_RIGHT)
    return found


def _fields(
    connection: Connection, register: Register, columns: dict[str, str]
) -> tuple[list[Field], list[sql.Composed]]:
    hidden = NEVER | set(register.never)
    fields = []
    for name, type_ in columns.items():
        column = sql.SQL("s.{}").format(sql.Identifier(name))
        if name in hidden:
            continue
        if type_.startswith("geometry"):
            if name in register.wkt:
                fields.append(Field(name, "text", sql.SQL("ST_AsBinary({})").format(column), is_wkt=True))
            continue
        fields.append(Field(name, _kind(type_), column, name in register.personal))
    joins = []
    for n, link in enumerate(one for one in register.links if one.column in columns):
        known = _readable(connection, link.table)
        alias = sql.Identifier(f"l{n}")
        joins.append(
            sql.SQL("LEFT JOIN {} AS {} ON {}.{} = s.{}").format(
                sql.Identifier(*link.table.split(".")),
                alias,
                alias,
                sql.Identifier(link.key),
                sql.Identifier(link.column),
            )
        )
        fields += [
            Field(
                name,
                _kind(known[own]),
                sql.SQL("{}.{}").format(alias, sql.Identifier(own)),
                name in register.personal,
            )
            for name, own in link.gives
            if own in known
        ]
    return fields, joins


def _kind(type_: str) -> Kind:
    if type_.endswith("[]"):
        return "text"
    return next((kind for start, kind in _KINDS if type_.startswith(start)), "text")


def _computed(register: Register, span: Span, columns: dict[str, str]) -> list[Field]:
    """What a layer classes its rows by and its source has no column for."""
    layer = register.layer
    if layer is None:
        return []
    return [
        Field(name, "text", column_of(layer, name, span)) for name, _ in layer.computed if name not in columns
    ]


def _ground_join(register: Register) -> sql.Composed:
    """The table that holds the shapes of a source without any."""
    ground = register.layer.ground if register.layer else None
    if ground is None:
        return sql.Composed([])
    return sql.SQL("JOIN {} AS g ON g.{} = s.{}").format(
        sql.Identifier(*ground.table.split(".")), sql.Identifier(ground.key), sql.Identifier(ground.column)
    )


def _geometry(
    connection: Connection, register: Register, columns: dict[str, str]
) -> tuple[sql.Composable, str | None]:
    """The geometry as an expression, and its column's type; NULL and None where there is none."""
    ground = register.layer.ground if register.layer else None
    alias, known = ("s", columns) if ground is None else ("g", _readable(connection, ground.table))
    if register.geometry is None or register.geometry not in known:
        return sql.SQL("NULL"), None
    return sql.Identifier(alias, register.geometry), known[register.geometry]


def _shapes(
    connection: Connection,
    register: Register,
    type_: str,
    shape: sql.Composable,
    base: sql.Composable,
    where: sql.Composable,
) -> tuple[Family, str]:
    """Family and GDAL type of the geometry, from the column's type `geometry(MultiPolygon,4549)`, else from what is there."""
    declared = re.fullmatch(r"geometry\((\w+?)(,\d+)?\)", type_)
    if declared and declared[1] != "Geometry":
        return _family({declared[1]}), declared[1]
    if register.layer is not None and register.layer.geometry == "point":
        return "point", "Point"
    row = connection.execute(
        sql.SQL("SELECT array_agg(DISTINCT GeometryType({})) AS types {} {}").format(shape, base, where)
    ).fetchone()
    found = {one for one in (row["types"] or [] if row else []) if one}
    if not found:
        return (register.layer.geometry if register.layer else "mixed"), "Unknown"
    return _family(found), "Unknown"


def _family(types: set[str]) -> Family:
    """Points are single ones: what may have parts is written as WKT in a table."""
    ends = {one.upper() for one in types}
    if ends == {"POINT"}:
        return "point"
    if all(one.endswith("LINESTRING") for one in ends):
        return "line"
    return "polygon" if all(one.endswith("POLYGON") for one in ends) else "mixed"


def _lens_classes(connection: Connection, register: Register, span: Span) -> dict[str, dict[Any, str]]:
    lenses = register.layer.lenses if register.layer else ()
    # A lens by its usual classing, and by any other in a column of that one's name.
    asked = [(f"{lens.id}_class", lens, "") for lens in lenses] + [
        (f"{lens.id}_{other.id}", lens, other.id) for lens in lenses for other in lens.classings[1:]
    ]
    return {name: lens_classes(connection, lens, span.moment, by)["classes"] for name, lens, by in asked}


def _scope(connection: Connection) -> str:
    """Whose rows these are, in words of both languages."""
    row = connection.execute(
        "SELECT m.login, m.scope, ARRAY(SELECT a.area_code FROM access.my_area AS a ORDER BY 1) AS areas,"
        " ARRAY(SELECT i.site_id FROM access.my_site AS i ORDER BY 1) AS sites FROM access.my_account AS m"
    ).fetchone()
    if row is None:
        return "全部 / everything"
    held = [*row["areas"], *(f"site {one}" for one in row["sites"])]
    return f"{row['scope']} {', '.join(held[:20])}".strip() + f" ({row['login']})"


def _plain_column(one: Field, column: tuple[Any, ...]) -> list[Any]:
    """Values that every format can hold: lists, objects and UUIDs become text, exact decimals numbers."""
    if one.is_wkt:
        return []
    if one.kind == "text":
        return [value if value is None or isinstance(value, str) else _text(value) for value in column]
    if one.kind == "real":
        return [float(value) if isinstance(value, Decimal) else value for value in column]
    return list(column)


def _text(value: Any) -> str:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)
