"""What the map's script is told of each layer: its declaration (layers/declaration.py) in one language, nothing of its own."""

from typing import Any

from dash import html

from dashboards.lenses import entry_of
from dashboards.texts import Language, t
from geoapp.access.caller import caller_or_none
from layers.catalogue.colours import EVENT_KIND
from layers.declaration import Classing, Layer
from layers.event_heat import BINS

# A layer that draws nothing itself: its points are where names are written.
NAMES = "name"


def told(layer: Layer, lang: Language) -> dict[str, Any]:
    """The declaration as assets/24_declared.js and 40_map.js read it: zooms are tile zooms, lengths CSS pixels, colours CSS hex."""
    style = layer.style
    return {
        "id": layer.id,
        "name": named(layer, lang),
        "group": layer.group,
        "kind": layer.kind,
        "geometry": layer.geometry,
        "key": layer.key,
        "paint": NAMES if _is_names(layer) else style.paint,
        "style": {
            "symbol": style.symbol,
            "fill_opacity": style.fill_opacity,
            "line_px": style.line_px,
            "radius_px": style.radius_px,
            "dash": list(style.dash),
        },
        "classings": [_classing(one, lang) for one in layer.classings],
        "min_zoom": layer.min_zoom,
        "max_zoom": layer.max_zoom,
        "past": goes_back(layer),
        "known_by": layer.known_by,
        "window": bool(layer.since_field),
        "lens": bool(layer.lenses),
        "fixed": not layer.switched,
        "at_first": layer.visible_by_default,
        "pickable": layer.switched or bool(layer.lenses),
        "named": "name_zh" in layer.fields,
        "export": layer.export and _may_export(),
    } | (_bins(layer, lang) if style.paint == "bins" else {})


def _may_export() -> bool:
    caller = caller_or_none()
    return caller is not None and caller.may("export")


def _bins(layer: Layer, lang: Language) -> dict[str, Any]:
    """Of squares that are counted: bins of a tile's side, colours from few to many (the server says from how many on), the classes
    of which one alone may be drawn, and what no colour means."""
    return {
        "bins": BINS,
        "scale": [entry_of(one, lang) for one in reversed(layer.classes)],
        "kinds": [entry_of(one, lang) for one in EVENT_KIND],
        "note": t("heat.note", lang),
    }


def named(thing: Any, lang: Language) -> str:
    """name_zh or name_en of a declaration, the English one with a capital."""
    return thing.name_zh if lang == "zh" else thing.name_en[:1].upper() + thing.name_en[1:]


def goes_back(layer: Layer) -> bool:
    """Whether a past day can be shown: as it stood, or the window that ended then."""
    return layer.past or bool(layer.since_field)


def _is_names(layer: Layer) -> bool:
    return layer.geometry == "point" and not layer.switched


def _classing(classing: Classing, lang: Language) -> dict[str, Any]:
    return {
        "id": classing.id,
        "name": named(classing, lang),
        "field": classing.field,
        "empty": classing.empty,
        "ramp": classing.ramp,
        "from_zoom": classing.from_zoom,
        "classes": [entry_of(one, lang) for one in classing.classes],
    }


def swatch(layer: Layer) -> html.I:
    """A small sample of a layer for the panel: its first classes side by side, round for points, a bar for lines."""
    colours = [one.colour for one in layer.classes[:4]] or ["var(--faint)"]
    kind = "spot" if layer.geometry == "point" else "stroke" if layer.style.paint == "line" else "area"
    gap = " gap" if layer.classes and all(one.hatch for one in layer.classes[:4]) else ""
    return sample(colours, f"{kind}{gap}")


def sample(colours: list[str], kind: str) -> html.I:
    """Colours side by side. kind: area, spot or stroke, with "gap" where it is hatched."""
    stops = ", ".join(
        f"{colour} {i * 100 / len(colours):.0f}% {(i + 1) * 100 / len(colours):.0f}%"
        for i, colour in enumerate(colours)
    )
    return html.I(className=f"swatch {kind}", style={"--sample": f"linear-gradient(90deg, {stops})"})
