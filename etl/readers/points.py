"""Points and kinds of geometry straight from WKB, without making an object for each."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["curved_rows", "points_of"]

# 2D, Z, M, ZM as ISO numbers them, and the old way of setting high bits.
_POINT_TYPES = (1, 1001, 2001, 3001, 0x80000001, 0x40000001, 0xC0000001)
_CURVES = (8, 9, 10, 11, 12, 13, 14)


def _starts(wkb: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint8]]:
    """Start and length of each value in its buffer, and the buffer."""
    width = np.int64 if pa.types.is_large_binary(wkb.type) else np.int32
    _, offsets, data = wkb.buffers()
    ends = np.frombuffer(offsets, dtype=width)[wkb.offset : wkb.offset + len(wkb) + 1].astype(np.int64)
    content = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
    return ends[:-1], np.diff(ends), content


def _gathered(content: NDArray[np.uint8], starts: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
    """`width` bytes from each start, shape (n, width)."""
    return content[starts[:, None] + np.arange(width)]


def _types(content: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.uint32]:
    head = np.ascontiguousarray(_gathered(content, starts, 5))
    little = np.ascontiguousarray(head[:, 1:]).view("<u4")[:, 0]
    big = np.ascontiguousarray(head[:, 1:]).view(">u4")[:, 0]
    return np.where(head[:, 0] == 1, little, big).astype(np.uint32)


def points_of(wkb: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """x and y, float64 of shape (n,), NaN for a null or an empty point; None unless all are points or null."""
    count = len(wkb)
    x, y = np.full(count, np.nan), np.full(count, np.nan)
    given = np.asarray(wkb.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    if not given.any():
        return x, y
    starts, lengths, content = _starts(wkb)
    if given.all() and (lengths == 21).all():  # the common case: fixed records, one behind the other
        records = content[starts[0] : starts[0] + 21 * count].reshape(count, 21)
        if (records[:, :5] == np.array([1, 1, 0, 0, 0], dtype=np.uint8)).all():
            places = np.ascontiguousarray(records[:, 5:]).view("<f8")
            return places[:, 0].copy(), places[:, 1].copy()
    starts, lengths = starts[given], lengths[given]
    if (lengths < 21).any():
        return None
    types = _types(content, starts)
    if not np.isin(types, _POINT_TYPES).all() or not (content[starts] == 1).all():
        return None
    places = np.ascontiguousarray(_gathered(content, starts + 5, 16)).view("<f8")
    x[given], y[given] = places[:, 0], places[:, 1]
    return x, y


def curved_rows(wkb: pa.Array) -> NDArray[np.int64]:
    """The rows whose geometry is a curve or a surface of curves."""
    given = np.asarray(wkb.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    starts, lengths, content = _starts(wkb)
    rows = np.flatnonzero(given & (lengths >= 5))
    types = _types(content, starts[rows]) & 0x0FFFFFFF
    return rows[np.isin(types % 1000, _CURVES)]
