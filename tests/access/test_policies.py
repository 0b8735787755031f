"""Nothing of the domain is without a policy, no view or function passes by them, and no setting of a client widens them."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from asking import web_pool
from psycopg import sql
from psycopg_pool import ConnectionPool
from signed_in import account, caller

from geoapp.access.caller import Caller, NotSignedIn, acting
from geoapp.database.connection import connect

Connection = psycopg.Connection[dict[str, Any]]
Denied = psycopg.errors.InsufficientPrivilege
SCHEMAS = (
    "territory",
    "registry",
    "duty",
    "watch",
    "casework",
    "inspection",
    "access",
    "analysis",
    "staging",
)
SCOPE_GROUPS = {f"geoapp_scope_{scope}" for scope in ("district", "town", "community", "site")}
# Tables without a policy for the scope groups, and why.
NO_SCOPE = {
    "access.account": "an account is its owner's and the admins', whatever the area",
    "access.account_area": "read by the web process and kept by admins",
    "access.account_site": "read by the web process and kept by admins",
    "access.session": "its owner's and the admins'",
    "access.token": "its owner's and the admins'",
    "access.sign_in_attempt": "the web process alone",
    "access.oidc_flow": "the web process alone",
    "access.secret": "the watch opens, an admin sets",
    "access.audit": "own records, the committee's area, admins: policies by role",
}
# Functions that run under their owner, and who but the owner may call them. Triggers need no right to fire.
DEFINERS = {
    "watch.make_partitions": "watch",
    "watch.drop_observations": "watch",
    "watch.make_hour_partitions": "watch",
    "watch.record_connections": "watch",
    "watch.camera_connected": "",
    "watch.recount_hours": "",
    "watch.forget_hours": "watch",
    "staging.is_held": "admin",
    "registry.merge_sites": "admin",
    "registry.keep_sites_apart": "admin",
    "territory.bump_layer": "",
    "territory.keep_cell_version": "",
    "territory.forget_simplified": "",
    "watch.tell_live": "",
    "watch.is_held": "",
    "watch.keep_held": "",
    "watch.hold_written": "",
    "watch.mask_decided": "",
    "watch.mode_written": "",
    "watch.receiver_written": "",
    "watch.policy_changed": "",
    "watch.begin_deletions": "watch",
    "watch.may_delete": "watch",
    "watch.end_deletion": "watch",
    "watch.incident_reviewed": "",
    "watch.incident_put_down": "",
    "watch.incident_held": "",
    "watch.tell_hold": "",
    "watch.mask_proposed": "",
    "watch.incident_assigned": "",
    "registry.site_moved": "",
    "watch.event_written": "",
    "watch.health_changed": "",
    "watch.event_moved": "",
    "watch.events_truncated": "",
    "watch.days_moved": "",
    "watch.rebuild_events": "",
    "watch.fold_events": "web",
    "registry.site_bin_follows": "",
    "registry.rebuild_site_bin": "web",
    "territory.versions_of": "web roles",
    "registry.key_risk_area_of_site": "",
    "registry.camera_reached": "",
    "registry.camera_ground": "",
    "registry.building_hides": "",
    "registry.key_risk_area_retired": "",
    "registry.onboarding_target_set": "",
    "registry.risk_touched": "",
    "registry.site_risk_touched": "",
    "registry.staff_risk_touched": "",
    "registry.duty_risk_touched": "",
    "registry.camera_risk_touched": "",
    "registry.kept_emptied": "",
    "access.keep_parameter_version": "",
    "analysis.keep_risk": "watch",
    "analysis.keep_risk_surface": "watch",
    "registry.cell_reached": "",
    "registry.refresh_sights": "",
    "registry.rebuild_sights": "",
    "registry.keep_sights": "",
    "registry.mark_sights_under": "",
    "registry.camera_sees": "",
    "registry.cell_is_seen": "",
    "registry.area_is_seen": "",
    "access.audit_row": "",
    "access.account_followed": "",
    "access.account_admin_stays": "",
    "access.follow_role": "",
    "analysis.refresh_no_cell": "",
    "analysis.keep_no_cell": "",
    "access.first_admin": "web",
    "access.forget_ended": "web",
    "access.health": "web",
    "access.metrics": "web",
    "access.city_sign": "web",
    "access.record": "web watch roles",
    "access.actions_of": "web watch roles",
    "watch.pulse": "web watch roles",
    "watch.told_incident": "watch",
    "access.record_export": "committee planner analyst enterprise",
    "duty.designate": "committee",
    "access.areas_of_caller": "roles",
    "access.units_of_caller": "roles",
    "access.sites_of_caller": "roles",
    "access.key_risk_areas_of_caller": "roles",
    "access.cameras_of_caller": "roles",
    "analysis.no_cell_ground": "roles",
}
ROLES = ["committee", "planner", "analyst", "duty_officer", "inspector", "enterprise", "admin"]


@pytest.fixture(scope="module")
def web(
    url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ConnectionPool[psycopg.Connection[dict[str, Any]]]]:
    """One pooled connection of the web process's own login."""
    with web_pool(url, tmp_path_factory.mktemp("home"), size=1) as pool:
        yield pool


@pytest.fixture(scope="module")
def planner(owner: Connection, towns: list[str]) -> Caller:
    return caller(owner, "pol.planner", "planner", areas=[towns[0]])


def tables_without_policy(connection: Connection) -> dict[str, str]:
    """What is wrong with each table of the domain: no row-level security, or a scope group that no policy names."""
    rows = connection.execute(
        """
        SELECT n.nspname || '.' || c.relname AS name, c.relrowsecurity,
            coalesce((
                SELECT array_agg(DISTINCT r.rolname::text)
                FROM pg_policy AS p CROSS JOIN unnest(p.polroles) AS u (oid) JOIN pg_roles AS r ON r.oid = u.oid
                WHERE p.polrelid = c.oid AND p.polpermissive
            ), '{}') AS roles
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY (%s)
            -- A partition is read through its table; by itself it is closed to all (test_partitions_are_closed).
            AND NOT c.relispartition
        """,
        (list(SCHEMAS),),
    ).fetchall()
    faults = {r["name"]: "row-level security is off" for r in rows if not r["relrowsecurity"]}
    for row in rows:
        missing = SCOPE_GROUPS - set(row["roles"])
        if row["name"] not in NO_SCOPE and missing:
            faults.setdefault(row["name"], f"no policy for {', '.join(sorted(missing))}")
    return faults


def test_every_table_has_policies_for_every_scope(owner: Connection) -> None:
    assert tables_without_policy(owner) == {}
    held = owner.execute("SELECT count(*) AS n FROM pg_tables WHERE schemaname = ANY (%s)", (list(SCHEMAS),))
    assert held.fetchone()["n"] > 30  # type: ignore[index]


def test_partitions_are_closed(owner: Connection) -> None:
    owner.execute("SELECT watch.make_partitions(now())")
    rows = owner.execute(
        "SELECT c.oid::regclass::text AS name, c.relrowsecurity, c.relacl::text AS rights FROM pg_class AS c"
        " WHERE c.relispartition AND c.relkind = 'r' AND c.relnamespace = 'watch'::regnamespace"
    ).fetchall()
    assert len(rows) >= 4
    for row in rows:
        assert row["relrowsecurity"], row["name"]
        assert "geoapp_" not in (row["rights"] or "").replace("geoapp=", ""), row


def test_every_exception_is_still_a_table(owner: Connection) -> None:
    for name in NO_SCOPE:
        assert owner.execute("SELECT to_regclass(%s) IS NOT NULL AS yes", (name,)).fetchone() == {"yes": True}


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        ("CREATE TABLE casework.forgotten (town_code text)", "row-level security is off"),
        (
            "CREATE TABLE casework.forgotten (town_code text); ALTER TABLE casework.forgotten ENABLE ROW LEVEL SECURITY;"
            " CREATE POLICY district ON casework.forgotten TO geoapp_scope_district USING (true)",
            "no policy for geoapp_scope_community, geoapp_scope_site, geoapp_scope_town",
        ),
    ],
)
def test_a_forgotten_table_fails(owner: Connection, made: str, fault: str) -> None:
    with owner.transaction(force_rollback=True):
        for statement in made.split(";"):
            owner.execute(statement.encode())
        assert tables_without_policy(owner) == {"casework.forgotten": fault}


def test_views_obey_the_policies(owner: Connection) -> None:
    views = owner.execute(
        """
        SELECT c.oid::regclass::text AS name, r.rolname::text AS owner, r.rolsuper OR r.rolbypassrls AS passes_by,
            coalesce('security_invoker=true' = ANY (c.reloptions), false) AS as_reader,
            EXISTS (SELECT 1 FROM pg_class AS t WHERE t.relkind IN ('r', 'p') AND t.relowner = c.relowner) AS owns_tables
        FROM pg_class AS c JOIN pg_roles AS r ON r.oid = c.relowner JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('v', 'm') AND n.nspname IN ('analysis', 'tiles')
        """
    ).fetchall()
    assert len(views) > 15
    for view in views:
        assert view["owner"] == "geoapp_view", view
        assert (view["passes_by"], view["as_reader"], view["owns_tables"]) == (False, True, False), view


def test_views_that_run_as_their_owner_are_few_and_barred(owner: Connection) -> None:
    """access.my_*: rows of current_user only; a reader's own function is not asked about other rows."""
    rows = owner.execute(
        "SELECT c.relname::text AS name, coalesce(c.reloptions, '{}') AS options FROM pg_class AS c"
        " WHERE c.relkind = 'v' AND c.relnamespace IN (SELECT n.oid FROM pg_namespace AS n WHERE n.nspname = ANY (%s)"
        " AND n.nspname <> 'analysis')",
        (list(SCHEMAS),),
    ).fetchall()
    assert {r["name"] for r in rows} == {
        "my_account",
        "my_area",
        "my_site",
        "my_unit",
        "my_key_risk_area",
        "my_reaching_camera",
    }
    assert all("security_barrier=true" in r["options"] for r in rows)


def test_definer_functions_are_known_and_closed(owner: Connection) -> None:
    rows = owner.execute(
        """
        SELECT n.nspname || '.' || p.proname AS name, coalesce(p.proconfig, '{}') AS config,
            has_function_privilege('public', p.oid, 'EXECUTE') AS by_public,
            ARRAY(
                SELECT r.rolname::text FROM pg_roles AS r
                WHERE r.rolname = ANY (%s) AND has_function_privilege(r.oid, p.oid, 'EXECUTE') ORDER BY 1
            ) AS callers
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE p.prosecdef AND n.nspname = ANY (%s)
        """,
        ([f"geoapp_{r}" for r in [*ROLES, "web", "watch", "view"]], [*SCHEMAS, "tiles"]),
    ).fetchall()
    expected = {
        name: {f"geoapp_{g}" for g in who.replace("roles", " ".join(ROLES)).split()}
        for name, who in DEFINERS.items()
    }
    assert {r["name"]: set(r["callers"]) for r in rows} == expected
    for row in rows:
        assert not row["by_public"], row["name"]
        path = [c for c in row["config"] if c.startswith("search_path=")]
        assert path, row["name"]
        assert path[0].endswith("pg_temp"), row["name"]  # named last, so that it is not searched first


# -- the web process --------------------------------------------------------------------------------------------


def test_the_web_login_alone_reads_nothing_of_the_domain(
    web: ConnectionPool[Connection], owner: Connection
) -> None:
    relations = owner.execute(
        "SELECT c.oid::regclass::text AS name FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname = ANY (%s) AND n.nspname <> 'access'",
        ([*SCHEMAS, "tiles"],),
    ).fetchall()
    assert len(relations) > 40
    with web.connection() as connection:
        me = connection.execute("SELECT session_user::text AS who, current_user::text AS now").fetchone()
        assert me is not None
        assert me["who"].startswith("geoapp_web_")
        for relation in relations:
            with pytest.raises(Denied), connection.transaction():
                connection.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(sql.SQL(relation["name"])))
        for closed in ("access.audit", "access.secret"):
            with pytest.raises(Denied), connection.transaction():
                connection.execute(f"SELECT 1 FROM {closed}".encode())
        assert connection.execute("SELECT count(*) AS n FROM access.account").fetchone() is not None


def test_the_callers_role_ends_with_the_transaction(
    web: ConnectionPool[Connection], planner: Caller, towns: list[str]
) -> None:
    with acting(web, planner) as connection:
        seen = connection.execute("SELECT DISTINCT town_code FROM registry.site").fetchall()
        first = connection.info.backend_pid
    assert [r["town_code"] for r in seen] == [towns[0]]
    with web.connection() as connection:
        assert connection.info.backend_pid == first  # the same connection, from the pool
        who = connection.execute("SELECT current_user = session_user AS same").fetchone()
        assert who == {"same": True}
        with pytest.raises(Denied), connection.transaction():
            connection.execute("SELECT 1 FROM registry.site")
    with pytest.raises(RuntimeError, match="a fault"), acting(web, planner):
        raise RuntimeError("a fault")
    with web.connection() as connection, pytest.raises(Denied):
        connection.execute("SELECT 1 FROM registry.site")


def test_nobody_signed_in_has_no_connection(web: ConnectionPool[Connection]) -> None:
    with pytest.raises(NotSignedIn), acting(web):
        pass


# -- settings and names of a client -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attempt",
    [
        "SET LOCAL ROLE geoapp_scope_district",
        "SET LOCAL ROLE geoapp_committee",
        "SET LOCAL ROLE geoapp_admin",
        "SET LOCAL ROLE geoapp_view",
        "SET LOCAL session_replication_role = replica",
        "ALTER TABLE registry.site DISABLE ROW LEVEL SECURITY",
        "CREATE POLICY mine ON registry.site USING (true)",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA mine",
        "SELECT access.follow_role(a) FROM access.account AS a",
        "SELECT access.first_admin('evil', 'x', 'y')",
        "SELECT analysis.refresh_no_cell()",
        "SELECT * FROM analysis.district_no_cell_ground()",
        "COPY registry.site TO PROGRAM 'cat'",
        "UPDATE access.account SET roles = '{admin}' WHERE db_role = current_user",
        "INSERT INTO access.account_area SELECT id, '310116102000' FROM access.my_account",
    ],
)
def test_a_sql_user_does_not_become_more(owner: Connection, url: str, planner: Caller, attempt: str) -> None:
    """As a SQL user, whose session is the account's own: the web login may take other roles, an account may not."""
    with connect(url) as connection:
        connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(planner.db_role)))
        with pytest.raises(psycopg.Error) as refusal:
            connection.execute(attempt.encode())
        assert isinstance(refusal.value, Denied), refusal.value


@pytest.mark.parametrize(
    "trick",
    [
        "SET LOCAL geoapp.batch = 'x'",
        "SET LOCAL row_security = off",
        "SET LOCAL search_path = pg_temp, public",
        "CREATE TEMP TABLE site AS SELECT 1 AS id; SET LOCAL search_path = pg_temp, registry, public",
        "CREATE TEMP TABLE my_area (area_code text); SET LOCAL search_path = pg_temp, access, registry, public",
        "CREATE FUNCTION pg_temp.caller() RETURNS name LANGUAGE sql AS $$SELECT 'geoapp'::name$$;"
        " SET LOCAL search_path = pg_temp, access, pg_catalog",
        "CREATE FUNCTION pg_temp.yes(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
        " CREATE OPERATOR pg_temp.= (LEFTARG = text, RIGHTARG = text, FUNCTION = pg_temp.yes);"
        " SET LOCAL search_path = pg_temp, pg_catalog",
        "SELECT set_config('geoapp.account', '1', true)",
    ],
)
def test_settings_and_false_names_widen_nothing(
    owner: Connection, planner: Caller, towns: list[str], trick: str
) -> None:
    """Tried under SET LOCAL ROLE, where the session may still make temporary things (a SQL login may not: lockdown)."""
    with owner.transaction(force_rollback=True):
        owner.execute(f"GRANT TEMPORARY ON DATABASE {owner.info.dbname} TO PUBLIC".encode())
        owner.execute("GRANT USAGE ON LANGUAGE plpgsql, sql TO PUBLIC")
        owner.execute("GRANT EXECUTE ON FUNCTION set_config(text, text, boolean) TO PUBLIC")
        owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(planner.db_role)))
        for statement in trick.split("; "):
            owner.execute(statement.encode())
        if "row_security" in trick:
            with pytest.raises(Denied), owner.transaction():
                owner.execute("SELECT 1 FROM registry.site")
            return
        seen = owner.execute("SELECT DISTINCT town_code FROM registry.site").fetchall()
        assert [r["town_code"] for r in seen] == [towns[0]]
        who = owner.execute("SELECT access.caller()::text AS who").fetchone()
        assert who == {"who": planner.db_role}
        # And the audit is written, in the planner's name.
        made = owner.execute(
            "INSERT INTO territory.changeset (title, town_code) VALUES ('t', %s) RETURNING id", (towns[0],)
        ).fetchone()
        assert made is not None
        with pytest.raises(Denied), owner.transaction():
            owner.execute("INSERT INTO territory.changeset (title, town_code) VALUES ('t', %s)", (towns[1],))
        records = owner.execute(
            "SELECT db_role::text, login FROM access.audit WHERE subject = 'territory.changeset' AND subject_id = %s",
            (str(made["id"]),),
        ).fetchall()
        assert records == [{"db_role": planner.db_role, "login": "pol.planner"}]


def test_a_readers_function_is_not_asked_about_other_accounts(owner: Connection, planner: Caller) -> None:
    with owner.transaction(force_rollback=True):
        owner.execute(f"GRANT TEMPORARY ON DATABASE {owner.info.dbname} TO PUBLIC".encode())
        owner.execute("GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC")
        heard: list[str] = []
        owner.add_notice_handler(lambda notice: heard.append(str(notice.message_primary)))
        owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(planner.db_role)))
        owner.execute(
            "CREATE FUNCTION pg_temp.tell(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS"
            " $$BEGIN RAISE NOTICE 'heard %', $1; RETURN true; END$$"
        )
        for view, column in (("my_account", "login"), ("my_area", "area_code"), ("my_unit", "code")):
            owner.execute(f"SELECT * FROM access.{view} WHERE pg_temp.tell({column}::text)".encode())
        owner.execute("SELECT id FROM registry.site WHERE pg_temp.tell(town_code)")
    told = {h.removeprefix("heard ") for h in heard if h.startswith("heard ")}
    assert "pol.planner" in told
    assert all(
        t == "pol.planner" or t == planner.areas[0] or t[:9] == planner.areas[0][:9] or t.endswith("000000")
        for t in told
    ), told


def test_the_county_is_read_and_not_written_by_a_town(owner: Connection, towns: list[str]) -> None:
    who = caller(owner, "pol.committee", "committee", areas=[towns[0]])
    county = towns[0][:6] + "000000"
    insert = (
        "INSERT INTO duty.assignment (rule_code, unit_code, department_code, role, status, valid_from)"
        " SELECT r.code, %s, d.code, 'lead', 'confirmed', '2031-01-01' FROM duty.rule AS r, duty.department AS d LIMIT 1"
    )
    for unit, allowed in ((towns[0], True), (county, False), (towns[1], False)):
        with owner.transaction(force_rollback=True):
            owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(who.db_role)))
            if allowed:
                assert owner.execute(insert.encode(), (unit,)).rowcount == 1
            else:
                with pytest.raises(Denied), owner.transaction():
                    owner.execute(insert.encode(), (unit,))
            changed = owner.execute(
                "UPDATE duty.assignment SET document_no = 'x' WHERE unit_code = %s", (county,)
            )
            assert changed.rowcount == 0
    read = owner.execute("SELECT count(*) AS n FROM duty.assignment WHERE unit_code = %s", (county,))
    assert read.fetchone()["n"] > 0  # type: ignore[index]


def test_a_new_account_takes_no_role_that_is_there(owner: Connection, planner: Caller) -> None:
    theft = (
        "INSERT INTO access.account (login, name_zh, roles, scope, db_role) VALUES"
        " ('thief', 'x', '{admin}', 'district', 'geoapp_thief_aaaaaa')"
    )
    with owner.transaction(force_rollback=True):
        owner.execute("CREATE ROLE geoapp_thief_aaaaaa NOLOGIN")  # another city's account, say
        with pytest.raises(psycopg.errors.DuplicateObject):
            owner.execute(theft.encode())


def test_what_has_ended_is_not_opened_again(owner: Connection, towns: list[str]) -> None:
    mine = caller(owner, "pol.ended", "analyst", areas=[towns[0]])
    # The web process, which could open a session anyway, makes no token, and revokes none.
    with owner.transaction(force_rollback=True):
        owner.execute("SET LOCAL ROLE geoapp_web")
        for statement in (
            "INSERT INTO access.token (token_hash, account_id, name, scopes, expires_at)"
            " VALUES (sha256('x'), 1, 'x', '{read}', '2099-01-01')",
            "UPDATE access.token SET expires_at = '2099-01-01'",
            "UPDATE access.token SET revoked_at = NULL",
        ):
            with pytest.raises(Denied), owner.transaction():
                owner.execute(statement.encode())
        owner.execute("UPDATE access.token SET last_used_at = now()")
    other = account(owner, "pol.boss", "admin")
    boss = owner.execute("SELECT db_role FROM access.account WHERE id = %s", (other,)).fetchone()
    assert boss is not None
    end = "UPDATE access.session SET ended_at = now(), ended_why = 'x' WHERE account_id = %s"
    reopen = "UPDATE access.session SET ended_at = NULL WHERE account_id = %s"
    for role in (mine.db_role, boss["db_role"]):
        with owner.transaction(force_rollback=True):
            owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
            assert owner.execute(end.encode(), (mine.account_id,)).rowcount == 1
            assert owner.execute(reopen.encode(), (mine.account_id,)).rowcount == 0


def test_a_role_of_a_group_does_not_hide_who_acts(owner: Connection, url: str, planner: Caller) -> None:
    """A SQL user may take the roles of its groups; its deeds stay its own."""
    with connect(url) as connection:
        connection.execute(sql.SQL("SET SESSION AUTHORIZATION {}").format(sql.Identifier(planner.db_role)))
        connection.execute("SET LOCAL ROLE geoapp_planner")
        row = connection.execute("SELECT access.record('note', login => 'pol.boss') AS id").fetchone()
        assert row is not None
        connection.execute("RESET ROLE")
        kept = connection.execute(
            "SELECT db_role::text, login FROM access.audit WHERE id = %s", (row["id"],)
        ).fetchone()
        assert kept == {"db_role": planner.db_role, "login": "pol.planner"}
        connection.rollback()


def test_what_a_role_may_do_is_told_to_itself_and_to_the_web_process(
    owner: Connection, planner: Caller
) -> None:
    boss = caller(owner, "pol.chief", "admin")
    ask = "SELECT access.actions_of(%s) AS may"

    def asked(by: str | None, about: str) -> list[str] | None:
        with owner.transaction(force_rollback=True):
            if by is not None:
                owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(by)))
            row = owner.execute(ask.encode(), (about,)).fetchone()
            assert row is not None
            found: list[str] | None = row["may"]
            return found

    true = {who.db_role: asked(None, who.db_role) for who in (planner, boss)}
    assert "propose_changeset" in (true[planner.db_role] or [])
    assert "manage_accounts" in (true[boss.db_role] or [])
    for who, other in ((planner, boss), (boss, planner)):
        assert asked(who.db_role, who.db_role) == true[who.db_role]
        assert asked(who.db_role, other.db_role) is None
        assert asked("geoapp_web", who.db_role) == true[who.db_role]
        assert asked("geoapp_watch", who.db_role) is None


def test_the_demos_accounts_do_not_stand_in_the_way_of_the_first_admin(owner: Connection) -> None:
    """Else a demo's home that `geoapp serve` takes over would let nobody in, ever. Who was in by the demo's page is out."""
    with owner.transaction(force_rollback=True):
        owner.execute("UPDATE access.account SET is_demo = true")
        visitor = caller(owner, "pol.visitor", "admin")
        owner.execute("UPDATE access.account SET is_demo = true")
        owner.execute("SET LOCAL ROLE geoapp_web")
        assert (
            owner.execute("SELECT access.first_admin('first', '首位', 'hash') AS id").fetchone() is not None
        )
        ended = owner.execute(
            "SELECT ended_why FROM access.session WHERE id = %s", (visitor.session_id,)
        ).fetchone()
        assert ended == {"ended_why": "first_start"}
        with pytest.raises(Denied), owner.transaction():
            owner.execute("SELECT access.first_admin('second', '次位', 'hash')")


def test_sessions_of_a_disabled_account_end_at_the_moment_it_was_disabled(
    owner: Connection, towns: list[str]
) -> None:
    who = caller(owner, "pol.leaver", "analyst", areas=[towns[0]])
    with owner.transaction(force_rollback=True):
        owner.execute(
            "UPDATE access.account SET disabled_at = '2031-05-06 07:08:09+08' WHERE id = %s",
            (who.account_id,),
        )
        row = owner.execute(
            "SELECT ended_at = '2031-05-06 07:08:09+08' AS then, ended_why FROM access.session WHERE id = %s",
            (who.session_id,),
        ).fetchone()
        assert row == {"then": True, "ended_why": "account_disabled"}
