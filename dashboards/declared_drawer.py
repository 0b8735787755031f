"""The drawer of any layer that has none of its own: what its declaration says of it, the view behind it, the way to a file."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from dash import html

from dashboards import shell
from dashboards.board import Board, cell_code, clock
from dashboards.drawer_parts import Place, facts, head
from dashboards.map_layers import named
from dashboards.texts import Language, t
from geoapp.access.caller import acting, current_caller
from geoapp.errors import Refused
from layers.asked import span_of
from layers.declaration import Layer
from layers.features import one_feature
from layers.registry import layer as declared_layer
from layers.rows_query import Span

# Values whose column is the key of something that has a drawer of its own.
_LINKS = {"cell_code": "cell", "site_id": "site", "top_site_id": "site", "camera_id": "camera"}
# Kinds of a gap's subject that have a drawer of their own.
_SUBJECTS = {"site", "camera", "key_risk_area", "cell"}


def content(
    board: Board,
    kind: str,
    key: str,
    lang: Language,
    zone: str,
    as_of: datetime | None = None,
    *,
    window: Span | None = None,
) -> tuple[list[Any], Place | None] | None:
    """The drawer's children for a feature of the layer `kind`, and where it is; None where the caller sees no such thing.

    as_of: a past moment (aware); of a layer without a past the present is shown, and said to be. window: of a layer that adds up
    a window, the map's. Raises psycopg.Error or PoolTimeout when the database is away.
    """
    caller = current_caller()
    try:
        layer = declared_layer(kind, caller.roles)
        with acting(board.pool, caller) as connection:
            # One feature is shown whatever the window of the map: its address may come from a screen with another one.
            span = window or (
                Span() if layer.since_field else span_of(connection, layer, as_of if layer.past else None)
            )
            found = one_feature(connection, layer, span, key)
    except Refused as refusal:
        return [head(kind, "", lang), html.P(str(refusal), className="empty")], None
    if found is None:
        return None
    values = {one["name"]: one["value"] for one in found["fields"]}
    title = (
        (values.get("name_en") if lang == "en" else None)
        or values.get("name_zh")
        or (
            t("square.titled", lang, side=f"{values['side_m']:,.0f}")
            if layer.between
            else f"{named(layer, lang)} {key}"
        )
    )
    body = [
        head(kind, str(title), lang, *_classes(layer, found["classes"], lang), label=named(layer, lang)),
        html.P(t("drawer.today_only", lang), className="lead-note")
        if as_of and not layer.past and not window
        else None,
        facts(
            [
                (_label(one, lang), _value(one["name"], one["value"], values, lang, zone))
                for one in found["fields"]
                if _is_shown(layer, one, values, lang)
            ]
        ),
        html.P(
            [
                t("drawer.source_view", lang),
                html.Code(_behind(layer, as_of, span, found["id"]), className="sql-line"),
            ],
            className="fine",
        ),
        html.P(
            html.A(
                t("drawer.export_layer", lang), href=f"/exports?{_export_query(layer, lang, as_of, window)}"
            ),
            className="fine",
        )
        if layer.export and caller.may("export")
        else None,
        html.P(
            t("legend.as_of", lang, time=clock(datetime.fromisoformat(found["as_of"]), zone, seconds=True)),
            className="fine",
        ),
    ]
    return [one for one in body if one is not None], _place(found["geometry"])


def _label(field: dict[str, Any], lang: Language) -> str:
    """A field's name without what explains it: "18-digit code, …" is cut at the comma."""
    text = str(field[lang] or field["name"]).split("，" if lang == "zh" else ",")[0]
    return text[:1].upper() + text[1:]


def _is_shown(layer: Layer, field: dict[str, Any], values: dict[str, Any], lang: Language) -> bool:
    """Not what stands in the head already (name, classes), nor a text in the other language where there is one in this."""
    name = str(field["name"])
    if field["value"] is None or name in {
        "name_zh",
        "name_en",
        layer.key,
        *(one.field for one in layer.classings),
    }:
        return False
    other = "_en" if lang == "zh" else "_zh"
    return not (name.endswith(other) and values.get(f"{name.removesuffix(other)}_{lang}"))


def _classes(layer: Layer, classes: dict[str, str], lang: Language) -> list[html.Span]:
    """The class of each classing, by its name in the legend."""
    told = []
    for classing in layer.classings:
        one = next((one for one in classing.classes if one.id == classes.get(classing.id)), None)
        if one is not None:
            told.append(html.Span(named(one, lang), className="tag" + (" blind" if one.hatch else "")))
    return told


def _value(name: str, value: Any, values: dict[str, Any], lang: Language, zone: str) -> Any:
    """A value in the words of the screen: a link to what has its own drawer, a list, or one word."""
    if name in _LINKS:
        return _link(_LINKS[name], str(value), cell_code(str(value)) if name == "cell_code" else str(value))
    if name == "subject_id" and values.get("subject") in _SUBJECTS:
        return _link(str(values["subject"]), str(value), str(values.get("name_zh") or value))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return html.Ul([html.Li(str(one.get(lang) or one.get("zh") or one)) for one in value])
    if isinstance(value, list | tuple):
        return ("、" if lang == "zh" else ", ").join(_word(one, lang, zone) for one in value) or "—"
    return _word(value, lang, zone)


def _word(value: Any, lang: Language, zone: str) -> str:
    """One value: times on the city's clock, numbers with at most three decimals."""
    if isinstance(value, bool):
        return t("drawer.yes" if value else "drawer.no", lang)
    if isinstance(value, datetime):
        return clock(value, zone, seconds=True)
    return f"{value:,.3f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _link(kind: str, key: str, text: str) -> html.Button:
    return html.Button(text, type="button", className="link", **shell.data(select=f"{kind}:{key}"))


def _behind(layer: Layer, as_of: datetime | None, span: Span, key: Any) -> str:
    """How the same row is had: by SQL, or, where no SQL holds a past day, as a file."""
    if span.rows is not None and as_of is not None:
        return f"geoapp layers export {layer.id} -o {layer.id}.csv --as-of {as_of.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
    return f"SELECT * FROM {_source(layer, as_of, span, key)} WHERE {layer.key} = {_literal(key)};"


def _source(layer: Layer, as_of: datetime | None, span: Span, key: Any) -> str:
    if layer.between:
        ends = ["NULL" if one is None else f"'{one.isoformat()}'" for one in (span.since, span.until)]
        return f"{layer.source}_between({', '.join(ends)}, {_literal(key)})"
    return f"{layer.source}_at('{as_of.isoformat()}')" if as_of and layer.past else layer.source


def _export_query(layer: Layer, lang: Language, as_of: datetime | None, window: Span | None) -> str:
    """The page of exports with this layer chosen, as of the moment or of the window that is looked at."""
    ends = (("from", window.since), ("to", window.until)) if window else (("as_of", as_of),)
    times = [(name, one.isoformat()) for name, one in ends if one and (layer.past or window)]
    return urlencode([("lang", lang), ("register", layer.id), *times])


def _literal(key: Any) -> str:
    return str(key) if isinstance(key, int) else "'" + str(key).replace("'", "''") + "'"


def _place(geometry: Any) -> Place | None:
    """The middle of a geometry's box (GeoJSON, EPSG:4326)."""
    shape = json.loads(geometry) if isinstance(geometry, str) else geometry
    points = list(_points((shape or {}).get("coordinates") or []))
    if not points:
        return None
    lons, lats = [p[0] for p in points], [p[1] for p in points]
    return {"lat": (min(lats) + max(lats)) / 2, "lon": (min(lons) + max(lons)) / 2, "zoom": 15}


def _points(coordinates: list[Any]) -> list[list[float]]:
    if coordinates and isinstance(coordinates[0], int | float):
        return [coordinates]
    return [point for inner in coordinates for point in _points(inner)]
