"""Coordinate frames of Chinese data, and the way from each to the city's metric zone and back.

GCJ-02 (Gaode, Tencent) and BD-09 (Baidu) are not coordinate reference systems: they are WGS84 with a smooth
offset of 100 to 700 m and have no EPSG code. They are converted at the door, in and out, and never stored.
"""

import difflib
import re
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pyproj.exceptions import CRSError

from geoapp.errors import Refused

__all__ = [
    "FRAMES",
    "Frame",
    "bd09_to_gcj02",
    "bd09_to_wgs84",
    "gcj02_to_bd09",
    "gcj02_to_wgs84",
    "geometries_from_metric",
    "geometries_to_metric",
    "parse_frame",
    "points_from_metric",
    "points_to_metric",
    "wgs84_to_bd09",
    "wgs84_to_gcj02",
]

Degrees = NDArray[np.float64]
Metres = NDArray[np.float64]

FRAMES = ("wgs84", "cgcs2000", "gcj02", "bd09", "epsg:NNNN")
_EPSG_OF = {"wgs84": 4326, "cgcs2000": 4490}
_OFFSET_FRAMES = ("gcj02", "bd09")

# Krasovsky 1940, which the published GCJ-02 offset is computed on (variants on 6378137 differ by about 1 cm).
_A = 6378245.0
_E2 = 0.00669342162296594323
# The offset is applied inside this box only; outside, GCJ-02 is WGS84.
_WEST, _EAST, _SOUTH, _NORTH = 72.004, 137.8347, 0.8293, 55.8271
_BD_STEP = np.pi * 3000.0 / 180.0
# Arrays of this length stay in the processor's cache: a million points are twice as fast as in one piece.
_CHUNK = 1 << 14
# Each round of the fixed point divides the error by about 200 (GCJ-02) and 50 (BD-09); these leave under 0.4 mm.
_GCJ_ROUNDS = 3
_BD_ROUNDS = 2


class Frame(NamedTuple):
    """A frame: its name as declared ("bd09", "epsg:4549") and its EPSG code, None for GCJ-02 and BD-09.

    `wkt`: a system without a code, as the file itself describes it (of another country, or a survey's own).
    """

    name: str
    epsg: int | None
    wkt: str | None = None

    @property
    def is_geographic(self) -> bool:
        """Whether its coordinates are degrees."""
        system = self.wkt or self.epsg
        return system is None or _crs(system).is_geographic


def parse_frame(text: str) -> Frame:
    """The frame that a manifest names: wgs84, cgcs2000, gcj02, bd09 or epsg:NNNN (case and hyphens are free).

    Raises Refused with the nearest right name when there is no such frame.
    """
    name = re.sub(r"[\s_-]", "", str(text)).lower()
    if name in _EPSG_OF:
        return Frame(name, _EPSG_OF[name])
    if name in _OFFSET_FRAMES:
        return Frame(name, None)
    match = re.fullmatch(r"epsg:?(\d{4,6})", name)
    if match:
        code = int(match.group(1))
        try:
            _crs(code)
        except CRSError:
            raise Refused(
                f"没有 EPSG:{code} 这个坐标系 / There is no EPSG:{code}; check the number."
            ) from None
        return Frame(f"epsg:{code}", code)
    near = difflib.get_close_matches(name, ["wgs84", "cgcs2000", "gcj02", "bd09"], n=1, cutoff=0.4)
    hint = f" 是否 / did you mean {near[0]}?" if near else ""
    raise Refused(
        f"不认识坐标框架 {text!r} / unknown frame {text!r}: expected one of {', '.join(FRAMES)}.{hint}"
    )


@lru_cache(maxsize=32)
def _crs(system: int | str) -> pyproj.CRS:
    return pyproj.CRS.from_user_input(system)


@lru_cache(maxsize=32)
def _transformer(source: int | str, target: int) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(_crs(source), _crs(target), always_xy=True)


def _in_chunks(step: object, x: Degrees, y: Degrees) -> tuple[Degrees, Degrees]:
    x = np.ascontiguousarray(x, dtype=np.float64)
    y = np.ascontiguousarray(y, dtype=np.float64)
    out_x, out_y = np.empty_like(x), np.empty_like(y)
    for start in range(0, x.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        out_x[part], out_y[part] = step(x[part], y[part])  # type: ignore[operator]
    return out_x, out_y


def _gcj_offset(lon: Degrees, lat: Degrees) -> tuple[Degrees, Degrees]:
    """Offset GCJ-02 minus WGS84 at WGS84 points, degrees; zero outside the box."""
    x, y = lon - 105.0, lat - 35.0
    root = np.sqrt(np.abs(x))
    half = np.pi * x
    sin_1, cos_1 = np.sin(half), np.cos(half)
    sin_2 = 2.0 * sin_1 * cos_1
    sin_6 = sin_2 * (3.0 - 4.0 * sin_2 * sin_2)
    waves = (20.0 * sin_6 + 20.0 * sin_2) * 2.0 / 3.0
    north = (
        -100.0
        + 2.0 * x
        + 3.0 * y
        + 0.2 * y * y
        + 0.1 * x * y
        + 0.2 * root
        + waves
        + (20.0 * np.sin(np.pi * y) + 40.0 * np.sin(np.pi / 3.0 * y)) * 2.0 / 3.0
        + (160.0 * np.sin(np.pi / 12.0 * y) + 320.0 * np.sin(np.pi / 30.0 * y)) * 2.0 / 3.0
    )
    east = (
        300.0
        + x
        + 2.0 * y
        + 0.1 * x * x
        + 0.1 * x * y
        + 0.1 * root
        + waves
        + (20.0 * sin_1 + 40.0 * np.sin(np.pi / 3.0 * x)) * 2.0 / 3.0
        + (150.0 * np.sin(np.pi / 12.0 * x) + 300.0 * np.sin(np.pi / 30.0 * x)) * 2.0 / 3.0
    )
    phi = np.radians(lat)
    sin_phi = np.sin(phi)
    curve = 1.0 - _E2 * sin_phi * sin_phi
    root_curve = np.sqrt(curve)
    inside = (lon > _WEST) & (lon < _EAST) & (lat > _SOUTH) & (lat < _NORTH)
    d_lat = np.degrees(north * (curve * root_curve) / (_A * (1.0 - _E2)))
    d_lon = np.degrees(east * root_curve / (_A * np.cos(phi)))
    return np.where(inside, d_lon, 0.0), np.where(inside, d_lat, 0.0)


def wgs84_to_gcj02(lon: Degrees, lat: Degrees) -> tuple[Degrees, Degrees]:
    """WGS84 to GCJ-02, arrays of shape (n,), degrees; unchanged outside China's box."""

    def step(x: Degrees, y: Degrees) -> tuple[Degrees, Degrees]:
        dx, dy = _gcj_offset(x, y)
        return x + dx, y + dy

    return _in_chunks(step, lon, lat)


def gcj02_to_wgs84(lon: Degrees, lat: Degrees) -> tuple[Degrees, Degrees]:
    """GCJ-02 to WGS84 by fixed point on the forward offset, arrays of shape (n,), degrees, exact to under 0.4 mm.

    Within about 700 m of the box's edge (72.004..137.8347 E, 0.8293..55.8271 N), where the offset jumps, the
    inverse is not unique.
    """

    def step(x: Degrees, y: Degrees) -> tuple[Degrees, Degrees]:
        wx, wy = x, y
        for _ in range(_GCJ_ROUNDS):
            dx, dy = _gcj_offset(wx, wy)
            wx, wy = x - dx, y - dy
        return wx, wy

    return _in_chunks(step, lon, lat)


def _bd_of_gcj(x: Degrees, y: Degrees) -> tuple[Degrees, Degrees]:
    radius = np.hypot(x, y) + 2e-5 * np.sin(y * _BD_STEP)
    angle = np.arctan2(y, x) + 3e-6 * np.cos(x * _BD_STEP)
    return radius * np.cos(angle) + 0.0065, radius * np.sin(angle) + 0.006


def gcj02_to_bd09(lon: Degrees, lat: Degrees) -> tuple[Degrees, Degrees]:
    """GCJ-02 to BD-09, arrays of shape (n,), degrees."""
    return _in_chunks(_bd_of_gcj, lon, lat)


def bd09_to_gcj02(lon: Degrees, lat: Degrees) -> tuple[Degrees, Degrees]:
    """BD-09 to GCJ-02 by fixed point, arrays of shape (n,), degrees, exact to under 0.4 mm."""

    def step(x: Degrees, y: Degrees) -> tuple[Degrees, Degrees]:
        # The published approximate inverse, within about a metre, is the start.
        gx, gy = x - 0.0065, y - 0.006
        radius = np.hypot(gx, gy) - 2e-5 * np.sin(gy * _BD_STEP)
        angle = np.arctan2(gy, gx) - 3e-6 * np.cos(gx * _BD_STEP)
        gx, gy = radius * np.cos(angle), radius * np.sin(angle)
        for _ in range(_BD_ROUNDS):
            bx, by = _bd_of_gcj(gx, gy)
            gx, gy = gx + (x - bx), gy + (y - by)
        return gx, gy

    return _in_chunks(step, lon, lat)


def bd09_to_wgs84(lon: Degrees, lat: Degrees) -> tuple[Degrees, Degrees]:
    """BD-09 to WGS84, arrays of shape (n,), degrees."""
    return gcj02_to_wgs84(*bd09_to_gcj02(lon, lat))


def wgs84_to_bd09(lon: Degrees, lat: Degrees) -> tuple[Degrees, Degrees]:
    """WGS84 to BD-09, arrays of shape (n,), degrees."""
    return gcj02_to_bd09(*wgs84_to_gcj02(lon, lat))


def points_to_metric(x: Degrees, y: Degrees, frame: Frame, srid: int) -> tuple[Metres, Metres]:
    """Coordinates of a frame to the city's zone.

    `x`, `y`: shape (n,), easting or longitude first, in the frame's units; the result is metres of EPSG:`srid`,
    x = easting. NaN stays NaN; a point that the projection cannot hold becomes infinite.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    source: int | str | None = frame.wkt or frame.epsg
    if frame.name == "bd09":
        x, y = bd09_to_wgs84(x, y)
    elif frame.name == "gcj02":
        x, y = gcj02_to_wgs84(x, y)
    if source is None:
        source = _EPSG_OF["wgs84"]
    if source == srid:
        return x, y
    east, north = _transformer(source, srid).transform(x, y)
    return np.asarray(east, dtype=np.float64), np.asarray(north, dtype=np.float64)


def geometries_to_metric(geometry: NDArray[np.object_], frame: Frame, srid: int) -> NDArray[np.object_]:
    """Geometries (shapely, 2-D is kept, Z is dropped) of a frame to metres of EPSG:`srid`; None stays None."""
    flat = shapely.force_2d(geometry)

    def step(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(points_to_metric(xy[:, 0], xy[:, 1], frame, srid))

    return np.asarray(shapely.transform(flat, step), dtype=object)


def points_from_metric(
    x: Metres, y: Metres, frame: Frame, srid: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points of the city's zone in another frame: the way back of points_to_metric.

    `x`, `y`: shape (n,), metres of EPSG:`srid`, x = easting; the result is easting or longitude first, in the frame's units.
    """
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    target = frame.epsg or _EPSG_OF["wgs84"]
    if target == srid:
        return x, y
    out_x, out_y = (np.asarray(v, dtype=np.float64) for v in _transformer(srid, target).transform(x, y))
    if frame.name == "bd09":
        return wgs84_to_bd09(out_x, out_y)
    if frame.name == "gcj02":
        return wgs84_to_gcj02(out_x, out_y)
    return out_x, out_y


def geometries_from_metric(geometry: NDArray[np.object_], frame: Frame, srid: int) -> NDArray[np.object_]:
    """Geometries (shapely, metres of EPSG:`srid`, 2-D) in another frame; None stays None."""
    if frame.epsg == srid:
        return geometry

    def step(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(points_from_metric(xy[:, 0], xy[:, 1], frame, srid))

    return np.asarray(shapely.transform(geometry, step), dtype=object)
