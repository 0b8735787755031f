"""How many features each class of a layer has: zero too, and those of no class by name."""

from typing import Any

import psycopg
from psycopg import sql

from geoapp.database.sql_files import read_sql
from layers.answers import lens_classes
from layers.asked import WrongValue
from layers.declaration import Classing, Layer, LegendClass
from layers.features import moment_of
from layers.registry import classing
from layers.rows_query import Span, all_of, column_of, conditions, joined_ground, source_of

Connection = psycopg.Connection[dict[str, Any]]


def legend(connection: Connection, layer: Layer, span: Span, name: str = "") -> dict[str, Any]:
    """The classes of a classing ("" = the usual one; of cells a lens) with the number of rows of each, in the caller's area.

    `total` is the sum of all, `no_class` rows whose value no class names (it should be 0), `no_place` rows without geometry.
    Raises WrongValue for a classing that the layer does not have.
    """
    if layer.lenses:
        return _of_lens(connection, layer, span, name)
    if (name and name not in {one.id for one in layer.classings}) or not layer.classings:
        known = ", ".join(one.id for one in layer.classings) or "无 / none"
        raise WrongValue(
            f"没有分类 {name[:40]} / no classing {name[:40]!r} of {layer.id!r}. 可用 / known: {known}."
        )
    by = classing(layer, name)
    rows = connection.execute(_counts(layer, by, span)).fetchall()
    counts = {one.id: 0 for one in by.classes}
    no_class = 0
    for row in rows:
        value = row["class"] if row["class"] in counts else by.empty
        if value in counts:
            counts[value] += row["n"]
        else:
            no_class += row["n"]
    # What is worked out beforehand has a row for every piece of ground: none at all is not known, and no zero.
    is_known = bool(rows) or not layer.note
    answer = {
        "total": sum(row["n"] for row in rows) if is_known else None,
        "no_class": no_class,
        "no_place": sum(row["no_place"] for row in rows),
        "classes": [_told(one, counts[one.id] if is_known else None) for one in by.classes],
    }
    return (
        _head(connection, layer, span, by.id, by.name_zh, by.name_en)
        | answer
        | _note(connection, layer, span)
    )


def _note(connection: Connection, layer: Layer, span: Span) -> dict[str, Any]:
    """What the legend says beside the classes, in both languages; nothing for most layers."""
    if not layer.note:
        return {}
    return (
        connection.execute(read_sql(f"layers/{layer.note}").encode(), {"moment": span.moment}).fetchone()
        or {}
    )


def _counts(layer: Layer, by: Classing, span: Span) -> sql.Composed:
    """Rows by class, and those of them without a shape."""
    if layer.counted and by.id == layer.classings[0].id:
        return sql.SQL(
            "SELECT c.{}::text AS class, sum(c.n)::bigint AS n, sum(c.no_place)::bigint AS no_place FROM {}({}) AS c GROUP BY 1"
        ).format(sql.Identifier(by.field), sql.Identifier(*f"{layer.counted}_at".split(".")), span.as_sql)
    source, geometry = source_of(layer, span), sql.Identifier("s", layer.shape[0])
    if layer.ground is not None:
        source += sql.SQL(" LEFT") + joined_ground(layer)[0]
        geometry = sql.Identifier("g", layer.shape[0])
    return sql.SQL(
        "SELECT {}::text AS class, count(*) AS n, count(*) - count({}) AS no_place FROM {} WHERE {} GROUP BY 1"
    ).format(column_of(layer, by.field, span), geometry, source, all_of(conditions(layer, span)))


def _of_lens(connection: Connection, layer: Layer, span: Span, name: str) -> dict[str, Any]:
    """Of cells: the classes of a lens. Cells of which the caller sees a part only have no class, and are told as `no_class`."""
    known = {one.id: one for one in layer.lenses}
    if name and name not in known:
        raise WrongValue(
            f"没有分类 {name[:40]} / no classing {name[:40]!r} of {layer.id!r}. 可用 / known: {', '.join(known)}."
        )
    lens = known[name or layer.lenses[0].id]
    counts = lens_classes(connection, lens, span.moment)["counts"]
    total = connection.execute(
        sql.SQL("SELECT count(*) AS n FROM {}").format(source_of(layer, span))
    ).fetchone()
    assert total is not None
    answer = {
        "total": total["n"],
        "no_class": total["n"] - sum(counts.values()),
        "no_place": 0,
        "classes": [_told(one, counts[one.id]) for one in lens.classes],
    }
    return _head(connection, layer, span, lens.id, lens.name_zh, lens.name_en) | answer


def _head(connection: Connection, layer: Layer, span: Span, by: str, zh: str, en: str) -> dict[str, Any]:
    told = {
        "layer": layer.id,
        "classing": by,
        "name_zh": zh,
        "name_en": en,
        "source": layer.source,
        "as_of": moment_of(connection, span).isoformat(),
    }
    return told | ({"from": span.since, "to": span.until} if layer.since_field else {})


def _told(one: LegendClass, count: int | None) -> dict[str, Any]:
    return {
        "id": one.id,
        "name_zh": one.name_zh,
        "name_en": one.name_en,
        "colour": one.colour,
        "numeral": one.numeral,
        "hatch": one.hatch,
        "count": count,
    }
