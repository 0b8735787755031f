"""Counted sites: a tile drawn from them is the tile drawn from the sites, after any change, for any reader."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from access.signed_in import caller
from clones import AS_OF
from psycopg import sql
from small_town import COMMUNITY_A, TOWN_A, TOWN_B, add_site, small_town
from test_event_bins import reading_as, tile_of
from vector_tile import read_tile

from geoapp.database.cluster import PrivateCluster

Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture(scope="module")
def _city(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        yield connection


@pytest.fixture
def town(_city: Connection) -> Iterator[Connection]:
    """Eighty sites that were moved, graded anew, opened, closed and deleted in many ways."""
    rng = random.Random(7)
    with _city.transaction(force_rollback=True):
        made = [
            add_site(
                _city, 3000 * rng.random(), 1000 * rng.random(), hazard=rng.choice(("red", "blue", None))
            )
            for _ in range(80)
        ]
        for what, some in (
            ("geom = ST_Translate(geom, 700, 0)", made[:10]), ("hazard_level = 'orange'", made[5:20]), ("hazard_level = NULL", made[18:24]),
            ("active_to = current_date - 1", made[20:30]), ("active_to = current_date + 9", made[30:40]),
            ("active_from = current_date + 9", made[35:50]), ("active_from = current_date - 9", made[45:48]),
            ("town_code = '310116102000'", made[50:55]), ("cell_code = NULL", made[55:60]), ("contact_name = 'x'", made),
        ):  # fmt: skip
            _city.execute(f"UPDATE registry.site SET {what} WHERE id = ANY (%s)".encode(), (some,))
        _city.execute("DELETE FROM registry.site WHERE id = ANY (%s)", (made[60:70],))
        yield _city


def drawn(connection: Connection, zoom: int) -> Counter[tuple[Any, ...]]:
    """Points of all tiles of the county: how many, the grade, the id of single ones, and where, to 1/100 of a tile."""
    found: Counter[tuple[Any, ...]] = Counter()
    for x, y in {tile_of(*corner, zoom) for corner in CORNERS}:
        row = connection.execute("SELECT tiles.site(%s, %s, %s) AS tile", (zoom, x, y)).fetchone()
        assert row is not None
        for name, layer in (read_tile(bytes(row["tile"])) if row["tile"] else {}).items():
            assert name == "site"
            for feature in layer.features:
                n = feature.properties["n"]
                at = tuple(round(value / 41) for value in feature.parts[0][0])
                found[
                    x, y, n, feature.properties.get("hazard_level"), feature.id if n == 1 else None, at
                ] += 1
    return found


# EPSG:3857, metres, of the small town and around it.
CORNERS = [(x, y) for x in (13500200.0, 13501800.0, 13503800.0) for y in (3600000.0, 3601200.0)]


@pytest.fixture(scope="module", autouse=True)
def corners(_city: Connection) -> None:
    row = _city.execute(
        "SELECT ST_XMin(b) AS w, ST_XMax(b) AS e, ST_YMin(b) AS s, ST_YMax(b) AS n"
        " FROM (SELECT ST_Extent(geom_3857) AS b FROM territory.unit) AS u"
    ).fetchone()
    assert row is not None
    CORNERS[:] = [
        (row["w"] + (row["e"] - row["w"]) * i / 8, row["s"] + (row["n"] - row["s"]) * j / 4)
        for i in range(10)
        for j in range(6)
    ]


def drawn_live(connection: Connection, zoom: int) -> Counter[tuple[Any, ...]]:
    role = connection.execute("SELECT current_user AS me").fetchone()
    assert role is not None
    with connection.transaction(force_rollback=True):
        connection.execute("RESET ROLE")
        connection.execute("UPDATE registry.site_bin_made SET is_whole = false")
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role["me"])))
        return drawn(connection, zoom)


def test_a_tile_from_counts_is_the_tile_from_the_sites(town: Connection) -> None:
    readers = [
        None,
        caller(town, "sites.all", "duty_officer"),
        caller(town, "sites.a", "duty_officer", areas=[TOWN_A]),
        caller(town, "sites.b", "duty_officer", areas=[TOWN_B]),
        caller(town, "sites.c", "inspector", areas=[COMMUNITY_A]),
        caller(
            town,
            "sites.f",
            "enterprise",
            sites=[r["id"] for r in town.execute("SELECT id FROM registry.site ORDER BY id LIMIT 3")],
        ),
    ]
    sizes = []
    for who in readers:
        for zoom in (8, 10, 11):
            with reading_as(town, who):
                kept = drawn(town, zoom)
                live = drawn_live(town, zoom)
            assert sum(k[2] * n for k, n in kept.items()) == sum(k[2] * n for k, n in live.items())
            # Two ways to round a mean: a point on a line may fall on either side.
            assert Counter(k[:5] for k in kept.elements()) == Counter(k[:5] for k in live.elements()), (
                who,
                zoom,
            )
            assert sum((kept - live).values()) <= 2
        sizes.append(sum(k[2] * n for k, n in kept.items()))
    assert sizes[0] == sizes[1] > max(sizes[2:4]) > sizes[4] > sizes[5] == 3


def test_a_rebuild_comes_to_the_same(town: Connection) -> None:
    summed = (
        "SELECT level, bin_x, bin_y, town_code, cell_town_code, community_code, hazard_level, until::text, sum(n) AS n, sum(sum_id) AS ids"
        " FROM registry.site_bin GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 HAVING sum(n) <> 0 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8"
    )
    before = town.execute(summed).fetchall()
    assert len(before) > 80
    assert (town.execute("SELECT registry.rebuild_site_bin() AS did").fetchone() or {})["did"] is False
    town.execute("SELECT registry.rebuild_site_bin(true)")
    assert town.execute(summed).fetchall() == before


def test_a_site_counts_from_its_first_day_to_its_last(town: Connection) -> None:
    """Written while it was to come, taken out when it was there: the two cancel each other."""
    today = (town.execute("SELECT analysis.city_date(now()) AS d").fetchone() or {})["d"]
    site = add_site(town, 600, 100)
    town.execute("UPDATE registry.site SET active_from = %s WHERE id = %s", (today + timedelta(days=1), site))
    without = drawn(town, 11)
    # A day passes.
    town.execute(
        "UPDATE registry.site_bin SET since = %s WHERE since = %s", (today, today + timedelta(days=1))
    )
    assert sum(drawn(town, 11).values()) >= sum(without.values())
    town.execute("SET LOCAL session_replication_role = replica")
    town.execute("UPDATE registry.site SET active_from = %s WHERE id = %s", (today, site))
    town.execute("SET LOCAL session_replication_role = origin")
    town.execute("DELETE FROM registry.site WHERE id = %s", (site,))
    assert drawn(town, 11) == without


def test_a_large_change_waits_for_a_rebuild(town: Connection) -> None:
    many = (
        "INSERT INTO registry.site (name_zh, geom, cell_code, town_code)"
        " SELECT '场所', ST_Translate(s.geom, k %% 50, k / 50), s.cell_code, s.town_code"
        " FROM (SELECT * FROM registry.site ORDER BY id LIMIT 1) AS s, generate_series(1, %s) AS k"
    )
    town.execute(many, (5001,))
    state = "SELECT is_whole FROM registry.site_bin_made"
    assert town.execute(state).fetchone() == {"is_whole": False}
    add_site(town, 2600, 900)
    live = {zoom: drawn(town, zoom) for zoom in (9, 11)}
    assert (town.execute("SELECT registry.rebuild_site_bin() AS did").fetchone() or {})["did"] is True
    assert town.execute(state).fetchone() == {"is_whole": True}
    for zoom, before in live.items():
        assert Counter(k[:4] for k in drawn(town, zoom).elements()) == Counter(
            k[:4] for k in before.elements()
        )
    # A crowded tile is counted up to zoom 13, and shows each site from there.
    crowded = {zoom: drawn(town, zoom) for zoom in (12, 13, 14)}
    assert max(k[2] for k in crowded[12]) > 100
    assert sum(k[2] * n for k, n in crowded[12].items()) == sum(k[2] * n for k, n in live[11].items())
    assert {k[2] for k in crowded[14]} == {1}
