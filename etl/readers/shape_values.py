"""Geometry that stands in a column: WKT, EWKT, WKB as bytes or hexadecimal digits, or GeoJSON, told by each value."""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import shapely
from numpy.typing import NDArray

__all__ = ["ShapeValues", "from_wkb", "shapes_of_values", "why_unread"]

_HEX = re.compile(r"(?:\\x)?(0[01][0-9A-Fa-f]{8,})")
_EWKT = re.compile(r"\s*SRID\s*=\s*(\d{1,6})\s*;\s*", re.IGNORECASE)
# A geometry nested deeper than any map's makes the library below run out of stack, which ends the process.
_DEEPEST = 200
_LONGEST = 64 << 20


class ShapeValues(NamedTuple):
    """`shapes`: shapely or None, shape (n,). `unread`: rows whose value is no geometry. `srids`: those that are said."""

    shapes: NDArray[np.object_]
    unread: list[int]
    srids: frozenset[int]


def shapes_of_values(column: pa.Array) -> ShapeValues:
    """The geometries of a column of texts or bytes; blanks are None."""
    values = column.to_pylist()
    shapes = np.full(len(values), None, dtype=object)
    kinds: dict[str, list[int]] = {"wkb": [], "wkt": [], "geojson": []}
    parts: dict[int, str | bytes] = {}
    srids: set[int] = set()
    unread: list[int] = []
    for row, value in enumerate(values):
        kind, part, srid = _kind(value)
        if kind == "blank":
            continue
        if kind is None or part is None or _is_too_deep(part):
            unread.append(row)
            continue
        kinds[kind].append(row)
        parts[row] = part
        if srid:
            srids.add(srid)
    readers = {"wkb": shapely.from_wkb, "wkt": shapely.from_wkt, "geojson": shapely.from_geojson}
    for kind, rows in kinds.items():
        if rows:
            shapes[rows] = _read(readers[kind], np.array([parts[row] for row in rows], dtype=object))
    unread += [row for row in parts if shapes[row] is None]
    srids |= {int(srid) for srid in np.unique(shapely.get_srid(shapes[kinds["wkb"]])) if srid > 0}
    return ShapeValues(shapes, sorted(unread), frozenset(srids))


def _read(reader: Callable[..., Any], values: NDArray[np.object_]) -> NDArray[np.object_]:
    """What shapely makes of the values; None where it makes nothing."""
    try:
        return np.asarray(reader(values, on_invalid="ignore"), dtype=object)
    except NotImplementedError:  # a curve or a surface among them, which it does not only ignore
        shapes = np.full(len(values), None, dtype=object)
        for row, value in enumerate(values):
            with suppress(NotImplementedError):
                shapes[row] = reader(value, on_invalid="ignore")
        return shapes


def _kind(value: str | bytes | None) -> tuple[str | None, str | bytes | None, int | None]:
    text = value.strip() if isinstance(value, str) else value
    if not text:
        return "blank", None, None
    if isinstance(text, bytes):
        return "wkb", text, None
    if text.startswith("{"):
        return "geojson", text, None
    digits = _HEX.fullmatch(text)
    if digits and len(digits[1]) % 2 == 0:
        return "wkb", bytes.fromhex(digits[1]), None
    said = _EWKT.match(text)
    if said:
        return "wkt", text[said.end() :], int(said[1])
    return ("wkt", text, None) if text[0].isalpha() else (None, None, None)


def _is_too_deep(value: str | bytes) -> bool:
    if len(value) > _LONGEST:
        return True
    if isinstance(value, bytes):
        return _wkb_collections(value) > _DEEPEST
    return (
        value.upper().count("GEOMETRYCOLLECTION") > _DEEPEST
        or "[" * 8 in value[: 1 << 20].replace(" ", "")
        or value.count("{") > _DEEPEST
    )


def _wkb_collections(value: bytes) -> int:
    """At most how deep geometry collections lie in each other."""
    if len(value) < 9 * _DEEPEST:
        return 0
    return max(
        value.count(mark)
        for mark in (b"\x01\x07\x00\x00", b"\x00\x00\x00\x07", b"\x00\x00\x03\xef", b"\x01\xef\x03\x00")
    )


def from_wkb(column: pa.Array) -> NDArray[np.object_]:
    """Shapely objects of a column of WKB, shape (n,), None for a null and for what is no geometry."""
    values = column.to_numpy(zero_copy_only=False)
    data = column.buffers()[2]
    if data is not None and len(data) >= 9 * _DEEPEST and len(column):
        deep = [
            row
            for row, value in enumerate(values)
            if value is not None and _is_collection(value) and _is_too_deep(value)
        ]
        if deep:
            values = values.copy()
            values[deep] = None
    return _read(shapely.from_wkb, values)


def why_unread(value: bytes) -> str:
    """What is wrong with WKB that `from_wkb` made nothing of, for a person."""
    if _is_collection(value) and _is_too_deep(value):
        return "geometry collections nested too deep"
    try:
        shapely.from_wkb(value)
    except (shapely.errors.GEOSException, NotImplementedError) as fault:
        return str(fault).split(": ", 1)[-1].strip()[:120]
    return "not a geometry"


def _is_collection(value: bytes) -> bool:
    """Whether the WKB is a geometry collection, in either byte order, with or without Z, M or an SRID."""
    if len(value) < 9 * _DEEPEST:
        return False
    kind = int.from_bytes(value[1:5], "little" if value[0] == 1 else "big") & 0x0FFFFFFF
    return kind % 1000 == 7
