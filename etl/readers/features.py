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

from etl.readers.crs import own_crs
from etl.readers.points import curved_rows
from etl.readers.shapefile import Shapefile
from etl.readers.source import Source, clean_names, refuse_too_wide
from etl.readers.table import Table
from etl.readers.text import repaired_text
from geoapp.errors import Refused

__all__ = ["FAULTS", "open_features"]

FAULTS = (DataSourceError, DataLayerError, FeatureError, FieldError, GeometryError)
"""What GDAL says through pyogrio about a file that it cannot read."""

# Every byte has a character here: what GDAL hands over so can be turned back into the bytes of the file.
_BYTES_AS_TEXT = "ISO-8859-1"
_ONE_LAYER = (".shp", ".dbf", ".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson", ".fgb")

# A user sees our sentences only, not GDAL's own on the terminal.
pyogrio.set_gdal_config_options({"CPL_LOG": os.devnull, "CPL_DEBUG": "OFF"})


def open_features(path: Path, *, layer: str | None, shapefile: Shapefile | None = None, name: str) -> Source:
    """A layer of a geographic file. `shapefile`: its companions, where it is one.

    Raises Refused where the file is damaged, or has several layers and none is named.
    """
    notices = list(shapefile.notices) if shapefile else []
    encoding = _BYTES_AS_TEXT if shapefile and shapefile.encoding not in (None, "utf-8") else None
    encoding = "UTF-8" if shapefile and shapefile.encoding == "utf-8" else encoding
    at = shapefile.path if shapefile else path
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            chosen = _layer(at, layer, name)
            info = pyogrio.read_info(at, layer=chosen, encoding=encoding)
    except FAULTS as fault:
        raise _damaged(name, fault) from None
    except UnicodeDecodeError as fault:
        raise _not_that_encoding(name, "UTF-8", fault) from None
    notices += dict.fromkeys(str(warning.message).strip() for warning in told)
    fields = [str(field) for field in info["fields"]]
    refuse_too_wide(name, len(fields))
    if encoding == _BYTES_AS_TEXT:
        assert shapefile is not None
        fields = [_decoded_text(field, shapefile.encoding or "utf-8") for field in fields]
    names, repeated = clean_names(fields)
    stack = ExitStack()
    reading = _Reading(at, chosen, encoding, names, shapefile)
    crs, crs_from = own_crs(path, info["crs"])
    return Source(
        path=path,
        name=name,
        read=reading.tables,
        column_names=list(dict.fromkeys(names)),
        repeated=repeated,
        rows=info["features"] if info["features"] >= 0 else None,
        has_geometry=info["geometry_type"] is not None,
        crs=crs,
        crs_from=crs_from,
        encoding=shapefile.encoding if shapefile else None,
        evidence=shapefile.evidence if shapefile else "",
        notices=notices,
        closing=stack,
    )


def _layer(path: Path, layer: str | None, name: str) -> str | None:
    names = [str(found) for found, _ in pyogrio.list_layers(path)]
    if len(names) == 1 and (layer is None or path.suffix.lower() in _ONE_LAYER):
        return names[0]
    if layer is None:
        raise Refused(f"{name}: 有多个图层 / has several layers ({', '.join(names)}); name one with `layer`.")
    if layer not in names:
        raise Refused(f"{name}: 没有图层 {layer!r} / has no layer {layer!r}, but {', '.join(names)}.")
    return layer


class _Reading:
    """How the rows of one layer are read."""

    def __init__(
        self,
        at: Path,
        layer: str | None,
        encoding: str | None,
        names: Sequence[str],
        shapefile: Shapefile | None,
    ) -> None:
        self.at, self.layer, self.encoding, self.names = at, layer, encoding, names
        self.text_encoding = shapefile.encoding if shapefile and encoding == _BYTES_AS_TEXT else None

    def tables(self, source: Source, size: int) -> Iterator[Table]:
        start = 0
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # told when the layer was opened
                stream = pyogrio.raw.open_arrow(
                    self.at,
                    layer=self.layer,
                    encoding=self.encoding,
                    batch_size=size,
                    use_pyarrow=True,
                    datetime_as_string=True,
                )
                with stream as (meta, reader):
                    for batch in reader:
                        if len(batch):
                            yield self.table(source, batch, meta, start)
                        start += len(batch)
        except FAULTS as fault:
            raise _damaged(source.name, fault, start) from None
        if source.rows is not None and start < source.rows:
            raise Refused(
                f"{source.name}: 文件说有 {source.rows} 行，只能读出 {start} 行 / says that it holds {source.rows} rows, but only {start} "
                "can be read: it is damaged or cut off. Copy or export it again."
            )

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
        if self.text_encoding is None:
            return repaired_text(column)
        return _from_bytes_as_text(column, self.text_encoding)

    def straight(self, start: int, count: int) -> pa.Array:
        """The WKB of these rows, curves made into lines."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _, _, wkb, _ = pyogrio.raw.read(
                self.at, layer=self.layer, columns=[], skip_features=start, max_features=count
            )
        return pa.array(wkb, type=pa.binary())


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
            texts.append(value.encode("latin-1").decode(encoding))
        except UnicodeDecodeError:
            texts.append(value.encode("latin-1").decode(encoding, errors="replace"))
            bad.add(place)
    decoded = pa.array(texts, type=pa.string()).take(coded.indices)
    if not bad:
        return decoded, []
    rows = coded.indices.to_pylist()
    return decoded, [row for row, place in enumerate(rows) if place in bad]


def _is_ascii(column: pa.Array) -> bool:
    data = column.buffers()[2]
    return data is None or not len(data) or int(np.frombuffer(data, dtype=np.uint8).max()) < 0x80


def _decoded_text(value: str, encoding: str) -> str:
    return value.encode("latin-1", errors="replace").decode(encoding, errors="replace")


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
