"""What a screen shows, as the address says it: the same URL gives the same view to a colleague."""

import math
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlencode

from dashboards.texts import Language

LENSES = ("risk", "coverage", "duty")
TOGGLES = ("incident", "camera", "key_risk_area", "site", "no_cell", "unit")
SHOWN_AT_FIRST = ("incident", "camera", "key_risk_area", "no_cell", "unit")
# A firm's map is of its own sites.
SHOWN_TO_FIRM = ("incident", "camera", "key_risk_area", "site", "unit")
_SELECTED = re.compile(r"^(cell|site|camera|key_risk_area|no_cell|incident):[0-9A-Za-z-]{1,40}$")


@dataclass(frozen=True)
class ViewState:
    """Language, theme ("light", "dark" or "" for the browser's choice), lens, layers shown, map view (degrees, zoom in halves) and
    what is selected ("kind:id", or "")."""

    lang: Language = "zh"
    theme: str = ""
    lens: str = "risk"
    layers: tuple[str, ...] = field(default=SHOWN_AT_FIRST)
    zoom: float | None = None
    lat: float | None = None
    lon: float | None = None
    selected: str = ""

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
            selected=given.get("selected", "") if _SELECTED.match(given.get("selected", "")) else "",
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
        return "?" + urlencode(pairs, safe=":.")


def _number(value: str | None) -> float | None:
    try:
        number = float(value) if value is not None else None
    except ValueError:
        return None
    return number if number is not None and math.isfinite(number) else None
