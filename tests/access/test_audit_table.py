"""The audit: only ever longer, in the name of whoever acted, read by those whom it concerns."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from clones import clone, drop
from psycopg import sql
from signed_in import caller

from geoapp.access.caller import Caller
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect

Connection = psycopg.Connection[dict[str, Any]]
Denied = psycopg.errors.InsufficientPrivilege
ROLES = ("committee", "planner", "analyst", "duty_officer", "inspector", "enterprise", "admin")


@pytest.fixture(scope="module")
def url(cluster: PrivateCluster, city_template: str) -> Iterator[str]:
    """URL of a city of this module's own."""
    name = clone(cluster, city_template)
    yield cluster.url(name)
    drop(cluster, name)


@pytest.fixture(scope="module")
def owner(url: str) -> Iterator[Connection]:
    with connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def towns(owner: Connection) -> list[str]:
    rows = owner.execute("SELECT code FROM territory.unit WHERE level = 'town' ORDER BY code").fetchall()
    return [r["code"] for r in rows]


@pytest.fixture(scope="module")
def site(owner: Connection, towns: list[str]) -> int:
    """A site of the first town."""
    row = owner.execute(
        "SELECT min(id) AS id FROM registry.site WHERE town_code = %s", (towns[0],)
    ).fetchone()
    assert row is not None
    return int(row["id"])


@pytest.fixture(scope="module")
def who(owner: Connection, towns: list[str], site: int) -> dict[str, Caller]:
    """A caller of each role, of the first town where a role may be of a town; and the committees of all and of the second."""
    made = {
        role: caller(
            owner,
            f"aud.{role.replace('_', '-')}",
            role,
            areas=[] if role in ("enterprise", "admin") else [towns[0]],
            sites=[site] if role == "enterprise" else [],
        )
        for role in ROLES
    }
    made["district"] = caller(owner, "aud.district", "committee")
    made["other_town"] = caller(owner, "aud.other-town", "committee", areas=[towns[1]])
    return made


@contextmanager
def as_role(owner: Connection, db_role: str) -> Iterator[Connection]:
    """A transaction under a role; rolled back at the end."""
    with owner.transaction(force_rollback=True):
        owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(db_role)))
        yield owner


def newest(connection: Connection, subject: str) -> dict[str, Any]:
    """The last record about a table in this transaction, read by the owner."""
    connection.execute("RESET ROLE")
    row = connection.execute(
        "SELECT db_role::text, login, action, subject_id, town_code, before, after, reason FROM access.audit"
        " WHERE subject = %s ORDER BY id DESC LIMIT 1",
        (subject,),
    ).fetchone()
    assert row is not None
    return row


# -- only ever longer ---------------------------------------------------------------------------------------------

CHANGES = {
    "UPDATE": "UPDATE access.audit SET login = 'nobody' WHERE id = (SELECT min(a.id) FROM access.audit AS a)",
    "UPDATE all": "UPDATE access.audit SET ok = NOT ok",
    "DELETE": "DELETE FROM access.audit",
    "TRUNCATE": "TRUNCATE access.audit",
    "MERGE": "MERGE INTO access.audit AS a USING (SELECT 1) AS s ON true WHEN MATCHED THEN DELETE",
    "ON CONFLICT": "INSERT INTO access.audit (id, db_role, action) OVERRIDING SYSTEM VALUE"
    " SELECT a.id, a.db_role, a.action FROM access.audit AS a ON CONFLICT (id) DO UPDATE SET action = 'x'",
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize(
    "role", [*ROLES, "district", "geoapp_web", "geoapp_watch", "geoapp_view", "owner", "owner as replica"]
)
def test_no_record_is_changed_whoever_asks(
    owner: Connection, who: dict[str, Caller], role: str, change: str
) -> None:
    with owner.transaction(force_rollback=True):
        owner.execute("SELECT access.record('test')")
        if role == "owner as replica":
            owner.execute("SET LOCAL session_replication_role = replica")
        elif role != "owner":
            taken = who[role].db_role if role in who else role
            owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(taken)))
        with pytest.raises(Denied):
            owner.execute(CHANGES[change].encode())


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE access.audit",
        "ALTER TABLE access.audit DISABLE TRIGGER ALL",
        "DROP TRIGGER audit_keep_rows ON access.audit",
    ],
)
@pytest.mark.parametrize("role", [*ROLES, "district", "geoapp_web", "geoapp_watch"])
def test_no_role_takes_the_guard_off(
    owner: Connection, who: dict[str, Caller], role: str, change: str
) -> None:
    with as_role(owner, who[role].db_role if role in who else role), pytest.raises(Denied):
        owner.execute(change.encode())


# -- what is kept -------------------------------------------------------------------------------------------------


def test_a_planners_change_is_kept_before_and_after(
    owner: Connection, who: dict[str, Caller], towns: list[str]
) -> None:
    planner = who["planner"]
    with as_role(owner, planner.db_role):
        made = owner.execute(
            "INSERT INTO territory.changeset (title, town_code) VALUES ('合并', %s) RETURNING id", (towns[0],)
        ).fetchone()
        assert made is not None
        record = newest(owner, "territory.changeset")
        assert (record["action"], record["db_role"], record["login"]) == (
            "insert",
            planner.db_role,
            planner.login,
        )
        assert record["before"] is None
        assert record["after"] | {"title": "合并", "town_code": towns[0], "state": "draft"} == record["after"]
        owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(planner.db_role)))
        owner.execute("SET LOCAL geoapp.reason = '按会议纪要'")
        owner.execute("UPDATE territory.changeset SET title = '拆分' WHERE id = %s", (made["id"],))
        record = newest(owner, "territory.changeset")
        assert record == {
            "db_role": planner.db_role,
            "login": planner.login,
            "action": "update",
            "subject_id": str(made["id"]),
            "town_code": towns[0],
            "before": {"title": "合并"},
            "after": {"title": "拆分"},
            "reason": "按会议纪要",
        }


def test_an_inspectors_hazard_is_kept_with_its_town(
    owner: Connection, who: dict[str, Caller], towns: list[str], site: int
) -> None:
    inspector = who["inspector"]
    with as_role(owner, inspector.db_role):
        owner.execute(
            "INSERT INTO inspection.hazard (site_id, class, title_zh, found_at, found_by, state)"
            " VALUES (%s, 'general', '灭火器过期', now(), 'patrol', 'found')",
            (site,),
        )
        record = newest(owner, "inspection.hazard")
        assert (record["login"], record["action"], record["town_code"]) == (
            inspector.login,
            "insert",
            towns[0],
        )
        assert record["after"]["title_zh"] == "灭火器过期"


def test_the_owners_changes_are_kept_too(owner: Connection, towns: list[str]) -> None:
    with owner.transaction(force_rollback=True):
        row = owner.execute(
            "INSERT INTO registry.site (name_zh, geom, town_code) SELECT '新厂', s.geom, %s FROM registry.site AS s LIMIT 1"
            " RETURNING id",
            (towns[1],),
        ).fetchone()
        assert row is not None
        owner.execute("UPDATE registry.site SET name_zh = name_zh WHERE id = %s", (row["id"],))
        assert newest(owner, "registry.site")["action"] == "insert"  # nothing was changed: no record
        owner.execute("UPDATE registry.site SET people = 7 WHERE id = %s", (row["id"],))
        changed = newest(owner, "registry.site")
        assert (changed["before"], changed["after"]) == ({"people": None}, {"people": 7})
        owner.execute("DELETE FROM registry.site WHERE id = %s", (row["id"],))
        gone = newest(owner, "registry.site")
        assert (gone["action"], gone["db_role"], gone["login"]) == ("delete", "geoapp", None)
        assert gone["before"]["name_zh"] == "新厂"
        assert gone["after"] is None
        assert not any(key.endswith("_3857") for key in gone["before"])


def test_a_named_load_of_the_owner_is_one_record_and_nobody_elses_is(
    owner: Connection, who: dict[str, Caller], towns: list[str]
) -> None:
    count = "SELECT count(*) AS n FROM access.audit"
    with owner.transaction(force_rollback=True):
        owner.execute("SET LOCAL geoapp.batch = '12'")
        before = owner.execute(count.encode()).fetchone()
        owner.execute("UPDATE registry.site SET people = 1")
        assert owner.execute(count.encode()).fetchone() == before
    with as_role(owner, who["planner"].db_role):
        owner.execute("SET LOCAL geoapp.batch = '12'")
        owner.execute("INSERT INTO territory.changeset (title, town_code) VALUES ('躲', %s)", (towns[0],))
        assert newest(owner, "territory.changeset")["after"]["title"] == "躲"
    # Nor a definer function, which writes under the owner, for whoever calls it.
    with owner.transaction(force_rollback=True):
        owner.execute("DELETE FROM access.session")
        owner.execute("DELETE FROM access.account_area")
        owner.execute("DELETE FROM access.account_site")
        owner.execute("DELETE FROM access.token")
        owner.execute("DELETE FROM access.account")
        owner.execute("SET LOCAL ROLE geoapp_web")
        owner.execute("SET LOCAL geoapp.batch = '12'")
        owner.execute("SELECT access.first_admin('first', '首位', 'hash')")
        record = newest(owner, "access.account")
        assert (record["action"], record["db_role"], record["after"]["login"]) == (
            "insert",
            "geoapp_web",
            "first",
        )


def test_secrets_are_masked(owner: Connection, who: dict[str, Caller]) -> None:
    with owner.transaction(force_rollback=True):
        owner.execute(
            "UPDATE access.account SET password_hash = '$argon2id$secret' WHERE id = %s",
            (who["analyst"].account_id,),
        )
        assert newest(owner, "access.account")["after"] == {"password_hash": "***"}
        owner.execute(
            "INSERT INTO access.token (token_hash, account_id, name, scopes, expires_at)"
            " VALUES (sha256('t'), %s, 'n', '{read}', now())",
            (who["analyst"].account_id,),
        )
        assert newest(owner, "access.token")["after"]["token_hash"] == "***"
        owner.execute(
            "INSERT INTO access.secret (subject_kind, subject_id, field, key_id, sealed) VALUES ('camera', '1', 'password', 'k', 'S3cret')"
        )
        assert newest(owner, "access.secret")["after"]["sealed"] == "***"
        held = owner.execute(
            "SELECT string_agg(a::text, '') AS all FROM access.audit AS a WHERE tx = pg_current_xact_id()"
        ).fetchone()
        assert held is not None
        for secret in ("argon2id", "S3cret", "53336372"):
            assert secret not in held["all"]


# -- in whose name ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [*ROLES, "geoapp_web", "geoapp_watch"])
def test_nobody_writes_a_record_by_hand(owner: Connection, who: dict[str, Caller], role: str) -> None:
    with as_role(owner, who[role].db_role if role in who else role), pytest.raises(Denied):
        owner.execute("INSERT INTO access.audit (db_role, login, action) VALUES ('geoapp', 'aud.admin', 'x')")


@pytest.mark.parametrize("role", ROLES)
def test_a_record_is_in_the_name_of_who_acts(owner: Connection, who: dict[str, Caller], role: str) -> None:
    with as_role(owner, who[role].db_role):
        for setting in ("geoapp.caller", "geoapp.login", "geoapp.account_id", "application_name"):
            owner.execute(f"SET LOCAL {setting} = 'aud.admin'".encode())
        row = owner.execute(
            "SELECT access.record('look', 'watch.evidence', '1', login => 'aud.somebody-else') AS id"
        ).fetchone()
        assert row is not None
        kept = owner.execute(
            "SELECT db_role::text, account_id, login FROM access.audit WHERE id = %s", (row["id"],)
        ).fetchone()
        assert kept == {
            "db_role": who[role].db_role,
            "account_id": who[role].account_id,
            "login": who[role].login,
        }


def test_the_web_process_names_the_login_that_a_stranger_tried(owner: Connection) -> None:
    with as_role(owner, "geoapp_web"):
        owner.execute("SELECT access.record('sign_in', ok => false, login => 'guess')")
        record = newest(owner, "")
        assert (record["db_role"], record["login"]) == ("geoapp_web", "guess")


# -- who reads it -------------------------------------------------------------------------------------------------


def test_the_audit_is_read_by_whom_it_concerns(
    owner: Connection, who: dict[str, Caller], towns: list[str]
) -> None:
    with owner.transaction(force_rollback=True):
        for name in ("planner", "inspector", "other_town"):
            owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(who[name].db_role)))
            place = towns[1] if name == "other_town" else towns[0]
            owner.execute("SELECT access.record('seen', 'probe', %s, %s)", (name, place))
        owner.execute("RESET ROLE")
        owner.execute("SELECT access.record('seen', 'probe', 'nowhere')")
        expected = {
            "planner": {"planner"},
            "inspector": {"inspector"},
            "analyst": set(),
            "duty_officer": set(),
            "enterprise": set(),
            "committee": {"planner", "inspector"},
            "other_town": {"other_town"},
            "district": {"planner", "inspector", "other_town", "nowhere"},
            "admin": {"planner", "inspector", "other_town", "nowhere"},
        }
        found = {}
        for name in expected:
            owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(who[name].db_role)))
            rows = owner.execute("SELECT subject_id FROM access.audit WHERE subject = 'probe'").fetchall()
            found[name] = {r["subject_id"] for r in rows}
        assert found == expected
    for closed in ("geoapp_web", "geoapp_watch"):
        with as_role(owner, closed), pytest.raises(Denied):
            owner.execute("SELECT 1 FROM access.audit")
