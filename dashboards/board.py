"""What the screens read: rows of the analysts' views, shared for a few seconds by all open maps."""

import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg_pool import ConnectionPool

from geoapp.database.sql_files import read_sql

Row = dict[str, Any]
Pool = ConnectionPool[psycopg.Connection[Row]]

# A board that is read by many maps at once is asked for once; it is never older than this.
KEPT_S = 10.0


@dataclass
class Board:
    """Reads `sql/screens/*.sql` through a pool. Any method raises psycopg.Error or PoolTimeout when the database is away."""

    pool: Pool
    _kept: dict[str, tuple[float, list[Row]]] = field(default_factory=dict)
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def rows(self, name: str, **parameters: object) -> list[Row]:
        """Rows of `sql/screens/<name>.sql`."""
        with self.pool.connection() as connection:
            return connection.execute(read_sql(f"screens/{name}"), parameters).fetchall()

    def row(self, name: str, **parameters: object) -> Row | None:
        """The first row of `sql/screens/<name>.sql`, or None."""
        found = self.rows(name, **parameters)
        return found[0] if found else None

    def shared(self, name: str, *, kept_s: float = KEPT_S) -> list[Row]:
        """Rows of a query without parameters, at most `kept_s` seconds old; concurrent callers wait for one query."""
        with self._guard:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            at, rows = self._kept.get(name, (float("-inf"), []))
            if time.monotonic() - at > kept_s:
                rows = self.rows(name)
                self._kept[name] = (time.monotonic(), rows)
            return rows

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
