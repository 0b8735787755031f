"""The day that the map speaks of: a past day as it stood at its end on the city's clock, or now."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class PastDay:
    """day: ISO date, "" = now. as_of: the last second of that day on the city's clock, None = now. unknown: lenses of which nothing
    had been recorded by then. first: the day of the first record at all, where the day is before it. refused: a key of
    texts.json that says why another day is not shown, "" where none was refused."""

    day: str = ""
    as_of: datetime | None = None
    unknown: tuple[str, ...] = ()
    first: str = ""
    refused: str = ""

    def told(self) -> dict[str, Any]:
        """As assets/40_map.js reads it."""
        return {
            "day": self.day,
            "as_of": None if self.as_of is None else self.as_of.isoformat(),
            "unknown": list(self.unknown),
            "before": bool(self.first),
        }


def today(now: datetime, zone: str) -> date:
    """The date on the city's clock."""
    return now.astimezone(ZoneInfo(zone)).date()


def past_day(text: str | None, now: datetime, zone: str, known_since: dict[str, datetime | None]) -> PastDay:
    """The day that a text (YYYY-MM-DD) names. Today and "" are now; a future day and what is no day are refused with a reason.

    now: aware. zone: IANA name of the city's zone. known_since: of each lens the time of its first record (aware), None where
    there is none: before it the lens is not known, which is not the same as nothing there.
    """
    if not text:
        return PastDay()
    try:
        asked = date.fromisoformat(text)
    except ValueError:
        return PastDay(refused="day.no_day")
    if asked > today(now, zone):
        return PastDay(refused="day.future")
    if asked == today(now, zone):
        return PastDay()
    # The second before the next midnight: a day on which the clock is moved ends when its next day begins.
    midnight = datetime.combine(asked + timedelta(days=1), time(), ZoneInfo(zone))
    as_of = midnight.astimezone(UTC) - timedelta(seconds=1)
    unknown = tuple(lens for lens, since in known_since.items() if since is None or since > as_of)
    first = min((since for since in known_since.values() if since is not None), default=None)
    is_before = first is not None and first > as_of
    return PastDay(
        day=asked.isoformat(),
        as_of=as_of.astimezone(ZoneInfo(zone)),
        unknown=unknown,
        first=first.astimezone(ZoneInfo(zone)).date().isoformat() if is_before and first else "",
    )
