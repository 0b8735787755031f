"""What a file holds, said before it is loaded."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyproj
import shapely

from etl.checks.values import as_text, floats
from etl.city_store import stored_city
from etl.frame_proposal import Proposal, propose, propose_frame
from etl.ground import Ground
from etl.kept_aside import secrets_of_columns, shown_value
from etl.manifest import Manifest
from etl.readers import Table, read_table
from etl.reasons import REASONS
from etl.section import Section
from geoapp.access.redaction import redact
from geoapp.database.connection import connect, database_url
from geoapp.errors import Refused

__all__ = ["describe", "look_at", "running_ground", "section_of"]

_LON_NAMES = ("lon", "lng", "long", "longitude", "经度", "x", "lon_bd09", "lon_gcj02")
_LAT_NAMES = ("lat", "latitude", "纬度", "y", "lat_bd09", "lat_gcj02")
_CHINA = (73.0, 3.0, 136.0, 54.0)
_ZONES = range(4534, 4555)


def describe(path: Path, *, layer: str | None = None, encoding: str | None = None) -> dict[str, Any]:
    """Rows, columns with examples, encoding and its evidence, coordinates with the frames they may be in, problems.

    Nothing is guessed: where several frames are possible, all are named. Raises Refused when the file cannot be read.
    """
    return look_at(path, layer=layer, encoding=encoding)[0]


def look_at(
    path: Path,
    *,
    layer: str | None = None,
    encoding: str | None = None,
    ground: Ground | None = None,
    section: Section | None = None,
) -> tuple[dict[str, Any], Proposal | None]:
    """What `describe` says, and with a `ground` that has outlines how the points fare in each frame.

    `section`: the manifest's, which names the columns, layer and encoding. Raises Refused when the file cannot be read.
    """
    if section is not None:
        layer, encoding = layer or section.layer, encoding or section.encoding
    table = read_table(path, layer=layer, encoding=encoding)
    problems = list(table.notices)
    for code, count in Counter(code for code, _ in table.damaged.values()).items():
        rows = [int(table.row_no[r]) for r, (c, _) in table.damaged.items() if c == code][:5]
        problems.append(f"{count} × {code} ({REASONS[code][1].format(found='?')}), rows {rows}")
    secrets = secrets_of_columns(table)
    coordinates = _of_geometry(table, problems) + _of_columns(table)
    proposal = None if ground is None else _proposal(table, ground, section)
    found = {
        "file": path.name,
        "rows": len(table),
        "encoding": table.encoding,
        "encoding_evidence": table.evidence,
        "crs": table.crs.to_string() if table.crs else None,
        "columns": [_column(name, values, secrets) for name, values in table.columns.items()],
        "coordinates": coordinates,
        "frames": None if proposal is None else proposal.as_json(),
        "problems": problems,
    }
    return found, proposal


@contextmanager
def running_ground(manifest: Manifest | None = None) -> Iterator[Ground | None]:
    """The ground of the city's database where one runs and holds the (manifest's) city; None else, and nothing is started."""
    try:
        connection = connect(database_url(start=False))
    except (Refused, psycopg.OperationalError):
        yield None
        return
    with connection:
        try:
            city = stored_city(connection)
        except psycopg.Error:  # a database without the schema
            city = None
        if city is None or (manifest is not None and manifest.city.code != city.code):
            yield None
        else:
            yield Ground(connection, city)


def section_of(manifest: Manifest, path: Path, layer: str | None) -> Section | None:
    """The first section of a manifest that names a file (by its name) and, where it is given, the layer."""
    for section in manifest.in_order():
        if Path(section.file).name == path.name and layer in (None, section.layer):
            return section
    return None


def _proposal(table: Table, ground: Ground, section: Section | None) -> Proposal | None:
    if ground.district is None:
        return None
    if section is not None:
        return propose_frame(table, section, ground) if section.spatial else None
    lon, lat = _named(table, _LON_NAMES), _named(table, _LAT_NAMES)
    if lon is not None and lat is not None:
        return propose(table, floats(as_text(table.text(lon))), floats(as_text(table.text(lat))), ground)
    if table.geometry is None:
        return None
    centres = shapely.centroid(table.geometry)
    return propose(table, shapely.get_x(centres), shapely.get_y(centres), ground)


def _named(table: Table, names: tuple[str, ...]) -> str | None:
    return next((name for name in table.columns if name.lower() in names), None)


def _column(name: str, values: Any, secrets: set[str]) -> dict[str, Any]:
    given = [v for v in values if v is not None]
    # Redacted before it is cut: half a secret has no form that could be known.
    examples = [shown_value(name, str(v), secrets)[:30] for v in list(dict.fromkeys(given))[:3]]
    return {"name": redact(name), "blank": len(values) - len(given), "examples": examples}


def _of_geometry(table: Table, problems: list[str]) -> list[str]:
    if table.geometry is None:
        return []
    kinds = Counter("none" if g is None else g.geom_type for g in table.geometry)
    lines = ["图形 geometry: " + ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())]
    invalid = ~(shapely.is_valid(table.geometry) | shapely.is_missing(table.geometry))
    if invalid.any():
        rows = table.row_no[invalid][:5].tolist()
        problems.append(f"{int(invalid.sum())} 个图形无效 / invalid geometries, rows {rows}")
    said = (
        f"文件自称 / the file says {table.crs.name}"
        if table.crs
        else "文件没有说明坐标系 / the file states no coordinate system"
    )
    present = table.geometry[~(shapely.is_missing(table.geometry) | shapely.is_empty(table.geometry))]
    if len(present):
        lines.append(f"{said}; " + _possible(*shapely.total_bounds(present)))
    return lines


def _of_columns(table: Table) -> list[str]:
    lon, lat = _named(table, _LON_NAMES), _named(table, _LAT_NAMES)
    if lon is None or lat is None:
        return []
    x, y = floats(as_text(table.text(lon))), floats(as_text(table.text(lat)))
    sane = np.isfinite(x) & np.isfinite(y)
    if not sane.any():
        return [f"{lon}, {lat}: 没有数字 / no numbers"]
    # A few wild points must not hide where the others are.
    west, east = np.percentile(x[sane], [1, 99])
    south, north = np.percentile(y[sane], [1, 99])
    return [
        f"{lon}, {lat} ({int(sane.sum()):,} 行有坐标 / rows with numbers): "
        + _possible(west, south, east, north)
    ]


def _possible(west: float, south: float, east: float, north: float) -> str:
    box = f"{west:.6g}..{east:.6g}, {south:.6g}..{north:.6g}"
    if _CHINA[0] <= west and east <= _CHINA[2] and _CHINA[1] <= south and north <= _CHINA[3]:
        return (
            f"{box}: 度 / degrees in China; 可能是 / may be wgs84, cgcs2000, gcj02 or bd09 (up to 1 km apart): "
            "问数据来源，写进 frame / ask where it comes from and declare `frame`"
        )
    if _CHINA[0] <= south and north <= _CHINA[2] and _CHINA[1] <= west and east <= _CHINA[3]:
        return f"{box}: 经纬度似乎颠倒 / longitude and latitude look swapped"
    if max(abs(west), abs(east)) <= 180 and max(abs(south), abs(north)) <= 90:
        return f"{box}: 度，但不在中国 / degrees, but not in China"
    zones = [str(code) for code in _ZONES if _fits(code, west, south, east, north)]
    if zones:
        return f"{box}: 米 / metres; 可能的带 / possible zones: " + ", ".join(f"epsg:{z}" for z in zones)
    return f"{box}: 不认识的坐标 / coordinates of no frame known here; declare `frame: epsg:NNNN`"


def _fits(epsg: int, west: float, south: float, east: float, north: float) -> bool:
    area = pyproj.CRS.from_epsg(epsg).area_of_use
    if area is None:
        return False
    lon, lat = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True).transform([west, east], [south, north])
    return bool(
        area.west - 0.5 <= min(lon)
        and max(lon) <= area.east + 0.5
        and area.south - 1 <= min(lat)
        and max(lat) <= area.north + 1
    )
