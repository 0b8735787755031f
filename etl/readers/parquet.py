"""Parquet and GeoParquet, a stretch of rows at a time."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyproj
import shapely
from numpy.typing import NDArray

from etl.readers.columns_of_shapes import with_shapes_of_column
from etl.readers.source import Source, clean_names, refuse_too_wide
from etl.readers.table import Table
from etl.readers.text import repaired_text
from geoapp.errors import Refused

__all__ = ["open_parquet"]

_KINDS = {
    "point": shapely.GeometryType.POINT,
    "linestring": shapely.GeometryType.LINESTRING,
    "polygon": shapely.GeometryType.POLYGON,
    "multipoint": shapely.GeometryType.MULTIPOINT,
    "multilinestring": shapely.GeometryType.MULTILINESTRING,
    "multipolygon": shapely.GeometryType.MULTIPOLYGON,
}


def open_parquet(path: Path, *, geometry_column: str | None, name: str) -> Source:
    """A Parquet file, with the geometry that its `geo` metadata names (WKB or a native encoding) or `geometry_column`.

    Raises Refused where it is damaged.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError, ValueError) as fault:
        said = " ".join(str(fault).split())[:200]
        raise Refused(
            f"{name}: 不是完好的 Parquet / is not a sound Parquet file ({said}); export it again."
        ) from None
    schema = file.schema_arrow
    geo = _geo(schema)
    geometries = dict(geo.get("columns") or {}) | _extensions(schema)
    chosen = geometry_column if geometry_column in geometries else geo.get("primary_column")
    if chosen not in geometries and geometry_column is None and len(geometries) == 1:
        chosen = next(iter(geometries))
    if geometry_column is not None and geometry_column not in geometries:
        chosen = None
    about = geometries.get(chosen) if chosen in schema.names else None
    wanted = [
        field
        for field in schema.names
        if field not in geometries or (field == geometry_column and about is None)
    ]
    names, repeated = clean_names(wanted)
    refuse_too_wide(name, len(names))
    read_columns = [*wanted, *([chosen] if about is not None and chosen else [])]
    to_shapes = _native(str(about["encoding"]).lower()) if about is not None else None

    def read(source: Source, size: int) -> Iterator[Table]:
        start = 0
        for batch in file.iter_batches(batch_size=size, columns=read_columns):
            held: dict[str, pa.Array] = {}
            marked: dict[int, tuple[str, str]] = {}
            for field, column in zip(wanted, names, strict=True):
                held[column], bad = _sound(_storage(batch.column(field)))
                marked |= dict.fromkeys(bad, ("undecodable", "UTF-8"))
            shapes = None
            if to_shapes is not None and chosen is not None:
                shapes = to_shapes(_storage(batch.column(chosen)))
            row_no = np.arange(start + 1, start + len(batch) + 1, dtype=np.int64)
            start += len(batch)
            yield source.table(held, row_no, shapes, marked)

    source = Source(
        path=path,
        name=name,
        read=read,
        column_names=list(dict.fromkeys(names)),
        repeated=repeated,
        rows=file.metadata.num_rows,
        has_geometry=about is not None,
    )
    if about is not None:
        source.crs = _crs(about.get("crs"))
        source.crs_from = path.name if source.crs is not None else ""
    source.closing.callback(file.close)
    if geometry_column is not None and about is None:
        with_shapes_of_column(source, geometry_column)
    return source


def _geo(schema: pa.Schema) -> dict[str, Any]:
    try:
        found = json.loads((schema.metadata or {}).get(b"geo", b"{}"))
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _extensions(schema: pa.Schema) -> dict[str, dict[str, Any]]:
    """Columns that are geometry by their Arrow type, without `geo` metadata."""
    found: dict[str, dict[str, Any]] = {}
    for field in schema:
        kind = (field.metadata or {}).get(b"ARROW:extension:name", b"").decode()
        kind = kind or getattr(field.type, "extension_name", "")
        if kind in ("geoarrow.wkb", "ogc.wkb") and "geo" not in (schema.metadata or {}):
            said = (field.metadata or {}).get(b"ARROW:extension:metadata", b"{}")
            try:
                found[field.name] = {"encoding": "WKB", "crs": json.loads(said or b"{}").get("crs")}
            except ValueError:
                found[field.name] = {"encoding": "WKB"}
    return found


def _crs(said: Any) -> pyproj.CRS | None:
    """The stated system. A file without a statement is in longitude and latitude, but by whose datum it does not say."""
    if said is None:
        return None
    try:
        return pyproj.CRS.from_user_input(said)
    except (pyproj.exceptions.CRSError, TypeError):
        return None


def _sound(column: pa.Array) -> tuple[pa.Array, list[int]]:
    """The column with texts that can be worked with, and its rows whose texts are damaged."""
    is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    return repaired_text(column) if is_text else (column, [])


def _storage(column: pa.Array) -> pa.Array:
    return column.storage if isinstance(column, pa.ExtensionArray) else column


def _native(encoding: str) -> Callable[[pa.Array], Any]:
    if encoding == "wkb":
        return _as_binary
    if encoding not in _KINDS:
        raise Refused(f"图形编码 / its geometry encoding {encoding!r} is not read; write it as WKB.")
    kind = _KINDS[encoding]
    return lambda column: _from_nested(column, kind)


def _as_binary(column: pa.Array) -> pa.Array:
    return column if pa.types.is_binary(column.type) else column.cast(pa.binary())


def _from_nested(column: pa.Array, kind: shapely.GeometryType) -> NDArray[np.object_]:
    """Geometries from lists of coordinates in lists (GeoArrow), shape (n,); None for a null."""
    given = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    present = column.filter(pa.array(given))
    offsets: list[NDArray[np.int64]] = []
    while pa.types.is_list(present.type) or pa.types.is_large_list(present.type):
        lengths = np.asarray(present.value_lengths().fill_null(0), dtype=np.int64)
        offsets.append(np.concatenate([[0], np.cumsum(lengths)]))
        present = present.flatten()
    if pa.types.is_struct(present.type):
        axes = [
            present.field(axis).to_numpy(zero_copy_only=False)
            for axis in range(min(3, present.type.num_fields))
        ]
        places = np.column_stack(axes)
    else:
        places = np.asarray(present.flatten()).reshape(len(present), -1)[:, :3]
    shapes = np.full(len(column), None, dtype=object)
    made = shapely.from_ragged_array(
        kind, np.ascontiguousarray(places, dtype=np.float64), tuple(reversed(offsets)) or None
    )
    shapes[given] = made
    return shapes
