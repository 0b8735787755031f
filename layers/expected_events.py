"""The event surface of the city itself, kept for the map: events to be expected in the coming 28 days, by squares of 250 m."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import shapely

from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from layers.event_surface import HORIZON_DAYS, CellGrid, event_surface, grid_over, inside
from layers.validation.city import city_events

__all__ = ["ExpectedEvents", "expected_events", "keep_expected_events"]

Connection = psycopg.Connection[dict[str, Any]]
YEAR_DAYS = 364.0  # thirteen horizons
EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class ExpectedEvents:
    """Squares inside the district by their number in `grid`, each with its share of the events and their expected number."""

    cut_day: date
    events: int
    first_day: date
    expected: float
    grid: CellGrid
    numbers: np.ndarray[Any, np.dtype[np.int64]]
    shares: np.ndarray[Any, np.dtype[np.float64]]


def expected_events(connection: Connection, cut_day: date) -> ExpectedEvents:
    """The surface from the events before `cut_day` (a day on the city's clock), for the 28 days from it on.

    The expected number is the mean of 28 days in the 364 days before the cut, or in all days on record where they are
    fewer. Raises Refused, in both languages, where there are too few events or days to say anything.
    """
    points, outline = city_events(connection)
    least = connection.execute("SELECT analysis.parameter_value('expected_events_min') AS n").fetchone()
    assert least is not None
    at = float((cut_day - EPOCH).days)
    west, south, east, north = outline.bounds
    grid = grid_over(np.array([west, east]), np.array([south, north]), 250.0)
    cell = grid.number(points.x, points.y)
    area = inside(grid, outline)
    known = (points.day < at) & (cell >= 0) & area[np.maximum(cell, 0)]
    cell, day = cell[known], points.day[known]
    if len(day) < least["n"]:
        raise Refused(
            f"区内已记录的事件少于 {least['n']:.0f} 起，无法预期 / fewer than {least['n']:.0f} events on record in the district: "
            "nothing can be expected from so few."
        )
    if at - day.min() < 2 * HORIZON_DAYS:
        raise Refused(
            f"事件记录不足 {2 * HORIZON_DAYS:.0f} 天，无法预期 / events on record for less than {2 * HORIZON_DAYS:.0f} days: "
            "nothing can be expected from so short a time."
        )
    share, _ = event_surface(grid, cell, day, at, area)
    span = min(YEAR_DAYS, at - day.min())
    total = float((day >= at - span).sum()) * HORIZON_DAYS / span
    return ExpectedEvents(
        cut_day,
        len(day),
        EPOCH + timedelta(days=int(np.floor(day.min()))),
        total,
        grid,
        np.flatnonzero(area),
        share,
    )


def keep_expected_events(connection: Connection, now: datetime | None = None) -> ExpectedEvents | str:
    """Renews watch.expected_event for today (on the city's clock) in one transaction; the surface, or why there is none."""
    today = connection.execute(
        "SELECT analysis.city_date(%s) AS today", (now or datetime.now(UTC),)
    ).fetchone()
    assert today is not None
    made: ExpectedEvents | str
    try:
        made = expected_events(connection, today["today"])
    except Refused as why:
        made = str(why)
    with connection.transaction():
        connection.execute("DELETE FROM watch.expected_event")
        if isinstance(made, ExpectedEvents):
            _write(connection, made)
        told = made if isinstance(made, str) else ""
        zh, _, en = told.partition(" / ")
        connection.execute(
            read_sql("layers/expected_event_made").encode(),
            {
                "cut_day": today["today"],
                "events": made.events if isinstance(made, ExpectedEvents) else 0,
                "first_day": made.first_day if isinstance(made, ExpectedEvents) else None,
                "expected": made.expected if isinstance(made, ExpectedEvents) else None,
                "zh": zh,
                "en": en,
            },
        )
    return made


def _write(connection: Connection, made: ExpectedEvents) -> None:
    row, column = np.divmod(made.numbers, made.grid.columns)
    west, south, size = (
        made.grid.west + column * made.grid.size,
        made.grid.south + row * made.grid.size,
        made.grid.size,
    )
    squares = shapely.to_wkb(shapely.box(west, south, west + size, south + size))
    connection.execute(
        read_sql("layers/expected_event_rows").encode(),
        {
            "places": made.numbers.tolist(),
            "shares": made.shares.tolist(),
            "total": made.expected,
            "squares": [bytes(square) for square in squares],
        },
    )
