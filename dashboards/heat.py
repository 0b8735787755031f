"""Counts of events by place as a layer of the map: bins of a tile, for any window of time (layers/event_heat.py).

It has no rows of its own to choose or to take out, so it is no layer of the catalogue: the map, the panel and the address are
told of it here.
"""

from typing import Any

from dash import html

from dashboards.lenses import ink_on
from dashboards.map_layers import sample
from dashboards.texts import Language, t
from layers.catalogue.risk_surface import DENSITY
from layers.event_heat import BINS, MAX_ZOOM
from layers.event_heat import NAME as ID

__all__ = ["ID", "swatch", "told"]

GROUP = "watch"
# Under outlines and points, over the cells.
ORDER = 16
# Few to many.
_COLOURS = [one.colour.lower() for one in reversed(DENSITY) if not one.hatch]


def swatch() -> html.I:
    """Its sample in the panel."""
    return sample(_COLOURS[:4], "area")


def told(lang: Language) -> dict[str, Any]:
    """In the shape of map_layers.told, with the colours from few events to many as `scale`."""
    return {
        "id": ID,
        "name": t("heat.name", lang),
        "group": GROUP,
        "kind": "tiles",
        "geometry": "polygon",
        "key": "id",
        "paint": "bins",
        "bins": BINS,
        "scale": [{"color": colour, "ink": ink_on(colour)} for colour in _COLOURS],
        "style": {"symbol": "", "fill_opacity": 0.9, "line_px": 0, "radius_px": 0, "dash": []},
        "classings": [],
        "min_zoom": 0,
        "max_zoom": MAX_ZOOM,
        "past": True,
        "window": True,
        "lens": False,
        "fixed": False,
        "at_first": False,
        "pickable": False,
        "named": False,
        "note": t("heat.note", lang),
    }
