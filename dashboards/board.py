"""What the screens read: rows of the analysts' views under the caller's role, shared for a few seconds by all who may
see the same."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from geoapp.access.caller import Pool, acting, current_caller
from geoapp.database.sql_files import read_sql

Row = dict[str, Any]

# A board that is read by many maps at once is asked for once; it is never older than this.
KEPT_S = 10.0
# Answers that are kept, over all scopes together: a firm's are a row each, so this is little memory.
KEPT_MAX = 512


@dataclass
class _Kept:
    """Rows of one query for one scope, and who is asking."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    at: float = float("-inf")
    rows: list[Row] = field(default_factory=list)


@dataclass
class Board:
    """Reads `sql/screens/*.sql` through the web process's pool, under the role of the request's caller.

    Any method raises NotSignedIn where there is no caller, and psycopg.Error or PoolTimeout when the database is away.
    """

    pool: Pool
    _kept: OrderedDict[tuple[str, str], _Kept] = field(default_factory=OrderedDict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def rows(self, name: str, **parameters: object) -> list[Row]:
        """Rows of `sql/screens/<name>.sql` that the caller may see."""
        with acting(self.pool) as connection:
            return connection.execute(read_sql(f"screens/{name}").encode(), parameters).fetchall()

    def row(self, name: str, **parameters: object) -> Row | None:
        """The first row of `sql/screens/<name>.sql`, or None."""
        found = self.rows(name, **parameters)
        return found[0] if found else None

    def shared(self, name: str, *, kept_s: float = KEPT_S) -> list[Row]:
        """Rows of a query without parameters, at most `kept_s` seconds old; concurrent callers wait for one query."""
        with self._guard:
            key = (current_caller().scope_key, name)
            kept = self._kept.setdefault(key, _Kept())
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        with kept.lock:
            if time.monotonic() - kept.at > kept_s:
                kept.rows = self.rows(name)
                kept.at = time.monotonic()
            return kept.rows

    def city(self) -> Row | None:
        """The city (names, code, timezone, is_generated) with its extent in degrees, or None where there is none yet."""
        rows = self.shared("city", kept_s=30)
        return rows[0] if rows else None

    def headline(self) -> dict[str, Row]:
        """analysis.headline by name."""
        return {row["name"]: row for row in self.shared("headline")}


def clock(
    moment: datetime | None, zone: str, *, day: bool = True, seconds: bool = False, year: bool = True
) -> str:
    """A moment in the city's zone: `2026-11-22 17:42`, `—` for None."""
    if moment is None:
        return "—"
    shape = ("%Y-%m-%d " if day and year else "%m-%d " if day else "") + "%H:%M" + (":%S" if seconds else "")
    return moment.astimezone(ZoneInfo(zone)).strftime(shape)


def offset(zone: str, moment: datetime) -> str:
    """Distance of the zone from UTC at a moment, as `+08:00`."""
    text = moment.astimezone(ZoneInfo(zone)).strftime("%z")
    return f"{text[:3]}:{text[3:]}"


def number(value: float | int | None, digits: int = 0) -> str:
    """`12,345` or `1.23`; `—` for None: a missing figure is never 0."""
    return "—" if value is None else f"{value:,.{digits}f}"


def cell_code(code: str | None) -> str:
    """The written form of an 18-digit cell code without the county: `103001-1-007-00`."""
    if not code or len(code) != 18:
        return code or "—"
    return f"{code[6:12]}-{code[12]}-{code[13:16]}-{code[16:]}"
