"""When a feed is due: every so often, or once a day by the city's clock; sooner again after a failure."""

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from geoapp.errors import Refused

__all__ = ["Every", "first_due", "late_after", "next_due", "parse_every", "retry_due"]

Every = timedelta | time
"""An interval, or a time of the day."""

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_SHORTEST, _LONGEST = timedelta(minutes=1), timedelta(days=31)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
_DAILY_LATE = timedelta(hours=26)
_DAY = timedelta(days=1)


def parse_every(text: str) -> Every:
    """15m, 1h, 2d (1 minute to 31 days), or 02:30. Raises Refused for anything else."""
    clock = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text.strip())
    if clock:
        return time(int(clock[1]), int(clock[2]))
    span = re.fullmatch(r"(\d{1,6})\s*([mhd])", text.strip())
    if span:
        every = timedelta(**{_UNITS[span[2]]: int(span[1])})
        if _SHORTEST <= every <= _LONGEST:
            return every
    raise Refused(
        f"--every {text!r}: 应为 15m、1h、2d（1 分钟至 31 天）或每天的时刻 02:30 / expected 15m, 1h, 2d (1 minute to 31 days), "
        'or a time of the day, "02:30".'
    )


def next_due(every: Every, moment: datetime, timezone: str) -> datetime:
    """The first due time after `moment` (aware), in UTC; times of the day are in `timezone`, the city's.

    On the day on which clocks go forward over it, a time that does not exist is its place after the gap; where they go
    back, a time that comes twice is the first of the two, so that a day always has one.
    """
    if isinstance(every, timedelta):
        return (moment + every).astimezone(UTC)
    zone = ZoneInfo(timezone)
    day = moment.astimezone(zone).date()
    while True:
        due = datetime.combine(day, every, tzinfo=zone).astimezone(UTC)
        if due > moment:
            return due
        day += _DAY


def first_due(every: Every, moment: datetime, timezone: str) -> datetime:
    """A feed with an interval is due at once when it is added."""
    return moment if isinstance(every, timedelta) else next_due(every, moment, timezone)


def retry_due(every: Every, moment: datetime, timezone: str, failures: int) -> datetime:
    """After `failures` in a row, 1 or more: 1, 2, 4 … 60 minutes later, but never later than the next regular time."""
    pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures - 1, 10))
    return min(moment + pause, next_due(every, moment, timezone))


def late_after(every: Every) -> timedelta:
    """The age from which the data are late: two periods; for daily ones 26 hours (a day of 25 hours and a slow load)."""
    return _DAILY_LATE if isinstance(every, time) else 2 * every
