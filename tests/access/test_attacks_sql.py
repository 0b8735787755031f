"""Attacks by SQL: accounts with a database connection of their own, and roles as the web process takes them."""

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from signed_in import caller

from geoapp.access.caller import Caller
from geoapp.database.connection import connect
from geoapp.database.sql_files import read_sql

Connection = psycopg.Connection[dict[str, Any]]
TOWN = "310116103000"
PASSWORD = "a password for the tests"
Denied = psycopg.errors.InsufficientPrivilege


@pytest.fixture(scope="module")
def url(url: str) -> str:
    """URL of the owner to a city of this module's own, with its rights as a database set again: a clone has its own."""
    with connect(url) as owner:
        owner.execute(read_sql("access/lockdown").encode())
    return url


@pytest.fixture(scope="module")
def people(url: str) -> dict[str, Caller]:
    """One account of each role that is tried, all of one town; analyst and planner may sign in to SQL."""
    with connect(url) as owner:
        made = {
            role: caller(owner, f"attack.{role}", role, areas=[TOWN])
            for role in ("committee", "planner", "analyst", "inspector")
        }
        for role in ("planner", "analyst"):
            owner.execute(
                "UPDATE access.account SET has_sql_login = true WHERE id = %s", (made[role].account_id,)
            )
            owner.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(made[role].db_role), PASSWORD)
            )
    return made


@pytest.fixture(params=["analyst", "planner"])
def reader(request: pytest.FixtureRequest, url: str, people: dict[str, Caller]) -> Iterator[Connection]:
    """The autocommit connection of an analyst or a planner of one town."""
    own = make_conninfo(url, user=people[request.param].db_role, password=PASSWORD)
    with connect(own, autocommit=True) as connection:
        yield connection


@pytest.fixture
def owner(url: str) -> Iterator[Connection]:
    with connect(url, autocommit=True) as connection:
        yield connection


def only(connection: Connection, question: str, *values: object) -> Any:
    row = connection.execute(question.encode(), values).fetchone()
    assert row is not None
    return next(iter(row.values()))


def as_role(connection: Connection, who: Caller) -> None:
    """For the rest of the transaction, as the web process does it."""
    connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(who.db_role)))


# -- getting to see more by writing what one may write ------------------------------------------------------------


def test_nobody_is_put_into_an_office_to_be_seen(url: str, people: dict[str, Caller]) -> None:
    """Who holds an office is seen with it: a committee of one town must not appoint, by a guessed id, a person of another
    and then read the name and telephone number."""
    office = (
        "INSERT INTO duty.assignment (rule_code, unit_code, department_code, role, status, person_id, valid_from)"
        " SELECT (SELECT code FROM duty.rule LIMIT 1), %s, (SELECT code FROM duty.department LIMIT 1), 'co', 'proposed',"
        " %s::bigint, '2026-01-01' RETURNING id"
    )
    with connect(url) as connection:
        as_role(connection, people["committee"])
        seen = [r["id"] for r in connection.execute("SELECT id FROM duty.person").fetchall()]
        connection.execute("RESET ROLE")
        hidden = only(connection, "SELECT max(id) FROM duty.person WHERE id <> ALL (%s)", seen)
        assert hidden is not None
        as_role(connection, people["committee"])
        said = []
        for person in (hidden, 999_999_999):
            with pytest.raises(psycopg.errors.ForeignKeyViolation) as refusal, connection.transaction():
                connection.execute(office.encode(), (TOWN, person))
            said.append(str(refusal.value).replace(str(person), "?"))
        assert said[0] == said[1], "one who is hidden looks like one who is not there"
        with connection.transaction():
            made = only(connection, office, TOWN, seen[0])
        with pytest.raises(psycopg.errors.ForeignKeyViolation), connection.transaction():
            connection.execute("UPDATE duty.assignment SET person_id = %s WHERE id = %s", (hidden, made))
        assert connection.execute("SELECT FROM duty.person WHERE id = %s", (hidden,)).fetchone() is None
        connection.rollback()


@pytest.mark.parametrize("town", ["310116101000", "999999999999"])
def test_a_row_of_another_town_and_of_none_are_refused_alike(
    url: str, people: dict[str, Caller], town: str
) -> None:
    with connect(url) as connection:
        as_role(connection, people["planner"])
        with pytest.raises(Denied, match="violates row-level security policy"):
            connection.execute("INSERT INTO territory.changeset (title, town_code) VALUES ('x', %s)", (town,))


@pytest.mark.parametrize(
    "attempt",
    [
        "UPDATE territory.changeset SET planned_by = 'geoapp'",
        "UPDATE territory.changeset SET reviewed_by = current_user",
        "INSERT INTO territory.changeset (title, town_code, planned_by) VALUES ('x', '310116103000', 'geoapp')",
        "UPDATE access.account SET password_hash = '$argon2id$v=19$m=4194304,t=9999,p=1$AAAA$AAAA'",  # a hash that costs hours
        "UPDATE access.account SET must_change_password = false",
        "UPDATE access.session SET idle_until = 'infinity'",
        "UPDATE access.session SET ended_at = NULL",
        "UPDATE access.token SET expires_at = 'infinity'",
        "INSERT INTO access.session (token_hash, account_id, method) VALUES ('x', 1, 'password')",
        "INSERT INTO access.account_area SELECT id, '310116101000' FROM access.my_account",
        "SELECT access.audit_row()",
        "SELECT access.account_followed()",
        "SELECT watch.incident_reviewed()",
        "SELECT duty.person_is_seen()",
        "SELECT access.health()",
        "SELECT access.metrics()",
        "SELECT access.city_sign()",
    ],
)
def test_what_is_not_the_accounts_to_write(reader: Connection, attempt: str) -> None:
    with pytest.raises(Denied):
        reader.execute(attempt.encode())


def test_who_is_not_the_planner_does_not_review_by_setting_the_state(
    url: str, people: dict[str, Caller]
) -> None:
    own = make_conninfo(url, user=people["planner"].db_role, password=PASSWORD)
    with connect(own, autocommit=True) as planner:
        made = only(
            planner,
            "INSERT INTO territory.changeset (title, town_code) VALUES ('x', %s) RETURNING id",
            TOWN,
        )
        for state in ("approved", "rejected"):
            for attempt in (
                "INSERT INTO territory.changeset (title, town_code, state) VALUES ('x', '310116103000', %s)",
                "UPDATE territory.changeset SET state = %s",
            ):
                with pytest.raises(psycopg.errors.CheckViolation):
                    planner.execute(attempt.encode(), (state,))
        planner.execute("UPDATE territory.changeset SET state = 'submitted' WHERE id = %s", (made,))
        with pytest.raises(Denied):
            planner.execute("UPDATE territory.changeset SET state = 'approved' WHERE id = %s", (made,))
        planner.execute("SET ROLE geoapp_planner")  # as the group: neither a row nor another's name
        assert only(planner, "SELECT count(*) FROM territory.changeset") == 0
        with pytest.raises(Denied):
            planner.execute("INSERT INTO territory.changeset (title, town_code) VALUES ('x', %s)", (TOWN,))


# -- false names --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attempt",
    [
        "CREATE FUNCTION public.current_setting(text) RETURNS text LANGUAGE sql AS $$ SELECT 'geoapp' $$",
        "CREATE FUNCTION public.left(text, int) RETURNS text LANGUAGE sql AS $$ SELECT '310116101000' $$",
        "CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_catalog.texteq)",
        "CREATE TYPE public.name AS (a int)",
        "CREATE DOMAIN public.my_area AS int",
        "CREATE AGGREGATE public.any_value (int) (SFUNC = int4pl, STYPE = int)",
        "CREATE CAST (text AS int) WITH INOUT",
        "CREATE COLLATION public.c (locale = 'C')",
        "CREATE TEMP VIEW my_area AS SELECT '310116101000'::text AS area_code",
        "CREATE TEMP TABLE account (db_role name)",
        "CREATE TRIGGER t BEFORE UPDATE ON territory.changeset EXECUTE FUNCTION access.keep_audit()",
        "CREATE RULE r AS ON SELECT TO registry.site DO NOTHING",
        "CREATE POLICY p ON registry.site USING (true)",
        "CREATE STATISTICS s ON id, town_code FROM registry.site",
        "CREATE INDEX ON registry.site (id)",
        "CREATE PUBLICATION p FOR ALL TABLES",
        "CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION access.keep_audit()",
        "GRANT geoapp_scope_district TO geoapp_scope_town",
        "SET session_preload_libraries = 'x'",
        "SET log_min_messages = debug5",
    ],
)
def test_nothing_is_made_that_could_stand_in_for_the_real_thing(reader: Connection, attempt: str) -> None:
    with pytest.raises((Denied, psycopg.errors.InvalidObjectDefinition)) as refusal:
        reader.execute(attempt.encode())
    assert re.search("permission denied|must be owner|must have admin option", str(refusal.value))


@pytest.mark.parametrize(
    "setting",
    [
        "SET search_path = pg_temp, public, pg_catalog",
        "SET search_path = ''",
        "SET geoapp.batch = 'x'",
        "SET \"access.caller\" = 'geoapp'",
        "SET application_name = 'geoapp'",
        "SET enable_indexscan = off; SET enable_bitmapscan = off",
        "SET plan_cache_mode = force_generic_plan",
        "SET debug_print_plan = on; SET client_min_messages = debug5",
    ],
)
def test_settings_change_no_row(reader: Connection, setting: str) -> None:
    question = "SELECT array_agg(id ORDER BY id) FROM registry.site"
    mine = only(reader, question)
    assert mine
    for part in setting.split(";"):
        reader.execute(part.encode())
    assert only(reader, question) == mine
    assert only(reader, "SELECT access.caller() = session_user") is True


# -- leaks about rows that are hidden -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "question",
    [
        "SELECT count(*) FROM registry.site WHERE 1 / (id - {site}) > -5",
        "SELECT count(*) FROM registry.site WHERE name_zh::int = 0 AND id = {site}",
        "SELECT count(*) FROM registry.site WHERE id = {site} AND CAST(town_code || name_zh AS numeric) > 0",
        "SELECT count(*) FROM registry.site WHERE id = {site} AND ST_GeomFromText(name_zh) IS NOT NULL",
        "SELECT count(*) FROM registry.site WHERE id = {site} AND (name_zh)::json IS NOT NULL",
        "SELECT count(*) FROM analysis.site WHERE id = {site} AND 1 / (id - {site}) > 0",
        "SELECT count(*) FROM registry.site TABLESAMPLE SYSTEM (100) WHERE id = {site} AND name_zh::int = 0",
        "SELECT count(*) FROM (SELECT id, name_zh FROM registry.site OFFSET 0) AS s WHERE id = {site} AND name_zh::int = 0",
    ],
)
def test_no_error_is_made_out_of_a_hidden_row(reader: Connection, owner: Connection, question: str) -> None:
    """A condition that fails on the hidden row would say that it is there, and with what value."""
    hidden = only(
        owner,
        "SELECT max(s.id) FROM registry.site AS s WHERE s.town_code <> %s AND left(s.cell_code, 9) || '000' <> %s",
        TOWN,
        TOWN,
    )
    asked = question.format(site=hidden)
    with pytest.raises((psycopg.DataError, psycopg.InternalError)):
        only(owner, asked)  # whoever may see it runs into it
    found = only(reader, asked)
    assert found == 0 or "id - " in asked


def test_statistics_of_tables_with_policies_are_shown_to_nobody(reader: Connection) -> None:
    shown = reader.execute(
        "SELECT DISTINCT schemaname || '.' || tablename AS name FROM pg_stats"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
    ).fetchall()
    assert {row["name"] for row in shown} <= {"public.spatial_ref_sys"}
    assert reader.execute("SELECT FROM pg_stats_ext").fetchall() == []
    assert reader.execute("SELECT FROM pg_stats_ext_exprs").fetchall() == []


def test_numbers_given_to_others_are_not_told(reader: Connection) -> None:
    assert reader.execute("SELECT FROM pg_sequences WHERE last_value IS NOT NULL").fetchall() == []
    for attempt in (
        "SELECT last_value FROM watch.incident_incident_no_seq",
        "SELECT currval('watch.incident_incident_no_seq')",
        "SELECT lastval()",
    ):
        with pytest.raises(Denied):
            reader.execute(attempt.encode())


def test_a_live_notification_carries_no_row(owner: Connection, people: dict[str, Caller], url: str) -> None:
    own = make_conninfo(url, user=people["analyst"].db_role, password=PASSWORD)
    with connect(own, autocommit=True) as ear:
        ear.execute("LISTEN geoapp_live")
        camera = only(owner, "SELECT id FROM registry.camera WHERE town_code <> %s LIMIT 1", TOWN)
        made = only(
            owner,
            "INSERT INTO watch.outbox (topic, dedupe_key, payload) VALUES ('camera_health', 'attack:1',"
            " jsonb_build_object('camera_id', %s::bigint, 'secret', 'of another town')) RETURNING id",
            camera,
        )
        heard = [n.payload for n in ear.notifies(timeout=3, stop_after=1)]
        assert heard == [str(made)] or heard == [""]
        assert ear.execute("SELECT FROM watch.outbox WHERE id = %s", (made,)).fetchall() == []


def test_the_applications_locks_are_not_to_be_had(reader: Connection) -> None:
    for key in range(748116310, 748116317):
        for how in (
            "pg_advisory_lock",
            "pg_advisory_xact_lock",
            "pg_try_advisory_lock",
            "pg_advisory_xact_lock_shared",
        ):
            with pytest.raises(Denied):
                reader.execute(f"SELECT {how}({key})".encode())
    with pytest.raises(Denied):
        reader.execute("SELECT * FROM pg_locks")


@pytest.mark.parametrize("action", ["sign_in", "refused", "insert", "export", "look_at_evidence", "anything"])
def test_the_audit_says_who_it_was_whatever_is_claimed(
    reader: Connection, owner: Connection, action: str
) -> None:
    """A record made by hand is refused, or it is in the own name; never in another's."""
    question = "SELECT access.record(%s, 'path', 'forged', '310116101000', 'forged', '{}', false, '203.0.113.9', 'admin')"
    with contextlib.suppress(Denied, psycopg.errors.InvalidParameterValue):
        only(reader, question, action)
    kept = owner.execute("SELECT db_role, login FROM access.audit WHERE subject_id = 'forged'").fetchall()
    assert all(row["login"] in ("attack.analyst", "attack.planner") for row in kept)
    assert all(row["db_role"].startswith("geoapp_attack.") for row in kept)


# -- known and left -----------------------------------------------------------------------------------------------


def test_known_and_left_explain_counts_hidden_rows_by_key_and_box(
    reader: Connection, owner: Connection
) -> None:
    """PostgreSQL has no right that forbids EXPLAIN ANALYZE. A leakproof comparison (=, &&) may be made before the policy, and
    the plan counts what the policy took away: a SQL login learns whether a code or box is taken, and nothing else of the
    row. docs/attacks.md says whom not to give one. When this fails, PostgreSQL has closed it, and the sentence can go."""
    hidden = owner.execute(
        "SELECT id, uscc, name_zh FROM registry.site WHERE town_code <> %s AND left(cell_code, 9) || '000' <> %s"
        " AND uscc IS NOT NULL ORDER BY id DESC LIMIT 1",
        (TOWN, TOWN),
    ).fetchone()
    assert hidden is not None
    plan = "\n".join(
        row["QUERY PLAN"]
        for row in reader.execute(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT name_zh FROM registry.site WHERE uscc = %s",
            (hidden["uscc"],),
        ).fetchall()
    )
    assert "rows=0" in plan
    assert "Rows Removed by Filter: 1" in plan
    assert hidden["name_zh"] not in plan
    # What is not leakproof is asked after the policy, and counts nothing that is hidden.
    plan = "\n".join(
        row["QUERY PLAN"]
        for row in reader.execute(
            "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) SELECT FROM registry.site WHERE name_zh LIKE %s",
            (f"{hidden['name_zh'][:4]}%",),
        ).fetchall()
    )
    assert "Rows Removed" in plan


def test_known_and_left_names_of_roles_are_told(reader: Connection) -> None:
    """The catalogue of roles is open to whoever connects: a SQL login sees which logins there are, not their areas."""
    names = reader.execute("SELECT rolname FROM pg_roles").fetchall()
    assert any("attack.inspector" in row["rolname"] for row in names)
    assert reader.execute("SELECT login FROM access.account").fetchall() != []
    assert only(reader, "SELECT count(*) FROM access.account") == 1
