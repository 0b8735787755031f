"""The event surface of a past day: worked out when it is asked for, from the events before that day, and kept for a while.

No table holds it: the surface is found by layers/event_surface.py, which is no SQL. Its rows go back to the database as the text of a
query, in the columns of analysis.expected_event, so that tiles, legend, features and files are made of them as of any other layer.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
from psycopg import sql

from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

if TYPE_CHECKING:
    from layers.expected_events import ExpectedEvents

Connection = psycopg.Connection[dict[str, Any]]
# An event that is reviewed or told late changes past days too: no surface is older than this.
KEPT_S = 900.0
DAYS_KEPT = 16
TENTHS = 10


class OnlyWhole(Refused):
    """A reader of a part of the district asks for what follows from events of all of it."""


@dataclass
class _Day:
    """One day's surface, or why there is none; worked out by one thread while others wait."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    at: float = float("-inf")
    made: "ExpectedEvents | str" = ""


_days: OrderedDict[tuple[str, date], _Day] = OrderedDict()
_guard = threading.Lock()


def past_rows(connection: Connection, moment: datetime) -> sql.Composed:
    """The rows of analysis.expected_event as they would have been made on the day of `moment` (aware): a query in brackets.

    The events are those before that day as they are known today. Raises OnlyWhole for a reader who does not see the whole
    district, Refused where too few events had happened by then, both with the reason in both languages.
    """
    row = connection.execute(
        "SELECT analysis.sees_all() AS sees_all, analysis.city_date(%s) AS day, c.metric_srid AS srid, c.code || c.loaded_at AS city"
        " FROM territory.city AS c",
        (moment,),
    ).fetchone()
    if row is None:
        raise Refused("还没有城市 / there is no city yet.")
    if not row["sees_all"]:
        raise OnlyWhole(
            "过去某日的事件预期面由全区事件算出，只给看得到全区的账号 / The event surface of a past day follows from the events of the whole"
            " district: it is for accounts that see all of it."
        )
    made = _kept(connection, (f"{connection.info.dbname} {row['city']}", row["day"]))
    if isinstance(made, str):
        raise Refused(made)
    return _query(made, int(row["srid"]), moment)


def _kept(connection: Connection, key: tuple[str, date]) -> "ExpectedEvents | str":
    # What it needs (scipy, pandas) takes a second to load: only whoever asks for a past day waits for it.
    from layers.expected_events import expected_events

    with _guard:
        day = _days.setdefault(key, _Day())
        _days.move_to_end(key)
        while len(_days) > DAYS_KEPT:
            _days.popitem(last=False)
    with day.lock:
        if time.monotonic() - day.at > KEPT_S:
            try:
                day.made = expected_events(connection, key[1])
            except Refused as why:
                day.made = str(why)
            day.at = time.monotonic()
        return day.made


def _query(made: "ExpectedEvents", srid: int, moment: datetime) -> sql.Composed:
    rank = np.lexsort((made.numbers, -made.shares))
    tenth = np.empty(len(rank), dtype=np.int64)
    tenth[rank] = _ntile(len(rank))
    row, column = np.divmod(made.numbers, made.grid.columns)
    return sql.SQL(read_sql("layers/expected_event_past")).format(
        total=sql.Literal(made.expected),
        day=sql.Literal(made.cut_day),
        moment=sql.Literal(moment),
        side=sql.Literal(float(made.grid.size)),
        srid=sql.Literal(srid),
        places=sql.Literal(made.numbers.tolist()),
        shares=sql.Literal(made.shares.tolist()),
        tenths=sql.Literal(tenth.tolist()),
        xs=sql.Literal((made.grid.west + column * made.grid.size).tolist()),
        ys=sql.Literal((made.grid.south + row * made.grid.size).tolist()),
    )


def _ntile(n: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """As SQL's ntile(10): tenths of as good as the same size, the first ones the larger."""
    size, more = divmod(n, TENTHS)
    return np.repeat(np.arange(1, TENTHS + 1), [size + (i < more) for i in range(TENTHS)])
