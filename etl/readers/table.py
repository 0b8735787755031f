"""A stretch of rows: every row with its number, its text columns and its geometry, nothing dropped on the way."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyproj
import shapely
from numpy.typing import NDArray

from etl.readers.points import points_of
from etl.readers.shape_values import from_wkb, why_unread
from etl.readers.text import numbers_of, text_of

__all__ = ["Table", "join_tables"]

_REPLACEMENT = "\ufffd".encode()


class _Texts(Mapping[str, NDArray[np.object_]]):
    """Name to array of shape (n,), str or None for a blank; a column is made into text when it is asked for."""

    def __init__(self, held: Mapping[str, pa.Array]) -> None:
        self._held = held
        self._made: dict[str, NDArray[np.object_]] = {}

    def __getitem__(self, name: str) -> NDArray[np.object_]:
        if name not in self._made:
            texts = text_of(self._held[name]).to_numpy(zero_copy_only=False)
            self._made[name] = np.asarray(texts, dtype=object)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)


@dataclass(frozen=True)
class Table:
    """What a file holds, or a stretch of it.

    `held`: column name to Arrow array of length n, of the kind that the file has. `row_no`: shape (n,), the row as a
    spreadsheet counts it (the header is row 1), for geographic files the feature's number from 1. `shapes`: WKB as
    an Arrow array, or shapely objects, shape (n,), in the file's own frame; None when the file has none at all.
    `crs`: only where the file itself says it. `marked`: row index to (reason code, what was found) as the reader
    noted it; `damaged` also holds what shows in the values.
    """

    path: Path
    held: Mapping[str, pa.Array]
    row_no: NDArray[np.int64]
    shapes: pa.Array | NDArray[np.object_] | None = None
    crs: pyproj.CRS | None = None
    crs_from: str = ""
    encoding: str | None = None
    evidence: str = ""
    notices: tuple[str, ...] = ()
    repeated: frozenset[str] = frozenset()
    marked: Mapping[int, tuple[str, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.row_no)

    @cached_property
    def columns(self) -> Mapping[str, NDArray[np.object_]]:
        """Name to array of shape (n,), str or None for a blank; made on access."""
        return _Texts(self.held)

    def text(self, name: str) -> pa.Array:
        """A column as trimmed text, an Arrow array of strings of length n; null for a blank."""
        return text_of(self.held[name])

    def numbers(self, name: str) -> NDArray[np.float64] | None:
        """A column's numbers, shape (n,), NaN for a blank; None where the file's column is not numeric."""
        return numbers_of(self.held[name])

    @cached_property
    def geometry(self) -> NDArray[np.object_] | None:
        """Shapely objects or None, shape (n,), in the file's own frame; None when the file has none at all."""
        if self.shapes is None or isinstance(self.shapes, np.ndarray):
            return self.shapes
        return from_wkb(self.shapes)

    def points(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """x and y of each point, shape (n,), NaN for none, in the file's own frame; None unless all are points."""
        if isinstance(self.shapes, np.ndarray):
            return _coordinates(self.shapes)
        return self._points

    @cached_property
    def _points(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        return None if self.shapes is None else points_of(self.shapes)

    @cached_property
    def damaged(self) -> Mapping[int, tuple[str, str]]:
        """Row index to (reason code, what was found)."""
        found = dict(self.marked)
        for column in self.held.values():
            for row in _undecodable(column):
                found[row] = ("undecodable", self.encoding or "UTF-8")
        if isinstance(self.shapes, pa.Array) and self.points() is None:
            assert self.geometry is not None
            given = np.asarray(self.shapes.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
            for place in np.flatnonzero(shapely.is_missing(self.geometry) & given):
                found[int(place)] = ("geometry_unreadable", why_unread(self.shapes[int(place)].as_py()))
        return found

    def select(self, mask: NDArray[np.bool_]) -> "Table":
        """The rows of a boolean mask of shape (n,), with their numbers."""
        place = {int(old): new for new, old in enumerate(np.flatnonzero(mask))} if self.marked else {}
        wanted = pa.array(mask)
        shapes = self.shapes
        if shapes is not None:
            shapes = shapes[mask] if isinstance(shapes, np.ndarray) else shapes.filter(wanted)
        return replace(
            self,
            held={name: column.filter(wanted) for name, column in self.held.items()},
            row_no=self.row_no[mask],
            shapes=shapes,
            marked={place[row]: what for row, what in self.marked.items() if row in place},
        )


def _coordinates(shapes: NDArray[np.object_]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    kinds = shapely.get_type_id(shapes)
    if not ((kinds == 0) | (kinds == -1)).all():
        return None
    x, y = np.full(len(shapes), np.nan), np.full(len(shapes), np.nan)
    there = (kinds == 0) & ~shapely.is_empty(shapes)  # shapely fails on the x of an empty point
    x[there], y[there] = shapely.get_x(shapes[there]), shapely.get_y(shapes[there])
    return x, y


def _undecodable(column: pa.Array) -> list[int]:
    """Rows with a NUL or a character that another program could not read; almost always none."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return []
    data = column.buffers()[2]
    if data is None:
        return []
    content = memoryview(data)
    if not _holds(content, b"\x00") and not _holds(content, _REPLACEMENT):
        return []
    bad = pc.or_(pc.match_substring(column, "\x00"), pc.match_substring(column, "\ufffd")).fill_null(False)
    return [int(row) for row in np.flatnonzero(bad.to_numpy(zero_copy_only=False))]


def _holds(content: memoryview, wanted: bytes) -> bool:
    return bytes(content).find(wanted) >= 0 if len(content) < 1 << 28 else True


def join_tables(tables: Sequence[Table]) -> Table:
    """All rows of the stretches of one file, in order. Raises ValueError where there is none."""
    if len(tables) == 1:
        return tables[0]
    first = tables[0]
    start = 0
    marked: dict[int, tuple[str, str]] = {}
    for table in tables:
        marked |= {start + row: what for row, what in table.marked.items()}
        start += len(table)
    return replace(
        first,
        held={name: _joined([table.held[name] for table in tables]) for name in first.held},
        row_no=np.concatenate([table.row_no for table in tables]),
        shapes=None if first.shapes is None else _joined_shapes(tables),
        notices=tuple(dict.fromkeys(notice for table in tables for notice in table.notices)),
        marked=marked,
    )


def _joined(parts: list[pa.Array]) -> pa.Array:
    kinds = {part.type for part in parts}
    if len(kinds) > 1:  # a column that holds numbers in one stretch and words in another
        parts = [text_of(part) for part in parts]
    return pa.concat_arrays(parts)


def _joined_shapes(tables: Sequence[Table]) -> pa.Array | NDArray[np.object_]:
    parts = [table.shapes for table in tables]
    if all(isinstance(part, pa.Array) for part in parts):
        return pa.concat_arrays(parts)
    made = [table.geometry for table in tables]
    return np.concatenate([part for part in made if part is not None])
