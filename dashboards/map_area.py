"""The map with what lies over it: lens, day, layers, legend. What it draws, layers/catalogue declares."""

from datetime import UTC, datetime
from typing import Any

import dash_leaflet as dl
import dash_mantine_components as dmc
from dash import html

from dashboards import map_layers, shell
from dashboards.board import Row
from dashboards.day_bar import day_bar
from dashboards.lenses import lens_classes, lens_ways
from dashboards.past_day import PastDay, today
from dashboards.state import LENSES, WINDOW_AT_FIRST, ViewState
from dashboards.texts import group, t
from geoapp.access.caller import ROLES, caller_or_none
from geoapp.settings import settings
from layers.declaration import GROUPS, Layer
from layers.registry import layers_for


def map_area(state: ViewState, city: Row, past: PastDay) -> list[Any]:
    """The map and its panels for a state."""
    lang = state.lang
    return [
        html.Div(
            city_map(state, city, past),
            className="map-frame",
            role="application",
            **{"aria-label": t("map.label", lang)},
        ),
        html.Div(
            # Lenses colour cells, which a firm does not see as a whole.
            [
                dmc.SegmentedControl(
                    id="lens",
                    value=state.lens,
                    data=[{"value": lens, "label": t(f"lens.{lens}", lang)} for lens in LENSES],
                    size="sm",
                    radius="sm",
                ),
                html.Div(id="lens-question", className="lens-question"),
            ],
            className="lens-bar panel",
            style={"display": "none"} if is_firm() else {},
        ),
        html.Button(
            shell.icon("layers"),
            className="layers-button panel",
            title=t("layers.title", lang),
            type="button",
            **{"aria-label": t("layers.title", lang), **shell.data(layers="1")},
        ),
        day_bar(past, city, lang),
        _layers_panel(state),
        html.Details(
            [
                html.Summary(t("legend.title", lang)),
                html.Div(id="legend"),
                html.Div(id="layer-legends", className="layer-legends"),
            ],
            className="legend panel",
            open=True,
            **{"aria-label": t("legend.title", lang)},
        ),
        html.Div([html.B(), html.Span()], id="hover-card", className="hover-card panel", hidden=True),
    ]


def on_map() -> list[Layer]:
    """The layers that the caller's roles may see, in drawing order."""
    caller = caller_or_none()
    return list(layers_for(ROLES if caller is None else caller.roles).values())


def is_firm() -> bool:
    """Whether the caller sees sites of its own and no whole cell."""
    caller = caller_or_none()
    return caller is not None and caller.scope == "site"


def city_map(state: ViewState, city: Row, past: PastDay) -> dl.Map:
    """The map of a state; its layers are drawn in the browser (assets/40_map.js)."""
    lang = state.lang
    configured = settings()
    told = [map_layers.told(layer, lang) for layer in on_map()]
    config = {
        "lang": lang,
        "texts": group("map", lang)
        | {f"class.{k}": v for k, v in group("class", lang).items()}
        | {f"reason.{k}": v for k, v in group("reason", lang).items()}
        | {f"window.{k}": v for k, v in group("window", lang).items()},
        "state": {
            "lens": state.lens,
            "layers": [one["id"] for one in told if one["id"] in state.layers],
            "by": dict(state.by),
            "window": state.window,
            "kind": state.kind,
            "day": past.day,
            "z": state.zoom or "",
            "lat": state.lat or "",
            "lon": state.lon or "",
            "selected": state.selected,
        },
        "past": past.told(),
        "today": today(datetime.now(UTC), city["timezone"]).isoformat(),
        "window": WINDOW_AT_FIRST,
        "layers": told,
        # By lens and classing; "" where there is one only.
        "lenses": {
            lens: {
                by: [entry | {"name": entry[lang]} for entry in lens_classes(lens, by)]
                for by in ([one["id"] for one in lens_ways(lens, lang)] or [""])
            }
            for lens in LENSES
        },
        "bounds": [[city["south"], city["west"]], [city["north"], city["east"]]],
    }
    middle = [(city["south"] + city["north"]) / 2, (city["west"] + city["east"]) / 2]
    outside: list[Any] = []
    prefix = "Leaflet"
    if configured.basemap_url:
        outside = [
            dl.TileLayer(
                url=configured.basemap_url,
                attribution=" ".join(
                    x for x in (configured.basemap_attribution, configured.basemap_approval_number) if x
                ),
                zIndex=1,
            )
        ]
    return dl.Map(
        [
            *outside,
            dl.AttributionControl(prefix=prefix, position="bottomright"),
            dl.ScaleControl(imperial=False, position="bottomright"),
            dl.ZoomControl(position="bottomright"),
            dl.GeoJSON(
                id="city-layers",
                data={
                    "type": "FeatureCollection",
                    "features": [
                        {
                            "type": "Feature",
                            "properties": {},
                            "geometry": {"type": "Point", "coordinates": middle[::-1]},
                        }
                    ],
                },
                pointToLayer={"variable": "geoappMap.city.mount"},
                hideout=config,
                disableDefaultEventHandlers=True,
            ),
        ],
        id="map",
        className="map",
        center=[state.lat, state.lon] if state.lat is not None else middle,
        zoom=state.zoom or 11,
        minZoom=9,
        zoomSnap=0.5,
        zoomDelta=0.5,
        maxZoom=19,
        attributionControl=False,
        zoomControl=False,
    )


def _layers_panel(state: ViewState) -> html.Div:
    """A switch for each layer, by group; what a past day cannot show is marked so by map.css."""
    lang = state.lang
    switched = [layer for layer in on_map() if layer.switched]
    boxes: dict[str, list[dmc.Checkbox]] = {}
    for layer in switched:
        box = _switch(
            layer.id,
            map_layers.swatch(layer),
            map_layers.named(layer, lang),
            "" if map_layers.goes_back(layer) else t("layers.today_only", lang),
        )
        boxes.setdefault(layer.group, []).append(box)
    groups = [
        html.Fieldset([html.Legend(names[0] if lang == "zh" else names[1]), *boxes[name]])
        for name, names in GROUPS.items()
        if name in boxes
    ]
    return html.Div(
        [
            html.H2(t("layers.title", lang)),
            dmc.CheckboxGroup(
                id="layers",
                value=[layer.id for layer in switched if layer.id in state.layers],
                children=groups,
            ),
        ],
        className="layers-panel panel",
    )


def _switch(name: str, sample: html.I, words: str, mark: str) -> dmc.Checkbox:
    """One layer's switch with its sample; mark: shown on a past day."""
    marked = [html.Small(mark, className="today-only")] if mark else []
    return dmc.Checkbox(label=html.Span([sample, html.Span(words), *marked]), value=name, size="xs")
