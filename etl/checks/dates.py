"""Days from what files write; a spreadsheet's bare day number only among dates, and never in silence."""

import re
import unicodedata
from datetime import date, timedelta

import numpy as np
import pyarrow as pa

from etl.checks.values import Bool, Column, as_objects, blank, by_word
from etl.reasons import Findings

__all__ = ["dates", "ordered"]

FOUNDED = date(1949, 10, 1)
"""Earlier days are rare in a register, and more often a slip."""

_DATE = re.compile(
    r"([0-9]{4})([-/.年\s])([0-9]{1,2})[-/.月\s]([0-9]{1,2})(?:日|\D.*)?|([0-9]{4})([0-9]{2})([0-9]{2})(?:\D.*)?"
)
# Excel counts days from here (its 1900 has a 29 February, so that earlier days than March 1900 are one off).
_EXCEL_ZERO = date(1899, 12, 30)
_EXCEL_DAYS = range(18_264, 73_051)  # 1950 to 2099


def dates(
    values: Column,
    findings: Findings,
    field: str,
    *,
    not_before: date = FOUNDED,
    not_after: date | None = None,
) -> Column:
    """Dates from 2026-11-22, 2026/11/22, 2026.11.22, 20261122 or 2026年11月22日 (a time of day is dropped); Arrow: date32.

    Where at least half of the values given are dates, a bare number of five digits is taken for a spreadsheet's day
    number (45000 is 2023-03-15) and noted as repaired. Days before `not_before` (1900-01-01 is what programs write for
    a blank) and after `not_after` are stored with a warning.
    """
    out = by_word(values, _date, pa.date32())
    wrong = blank(out) & ~blank(values)
    if wrong.any():
        out, wrong = _with_serials(values, out, wrong, findings, field)
        findings.reject(wrong, "not_a_date", field, found=values)
    for limit, code in ((not_before, "date_early"), (not_after, "date_late")):
        if limit is not None:
            beyond = _beyond(out, limit, before=code == "date_early")
            findings.warn(beyond, code, field, found=out, limit=limit)
    return out


def _date(text: str) -> date | None:
    match = _DATE.fullmatch(unicodedata.normalize("NFKC", text).strip())
    if match is None:
        return None
    year, _, month, day, *together = match.groups()
    try:
        return date(int(year or together[0]), int(month or together[1]), int(day or together[2]))
    except ValueError:
        return None


def _with_serials(
    values: Column, out: Column, wrong: Bool, findings: Findings, field: str
) -> tuple[Column, Bool]:
    asked, made = as_objects(values), as_objects(out)
    if (~blank(made)).sum() < wrong.sum():
        return out, wrong
    made, wrong = made.copy(), wrong.copy()
    for row in np.flatnonzero(wrong):
        if re.fullmatch(r"[0-9]{5}(\.[0-9]+)?", asked[row]) and int(asked[row][:5]) in _EXCEL_DAYS:
            made[row] = _EXCEL_ZERO + timedelta(days=int(asked[row][:5]))
            findings.repair(int(row), "date_from_serial", field, asked[row], made[row].isoformat())
            wrong[row] = False
    return (pa.array(made, type=pa.date32()) if isinstance(out, pa.Array) else made), wrong


def _beyond(days: Column, limit: date, *, before: bool) -> Bool:
    numbers = np.asarray(pa.array(days, type=pa.date32()).cast(pa.int32()).fill_null(0))
    edge = (limit - date(1970, 1, 1)).days
    return ~blank(days) & (numbers < edge if before else numbers > edge)


def ordered(start: Column, end: Column, findings: Findings, field: str, *, or_equal: bool = False) -> None:
    """Sets aside rows that end before they start (`or_equal`: or at that moment); a blank is never wrong.

    start, end: dates, or aware datetimes, as `dates` and `times` give them.
    """
    both = ~blank(start) & ~blank(end)
    first, last = as_objects(start), as_objects(end)
    wrong = both.copy()
    wrong[both] = (last[both] <= first[both]) if or_equal else (last[both] < first[both])
    findings.reject(wrong, "ends_before_it_starts", field, start=first, end=last)
