"""The kept ground that cameras see: always that of shapely, whatever was moved, split, built or left, and whoever looks."""

import math
import random
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import shapely
import shapely.affinity
from clones import AS_OF
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Point
from small_town import X0, Y0, add_area, add_camera, add_site, box, small_town

from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect

Connection = psycopg.Connection[dict[str, Any]]
HOUR = timedelta(hours=1)


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


def shapes(connection: Connection, query: str) -> dict[Any, shapely.Geometry]:
    return {r["id"]: shapely.from_wkb(bytes(r["g"])) for r in rows(connection, query)}


def wedge(x: float, y: float, azimuth: float, hfov: float, reach: float) -> str:
    """WKT of what a camera sees from x, y (metres from the corner)."""
    bends = [math.radians(azimuth - hfov / 2 + hfov * n / 12) for n in range(13)]
    arc = [(x + reach * math.sin(b), y + reach * math.cos(b)) for b in bends]
    return shapely.affinity.translate(shapely.Polygon([(x, y), *arc]), X0, Y0).wkt


def keep_now(connection: Connection) -> None:
    """What a commit would do."""
    connection.execute("SET CONSTRAINTS registry.sight_due_kept IMMEDIATE")
    connection.execute("SET CONSTRAINTS registry.sight_due_kept DEFERRED")
    assert rows(connection, "SELECT FROM registry.sight_due") == []


def check(connection: Connection, cameras: list[int]) -> None:
    """What some of the cameras see of every cell and key risk area, against one union by shapely."""
    grounds = shapes(
        connection, "SELECT id, ST_AsBinary(ground) AS g FROM registry.camera WHERE ground IS NOT NULL"
    )
    union = shapely.union_all([grounds[c] for c in cameras if c in grounds])
    cells = shapes(connection, "SELECT code AS id, ST_AsBinary(geom) AS g FROM territory.grid_cell")
    seen = {r["cell_code"]: r for r in rows(connection, "SELECT * FROM analysis.cells_seen_by(%s)", cameras)}
    for code, cell in cells.items():
        m2 = seen[code]["m2"] if code in seen else 0.0
        assert m2 == pytest.approx(cell.intersection(union).area, abs=0.01), code
        seeing = sum(cell.intersection(grounds[c]).area > 1e-9 for c in cameras if c in grounds)
        assert (seen[code]["camera_count"] if code in seen else 0) == seeing
    areas = shapes(connection, "SELECT id, ST_AsBinary(geom) AS g FROM registry.key_risk_area")
    of_area = dict.fromkeys(areas, 0.0)
    for row in rows(connection, "SELECT * FROM analysis.area_sights()"):
        if set(row["camera_ids"]) & set(cameras):
            of_area[row["area_id"]] += row["m2"]
    for key, area in areas.items():
        assert of_area[key] == pytest.approx(area.intersection(union).area, abs=0.01)


camera = st.tuples(
    st.integers(0, 3000), st.integers(0, 1000), st.integers(0, 359), st.sampled_from([40, 90, 179, 300]), st.integers(20, 400)
)  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(
    stand=st.lists(camera, min_size=1, max_size=9), chosen=st.sets(st.integers(0, 8)), crowded=st.booleans()
)
def test_any_set_of_cameras_sees_what_shapely_says(
    database_of_town: Connection, stand: list[tuple[int, ...]], chosen: set[int], crowded: bool
) -> None:
    with database_of_town.transaction(force_rollback=True):
        site = add_site(database_of_town, 600, 100)
        add_area(database_of_town, site, 560, 60, 300, 200)
        ids = []
        for x, y, azimuth, hfov, reach in stand:
            # In one corner of one cell, so that many look at the same ground.
            at = (520 + x / 20, 20 + y / 10) if crowded else (x, y)
            ids.append(add_camera(database_of_town, *at, wedge(*at, azimuth, hfov, reach)))
        some = [ids[n] for n in sorted(chosen) if n < len(ids)]
        check(database_of_town, some)  # not committed: reckoned now
        keep_now(database_of_town)
        check(database_of_town, some)
        check(database_of_town, ids)


def test_what_changes_is_followed_before_the_commit_and_after(town: Connection) -> None:
    site = add_site(town, 600, 100)
    area = add_area(town, site, 600, 100, 100, 100)
    ids = [add_camera(town, 590 + 5 * n, 90, box(590 + 20 * n, 90, 150, 150)) for n in range(4)]
    keep_now(town)
    steps = (
        f"UPDATE registry.camera SET sector = ST_Translate(sector, 430, 0) WHERE id = {ids[0]}",
        f"DELETE FROM registry.camera WHERE id = {ids[1]}",
        # Its ground and all behind it is hidden.
        f"INSERT INTO territory.building (local_id, geom) VALUES ('b', ST_Multi(ST_GeomFromText('{box(640, 120, 20, 20)}', 4549)))",
        f"UPDATE registry.key_risk_area SET geom = ST_Translate(geom, 30, 10) WHERE id = {area}",
        # An island and a hole in an area.
        f"UPDATE registry.key_risk_area SET geom = ST_Difference(geom, ST_Buffer(ST_Centroid(geom), 20)) WHERE id = {area}",
        "UPDATE territory.grid_cell SET geom = ST_Difference(geom, ST_Buffer(ST_Centroid(geom), 40)) WHERE name_zh = '1,0'",
        "UPDATE registry.camera SET sector = NULL, azimuth_deg = NULL WHERE gb_id LIKE '%000003'",
        f"DELETE FROM registry.key_risk_area WHERE id = {area}",
        "DELETE FROM registry.camera",
    )
    for step in steps:
        town.execute(step.encode())
        left = [r["id"] for r in rows(town, "SELECT id FROM registry.camera")]
        check(town, left)
        keep_now(town)
        check(town, left)
        check(town, left[:1])
    assert rows(town, "SELECT FROM registry.cell_sight UNION ALL SELECT FROM registry.area_sight") == []


def test_a_change_that_moves_nothing_makes_nothing_due(town: Connection) -> None:
    add_camera(town, 590, 90, box(590, 90, 50, 50))
    keep_now(town)
    town.execute("UPDATE registry.camera SET name_zh = 'x', period_s = 20")
    town.execute("UPDATE territory.grid_cell SET name_zh = 'x'")
    assert rows(town, "SELECT FROM registry.sight_due") == []


def test_all_can_be_reckoned_anew_after_triggers_were_off(town: Connection) -> None:
    town.execute("SET LOCAL session_replication_role = replica")
    ids = [add_camera(town, 590, 90, box(590, 90, 700, 50))]
    town.execute("UPDATE registry.camera SET ground = sector")
    town.execute("SET LOCAL session_replication_role = origin")
    assert rows(town, "SELECT * FROM analysis.cells_seen_by(%s)", ids) == []
    town.execute("SELECT registry.rebuild_sights()")
    check(town, ids)


def test_two_who_move_cameras_over_the_same_cell_at_once(cluster: PrivateCluster) -> None:
    with small_town(cluster, AS_OF) as first:
        ids = [add_camera(first, 590, 90, box(590, 90, 50 + n, 50)) for n in range(3)]
        move = "UPDATE registry.camera SET sector = ST_Translate(sector, %s, 0) WHERE id = %s"
        with connect(first.info.dsn + f" password={first.info.password}" if first.info.password else first.info.dsn, autocommit=True) as second:  # fmt: skip

            def other() -> None:
                with second.transaction():
                    second.execute(move, (-40, ids[1]))

            thread = threading.Thread(target=other)
            with first.transaction():
                first.execute(move, (70, ids[0]))
                keep_now(first)  # as at the commit, which is still to come: it has not seen the other's move
                thread.start()
                # The other waits for this commit, or has long been there; never both at once.
                thread.join(0.5)
            thread.join(20)
            assert not thread.is_alive()
        check(first, ids)
        check(first, random.Random(1).sample(ids, 2))


def test_a_fault_undoes_no_edit_and_stays_due(town: Connection) -> None:
    """Where the kept rows cannot be made, the edit stands, and readers reckon what is due."""
    ids = [add_camera(town, 590, 90, box(590, 90, 50, 50))]
    town.execute("ALTER TABLE registry.cell_sight ADD CONSTRAINT broken CHECK (m2 < 0)")
    town.execute("SET CONSTRAINTS registry.sight_due_kept IMMEDIATE")
    assert rows(town, "SELECT count(*) AS n FROM registry.cell_sight") == [{"n": 0}]
    check(town, ids)
    town.execute("ALTER TABLE registry.cell_sight DROP CONSTRAINT broken")
    town.execute("SELECT registry.refresh_sights()")
    assert rows(town, "SELECT FROM registry.sight_due") == []
    check(town, ids)


BOW = shapely.affinity.translate(shapely.Polygon([(560, 60), (660, 160), (660, 60), (560, 160)]), X0, Y0).wkt


@pytest.mark.parametrize("kind", ["camera", "cell", "key_risk_area", "building"])
def test_a_shape_that_is_none_is_left_out_and_named_and_the_rest_made(town: Connection, kind: str) -> None:
    area = add_area(town, add_site(town, 600, 100), 570, 70, 40, 40)
    far = add_area(town, add_site(town, 2600, 600), 2600, 600, 50, 50)
    add_camera(town, 590, 90, box(560, 60, 20, 20), seen=AS_OF)
    add_camera(town, 2590, 590, box(2590, 590, 80, 80), seen=AS_OF)
    shape = f"ST_GeomFromText('{BOW}', 4549)"
    if kind == "camera":
        bad = str(add_camera(town, 590, 90, BOW, seen=AS_OF))
    elif kind == "cell":
        bad = rows(
            town, f"UPDATE territory.grid_cell SET geom = {shape} WHERE name_zh = '1,0' RETURNING code AS id"
        )[0]["id"]
    elif kind == "key_risk_area":
        bad = str(area)
        town.execute(f"UPDATE registry.key_risk_area SET geom = {shape} WHERE id = {area}".encode())
    else:
        bad = str(
            rows(
                town,
                f"INSERT INTO territory.building (local_id, geom) VALUES ('b', ST_Multi({shape})) RETURNING id",
            )[0]["id"]
        )
    said: list[str] = []
    town.add_notice_handler(lambda notice: said.append(str(notice.message_primary)))
    for anew in (False, True):
        if anew:
            town.execute("SELECT registry.rebuild_sights()")
        else:
            keep_now(town)
        # The rest is seen as it is.
        kept = {
            r["area_id"]: r["m2"]
            for r in rows(town, "SELECT * FROM registry.area_sight WHERE area_id = %s", far)
        }
        assert kept == {far: pytest.approx(2500)}
        assert rows(town, "SELECT kind, subject_id FROM analysis.shape_left_out") == [
            {"kind": kind, "subject_id": bad}
        ]
        seen = {r["id"]: r for r in rows(town, "SELECT * FROM analysis.key_risk_area_at(%s)", AS_OF)}
        assert seen[far]["seen_fraction"] == pytest.approx(1)
        cell = rows(town, "SELECT c.* FROM analysis.coverage_cell_at(%s) AS c JOIN territory.grid_cell AS g ON g.code = c.cell_code WHERE g.name_zh = '1,0'", AS_OF)[0]  # fmt: skip
        gaps = rows(town, "SELECT detail_en FROM analysis.coverage_gap_at(%s) WHERE kind = 'no_camera' AND subject_id = %s", AS_OF, str(area))  # fmt: skip
        hours = {
            r["place"]: r for r in rows(town, "SELECT * FROM analysis.covered('key_risk_area', %s, %s, %s)", AS_OF, AS_OF + HOUR, AS_OF + HOUR)
        }  # fmt: skip
        whole = {
            r["place"]: r for r in rows(town, "SELECT * FROM analysis.covered('cell', %s, %s, %s)", AS_OF, AS_OF + HOUR, AS_OF + HOUR)
        }[cell["cell_code"]]  # fmt: skip
        if kind == "building":
            # All within its hull is hidden: more may be seen in truth, never less.
            assert seen[area]["seen_fraction"] == pytest.approx(0)
            assert cell["seen_m2"] == pytest.approx(0)
        else:
            assert cell["seen_m2"] is None or kind == "key_risk_area"
            assert (seen[area]["seen_fraction"] is None) == (kind != "cell")
            if kind != "cell":
                assert "not known" in gaps[0]["detail_en"]
                assert hours[str(area)]["not_known_m2"] == pytest.approx(hours[str(area)]["area_m2"])
            if kind != "key_risk_area":
                assert whole["not_known_m2"] == pytest.approx(whole["area_m2"])
        assert hours[str(far)]["not_known_m2"] <= 2500
        # What is not known is no area of which enough is seen.
        under = rows(
            town,
            "SELECT value FROM analysis.headline_at(%s) WHERE name = 'key_risk_area_seen_under_60'",
            AS_OF,
        )[0]["value"]
        assert under == 1
        basis = rows(
            town, "SELECT * FROM analysis.coverage_basis_at(%s) WHERE name = 'shapes_left_out'", AS_OF
        )[0]
        assert (basis["value"], basis["is_lacking"]) == (1, True)
        for question in (
            "analysis.unseen_ground(now())",
            "analysis.risk_site_of(now())",
            "analysis.next_cameras(1, now())",
        ):
            rows(town, f"SELECT * FROM {question}")
        town.execute("SELECT tiles.key_risk_area(0, 0, 0)")
    assert [s for s in said if f"{kind} {bad}" in s], said


def test_points_on_the_edge_of_a_cell_belong_to_it(town: Connection) -> None:
    # Along the border of two cells: each has its half, to the square centimetre.
    ids = [add_camera(town, 500, 250, Point(X0 + 500, Y0 + 250).buffer(30).wkt)]
    keep_now(town)
    check(town, ids)
