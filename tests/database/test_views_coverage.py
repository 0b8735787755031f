"""analysis.coverage_gap and its neighbours: every kind of gap on a town whose areas are known by hand."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from clones import AS_OF
from small_town import add_area, add_camera, add_hazard, add_site, add_visit, box, small_town

from geoapp.database.cluster import PrivateCluster

DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture(scope="module")
def _database(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        yield connection


@pytest.fixture
def town(_database: Connection) -> Iterator[Connection]:
    with _database.transaction(force_rollback=True):
        yield _database


def gaps(connection: Connection, kind: str) -> list[dict[str, Any]]:
    return connection.execute(
        "SELECT * FROM analysis.coverage_gap_at(%s) WHERE kind = %s ORDER BY subject, subject_id",
        (AS_OF, kind),
    ).fetchall()


def one(connection: Connection, query: str, *values: Any) -> dict[str, Any]:
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return row


def test_ground_in_no_cell_is_split_into_declared_and_not(town: Connection) -> None:
    found = {row["name_zh"]: row for row in gaps(town, "no_cell")}
    assert {name: row["area_m2"] for name, row in found.items()} == {
        "海塘": pytest.approx(250_000),
        "未划入网格的地块": pytest.approx(250_000),
    }
    figure = {
        r["name"]: r["value"]
        for r in town.execute("SELECT * FROM analysis.headline_at(%s)", (AS_OF,)).fetchall()
    }
    assert figure["ground_in_no_cell_km2"] == pytest.approx(0.5)
    assert figure["ground_declared_no_cell_km2"] == pytest.approx(0.25)


def test_slivers_are_no_gap(town: Connection) -> None:
    # 0.5 mm off the eastern edge of the county: 0.5 m2 of ground that no surveyor would call a hole.
    town.execute(
        "UPDATE territory.grid_cell SET geom = ST_GeomFromText(%s, 4549) WHERE name_zh = '5,0'",
        (box(2500, 0, 499.9995, 500),),
    )
    assert len(gaps(town, "no_cell")) == 2
    town.execute(
        "UPDATE territory.grid_cell SET geom = ST_GeomFromText(%s, 4549) WHERE name_zh = '5,0'",
        (box(2500, 0, 499, 500),),
    )
    assert sorted(round(row["area_m2"]) for row in gaps(town, "no_cell")) == [500, 250_000, 250_000]


def test_copy_of_ground_in_no_cell_follows_at_commit_and_is_used_only_while_true(
    cluster: PrivateCluster,
) -> None:
    current = "SELECT versions = analysis.no_cell_versions() AS yes FROM territory.no_cell_made_from"
    with small_town(cluster, AS_OF) as town:
        assert one(town, current) == {"yes": True}
        assert one(town, "SELECT count(*) AS n FROM territory.no_cell_piece") == {"n": 2}
        assert one(town, "SELECT analysis.refresh_no_cell() AS did") == {"did": False}
        with town.transaction():
            town.execute("DELETE FROM duty.grid_staff")
            town.execute("DELETE FROM territory.grid_cell WHERE name_zh = '5,1'")
            # Not committed, so the copy is old: the view computes the truth.
            assert one(town, current) == {"yes": False}
            assert one(town, "SELECT sum(area_m2) AS m2 FROM analysis.no_cell")["m2"] == pytest.approx(
                750_000
            )
            assert one(town, "SELECT count(*) AS n FROM territory.no_cell_piece") == {"n": 2}
        assert one(town, current) == {"yes": True}
        assert one(town, "SELECT sum(area_m2) AS m2 FROM territory.no_cell_piece")["m2"] == pytest.approx(
            750_000
        )
        town.execute("DELETE FROM territory.no_cell_ground")
        assert one(town, "SELECT bool_or(declared) AS any FROM analysis.no_cell") == {"any": False}


def test_cell_without_worker(town: Connection) -> None:
    assert [row["name_zh"] for row in gaps(town, "no_grid_worker")] == ["5,1"]
    town.execute("UPDATE duty.grid_staff SET assigned_to = '2026-11-01' WHERE role = 'worker'")
    assert len(gaps(town, "no_grid_worker")) == 10


@pytest.mark.parametrize(("share", "is_gap"), [(0.59, True), (0.6, False), (1.0, False)])
def test_key_risk_area_needs_sixty_percent(town: Connection, share: float, is_gap: bool) -> None:
    site = add_site(town, 600, 100, hazard="blue", people=5)
    area = add_area(town, site, 600, 100, 100, 100)
    # Two sectors that overlap: together they see `share` of the area, their sum is more.
    add_camera(town, 590, 90, box(590, 90, 10 + 80 * share, 200), seen=AS_OF - MINUTE)
    add_camera(town, 590, 90, box(590 + 60 * share, 90, 10 + 40 * share, 200), seen=AS_OF - MINUTE)
    row = one(town, "SELECT * FROM analysis.key_risk_area_at(%s) WHERE id = %s", AS_OF, area)
    assert row["seen_fraction"] == pytest.approx(share)
    assert row["seen_m2"] == pytest.approx(10_000 * share)
    assert row["online_camera_count"] == 2
    assert [r["subject"] for r in gaps(town, "no_camera")] == (["key_risk_area"] if is_gap else [])


def test_area_that_joins_later_is_not_there_yet(town: Connection) -> None:
    site = add_site(town, 600, 100, hazard="blue", people=5)
    for x, joined in [(600, "2026-11-22"), (700, "2026-11-23")]:
        add_area(town, site, x, 100, 50, 50, onboarded=joined)
    undated = add_area(town, site, 800, 100, 50, 50)
    town.execute("UPDATE registry.key_risk_area SET onboarded_on = NULL WHERE id = %s", (undated,))
    midnight = datetime(2026, 11, 23, tzinfo=ZoneInfo("Asia/Shanghai"))
    for moment, dated in [(midnight - MINUTE, 1), (midnight, 2)]:
        total = one(
            town, "SELECT value FROM analysis.headline_at(%s) WHERE name = 'key_risk_area_total'", moment
        )
        listed = one(town, "SELECT count(*) AS n FROM analysis.key_risk_area_at(%s)", moment)
        joined_by = one(town, "SELECT max(total_to_date) AS n FROM analysis.onboarding_year_at(%s)", moment)
        assert (total["value"], listed["n"], joined_by["n"]) == (dated + 1, dated + 1, dated)
        unseen = one(
            town,
            "SELECT count(*) AS n FROM analysis.coverage_gap_at(%s)"
            " WHERE kind = 'no_camera' AND subject = 'key_risk_area'",
            moment,
        )
        assert unseen["n"] == dated + 1


def test_only_online_cameras_see(town: Connection) -> None:
    site = add_site(town, 600, 100, hazard="blue", people=5)
    area = add_area(town, site, 600, 100, 100, 100)
    everything = box(500, 50, 300, 300)
    add_camera(town, 590, 90, everything, url=None, seen=AS_OF)  # not connected
    add_camera(town, 590, 90, everything)  # never looked
    add_camera(town, 590, 90, everything, seen=AS_OF - 11 * MINUTE)  # stale
    row = one(town, "SELECT * FROM analysis.key_risk_area_at(%s) WHERE id = %s", AS_OF, area)
    assert (row["seen_fraction"], row["camera_count"], row["online_camera_count"]) == (0, 3, 0)
    assert {r["subject"] for r in gaps(town, "no_camera")} == {"key_risk_area", "cell"}
    states = town.execute(
        "SELECT reason, is_online, observed FROM analysis.camera_at(%s) ORDER BY id", (AS_OF,)
    ).fetchall()
    assert [s["reason"] for s in states] == ["not_connected", "never_looked", "stale"]
    assert not any(s["is_online"] or s["observed"] for s in states)


def test_camera_that_could_not_look_is_unobserved_with_its_reason(town: Connection) -> None:
    add_camera(town, 590, 90, None, seen=AS_OF - MINUTE, reason="black_picture", tried=AS_OF)
    row = one(town, "SELECT observed, reason, is_online FROM analysis.camera_at(%s)", AS_OF)
    assert row == {"observed": False, "reason": "black_picture", "is_online": True}


def test_a_past_moment_uses_the_observations_of_its_time(town: Connection) -> None:
    camera = add_camera(town, 590, 90, None, seen=AS_OF)
    then = AS_OF - 3 * DAY
    assert not one(town, "SELECT is_online FROM analysis.camera_at(%s)", then)["is_online"]
    town.execute(
        "INSERT INTO watch.observation (id, camera_id, captured_at, received_at, observed)"
        " VALUES (gen_random_uuid(), %s, %s, %s, true)",
        (camera, then - MINUTE, then),
    )
    assert one(town, "SELECT is_online FROM analysis.camera_at(%s)", then)["is_online"]


def test_cell_with_an_orange_site_that_nobody_sees(town: Connection) -> None:
    site = add_site(town, 600, 100, hazard="orange", people=300, vulnerability="both")
    farm = add_site(town, 1600, 100, hazard="blue", people=5)
    add_visit(town, farm, "patrol", AS_OF - DAY)
    assert (
        one(town, "SELECT level FROM analysis.risk_site_at(%s) WHERE site_id = %s", AS_OF, site)["level"]
        == "orange"
    )
    found = gaps(town, "no_camera")
    assert [(row["subject"], row["name_zh"]) for row in found] == [("cell", "1,0")]
    # Seeing another corner of the cell is not seeing the site.
    add_camera(town, 900, 400, box(900, 400, 50, 50), seen=AS_OF)
    assert len(gaps(town, "no_camera")) == 1
    add_camera(town, 590, 90, box(590, 90, 50, 50), seen=AS_OF)
    assert gaps(town, "no_camera") == []


def test_empty_farmland_is_no_gap(town: Connection) -> None:
    empty = one(town, "SELECT * FROM analysis.coverage_cell_at(%s) WHERE cell_no = 1", AS_OF)
    assert (empty["gap_kinds"], empty["camera_count"], empty["worst_level"]) == ([], 0, None)


def test_connected_camera_at_which_nobody_looked(town: Connection) -> None:
    add_camera(town, 10, 10, None, url=None)  # not connected: known, and not this kind of gap
    never = add_camera(town, 20, 10, None)
    old = add_camera(town, 30, 10, None, seen=AS_OF - 3 * timedelta(hours=1), reason="timeout", tried=AS_OF)
    add_camera(town, 40, 10, None, seen=AS_OF - timedelta(hours=1))
    found = gaps(town, "not_observed")
    assert {int(row["subject_id"]) for row in found} == {never, old}
    assert {row["cell_no"] for row in found} == {1}


@pytest.mark.parametrize(
    ("hazard", "people", "colour", "days"),
    [("blue", 5, "blue", 180), ("orange", 20, "yellow", 90), ("orange", 1500, "orange", 60)],
)
@pytest.mark.parametrize("kind", ["patrol", "self_check", "remote_check", "admin_inspection"])
def test_checks_fall_due_by_colour(
    town: Connection, hazard: str, people: int, colour: str, days: int, kind: str
) -> None:
    site = add_site(town, 600, 100, hazard=hazard, people=people)
    assert [row["detail_en"] for row in gaps(town, "not_checked")] == ["never checked"]
    visit = add_visit(town, site, kind, AS_OF - days * DAY + MINUTE)
    assert one(town, "SELECT level FROM analysis.risk_site_at(%s)", AS_OF)["level"] == colour
    assert gaps(town, "not_checked") == []
    town.execute(
        "UPDATE inspection.visit SET done_at = %s WHERE id = %s", (AS_OF - days * DAY - MINUTE, visit)
    )
    late = gaps(town, "not_checked")
    assert [(row["subject_id"], row["colour"]) for row in late] == [(str(site), colour)]


def test_red_site_is_due_within_thirty_days(town: Connection) -> None:
    site = add_site(town, 600, 100, hazard="blue", people=5)
    add_visit(town, site, "patrol", AS_OF - 31 * DAY)
    assert gaps(town, "not_checked") == []
    add_hazard(town, site, "major", AS_OF - DAY)
    assert [row["colour"] for row in gaps(town, "not_checked")] == ["red"]


def test_days_since_a_check_are_days_of_the_city(town: Connection) -> None:
    site = add_site(town, 600, 100, hazard="blue", people=5)
    add_hazard(town, site, "major", AS_OF - DAY)
    # 06:30 in the city, the day before in UTC.
    add_visit(town, site, "patrol", AS_OF - 31 * DAY - 180 * MINUTE)
    assert [row["detail_en"] for row in gaps(town, "not_checked")] == ["last check 31 days ago"]


def test_coverage_of_a_cell(town: Connection) -> None:
    site = add_site(town, 600, 100, hazard="red", people=300)
    add_area(town, site, 600, 100, 100, 100)
    add_camera(town, 590, 90, box(500, 0, 250, 500), seen=AS_OF - MINUTE)
    add_camera(town, 590, 90, box(600, 0, 250, 500), seen=AS_OF - MINUTE)
    add_camera(town, 590, 90, None, url=None)
    row = one(
        town, "SELECT c.* FROM analysis.coverage_cell_at(%s) AS c WHERE c.online_camera_count > 0", AS_OF
    )
    assert row["seen_m2"] == pytest.approx(350 * 500)
    assert row["seen_fraction"] == pytest.approx(0.7)
    assert (row["camera_count"], row["online_camera_count"], row["key_risk_area_count"]) == (3, 2, 1)
    assert (row["worst_level"], row["gap_kinds"]) == ("orange", ["not_checked"])


def test_headline_agrees_with_the_views(town: Connection) -> None:
    site = add_site(town, 600, 100, hazard="red", people=300, vulnerability="both")
    add_area(town, site, 600, 100, 100, 100, onboarded="2024-05-01")
    add_area(town, site, 700, 100, 100, 100, onboarded="2026-05-01")
    add_camera(town, 590, 90, box(700, 0, 250, 500), seen=AS_OF - MINUTE)
    figures = {
        r["name"]: r for r in town.execute("SELECT * FROM analysis.headline_at(%s)", (AS_OF,)).fetchall()
    }
    assert (figures["key_risk_area_total"]["value"], figures["key_risk_area_seen_under_60"]["value"]) == (
        2,
        1,
    )
    assert figures["cells_total"]["value"] == 10
    assert figures["cells_no_site"]["value"] == 9
    assert figures["cells_without_worker"]["value"] == 1
    assert (figures["cameras_total"]["value"], figures["cameras_online"]["value"]) == (1, 1)
    assert figures["sites_without_confirmed_lead"]["value"] == 1
    assert figures["duty_clear_rate"]["value"] == 0
    for kind in ("no_cell", "no_grid_worker", "no_camera", "not_observed", "not_checked"):
        assert figures[f"gaps_{kind}"]["value"] == len(gaps(town, kind))
    summed = one(
        town,
        "SELECT sum(cells) AS cells, sum(sites) AS sites, sum(coverage_gaps) AS gaps FROM analysis.town_summary_at(%s)",
        AS_OF,
    )
    total = one(town, "SELECT count(*) AS n FROM analysis.coverage_gap_at(%s)", AS_OF)
    assert (summed["cells"], summed["sites"], summed["gaps"]) == (10, 1, total["n"])
    curve = town.execute("SELECT * FROM analysis.onboarding_year_at(%s)", (AS_OF,)).fetchall()
    assert [(r["year"], r["onboarded"], r["total_to_date"]) for r in curve] == [
        (2024, 1, 1),
        (2025, 0, 1),
        (2026, 1, 2),
    ]


def test_hours_without_any_scan_are_rows(town: Connection) -> None:
    camera = add_camera(town, 590, 90, None, seen=AS_OF)
    hour = AS_OF.replace(minute=0)
    town.execute(
        "INSERT INTO watch.observation_hour (camera_id, hour, due, observed, unobserved, reasons) VALUES (%s, %s, 150, 100, 50, '{\"timeout\": 50}')",
        (camera, hour),
    )
    town.execute("UPDATE watch.connection_record SET began_at = %s", (hour,))
    town.execute("UPDATE watch.camera_connection SET since = %s", (hour - timedelta(hours=2),))
    rows = town.execute(
        "SELECT * FROM analysis.observation_hour_at(%s) ORDER BY hour DESC", (AS_OF,)
    ).fetchall()
    assert len(rows) == 24
    # Half an hour at one scan in 10 s: 180 due, the last of which may be on its way.
    assert (rows[0]["due"], rows[0]["observed"], rows[0]["reasons"]) == (
        179,
        100,
        {"timeout": 50, "not_scanned": 29},
    )
    assert (rows[1]["due"], rows[1]["unobserved"]) == (360, 360)
    assert (rows[3]["state"], rows[3]["due"]) == ("not_known", None)
