"""Kept scores: they are what working them out anew would give, whatever was changed and however late somebody looks."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from access.signed_in import account
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from small_town import (
    COUNTY,
    TOWN_A,
    TOWN_B,
    add_area,
    add_camera,
    add_certificate,
    add_hazard,
    add_incident,
    add_person,
    add_site,
    add_visit,
    assign,
    box,
    small_town,
)

from geoapp.database.cluster import PrivateCluster
from geoapp.registry.kept_risk import keep_risk

Connection = psycopg.Connection[dict[str, Any]]
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
KEPT = "SELECT * FROM analysis.risk_site_at(now())"
WORKED_OUT = (
    "SELECT r.site_id, r.cell_code, r.town_code, r.level, r.override_reason, r.unknown_parts, r.is_stale, r.is_seen, r.score, r.raw"
    " FROM analysis.risk_site_of(now()) AS r ORDER BY 1"
)


@pytest.fixture(scope="module")
def _database(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, NOW) as connection:
        worker = add_person(connection, "科长")
        assign(connection, "R01", COUNTY, "YJ", "confirmed", person=worker)
        for n, x in enumerate((100, 130, 600, 900, 2100, 2150, 2600)):
            site = add_site(connection, x, 100 + n, hazard=("blue", "yellow", "orange", None)[n % 4])
            add_visit(connection, site, "patrol", NOW - (5 + n) * DAY)
            if n % 2:
                add_hazard(connection, site, "general", NOW - 9 * DAY, deadline=NOW - DAY)
                add_certificate(connection, site, NOW)
        add_camera(connection, 90, 100, box(95, 95, 20, 20), seen=NOW - timedelta(minutes=1))
        keep_risk(connection)
        yield connection


@pytest.fixture
def town(_database: Connection) -> Iterator[Connection]:
    # Each change is a transaction of its own, as in life: now() is the time of the transaction.
    _database.execute("SELECT * FROM analysis.keep_risk()")
    with _database.transaction(force_rollback=True):
        yield _database


def compared(connection: Connection, columns: str = "*") -> None:
    """Kept rows and what is due, put together, against everything worked out: sites and cells."""
    kept = {r["site_id"]: r for r in connection.execute(KEPT).fetchall()}
    for row in connection.execute(WORKED_OUT).fetchall():
        held = kept.pop(row["site_id"])
        for name, value in row.items():
            assert held[name] == (pytest.approx(value, abs=0.06) if isinstance(value, float) else value), name
    assert not kept
    one = connection.execute(
        "SELECT * FROM analysis.risk_site_at(now(), only_sites => ARRAY[(SELECT min(id) FROM registry.site)])"
    ).fetchall()
    assert [r["site_id"] for r in one] == [
        row["site_id"] for row in connection.execute(WORKED_OUT).fetchall()
    ][: len(one)]
    cells = {
        r["cell_code"]: r
        for r in connection.execute(
            "SELECT c.*, a.look FROM analysis.risk_cell_state(now()) AS c JOIN analysis.risk_cell_at(now()) AS a ON a.cell_code = c.cell_code"
        ).fetchall()
    }
    # A moment that is not now() is worked out from the rows themselves.
    anew = connection.execute(
        "SELECT * FROM analysis.risk_cell_of(now() + interval '1 microsecond')"
    ).fetchall()
    assert cells.keys() == {r["cell_code"] for r in anew}
    for row in anew:
        counts = ("red", "orange", "yellow", "no_data", "no_owner", "blue")
        assert sum(row[f"{look}_count"] for look in counts) == row["site_count"]
        for name, value in row.items():
            held = cells[row["cell_code"]][name]
            assert name in ("computed_at", "exact_until") or held == (
                pytest.approx(value, abs=0.06) if isinstance(value, float) else value
            ), name


def is_kept(connection: Connection) -> bool:
    row = connection.execute("SELECT analysis.risk_is_kept() AS yes").fetchone()
    assert row is not None
    return bool(row["yes"])


def first(connection: Connection, query: str = "SELECT min(id) AS id FROM registry.site") -> Any:
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row["id"]


def run(query: str) -> Callable[[Connection], Any]:
    return lambda connection: connection.execute(query.encode())


CHANGES: dict[str, Callable[[Connection], Any]] = {
    "hazard found": lambda c: add_hazard(c, first(c), "major", NOW),
    "hazard closed": run("UPDATE inspection.hazard SET state = 'verified_closed', closed_at = now()"),
    "deadline moved": run("UPDATE inspection.hazard SET deadline = deadline - interval '40 days'"),
    "hazard deleted": run("DELETE FROM inspection.hazard"),
    "hazard moved to another site": run("UPDATE inspection.hazard SET site_id = (SELECT min(id) FROM registry.site)"),
    "visit": lambda c: add_visit(c, first(c), "self_check", NOW),
    "check overdue": run("UPDATE inspection.visit SET done_at = done_at - interval '2 years'"),
    "visit that was none": run("UPDATE inspection.visit SET outcome = 'unknown'"),
    "certificate not valid": run("UPDATE registry.certificate SET verified_result = 'expired'"),
    "certificate removed": run("DELETE FROM registry.certificate"),
    "lead": lambda c: add_incident(c, first(c, "SELECT min(id) AS id FROM registry.camera"), first(c), NOW),
    "confirmed work": lambda c: add_incident(
        c, first(c, "SELECT min(id) AS id FROM registry.camera"), first(c), NOW, review="confirmed", reviewed_at=NOW
    ),
    "graded": run("UPDATE registry.site SET hazard_level = 'red', people = 2000, vulnerability = 'both'"),
    "moved to another cell": run(
        "UPDATE registry.site AS s SET geom = ST_Translate(s.geom, 2000, 0), town_code = '310116102000',"
        " cell_code = (SELECT g.code FROM territory.grid_cell AS g WHERE ST_Contains(g.geom, ST_Translate(s.geom, 2000, 0)))"
        " WHERE s.id = (SELECT min(id) FROM registry.site)"
    ),
    "new site": lambda c: add_site(c, 1300, 100),
    "closed for good": run("UPDATE registry.site SET active_to = current_date - 2 WHERE id = (SELECT min(id) FROM registry.site)"),
    "opens next month": run("UPDATE registry.site SET active_from = current_date + 30 WHERE id = (SELECT min(id) FROM registry.site)"),
    "site removed": run(
        "WITH s AS (SELECT max(id) AS id FROM registry.site), v AS (DELETE FROM inspection.visit USING s WHERE site_id = s.id)"
        " DELETE FROM registry.site USING s WHERE site.id = s.id"
    ),
    "worker left": run("UPDATE duty.grid_staff SET assigned_to = '2021-01-01' WHERE role = 'worker'"),
    "worker came": run("DELETE FROM duty.grid_staff WHERE role = 'worker'"),
    "lead disputed": run("UPDATE duty.assignment SET status = 'disputed'"),
    "lead of a town": lambda c: assign(c, "R01", TOWN_B, "XF", "disputed"),
    "camera silent": run("UPDATE watch.camera_health SET last_observed_at = now() - interval '1 day'"),
    "camera turned": lambda c: c.execute(f"UPDATE registry.camera SET sector = ST_GeomFromText('{box(590, 90, 40, 40)}', 4549)".encode()),
    "camera switched off": run("UPDATE registry.camera SET enabled = false"),
    "new camera": lambda c: add_camera(c, 590, 100, box(595, 95, 30, 30), seen=NOW),
    "area under a camera": lambda c: add_area(c, first(c, "SELECT max(id) AS id FROM registry.site"), 96, 96, 10, 10),
    "constant": run("UPDATE analysis.parameter SET value = 5 WHERE name = 'risk_w_general'"),
    "hazards truncated": run("TRUNCATE inspection.hazard"),
    "unit": run("UPDATE territory.unit SET name_en = 'Other' WHERE level = 'town'"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen_at_once_and_kept_next(town: Connection, change: str) -> None:
    assert is_kept(town)
    CHANGES[change](town)
    compared(town)
    town.execute("SELECT * FROM analysis.keep_risk()")
    assert is_kept(town)
    assert town.execute("SELECT count(*) AS n FROM analysis.risk_due_sites()").fetchone() == {"n": 0}
    compared(town)


def test_a_few_at_a_time_come_to_the_same_end(town: Connection) -> None:
    town.execute("UPDATE analysis.parameter SET value = 5 WHERE name = 'risk_w_general'")
    town.execute("UPDATE registry.site SET people = 500")
    steps = 0
    while True:
        row = town.execute("SELECT * FROM analysis.keep_risk(2)").fetchone()
        assert row is not None
        steps += 1
        assert is_kept(town)
        compared(town)
        if not row["still_due"]:
            break
        assert 0 < row["sites"] <= 2
    assert steps == 4


def test_nothing_due_is_nothing_done(town: Connection) -> None:
    assert keep_risk(town).sites == 0
    town.execute("UPDATE registry.site SET contact_phone = '1', updated_at = now()")
    town.execute("UPDATE registry.camera SET name_zh = name_zh || '一'")
    done = keep_risk(town)
    assert (done.sites, done.cells, done.still_due, done.was_all) == (0, 0, 0, False)


def test_the_watch_keeps_them_with_its_own_rights(town: Connection) -> None:
    add_hazard(town, first(town), "major", NOW)
    town.execute("SET LOCAL ROLE geoapp_watch")
    row = town.execute("SELECT * FROM analysis.keep_risk(5000)").fetchone()
    hexagons = town.execute("SELECT analysis.keep_risk_surface('15 minutes') AS n").fetchone()
    again = town.execute("SELECT analysis.keep_risk_surface('15 minutes') AS n").fetchone()
    town.execute("RESET ROLE")
    assert row is not None
    assert (row["sites"], row["still_due"]) == (1, 0)
    assert hexagons is not None
    assert hexagons["n"] > 40
    assert again == {"n": None}, "young enough"


def test_many_changes_in_one_statement_are_one_note(town: Connection) -> None:
    site = first(town)
    town.execute(
        "SELECT set_config('geoapp.batch', 'many', true)"
    )  # a load: one record in the audit, not 20,001
    town.execute(
        "INSERT INTO inspection.visit (site_id, kind, done_at, outcome) SELECT %s, 'patrol', now() - n * interval '1 s', 'ok'"
        " FROM generate_series(1, 20001) AS n",
        (site,),
    )
    assert not is_kept(town)
    compared(town)
    assert keep_risk(town).was_all


HAZARDS = st.lists(
    st.tuples(
        st.sampled_from(["general", "serious"]), st.integers(1, 120), st.integers(-40, 40), st.booleans()
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hazards=HAZARDS, visited=st.integers(0, 100), certified=st.booleans(), share=st.floats(0.01, 0.99))
def test_until_exact_until_the_clock_changes_next_to_nothing(
    town: Connection, hazards: list[Any], visited: int, certified: bool, share: float
) -> None:
    """At any moment before exact_until the score has moved by risk_drift_points at most, and no step of it was taken."""
    with town.transaction(force_rollback=True):
        site = add_site(town, 650, 150, hazard="orange")
        add_visit(town, site, "patrol", NOW - visited * DAY)
        for hazard_class, age, late, closed in hazards:
            add_hazard(
                town, site, hazard_class, NOW - (age + 1) * DAY, deadline=NOW - late * DAY, closed_at=NOW - age * DAY if closed else None
            )  # fmt: skip
        if certified:
            add_certificate(town, site, NOW)
        query = "SELECT * FROM analysis.risk_site_of(%s, ARRAY[%s]::bigint[])"
        before = town.execute(query, (NOW, site)).fetchone()
        assert before is not None
        assert before["exact_until"] > NOW
        until = before["exact_until"]
        after = town.execute(query, (NOW + (until - NOW) * share, site)).fetchone()
        assert after is not None
        assert abs(after["score"] - before["score"]) <= 0.0501
        for name in ("control", "unknown_parts", "is_stale", "override_reason", "newest_data_at"):
            assert after[name] == before[name]


def test_a_town_reads_its_own_scores_and_no_others(town: Connection) -> None:
    town.execute("SELECT analysis.keep_risk_surface()")
    made = account(town, "of-a", "committee", areas=[TOWN_A])
    role = town.execute("SELECT db_role FROM access.account WHERE id = %s", (made,)).fetchone()
    assert role is not None
    add_hazard(
        town,
        first(town, f"SELECT max(id) AS id FROM registry.site WHERE town_code = '{TOWN_B}'"),
        "major",
        NOW,
    )
    add_hazard(
        town,
        first(town, f"SELECT max(id) AS id FROM registry.site WHERE town_code = '{TOWN_A}'"),
        "major",
        NOW,
    )
    asked = {
        "sites": "SELECT DISTINCT town_code AS t FROM registry.site_risk",
        "cells": "SELECT DISTINCT left(cell_code, 9) || '000' AS t FROM registry.cell_risk",
        "due": "SELECT DISTINCT s.town_code AS t FROM registry.risk_due AS d LEFT JOIN registry.site AS s ON s.id = d.site_id",
        "hexagons": "SELECT DISTINCT unnest(town_codes) AS t FROM registry.risk_hex",
        "view": "SELECT DISTINCT town_code AS t FROM analysis.risk_site",
    }
    owner = {name: {r["t"] for r in town.execute(query.encode()).fetchall()} for name, query in asked.items()}
    assert all(towns >= {TOWN_A, TOWN_B} for towns in owner.values()), owner
    town.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role["db_role"])))
    mine = {name: {r["t"] for r in town.execute(query.encode()).fetchall()} for name, query in asked.items()}
    with pytest.raises(psycopg.errors.InsufficientPrivilege), town.transaction():
        town.execute("SELECT analysis.keep_risk()")
    town.execute("RESET ROLE")
    assert all(towns == {TOWN_A} for towns in mine.values()), mine
