"""Tiles of gaps and of the risk of sites: those made of kept counts show what the views say, for any reader, kept or due."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from access.signed_in import caller
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_town import (
    COMMUNITY_A,
    COUNTY,
    TOWN_A,
    TOWN_B,
    add_area,
    add_camera,
    add_hazard,
    add_person,
    add_site,
    add_visit,
    assign,
    box,
    small_town,
)
from test_event_bins import reading_as, tile_of
from vector_tile import read_tile

from geoapp.access.caller import Caller
from geoapp.database.cluster import PrivateCluster
from layers.registry import layer
from layers.tile_query import tile_query
from layers.tiles import make_tile, own_functions

Connection = psycopg.Connection[dict[str, Any]]
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
NAMES = ("coverage_gap", "duty_gap", "risk_site", "risk_cell")
WORD = {"coverage_gap": "kind", "duty_gap": "class", "risk_site": "look", "risk_cell": "look"}


@pytest.fixture(scope="module")
def _city(cluster: PrivateCluster) -> Iterator[Connection]:
    """The sites of a cell stand on one spot, so that their mean is theirs; every kind of gap is there."""
    with small_town(cluster, NOW) as connection:
        person = add_person(connection, "科长")
        assign(connection, "R01", COUNTY, "YJ", "confirmed", person=person)
        assign(connection, "R02", COUNTY, "YJ", "proposed")
        n = 0
        for x in (250, 760, 1270, 1780, 2270, 2760):
            for y in (240, 745):
                for _ in range(1 + n % 3):
                    n += 1
                    site = add_site(
                        connection,
                        x,
                        y,
                        hazard=("blue", "red", "yellow", "orange", None)[n % 5],
                        rule=("R01", "R02", None, "R01")[n % 4],
                    )
                    if n % 3:
                        add_visit(
                            connection, site, ("patrol", "self_check")[n % 2], NOW - (1 + 9 * (n % 30)) * DAY
                        )
                    if n % 4 == 0:
                        add_hazard(connection, site, "major", NOW - 9 * DAY)
        # Booked to the other town than the one where it stands.
        connection.execute(
            "UPDATE registry.site SET town_code = %s WHERE id IN (SELECT min(id) FROM registry.site WHERE town_code = %s)",
            (TOWN_A, TOWN_B),
        )
        add_area(connection, 1, 1200, 200, 40, 40)
        add_area(connection, 2, 2700, 480, 40, 40)
        add_camera(connection, 740, 240, box(700, 200, 100, 100), seen=NOW - timedelta(minutes=1))
        add_camera(connection, 1780, 240, box(1700, 200, 100, 100), seen=NOW - 3 * DAY)
        add_camera(connection, 2270, 745, box(2300, 600, 100, 100))
        connection.execute("SELECT * FROM analysis.keep_risk()")
        yield connection


@pytest.fixture
def town(_city: Connection) -> Iterator[Connection]:
    with _city.transaction(force_rollback=True):
        yield _city


def tiles(connection: Connection, zoom: int) -> list[tuple[int, int, int]]:
    corners = connection.execute(
        "SELECT ST_XMin(b) AS w, ST_XMax(b) AS e, ST_YMin(b) AS s, ST_YMax(b) AS n"
        " FROM (SELECT ST_Extent(geom_3857) AS b FROM territory.unit) AS u"
    ).fetchone()
    assert corners is not None
    west, north = tile_of(corners["w"], corners["n"], zoom)
    east, south = tile_of(corners["e"], corners["s"], zoom)
    return [(zoom, x, y) for x in range(west, east + 1) for y in range(north, south + 1)]


def features(connection: Connection, name: str, zoom: int, composed: bool) -> Iterator[tuple[Any, ...]]:
    """Of all tiles of the county: tile, point or shape, class, number, what else it says, id of a single one, and where."""
    for address in tiles(connection, zoom):
        if composed:
            row = connection.execute(tile_query(layer(name), *address, 4549)).fetchone()
            tile = bytes((row or {})["tile"] or b"")
        else:
            tile = make_tile(connection, layer(name), *address)
        for feature in read_tile(tile)[name].features if tile else ():
            told = dict(feature.properties)
            score = round(told.pop("score", 0), 2)
            n, word = told.pop("n", 1), told.pop(WORD[name])
            at = tuple(sorted({(round(x / 2), round(y / 2)) for part in feature.parts for x, y in part}))
            what = tuple(sorted(told.items()))
            yield address, feature.kind, word, n, what, feature.id if n == 1 else None, score, at


def readers(town: Connection) -> list[Caller | None]:
    some = [r["id"] for r in town.execute("SELECT id FROM registry.site ORDER BY id LIMIT 3")]
    return [
        None,
        caller(town, "gap.all", "committee"),
        caller(town, "gap.a", "committee", areas=[TOWN_A]),
        caller(town, "gap.b", "planner", areas=[TOWN_B]),
        caller(town, "gap.c", "inspector", areas=[COMMUNITY_A]),
        caller(town, "gap.f", "enterprise", sites=some),
    ]


def near(found: Counter[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    """Without where: two ways to round."""
    return Counter(each[:-1] for each in found.elements())


@pytest.mark.parametrize("state", ["kept", "due", "not kept"])
def test_own_tiles_show_what_the_views_say(town: Connection, state: str) -> None:
    assert set(NAMES) <= own_functions()
    if state == "due":
        first = town.execute("SELECT min(id) AS id, max(id) AS last FROM registry.site").fetchone() or {}
        add_hazard(town, first["last"], "major", NOW - DAY)
        add_visit(town, first["id"], "patrol", NOW)
        town.execute("UPDATE duty.assignment SET status = 'disputed' WHERE rule_code = 'R02'")
        town.execute(
            "UPDATE duty.grid_staff SET assigned_to = '2021-01-01' WHERE cell_code IN (SELECT min(code) FROM territory.grid_cell)"
        )
        assert (town.execute("SELECT cardinality(analysis.risk_due_cells()) AS n").fetchone() or {})["n"] > 1
    if state == "not kept":
        town.execute("DELETE FROM registry.risk_made_from")
    totals: dict[str, list[Any]] = {name: [] for name in NAMES}
    asking = readers(town)
    for who in asking if state == "kept" else (asking[0], asking[2]):
        for name in NAMES:
            # Spots are further apart than a group is wide at zoom 12.
            for zoom in (14, 12) if state == "due" or who in asking[::3] else (12,):
                with reading_as(town, who):
                    own = Counter(features(town, name, zoom, composed=False))
                    composed = Counter(features(town, name, zoom, composed=True))
                assert near(own) == near(composed), (name, zoom, who)
                assert sum((own - composed).values()) <= 2
            totals[name].append(sum(f[3] * n for f, n in own.items() if f[1] == 1))
    if state == "kept":
        del totals["risk_cell"]
        for name, (owner, district, a, b, community, firm) in totals.items():
            assert owner == district > a > b > 0, name
            assert a >= community > firm > 0, name


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    places=st.lists(st.tuples(st.floats(1, 2999), st.floats(1, 999)), min_size=5, max_size=25),
    kept=st.booleans(),
)
def test_what_tiles_count_adds_up_to_the_views(
    town: Connection, places: list[tuple[float, float]], kept: bool
) -> None:
    """Wherever sites stand, also in no cell: the numbers of all tiles of a zoom are the rows of the view that have a place."""
    with town.transaction(force_rollback=True):
        for n, (x, y) in enumerate(places):
            add_site(town, x, y, hazard=("blue", "red", None)[n % 3], rule=("R01", "R02", None)[n % 3])
        if kept:
            town.execute("SELECT * FROM analysis.keep_risk()")
        for name, count in (
            ("coverage_gap", "SELECT count(*) AS n FROM analysis.coverage_gap WHERE subject IN ('site', 'camera')"),
            ("duty_gap", "SELECT count(*) AS n FROM analysis.duty_gap WHERE subject = 'site'"),
            ("risk_site", "SELECT count(*) AS n FROM analysis.risk_site"),
        ):  # fmt: skip
            rows = town.execute(count.encode()).fetchone()
            for zoom in (9, 12):
                drawn = sum(f[3] for f in features(town, name, zoom, composed=False) if f[1] == 1)
                assert rows == {"n": drawn}, (name, zoom)


def test_a_check_gets_overdue_by_the_clock_alone(town: Connection) -> None:
    """Counts that are kept end with the next check that gets overdue, without anybody's change."""
    site = add_site(town, 2760, 240, hazard="red")
    span = town.execute(
        "SELECT analysis.check_days(level) AS d FROM analysis.risk_site WHERE site_id = %s", (site,)
    ).fetchone()
    assert span is not None
    done = town.execute("SELECT now() AS t").fetchone()
    assert done is not None
    add_visit(town, site, "patrol", done["t"] - span["d"] * DAY + timedelta(seconds=5))
    town.execute("SELECT * FROM analysis.keep_risk()")
    kept = town.execute(
        "SELECT c.exact_until, k.last_visit_at, k.is_overdue, analysis.check_days(k.level) AS days FROM analysis.site_check AS k"
        " JOIN registry.cell_risk AS c ON c.cell_code = k.cell_code WHERE k.site_id = %s",
        (site,),
    ).fetchone()
    assert kept is not None
    assert not kept["is_overdue"]
    assert kept["exact_until"] <= kept["last_visit_at"] + kept["days"] * DAY
    # Another day, the same rows: the cell is due.
    town.execute(
        "UPDATE registry.cell_risk SET exact_until = now() WHERE exact_until <= now() + interval '5 s'"
    )
    assert town.execute("SELECT count(*) AS n FROM analysis.risk_due_sites()").fetchone() == {"n": 0}
    due = town.execute("SELECT cardinality(analysis.risk_due_cells()) AS n").fetchone()
    assert due is not None
    assert due["n"] == (1 if kept["days"] <= span["d"] else 0)
