"""The frames that a file of a city may be in: readings of the same two numbers as different places."""

from dataclasses import dataclass, replace

import numpy as np
import pyproj
from numpy.typing import NDArray

from etl.frames import Frame, gcj02_to_wgs84, parse_frame, points_to_metric

__all__ = ["Reading", "possible_readings"]

Floats = NDArray[np.float64]

# CGCS2000: EPSG code of each central meridian (degrees E), 6-degree zones and 3-degree zones, both also with the number
# of the zone in front of the easting.
_ZONES_6 = {75 + 6 * n: (4502 + n, 4491 + n) for n in range(11)}
_ZONES_3 = {75 + 3 * n: (4534 + n, 4513 + n) for n in range(21)}
_NUMBER_OF_ZONE = {f"epsg:{code}": 13 + n for n, (_, code) in enumerate(_ZONES_6.values())} | {
    f"epsg:{code}": 25 + n for n, (_, code) in enumerate(_ZONES_3.values())
}
_NEAR_DEGREES = 4.6


@dataclass(frozen=True)
class Reading:
    """One way to read the numbers. `name`: as a manifest declares the frame.

    `swapped`: the first number is the latitude or northing. `mercator_of_gcj02`: Web Mercator over GCJ-02 degrees, as
    some makers of maps have it; a manifest cannot declare it.
    """

    name: str
    swapped: bool = False
    mercator_of_gcj02: bool = False

    @property
    def label(self) -> str:
        """As people read it in the table."""
        name = "gcj02 in epsg:3857" if self.mercator_of_gcj02 else self.name
        return f"{name} (x ↔ y)" if self.swapped else name

    @property
    def can_be_declared(self) -> bool:
        """Whether a manifest's `frame` can say it."""
        return not self.swapped and not self.mercator_of_gcj02

    @property
    def frame(self) -> Frame:
        """The frame of the (exchanged) numbers."""
        return parse_frame(self.name)

    def places(self, x: Floats, y: Floats, srid: int) -> tuple[Floats, Floats]:
        """The points in metres of EPSG:`srid`, shape (n,); NaN where the numbers are no place in this reading."""
        if self.swapped:
            x, y = y, x
        possible = np.isfinite(x) & np.isfinite(y)
        if self.frame.is_geographic:
            possible &= (np.abs(x) <= 180) & (np.abs(y) <= 89)
        x, y = np.where(possible, x, np.nan), np.where(possible, y, np.nan)
        if self.mercator_of_gcj02:
            x, y = (np.asarray(v) for v in _degrees_of_mercator().transform(x, y))
            x, y = gcj02_to_wgs84(x, y)
            east, north = points_to_metric(x, y, parse_frame("wgs84"), srid)
        else:
            east, north = points_to_metric(x, y, self.frame, srid)
        known = np.isfinite(east) & np.isfinite(north)
        return np.where(known, east, np.nan), np.where(known, north, np.nan)


def _degrees_of_mercator() -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(3857, 4326, always_xy=True)


def possible_readings(srid: int, longitude: float, x: float, y: float) -> list[Reading]:
    """The readings to try for a city in zone EPSG:`srid` around a longitude (degrees), the likelier first.

    x, y: the middle of the file's numbers; readings in which they are no place near China's zones at all are left out.
    """
    names = ["wgs84", "cgcs2000", "gcj02", "bd09", f"epsg:{srid}"]
    for zones in (_ZONES_3, _ZONES_6):
        near = (m for m in zones if abs(m - longitude) <= _NEAR_DEGREES)
        for meridian in sorted(near, key=lambda m: abs(m - longitude)):
            names += [f"epsg:{code}" for code in zones[meridian]]
    names += ["epsg:3857", f"epsg:{32601 + int((longitude + 180) // 6) % 60}"]
    readings = [Reading(name) for name in dict.fromkeys(names)]
    readings.append(Reading("epsg:3857", mercator_of_gcj02=True))
    return [reading for reading in readings if _looks_like(reading, x, y)] + [
        replace(reading, swapped=True) for reading in readings if _looks_like(reading, y, x)
    ]


def _looks_like(reading: Reading, x: float, y: float) -> bool:
    """Whether two numbers have the size of the frame's: degrees, an easting with or without the zone's number."""
    if reading.frame.is_geographic:
        return abs(x) <= 180 and abs(y) <= 90
    if reading.name == "epsg:3857":
        return max(abs(x), abs(y)) < 20_100_000 and min(abs(x), abs(y)) > 1_000
    zone = _NUMBER_OF_ZONE.get(reading.name, 0)
    return zone * 1e6 <= x < (zone + 1) * 1e6 and abs(y) < 1e7
