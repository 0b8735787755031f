"""GeoJSON: longitude and latitude. Other frames than WGS 84 are said in the file itself, with a warning."""

import json
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import shapely
from numpy.typing import NDArray

from layers.export.about import about
from layers.export.content import Content, Piece
from layers.export.text_values import digits, local_time

WARNING = (
    "坐标不是 WGS 84：见 frame；直接叠加会偏移数百米 / These coordinates are not WGS 84: see frame. Laid over a WGS 84 map they are"
    " hundreds of metres off."
)
NEARLY = "坐标为 CGCS2000（EPSG:4490），与 WGS 84 相差在一米以内 / Coordinates are CGCS2000 (EPSG:4490), within about a metre of WGS 84."


def write_geojson(content: Content, target: Path) -> None:
    """Writes `target` by RFC 7946: right-handed rings, 9 decimals, WGS 84 without a `crs` member.

    In GCJ-02 and BD-09 the top level carries `frame`, `warning` and a `crs` that is of no place on Earth (GDAL takes `null`
    for WGS 84, but not this); in CGCS2000 `frame` and `warning`.
    """
    told = about(content)
    head: dict[str, Any] = {"type": "FeatureCollection", "name": content.order.register.id}
    if content.family and content.order.has_no_crs:
        head |= {
            "frame": content.order.frame.name,
            "warning": WARNING,
            "crs": _no_crs(content.order.frame.name),
        }
    elif content.family and content.order.frame.epsg == 4490:
        head |= {"frame": "cgcs2000", "warning": NEARLY}
    head["about"] = told
    with target.open("w", encoding="utf-8") as out:
        out.write(json.dumps(head, ensure_ascii=False)[:-1] + ', "features": [')
        before = "\n"
        for piece in content.pieces():
            before = _features(content, piece, out, before)
        out.write("\n]}\n")


def _no_crs(frame: str) -> dict[str, Any]:
    name = {"gcj02": "GCJ-02", "bd09": "BD-09"}[frame]
    return {"type": "name", "properties": {"name": f'LOCAL_CS["{name}",UNIT["degree",0.0174532925199433]]'}}


def _features(content: Content, piece: Piece, out: TextIO, before: str) -> str:
    zone = content.city["timezone"]
    names = [one.name for one in content.fields]
    shapes = ["null"] * len(piece) if piece.shapes is None else _shapes(piece.shapes, digits(content))
    for shape, *values in zip(shapes, *piece.values, strict=True):
        told = {name: _value(v, zone) for name, v in zip(names, values, strict=True)}
        properties = json.dumps(told, ensure_ascii=False, default=str)
        out.write(f'{before}{{"type": "Feature", "properties": {properties}, "geometry": {shape}}}')
        before = ",\n"
    return before


def _shapes(shapes: NDArray[np.object_], places: int) -> list[str]:
    def rounded(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.round(xy, places)

    turned = shapely.orient_polygons(shapely.transform(shapes, rounded), exterior_cw=False)
    return ["null" if text is None else text for text in shapely.to_geojson(turned)]


def _value(value: Any, zone: str) -> Any:
    return local_time(value, zone) if hasattr(value, "tzinfo") else value
