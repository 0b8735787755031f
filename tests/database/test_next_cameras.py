"""What a camera sees between buildings, and where the next ones go: against straight lines and against every choice."""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import shapely
import shapely.affinity
from clones import AS_OF
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, Point
from shapely.geometry import box as rectangle
from small_town import TOWN_A, TOWN_B, X0, Y0, add_area, add_camera, add_hazard, add_site, box, small_town

from geoapp.database.cluster import PrivateCluster

Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture(scope="module")
def database_of_town(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        yield connection


@pytest.fixture
def town(database_of_town: Connection) -> Iterator[Connection]:
    with database_of_town.transaction(force_rollback=True):
        yield database_of_town


def rows(connection: Connection, query: str, *values: Any) -> list[dict[str, Any]]:
    return connection.execute(query.encode(), values).fetchall()


def add_building(connection: Connection, outline: str) -> None:
    connection.execute(
        "INSERT INTO territory.building (local_id, geom)"
        " VALUES (gen_random_uuid()::text, ST_Multi(ST_GeomFromText(%s, 4549)))",
        (outline,),
    )


def seen_from(connection: Connection, x: float, y: float, azimuth: float, hfov: float) -> shapely.Geometry:
    """What a camera of 60 m reach at x, y sees; metres from the county's corner."""
    (row,) = rows(
        connection,
        "SELECT ST_AsBinary(ST_Translate(registry.ground_seen(p.at, registry.wedge(p.at, %s, %s, 60)), %s, %s)) AS g"
        " FROM (SELECT ST_SetSRID(ST_MakePoint(%s, %s), 4549) AS at) AS p",
        azimuth, hfov, -X0, -Y0, X0 + x, Y0 + y,
    )  # fmt: skip
    return shapely.from_wkb(bytes(row["g"]))


def add_outline(connection: Connection, outline: shapely.Geometry) -> None:
    add_building(connection, shapely.affinity.translate(outline, X0, Y0).wkt)


# Along the line of sight, aside of it, width, height, turned: about half of them stand in the way.
house = st.tuples(
    st.integers(-20, 57), st.integers(-20, 20), st.integers(2, 30), st.integers(2, 30), st.integers(0, 80)
)


@settings(max_examples=60, deadline=None)
@given(
    built=st.lists(house, max_size=4),
    off=st.integers(-80, 80),
    hfov=st.sampled_from([30, 90, 170, 360]),
    turned=st.integers(0, 359),
    far=st.sampled_from([5, 20, 40, 57]),
)
def test_a_point_is_seen_where_no_building_stands_on_the_line_to_it(
    database_of_town: Connection, built: list[tuple[int, ...]], off: int, hfov: int, turned: int, far: int
) -> None:
    at = Point(1000, 500)
    east, north = math.sin(math.radians(turned)), math.cos(math.radians(turned))
    point = Point(1000 + far * east, 500 + far * north)
    line = LineString([at, point])
    outlines = [
        shapely.affinity.translate(
            shapely.affinity.rotate(rectangle(-width / 2, -height / 2, width / 2, height / 2), bend),
            1000 + along * east + aside * north,
            500 + along * north - aside * east,
        )
        for along, aside, width, height, bend in built
    ]
    # Who stands on a wall, or looks along one, is decided by rounding: those have tests of their own.
    assume(all(o.boundary.distance(at) > 0.1 for o in outlines))
    assume(all(min(Point(c).distance(line) for c in o.exterior.coords) > 0.1 for o in outlines))
    assume(all(o.boundary.distance(point) > 0.1 for o in outlines))
    with database_of_town.transaction(force_rollback=True):
        sector = seen_from(database_of_town, 1000, 500, (turned + off) % 360, hfov)
        for outline in outlines:
            add_outline(database_of_town, outline)
        seen = seen_from(database_of_town, 1000, 500, (turned + off) % 360, hfov)
    assume(sector.boundary.distance(point) > 0.1)
    assert seen.is_valid
    assert seen.difference(sector).area < 0.1
    behind = any(o.intersects(line) for o in outlines if not o.contains(at))
    inside = any(o.contains(point) for o in outlines)
    assert seen.contains(point) == (sector.contains(point) and not behind and not inside)


def test_a_camera_on_a_wall_sees_only_before_it(town: Connection) -> None:
    add_building(town, box(1000, 480, 20, 40))
    # In the middle of the western wall: to the west everything, to the east nothing.
    assert seen_from(town, 1000, 500, 270, 90).area == pytest.approx(
        seen_from(town, 1500, 500, 270, 90).area, rel=1e-4
    )
    assert seen_from(town, 1000, 500, 90, 90).area < 0.5
    # At a corner, along the diagonal away from the building.
    assert seen_from(town, 1000, 480, 225, 90).area == pytest.approx(
        seen_from(town, 1500, 480, 225, 90).area, rel=1e-4
    )


def test_a_wall_in_front_hides_all_behind_it(town: Connection) -> None:
    add_building(town, box(900, 510, 200, 1))
    seen = seen_from(town, 1000, 500, 0, 90)
    assert seen.area == pytest.approx(100, rel=1e-3)  # the triangle before the wall
    assert seen.bounds[3] == pytest.approx(510, abs=0.01)


def test_a_camera_follows_the_buildings_before_it(town: Connection) -> None:
    camera = add_camera(town, 100, 100, box(100, 100, 50, 50))
    area = "SELECT ST_Area(ground) AS m2, sector_since, ST_Area(sector) AS sector FROM registry.camera WHERE id = %s"
    assert rows(town, area, camera)[0]["m2"] == 2500
    town.execute("SET LOCAL geoapp.batch = 'a load'")
    add_building(town, box(100, 110, 50, 10))
    (hidden,) = rows(town, area, camera)
    assert hidden["m2"] == pytest.approx(500, rel=0.01)
    assert (hidden["sector"], hidden["sector_since"]) == (2500, None)
    town.execute("UPDATE territory.building SET geom = ST_Translate(geom, 0, 20)")
    assert rows(town, area, camera)[0]["m2"] == pytest.approx(1500, rel=0.01)
    town.execute("DELETE FROM territory.building")
    assert rows(town, area, camera)[0]["m2"] == 2500
    town.execute("UPDATE registry.camera SET sector = ST_GeomFromText(%s, 4549)", (box(100, 100, 50, 20),))
    (moved,) = rows(town, area, camera)
    assert moved["m2"] == 1000
    assert moved["sector_since"] is not None


def test_a_camera_that_comes_with_its_pose_gets_its_sector(town: Connection) -> None:
    camera = add_camera(town, 600, 100, None)
    drawn = "SELECT ST_Area(sector) AS m2, sector_since IS NOT NULL AS is_redrawn FROM registry.camera WHERE id = %s"
    reach = "SELECT array_agg(town_code) AS towns FROM registry.camera_reach WHERE camera_id = %s"
    assert rows(town, drawn, camera) == [{"m2": None, "is_redrawn": False}]
    town.execute("UPDATE registry.camera SET hfov_deg = 90, max_range_m = 100 WHERE id = %s", (camera,))
    # A quarter of a circle of 100 m, its arc in steps of 5 degrees.
    quarter = 18 * math.sin(math.radians(5)) * 100**2 / 2
    assert rows(town, drawn, camera) == [{"m2": pytest.approx(quarter), "is_redrawn": False}]
    assert rows(town, reach, camera) == [{"towns": [TOWN_A]}]
    # It moves: the sector follows, and what it saw before is not known.
    town.execute("UPDATE registry.camera SET geom = ST_Translate(geom, 1500, 0) WHERE id = %s", (camera,))
    assert rows(town, drawn, camera) == [{"m2": pytest.approx(quarter), "is_redrawn": True}]
    assert rows(town, reach, camera) == [{"towns": [TOWN_B]}]
    # One that somebody has drawn stays as it is.
    town.execute("UPDATE registry.camera SET sector = ST_GeomFromText(%s, 4549)", (box(0, 0, 5, 5),))
    town.execute("UPDATE registry.camera SET max_range_m = 50")
    assert rows(town, drawn, camera)[0]["m2"] == 25


def test_areas_and_cells_are_seen_between_buildings(town: Connection) -> None:
    add_area(town, add_site(town, 600, 100), 600, 100, 100, 100)
    add_camera(town, 590, 150, box(590, 50, 200, 200), seen=AS_OF)
    share = "SELECT seen_fraction, online_camera_count FROM analysis.key_risk_area_at(%s)"
    assert rows(town, share, AS_OF) == [{"seen_fraction": 1, "online_camera_count": 1}]
    add_building(town, box(595, 0, 1, 400))
    assert rows(town, share, AS_OF) == [{"seen_fraction": 0, "online_camera_count": 0}]
    (cell,) = rows(town, "SELECT seen_m2 FROM analysis.coverage_cell_at(%s) WHERE seen_m2 > 0", AS_OF)
    assert cell["seen_m2"] == pytest.approx(5 * 200, rel=0.01)


# --- the next cameras


def next_cameras(connection: Connection, wanted: int, *more: Any) -> list[dict[str, Any]]:
    return rows(
        connection,
        f"SELECT n.*, ST_AsText(n.geom) AS at FROM analysis.next_cameras(%s, %s{', %s' * len(more)}) AS n",
        wanted, AS_OF, *more,
    )  # fmt: skip


def some_gaps(connection: Connection) -> None:
    """Four areas of different grades, one half seen; a site under a major hazard."""
    site = add_site(connection, 600, 100, hazard="blue", people=5)
    for level, x, y, size in (
        ("red", 600, 100, 40),
        ("blue", 660, 110, 60),
        ("yellow", 900, 300, 80),
        ("orange", 2200, 700, 50),
    ):
        area = add_area(connection, site, x, y, size, size)
        connection.execute("UPDATE registry.key_risk_area SET level = %s WHERE id = %s", (level, area))
    add_camera(connection, 890, 290, box(890, 290, 40, 100))
    add_hazard(connection, add_site(connection, 1600, 100), "major", AS_OF)


def test_gains_are_what_the_ground_closes(town: Connection) -> None:
    """Each place's gain reckoned anew with shapely from the areas, the rule and the ground that it says to see."""
    some_gaps(town)
    weight = {"red": 4, "orange": 3, "yellow": 2, "blue": 1}
    gaps = {
        (g["kind"], g["subject_id"]): [shapely.from_wkb(bytes(g["shape"])), g["need_m2"], weight[g["level"]]]
        for g in rows(
            town, "SELECT u.*, ST_AsBinary(u.unseen) AS shape FROM analysis.unseen_ground(%s) AS u", AS_OF
        )
    }
    assert len(gaps) == 5
    found = rows(
        town, "SELECT n.*, ST_AsBinary(n.ground) AS shape FROM analysis.next_cameras(6, %s) AS n", AS_OF
    )
    assert 4 <= len(found) <= 6
    left = sum(need * heft for _, need, heft in gaps.values())
    for place in found:
        assert place["gap_before"] == pytest.approx(left, rel=1e-3)
        gain = 0.0
        for gap in gaps.values():
            new = gap[0].intersection(shapely.from_wkb(bytes(place["shape"]))).area
            gain += gap[2] * min(gap[1], new)
            gap[0] = gap[0].difference(shapely.from_wkb(bytes(place["shape"])))
            gap[1] = max(gap[1] - new, 0)
        assert place["gain"] == pytest.approx(gain, rel=1e-3)
        assert place["gain"] == pytest.approx(sum(s["gain"] for s in place["sees"]), abs=0.5)
        left -= gain
        assert place["gap_after"] == pytest.approx(left, rel=1e-3, abs=1)
    gains = [p["gain"] for p in found]
    assert gains == sorted(gains, reverse=True)


def test_the_lazy_choice_is_the_greedy_choice(town: Connection) -> None:
    """Two cameras: each round's gain is the best over every candidate; together they reach 63 % of the best pair."""
    site = add_site(town, 600, 100, hazard="blue", people=5)
    for x in (600, 650):
        add_area(town, site, x, 100, 30, 30)
    gaps = [
        shapely.from_wkb(bytes(g["w"]))
        for g in rows(town, "SELECT ST_AsBinary(unseen) AS w FROM analysis.unseen_ground(%s)", AS_OF)
    ]
    candidates = rows(
        town,
        "SELECT DISTINCT ST_AsBinary(registry.ground_seen(c.geom, registry.wedge(c.geom, round(degrees(ST_Azimuth(c.geom, ST_PointOnSurface(g.unseen)))), 60, 45))) AS w"
        " FROM (SELECT array_agg(kind) AS kinds, array_agg(unseen) AS shapes, array_agg(unseen) AS u FROM analysis.unseen_ground(%s)) AS k"
        " CROSS JOIN LATERAL analysis.camera_candidates(k.kinds, k.shapes, 45) AS c"
        " JOIN LATERAL unnest(k.u) AS g (unseen) ON ST_DWithin(g.unseen, c.geom, 45)",
        AS_OF,
    )  # fmt: skip
    grounds = [shapely.from_wkb(bytes(c["w"])) for c in candidates if c["w"] is not None]
    assert 10 < len(grounds) < 400

    def closed(*chosen: shapely.Geometry) -> float:
        seen = shapely.union_all(chosen)
        return sum(4 * min(0.6 * g.area, g.intersection(seen).area) for g in gaps)

    first, second = next_cameras(town, 2, None, 45, 60)
    assert first["gain"] == pytest.approx(max(closed(g) for g in grounds), rel=1e-3)
    best = sorted(grounds, key=closed, reverse=True)[:40]
    best_pair = max(closed(a, b) for a, b in itertools.combinations(best, 2))
    assert first["gain"] + second["gain"] >= (1 - 1 / math.e) * best_pair


def test_places_are_in_cells_and_in_no_building(town: Connection) -> None:
    some_gaps(town)
    add_building(town, box(610, 110, 20, 20))
    kinds = rows(
        town,
        "SELECT c.origin, count(*) AS n, bool_or(EXISTS (SELECT FROM territory.building AS b WHERE ST_Contains(b.geom, c.geom))) AS inside"
        " FROM (SELECT array_agg(kind) AS kinds, array_agg(unseen) AS shapes FROM analysis.unseen_ground(%s)) AS k"
        " CROSS JOIN LATERAL analysis.camera_candidates(k.kinds, k.shapes, 80) AS c GROUP BY c.origin",
        AS_OF,
    )  # fmt: skip
    assert {k["origin"] for k in kinds} >= {"outline", "building", "site", "cell"}
    assert not any(k["inside"] for k in kinds)
    assert all(p["cell_code"] for p in next_cameras(town, 5))


def test_only_gaps_of_the_town(town: Connection) -> None:
    some_gaps(town)
    assert {
        u["level"] for u in rows(town, "SELECT * FROM analysis.unseen_ground(%s, %s)", AS_OF, TOWN_B)
    } == set()
    town.execute("UPDATE registry.key_risk_area SET town_code = %s WHERE level = 'orange'", (TOWN_B,))
    found = next_cameras(town, 5, TOWN_B)
    assert {s["level"] for p in found for s in p["sees"]} == {"orange"}


def test_nothing_to_see_is_no_place(town: Connection) -> None:
    assert next_cameras(town, 3) == []
    add_area(town, add_site(town, 600, 100, hazard="blue", people=5), 600, 100, 50, 50)
    add_camera(town, 590, 90, box(590, 90, 100, 100))
    assert next_cameras(town, 3) == []


@pytest.mark.parametrize("asked", [(0,), (201,), (3, None, 2), (3, None, 80, 361), (3, "310116999000")])
def test_what_no_camera_is_like_is_refused(town: Connection, asked: tuple[Any, ...]) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue), town.transaction():
        next_cameras(town, *asked)
