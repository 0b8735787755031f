"""Two writers at the same time: what neither sees of the other is there all the same once both have committed."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from access.signed_in import caller
from clones import AS_OF
from small_town import (
    COUNTY,
    add_area,
    add_camera,
    add_certificate,
    add_hazard,
    add_person,
    add_site,
    add_visit,
    assign,
    box,
    small_town,
)

from detection.lease import sync_cameras
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.registry.kept_risk import keep_risk
from layers.registry import LAYERS
from layers.tiles import layer_version

Connection = psycopg.Connection[dict[str, Any]]
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def town(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        yield connection


@contextmanager
def beside(connection: Connection) -> Iterator[Connection]:
    """Another session of the same database."""
    at = connection.info
    url = f"postgresql://{at.user}:{at.password}@{at.host}:{at.port}/{at.dbname}"
    with connect(url, autocommit=True) as other:
        yield other


def one(connection: Connection, query: str, *values: Any) -> dict[str, Any]:
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return row


def test_no_site_is_written_past_a_count_of_all(town: Connection) -> None:
    town.execute("UPDATE registry.site_bin_made SET is_whole = false")
    with beside(town) as counting, beside(town) as writing:
        writing.execute("SET lock_timeout = '100ms'")
        with counting.transaction():
            assert one(counting, "SELECT registry.rebuild_site_bin() AS done")["done"]
            with pytest.raises(psycopg.errors.LockNotAvailable):
                add_site(writing, 100, 100)
        add_site(writing, 100, 100)
    counted = one(town, "SELECT sum(n) AS n FROM registry.site_bin WHERE level = 16")["n"]
    assert counted == one(town, "SELECT count(*) AS n FROM registry.site")["n"]


def sights(connection: Connection) -> list[tuple[Any, ...]]:
    rows = connection.execute(
        "SELECT cell_code AS place, camera_ids, round(m2) AS m2 FROM registry.cell_sight"
        " UNION ALL SELECT area_id::text, camera_ids, round(m2) FROM registry.area_sight ORDER BY 1, 2"
    ).fetchall()
    return [tuple(row.values()) for row in rows]


@pytest.mark.parametrize("camera_first", [True, False])
def test_a_camera_and_what_it_sees_written_beside_each_other(town: Connection, *, camera_first: bool) -> None:
    add_camera(town, 100, 100, box(100, 100, 50, 50))
    site = add_site(town, 2600, 600)
    with beside(town) as one_, beside(town) as other:
        one_.execute("BEGIN")
        other.execute("BEGIN")
        add_camera(one_, 2590, 600, box(2600, 600, 100, 100))
        add_area(other, site, 2600 if camera_first else 2601, 600, 50, 50)
        other.execute(
            "UPDATE territory.grid_cell SET code = left(code, 12) || %s WHERE name_zh = '5,1'",
            ("199900" if camera_first else "199800",),
        )
        for each in (one_, other) if camera_first else (other, one_):
            each.execute("COMMIT")
    kept = sights(town)
    assert len(kept) >= 3
    town.execute("SELECT registry.rebuild_sights()")
    assert kept == sights(town)


@pytest.mark.parametrize("what", ["worker", "lead", "camera"])
def test_a_site_and_what_its_score_hangs_on_written_beside_each_other(town: Connection, what: str) -> None:
    """Who is assigned sees no site that another has not committed yet; its score was kept when he commits."""
    cell = one(town, "SELECT code FROM territory.grid_cell WHERE name_zh = '5,0'")["code"]
    watching = add_camera(town, 2810, 210, box(2700, 200, 20, 20), seen=datetime.now(UTC))
    if what == "worker":
        town.execute("DELETE FROM duty.grid_staff WHERE cell_code = %s", (cell,))
    keep_risk(town)
    with beside(town) as writing, beside(town) as assigning:
        assigning.execute("BEGIN")
        if what == "worker":
            assigning.execute(
                "INSERT INTO duty.grid_staff (cell_code, person_id, role, assigned_from) VALUES (%s, %s, 'worker', '2020-01-01')",
                (cell, add_person(town, "网格员")),
            )
        elif what == "lead":
            assign(assigning, "R02", COUNTY, "YJ", "confirmed", person=add_person(town, "科长"))
        else:
            assigning.execute(
                "UPDATE registry.camera SET sector = ST_Translate(sector, 100, 0) WHERE id = %s", (watching,)
            )
        site = add_site(writing, 2810, 210, rule="R02")
        keep_risk(town)
        assigning.execute("COMMIT")
    held = one(town, "SELECT * FROM analysis.risk_state(now()) WHERE site_id = %s", site)
    keep_risk(town)
    kept = one(town, "SELECT has_worker, is_seen FROM registry.site_risk WHERE site_id = %s", site)
    true = one(town, "SELECT has_worker, is_seen FROM analysis.risk_site_of(now(), ARRAY[%s::bigint])", site)
    assert kept == true == {name: held[name] for name in true}
    cells = "SELECT has_duty_gap, top_has_duty_gap FROM {} WHERE cell_code = %s"
    assert one(town, cells.format("registry.cell_risk"), cell) == one(
        town, cells.format("analysis.risk_cell_of(now())"), cell
    )
    assert true["is_seen" if what == "camera" else "has_worker"]


def test_a_camera_is_looked_through_on_the_days_of_the_city(town: Connection) -> None:
    # Before eight in the morning in Shanghai it is still yesterday in UTC.
    early = datetime(2026, 3, 10, 20, tzinfo=UTC)  # 2026-03-11 04:00 there
    with town.transaction(force_rollback=True):
        town.execute("DELETE FROM registry.camera")
        add_camera(town, 100, 90, None)

        def connected(at: datetime) -> tuple[int, int]:
            town.execute("SELECT watch.record_connections(%s)", (at,))
            held = one(town, "SELECT count(*) AS n FROM watch.camera_connection WHERE until IS NULL")["n"]
            return sync_cameras(town, at=at), held

        town.execute("UPDATE registry.camera SET retired_on = '2026-03-11'")
        town.execute("DELETE FROM watch.camera_connection")
        assert connected(early - timedelta(hours=5)) == (1, 1)
        assert connected(early) == (0, 0)
        town.execute("UPDATE registry.camera SET retired_on = NULL, installed_on = '2100-01-02'")
        assert connected(datetime(2100, 1, 1, 15, tzinfo=UTC)) == (0, 0)
        assert connected(datetime(2100, 1, 1, 17, tzinfo=UTC)) == (1, 1)


def test_a_map_is_new_when_anything_that_it_is_drawn_from_is(town: Connection) -> None:
    """By its version at once, whatever its clock says."""
    site, who = add_site(town, 600, 100), caller(town, "of-the-district", "committee")
    assign(town, "R01", COUNTY, "YJ", "confirmed", person=add_person(town, "科长"))
    add_area(town, site, 600, 100, 100, 100)
    risk = ("risk_cell", "risk_site")
    for layers, change in (
        ((*risk, "coverage_gap"), lambda: add_hazard(town, site, "serious", AS_OF - DAY)),
        ((*risk, "coverage_gap"), lambda: town.execute("TRUNCATE inspection.hazard CASCADE")),
        ((*risk, "coverage_gap"), lambda: add_visit(town, site, "patrol", AS_OF - DAY)),
        (risk, lambda: add_certificate(town, site, AS_OF)),
        (risk, lambda: town.execute("UPDATE registry.key_risk_area SET status = 'retired'")),
        ((*risk, "key_risk_area", "coverage_gap"), lambda: town.execute("UPDATE analysis.parameter SET value = 0.5 WHERE name = 'seen_fraction_min'")),
        (("duty_gap",), lambda: town.execute("DELETE FROM duty.unit_staff")),
        (("site", "duty_gap"), lambda: town.execute("UPDATE duty.rule SET category = 'public'")),
    ):  # fmt: skip
        before = {name: layer_version(town, LAYERS[name], who) for name in layers}
        clock = one(town, "SELECT floor(extract(epoch FROM now()) / 60) AS n")
        change()
        after = {name: layer_version(town, LAYERS[name], who) for name in layers}
        if clock == one(town, "SELECT floor(extract(epoch FROM now()) / 60) AS n"):
            assert [name for name in layers if before[name] == after[name]] == []


EMPTIED = {
    "registry.risk_hex": "risk_rate", "watch.expected_event": "event_surface", "watch.camera_health": "camera",
    "territory.no_cell_piece": "no_cell", "territory.cell_simplified": "cell", "territory.unit_simplified": "unit",
    "registry.site_risk": "risk_site", "registry.cell_risk": "risk_cell", "registry.site_bin": "site",
    "registry.cell_sight": "coverage_gap", "registry.area_sight": "key_risk_area", "watch.event_bin": "event_heat",
    "watch.event_day": "event_heat",
}  # fmt: skip


@pytest.mark.parametrize("table", EMPTIED)
def test_a_table_that_is_emptied_renews_its_map_and_takes_nothing_true_away(
    town: Connection, table: str
) -> None:
    who = caller(town, f"emptied-{table.split('.')[1]}".replace("_", "-"), "committee")
    with town.transaction(force_rollback=True):
        site = add_site(town, 600, 100)
        add_area(town, site, 610, 110, 100, 100)
        add_camera(town, 590, 90, box(590, 90, 100, 100), seen=datetime.now(UTC))
        town.execute(
            "SELECT analysis.keep_risk(), analysis.refresh_no_cell(), registry.rebuild_site_bin(true), registry.refresh_sights()"
        )
        layer = LAYERS[EMPTIED[table]]
        figures = (
            "SELECT site_id, score FROM analysis.risk_site ORDER BY 1", "SELECT cell_code, level, score FROM analysis.risk_cell ORDER BY 1",
            "SELECT count(*) AS n, sum(area_m2) AS m2 FROM analysis.no_cell", "SELECT cell_code, round(seen_m2) AS m2 FROM analysis.coverage_cell ORDER BY 1",
            "SELECT id, round(seen_m2) AS m2 FROM analysis.key_risk_area ORDER BY 1", "SELECT length(tiles.site(8, 214, 105)) > 30 AS is_drawn",
        )  # fmt: skip
        held = [town.execute(query.encode()).fetchall() for query in figures if "camera" not in table]
        before = layer_version(town, layer, who)
        town.execute(f"TRUNCATE {table}".encode())
        assert layer_version(town, layer, who) != before
        assert [town.execute(query.encode()).fetchall() for query in figures if "camera" not in table] == held


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("review_age_minutes", 0), ("place_step_m", 0.01), ("risk_hex_m", 1), ("risk_power_h", 1e3),
        ("check_days_red", 1e11), ("camera_online_minutes", 1e11), ("not_observed_hours", 1e11), ("ledger_years", 1e5),
    ],
)  # fmt: skip
def test_no_constant_takes_every_map_away(town: Connection, name: str, value: float) -> None:
    with pytest.raises(psycopg.errors.CheckViolation), town.transaction():
        town.execute("UPDATE analysis.parameter SET value = %s WHERE name = %s", (value, name))
