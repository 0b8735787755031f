"""The audit: only ever longer, in the name of whoever acted, read by those whom it concerns."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from psycopg import sql
from signed_in import caller

from geoapp.access.caller import Caller
from geoapp.database.connection import connect

Connection = psycopg.Connection[dict[str, Any]]
Denied = psycopg.errors.InsufficientPrivilege
ROLES = ("committee", "planner", "analyst", "duty_officer", "inspector", "enterprise", "admin")


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
            "UPDATE access.account SET oidc_subject = 'u-7731' WHERE id = %s", (who["analyst"].account_id,)
        )
        assert newest(owner, "access.account")["after"] == {"oidc_subject": "***"}
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
        for secret in ("argon2id", "S3cret", "53336372", "u-7731"):
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


@contextmanager
def sql_login(url: str, who: Caller) -> Iterator[Connection]:
    """A connection that is the account's own, as a SQL user's is; rolled back at the end."""
    with connect(url) as connection:
        connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(who.db_role)))
        yield connection
        connection.rollback()


OF_THE_HOUSE = (
    "sign_in", "sign_in_refused", "sign_out", "change_password", "look_at_evidence", "refused", "export", "load", "sample_city",
    "insert", "update", "delete", "sessions_ended", "reset_password", "backup",
)  # fmt: skip


@pytest.mark.parametrize("action", OF_THE_HOUSE)
def test_a_sql_login_invents_no_event(url: str, who: dict[str, Caller], action: str) -> None:
    with sql_login(url, who["analyst"]) as connection, pytest.raises(Denied):
        connection.execute("SELECT access.record(%s)", (action,))


def test_a_note_of_a_sql_login_is_its_own_and_of_its_area(
    url: str, owner: Connection, who: dict[str, Caller], towns: list[str]
) -> None:
    with sql_login(url, who["analyst"]) as connection:
        for town in towns[:2]:
            connection.execute(
                "SELECT access.record('note', 'probe', 'x', %s, ip => '203.0.113.9', login => 'aud.admin')",
                (town,),
            )
        kept = connection.execute(
            "SELECT login, town_code, ip FROM access.audit WHERE subject = 'probe' ORDER BY id"
        ).fetchall()
    # Another town's committee is not told of what never was there; an address that it says itself is no evidence.
    assert kept == [
        {"login": "aud.analyst", "town_code": towns[0], "ip": None},
        {"login": "aud.analyst", "town_code": None, "ip": None},
    ]


@pytest.mark.parametrize(
    "action", ["insert", "update", "delete", "export", "load", "sample_city", "sign_in_refused"]
)
def test_not_even_the_web_process_writes_these_as_an_account(
    owner: Connection, who: dict[str, Caller], action: str
) -> None:
    """What triggers, record_export, the owner's commands and the sign-in page for a stranger write."""
    with as_role(owner, who["analyst"].db_role), pytest.raises(Denied):
        owner.execute("SELECT access.record(%s)", (action,))


@pytest.mark.parametrize(
    "record",
    [
        "'Look'",
        "'look at'",
        "'<script>'",
        "''",
        "NULL",
        "repeat('a', 41)",
        "'look', repeat('s', 101)",
        "'look', '', repeat('i', 301)",
        "'look', '', NULL, repeat('1', 13)",
        "'look', '', NULL, NULL, repeat('r', 1001)",
        "'look', detail => jsonb_build_object('x', repeat('d', 8192))",
        "'look', login => repeat('l', 101)",
    ],
)
@pytest.mark.parametrize("role", ["analyst", "geoapp_web"])
def test_a_record_is_short_and_its_action_is_a_name(
    owner: Connection, who: dict[str, Caller], role: str, record: str
) -> None:
    with as_role(owner, who[role].db_role if role in who else role):
        with pytest.raises(psycopg.errors.InvalidParameterValue), owner.transaction():
            owner.execute(f"SELECT access.record({record})".encode())
        owner.execute(
            "SELECT access.record('look', repeat('s', 100), repeat('i', 300), reason => repeat('r', 1000))"
        )


TooMany = psycopg.errors.ConfigurationLimitExceeded


def test_a_flood_is_refused_and_no_look_goes_unrecorded(owner: Connection, who: dict[str, Caller]) -> None:
    """After 300 records of one account within a minute its looks and exports are refused, its sign-in is not; refusals
    stand without a record; others go on."""
    many = "SELECT count(access.record('look_at_evidence', 'watch.evidence', n::text)) AS n FROM generate_series(1, %s) AS n"
    with as_role(owner, who["committee"].db_role):
        assert owner.execute(many.encode(), (300,)).fetchone() == {"n": 300}
        for more in (
            "SELECT access.record('look_at_evidence')",
            "SELECT access.record_export('site', 'csv', 1)",
        ):
            with pytest.raises(TooMany), owner.transaction():
                owner.execute(more.encode())
        assert owner.execute("SELECT access.record('refused') AS id").fetchone() == {"id": None}
        assert owner.execute("SELECT access.record('sign_in') AS id").fetchone() != {"id": None}
        owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(who["inspector"].db_role)))
        assert owner.execute(many.encode(), (1,)).fetchone() == {"n": 1}


def test_an_older_flood_is_over(owner: Connection, who: dict[str, Caller]) -> None:
    with owner.transaction(force_rollback=True):
        owner.execute(
            "INSERT INTO access.audit (at, db_role, action) SELECT now() - interval '61 seconds', %s, 'look_at_evidence'"
            " FROM generate_series(1, 400)",
            (who["committee"].db_role,),
        )
        owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(who["committee"].db_role)))
        assert owner.execute("SELECT access.record('look_at_evidence') AS id").fetchone() != {"id": None}


def test_a_large_change_does_not_stop_looks(owner: Connection, who: dict[str, Caller]) -> None:
    """Rows that triggers wrote are no flood of looks."""
    with owner.transaction(force_rollback=True):
        owner.execute(
            "INSERT INTO access.audit (db_role, action, after) SELECT %s, 'insert', '{}' FROM generate_series(1, 400)",
            (who["committee"].db_role,),
        )
        owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(who["committee"].db_role)))
        assert owner.execute("SELECT access.record('look_at_evidence') AS id").fetchone() != {"id": None}


def test_the_same_review_again_is_none(owner: Connection, who: dict[str, Caller], towns: list[str]) -> None:
    """No message, no time, no record; another reason is a review of its own, in the name of who gave it."""
    officer, other = who["duty_officer"], caller(owner, "aud.second", "duty_officer", areas=[towns[0]])
    state = (
        "SELECT i.reviewed_by, i.reviewed_at, (SELECT count(*) FROM watch.outbox) AS told,"
        " (SELECT count(*) FROM access.audit) AS kept FROM watch.incident AS i WHERE i.id = %s"
    )

    def reviewed(by: Caller, review: str, reason: str | None) -> dict[str, Any]:
        owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(by.db_role)))
        done = owner.execute(
            "UPDATE watch.incident SET review = %s, review_reason = %s WHERE id = %s",
            (review, reason, incident["id"]),
        )
        assert done.rowcount == 1
        owner.execute("RESET ROLE")
        row = owner.execute(state.encode(), (incident["id"],)).fetchone()
        assert row is not None
        return row

    with owner.transaction(force_rollback=True):
        incident = owner.execute(
            "INSERT INTO watch.incident (class, camera_id, state, first_seen_at, last_seen_at, opened_at, peak_score,"
            " model_hash, box, geom, placing_method, town_code) SELECT 'smoke', c.id, 'open', now(), now(), now(), 0.6,"
            " %s, '{0,0,1,1}', c.geom, 'camera_point', %s FROM registry.camera AS c LIMIT 1 RETURNING id",
            ("0" * 64, towns[0]),
        ).fetchone()
        assert incident is not None
        first = reviewed(officer, "false", "蒸汽")
        assert first["reviewed_by"] == officer.login
        assert reviewed(other, "false", "蒸汽") == first
        second = reviewed(other, "false", "灰尘")
        assert second["reviewed_by"] == other.login
        assert second["reviewed_at"] > first["reviewed_at"]
        assert (second["told"], second["kept"]) == (first["told"] + 1, first["kept"] + 1)


def test_what_is_set_for_a_camera_or_an_incident_is_on_record_in_its_town(
    owner: Connection, towns: list[str], who: dict[str, Caller]
) -> None:
    """Modes and legal holds name no town themselves; the committee of the town sees them, another's does not."""
    with owner.transaction(force_rollback=True):
        camera = owner.execute(
            "SELECT id FROM registry.camera WHERE town_code = %s ORDER BY id LIMIT 1", (towns[0],)
        ).fetchone()
        assert camera is not None
        incident = owner.execute(
            "INSERT INTO watch.incident (class, camera_id, state, first_seen_at, last_seen_at, opened_at, peak_score,"
            " model_hash, box, geom, placing_method, town_code) SELECT 'smoke', c.id, 'open', now(), now(), now(), 0.6,"
            " %s, '{0,0,1,1}', c.geom, 'camera_point', c.town_code FROM registry.camera AS c WHERE c.id = %s RETURNING id",
            ("0" * 64, camera["id"]),
        ).fetchone()
        assert incident is not None
        owner.execute(
            "INSERT INTO watch.camera_mode (camera_id, class, mode, reason, set_at, set_by)"
            " VALUES (%s, 'fire', 'shadow', '试运行', now(), 'test')",
            (camera["id"],),
        )
        owner.execute(
            "INSERT INTO watch.legal_hold (incident_id, reason) VALUES (%s, '法院调证')", (incident["id"],)
        )
        for subject in ("watch.camera_mode", "watch.legal_hold"):
            assert newest(owner, subject)["town_code"] == towns[0], subject
            for reader, sees in (("committee", True), ("other_town", False), ("district", True)):
                owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(who[reader].db_role)))
                found = owner.execute(
                    "SELECT count(*) AS n FROM access.audit WHERE subject = %s AND at >= now()", (subject,)
                ).fetchone()
                owner.execute("RESET ROLE")
                assert found == {"n": int(sees)}, (subject, reader)


def test_what_ended_long_ago_is_forgotten_and_that_is_one_record(
    owner: Connection, who: dict[str, Caller]
) -> None:
    """Sessions and tokens that ended before the moments given; open and newer ones stay."""
    account = who["analyst"].account_id
    moments = {"old": "2020-01-01", "new": "2025-01-01", "open": "2099-01-01"}
    with owner.transaction(force_rollback=True):
        owner.execute("DELETE FROM access.session")
        for name, ends in moments.items():
            owner.execute(
                "INSERT INTO access.session (token_hash, account_id, method, created_at, last_used_at, idle_until, expires_at,"
                " user_agent) VALUES (sha256(%s), %s, 'password', '2019-01-01', '2019-01-01', %s, '2099-01-01', %s)",
                (name.encode(), account, ends, name),
            )
            owner.execute(
                "INSERT INTO access.token (token_hash, account_id, name, scopes, expires_at) VALUES (sha256(%s), %s, %s, '{read}', %s)",
                (name.encode(), account, name, ends),
            )
        owner.execute("SET LOCAL ROLE geoapp_web")
        done = owner.execute("SELECT access.forget_ended('2024-01-01', '2023-01-01') AS n").fetchone()
        again = owner.execute("SELECT access.forget_ended('2024-01-01', '2023-01-01') AS n").fetchone()
        assert (done, again) == ({"n": 2}, {"n": 0})
        owner.execute("RESET ROLE")
        for kept in ("SELECT user_agent AS name FROM access.session", "SELECT name FROM access.token"):
            assert {r["name"] for r in owner.execute(kept.encode()).fetchall()} == {"new", "open"}
        records = owner.execute("SELECT detail FROM access.audit WHERE action = 'forgotten'").fetchall()
        assert [(r["detail"]["sessions"], r["detail"]["tokens"]) for r in records] == [(1, 1)]
    with as_role(owner, who["admin"].db_role), pytest.raises(Denied):
        owner.execute("SELECT access.forget_ended(now(), now())")


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
