"""The rows of a layer as GeoJSON, page by page, and one of them by its id."""

from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from layers.asked import Box, WrongValue, value_of
from layers.declaration import Layer
from layers.export.meanings import meaning
from layers.rows_query import Span, all_of, column_of, conditions, joined_ground, shown_fields, source_of

Connection = psycopg.Connection[dict[str, Any]]
PAGE, PAGE_MAX = 1000, 5000
# Longer pages are read faster with the whole view.
BY_KEY_MAX = 500


def field_types(connection: Connection, layer: Layer) -> dict[str, str]:
    """Types in the database of the key and the fields that a row is shown with; computed ones are text."""
    rows = connection.execute(
        "SELECT attname, format_type(atttypid, NULL) AS type FROM pg_attribute"
        " WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped",
        (layer.source,),
    ).fetchall()
    stored = {row["attname"]: row["type"] for row in rows} | {name: "text" for name, _ in layer.computed}
    return {name: stored[name] for name in dict.fromkeys([layer.key, *shown_fields(layer)]) if name in stored}


def feature_page(
    connection: Connection,
    layer: Layer,
    span: Span,
    *,
    box: Box | None = None,
    limit: int = PAGE,
    after: str = "",
    filters: list[tuple[str, list[Any]]] | None = None,
) -> dict[str, Any]:
    """A FeatureCollection (EPSG:4326, 7 decimals) of rows that meet the box, in the order of the key, from after the key `after`.

    `truncated` says that there are more: `next` is the key to go on after. Rows without a place have a null geometry and are in
    no box. Raises WrongValue for an `after` that is no key.
    """
    types = field_types(connection, layer)
    found = conditions(layer, span)
    if after:
        found.append(
            sql.SQL("{} > {}").format(
                sql.Identifier("s", layer.key), sql.Literal(value_of("after", types[layer.key], after))
            )
        )
    for name, values in filters or []:
        found.append(sql.SQL("{} = ANY ({})").format(column_of(layer, name, span), sql.Literal(values)))
    if box is not None:
        found.append(_in_box(layer, box))
    rows = connection.execute(_page(layer, span, all_of(found), limit + 1)).fetchall()
    features = [_feature(row) for row in rows[:limit]]
    answer: dict[str, Any] = {
        "type": "FeatureCollection",
        "layer": layer.id,
        "source": layer.source,
        "as_of": moment_of(connection, span).isoformat(),
        "truncated": len(rows) > limit,
        "features": features,
    }
    if span.since or span.until:
        answer |= {"from": span.since, "to": span.until}
    return answer | ({"next": features[-1]["id"]} if answer["truncated"] else {})


def one_feature(connection: Connection, layer: Layer, span: Span, asked: str) -> dict[str, Any] | None:
    """One row by its key: fields with their names in both languages, classes, geometry (EPSG:4326); None = there is none.

    Raises WrongValue for what can be no key.
    """
    types = field_types(connection, layer)
    key = value_of("id", types[layer.key], asked)
    found = [
        *conditions(layer, span),
        sql.SQL("{} = {}").format(sql.Identifier("s", layer.key), sql.Literal(key)),
    ]
    selected = _selected(layer, span, key if layer.between else None)
    row = connection.execute(sql.SQL("{} WHERE {}").format(selected, all_of(found))).fetchone()
    if row is None:
        return None
    feature = _feature(row)
    values = feature["properties"]
    return {
        "layer": layer.id,
        "name_zh": layer.name_zh,
        "name_en": layer.name_en,
        "id": feature["id"],
        "source": layer.source,
        "as_of": moment_of(connection, span).isoformat(),
        "fields": [
            {
                "name": name,
                "zh": names_of(layer, name)[0],
                "en": names_of(layer, name)[1],
                "value": values[name],
            }
            for name in values
        ],
        "classes": {
            one.id: one.empty if values[one.field] is None else _class_text(values[one.field])
            for one in layer.classings
        },
        "geometry": feature["geometry"],
    }


def names_of(layer: Layer, field: str) -> tuple[str, str]:
    """What a field is called in Chinese and English."""
    zh, _, en = layer.fields.get(field, "").partition(" / ")
    return (zh, en) if en else meaning(field)


def moment_of(connection: Connection, span: Span) -> datetime:
    """The moment that an answer speaks of."""
    if span.moment is not None:
        return span.moment
    row = connection.execute("SELECT now() AS at").fetchone()
    assert row is not None
    found: datetime = row["at"]
    return found


def _class_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _selected(layer: Layer, span: Span, key: Any = None) -> sql.Composed:
    join, geometry = joined_ground(layer)
    columns = [
        sql.SQL("{} AS {}").format(column_of(layer, name, span), sql.Identifier(name))
        for name in shown_fields(layer)
    ]
    head = [
        sql.SQL("{} AS _key").format(sql.Identifier("s", layer.key)),
        sql.SQL("ST_AsGeoJSON(ST_Transform({}, 4326), 7)::jsonb AS _geometry").format(geometry),
    ]
    return sql.SQL("SELECT {} FROM {}{}").format(
        sql.SQL(", ").join([*head, *columns]), source_of(layer, span, key), join
    )


def _page(layer: Layer, span: Span, condition: sql.Composable, rows: int) -> sql.Composed:
    """The first rows by key. Key by key: a view that adds up what hangs on each row then does so for these rows alone."""
    selected, key = _selected(layer, span), sql.Identifier("s", layer.key)
    if not layer.by_key or rows > BY_KEY_MAX:
        return sql.SQL("{} WHERE {} ORDER BY {} LIMIT {}").format(selected, condition, key, sql.Literal(rows))
    return sql.SQL(
        "WITH k AS MATERIALIZED (SELECT {key} AS key FROM {source}{join} WHERE {condition} ORDER BY {key} LIMIT {rows})"
        " SELECT r.* FROM k CROSS JOIN LATERAL ({selected} WHERE {key} = k.key OFFSET 0) AS r ORDER BY k.key"
    ).format(
        key=key,
        source=source_of(layer, span),
        join=joined_ground(layer)[0],
        condition=condition,
        rows=sql.Literal(rows),
        selected=selected,
    )


def _in_box(layer: Layer, box: Box) -> sql.Composed:
    """Whether the row meets the box: by the indexed column where there is one, with the box carried into its frame."""
    alias = "s" if layer.ground is None else "g"
    west, south, east, north = box
    metric, mercator = layer.shape
    if not mercator:
        at: sql.Composable = sql.SQL("ST_Transform({}, 4326)").format(sql.Identifier(alias, metric))
        sides, srid = (west, south, east, north), 4326
        envelope = sql.SQL("ST_MakeEnvelope({}, {})")
    else:
        at = sql.Identifier(alias, mercator)
        # Web Mercator ends near 85 degrees.
        sides, srid = (west, max(south, -85.0), east, min(north, 85.0)), 4326
        if sides[1] >= sides[3]:
            raise WrongValue("bbox 在网络墨卡托之外 / bbox lies beyond latitude 85.")
        envelope = sql.SQL("ST_Transform(ST_MakeEnvelope({}, {}), 3857)")
    made = envelope.format(sql.SQL(", ").join(sql.Literal(side) for side in sides), sql.Literal(srid))
    return sql.SQL("{at} && {box} AND ST_Intersects({at}, {box})").format(at=at, box=made)


def _feature(row: dict[str, Any]) -> dict[str, Any]:
    key, geometry = row.pop("_key"), row.pop("_geometry")
    return {"type": "Feature", "id": key, "geometry": geometry, "properties": row}
