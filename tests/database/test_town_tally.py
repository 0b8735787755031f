"""Figures of the first screen from kept counts: what adding up the sites one by one gives, for every reader, whatever was changed."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from access.signed_in import account
from psycopg import sql
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

from geoapp.database.cluster import PrivateCluster
from geoapp.registry.kept_risk import keep_risk

Connection = psycopg.Connection[dict[str, Any]]
NOW = datetime.now(UTC)
DAY = timedelta(days=1)

# The same from the rows that the reader sees, one by one.
ONE_BY_ONE = """
WITH office AS (SELECT analysis.city_date(now()) AS today),
worker AS (
    SELECT DISTINCT g.cell_code FROM duty.grid_staff AS g, office AS o
    WHERE g.role = 'worker' AND g.assigned_from <= o.today AND (g.assigned_to IS NULL OR g.assigned_to > o.today)
),
staff AS (
    SELECT DISTINCT s.unit_code FROM duty.unit_staff AS s, office AS o
    WHERE s.assigned_from <= o.today AND (s.assigned_to IS NULL OR s.assigned_to > o.today)
)
SELECT
    s.town_code, count(*) AS site_count,
    count(*) FILTER (WHERE s.duty_status NOT IN ('confirmed', 'no_person')) AS no_lead_count,
    count(*) FILTER (WHERE s.duty_status <> 'confirmed') AS lead_gap_count,
    count(*) FILTER (WHERE NOT (s.duty_status = 'confirmed' AND w.cell_code IS NOT NULL AND t.unit_code IS NOT NULL)) AS unanswered_count,
    count(*) FILTER (WHERE k.is_overdue) AS overdue_count
FROM analysis.site AS s
JOIN analysis.site_check AS k ON k.site_id = s.id
LEFT JOIN worker AS w ON w.cell_code = s.cell_code
LEFT JOIN staff AS t ON t.unit_code = s.town_code
GROUP BY s.town_code
"""
TALLY = "SELECT * FROM analysis.town_tally"
GAPS = "SELECT kind, town_code, n::bigint AS n FROM analysis.coverage_gap_count"
LOOKS = "SELECT look, n FROM analysis.risk_look_count"
LOOK_ROWS = "SELECT look, count(*) FROM analysis.risk_site GROUP BY look"
GAP_ROWS = "SELECT kind, town_code, count(*) AS n FROM analysis.coverage_gap GROUP BY kind, town_code"


@pytest.fixture(scope="module")
def city(cluster: PrivateCluster) -> Iterator[Connection]:
    """Sites of all standings in both towns; one in no cell, one in a cell of the other town, one of no town."""
    with small_town(cluster, NOW) as connection:
        person = add_person(connection, "科长")
        assign(connection, "R01", COUNTY, "YJ", "confirmed", person=person)
        assign(connection, "R02", COUNTY, "YJ", "confirmed")
        for n, x in enumerate((100, 130, 600, 900, 2100, 2150, 2600, 110, 2110)):
            site = add_site(
                connection,
                x,
                100 + n,
                hazard=("blue", "red", "orange", None)[n % 4],
                rule=("R01", "R02", None)[n % 3],
            )
            if n % 2:
                add_visit(connection, site, "patrol", NOW - (5 + 40 * n) * DAY)
        lost, guest, nobody = (add_site(connection, x, 300, rule="R01") for x in (140, 620, 2120))
        connection.execute("UPDATE registry.site SET cell_code = NULL WHERE id = %s", (lost,))
        connection.execute("UPDATE registry.site SET town_code = %s WHERE id = %s", (TOWN_B, guest))
        connection.execute("UPDATE registry.site SET town_code = NULL WHERE id = %s", (nobody,))
        connection.execute(
            "INSERT INTO duty.grid_staff (cell_code, person_id, role, assigned_from)"
            " SELECT s.cell_code, %s, 'worker', '2024-01-01' FROM registry.site AS s WHERE s.cell_code IS NOT NULL"
            " GROUP BY s.cell_code HAVING min(s.id) %% 2 = 0 ON CONFLICT DO NOTHING",
            (person,),
        )
        connection.execute(
            "INSERT INTO duty.unit_staff (unit_code, person_id, role, assigned_from) SELECT %s, %s, s.role, '2024-01-01'"
            " FROM (SELECT u.role FROM duty.unit_staff AS u UNION ALL SELECT 'leader' LIMIT 1) AS s ON CONFLICT DO NOTHING",
            (TOWN_A, person),
        )
        add_area(connection, guest, 610, 290, 20, 20)
        add_camera(connection, 90, 100, box(95, 95, 20, 20), seen=NOW - timedelta(minutes=1))
        add_camera(connection, 2090, 100, box(2095, 95, 20, 20), seen=NOW - timedelta(days=3))
        for login, areas in (("of-a", [TOWN_A]), ("of-b", [TOWN_B]), ("of-a1", [COMMUNITY_A])):
            account(connection, login, "committee", areas=areas)
        account(connection, "of-firm", "enterprise", sites=[guest, lost])
        account(connection, "of-all", "committee")
        keep_risk(connection)
        yield connection


def told(city: Connection, login: str | None, query: str) -> set[tuple[Any, ...]]:
    """Rows of a query as an account reads them, None = the owner."""
    with city.transaction():
        if login is not None:
            row = city.execute("SELECT db_role FROM access.account WHERE login = %s", (login,)).fetchone()
            assert row is not None
            city.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(row["db_role"])))
        rows = city.execute(query.encode()).fetchall()
        city.execute("RESET ROLE")
    return {tuple(row.values()) for row in rows}


CHANGES = {
    "nothing": "SELECT",
    "a visit": "INSERT INTO inspection.visit (site_id, kind, done_at, outcome) SELECT max(id), 'patrol', now(), 'ok' FROM registry.site",
    "a lead": f"UPDATE duty.assignment SET status = 'disputed' WHERE unit_code = '{COUNTY}' AND rule_code = 'R01'",
    "a worker goes": "DELETE FROM duty.grid_staff",
    "nobody in the town": "DELETE FROM duty.unit_staff",
    "the guest goes home": f"UPDATE registry.site SET town_code = '{TOWN_A}' WHERE town_code = '{TOWN_B}' AND cell_code LIKE '{TOWN_A[:9]}%'",
    "a site closes": "UPDATE registry.site SET active_to = current_date - 1 WHERE id = (SELECT min(id) FROM registry.site)",
    "a site moves out of its cell": "UPDATE registry.site SET cell_code = NULL WHERE id = (SELECT min(id) FROM registry.site)",
    "a camera turns away": "UPDATE registry.camera SET sector = NULL",
}


@pytest.mark.parametrize("change", CHANGES)
def test_towns_are_the_sum_of_their_sites_for_every_reader(city: Connection, change: str) -> None:
    with city.transaction(force_rollback=True):
        city.execute(CHANGES[change].encode())
        for login in (None, "of-a"):
            assert told(city, login, TALLY) == told(city, login, ONE_BY_ONE), f"due, {login}"
        city.execute("SELECT * FROM analysis.keep_risk()")
        for login in (None, "of-all", "of-a", "of-b", "of-a1", "of-firm"):
            assert told(city, login, TALLY) == told(city, login, ONE_BY_ONE), login
            assert told(city, login, LOOKS) == told(city, login, LOOK_ROWS), login
        for login in (None, "of-b", "of-firm"):
            assert told(city, login, GAPS) == told(city, login, GAP_ROWS), login


def test_it_is_the_same_without_kept_scores_and_at_another_moment(city: Connection) -> None:
    kept = told(city, None, TALLY), told(city, None, GAPS)
    assert len(kept[0]) == 3  # both towns, and the site of none
    assert sum(row[-1] for row in kept[0]) > 0
    assert {row[0] for row in kept[1]} >= {"no_camera", "not_observed", "not_checked"}
    with city.transaction(force_rollback=True):
        city.execute("DELETE FROM registry.risk_made_from")
        assert (told(city, None, TALLY), told(city, None, GAPS)) == kept
    then = "now() + interval '1 microsecond'"
    assert told(city, None, f"SELECT * FROM analysis.town_tally_at({then})") == kept[0]


def test_a_late_hazard_is_in_the_figures_at_once(city: Connection) -> None:
    with city.transaction(force_rollback=True):
        row = city.execute(
            "SELECT s.id FROM registry.site AS s JOIN analysis.risk_site AS r ON r.site_id = s.id WHERE r.level = 'blue' AND NOT r.is_seen LIMIT 1"
        ).fetchone()
        assert row is not None
        before = {r[0]: r[2] for r in told(city, None, GAPS) if r[1] == TOWN_A}.get("no_camera", 0)
        add_hazard(city, row["id"], "major", NOW)
        assert told(city, None, TALLY) == told(city, None, ONE_BY_ONE)
        assert told(city, None, GAPS) == told(city, None, GAP_ROWS)
        assert {r[0]: r[2] for r in told(city, None, GAPS) if r[1] == TOWN_A}.get("no_camera", 0) >= before
