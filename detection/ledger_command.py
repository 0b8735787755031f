"""`geoapp detect ledger`: a day of the ledger, hour by hour, or its counters counted again from the looks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from detection.lease import Connection
from geoapp.database.connection import connect

DEFAULT_ZONE = "Asia/Shanghai"


def city_zone(connection: Connection) -> ZoneInfo:
    """The city's time zone."""
    row = connection.execute("SELECT timezone FROM territory.city").fetchone()
    return ZoneInfo(DEFAULT_ZONE if row is None else row["timezone"])


def day_of(url: str, day: datetime | None, kind: str, at: datetime | None = None) -> list[dict[str, Any]]:
    """Rows of analysis.watched, an hour each, of a local day of the city at `url` (None: the day of `at`).

    kind: district, town, site, key_risk_area or camera. at: aware moment up to which the running hour counts; None: now. Times are in the city's zone.
    """
    at = at or datetime.now(UTC)
    with connect(url) as connection:
        zone = city_zone(connection)
        since, until = _span(day, at, zone)
        rows = connection.execute(
            "SELECT * FROM analysis.watched(%s, 'hour', %s, %s, %s) ORDER BY starts, place",
            (kind, since, until, at),
        ).fetchall()
    return [row | {"starts": row["starts"].astimezone(zone)} for row in rows]


def recounted_day(url: str, day: datetime | None, at: datetime | None = None) -> list[dict[str, Any]]:
    """Counts the ended hours of a local day again, each in a transaction of its own (the watch waits meanwhile).

    Rows of watch.recount_hours: hour in the city's zone, is_known, cameras, changed, changes.
    """
    at = at or datetime.now(UTC)
    with connect(url, autocommit=True) as connection:
        zone = city_zone(connection)
        since, until = _span(day, at, zone)
        told: list[dict[str, Any]] = []
        hour = since
        while hour + timedelta(hours=1) <= min(until, at):
            told += connection.execute(
                "SELECT * FROM watch.recount_hours(%s, %s)", (hour, hour + timedelta(hours=1))
            ).fetchall()
            hour += timedelta(hours=1)
    return [row | {"hour": row["hour"].astimezone(zone)} for row in told]


def _span(day: datetime | None, at: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Midnight to midnight in the zone, in UTC."""
    date = (at.astimezone(zone) if day is None else day).date()
    midnights = (datetime(d.year, d.month, d.day, tzinfo=zone) for d in (date, date + timedelta(days=1)))
    since, until = (m.astimezone(UTC) for m in midnights)
    return since, until


def share_words(row: dict[str, Any]) -> str:
    """The share that was watched, `97 %`; without one, why there is none."""
    if row["watched_share"] is None:
        states = [name for name in ("not_known", "not_connected", "not_due") if row[name]]
        return " ".join(states) or "-"
    # Rounded down: 100 % is said of nothing but all.
    return f"{int(row['watched_share'] * 100)} %"
