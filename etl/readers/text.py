"""Columns of any kind as the text that a person sees, a whole column at a time."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.encoding import detect, python_name
from geoapp.errors import Refused

__all__ = ["BLANKS", "clean", "numbers_of", "repaired_text", "text_of"]

BLANKS = " \t\r\n\u3000\u00a0\ufeff"
"""Full-width and no-break blanks count as blanks; a lone BOM sits in front of some headers."""


def clean(value: str) -> str | None:
    """One text without the blanks around it; None for nothing else."""
    return value.strip(BLANKS) or None


def text_of(column: pa.Array) -> pa.Array:  # noqa: PLR0911 - one line for each kind
    """A column of any Arrow type as trimmed text (type string, nulls for blanks).

    Floats that are whole numbers are written as such, since spreadsheets make codes floats; dates and times as ISO
    8601 (midnight is left away); booleans as true and false; lists and structures as JSON; bytes in hexadecimal.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        return text_of(column.dictionary_decode())
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _trimmed(column)
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return column.cast(pa.string())
    if pa.types.is_floating(kind):
        return _floats(column)
    if pa.types.is_decimal(kind):
        plain = pc.replace_substring_regex(column.cast(pa.string()), r"(\.\d*?[1-9])0+$", r"\1")
        return pc.replace_substring_regex(plain, r"\.0*$", "")
    if pa.types.is_date(kind):
        return column.cast(pa.date32(), safe=False).cast(pa.string())
    if pa.types.is_time(kind):
        return pc.replace_substring_regex(column.cast(pa.string()), r"\.0+$", "")
    if pa.types.is_timestamp(kind):
        return _timestamps(column)
    return pa.array([_structure(value) for value in column.to_pylist()], type=pa.string())


def _trimmed(column: pa.Array) -> pa.Array:
    trimmed = pc.utf8_trim(column, BLANKS)
    empty = pc.equal(pc.binary_length(trimmed), 0)
    if pc.any(empty).as_py():
        trimmed = pc.if_else(empty, pa.scalar(None, trimmed.type), trimmed)
    return trimmed if trimmed.type == pa.string() else trimmed.cast(pa.string())


def _floats(column: pa.Array) -> pa.Array:
    values = np.asarray(column.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False))
    with np.errstate(invalid="ignore"):
        whole = np.isfinite(values) & (np.abs(values) < 1e18) & (np.floor(values) == values)
        plain = np.isfinite(values) & (np.abs(values) < 1e15) & (np.abs(values) >= 1e-4)
    integers = pa.array(np.where(whole, values, 0).astype(np.int64)).cast(pa.string())
    shown = pc.if_else(pa.array(whole), integers, column.cast(pa.string()))
    odd = np.flatnonzero(~np.isnan(values) & ~whole & ~plain)
    if len(odd):
        texts = np.asarray(shown.to_numpy(zero_copy_only=False), dtype=object)
        for row in odd:
            texts[row] = repr(float(values[row]))
        shown = pa.array(texts, type=pa.string())
    return pc.if_else(pa.array(np.isnan(values)), pa.scalar(None, pa.string()), shown)


def _timestamps(column: pa.Array) -> pa.Array:
    zone = column.type.tz
    shown = pc.strftime(column, "%Y-%m-%dT%H:%M:%S" + ("%z" if zone else ""), locale="C")
    shown = pc.replace_substring_regex(shown, r"\.0+([+-]\d{4})?$", r"\1")
    return shown if zone else pc.replace_substring_regex(shown, "T00:00:00$", "")


def _structure(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.hex() or None
    return clean(json.dumps(value, ensure_ascii=False, default=str))


def numbers_of(column: pa.Array) -> NDArray[np.float64] | None:
    """A numeric column as float64, shape (n,), NaN for a null; None for a column of another kind."""
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        return None
    values = column.cast(pa.float64(), safe=False)
    if values.null_count:
        values = values.fill_null(np.nan)
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)


def repaired_text(column: pa.Array, encoding: str | None = None) -> tuple[pa.Array, list[int]]:
    """A string column that can be worked with, and its rows whose bytes do not fit (shown with U+FFFD).

    What is not UTF-8 is decoded as `encoding`, or, where none is declared, as the one that the column's own bytes show.
    """
    try:
        column.validate(full=True)
        return column, []
    except pa.ArrowInvalid:
        as_bytes = column.cast(pa.binary())
        as_bytes.validate(full=True)  # raises where not only the text but the column is broken
        values = as_bytes.to_pylist()
    wrong = b"\n".join(value for value in values if value is not None and not _is_utf8(value))
    try:
        encoding = python_name(encoding) if encoding else detect(wrong, what="")[0]
    except Refused:
        encoding = "utf-8"
    bad: list[int] = []
    texts: list[str | None] = []
    for row, value in enumerate(values):
        if value is None or _is_utf8(value):
            texts.append(None if value is None else value.decode())
            continue
        texts.append(value.decode(encoding, errors="replace"))
        if "\ufffd" in (texts[-1] or ""):
            bad.append(row)
    return pa.array(texts, type=pa.string()), bad


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
