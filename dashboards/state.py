"""What a screen shows, as the address says it: the same URL gives the same view to a colleague."""

import math
import re
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import parse_qs, urlencode

from dashboards.texts import Language
from layers.event_heat import CLASSES
from layers.registry import LAYERS
from layers.registry import LENSES as DECLARED_LENSES

LENSES = tuple(lens.id for lens in DECLARED_LENSES)
# Layers that are switched on and off, in drawing order; the others are always drawn.
TOGGLES = tuple(name for name, layer in LAYERS.items() if layer.switched)
SHOWN_AT_FIRST = tuple(name for name, layer in LAYERS.items() if layer.switched and layer.visible_by_default)
# A firm's map is of its own sites; what is in no cell is not its business.
SHOWN_TO_FIRM = tuple(
    name
    for name, layer in LAYERS.items()
    if layer.source == "analysis.site" or (name in SHOWN_AT_FIRST and name != "no_cell")
)
# Windows of event layers; else YYYY-MM-DD_YYYY-MM-DD, both days whole.
WINDOWS = ("24h", "7d", "30d", "1y")
WINDOW_AT_FIRST = "30d"
_SELECTED = re.compile(r"^([a-z_]{1,40}):[0-9A-Za-z_.-]{1,60}$")
_NAME = re.compile(r"^[a-z_]{1,40}$")
_DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")
_RANGE = re.compile(r"^(\d{4}-\d{2}-\d{2})_(\d{4}-\d{2}-\d{2})$")


@dataclass(frozen=True)
class ViewState:
    """Language, theme ("light", "dark" or "" for the browser's choice), lens, layers shown, map view (degrees, zoom in halves),
    what is selected ("layer:id", or ""), the past day ("" = now, as typed: past_day.py checks it), classings other than the usual
    one (pairs of layer and classing), the window of event layers and the one kind of event that is counted ("" = all). Of the page of
    exports: what is to be taken out, and as_of, from and to (pairs of name and ISO time) where it is of a moment or window."""

    lang: Language = "zh"
    theme: str = ""
    lens: str = "risk"
    layers: tuple[str, ...] = field(default=SHOWN_AT_FIRST)
    zoom: float | None = None
    lat: float | None = None
    lon: float | None = None
    selected: str = ""
    day: str = ""
    by: tuple[tuple[str, str], ...] = ()
    window: str = WINDOW_AT_FIRST
    kind: str = ""
    register: str = ""
    when: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_query(cls, query: str | None, shown: tuple[str, ...] = SHOWN_AT_FIRST) -> "ViewState":
        """Reads `?lang=…&lens=…`; what it does not understand is left at its default, never an error. shown: layers that
        are shown where the address names none."""
        given = {k: v[-1] for k, v in parse_qs((query or "").lstrip("?"), keep_blank_values=True).items()}
        zoom, lat, lon = _number(given.get("z")), _number(given.get("lat")), _number(given.get("lon"))
        whole = (
            zoom is not None
            and lat is not None
            and lon is not None
            and 1 <= zoom <= 19
            and abs(lat) <= 85
            and abs(lon) <= 180
        )
        layers = shown
        if "layers" in given:
            layers = tuple(name for name in TOGGLES if name in given["layers"].split("."))
        return cls(
            lang="en" if given.get("lang") == "en" else "zh",
            theme=given.get("theme", "") if given.get("theme") in ("light", "dark") else "",
            lens=given["lens"] if given.get("lens") in LENSES else "risk",
            layers=layers,
            zoom=round(zoom * 2) / 2 if whole and zoom is not None else None,
            lat=lat if whole else None,
            lon=lon if whole else None,
            selected=_selected(given.get("selected", "")),
            day=given.get("day", "") if _DAY.match(given.get("day", "")) else "",
            by=_classings(given.get("by", "")),
            window=given["window"] if _is_window(given.get("window", "")) else WINDOW_AT_FIRST,
            kind=given["kind"] if given.get("kind") in CLASSES else "",
            register=given["register"] if _NAME.match(given.get("register", "")) else "",
            when=tuple(
                (name, given[name]) for name in ("as_of", "from", "to") if _is_time(given.get(name, ""))
            ),
        )

    def to_query(self) -> str:
        """The query string, "?" included, that from_query reads back to the same state."""
        pairs: list[tuple[str, str]] = [("lang", self.lang)]
        if self.theme:
            pairs.append(("theme", self.theme))
        pairs += [("lens", self.lens), ("layers", ".".join(self.layers))]
        if self.zoom is not None:
            pairs += [("z", f"{self.zoom:g}"), ("lat", f"{self.lat:.5f}"), ("lon", f"{self.lon:.5f}")]
        if self.selected:
            pairs.append(("selected", self.selected))
        if self.day:
            pairs.append(("day", self.day))
        if self.by:
            pairs.append(("by", ".".join(":".join(pair) for pair in self.by)))
        if self.window != WINDOW_AT_FIRST:
            pairs.append(("window", self.window))
        if self.kind:
            pairs.append(("kind", self.kind))
        if self.register:
            pairs.append(("register", self.register))
        pairs += self.when
        return "?" + urlencode(pairs, safe=":.")


def _selected(text: str) -> str:
    found = _SELECTED.match(text)
    return text if found and found[1] in LAYERS else ""


def _classings(text: str) -> tuple[tuple[str, str], ...]:
    """Pairs of a layer or lens and one of its classings but the usual one, in the layers' order."""
    given = dict(part.split(":", 1) for part in text.split(".") if ":" in part)
    known = {name: layer.classings for name, layer in LAYERS.items()} | {
        lens.id: lens.classings for lens in DECLARED_LENSES
    }
    return tuple(
        (name, given[name])
        for name, classings in known.items()
        if given.get(name) in {one.id for one in classings[1:]}
    )


def _is_window(text: str) -> bool:
    span = _RANGE.match(text)
    return text in WINDOWS or bool(span and span[1] <= span[2])


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) else None
