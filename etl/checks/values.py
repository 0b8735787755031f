"""Checks of columns: each gives the values to store and notes why a row cannot be."""

import re
import unicodedata
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from etl.readers import Table
from etl.reasons import Findings
from geoapp.registry.identifiers import uscc_problem

__all__ = [
    "Bool",
    "Objects",
    "allowed",
    "blank",
    "dates",
    "divisions",
    "flags",
    "numbers",
    "required",
    "texts",
    "usccs",
]

Objects = NDArray[np.object_]
Bool = NDArray[np.bool_]

_YES = frozenset({"是", "有", "true", "yes", "y", "1", "t"})
_NO = frozenset({"否", "无", "false", "no", "n", "0", "f"})


def blank(values: Objects) -> Bool:
    """Mask of the values that are not given."""
    return np.fromiter((value is None for value in values), dtype=bool, count=len(values))


def texts(table: Table, column: str | None, *, default: str | None = None) -> Objects:
    """A column's text, blanks as `default`; all `default` when the manifest names no column."""
    out = np.full(len(table), default, dtype=object)
    if column is not None:
        given = ~blank(table.columns[column])
        out[given] = table.columns[column][given]
    return out


def required(values: Objects, findings: Findings, field: str, code: str = "value_missing") -> Objects:
    """The same values; rows where it is blank are set aside."""
    findings.reject(blank(values), code, field)
    return values


def numbers(
    values: Objects, findings: Findings, field: str, *, low: float, high: float, whole: bool = False
) -> Objects:
    """Numbers from text (None for a blank), within low..high, as float or, when `whole`, int."""
    out = np.full(len(values), None, dtype=object)
    for row in np.flatnonzero(~blank(values)):
        number = _number(values[row])
        if number is None or (whole and not number.is_integer()):
            findings.reject_row(int(row), "not_a_number", field, found=values[row])
        elif not low <= number <= high:
            expected = f"{low:g}..{high:g}"
            findings.reject_row(int(row), "out_of_range", field, found=values[row], expected=expected)
        else:
            out[row] = int(number) if whole else number
    return out


def _number(text: str) -> float | None:
    try:
        number = float(unicodedata.normalize("NFKC", text).strip().rstrip("°"))
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def allowed(values: Objects, findings: Findings, field: str, words: dict[str, str]) -> Objects:
    """The stored word for each text (`words` maps what a file may say to what is stored); others are set aside."""
    # Each word that the rows use is looked up once.
    place, said = pd.factorize(values)
    stored = [words.get(unicodedata.normalize("NFKC", word).lower()) for word in said]
    out = np.array([*stored, None], dtype=object)[place]  # a blank has place -1: the last
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


def flags(values: Objects, findings: Findings, field: str, *, default: bool) -> Objects:
    """True or false from 是/否, yes/no, 1/0; blanks are `default`."""
    words = dict.fromkeys(_YES, "yes") | dict.fromkeys(_NO, "no")
    said = allowed(values, findings, field, words)
    return np.where(blank(said), default, said == "yes").astype(object)


def dates(values: Objects, findings: Findings, field: str) -> Objects:
    """Dates from 2026-11-22, 2026/11/22, 2026.11.22, 20261122 or 2026年11月22日 (a time of day is dropped)."""
    out = np.full(len(values), None, dtype=object)
    for row in np.flatnonzero(~blank(values)):
        match = re.match(r"^(\d{4})\D?(\d{1,2})\D?(\d{1,2})(?:日|\D.*)?$", values[row])
        try:
            out[row] = date(*(int(part) for part in match.groups())) if match else None
        except ValueError:
            out[row] = None
    findings.reject(blank(out) & ~blank(values), "not_a_date", field, found=values)
    return out


def usccs(values: Objects, findings: Findings, field: str) -> Objects:
    """Unified social credit codes, half-width and in capitals; a wrong one sets its row aside, a blank does not."""
    out = np.full(len(values), None, dtype=object)
    for row in np.flatnonzero(~blank(values)):
        tidy = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", values[row])).upper()
        why = uscc_problem(tidy)
        if why is not None:
            findings.reject_row(int(row), "uscc_invalid", field, found=values[row], why=why)
            continue
        if tidy != values[row]:
            findings.repair(int(row), "uscc_tidied", field, values[row], tidy)
        out[row] = tidy
    return out


def divisions(values: Objects, findings: Findings, field: str) -> Objects:
    """12-digit division codes; the short forms of 6 (county) and 9 digits (town) are filled up and noted as repaired."""
    out = np.full(len(values), None, dtype=object)
    for row in np.flatnonzero(~blank(values)):
        if re.fullmatch(r"\d{12}|\d{9}|\d{6}", values[row]):
            out[row] = values[row].ljust(12, "0")
            if out[row] != values[row]:
                findings.repair(int(row), "unit_code_padded", field, values[row], out[row])
    findings.reject(blank(out) & ~blank(values), "unit_code_invalid", field, found=values)
    return out
