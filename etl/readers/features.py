"""Geographic files through GDAL: an Arrow stream, so that a file of any length takes the same memory."""

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyogrio
import pyogrio.raw
from pyogrio.errors import DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError

from etl.encoding import detect, python_name
from etl.readers.crs import own_crs
from etl.readers.points import curved_rows
from etl.readers.recoding import Utf8
from etl.readers.shapefile import Shapefile
from etl.readers.source import Source, clean_names, refuse_too_wide
from etl.readers.table import Table
from etl.readers.text import repaired_text
from etl.readers.wholeness import promised_rows
from geoapp.errors import Refused

__all__ = ["FAULTS", "open_features"]

FAULTS = (DataSourceError, DataLayerError, FeatureError, FieldError, GeometryError)
"""What GDAL says through pyogrio about a file that it cannot read."""

# Every byte has a character here: what GDAL hands over so can be turned back into the bytes of the file.
_BYTES_AS_TEXT = "ISO-8859-1"
_ONE_LAYER = (".shp", ".dbf", ".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson", ".fgb")
# Formats that always list all layers that they could have.
_EMPTY_LAYERS = (".gpx", ".osm", ".pbf", ".kml", ".dxf")

_MOST_NOTICES = 20

# A user sees our sentences only, not GDAL's own on the terminal.
pyogrio.set_gdal_config_options({"CPL_LOG": os.devnull, "CPL_DEBUG": "OFF"})


def open_features(
    path: Path,
    *,
    layer: str | None,
    name: str,
    encoding: str | None = None,
    shapefile: Shapefile | None = None,
    text: Utf8 | None = None,
) -> Source:
    """A layer of a geographic file.

    `shapefile`: what its companions say, where it is one; `text`: the file in UTF-8, where it is JSON or XML;
    `encoding`: declared, for the formats that do not say it. Raises Refused where the file is damaged, or has several
    layers and none is named.
    """
    notices = list(shapefile.notices) if shapefile else []
    at = shapefile.path if shapefile else text.path if text else path
    by_bytes = shapefile is not None and shapefile.encoding not in (None, "utf-8")
    asked = _BYTES_AS_TEXT if by_bytes else "UTF-8" if shapefile else None
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            chosen = _layer(at, layer, name, notices)
            info, bytes_encoding = _info(at, chosen, asked, encoding, name)
    except FAULTS as fault:
        raise _damaged(name, fault) from None
    except UnicodeDecodeError as fault:
        raise _not_that_encoding(name, encoding or "UTF-8", fault) from None
    notices += dict.fromkeys(_in_our_words(str(warning.message)) for warning in told)
    in_slices = bytes_encoding is not None
    if by_bytes and shapefile is not None:
        bytes_encoding = shapefile.encoding
    fields = [str(field) for field in info["fields"]]
    if bytes_encoding is not None:
        fields = [_bytes_of(field).decode(bytes_encoding, errors="replace") for field in fields]
    refuse_too_wide(name, len(fields))
    names, repeated = clean_names(fields)
    crs, crs_from = own_crs(path, info["crs"])
    reading = _Reading(at, chosen, asked, names, bytes_encoding, encoding)
    return Source(
        path=path,
        name=name,
        read=reading.slices if in_slices else reading.tables,
        column_names=list(dict.fromkeys(names)),
        repeated=repeated,
        rows=promised_rows(at) or (info["features"] if info["features"] >= 0 else None),
        has_geometry=info["geometry_type"] is not None,
        crs=crs,
        crs_from=crs_from,
        encoding=shapefile.encoding if shapefile else text.encoding if text else bytes_encoding,
        evidence=shapefile.evidence if shapefile else text.evidence if text else "",
        notices=list(dict.fromkeys(notices)),
    )


def _info(
    at: Path, layer: str | None, asked: str | None, declared: str | None, name: str
) -> tuple[dict[str, Any], str | None]:
    """What the layer says about itself; where names of columns are not in UTF-8, byte by byte with their encoding."""
    try:
        return pyogrio.read_info(at, layer=layer, encoding=asked), None
    except UnicodeDecodeError:
        if asked is not None:
            raise
    found, _, _, values = pyogrio.raw.read(
        at, layer=layer, encoding=_BYTES_AS_TEXT, max_features=1_000, read_geometry=False
    )
    info = pyogrio.read_info(at, layer=layer, encoding=_BYTES_AS_TEXT)
    if declared is not None:
        return info, python_name(declared)
    texts = [*found["fields"], *(value for column in values for value in column if isinstance(value, str))]
    return info, detect(b" ".join(_bytes_of(text) for text in texts), what=name)[0]


def _layer(path: Path, layer: str | None, name: str, notices: list[str]) -> str | None:
    names = [str(found) for found, _ in pyogrio.list_layers(path)]
    if not names:
        raise Refused(f"{name}: 没有图层 / holds no layer; export it again.")
    if len(names) == 1 and (layer is None or path.suffix.lower() in _ONE_LAYER):
        return names[0]
    if layer is None and path.suffix.lower() in _EMPTY_LAYERS:
        full = [found for found in names if _holds_rows(path, found)]
        if len(full) == 1:
            notices.append(
                f"读取图层 {full[0]}，其余为空 / the layer {full[0]} is read, the others are empty"
            )
            return full[0]
        names = full or names
    if layer is None:
        raise Refused(f"{name}: 有多个图层 / has several layers ({', '.join(names)}); name one with `layer`.")
    if layer not in names:
        raise Refused(f"{name}: 没有图层 {layer!r} / has no layer {layer!r}, but {', '.join(names)}.")
    return layer


def _holds_rows(path: Path, layer: str) -> bool:
    return bool(pyogrio.read_info(path, layer=layer, force_feature_count=True)["features"])


def _in_our_words(said: str) -> str:
    if "Measured (M)" in said:
        return "坐标带有 M 值，不用 / its coordinates have M values, which are left away"
    return f"GDAL: {' '.join(said.split())[:300]}"


class _Reading:
    """How the rows of one layer are read."""

    def __init__(
        self,
        at: Path,
        layer: str | None,
        encoding: str | None,
        names: Sequence[str],
        bytes_encoding: str | None,
        declared: str | None,
    ) -> None:
        self.at, self.layer, self.encoding, self.names = at, layer, encoding, names
        self.bytes_encoding, self.declared = bytes_encoding, declared

    def tables(self, source: Source, size: int) -> Iterator[Table]:
        start = 0
        stream = pyogrio.raw.open_arrow(
            self.at,
            layer=self.layer,
            encoding=self.encoding,
            batch_size=size,
            use_pyarrow=True,
            datetime_as_string=True,
        )
        try:
            with ExitStack() as stack:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # told when the layer was opened
                    meta, reader = stack.enter_context(stream)
                while (batch := _next(reader, source)) is not None:
                    if len(batch):
                        yield self.table(source, batch, meta, start)
                    start += len(batch)
        except FAULTS as fault:
            raise _damaged(source.name, fault, start) from None
        except UnicodeDecodeError as fault:
            raise _not_that_encoding(source.name, source.encoding or "UTF-8", fault) from None
        _refuse_fewer(source, start)

    def slices(self, source: Source, size: int) -> Iterator[Table]:
        """The rows where names of columns are not in UTF-8, which the stream cannot hand over."""
        start = 0
        while True:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    meta, fids, wkb, fields = pyogrio.raw.read(
                        self.at,
                        layer=self.layer,
                        encoding=_BYTES_AS_TEXT,
                        skip_features=start,
                        max_features=size,
                        return_fids=True,
                    )
            except FAULTS as fault:
                raise _damaged(source.name, fault, start) from None
            if not len(fids):
                break
            columns = [pa.array(values, from_pandas=True) for values in fields]
            names = [str(place) for place in range(len(columns))]
            if wkb is not None:
                columns, names = [*columns, pa.array(wkb, type=pa.binary())], [*names, "wkb_geometry"]
            yield self.table(
                source,
                pa.record_batch(columns, names=names),
                {**meta, "geometry_name": "wkb_geometry"},
                start,
            )
            start += len(fids)
        _refuse_fewer(source, start)

    def table(self, source: Source, batch: pa.RecordBatch, meta: dict[str, Any], start: int) -> Table:
        count = len(batch)
        held: dict[str, pa.Array] = {}
        marked: dict[int, tuple[str, str]] = {}
        for place, name in enumerate(self.names):
            if name in held:
                continue
            column = self.plain(batch.column(place), meta["ogr_types"][place])
            column, bad = self.decoded(column)
            for row in bad:
                marked[row] = ("undecodable", source.encoding or "UTF-8")
            held[name] = column
        shapes = None
        if source.has_geometry:
            shapes = _storage(
                batch.column(batch.schema.get_field_index(meta["geometry_name"] or "wkb_geometry"))
            )
            shapes.validate(full=True)  # what GDAL hands over of a damaged file may be broken
            curved = curved_rows(shapes)
            if len(curved):
                shapes = self.straight(start, count)
                note = "含有曲线，已化为折线 / holds curves; they were made into lines of many short pieces"
                if note not in source.notices:
                    source.notices.append(note)
        row_no = np.arange(start + 1, start + count + 1, dtype=np.int64)
        return source.table(held, row_no, shapes, marked)

    def plain(self, column: pa.Array, ogr_type: str) -> pa.Array:
        column = _storage(column)
        if ogr_type == "OFTDateTime" and pa.types.is_string(column.type):
            return pa.compute.replace_substring_regex(column, "T00:00:00$", "")
        return column

    def decoded(self, column: pa.Array) -> tuple[pa.Array, list[int]]:
        if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
            return column, []
        if self.bytes_encoding is not None:
            return _from_bytes_as_text(column, self.bytes_encoding)
        return repaired_text(column, self.declared)

    def straight(self, start: int, count: int) -> pa.Array:
        """The WKB of these rows, curves made into lines."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _, _, wkb, _ = pyogrio.raw.read(
                self.at, layer=self.layer, columns=[], skip_features=start, max_features=count
            )
        return pa.array(wkb, type=pa.binary())


def _next(reader: Any, source: Source) -> pa.RecordBatch | None:
    """The next batch; what GDAL warns of on the way becomes notices, not lines on the terminal."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        batch = next(reader, None)
    for said in dict.fromkeys(_in_our_words(str(warning.message)) for warning in told):
        if said not in source.notices and len(source.notices) < _MOST_NOTICES:
            source.notices.append(said)
    return batch


def _refuse_fewer(source: Source, rows: int) -> None:
    if source.rows is not None and rows < source.rows:
        raise Refused(
            f"{source.name}: 文件说有 {source.rows} 行，只能读出 {rows} 行 / says that it holds {source.rows} rows, but only {rows} "
            "can be read: it is damaged or cut off. Copy or export it again."
        )


def _storage(column: pa.Array) -> pa.Array:
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _from_bytes_as_text(column: pa.Array, encoding: str) -> tuple[pa.Array, list[int]]:
    """Text that GDAL handed over byte by byte, decoded; and the rows where bytes do not fit (shown with U+FFFD)."""
    if _is_ascii(column):
        return column, []
    coded = column.dictionary_encode()
    texts: list[str] = []
    bad: set[int] = set()
    for place, value in enumerate(coded.dictionary.to_pylist()):
        try:
            texts.append(_bytes_of(value).decode(encoding))
        except UnicodeDecodeError:
            texts.append(_bytes_of(value).decode(encoding, errors="replace"))
            bad.add(place)
    decoded = pa.array(texts, type=pa.string()).take(coded.indices)
    if not bad:
        return decoded, []
    rows = coded.indices.to_pylist()
    return decoded, [row for row, place in enumerate(rows) if place in bad]


def _is_ascii(column: pa.Array) -> bool:
    data = column.buffers()[2]
    return data is None or not len(data) or int(np.frombuffer(data, dtype=np.uint8).max()) < 0x80


def _bytes_of(text: str) -> bytes:
    return text.encode("latin-1", errors="replace")


def _damaged(name: str, fault: Exception, rows: int | None = None) -> Refused:
    said = " ".join(str(fault).split())[:300]
    after = f" (after {rows} rows)" if rows else ""
    return Refused(
        f"{name}: 文件损坏或不是所称的格式 / is damaged or not what its name says{after}: {said}. Export it again."
    )


def _not_that_encoding(name: str, encoding: str, fault: UnicodeDecodeError) -> Refused:
    return Refused(
        f"{name}: 文字不是 {encoding} 编码 / its text is not {encoding} ({fault.reason}); declare the right `encoding`, or leave it "
        "out to have it detected."
    )
