"""From a declaration to SQL: the rows of a layer at a moment or of a window, its fields, and a filter on them.

Everything that comes from outside is a value (a literal or a parameter), never a name: names are those that are declared.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg import sql

from layers.declaration import Layer


@dataclass(frozen=True, slots=True)
class Span:
    """When: a past moment, or a window [since, until); None = now, or no bound. Aware times.

    rows: a query in brackets with the rows of that moment, of a layer whose past no function of the database holds.
    """

    moment: datetime | None = None
    since: datetime | None = None
    until: datetime | None = None
    rows: sql.Composable | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        """Text that two spans share only if they are the same; "" = now."""
        return "|".join(
            "" if one is None else one.isoformat() for one in (self.moment, self.since, self.until)
        ).strip("|")

    @property
    def as_sql(self) -> sql.Composable:
        """The moment as an expression."""
        return sql.SQL("now()") if self.moment is None else sql.Literal(self.moment)


NOW = Span()


def source_of(layer: Layer, span: Span, key: Any = None, near: sql.Composable | None = None) -> sql.Composed:
    """What stands after FROM, named `s`: the source, its function at the past moment, or that of the window.

    key: of a layer with a function of the window, the only row that is wanted. near: a box (EPSG:3857) beyond which no row is
    wanted, for a layer that can leave the rest out.
    """
    name = layer.source.split(".")
    if span.rows is not None:
        return sql.SQL("{} AS s").format(span.rows)
    if layer.between:
        return sql.SQL("{}({}, {}, {}) AS s").format(
            sql.Identifier(name[0], f"{name[1]}_between"),
            *(sql.Literal(one) for one in (span.since, span.until, key)),
        )
    if span.moment is None:
        return sql.SQL("{} AS s").format(sql.Identifier(*name))
    assert layer.past
    box = sql.SQL(", near => {}").format(near) if near is not None and layer.past_near else sql.SQL("")
    return sql.SQL("{}({}{}) AS s").format(
        sql.Identifier(name[0], f"{name[1]}_at"), sql.Literal(span.moment), box
    )


def conditions(layer: Layer, span: Span) -> list[sql.Composable]:
    """Which rows of the source the layer draws."""
    found: list[sql.Composable] = []
    if layer.where:
        found.append(sql.SQL("({})").format(sql.SQL(layer.where).format(moment=span.as_sql)))
    if layer.since_field and not layer.between:
        column = sql.Identifier("s", layer.since_field)
        found += [
            sql.SQL("{} >= {}").format(column, sql.Literal(one)) for one in (span.since,) if one is not None
        ]
        found += [
            sql.SQL("{} < {}").format(column, sql.Literal(one)) for one in (span.until,) if one is not None
        ]
    return found


def all_of(found: list[sql.Composable]) -> sql.Composable:
    """Conditions joined, `true` for none."""
    return sql.SQL(" AND ").join(found) if found else sql.SQL("true")


def column_of(layer: Layer, name: str, span: Span) -> sql.Composable:
    """A field as an expression over `s`."""
    for computed, expression in layer.computed:
        if computed == name:
            return sql.SQL(expression).format(moment=span.as_sql)
    return sql.Identifier("s", name)


def shown_fields(layer: Layer) -> list[str]:
    """Fields of one row: all declared but the number of a group, which only a tile has; then those of the drawer."""
    return [
        *(name for name in layer.fields if name != "n"),
        *(name for name in layer.drawer if name not in layer.fields),
    ]


def joined_ground(layer: Layer) -> tuple[sql.Composable, sql.Composable]:
    """The join that brings the geometry, and the geometry in the city's zone."""
    if layer.ground is None:
        return sql.SQL(""), sql.Identifier("s", layer.shape[0])
    join = sql.SQL(" JOIN {} AS g ON g.{} = s.{}").format(
        sql.Identifier(*layer.ground.table.split(".")),
        sql.Identifier(layer.ground.key),
        sql.Identifier(layer.ground.column),
    )
    return join, sql.Identifier("g", layer.shape[0])
