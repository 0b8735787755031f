"""analysis.duty_matrix, duty_gap and duty_cell, and that every view says what it is."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from clones import AS_OF
from small_town import COUNTY, TOWN_A, TOWN_B, add_person, add_site, assign, small_town

from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.database.migrations import apply_definitions

Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture(scope="module")
def _database(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        yield connection


@pytest.fixture
def town(_database: Connection) -> Iterator[Connection]:
    with _database.transaction(force_rollback=True):
        yield _database


def matrix(connection: Connection, unit: str, rule: str = "R01") -> dict[str, Any]:
    row = connection.execute(
        "SELECT * FROM analysis.duty_matrix_at(%s) WHERE unit_code = %s AND rule_code = %s",
        (AS_OF, unit, rule),
    ).fetchone()
    assert row is not None
    return row


def gap_kinds(connection: Connection, subject: str) -> list[tuple[str, str]]:
    rows = connection.execute(
        "SELECT kind, subject_id FROM analysis.duty_gap_at(%s) WHERE subject = %s ORDER BY 2, 1",
        (AS_OF, subject),
    ).fetchall()
    return [(r["kind"], r["subject_id"]) for r in rows]


def test_standing_of_a_lead(town: Connection) -> None:
    person = add_person(town, "科长")
    site = add_site(town, 600, 100)
    assert matrix(town, COUNTY)["status"] == "missing"
    assign(town, "R01", COUNTY, "XF", "proposed")
    assert matrix(town, COUNTY)["status"] == "proposed"
    town.execute("UPDATE duty.assignment SET status = 'disputed'")
    assert matrix(town, COUNTY)["status"] == "disputed"
    assert gap_kinds(town, "site") == [("disputed", str(site))]
    first = assign(town, "R01", COUNTY, "YJ", "confirmed")
    row = matrix(town, COUNTY)
    assert (row["status"], row["lead_code"], row["lead_count"], row["site_count"]) == (
        "no_person",
        "YJ",
        1,
        1,
    )
    assert gap_kinds(town, "site") == [("no_person", str(site))]
    town.execute("UPDATE duty.assignment SET person_id = %s WHERE id = %s", (person, first))
    assert matrix(town, COUNTY)["status"] == "confirmed"
    assert gap_kinds(town, "site") == []
    town.execute("UPDATE duty.assignment SET status = 'designated' WHERE department_code = 'XF'")
    row = matrix(town, COUNTY)
    assert (row["status"], row["lead_code"], row["lead_count"]) == ("two_leads", None, 2)
    assert gap_kinds(town, "site") == [("two_leads", str(site))]


def test_town_sets_the_county_aside(town: Connection) -> None:
    person = add_person(town, "科长")
    a, b = add_site(town, 600, 100), add_site(town, 2600, 100)
    assign(town, "R01", COUNTY, "YJ", "confirmed", person=person)
    own = assign(town, "R01", TOWN_A, "XF", "proposed", person=person)
    # A proposal of the town changes nothing.
    assert matrix(town, TOWN_A)["lead_code"] == "YJ"
    town.execute("UPDATE duty.assignment SET status = 'confirmed' WHERE id = %s", (own,))
    assert (matrix(town, TOWN_A)["lead_code"], matrix(town, TOWN_B)["lead_code"]) == ("XF", "YJ")
    leads = town.execute("SELECT id, lead_code FROM analysis.site_at(%s) ORDER BY id", (AS_OF,)).fetchall()
    assert leads == [{"id": a, "lead_code": "XF"}, {"id": b, "lead_code": "YJ"}]
    town.execute("UPDATE duty.assignment SET status = 'disputed' WHERE id = %s", (own,))
    assert gap_kinds(town, "site") == [("disputed", str(a))]


def test_ended_assignment_leads_no_more(town: Connection) -> None:
    person = add_person(town, "科长")
    assign(town, "R01", COUNTY, "YJ", "confirmed", person=person)
    town.execute("UPDATE duty.assignment SET valid_to = '2026-11-22'")
    # AS_OF is 09:30 of the 22nd in the city: the last day was the 21st.
    assert matrix(town, COUNTY)["status"] == "missing"


def test_site_without_a_type_is_a_gap(town: Connection) -> None:
    site = add_site(town, 600, 100, rule=None)
    assert gap_kinds(town, "site") == [("missing", str(site))]


def test_types_without_sites_are_listed_once(town: Connection) -> None:
    add_site(town, 600, 100, rule="R01")
    assert gap_kinds(town, "rule") == [("missing", "R02")]


def test_town_and_cell_without_a_person(town: Connection) -> None:
    assert gap_kinds(town, "unit") == [("no_town_person", TOWN_B)]
    assert [kind for kind, _ in gap_kinds(town, "cell")] == ["no_grid_worker"]


def test_clear_rate_counts_types_that_have_sites(town: Connection) -> None:
    person = add_person(town, "科长")
    town.execute(
        "INSERT INTO duty.rule (code, place_type_zh, place_type_en, category) VALUES ('R03', '丙', 'c', 'x')"
    )
    for rule in ("R01", "R02"):
        add_site(town, 600, 100, rule=rule)
    for rule in ("R01", "R03"):
        assign(town, rule, COUNTY, "YJ", "confirmed", person=person)
    row = town.execute(
        "SELECT * FROM analysis.headline_at(%s) WHERE name = 'duty_clear_rate'", (AS_OF,)
    ).fetchone()
    assert row is not None
    assert (row["value"], row["numerator"], row["denominator"]) == (0.5, 1, 2)


def test_level_of_a_cell(town: Connection) -> None:
    person = add_person(town, "科长")
    assign(town, "R01", COUNTY, "YJ", "confirmed", person=person)
    for rule in ("R01", "R01", "R02"):
        add_site(town, 600, 100, rule=rule)
    levels = {
        r["cell_no"]: r for r in town.execute("SELECT * FROM analysis.duty_cell_at(%s)", (AS_OF,)).fetchall()
    }
    held = next(r for r in levels.values() if r["site_count"] == 3)
    # One lead of 3 + worker + chief is missing.
    assert (held["gap_site_count"], held["gap_share"], held["level"]) == (1, pytest.approx(1 / 3), 1)
    bare = next(r for r in levels.values() if not r["has_worker"])
    assert (bare["level"], bare["gap_share"]) == (4, None)
    assert sorted(r["level"] for r in levels.values()) == [0] * 8 + [1, 4]
    assert (held["state"], held["missing_count"], bare["state"]) == ("missing", 1, "no_grid_worker")
    assert {r["state"] for r in levels.values()} == {"missing", "no_grid_worker", "confirmed"}


def test_every_view_and_function_says_what_it_is(empty_url: str) -> None:
    with connect(empty_url) as connection:
        silent = connection.execute(
            """
            SELECT c.oid::regclass::text AS name FROM pg_class AS c
            WHERE c.relnamespace IN ('analysis'::regnamespace, 'tiles'::regnamespace) AND c.relkind IN ('v', 'm', 'r')
                AND coalesce(obj_description(c.oid, 'pg_class'), '') !~ '^.+;.+$|^[A-Z]'
            UNION ALL
            SELECT p.oid::regprocedure::text FROM pg_proc AS p
            WHERE p.pronamespace IN ('analysis'::regnamespace, 'tiles'::regnamespace)
                AND p.proname !~ '_at$' AND coalesce(obj_description(p.oid, 'pg_proc'), '') = ''
            """
        ).fetchall()
        assert silent == []
        unpaired = connection.execute(
            "SELECT p.proname FROM pg_proc AS p WHERE p.pronamespace = 'analysis'::regnamespace AND p.proname ~ '_at$'"
            " AND p.proname NOT IN ('online_sector_at', 'shift_start_at', 'unwatched_at', 'blind_area_at',"
            " 'risk_explained_at', 'risk_measures_at', 'risk_cell_explained_at', 'duty_chain_at') AND to_regclass('analysis.' || left(p.proname, -3)) IS NULL"
        ).fetchall()
        assert unpaired == []


def test_a_missing_constant_is_said_and_never_guessed(town: Connection) -> None:
    add_site(town, 600, 100)
    town.execute("DELETE FROM analysis.parameter WHERE name = 'risk_raw_scale'")
    with pytest.raises(psycopg.errors.RaiseException, match="risk_raw_scale"):
        town.execute("SELECT * FROM analysis.risk_site")


def test_a_changed_constant_changes_the_answer_and_survives_a_renewal(empty_url: str) -> None:
    with connect(empty_url, autocommit=True) as connection:
        connection.execute("UPDATE analysis.parameter SET value = 1 WHERE name = 'risk_red_from'")
        assert connection.execute("SELECT analysis.risk_level(2) AS level").fetchone() == {"level": "red"}
        connection.execute("COMMENT ON SCHEMA tiles IS NULL")
        assert apply_definitions(empty_url, srid=4549)
        assert connection.execute("SELECT analysis.risk_level(2) AS level").fetchone() == {"level": "red"}
