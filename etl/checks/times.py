"""Moments from what files write: with or without a time of day, with or without a zone."""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from etl.checks.values import Column, Objects, as_objects, blank
from etl.reasons import Findings

__all__ = ["times"]

# A plain form that many rows share is read at once; whatever else there is, row by row.
_PLAIN = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(?P<zone>Z|[+-]\d\d:?\d\d)?")
_LOOSE = re.compile(
    r"(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?(?:[T\s]*(\d{1,2})[:：时点](\d{1,2})?(?:[:：分](\d{1,2})?(?:\.\d+)?秒?)?分?)?"
)


def times(values: Column, findings: Findings, field: str, zone: str, *, day_ends: bool = False) -> Objects:
    """Aware datetimes (UTC) from 2026-11-22 09:30, 2026/11/22 9:30:15, 2026年11月22日9时30分 or ISO 8601; None for blanks.

    What names no offset is in the city's `zone`. A date alone is its first moment, or its last second where `day_ends`
    (a deadline). Rows that hold something else are set aside.
    """
    values = as_objects(values)
    out = np.full(len(values), None, dtype=object)
    aware: list[int] = []
    local: list[int] = []
    for row in np.flatnonzero(~blank(values)):
        match = _PLAIN.fullmatch(values[row])
        if match is None:
            out[row] = _loose(values[row], zone, day_ends)
        else:
            (local if match["zone"] is None else aware).append(int(row))
    out[aware] = _plain(values[aware], None)
    out[local] = _plain(values[local], zone)
    findings.reject(blank(out) & ~blank(values), "not_a_time", field, found=values)
    return out


def _plain(texts: Objects, zone: str | None) -> Objects:
    """Datetimes (UTC) of texts in ISO 8601 that all name an offset, or (`zone`) all none; None where there is no such day."""
    out = np.full(len(texts), None, dtype=object)
    if not len(texts):
        return out
    found = pd.to_datetime(pd.Series(texts), format="ISO8601", errors="coerce", utc=zone is None)
    if zone is not None:
        # The hour that a clock shows twice is read as the later one; the hour that it leaves out, as the next.
        twice = np.zeros(len(texts), dtype=bool)
        found = found.dt.tz_localize(zone, ambiguous=twice, nonexistent="shift_forward").dt.tz_convert("UTC")
    known = found.notna().to_numpy()
    out[known] = found[known].dt.to_pydatetime()
    return out


def _loose(text: str, zone: str, day_ends: bool) -> datetime | None:
    match = _LOOSE.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (None if part is None else int(part) for part in match.groups())
    try:
        moment = datetime(
            year or 0, month or 0, day or 0, hour or 0, minute or 0, second or 0, tzinfo=ZoneInfo(zone)
        )
    except ValueError:
        return None
    if hour is None and day_ends:
        moment += timedelta(days=1, seconds=-1)
    return moment.astimezone(UTC)
