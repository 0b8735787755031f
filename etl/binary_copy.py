"""Arrays to PostgreSQL's binary COPY format, a whole chunk at a time.

Each value becomes its four-byte length and its bytes; Arrow joins them row by row in C++, and the joined buffer is the
stream itself: no Python object is made for a row. Format: PostgreSQL's documentation of COPY, "Binary Format".
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import shapely
from numpy.typing import NDArray

__all__ = ["HEADER", "TRAILER", "Places", "encode"]

HEADER = b"PGCOPY\n\xff\r\n\x00" + struct.pack(">ii", 0, 0)
TRAILER = struct.pack(">h", -1)
_NO_VALUE = struct.pack(">i", -1)
_POSTGRES_EPOCH_DAY = date(2000, 1, 1).toordinal() - date(1970, 1, 1).toordinal()
_POSTGRES_EPOCH_US = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)
_EWKB_POINT = np.dtype([("order", "u1"), ("type", "<u4"), ("srid", "<i4"), ("x", "<f8"), ("y", "<f8")])
_TEXT_OID = 25


class Places(NamedTuple):
    """Points as two float arrays of shape (n,), metres of the city's zone; NaN where there is none."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]

    @property
    def known(self) -> NDArray[np.bool_]:
        """Mask of the points that there are."""
        return np.isfinite(self.x) & np.isfinite(self.y)

    def take(self, rows: NDArray[Any]) -> "Places":
        """The points of a mask or of row indices."""
        return Places(self.x[rows], self.y[rows])

    def shapes(self) -> NDArray[np.object_]:
        """As shapely points, None where there is none."""
        out = np.full(len(self.x), None, dtype=object)
        known = self.known
        out[known] = shapely.points(self.x[known], self.y[known])
        return out


def encode(columns: Mapping[str, Any], types: Mapping[str, str], *, srid: int) -> pa.Buffer:
    """The rows of a chunk as the body of a binary COPY (without header and trailer).

    `columns`: name to an array of n values, in the order of the COPY: a numpy object array (None = NULL), an Arrow
    array, a numpy array, or Places. `types`: name to PostgreSQL type: text, int2/4/8, float8, bool, date, timestamptz,
    jsonb, text[], geometry (shapely or Places in metres of EPSG:`srid`). Raises KeyError for another type.
    """
    parts: list[Any] = [pa.scalar(struct.pack(">h", len(columns)), pa.binary())]
    count = 0
    for name, values in columns.items():
        data = _ENCODERS[types[name]](values, srid)
        count = len(data)
        parts += [_lengths(data), pc.fill_null(data, b"")]
    if count == 0:
        return pa.py_buffer(b"")
    joined = pc.binary_join_element_wise(*parts, b"")
    offsets = np.frombuffer(joined.buffers()[1], dtype=np.int32)[joined.offset : joined.offset + count + 1]
    return joined.buffers()[2].slice(int(offsets[0]), int(offsets[-1] - offsets[0]))


def _lengths(data: pa.BinaryArray) -> pa.BinaryArray:
    offsets = np.frombuffer(data.buffers()[1], dtype=np.int32)[data.offset : data.offset + len(data) + 1]
    sizes = np.diff(offsets)
    if data.null_count:
        sizes = np.where(np.asarray(data.is_null()), -1, sizes)
    return _fixed(sizes.astype(">i4"), None)


def _fixed(values: NDArray[Any], known: NDArray[np.bool_] | None) -> pa.BinaryArray:
    """Values of one width, as they lie in memory, as a binary array; null where they are not known."""
    values = np.ascontiguousarray(values)
    width = values.dtype.itemsize
    offsets = np.arange(len(values) + 1, dtype=np.int32) * width
    array = pa.Array.from_buffers(
        pa.binary(), len(values), [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(values.tobytes())]
    )
    return array if known is None or known.all() else pc.if_else(pa.array(known), array, None)


def _arrow(values: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, pa.Array):
        return values if values.type == kind else values.cast(kind)
    return pa.array(values, type=kind, from_pandas=True)


def _text(values: Any, srid: int) -> pa.BinaryArray:
    return _arrow(values, pa.string()).cast(pa.binary())


def _number(kind: pa.DataType, stored: str) -> Callable[[Any, int], pa.BinaryArray]:
    def step(values: Any, srid: int) -> pa.BinaryArray:
        array = _arrow(values, kind)
        known = None if array.null_count == 0 else ~np.asarray(array.is_null())
        filled = pc.fill_null(array, False if pa.types.is_boolean(kind) else 0)
        return _fixed(np.asarray(filled).astype(stored), known)

    return step


def _since(
    kind: pa.DataType, whole: pa.DataType, epoch: int, stored: str
) -> Callable[[Any, int], pa.BinaryArray]:
    def step(values: Any, srid: int) -> pa.BinaryArray:
        array = _arrow(values, kind).cast(whole)
        known = None if array.null_count == 0 else ~np.asarray(array.is_null())
        return _fixed((np.asarray(pc.fill_null(array, 0)) - epoch).astype(stored), known)

    return step


def _geometry(values: Any, srid: int) -> pa.BinaryArray:
    if isinstance(values, Places):
        points = np.empty(len(values.x), dtype=_EWKB_POINT)
        points["order"], points["type"], points["srid"] = 1, 0x2000_0001, srid
        points["x"], points["y"] = values
        return _fixed(points, values.known)
    shapes = np.asarray(values, dtype=object)
    return pa.array(shapely.to_wkb(shapely.set_srid(shapes, srid), include_srid=True), type=pa.binary())


def _json(values: Any, srid: int) -> pa.BinaryArray:
    return pa.array([None if v is None else b"\x01" + v.encode() for v in values], type=pa.binary())


def _text_array(values: Sequence[list[str] | None], srid: int) -> pa.BinaryArray:
    def one(items: list[str]) -> bytes:
        if not items:
            return struct.pack(">iii", 0, 0, _TEXT_OID)
        body = b"".join(struct.pack(">i", len(b)) + b for b in (i.encode() for i in items))
        return struct.pack(">iiiii", 1, 0, _TEXT_OID, len(items), 1) + body

    return pa.array([None if v is None else one(v) for v in values], type=pa.binary())


_ENCODERS: dict[str, Callable[[Any, int], pa.BinaryArray]] = {
    "text": _text,
    "int2": _number(pa.int16(), ">i2"),
    "int4": _number(pa.int32(), ">i4"),
    "int8": _number(pa.int64(), ">i8"),
    "float8": _number(pa.float64(), ">f8"),
    "bool": _number(pa.bool_(), "u1"),
    "date": _since(pa.date32(), pa.int32(), _POSTGRES_EPOCH_DAY, ">i4"),
    "timestamptz": _since(pa.timestamp("us", "UTC"), pa.int64(), _POSTGRES_EPOCH_US, ">i8"),
    "geometry": _geometry,
    "jsonb": _json,
    "text[]": _text_array,
}
