"""analysis.duty_chain: every office of a site's line, also the empty ones, and who answers meanwhile."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from clones import AS_OF
from small_town import COMMUNITY_A, COUNTY, TOWN_A, TOWN_B, add_person, add_site, assign, small_town

from dashboards.texts import catalogue
from geoapp.database.cluster import PrivateCluster

Connection = psycopg.Connection[dict[str, Any]]
OFFICES = [
    "district_leader", "lead_department", "town_leader", "town_safety_officer", "community_leader", "grid_chief", "grid_worker",
    "site_contact",
]  # fmt: skip


@pytest.fixture(scope="module")
def database(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        connection.execute("UPDATE duty.department SET phone = '021-1' WHERE code = 'YJ'")
        yield connection


@pytest.fixture
def town(database: Connection) -> Iterator[Connection]:
    with database.transaction(force_rollback=True):
        yield database


def chain(connection: Connection, site: int, at: Any = AS_OF) -> list[dict[str, Any]]:
    return connection.execute("SELECT * FROM analysis.duty_chain_at(%s, %s)", (at, site)).fetchall()


def office(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    found = [r for r in rows if r["office"] == name]
    assert len(found) == 1, (name, found)
    return found[0]


def put(connection: Connection, unit: str, role: str, name: str) -> None:
    connection.execute(
        "INSERT INTO duty.unit_staff (unit_code, person_id, role, assigned_from) VALUES (%s, %s, %s, '2024-05-01')",
        (unit, add_person(connection, name), role),
    )


def test_every_office_has_a_row_and_an_empty_one_says_who_answers_meanwhile(town: Connection) -> None:
    site = add_site(town, 600, 100)
    rows = chain(town, site)
    assert [r["office"] for r in rows] == OFFICES
    # The small town's leaders of county and town A, chief and worker are named; all else is empty.
    assert [r["office"] for r in rows if r["is_vacant"]] == [
        "lead_department", "town_safety_officer", "community_leader", "site_contact",
    ]  # fmt: skip
    assert office(rows, "grid_worker")["person_name"] == "网格员"
    assert office(rows, "town_leader")["unit_zh"] == "甲镇"
    lead = office(rows, "lead_department")
    assert (lead["state"], lead["meanwhile_office"], lead["meanwhile_name"]) == (
        "missing",
        "district_leader",
        "网格长",
    )
    assert office(rows, "community_leader")["meanwhile_office"] == "town_leader", (
        "past the empty officer, to the leader"
    )
    assert office(rows, "site_contact")["meanwhile_office"] == "grid_worker"
    put(town, TOWN_A, "safety_officer", "安办主任")
    put(town, COMMUNITY_A, "leader", "书记")
    town.execute(
        "UPDATE registry.site SET contact_name = '张三', contact_phone = '138' WHERE id = %s", (site,)
    )
    assign(town, "R01", COUNTY, "YJ", "confirmed", person=add_person(town, "科长"))
    rows = chain(town, site)
    assert not any(r["is_vacant"] for r in rows)
    assert [r["person_name"] for r in rows] == [
        "网格长",
        "科长",
        "网格长",
        "安办主任",
        "书记",
        "网格长",
        "网格员",
        "张三",
    ]
    assert str(office(rows, "community_leader")["since"]) == "2024-05-01"
    assert all(r["phone"] for r in rows)
    assert [r for r in rows if r["meanwhile_name"]] == []


def test_a_department_without_a_person_answers_by_its_own_office(town: Connection) -> None:
    site = add_site(town, 600, 100)
    assign(town, "R01", COUNTY, "YJ", "confirmed")
    lead = office(chain(town, site), "lead_department")
    assert (lead["state"], lead["is_vacant"], lead["unit_zh"], lead["person_name"]) == (
        "no_person",
        True,
        "应急管理局",
        None,
    )
    assert (lead["meanwhile_name"], lead["meanwhile_phone"]) == ("应急管理局", "021-1")


def test_two_leads_are_both_shown_and_a_dispute_is_held_by_nobody(town: Connection) -> None:
    site = add_site(town, 600, 100)
    person = add_person(town, "科长")
    for department in ("YJ", "XF"):
        assign(town, "R01", TOWN_A, department, "confirmed", person=person)
    leads = [r for r in chain(town, site) if r["office"] == "lead_department"]
    assert {(r["department_code"], r["state"], r["is_vacant"]) for r in leads} == {
        ("YJ", "two_leads", False),
        ("XF", "two_leads", False),
    }
    town.execute("UPDATE duty.assignment SET status = 'disputed'")
    leads = [r for r in chain(town, site) if r["office"] == "lead_department"]
    assert {(r["department_code"], r["state"], r["is_vacant"], r["person_name"]) for r in leads} == {
        ("YJ", "disputed", True, None), ("XF", "disputed", True, None),
    }  # fmt: skip


def test_a_site_in_no_cell_and_of_no_type_has_its_empty_offices_too(town: Connection) -> None:
    site = add_site(town, 100, 900, rule=None)
    rows = chain(town, site)
    assert [r["office"] for r in rows] == OFFICES
    assert {r["office"]: r["why"] for r in rows if r["why"]} == {
        "lead_department": "no_rule", "community_leader": "no_cell", "grid_chief": "no_cell", "grid_worker": "no_cell",
    }  # fmt: skip
    worker = office(rows, "grid_worker")
    assert (worker["state"], worker["meanwhile_office"]) == ("no_grid_worker", "town_leader")


def test_a_past_day_has_who_held_the_office_then(town: Connection) -> None:
    site = add_site(town, 2600, 100)
    put(town, TOWN_B, "leader", "镇长")
    town.execute("UPDATE duty.unit_staff SET assigned_to = '2026-01-01' WHERE unit_code = %s", (TOWN_B,))
    assert office(chain(town, site), "town_leader")["is_vacant"]
    assert office(chain(town, site, "2025-06-01 12:00+08"), "town_leader")["person_name"] == "镇长"
    assert chain(town, site, "1999-01-01 12:00+08") == [], "there was no such site"
    assert chain(town, 987654) == []


def test_the_words_of_duty_are_the_same_on_screens_and_in_sql(town: Connection) -> None:
    states = town.execute("SELECT * FROM analysis.duty_state ORDER BY rank").fetchall()
    for row in states:
        words = catalogue()[f"duty_state.{row['state']}"]
        assert (words["zh"], words["en"].lower()) == (row["name_zh"], row["name_en"])
        assert catalogue()[f"duty_meaning.{row['state']}"] == {
            "zh": row["meaning_zh"],
            "en": row["meaning_en"],
        }
    known = {row["state"] for row in states}
    add_site(town, 600, 100)
    add_site(town, 2600, 100, rule=None)
    said = town.execute(
        "SELECT kind AS word FROM analysis.duty_gap_at(%(t)s) UNION SELECT status FROM analysis.duty_lead_at(%(t)s)"
        " UNION SELECT state FROM analysis.duty_cell_at(%(t)s) UNION SELECT status FROM analysis.duty_site_at(%(t)s)"
        " UNION SELECT state FROM analysis.duty_unit_at(%(t)s)",
        {"t": AS_OF},
    ).fetchall()
    assert {r["word"] for r in said} == {"missing", "no_grid_worker", "no_town_person", "confirmed"}
    assert {r["word"] for r in said} <= known
    offices = {f"duty_office.{name}" for name in OFFICES}
    assert offices <= set(catalogue())
