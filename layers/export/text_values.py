"""Values and positions as tables and GeoJSON write them."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.export.content import Content, Piece

# A spreadsheet would run a text that begins with one of these as a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def digits(content: Content) -> int:
    """Decimals of a coordinate: 0.1 mm."""
    return 9 if content.order.frame.is_geographic else 4


def position_names(content: Content) -> list[str]:
    """Columns of a table that say where: lon and lat or x and y for points, wkt for other shapes."""
    if content.family is None:
        return []
    if content.family == "point":
        return ["lon", "lat"] if content.order.frame.is_geographic else ["x", "y"]
    return ["wkt"]


def positions(content: Content, piece: Piece) -> list[list[Any]]:
    """The values of position_names(), rounded to 0.1 mm; numbers that a row came with stay as they came."""
    if piece.shapes is None:
        return []
    if content.family != "point":
        places = digits(content)
        return [
            [None if one is None else shapely.to_wkt(one, rounding_precision=places) for one in piece.shapes]
        ]
    return [
        _numbers(content, piece, shapely.get_x(piece.shapes)),
        _numbers(content, piece, shapely.get_y(piece.shapes)),
    ]


def _numbers(content: Content, piece: Piece, values: NDArray[np.float64]) -> list[float | None]:
    rounded = np.round(values, digits(content))
    if piece.as_came is not None:
        rounded = np.where(piece.as_came, values, rounded)
    return [None if np.isnan(v) else float(v) for v in rounded]


def local_time(moment: datetime, zone: str) -> str:
    """ISO 8601 in the city's time, with its distance from UTC."""
    return moment.astimezone(ZoneInfo(zone)).isoformat()
