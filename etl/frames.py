"""Coordinate frames as the readers name them: the mathematics lies with the territory (geoapp/territory/frames.py)."""

from geoapp.territory.frames import (
    FRAMES,
    Degrees,
    Frame,
    Metres,
    bd09_to_gcj02,
    bd09_to_wgs84,
    gcj02_to_bd09,
    gcj02_to_wgs84,
    geometries_to_metric,
    parse_frame,
    points_to_metric,
    wgs84_to_bd09,
    wgs84_to_gcj02,
)

__all__ = [
    "FRAMES",
    "Degrees",
    "Frame",
    "Metres",
    "bd09_to_gcj02",
    "bd09_to_wgs84",
    "gcj02_to_bd09",
    "gcj02_to_wgs84",
    "geometries_to_metric",
    "parse_frame",
    "points_to_metric",
    "wgs84_to_bd09",
    "wgs84_to_gcj02",
]
