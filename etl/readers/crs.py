"""The coordinate system that a file itself states."""

import re
from pathlib import Path

import pyproj

__all__ = ["own_crs"]

_GEOJSON = (".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson", ".topojson")


def own_crs(path: Path, said: str | None) -> tuple[pyproj.CRS | None, str]:
    """The system and where it is said. GeoJSON's default is no statement: in China it is often GCJ-02."""
    if said is None:
        return None, ""
    suffix = path.suffix.lower()
    if suffix in _GEOJSON and not _names_a_system(path):
        return None, ""
    try:
        crs = pyproj.CRS.from_user_input(said)
    except pyproj.exceptions.CRSError:
        return None, ""
    if crs.name.lower().startswith(("undefined", "unknown", "unnamed")):
        return None, ""
    return crs, path.with_suffix(".prj").name if suffix == ".shp" else path.name


def _names_a_system(path: Path) -> bool:
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(1 << 16)
        stream.seek(max(0, size - (1 << 12)))
        tail = stream.read()
    return re.search(rb'"crs"\s*:\s*\{', head + tail) is not None
