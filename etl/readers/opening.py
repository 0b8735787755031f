"""Which reader opens which file."""

import difflib
import tempfile
from contextlib import ExitStack
from pathlib import Path

from etl.readers.archives import unpacked
from etl.readers.columns_of_shapes import with_shapes_of_column
from etl.readers.delimited import open_delimited
from etl.readers.features import open_features
from etl.readers.parquet import open_parquet
from etl.readers.postgis import SCHEMES, open_table_elsewhere
from etl.readers.recoding import in_utf8
from etl.readers.shapefile import look_at_dbf, look_at_shapefile
from etl.readers.sheets import open_old_workbook, open_workbook
from etl.readers.source import Source
from etl.readers.table import Table, join_tables
from etl.readers.wholeness import refuse_unsound_xml
from geoapp.errors import Refused

__all__ = ["SUFFIXES", "open_source", "read_table"]

_TEXT = (".csv", ".tsv", ".txt")
_SHEETS = (".xlsx", ".xlsm")
_OLD_SHEETS = (".xls", ".xlsb", ".ods")
_PARQUET = (".parquet", ".geoparquet")
_SHAPEFILES = (".shp", ".dbf")
_PACKED = (".zip", ".kmz")
# Text formats that GDAL takes for UTF-8 whatever they are.
_JSON = (".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson", ".topojson")
_XML = (".kml", ".gml", ".gpx", ".osm")
_OTHERS = (".gpkg", ".sqlite", ".db", ".fgb", ".tab", ".mif", ".pbf", ".dxf")
SUFFIXES = (*_SHAPEFILES, *_JSON, *_XML, *_OTHERS, *_TEXT, *_SHEETS, *_OLD_SHEETS, *_PARQUET, *_PACKED)
"""Endings of the files that are read."""

# Formats that only point to other files or to the network: a file that is given must hold its data itself.
_POINTERS = (
    b"<OGRVRT",
    b"<OGRWFS",
    b"<VRTDataset",
    b"<GDAL_WMS",
    b"gdal_streamed_alg",
    b"<WMS_",
    b"<OGRTindex",
    b"OAPIF:",
)


def open_source(
    path: Path | str,
    *,
    layer: str | None = None,
    encoding: str | None = None,
    geometry_column: str | None = None,
) -> Source:
    """Opens a file, or a table at `postgresql://…`, for its rows to be read in stretches.

    `layer` names the layer, sheet or table, needed where there are several; `encoding` is declared, else detected;
    `geometry_column` names a column that holds the geometry (WKT, EWKT, WKB, GeoJSON), or one of several that are
    geometry. Raises Refused with the reason and what to do when the file cannot be read.
    """
    if isinstance(path, str) and path.startswith(SCHEMES):
        return open_table_elsewhere(path, layer=layer, geometry_column=geometry_column)
    path = Path(path)
    _refuse_missing(path)
    closing = ExitStack()
    try:
        source = _open(path, layer, encoding, geometry_column, closing, name=path.name)
    except OSError as fault:
        closing.close()
        raise Refused(
            f"{path.name}: 打不开 / cannot be opened: {fault.strerror or fault}; check permissions and disk."
        ) from None
    except BaseException:
        closing.close()
        raise
    # Temporary files go last, when nothing reads them any more.
    own = source.closing
    source.closing = closing
    closing.push(own)
    return source


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


def _open(
    path: Path,
    layer: str | None,
    encoding: str | None,
    geometry_column: str | None,
    closing: ExitStack,
    *,
    name: str,
) -> Source:
    suffix = path.suffix.lower()
    if suffix in _PACKED:
        member = unpacked(path, layer, tuple(s for s in SUFFIXES if s not in _PACKED), closing, name=name)
        source = _open(member.path, member.layer, encoding, geometry_column, closing, name=member.name)
        source.path = path
        return source
    if suffix in _PARQUET:
        return open_parquet(path, geometry_column=geometry_column, name=name)
    source = _open_table(path, layer, encoding, name) or _open_map(path, layer, encoding, closing, name)
    if geometry_column is not None:
        with_shapes_of_column(source, geometry_column)
    return source


def _open_table(path: Path, layer: str | None, encoding: str | None, name: str) -> Source | None:
    suffix = path.suffix.lower()
    if suffix in _TEXT:
        return open_delimited(path, encoding=encoding, name=name)
    if suffix in _SHEETS:
        return open_workbook(path, layer=layer, name=name)
    if suffix in _OLD_SHEETS:
        return open_old_workbook(path, layer=layer, name=name)
    return None


def _open_map(path: Path, layer: str | None, encoding: str | None, closing: ExitStack, name: str) -> Source:
    suffix = path.suffix.lower()
    if suffix == ".shp":
        return open_features(
            path, layer=None, shapefile=look_at_shapefile(path, encoding, closing), name=name
        )
    if suffix == ".dbf":
        return open_features(path, layer=None, shapefile=look_at_dbf(path, encoding), name=name)
    _refuse_pointers(path, name)
    if suffix in (*_JSON, *_XML):
        text = in_utf8(path, encoding, closing, name=name, is_xml=suffix in _XML)
        if suffix in _XML:
            refuse_unsound_xml(text.path, name)
        if suffix == ".gml":
            text = text._replace(path=_beside_nothing(text.path, path, closing))
        return open_features(path, layer=layer, name=name, text=text)
    if suffix in SUFFIXES or path.is_dir():
        return open_features(path, layer=layer, encoding=encoding, name=name)
    return _try_once(path, layer, encoding, name)


def _beside_nothing(at: Path, path: Path, closing: ExitStack) -> Path:
    """A link to a GML and its schema in a folder of their own: GDAL writes what it learns of a GML beside it."""
    folder = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="geoapp-gml-")))
    for part in (at, path.with_suffix(".xsd")):
        if part.exists():
            (folder / part.name).symlink_to(part.resolve())
    return folder / at.name


def _try_once(path: Path, layer: str | None, encoding: str | None, name: str) -> Source:
    """A file of an unknown ending: perhaps GDAL knows what it is."""
    try:
        return open_features(path, layer=layer, encoding=encoding, name=name)
    except Refused as refusal:
        if "layer" in str(refusal):
            raise
        raise Refused(
            f"{name}: 不认识 {path.suffix or '没有扩展名的文件'} / a {path.suffix or 'file without an ending'} is of a kind that is not read. "
            f"Supported / 支持: {' '.join(SUFFIXES)}. Save it as one of these."
        ) from None


def _refuse_pointers(path: Path, name: str) -> None:
    if path.is_dir():
        return
    with path.open("rb") as stream:
        head = stream.read(1 << 14)
    if any(mark in head for mark in _POINTERS):
        raise Refused(
            f"{name}: 只是指向别处的文件 / only points to other files or to the network; give the file that holds the data."
        )


def _refuse_missing(path: Path) -> None:
    try:
        is_there = path.exists()
    except (OSError, ValueError) as fault:
        raise Refused(f"{str(path)[:200]!r}: 不是文件名 / is no file name: {fault}.") from None
    if not is_there:
        raise Refused(f"找不到文件 {path} / There is no file {path}{_similar(path)}")
    if path.is_dir():
        raise Refused(f"{path} 是文件夹 / is a folder; name the file in it (a .gdb is packed as .zip first).")
    if path.stat().st_size == 0:
        raise Refused(f"{path.name}: 空文件 / is an empty file (0 bytes); copy it again.")


def _similar(path: Path) -> str:
    if not path.parent.is_dir():
        return f"; the folder {path.parent} does not exist. Give the data folder with --data."
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ". Check `file`, or give the data folder with --data."
