"""The map of a report: the city's own ground, and where the problems lie. Nothing in it asks another machine."""

from __future__ import annotations

import html
import json
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import psycopg

from geoapp.database.sql_files import read_sql

if TYPE_CHECKING:
    import folium

__all__ = ["MOST_PLACES", "Places", "problem_map", "problem_places"]

MOST_PLACES = 20_000
"""Problems that a map draws; of more, those kept aside come first, and the report says how many are left out."""
# Drawn in this order: what was kept aside lies on top.
_COLOURS = {"repaired": "#0b6e99", "warning": "#b8790f", "rejected": "#c62820"}
_NAMES = {"repaired": "已修复 repaired", "warning": "需核对 to look at", "rejected": "留置 kept aside"}
_GROUND: dict[str, dict[str, Any]] = {
    "sea": {"color": "#9fbfd0", "weight": 1, "fillColor": "#cfe2ec", "fillOpacity": 1},
    "water": {"color": "#9fbfd0", "weight": 1, "fillColor": "#cfe2ec", "fillOpacity": 1},
    "river": {"color": "#9fbfd0", "weight": 2, "fill": False},
    "main_road": {"color": "#dcc9a0", "weight": 1.2, "fill": False},
    "motorway": {"color": "#d8a860", "weight": 2, "fill": False},
    "unit": {"color": "#687784", "weight": 1.2, "fillColor": "#ffffff", "fillOpacity": 0.5},
}
_STYLE = """
.leaflet-container { background: #eef1f3; font-family: inherit } .leaflet-popup-content { max-height: 220px; overflow: auto }
.leaflet-popup-content .en { color: #4f5e6b } body { font: 13px/1.45 "Noto Sans", "Noto Sans CJK SC", "Microsoft YaHei", system-ui, sans-serif }
@media (prefers-color-scheme: dark) { .leaflet-container { filter: brightness(.82); } }
"""
# A frame that is not laid out yet has no size, and Leaflet fits nothing into none.
_FIT = """
addEventListener("load", function () {
  var map = %(map)s, bounds = %(bounds)s, seen = false;
  new ResizeObserver(function () {
    map.invalidateSize();
    if (!seen && map.getSize().x > 40) { seen = true; map.fitBounds(bounds, { padding: [12, 12], animate: false }); }
  }).observe(map.getContainer());
});
"""
Places = list[dict[str, Any]]


def problem_places(connection: psycopg.Connection[dict[str, Any]], batch_id: int) -> Places:
    """Rows with problems and where they lie (lon, lat in degrees, WGS84; None where nobody can tell), the first 20,000."""
    return connection.execute(
        read_sql("staging/problem_places").encode(), {"batch_id": batch_id, "most": MOST_PLACES}
    ).fetchall()


def problem_map(connection: psycopg.Connection[dict[str, Any]], places: Places) -> tuple[str, int]:
    """The map as HTML of its own, for an iframe's srcdoc, and how many of the problems lie outside what it shows at first.

    It shows the city; where no outline is known, the problems. Empty text where nothing has a place either.
    """
    ground = connection.execute(read_sql("staging/report_ground").encode()).fetchall()
    known = [row for row in places if row["lon"] is not None]
    if not ground and not known:
        return "", 0
    import folium  # here, or each command would wait for it
    from branca.element import Element

    drawn = folium.Map(tiles=None, prefer_canvas=True, control_scale=True, attribution_control=False)
    # folium's own links lead to content networks; Leaflet is put into the page instead.
    drawn.default_js, drawn.default_css = [], []
    for kind, style in _GROUND.items():
        shapes = [json.loads(row["shape"]) for row in ground if row["kind"] == kind]
        if shapes:
            _layer(shapes, [{}] * len(shapes), interactive=False, control=False, **style).add_to(drawn)
    bounds = drawn.get_bounds()
    for kind, colour in _COLOURS.items():
        rows = [row for row in known if row["kind"] == kind]
        if rows:
            points = [
                {"type": "Point", "coordinates": [round(r["lon"], 6), round(r["lat"], 6)]} for r in rows
            ]
            marker = folium.CircleMarker(radius=5, weight=1.5, color=colour, fill=True, fill_opacity=0.6)
            popup = folium.GeoJsonPopup(fields=["said"], labels=False, max_width=320)
            said = [{"said": _said(row)} for row in rows]
            _layer(points, said, name=_NAMES[kind], marker=marker, popup=popup).add_to(drawn)
    if known:
        folium.LayerControl(collapsed=False).add_to(drawn)
    figure = drawn.get_root()
    bounds = bounds if ground else drawn.get_bounds()
    fit = _FIT % {"map": drawn.get_name(), "bounds": json.dumps(bounds)}
    figure.script.add_child(Element(fit), name="fit")
    figure.header.add_child(Element(_leaflet()), name="leaflet", index=0)
    return str(figure.render()), sum(not _within(row, bounds) for row in known)


def _within(row: dict[str, Any], bounds: list[list[float]]) -> bool:
    (south, west), (north, east) = bounds
    return bool(south <= row["lat"] <= north and west <= row["lon"] <= east)


def _layer(shapes: list[dict[str, Any]], properties: list[dict[str, str]], **options: Any) -> folium.GeoJson:
    import folium

    features = [
        {"type": "Feature", "id": str(at), "geometry": shape, "properties": said}
        for at, (shape, said) in enumerate(zip(shapes, properties, strict=True))
    ]
    return folium.GeoJson({"type": "FeatureCollection", "features": features}, **options)


def _said(row: dict[str, Any]) -> str:
    zh, en = html.escape(row["zh"]), html.escape(row["en"])
    return f'<b>行 row {row["row_no"]}</b><br>{zh}<br><span class="en">{en}</span>'


@lru_cache(maxsize=1)
def _leaflet() -> str:
    folder = files("etl.report").joinpath("leaflet")
    script, style = (folder.joinpath(f"leaflet.{kind}").read_text("utf-8") for kind in ("js", "css"))
    # A picture of the style that is not here would be asked for beside the page.
    style = style.replace("url(images/", "url(data:,")
    return f"<style>{style}{_STYLE}</style><script>{script}</script>"
