"""Changing an account: what it may and sees follows at once, and somebody is always left who keeps the accounts."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from asking import web_pool
from psycopg_pool import ConnectionPool
from signed_in import account, caller, sign_in

from geoapp.access.account_changes import (
    AdminStays,
    NoSuchAccount,
    change_account,
    disable,
    enable,
    give_reason,
)
from geoapp.access.caller import Caller, Connection, acting
from geoapp.access.sessions import caller_of_session
from geoapp.access.sql_login import give_sql_login
from geoapp.database.connection import connect
from geoapp.errors import Refused

NOW = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)


@pytest.fixture
def owner(city: Connection) -> Connection:
    return city


@pytest.fixture
def pool(city_url: str, tmp_path: Path) -> Iterator[ConnectionPool[Connection]]:
    with web_pool(city_url, tmp_path) as opened:
        yield opened


@pytest.fixture
def towns(owner: Connection) -> list[str]:
    """Two towns with sites."""
    rows = owner.execute(
        "SELECT s.town_code AS code FROM registry.site AS s GROUP BY s.town_code ORDER BY count(*) DESC LIMIT 2"
    ).fetchall()
    return [row["code"] for row in rows]


def sites_of(owner: Connection, town: str) -> list[int]:
    """Sites of a town that no neighbour shares."""
    rows = owner.execute(
        "SELECT id FROM registry.site WHERE town_code = %s AND left(cell_code, 9) || '000' = %s ORDER BY id",
        (town, town),
    ).fetchall()
    return [row["id"] for row in rows]


def seen(pool: ConnectionPool[Connection], who: Caller, ids: list[int]) -> set[int]:
    with acting(pool, who) as connection:
        rows = connection.execute("SELECT id FROM registry.site WHERE id = ANY (%s)", (ids,)).fetchall()
    return {row["id"] for row in rows}


def test_a_town_duty_officer_becomes_inspector_of_another_town_at_once(
    owner: Connection, pool: ConnectionPool[Connection], towns: list[str]
) -> None:
    admin = caller(owner, "chief", "admin")
    moved = account(owner, "mover", "duty_officer", areas=[towns[0]])
    cookie, before = sign_in(owner, moved)
    here, there = sites_of(owner, towns[0])[:5], sites_of(owner, towns[1])[:5]
    hazard = (
        "INSERT INTO inspection.hazard (site_id, class, title_zh, found_at, found_by, state)"
        " VALUES (%s, 'general', '通道堵塞', now(), 'patrol', 'found')"
    )
    review = "UPDATE watch.incident SET review = 'false' WHERE false"
    assert seen(pool, before, here + there) == set(here)
    with acting(pool, before) as connection:
        connection.execute(review.encode())
    with pytest.raises(psycopg.errors.InsufficientPrivilege), acting(pool, before) as connection:
        connection.execute(hazard.encode(), (here[0],))

    with acting(pool, admin) as connection:
        give_reason(connection, "调岗")
        change_account(connection, moved, roles=["inspector"], areas=[towns[1]])

    # The session goes on, as somebody else; and whoever still holds the old Caller has the new rights, not the old ones.
    after = caller_of_session(owner, cookie, datetime.now(UTC))
    assert after is not None
    assert (after.roles, after.areas, after.db_role) == (("inspector",), (towns[1],), before.db_role)
    assert after.scope_key != before.scope_key
    assert not after.may("review_incident")
    assert after.may("write_hazard")
    for who in (before, after):
        assert seen(pool, who, here + there) == set(there)
        with acting(pool, who) as connection:
            connection.execute(hazard.encode(), (there[0],))
        with pytest.raises(psycopg.errors.InsufficientPrivilege), acting(pool, who) as connection:
            connection.execute(hazard.encode(), (here[0],))
        with pytest.raises(psycopg.errors.InsufficientPrivilege), acting(pool, who) as connection:
            connection.execute(review.encode())

    records = owner.execute(
        "SELECT action, subject, before, after FROM access.audit WHERE reason = '调岗' AND login = 'chief' ORDER BY id"
    ).fetchall()
    assert [(r["subject"], r["action"], r["before"], r["after"]) for r in records] == [
        ("access.account", "update", {"roles": ["duty_officer"]}, {"roles": ["inspector"]}),
        ("access.account_area", "delete", {"account_id": moved, "area_code": towns[0]}, None),
        ("access.account_area", "insert", None, {"account_id": moved, "area_code": towns[1]}),
    ]


def test_areas_sites_and_the_district_take_one_anothers_place(owner: Connection, towns: list[str]) -> None:
    made = account(owner, "mover", "inspector", areas=[towns[0]])
    site = sites_of(owner, towns[0])[0]

    def place() -> tuple[Any, ...]:
        row = owner.execute(
            "SELECT a.roles, a.scope, ARRAY(SELECT area_code FROM access.account_area WHERE account_id = a.id ORDER BY 1) AS areas,"
            " ARRAY(SELECT site_id FROM access.account_site WHERE account_id = a.id) AS sites,"
            " ARRAY(SELECT g.rolname::text FROM pg_auth_members AS m JOIN pg_roles AS g ON g.oid = m.roleid"
            "  JOIN pg_roles AS r ON r.oid = m.member WHERE r.rolname = a.db_role ORDER BY 1) AS groups"
            " FROM access.account AS a WHERE a.id = %s",
            (made,),
        ).fetchone()
        assert row is not None
        assert row["groups"] == sorted(
            [*(f"geoapp_{r}" for r in row["roles"]), f"geoapp_scope_{row['scope']}"]
        )
        return row["scope"], row["areas"], row["sites"]

    change_account(owner, made, areas=towns)
    assert place() == ("town", sorted(towns), [])
    change_account(owner, made, roles=["enterprise"], sites=[site])
    assert place() == ("site", [], [site])
    change_account(owner, made, roles=["committee"], areas=[])
    assert place() == ("district", [], [])
    change_account(owner, made, name_zh="新名", name_en="New", oidc_subject="u-1")
    assert place() == ("district", [], [])
    row = owner.execute(
        "SELECT name_zh, name_en, oidc_subject FROM access.account WHERE id = %s", (made,)
    ).fetchone()
    assert row == {"name_zh": "新名", "name_en": "New", "oidc_subject": "u-1"}
    change_account(owner, made, oidc_subject="")
    assert owner.execute("SELECT oidc_subject FROM access.account WHERE id = %s", (made,)).fetchone() == {
        "oidc_subject": None
    }


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"roles": ["admin"]}, "whole district"),
        ({"roles": ["enterprise"]}, "names its sites"),
        ({"roles": []}, "no such role"),
        ({"roles": ["king"]}, "no such role"),
        ({"sites": [1]}, "only an enterprise"),
        ({"areas": ["310116999000"]}, "no such unit"),
        ({"areas": ["999999000000"]}, "no such unit"),  # a county's code means all: not any county's
        ({"areas": ["31011"]}, "12 digits"),
        ({"roles": ["enterprise"], "sites": [987654321]}, "no such unit or site"),
        ({"oidc_subject": "taken"}, "another account"),
    ],
)
def test_what_does_not_go_together_changes_nothing(
    owner: Connection, towns: list[str], change: dict[str, Any], why: str
) -> None:
    other = account(owner, "other", "analyst")
    change_account(owner, other, oidc_subject="taken")
    made = account(owner, "mover", "inspector", areas=[towns[0]])
    count = (
        "SELECT count(*) AS n, (SELECT roles FROM access.account WHERE id = %s) AS roles FROM access.audit"
    )
    before = owner.execute(count.encode(), (made,)).fetchone()
    with pytest.raises(Refused, match=why):
        change_account(owner, made, **change)
    assert owner.execute(count.encode(), (made,)).fetchone() == before
    with pytest.raises(NoSuchAccount):
        change_account(owner, 987654, name_zh="x")


@pytest.mark.parametrize(
    "role", ["committee", "planner", "analyst", "duty_officer", "inspector", "enterprise"]
)
def test_only_an_admin_changes_accounts(
    owner: Connection, pool: ConnectionPool[Connection], towns: list[str], role: str
) -> None:
    site = sites_of(owner, towns[0])[:1] if role == "enterprise" else []
    who = caller(owner, "someone", role, sites=site)
    other = account(owner, "other", "inspector", areas=[towns[0]])
    for target in (who.account_id, other):
        with pytest.raises((psycopg.errors.InsufficientPrivilege, NoSuchAccount)), acting(pool, who) as c:
            change_account(c, target, roles=["admin"], areas=[])
    for statement in (
        "INSERT INTO access.account_area SELECT a.id, '310116101000' FROM access.account AS a",
        "DELETE FROM access.account_area",
        "INSERT INTO access.account_site SELECT a.id, 1 FROM access.account AS a",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), acting(pool, who) as c:
            c.execute(statement.encode())


# -- somebody is left ---------------------------------------------------------------------------------------------


def test_the_last_enabled_admin_stays_whoever_asks(
    owner: Connection, pool: ConnectionPool[Connection]
) -> None:
    chief, deputy = caller(owner, "chief", "admin"), account(owner, "deputy", "admin")
    with acting(pool, chief) as connection:
        disable(connection, deputy, NOW)
    # The owner of the tables is asked too, by statements of its own as well.
    for roles in (["analyst"], ["committee", "planner"]):
        with pytest.raises(AdminStays, match="chief is the last enabled admin"):
            change_account(owner, chief.account_id, roles=roles)
    with pytest.raises(AdminStays, match="最后一个可用的管理员"):
        disable(owner, chief.account_id, NOW)
    for statement in (
        "UPDATE access.account SET disabled_at = now()",
        "UPDATE access.account SET roles = '{analyst}' WHERE 'admin' = ANY (roles)",
        "DELETE FROM access.session; DELETE FROM access.account WHERE login = 'chief'",
    ):
        with pytest.raises(psycopg.errors.CheckViolation, match="last enabled admin"), owner.transaction():
            owner.execute(statement.encode())
    # A second role and another name take nothing away; with another admin there, it goes.
    change_account(owner, chief.account_id, roles=["admin", "planner"], name_zh="主任")
    enable(owner, deputy)
    change_account(owner, chief.account_id, roles=["planner"])
    with pytest.raises(AdminStays):
        disable(owner, deputy, NOW)


def test_an_admin_does_not_change_the_own_rights(owner: Connection, pool: ConnectionPool[Connection]) -> None:
    chief = caller(owner, "chief", "admin")
    account(owner, "deputy", "admin")
    for attempt in (["planner"], ["admin", "committee"]):
        with pytest.raises(AdminStays, match="nobody changes the own roles"), acting(pool, chief) as c:
            change_account(c, chief.account_id, roles=attempt)
    with pytest.raises(AdminStays, match="another admin"), acting(pool, chief) as c:
        disable(c, chief.account_id, NOW)
    with pytest.raises(psycopg.errors.CheckViolation), acting(pool, chief) as c:
        c.execute("UPDATE access.account SET disabled_at = now() WHERE db_role = current_user")
    with acting(pool, chief) as c:
        change_account(c, chief.account_id, name_zh="王主任", roles=["admin"], areas=[])


def test_a_demos_admin_stands_for_no_other(owner: Connection) -> None:
    made = account(owner, "demo.admin", "admin")
    owner.execute("UPDATE access.account SET is_demo = true WHERE id = %s", (made,))
    chief = account(owner, "chief", "admin")
    with pytest.raises(AdminStays):
        disable(owner, chief, NOW)
    disable(owner, made, NOW)


def test_two_admins_who_disable_each_other_at_the_same_moment(
    owner: Connection, city_url: str, pool: ConnectionPool[Connection]
) -> None:
    pair = [caller(owner, "chief", "admin"), caller(owner, "deputy", "admin")]
    both, outcomes = threading.Barrier(2), []

    def strike(who: Caller, other: Caller) -> None:
        try:
            with acting(pool, who) as connection:
                both.wait(10)
                disable(connection, other.account_id, NOW)
            outcomes.append("done")
        except AdminStays:
            outcomes.append("refused")

    threads = [threading.Thread(target=strike, args=order) for order in (pair, pair[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["done", "refused"]
    with connect(city_url) as look:
        row = look.execute(
            "SELECT count(*) AS n FROM access.account WHERE 'admin' = ANY (roles) AND disabled_at IS NULL"
        ).fetchone()
    assert row == {"n": 1}


def test_the_database_login_ends_with_the_role_that_it_was_for(owner: Connection) -> None:
    made = account(owner, "analyst", "analyst")
    row = owner.execute("SELECT * FROM access.account WHERE id = %s", (made,)).fetchone()
    assert row is not None
    give_sql_login(owner, row)
    may = "SELECT r.rolcanlogin AS ok, a.has_sql_login AS said FROM pg_authid AS r JOIN access.account AS a ON a.db_role = r.rolname WHERE a.id = %s"
    change_account(owner, made, roles=["analyst", "planner"])
    assert owner.execute(may.encode(), (made,)).fetchone() == {"ok": True, "said": True}
    change_account(owner, made, roles=["analyst", "committee"])
    assert owner.execute(may.encode(), (made,)).fetchone() == {"ok": False, "said": False}
    change_account(owner, made, roles=["analyst"])
    assert owner.execute(may.encode(), (made,)).fetchone() == {"ok": False, "said": False}
