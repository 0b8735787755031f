"""The layers of the map, looked up by name and role: panel, legend, tiles, export and tests read this and nothing else.

What a layer declares: layers/declaration.py. The declarations: layers/catalogue.
"""

from collections.abc import Iterable

from geoapp.access.caller import ROLES
from geoapp.errors import Refused
from layers.catalogue import DECLARED
from layers.catalogue.ground import LENSES
from layers.declaration import Classing, Layer, LegendClass, Lens, Style

__all__ = [
    "LAYERS",
    "LENSES",
    "Classing",
    "Layer",
    "LegendClass",
    "Lens",
    "Style",
    "classing",
    "layer",
    "layers_for",
    "lens",
]

# By id, in drawing order.
LAYERS: dict[str, Layer] = DECLARED


def layer(name: str, roles: Iterable[str] = ROLES) -> Layer:
    """The declaration of a layer that one of `roles` may see; raises Refused, with the names for them, for any other."""
    found = layers_for(roles)
    if name not in found:
        raise Refused(f"没有图层 {name} / no layer {name!r}. Known: {', '.join(found)}.")
    return found[name]


def layers_for(roles: Iterable[str]) -> dict[str, Layer]:
    """The layers that one of `roles` may see, by id, in drawing order."""
    held = set(roles)
    return {name: declared for name, declared in LAYERS.items() if held.intersection(declared.roles)}


def classing(declared: Layer, name: str = "") -> Classing:
    """A classing of a layer by name, "" = the usual one; raises Refused, with the known names, for any other."""
    for found in declared.classings:
        if name in ("", found.id):
            return found
    known = ", ".join(one.id for one in declared.classings) or "无 / none"
    raise Refused(
        f"图层 {declared.id} 没有分类 {name} / layer {declared.id!r} has no classing {name!r}. Known: {known}."
    )


def lens(name: str) -> Lens:
    """The declaration of a lens; raises Refused, with the known names, for any other."""
    for found in LENSES:
        if found.id == name:
            return found
    raise Refused(f"没有专题 {name} / no lens {name!r}. Known: {', '.join(lens.id for lens in LENSES)}.")
