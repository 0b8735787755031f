"""How each lens is painted: the classes of layers/registry.py in the words of the map's script."""

from typing import Any

from dashboards.texts import Language
from layers.answers import lens_classing
from layers.registry import LegendClass, layer, lens

_HATCH: dict[str, dict[str, Any]] = {
    "/": {},
    "\\": {"back": True},
    "x": {"cross": True},
    "-": {"flat": True},
    "|": {"upright": True},
}
# What lies over the colour of a cell, by lens: why (`hatched` of /lens/….json). Drawn in assets/20_symbols.js, its chip in app.css.
OVERLAYS: dict[str, tuple[str, ...]] = {"risk": ("duty_gap", "stale", "unknown"), "duty": ("no_grid_worker",)}
# Classes without anything to say stay faint, so that the eye goes to what is missing.
_CALM = {"none", "clear", "0", "confirmed"}


def ink_on(colour: str) -> str:
    """Dark or light writing on a colour, by relative luminance (WCAG 2)."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#1d1405" if luminance > 0.18 else "#ffffff"


def entry_of(one: LegendClass, lang: Language) -> dict[str, Any]:
    """A class of a layer for the map's script: value, color, ink, numeral, hatch, name. Every class has its colour: nothing is faint."""
    return {
        "value": one.id,
        "color": one.colour.lower(),
        "ink": ink_on(one.colour),
        "numeral": one.numeral,
        "hatch": _HATCH.get(one.hatch) if one.hatch else None,
        "name": one.name_zh if lang == "zh" else one.name_en[:1].upper() + one.name_en[1:],
    }


def _entry(one: LegendClass) -> dict[str, Any]:
    calm = one.id in _CALM
    return {
        "value": one.id,
        "color": "" if calm else one.colour.lower(),
        "ink": ink_on(one.colour),
        "numeral": "" if calm else one.numeral,
        "hatch": _HATCH.get(one.hatch) if one.hatch and not calm else None,
        "zh": one.name_zh,
        "en": one.name_en[:1].upper() + one.name_en[1:],
    }


def lens_classes(name: str, by: str = "") -> list[dict[str, Any]]:
    """Classes of a lens by a classing ("" = the usual one), worst first: value, color (empty = faint), ink, numeral, hatch, zh, en."""
    declared = lens(name)
    classing = lens_classing(declared, by)
    entries = [_entry(one) for one in classing.classes]
    if name != "duty" or classing.classes != declared.classes:
        return entries
    # A share is a quantity: one hue that grows darker; hatching is kept for cells without a grid worker.
    return [entry | {"hatch": None} for entry in reversed(entries)]


def lens_ways(name: str, lang: Language) -> list[dict[str, Any]]:
    """The classings of a lens that has several, the usual one first: id, name."""
    return [
        {"id": one.id, "name": one.name_zh if lang == "zh" else one.name_en[:1].upper() + one.name_en[1:]}
        for one in lens(name).classings
    ]


def no_cell_class(*, declared: bool) -> dict[str, Any]:
    """How ground in no cell is painted, in the shape of lens_classes."""
    return _entry(next(one for one in layer("no_cell").classes if one.id == str(declared).lower()))


def hatch_name(entry: dict[str, Any]) -> str:
    """The legend's style class for the hatching of an entry, or ""."""
    if entry["hatch"] is None:
        return ""
    return " hatched " + next(iter(entry["hatch"]), "slash")
