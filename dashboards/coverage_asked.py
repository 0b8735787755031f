"""What the address of the page of coverage asks for."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode
from zoneinfo import ZoneInfo

from dashboards.ledger import hours_of, span
from geoapp.access.caller import Caller

# The hour that is shown of a day when none is chosen: the one that the committee asks about.
NIGHT_HOUR = 3
FIRST_DAY = date(2000, 1, 1)


@dataclass(frozen=True)
class Asked:
    """day: of the city; at: start of an hour of that day (UTC); on: the day as of which onboarding is told; wanted, reach_m,
    hfov_deg: of the placement helper, which works only where `place` is set. unread: values that could not be used."""

    zone: str
    day: date
    at: datetime
    on: date
    town: str = ""
    place: bool = False
    wanted: int = 5
    reach_m: float = 80
    hfov_deg: float = 90
    lang: str = "zh"
    theme: str = ""
    unread: list[str] = field(default_factory=list)
    given: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, query: str | None, caller: Caller, page: dict[str, Any], now: datetime) -> "Asked":
        """From an address. A caller of one town is shown that town where no other is asked for."""
        given = {k: v[-1].strip()[:40] for k, v in parse_qs((query or "").lstrip("?")).items()}
        zone, unread = str(page["zone"]), list[str]()
        today = now.astimezone(ZoneInfo(zone)).date()

        def day_of(name: str, default: date) -> date:
            text = given.get(name, "")
            try:
                found = date.fromisoformat(text) if text else default
            except ValueError:
                found = date.min
            if FIRST_DAY <= found <= today:
                return found
            unread.append(text)
            return default

        def number_of(name: str, default: float, least: float, most: float) -> float:
            text = given.get(name, "")
            try:
                found = float(text) if text else default
            except ValueError:
                found = -1.0
            if least <= found <= most:
                return found
            unread.append(text)
            return default

        day = day_of("day", today)
        since, until = span(day.isoformat(), zone)
        hours = [hour for hour in hours_of(since, until) if hour < now]
        at = hour_at(given.get("at", ""))
        if at not in hours:
            if given.get("at"):
                unread.append(given["at"])
            at = chosen_hour(hours, zone) if hours else since
        town = given.get("town", "")
        if not (town.isascii() and town.isdigit() and len(town) == 12):
            town = caller.areas[0] if caller.scope == "town" and len(caller.areas) == 1 else ""
        return cls(
            zone=zone,
            day=day,
            at=at,
            on=day_of("on", today),
            town=town,
            place=given.get("place") == "1",
            wanted=int(number_of("wanted", 5, 1, 20)),
            reach_m=number_of("reach", 80, 5, 2000),
            hfov_deg=number_of("hfov", 90, 5, 360),
            lang=str(page["lang"]),
            theme=str(page["theme"] or ""),
            unread=unread,
            given={k: v for k, v in given.items() if k in _NAMES and v},
        )

    @property
    def span(self) -> tuple[datetime, datetime]:
        """The day from midnight to midnight in the city, in UTC."""
        return span(self.day.isoformat(), self.zone)

    def kept(self, but: tuple[str, ...] = ()) -> dict[str, str]:
        """What a form or link of the page carries on, without the names that it says itself."""
        held = {"lang": self.lang} | ({"theme": self.theme} if self.theme else {}) | self.given
        return {name: value for name, value in held.items() if name not in but}

    def link(self, part: str = "", **changed: str) -> str:
        """The page's address with some values changed."""
        return f"/coverage?{urlencode(self.kept() | changed)}" + (f"#coverage-{part}" if part else "")


_NAMES = ("day", "at", "on", "town", "place", "wanted", "reach", "hfov")


def hour_at(text: str) -> datetime | None:
    """The start of an hour as an address gives it (ISO 8601 with an offset), in UTC; None where it is none."""
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None


def chosen_hour(hours: list[datetime], zone: str) -> datetime:
    """Of a day's hours that have begun: the night hour, or the last before it."""
    night = [h for h in hours if h.astimezone(ZoneInfo(zone)).hour <= NIGHT_HOUR]
    return night[-1] if night else hours[0]


def clock_span(at: datetime, zone: str) -> str:
    """`03:00–04:00` of the city; where the clock is set within the day, with the distance from UTC."""
    here, there = at.astimezone(ZoneInfo(zone)), (at + timedelta(hours=1)).astimezone(ZoneInfo(zone))
    day_before, day_after = here - timedelta(hours=12), here + timedelta(hours=12)
    offset = "" if day_before.utcoffset() == day_after.utcoffset() else here.strftime(" (UTC%z)")
    return f"{here:%H:%M}–{there:%H:%M}{offset}"
