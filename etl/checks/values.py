"""Checks of columns: each gives the values to store and notes why a row cannot be.

A column is a numpy object array (None for a blank) or an Arrow array of strings (null for a blank), shape (n,). What
comes in as Arrow goes out as Arrow, of the type that is stored; what comes in as objects goes out as objects.
"""

import unicodedata
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from etl.readers import Table
from etl.reasons import Findings

__all__ = [
    "Bool",
    "Column",
    "Objects",
    "allowed",
    "as_objects",
    "as_text",
    "blank",
    "by_word",
    "flags",
    "floats",
    "numbers",
    "required",
    "texts",
    "words",
]

Objects = NDArray[np.object_]
Bool = NDArray[np.bool_]
Floats = NDArray[np.float64]
# Objects or pa.Array; pyarrow has no types of its own.
Column = Any

_YES = frozenset({"是", "有", "true", "yes", "y", "1", "t"})
_NO = frozenset({"否", "无", "false", "no", "n", "0", "f"})
_PLAIN_NUMBER = r"^-?[0-9]{1,15}(\.[0-9]{1,15})?$"


def blank(values: Column) -> Bool:
    """Mask of the values that are not given."""
    if isinstance(values, pa.Array):
        if not values.null_count:
            return np.zeros(len(values), dtype=bool)
        return np.asarray(values.is_null().to_numpy(zero_copy_only=False), dtype=bool)
    if values.dtype != object:
        return np.zeros(len(values), dtype=bool)
    return np.array(values == None)  # noqa: E711 - element by element


def as_text(values: Column) -> pa.Array:
    """A column as an Arrow array of strings."""
    return values if isinstance(values, pa.Array) else pa.array(values, type=pa.string())


def as_objects(values: Column) -> Objects:
    """A column as a numpy object array, None for a blank; one of one's own where it was Arrow."""
    if isinstance(values, pa.Array):
        if pa.types.is_string(values.type):
            return np.array(values.to_numpy(zero_copy_only=False), dtype=object)
        out = np.full(len(values), None, dtype=object)
        out[:] = values.to_pylist()
        return out
    return np.asarray(values, dtype=object)


def texts(table: Table, column: str | None, *, default: str | None = None) -> Objects:
    """A column's text as objects, blanks as `default`; all `default` when the manifest names no column."""
    if column is None:
        return np.full(len(table), default, dtype=object)
    out = table.columns[column].copy()
    if default is not None:
        out[blank(out)] = default
    return out


def words(table: Table, column: str | None, *, default: str | None = None) -> pa.Array:
    """A column's text as an Arrow array of strings, blanks as `default`; all `default` when the manifest names no column."""
    if column is None:
        return pa.repeat(pa.scalar(default, pa.string()), len(table))
    found = table.text(column)
    return found if default is None else pc.fill_null(found, default)


def required(values: Column, findings: Findings, field: str, code: str = "value_missing") -> Column:
    """The same values; rows where it is blank are set aside."""
    findings.reject(blank(values), code, field)
    return values


def numbers(
    values: Column, findings: Findings, field: str, *, low: float, high: float, whole: bool = False
) -> Column:
    """Numbers from text (None for a blank), within low..high, as float or, when `whole`, int (Arrow: double, int64)."""
    given = ~blank(values)
    found = floats(as_text(values))
    right = given & np.isfinite(found)
    if whole:
        right &= found == np.floor(found)
    findings.reject(given & ~right, "not_a_number", field, found=values)
    with np.errstate(invalid="ignore"):
        inside = right & (found >= low) & (found <= high)
    findings.reject(right & ~inside, "out_of_range", field, found=values, expected=f"{low:g}..{high:g}")
    stored = np.where(inside, found, 0)
    if whole:
        stored = stored.astype(np.int64)
    if isinstance(values, pa.Array):
        return pa.array(stored, mask=None if inside.all() else ~inside)
    out = stored.astype(object)
    out[~inside] = None
    return out


def floats(text: pa.Array) -> Floats:
    """The number that each text is, shape (n,); NaN for a blank and for what is none."""
    try:
        return np.array(text.cast(pa.float64()).fill_null(np.nan))
    except pa.ArrowInvalid:
        pass
    plain = np.asarray(pc.match_substring_regex(text, _PLAIN_NUMBER).fill_null(False))
    out = np.full(len(text), np.nan)
    out[plain] = text.filter(pa.array(plain)).cast(pa.float64())
    for row in np.flatnonzero(~plain & ~blank(text)):
        number = _number(text[int(row)].as_py())
        out[row] = np.nan if number is None else number
    return out


def _number(text: str) -> float | None:
    try:
        number = float(unicodedata.normalize("NFKC", text).strip().rstrip("°"))
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def by_word(values: Column, read: Callable[[str], Any], kind: pa.DataType) -> Column:
    """What `read` makes of each text, each distinct one read once; `kind`: the Arrow type of what it makes."""
    coded = as_text(values).dictionary_encode()
    made = [read(word) for word in coded.dictionary.to_pylist()]
    if isinstance(values, pa.Array):
        return pa.array(made, type=kind).take(coded.indices)
    place = np.asarray(coded.indices.fill_null(len(made)))
    return np.array([*made, None], dtype=object)[place]


def allowed(values: Column, findings: Findings, field: str, words: dict[str, str]) -> Column:
    """The stored word for each text (`words` maps what a file may say to what is stored); others are set aside."""
    out = by_word(values, lambda word: words.get(unicodedata.normalize("NFKC", word).lower()), pa.string())
    wrong = blank(out) & ~blank(values)
    findings.reject(wrong, "not_allowed", field, found=values, expected=_spelled(words))
    return out


def _spelled(words: dict[str, str]) -> str:
    """The stored words, each with the first Chinese one that stands for it: `lead 主管, co 配合`."""
    chinese: dict[str, str] = {}
    for said, stored in words.items():
        if not said.isascii():
            chinese.setdefault(stored, said)
    return ", ".join(
        f"{stored} {chinese[stored]}" if chinese.get(stored, stored) != stored else stored
        for stored in dict.fromkeys(words.values())
    )


def flags(values: Column, findings: Findings, field: str, *, default: bool) -> Column:
    """True or false from 是/否, yes/no, 1/0; blanks are `default` (Arrow: bool)."""
    words = dict.fromkeys(_YES, "yes") | dict.fromkeys(_NO, "no")
    said = allowed(values, findings, field, words)
    if isinstance(said, pa.Array):
        return pc.fill_null(pc.equal(said, "yes"), default)
    return np.where(blank(said), default, said == "yes").astype(object)
