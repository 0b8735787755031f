"""What the address of the duty matrix asks for: the level, the columns, a day, and what is told in full below."""

import re
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any
from urllib.parse import parse_qs, urlencode
from zoneinfo import ZoneInfo

LEVELS = ("district", "town", "community", "cell")
BY = ("department", "type")
# Of analysis.duty_state, in its order; what a count of units may be asked by.
STATES = ("missing", "two_leads", "disputed", "proposed", "no_person", "no_grid_worker", "confirmed")
# What a list of sites may be asked by besides: all that a department leads, all that is unsettled, those of no place type.
LISTED = (*STATES, "led", "unsettled", "no_rule")
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 12, 31)

_CODE = re.compile(r"^([0-9A-Za-z_.]{1,40}|-)$")
_UNIT = re.compile(r"^([0-9]{12}|[0-9]{18}|-)$")


@dataclass(frozen=True)
class Asked:
    """ "" and None do not limit. unit, town, department, rule, industry, listed: what is listed below the matrix ("-": in
    no cell, of no department); within: a town or community to look into; state: units that have it; site: whose chain is
    shown; text: a site that is looked for."""

    level: str = "town"
    by: str = "department"
    within: str = ""
    state: str = ""
    day: date | None = None
    unit: str = ""
    town: str = ""
    department: str = ""
    rule: str = ""
    industry: str = ""
    listed: str = ""
    site: int | None = None
    text: str = ""
    page: int = 1
    more: int = 1

    @classmethod
    def of(cls, query: str | None) -> "Asked":
        """From `?level=…`; what cannot be is left out, never an error."""
        given = {k: v[-1] for k, v in parse_qs((query or "").lstrip("?")).items()}

        def one_of(name: str, known: tuple[str, ...], default: str = "") -> str:
            return given[name] if given.get(name) in known else default

        def matching(name: str, pattern: re.Pattern[str]) -> str:
            return given[name] if pattern.match(given.get(name, "")) else ""

        def whole(name: str) -> int | None:
            text = given.get(name, "")
            return int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 16 else None

        within = matching("within", _UNIT)
        return cls(
            level=one_of("level", LEVELS, "town"),
            by=one_of("by", BY, "department"),
            within=within if len(within) == 12 else "",
            state=one_of("state", STATES),
            day=day_of(given.get("day", "")),
            unit=matching("unit", _UNIT),
            town=matching("town", _UNIT),
            department=matching("department", _CODE),
            rule=matching("rule", _CODE),
            industry=given.get("industry", "").replace("\0", "").strip()[:40],
            listed=one_of("listed", LISTED),
            site=whole("site"),
            text=given.get("text", "").replace("\0", "").strip()[:60],
            page=max(whole("page") or 1, 1),
            more=max(whole("more") or 1, 1),
        )

    @property
    def fields(self) -> dict[str, str]:
        """What differs from the default, as an address has it."""
        plain = asdict(Asked())
        return {k: str(v) for k, v in asdict(self).items() if v != plain[k] and v not in ("", None)}

    @property
    def lists(self) -> bool:
        """Whether sites or cells are to be listed."""
        return bool(self.listed or self.industry or self.department or self.rule)

    def moment(self, zone: str, now: datetime) -> datetime | None:
        """Noon of the day in the city, in UTC; None for today (duties are of days, so any moment of one says the same)."""
        if self.day is None or self.day == now.astimezone(ZoneInfo(zone)).date():
            return None
        return datetime.combine(self.day, time(12), ZoneInfo(zone)).astimezone(UTC)

    def matrix(self, zone: str, now: datetime) -> dict[str, Any]:
        """Parameters of sql/screens/duty_units.sql but for the page."""
        return {
            "as_of": self.moment(zone, now),
            "level": self.level,
            "within": self.within or None,
            "state": self.state or None,
        }

    def sites(self, zone: str, now: datetime) -> dict[str, Any]:
        """Parameters of sql/screens/duty_sites.sql and duty_cells.sql but for the page."""
        return {
            "as_of": self.moment(zone, now),
            "level": self.level,
            "state": self.listed or None,
            "within": self.within or None,
            "unit": self.unit or None,
            "town": (self.town if self.town != "-" else None) or None,
            "department": self.department or None,
            "rule": self.rule or None,
            "industry": self.industry or None,
        }

    def link(self, held: dict[str, str], anchor: str = "", **changed: Any) -> str:
        """The address of the page with these fields changed. held: language and theme."""
        return (
            "/matrix?" + urlencode(replace(self, **changed).fields | held) + (f"#{anchor}" if anchor else "")
        )

    def plain(self, **changed: Any) -> "Asked":
        """The same matrix with nothing listed, then what is changed."""
        nothing = {
            "unit": "",
            "town": "",
            "department": "",
            "rule": "",
            "industry": "",
            "listed": "",
            "more": 1,
        }
        return replace(self, **{**nothing, "site": None, "text": "", **changed})


def unread(query: str | None) -> list[str]:
    """Values of an address that cannot be used, as they were given."""
    given = {k: v[-1].strip() for k, v in parse_qs((query or "").lstrip("?")).items()}
    asked = Asked.of(query)
    return [given[n][:40] for n in _TOLD if given.get(n) and str(getattr(asked, n) or "") != given[n]]


# What changes the figures silently where it cannot be read.
_TOLD = ("level", "by", "within", "state", "day", "unit", "town", "department", "rule", "listed", "site")


def day_of(text: str) -> date | None:
    """A day as YYYY-MM-DD within what the register can hold; None for anything else."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if FIRST_DAY <= day <= LAST_DAY else None
