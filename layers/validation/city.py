"""The city's own events and scores: what its map would have said on past days, and what then happened."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import psycopg
import shapely
from numpy.typing import NDArray

from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from layers.event_surface import HORIZON_DAYS
from layers.validation.cuts import SHARES, Score, cut_days, hit_rates
from layers.validation.dated_points import DatedPoints

__all__ = ["FULL_METHODS", "FullCut", "FullScore", "city_events", "full_score"]

Connection = psycopg.Connection[dict[str, Any]]
Floats = NDArray[np.float64]
FULL_METHODS = ("full_score", "event_count", "site_count", "random", "best_possible")
# A year of cuts: each asks the database for the whole city as it stood on that day.
MOST_FULL_CUTS = 13


@dataclass(frozen=True, slots=True)
class FullCut:
    """One past day: what the register held then, and how its score foretold the next 28 days. Empty `scores`: not known."""

    at: float
    events: int
    outside: int
    cells: int
    cells_without_site: int
    sites: int
    hazards: int
    visits: int
    scores: tuple[Score, ...]
    not_known: str = ""


@dataclass(frozen=True, slots=True)
class FullScore:
    """`not_known` says why, in both languages, where no day could be rated. `generated`: events made by the sample city."""

    events: int
    generated: int
    step: float
    cuts: tuple[FullCut, ...]
    not_known: str = ""


def city_events(connection: Connection) -> tuple[DatedPoints, shapely.Geometry]:
    """The city's events, metres of its zone and days on its clock, and the district's ground.

    Raises Refused where there is no city, no outline or no event.
    """
    place = _rows(connection, "district")
    if not place or place[0]["outline"] is None:
        raise Refused(
            "数据库里还没有城市或区界 / the database holds no city with an outline yet: geoapp load, geoapp sample-city."
        )
    rows = _rows(connection, "dated_events")
    if not rows:
        raise Refused(
            "数据库里没有事件 / the city has no events yet: score a file, as geoapp layers validate FILE."
        )
    points = DatedPoints(
        x=np.array([r["x"] for r in rows]),
        y=np.array([r["y"] for r in rows]),
        day=np.array([r["day"] for r in rows]),
        srid=place[0]["metric_srid"],
        frame="metric",
        columns={"x": "geom", "y": "geom", "date": "happened_at"},
        rows=len(rows),
        left_out={},
    )
    return points, shapely.from_wkb(bytes(place[0]["outline"]))


def full_score(connection: Connection, step_days: float | None = None) -> FullScore:
    """The score of past days (analysis.risk_cell_at) against the events of the 28 days after each.

    Ground is weighed by the cells' area. A cell without a site has no score and stands last; a day on which the
    register knew no site, and one that nothing followed, is not known. Events in no cell count as missed.
    """
    rows = _rows(connection, "dated_events")
    if not rows:
        return FullScore(0, 0, 0.0, (), "数据库里没有事件 / the city has no events to score against")
    day = np.array([r["day"] for r in rows])
    generated = sum(r["is_generated"] for r in rows)
    try:
        days, step = cut_days(day[0], day[-1], step_days or HORIZON_DAYS, history_days=0.0)
    except Refused as refusal:
        return FullScore(len(rows), generated, 0.0, (), str(refusal))
    codes = np.array([r["cell_code"] or "" for r in rows])
    cuts = tuple(_full_cut(connection, float(at), day, codes) for at in days[-MOST_FULL_CUTS:])
    why = "" if any(cut.scores for cut in cuts) else cuts[-1].not_known
    return FullScore(len(rows), generated, step, cuts, why)


def _full_cut(connection: Connection, at: float, day: Floats, codes: NDArray[np.str_]) -> FullCut:
    cells = _rows(connection, "scored_cells", day=int(at))
    held = _rows(connection, "records_before", day=int(at))[0]
    number = {r["cell_code"]: i for i, r in enumerate(cells)}
    ahead = (day >= at) & (day < at + HORIZON_DAYS)
    happened, before = (_by_cell(codes[when], number) for when in (ahead, day < at))
    total = float(ahead.sum())
    without = sum(r["score"] is None for r in cells)
    not_known = ""
    if not cells or without == len(cells):
        not_known = "那天登记册里没有可评分的网格 / on that day the register held no cell with a score"
    elif not total:
        not_known = "此后 28 天没有事件 / no event in the 28 days after it"
    scores: tuple[Score, ...] = ()
    if not not_known:
        score = np.array([-1.0 if r["score"] is None else r["score"] for r in cells])
        sites = np.array([float(r["site_count"]) for r in cells])
        ground = np.array([r["area_m2"] for r in cells])
        # With no better order than the ground itself: events per square metre for the counts.
        rated = (score, before / ground, sites / ground, np.zeros(len(cells)), happened / ground)
        scores = tuple(
            Score(method, tuple(hit_rates(rate, happened, total, SHARES, ground)))
            for method, rate in zip(FULL_METHODS, rated, strict=True)
        )
    outside = int(total - happened.sum())
    return FullCut(
        at,
        int(total),
        outside,
        len(cells),
        without,
        held["sites"],
        held["hazards"],
        held["visits"],
        scores,
        not_known,
    )


def _by_cell(codes: NDArray[np.str_], number: dict[str, int]) -> Floats:
    counted = np.zeros(len(number))
    for code in codes:
        if code in number:
            counted[number[code]] += 1
    return counted


def _rows(connection: Connection, name: str, **values: Any) -> list[dict[str, Any]]:
    return connection.execute(read_sql(f"layers/{name}").encode(), values).fetchall()
