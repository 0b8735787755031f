"""Pieces as Arrow batches, the common way into GeoPackage, FlatGeobuf, Shapefile and Parquet."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

from layers.export.content import Content, Field, Piece

GEOMETRY = "geom"
_TYPES = {
    "text": pa.string(),
    "integer": pa.int64(),
    "real": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "moment": pa.timestamp("us", "UTC"),
}


def field_type(one: Field) -> pa.DataType:
    """The Arrow type of a field."""
    return _TYPES[one.kind]


def schema(content: Content) -> pa.Schema:
    """Fields in order, then the geometry as WKB where there is one."""
    columns = [pa.field(one.name, field_type(one)) for one in content.fields]
    return pa.schema(columns + ([pa.field(GEOMETRY, pa.binary())] if content.family else []))


def wkb_column(piece: Piece) -> pa.Array:
    """The shapes as WKB, missing ones null."""
    assert piece.shapes is not None
    return pa.array(shapely.to_wkb(piece.shapes).tolist(), pa.binary())


def batch(content: Content, piece: Piece, columns: pa.Schema) -> pa.RecordBatch:
    """One piece as a batch of `columns` (see schema)."""
    arrays = [pa.array(v, field_type(f)) for f, v in zip(content.fields, piece.values, strict=True)]
    return pa.record_batch(arrays + ([wkb_column(piece)] if content.family else []), schema=columns)


def batches(content: Content) -> Iterator[pa.RecordBatch]:
    """All pieces as batches."""
    columns = schema(content)
    return (batch(content, piece, columns) for piece in content.pieces())


def reader(content: Content) -> pa.RecordBatchReader:
    """A stream over all rows; nothing is read before it is asked for."""
    return pa.RecordBatchReader.from_batches(schema(content), batches(content))


def bounds(shapes: NDArray[np.object_]) -> NDArray[np.float64]:
    """Box of each shape, array of shape (n, 4): west, south, east, north; NaN for none."""
    return shapely.bounds(shapes)
