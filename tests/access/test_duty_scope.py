"""Duties under a reader's role: true figures of the own towns, nothing of others; contacts and decisions for whom they are."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from clones import AS_OF
from small_town import COMMUNITY_A, COUNTY, TOWN_A, TOWN_B, add_person, add_site, assign, small_town
from test_scope_figures import firm, reader, under

from geoapp.database.cluster import PrivateCluster

Connection = psycopg.Connection[dict[str, Any]]
VIEWS = ("duty_department_at", "duty_unit_at", "duty_type_at", "duty_ground_at")


@pytest.fixture(scope="module")
def database(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        person = add_person(connection, "科长")
        assign(connection, "R01", COUNTY, "YJ", "confirmed", person=person)
        assign(connection, "R02", TOWN_A, "XF", "disputed")
        assign(connection, "R02", TOWN_B, "XF", "confirmed", person=person)
        for x, y, rule in (
            (600, 100, "R01"),
            (1300, 300, "R02"),
            (100, 900, None),
            (2600, 100, "R02"),
            (2700, 200, None),
        ):
            add_site(connection, x, y, rule=rule)
        # A site of town A that stands in a cell of town B.
        over = add_site(connection, 2100, 300, rule="R02")
        connection.execute("UPDATE registry.site SET town_code = %s WHERE id = %s", (TOWN_A, over))
        connection.execute(
            "UPDATE registry.site SET contact_name = '张三', contact_phone = '13800000000', gbt4754 = 'G5623'"
        )
        yield connection


@pytest.fixture
def town(database: Connection) -> Iterator[Connection]:
    with database.transaction(force_rollback=True):
        yield database


@pytest.mark.parametrize("level", ["town", "community", "cell"])
@pytest.mark.parametrize("view", VIEWS)
def test_a_town_reads_what_is_true_of_it_and_nothing_of_another(
    town: Connection, view: str, level: str
) -> None:
    query = f"SELECT * FROM analysis.{view}(%s, %s)"
    owner = town.execute(query.encode(), (AS_OF, level)).fetchall()
    a, b = (under(town, reader(town, f"of-{t[8]}", [t]), query, (AS_OF, level)) for t in (TOWN_A, TOWN_B))
    for code, mine in ((TOWN_A, a), (TOWN_B, b)):
        expected = sorted(str(r) for r in owner if r["town_code"] == code)
        assert sorted(str(r) for r in mine if r["town_code"] == code) == expected, (view, level)
        # Besides: another town's sites that stand in the own cells, by their cell.
        for row in mine:
            if row["town_code"] != code:
                assert level != "town"
                assert row["unit_code"].startswith(code[:9]), row
                assert row in owner
    assert {r["town_code"] for r in a if level == "town"} <= {TOWN_A}


def test_who_sees_no_whole_unit_gets_no_figure(town: Connection) -> None:
    site = town.execute("SELECT min(id) AS id FROM registry.site").fetchone()
    assert site is not None
    company, community = firm(town, "firm", [site["id"]]), reader(town, "com", [COMMUNITY_A])
    for view in VIEWS:
        for level in ("district", "town"):
            assert under(town, company, f"SELECT * FROM analysis.{view}(%s, %s)", (AS_OF, level)) == []
            assert under(town, community, f"SELECT * FROM analysis.{view}(%s, %s)", (AS_OF, level)) == []
        assert under(town, company, f"SELECT * FROM analysis.{view}(%s, 'cell')", (AS_OF,)) == []
        mine = under(town, community, f"SELECT * FROM analysis.{view}(%s, 'cell')", (AS_OF,))
        assert mine
        assert all(r["unit_code"].startswith(COMMUNITY_A) for r in mine), view
    assert under(town, company, "SELECT * FROM analysis.duty_proposal_at(%s)", (AS_OF,)) == []


def test_industries_that_wait_are_counted_in_the_own_town_only(town: Connection) -> None:
    def counts(role: str | None) -> set[tuple[str, int]]:
        query = "SELECT DISTINCT industry, site_count FROM analysis.duty_proposal_at(%s)"
        found = (
            town.execute(query.encode(), (AS_OF,)).fetchall()
            if role is None
            else under(town, role, query, (AS_OF,))
        )
        return {(r["industry"], r["site_count"]) for r in found}

    assert counts(None) == {("G5623", 2)}
    assert counts(reader(town, "of-a", [TOWN_A])) == {("G5623", 1)}


@pytest.mark.parametrize(
    ("role", "shown"),
    [
        ("committee", True),
        ("duty_officer", True),
        ("inspector", True),
        ("planner", False),
        ("analyst", False),
    ],
)
def test_the_sites_own_contact_is_for_those_who_may_read_it(town: Connection, role: str, shown: bool) -> None:
    site = town.execute("SELECT min(id) AS id FROM registry.site WHERE town_code = %s", (TOWN_A,)).fetchone()
    assert site is not None
    mine = under(
        town,
        reader(town, "one", [TOWN_A], role=role),
        "SELECT * FROM analysis.duty_chain_at(%s, %s)",
        (AS_OF, site["id"]),
    )
    contact = mine[-1]
    assert contact["office"] == "site_contact"
    assert (contact["state"], contact["is_vacant"]) == (
        ("confirmed", False) if shown else ("not_shown", None)
    ), "hidden is not vacant"
    assert (contact["person_name"], contact["phone"]) == (("张三", "13800000000") if shown else (None, None))
    assert next(r for r in mine if r["office"] == "grid_worker")["person_name"] == "网格员"


def test_of_a_site_next_door_there_is_no_chain(town: Connection) -> None:
    other = town.execute("SELECT min(id) AS id FROM registry.site WHERE town_code = %s", (TOWN_B,)).fetchone()
    assert other is not None
    query = "SELECT * FROM analysis.duty_chain_at(%s, %s)"
    assert under(town, reader(town, "of-a", [TOWN_A]), query, (AS_OF, other["id"])) == []
    assert len(under(town, reader(town, "of-b", [TOWN_B]), query, (AS_OF, other["id"]))) == 8
    own = firm(town, "firm", [other["id"]])
    mine = under(town, own, query, (AS_OF, other["id"]))
    assert [r["is_vacant"] for r in mine if r["office"] in ("lead_department", "grid_worker")] == [
        False,
        False,
    ]


def test_only_the_districts_committee_decides_on_an_industry(town: Connection) -> None:
    query = "SELECT * FROM duty.designate('G5623', NULL, 'YJ', '无人机起降场', '', 'R01', '金安委〔2026〕7号', '2026-11-01')"
    for login, areas, role in (
        ("of-a", [TOWN_A], "committee"),
        ("analyst", [], "analyst"),
        ("admin", [], "admin"),
    ):
        who = reader(town, login, areas, role=role)
        with pytest.raises(psycopg.errors.InsufficientPrivilege), town.transaction():
            under(town, who, query)
    whole = reader(town, "whole", [])
    with town.transaction():
        town.execute("SET LOCAL geoapp.reason = '会议决定'")
        made = under(town, whole, query)[0]
    assert made["site_count"] == 2
    kept = town.execute(
        "SELECT subject, action, reason FROM access.audit WHERE db_role = %s AND action <> 'test' ORDER BY id",
        (whole,),
    ).fetchall()
    assert {r["subject"] for r in kept} == {
        "duty.rule",
        "duty.assignment",
        "registry.site",
        "duty.designation",
    }
    assert {r["reason"] for r in kept} == {"会议决定"}
