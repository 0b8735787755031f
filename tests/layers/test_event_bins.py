"""Counts of events: for any window, zoom, class and reader they are the incidents themselves, folded or not."""

import math
import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from access.signed_in import caller
from clones import AS_OF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from small_town import COMMUNITY_A, TOWN_A, TOWN_B, add_camera, add_incident, add_site, small_town

from geoapp.access.caller import Caller
from geoapp.database.cluster import PrivateCluster

Connection = psycopg.Connection[dict[str, Any]]
ZONE = ZoneInfo("Asia/Shanghai")
CLASSES = ("fire", "smoke", "welding_arc", "sparks")
FIRST, LAST = datetime(2025, 11, 1, tzinfo=UTC), datetime(2027, 2, 10, tzinfo=UTC)
HALF = 20037508.342789244
Window = tuple[datetime | None, datetime | None, str | None]


@pytest.fixture(scope="module")
def city(cluster: PrivateCluster) -> Iterator[Connection]:
    """The small town with 240 incidents over fifteen months: some at midnight, some of no account, some changed since."""
    rng = random.Random(116)
    with small_town(cluster, AS_OF) as connection:
        camera = add_camera(connection, 600, 100, None)
        site_a, site_b = add_site(connection, 1990, 100), add_site(connection, 2600, 100)
        made = []
        for number in range(240):
            at = FIRST + (LAST - FIRST) * rng.random()
            if number % 4 == 0:  # at midnight in the city, a second before, a second after
                at = at.astimezone(ZONE).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(
                    seconds=rng.choice((-1, 0, 1))
                )
            # Of every tenth the site stands in the other town.
            x = rng.choice((100.0, 600.0, 1990.0, 2010.0, 2600.0)) + rng.random() * 5
            site = (site_b if x < 2000 else site_a) if number % 10 == 0 else None
            made.append(
                add_incident(
                    connection, camera, site, at, class_=rng.choice(CLASSES), x=x, y=rng.choice((100.0, 700.0)),
                    state="candidate" if number % 11 == 0 else "open", review="false" if number % 13 == 0 else "unreviewed",
                )
            )  # fmt: skip
        connection.execute("SELECT watch.fold_events(150)")
        change = "UPDATE watch.incident SET {} WHERE id = ANY (%s)"
        for what, some in (
            ("state = 'open'", made[:40]), ("state = 'closed', closed_at = now()", made[20:80]), ("review = 'false'", made[80:100]),
            ("review = 'confirmed'", made[90:120]), ("mode = 'shadow'", made[120:130]), ("class = 'fire'", made[130:150]),
            ("geom = ST_Translate(geom, 900, 0)", made[150:160]), ("first_seen_at = first_seen_at - interval '40 days'", made[160:175]),
            ("town_code = NULL, cell_code = NULL, site_id = NULL", made[175:180]), ("opened_at = NULL, state = 'closed'", made[180:190]),
        ):  # fmt: skip
            connection.execute(change.format(what).encode(), (some,))
        connection.execute("DELETE FROM watch.incident WHERE id = ANY (%s)", (made[190:200],))
        connection.execute("SELECT watch.fold_events(60)")
        yield connection


@pytest.fixture
def town(city: Connection) -> Iterator[Connection]:
    with city.transaction(force_rollback=True):
        yield city


@contextmanager
def reading_as(connection: Connection, who: Caller | None) -> Iterator[None]:
    with connection.transaction():
        if who is not None:
            connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(who.db_role)))
        yield
        connection.execute("RESET ROLE")


def tile_of(x: float, y: float, zoom: int) -> tuple[int, int]:
    side = 2 * HALF / 2**zoom
    return math.floor((x + HALF) / side), math.floor((HALF - y) / side)


def incidents(connection: Connection) -> list[dict[str, Any]]:
    """Those that count, as the reader may see them."""
    return connection.execute(
        "SELECT class, first_seen_at, ST_X(geom_3857) AS x, ST_Y(geom_3857) AS y, cell_code, town_code FROM watch.incident"
        " WHERE mode = 'alert' AND review <> 'false' AND state <> 'candidate' AND (state <> 'closed' OR opened_at IS NOT NULL)"
    ).fetchall()


def truth(
    rows: list[dict[str, Any]], zoom: int, tile: tuple[int, int], window: Window
) -> dict[tuple[int, int], int]:
    since, until, only = window
    counted: Counter[tuple[int, int]] = Counter()
    for row in rows:
        if (
            (since and row["first_seen_at"] < since)
            or (until and row["first_seen_at"] >= until)
            or (only and row["class"] != only)
        ):
            continue
        if tile_of(row["x"], row["y"], zoom) == tile:
            column, line = tile_of(row["x"], row["y"], zoom + 6)
            counted[column - 64 * tile[0], line - 64 * tile[1]] += 1
    return dict(counted)


def bins(
    connection: Connection, zoom: int, tile: tuple[int, int], window: Window
) -> dict[tuple[int, int], int]:
    rows = connection.execute(
        "SELECT bin_x, bin_y, n FROM analysis.event_bins(%s, %s, %s, %s, %s, %s)", (zoom, *tile, *window)
    ).fetchall()
    assert len({(r["bin_x"], r["bin_y"]) for r in rows}) == len(rows)
    return {(r["bin_x"], r["bin_y"]): r["n"] for r in rows}


MOMENTS = st.one_of(
    st.none(),
    st.datetimes(FIRST.replace(tzinfo=None), LAST.replace(tzinfo=None), timezones=st.just(UTC)),
    st.dates(date(2025, 11, 1), date(2027, 2, 10)).map(
        lambda d: datetime(d.year, d.month, d.day, tzinfo=ZONE)
    ),
)


@given(
    a=MOMENTS,
    b=MOMENTS,
    only=st.one_of(st.none(), st.sampled_from(CLASSES)),
    zoom=st.integers(0, 14),
    which=st.integers(0, 20),
)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_window_is_exact(
    city: Connection, a: datetime | None, b: datetime | None, only: str | None, zoom: int, which: int
) -> None:
    if a and b and b < a:
        a, b = b, a
    rows = incidents(city)
    tile = tile_of(rows[which]["x"], rows[which]["y"], zoom)
    assert bins(city, zoom, tile, (a, b, only)) == truth(rows, zoom, tile, (a, b, only))


def test_something_waits_and_something_is_folded(city: Connection) -> None:
    """Else the test above would prove half of it."""
    row = city.execute(
        "SELECT (SELECT count(*) FROM watch.event_change) AS waiting, (SELECT sum(cardinality(bin)) FROM watch.event_bin"
        " WHERE zoom = 14 AND period = 'day') AS folded"
    ).fetchone()
    assert row is not None
    assert row["waiting"] > 20
    assert row["folded"] > 20


def test_folding_and_counting_anew_come_to_the_same(town: Connection) -> None:
    kept = (
        "SELECT period, starts_on, zoom, tile_x, tile_y, town_code, site_town_code, community_code, site_community_code, u.*"
        " FROM watch.event_bin AS b, unnest(b.bin, b.n, b.fire, b.smoke, b.welding_arc, b.sparks) AS u (bin, n, f, s, w, p)"
        " ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"
    )
    days = "SELECT d.day, d.class, d.n, d.town_code, d.community_code, u.* FROM watch.event_day AS d, unnest(d.cell_code, d.cell_n) AS u ORDER BY 1, 2, 4, 5, 6"
    before = town.execute("SELECT folded FROM watch.event_fold").fetchone()
    while (town.execute("SELECT watch.fold_events(7) AS n").fetchone() or {})["n"]:
        pass
    assert (town.execute("SELECT count(*) AS n FROM watch.event_change").fetchone() or {})["n"] == 0
    folded = town.execute(kept).fetchall(), town.execute(days).fetchall()
    town.execute("SELECT watch.rebuild_events()")
    assert (town.execute(kept).fetchall(), town.execute(days).fetchall()) == folded
    assert sum(r["n"] for r in folded[0] if r["zoom"] == 8 and r["period"] == "year") == len(incidents(town))
    after = town.execute("SELECT folded FROM watch.event_fold").fetchone()
    assert before is not None
    assert after is not None
    assert after["folded"] > before["folded"] + 1


def test_few_and_young_changes_wait(town: Connection) -> None:
    ask = "SELECT watch.fold_events(1000, %s, %s::interval) AS n"
    waiting = (town.execute("SELECT count(*) AS n FROM watch.event_change").fetchone() or {})["n"]
    assert (town.execute(ask, (waiting + 1, "1 hour")).fetchone() or {})["n"] == 0
    assert (town.execute(ask, (waiting, "1 hour")).fetchone() or {})["n"] == waiting
    town.execute("UPDATE watch.incident SET class = 'smoke' WHERE class = 'fire'")
    town.execute("UPDATE watch.event_change SET written_at = now() - interval '2 hours'")
    assert (town.execute(ask, (10_000, "1 hour")).fetchone() or {})["n"] > 0


def test_each_reader_counts_what_the_reader_sees(town: Connection) -> None:
    site = town.execute("SELECT min(id) AS id FROM registry.site").fetchone()
    assert site is not None
    readers = {
        "district": caller(town, "bins.all", "duty_officer"),
        "town": caller(town, "bins.a", "analyst", areas=[TOWN_A]),
        "other": caller(town, "bins.b", "analyst", areas=[TOWN_B]),
        "both": caller(town, "bins.ab", "analyst", areas=[TOWN_A, TOWN_B]),
        "community": caller(town, "bins.c", "inspector", areas=[COMMUNITY_A]),
        "firm": caller(town, "bins.f", "enterprise", sites=[site["id"]]),
    }
    everything = incidents(town)
    tiles = {(zoom, tile_of(r["x"], r["y"], zoom)) for zoom in (7, 10, 13, 14) for r in everything}
    windows: list[Window] = [
        (None, None, None),
        (datetime(2026, 1, 17, 3, tzinfo=UTC), datetime(2026, 9, 3, 5, tzinfo=UTC), "fire"),
    ]
    totals = {}
    for _ in range(2):  # some of it waiting, then all of it folded
        for name, who in readers.items():
            with reading_as(town, who):
                seen = incidents(town)
                for window in windows:
                    for zoom, tile in tiles:
                        assert bins(town, zoom, tile, window) == truth(seen, zoom, tile, window), (name, zoom)
                totals[name] = len(seen)
        town.execute("SELECT watch.fold_events()")
    # What crosses the border is seen by both towns, and counted once by who sees both.
    assert totals["town"] + totals["other"] > totals["both"] > max(totals["town"], totals["other"]) > 0
    assert totals["district"] > totals["both"]
    assert 0 < totals["firm"] < totals["community"]


def test_an_event_is_counted_in_its_own_transaction(town: Connection) -> None:
    [camera] = town.execute("SELECT id FROM registry.camera").fetchall()
    at = datetime(2026, 5, 5, tzinfo=UTC)
    window = (at, at + timedelta(days=30), None)
    tile = tile_of(*(incidents(town)[0][k] for k in "xy"), 10)
    before = sum(bins(town, 10, tile, window).values())
    made = add_incident(town, camera["id"], None, at + timedelta(days=3), x=600)
    assert sum(bins(town, 10, tile, window).values()) == before + 1
    town.execute("UPDATE watch.incident SET review = 'false' WHERE id = %s", (made,))
    assert sum(bins(town, 10, tile, window).values()) == before
    # A look that changes nothing that is counted adds no change.
    count = "SELECT count(*) AS n FROM watch.event_change"
    waiting = town.execute(count).fetchone()
    town.execute("UPDATE watch.incident SET last_seen_at = now(), peak_score = 1, observation_count = 9")
    assert town.execute(count).fetchone() == waiting


def test_versions_follow_changes_and_folds(town: Connection) -> None:
    def version() -> str:
        return str((town.execute("SELECT territory.versions_of('{event_bin}') AS v").fetchone() or {})["v"])

    seen = [version()]
    assert version() == seen[0]
    [camera] = town.execute("SELECT id FROM registry.camera").fetchall()
    add_incident(town, camera["id"], None, AS_OF)
    seen.append(version())
    town.execute("SELECT watch.fold_events()")
    seen.append(version())
    assert len(set(seen)) == 3
    # A reader of a part learns that something changed, not how much of it waits in the whole district.
    reader = caller(town, "versions", "committee", areas=[TOWN_A])
    add_incident(town, camera["id"], None, AS_OF)
    town.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(reader.db_role)))
    said = version()
    with pytest.raises(psycopg.errors.InsufficientPrivilege), town.transaction():
        town.execute("SELECT salt FROM watch.event_fold")
    town.execute("RESET ROLE")
    assert re.fullmatch(r"event_bin=[0-9a-f]{32}", said.split("|")[0].strip(","))
    told = town.execute(
        "SELECT md5(folded || ' ' || (SELECT count(*) FROM watch.event_change)) AS v FROM watch.event_fold"
    ).fetchone()
    assert told is not None
    assert told["v"] not in said


def test_days_and_cells_add_up_and_a_part_is_left_out(town: Connection) -> None:
    rows = incidents(town)
    days: Counter[tuple[date, str]] = Counter(
        (r["first_seen_at"].astimezone(ZONE).date(), r["class"]) for r in rows
    )
    found = town.execute("SELECT day, class, sum(n) AS n FROM analysis.event_day GROUP BY 1, 2").fetchall()
    assert {(r["day"], r["class"]): r["n"] for r in found} == days
    cells: Counter[str] = Counter(r["cell_code"] or "" for r in rows)
    found = town.execute("SELECT cell_code, sum(n) AS n FROM analysis.event_cell_day GROUP BY 1").fetchall()
    assert {r["cell_code"]: r["n"] for r in found} == cells
    with reading_as(town, caller(town, "days.a", "analyst", areas=[TOWN_A])):
        own = town.execute("SELECT town_code, sum(n) AS n FROM analysis.event_day GROUP BY 1").fetchall()
    assert own == [{"town_code": TOWN_A, "n": sum(r["town_code"] == TOWN_A for r in rows)}]


def test_days_are_the_citys(town: Connection) -> None:
    town.execute("UPDATE territory.city SET timezone = 'America/New_York'")
    days = Counter(
        r["first_seen_at"].astimezone(ZoneInfo("America/New_York")).date() for r in incidents(town)
    )
    found = town.execute("SELECT day, sum(n) AS n FROM analysis.event_day GROUP BY 1").fetchall()
    assert {r["day"]: r["n"] for r in found} == days
    # Clocks go back on 1 November 2026: that day has 25 hours.
    window = (datetime(2026, 10, 20, 3, tzinfo=UTC), datetime(2026, 11, 20, tzinfo=UTC), None)
    tile = tile_of(*(incidents(town)[0][k] for k in "xy"), 9)
    assert bins(town, 9, tile, window) == truth(incidents(town), 9, tile, window)


def test_no_bin_beyond_what_places_can_tell(town: Connection) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        town.execute("SELECT * FROM analysis.event_bins(15, 0, 0)")


@given(a=st.dates(date(1970, 1, 1), date(2100, 1, 1)), days=st.integers(-3, 2500))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_periods_cover_each_day_once(city: Connection, a: date, days: int) -> None:
    rows = city.execute(
        "SELECT * FROM analysis.event_periods(%s, %s)", (a, a + timedelta(days=days))
    ).fetchall()
    assert sum(r["period"] == "day" for r in rows) <= 31
    assert sum(r["period"] == "month" for r in rows) <= 12
    covered: Counter[int] = Counter()
    for row in rows:
        start: date = row["starts_on"]
        end = {
            "day": start + timedelta(days=1),
            "month": (start.replace(day=1) + timedelta(days=32)).replace(day=1),
            "year": date(start.year + 1, 1, 1),
        }[row["period"]]
        for day in range(start.toordinal(), end.toordinal()):
            covered[day] += row["sign"]
    assert {d: n for d, n in covered.items() if n} == dict.fromkeys(
        range(a.toordinal(), a.toordinal() + max(days, 0)), 1
    )


@given(a=MOMENTS, b=MOMENTS, level=st.sampled_from((6, 11, 13, 14, 17, 20)))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_squares_of_any_window_are_the_incidents(
    city: Connection, a: datetime | None, b: datetime | None, level: int
) -> None:
    if a and b and b < a:
        a, b = b, a
    assert squares(city, level, a, b) == true_squares(incidents(city), level, a, b)


def squares(
    connection: Connection, level: int, since: datetime | None, until: datetime | None
) -> dict[Any, Any]:
    rows = connection.execute(
        "SELECT * FROM analysis.event_squares_between(%s, %s, %s)", (level, since, until)
    ).fetchall()
    return {
        (r["bin_x"], r["bin_y"]): (r["n"], *(r[one] for one in CLASSES), r["first_day"], r["last_day"])
        for r in rows
    }


def true_squares(
    rows: list[dict[str, Any]], level: int, since: datetime | None, until: datetime | None
) -> dict[Any, Any]:
    found: dict[Any, list[dict[str, Any]]] = {}
    for row in rows:
        if (since and row["first_seen_at"] < since) or (until and row["first_seen_at"] >= until):
            continue
        found.setdefault(tile_of(row["x"], row["y"], level), []).append(row)
    told = {}
    for place, some in found.items():
        days = [r["first_seen_at"].astimezone(ZONE).date() for r in some]
        kinds = Counter(r["class"] for r in some)
        told[place] = (len(some), *(kinds[one] for one in CLASSES), min(days), max(days))
    return told


def test_each_reader_has_the_squares_of_what_the_reader_sees(town: Connection) -> None:
    site = town.execute("SELECT min(id) AS id FROM registry.site").fetchone()
    assert site is not None
    window = (datetime(2026, 1, 17, 3, tzinfo=UTC), datetime(2026, 9, 3, 5, tzinfo=UTC))
    for who in (
        caller(town, "squares.a", "analyst", areas=[TOWN_A]),
        caller(town, "squares.c", "inspector", areas=[COMMUNITY_A]),
        caller(town, "squares.f", "enterprise", sites=[site["id"]]),
    ):
        with reading_as(town, who):
            seen = incidents(town)
            for ends in (window, (None, None)):
                assert squares(town, 17, *ends) == true_squares(seen, 17, *ends), who.login
                rows = town.execute(
                    "SELECT s.events, count(i.id) AS n FROM analysis.event_heat_between(%(a)s, %(b)s) AS s"
                    " CROSS JOIN LATERAL analysis.event_bin_incidents(s.bin_no, %(a)s, %(b)s) AS i GROUP BY s.bin_no, s.events",
                    {"a": ends[0], "b": ends[1]},
                ).fetchall()
                assert rows
                assert all(r["events"] == r["n"] for r in rows)
            days = town.execute("SELECT day, sum(n) AS n FROM analysis.event_bin_day GROUP BY 1").fetchall()
            true_days = Counter(r["first_seen_at"].astimezone(ZONE).date() for r in seen)
            assert {r["day"]: r["n"] for r in days} == true_days
