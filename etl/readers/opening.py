"""Which reader opens which file."""

import difflib
from contextlib import ExitStack
from pathlib import Path

from etl.readers.delimited import open_delimited
from etl.readers.features import open_features
from etl.readers.shapefile import look_at_dbf, look_at_shapefile
from etl.readers.sheets import open_workbook
from etl.readers.source import Source
from etl.readers.table import Table, join_tables
from geoapp.errors import Refused

__all__ = ["SUFFIXES", "open_source", "read_table"]

_TEXT = (".csv", ".tsv", ".txt")
_SHEETS = (".xlsx",)
_FEATURES = (
    ".geojson",
    ".json",
    ".gpkg",
    ".shp",
    ".dbf",
    ".geojsonl",
    ".geojsons",
    ".ndjson",
    ".fgb",
    ".kml",
    ".gml",
    ".gpx",
)
SUFFIXES = (*_FEATURES, *_TEXT, *_SHEETS)
"""Endings of the files that are read."""


def open_source(
    path: Path | str,
    *,
    layer: str | None = None,
    encoding: str | None = None,
    geometry_column: str | None = None,
) -> Source:
    """Opens a file for its rows to be read in stretches.

    `layer` names the layer (or sheet), needed where there are several; `encoding` is declared, else detected;
    `geometry_column` names a column that holds the geometry as text. Raises Refused with the reason and what to do
    when the file cannot be read.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    _refuse_missing(path)
    if suffix not in SUFFIXES:
        raise Refused(
            f"{path.name}: 不认识这种文件 / is of a kind that is not read: supported: {' '.join(SUFFIXES)}."
        )
    try:
        if suffix in _SHEETS:
            return open_workbook(path, layer=layer, name=path.name)
        if suffix in _TEXT:
            return open_delimited(path, encoding=encoding, name=path.name)
        if suffix in (".shp", ".dbf"):
            return _open_shapefile(path, encoding)
        return open_features(path, layer=layer, name=path.name)
    except OSError as fault:
        raise Refused(
            f"{path.name}: 打不开 / cannot be opened: {fault.strerror or fault}; check permissions and disk."
        ) from None


def read_table(
    path: Path | str,
    *,
    layer: str | None = None,
    encoding: str | None = None,
    geometry_column: str | None = None,
) -> Table:
    """All rows of a file at once (see `open_source`): for files that fit into memory."""
    with open_source(path, layer=layer, encoding=encoding, geometry_column=geometry_column) as source:
        return join_tables(list(source.chunks()))


def _open_shapefile(path: Path, encoding: str | None) -> Source:
    closing = ExitStack()
    try:
        look = (
            look_at_shapefile(path, encoding, closing)
            if path.suffix.lower() == ".shp"
            else look_at_dbf(path, encoding)
        )
        source = open_features(path, layer=None, shapefile=look, name=path.name)
    except BaseException:
        closing.close()
        raise
    source.closing.push(closing)
    return source


def _refuse_missing(path: Path) -> None:
    if not path.exists():
        raise Refused(f"找不到文件 {path} / There is no file {path}{_similar(path)}")
    if path.is_dir():
        raise Refused(f"{path} 是文件夹 / is a folder; name the file in it.")
    if path.stat().st_size == 0:
        raise Refused(f"{path.name}: 空文件 / is an empty file (0 bytes); copy it again.")


def _similar(path: Path) -> str:
    if not path.parent.is_dir():
        return f"; the folder {path.parent} does not exist. Give the data folder with --data."
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ". Check `file`, or give the data folder with --data."
