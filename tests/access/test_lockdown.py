"""What an analyst who signs in to SQL can do beyond reading: tried over a real connection of such an account."""

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from clones import clone, drop
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from signed_in import account, caller

from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.database.sql_files import read_sql

Connection = psycopg.Connection[dict[str, Any]]
PASSWORD = "an analyst's own password"
Denied = psycopg.errors.InsufficientPrivilege


@pytest.fixture(scope="module")
def url(url: str) -> str:
    """URL of the owner to a city of this module's own, with its rights as a database set again: a clone has its own."""
    with connect(url) as owner:
        owner.execute(read_sql("access/lockdown").encode())
    return url


@pytest.fixture(scope="module")
def analyst_url(url: str) -> str:
    """URL of an analyst of one town with a SQL login."""
    with connect(url) as owner:
        made = account(owner, "sql.analyst", "analyst", areas=["310116103000"])
        role = owner.execute(
            "UPDATE access.account SET has_sql_login = true WHERE id = %s RETURNING db_role", (made,)
        ).fetchone()
        assert role is not None
        login = str(role["db_role"])
        owner.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(login), PASSWORD))
    return make_conninfo(url, user=login, password=PASSWORD)


@pytest.fixture
def analyst(analyst_url: str) -> Iterator[Connection]:
    """The analyst's autocommit connection."""
    with connect(analyst_url, autocommit=True) as connection:
        yield connection


def value(connection: Connection, question: str) -> Any:
    row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return next(iter(row.values()))


# -- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attempt",
    [
        # the limits, from inside a SELECT
        "SELECT set_config('statement_timeout', '0', false)",
        "SELECT * FROM set_config('geoapp.batch', 'x', false)",
        # time and locks
        "SELECT pg_sleep(1)",
        "SELECT * FROM pg_sleep(1)",
        'SELECT U&"\\0070g_sleep"(1)',
        "SELECT pg_sleep_for('1 s')",
        "SELECT pg_advisory_lock(748116310)",
        "SELECT pg_try_advisory_lock(1)",
        "SELECT pg_advisory_unlock_all()",
        "SELECT * FROM pg_locks",
        "SELECT ST_EstimatedExtent('registry', 'site', 'geom')",  # runs as its owner: no policy holds
        "BEGIN; LOCK TABLE registry.camera IN ACCESS EXCLUSIVE MODE",
        "BEGIN; LOCK TABLE registry.camera IN SHARE MODE",
        "SELECT id FROM registry.camera FOR UPDATE",
        # SQL in a text
        "SELECT query_to_xml('SELECT 1', true, true, '')",
        "SELECT table_to_xml('registry.camera', true, true, '')",
        "SELECT database_to_xml(true, true, '')",
        "SELECT * FROM ts_stat('SELECT pg_sleep(1)::text::tsvector')",
        "SELECT ts_rewrite('a'::tsquery, 'SELECT ''a''::tsquery, ''b''::tsquery')",
        "DO $$ BEGIN PERFORM 1; END $$",
        "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        # writing anything, anywhere
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT lo_create(0)",
        "CREATE TEMP TABLE mine (a int)",
        "CREATE TABLE public.mine (a int)",
        "CREATE TABLE analysis.mine (a int)",
        "CREATE SCHEMA mine",
        "CREATE VIEW public.mine AS SELECT 1",
        "CREATE OR REPLACE VIEW analysis.site AS SELECT 1",
        "CREATE EXTENSION dblink",
        "CREATE EXTENSION pageinspect",
        "CREATE FOREIGN DATA WRAPPER mine",
        "INSERT INTO registry.site (name_zh) VALUES ('x')",
        "UPDATE registry.camera SET period_s = 1",
        "DELETE FROM watch.incident",
        "TRUNCATE watch.outbox",
        "UPDATE analysis.parameter SET value = 0",
        "INSERT INTO public.spatial_ref_sys (srid) VALUES (1)",
        "SELECT nextval(pg_get_serial_sequence('registry.site', 'id'))",
        "ALTER TABLE registry.site DISABLE ROW LEVEL SECURITY",
        "DROP POLICY town ON registry.site",
        "COMMENT ON TABLE registry.site IS 'x'",
        # the audit and the accounts
        "INSERT INTO access.audit (db_role, action) VALUES ('geoapp', 'x')",
        "UPDATE access.audit SET action = 'x'",
        "DELETE FROM access.audit",
        "TRUNCATE access.audit",
        "ALTER TABLE access.audit DISABLE TRIGGER ALL",
        "SELECT password_hash FROM access.account",
        "SELECT token_hash FROM access.session",
        "SELECT sealed FROM access.secret",
        "SELECT * FROM access.account_area",
        "UPDATE access.account SET roles = '{admin}'",
        "UPDATE access.account SET has_sql_login = false",
        "SELECT access.follow_role(a) FROM access.account AS a",
        "SELECT access.first_admin('me', 'me', 'x')",
        # columns that are not for analysts
        "SELECT contact_phone FROM registry.site",
        "SELECT holder_name FROM registry.certificate",
        "SELECT path FROM watch.evidence",
        "SELECT * FROM staging.rejected",
        # files and programs
        "SELECT pg_read_file('PG_VERSION')",
        "SELECT pg_read_binary_file('PG_VERSION')",
        "SELECT pg_ls_dir('.')",
        "SELECT pg_stat_file('PG_VERSION')",
        "SELECT lo_import('/etc/passwd')",
        "COPY (SELECT 1) TO PROGRAM 'true'",
        "COPY (SELECT 1) TO '/tmp/x'",
        "COPY registry.camera FROM '/etc/passwd'",
        "LOAD 'dblink'",
        # the server
        "SELECT * FROM pg_authid",
        "SELECT * FROM pg_shadow",
        "SELECT * FROM pg_hba_file_rules",
        "SELECT * FROM pg_file_settings",
        "SELECT * FROM pg_statistic",
        "SELECT * FROM pg_largeobject",
        "SELECT * FROM pg_user_mapping",
        "SELECT * FROM pg_control_system()",
        "SELECT pg_reload_conf()",
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SELECT pg_cancel_backend(pg_backend_pid())",
        "SELECT pg_switch_wal()",
        "SELECT pg_current_wal_lsn()",
        "SELECT pg_logical_emit_message(false, 'x', 'x')",
        "SELECT pg_export_snapshot()",
        "SELECT pg_create_physical_replication_slot('x')",
        "ALTER SYSTEM SET work_mem = '1GB'",
        "CHECKPOINT",
        # somebody else
        "SET ROLE geoapp",
        "SET ROLE geoapp_admin",
        "SET ROLE geoapp_scope_district",
        "SET ROLE geoapp_web",
        "SET ROLE geoapp_watch",
        "SET SESSION AUTHORIZATION geoapp",
        "CREATE ROLE mine",
        "GRANT geoapp_admin TO CURRENT_USER",
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "ALTER ROLE CURRENT_USER BYPASSRLS",
        "ALTER ROLE CURRENT_USER CONNECTION LIMIT -1",
        "SET temp_file_limit = -1",
        "ALTER ROLE CURRENT_USER SET temp_file_limit = -1",
        "SET session_replication_role = replica",
        "SET zero_damaged_pages = on",
        "SET log_statement = 'none'",
    ],
)
def test_refused(analyst: Connection, attempt: str) -> None:
    with pytest.raises(Denied):
        analyst.execute(attempt.encode())


def test_row_security_cannot_be_turned_off(analyst: Connection) -> None:
    """`row_security = off` asks for an error instead of a silent filter; it never shows more."""
    analyst.execute("SET row_security = off")
    with pytest.raises(Denied):
        analyst.execute("SELECT id FROM registry.site")


def test_dblink_is_not_to_be_had(url: str, analyst: Connection) -> None:
    """Where somebody installs it for work of their own, the city's SQL logins still cannot use it."""
    with connect(url, autocommit=True) as owner:
        present = owner.execute("SELECT FROM pg_available_extensions WHERE name = 'dblink'").fetchone()
        assert present is not None, "the server's contrib modules are not installed"
        owner.execute("CREATE EXTENSION dblink")
        try:
            owner.execute(read_sql("access/lockdown").encode())
            for attempt in (
                "SELECT * FROM dblink('dbname=postgres', 'SELECT 1') AS t (a int)",
                "SELECT dblink_connect('x')",
            ):
                with pytest.raises(Denied):
                    analyst.execute(attempt.encode())
        finally:
            owner.execute("DROP EXTENSION dblink")


@pytest.mark.parametrize("database", ["postgres", "template1"])
def test_other_databases_of_the_server_are_closed(analyst_url: str, database: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(make_conninfo(analyst_url, dbname=database))


def test_another_citys_database_is_closed(cluster: PrivateCluster, url: str) -> None:
    """Also to an account of the whole district, whose group is the server's: it would see every row there."""
    with connect(url, autocommit=True) as owner:
        made = account(owner, "sql.district", "analyst")
        owner.execute("UPDATE access.account SET has_sql_login = true WHERE id = %s", (made,))
        role = value(owner, "SELECT db_role FROM access.account WHERE login = 'sql.district'")
        owner.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), PASSWORD))
    own = make_conninfo(url, user=role, password=PASSWORD)
    psycopg.connect(own).close()
    other = clone(cluster, "geoapp")
    try:
        with connect(cluster.url(other)) as owner:
            owner.execute(read_sql("access/lockdown").encode())
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(make_conninfo(own, dbname=other))
    finally:
        drop(cluster, other)


def test_queries_of_others_are_not_shown(url: str, analyst: Connection) -> None:
    with connect(url) as owner:
        owner.execute("SELECT 'a secret of the owner'")
        rows = analyst.execute(
            "SELECT query FROM pg_stat_activity WHERE pid = %s", (owner.info.backend_pid,)
        ).fetchall()
    assert rows == [{"query": "<insufficient privilege>"}]


def test_statistics_of_hidden_rows_are_not_shown(url: str, analyst: Connection) -> None:
    """Most common values of a column with a policy would tell of other towns' rows."""
    with connect(url) as owner:
        assert value(owner, "SELECT count(*) FROM pg_stats WHERE schemaname = 'registry'") > 0
    assert (
        value(analyst, "SELECT count(*) FROM pg_stats WHERE schemaname = 'registry' AND tablename = 'site'")
        == 0
    )


def test_a_slot_for_copying_the_server_is_refused(analyst_url: str) -> None:
    with pytest.raises(psycopg.OperationalError, match="replication"):
        psycopg.connect(make_conninfo(analyst_url, replication="database"))


# -- the limits -------------------------------------------------------------------------------------------------


def test_limits_of_the_session(analyst: Connection, analyst_url: str) -> None:
    assert value(analyst, "SHOW statement_timeout") == "1min"
    assert value(analyst, "SHOW work_mem") == "16MB"
    assert value(analyst, "SHOW idle_in_transaction_session_timeout") == "10min"
    assert value(analyst, "SHOW temp_file_limit") == "1GB"
    more = [psycopg.connect(analyst_url) for _ in range(3)]
    try:
        with pytest.raises(psycopg.OperationalError, match="too many connections"):
            psycopg.connect(analyst_url)
    finally:
        for connection in more:
            connection.close()


@pytest.mark.long
def test_the_server_is_not_filled(analyst: Connection) -> None:
    analyst.execute("SET statement_timeout = 0")
    with pytest.raises(psycopg.errors.ConfigurationLimitExceeded):
        analyst.execute(
            "SELECT count(*) FROM (SELECT repeat('x', 1000) || n AS t FROM generate_series(1, 100000000) AS n ORDER BY 1) AS s"
        )


def test_a_login_that_is_taken_away_leaves_nothing(url: str) -> None:
    with connect(url, autocommit=True) as owner:
        made = account(owner, "sql.gone", "analyst")
        owner.execute("UPDATE access.account SET has_sql_login = true WHERE id = %s", (made,))
        role = value(owner, "SELECT db_role FROM access.account WHERE login = 'sql.gone'")
        owner.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), PASSWORD))
        own = make_conninfo(url, user=role, password=PASSWORD)
        psycopg.connect(own).close()
        owner.execute("UPDATE access.account SET has_sql_login = false WHERE id = %s", (made,))
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(own)
        left = owner.execute(
            "SELECT a.rolcanlogin, a.rolpassword, r.rolconfig FROM pg_authid AS a JOIN pg_roles AS r ON r.oid = a.oid"
            " WHERE a.rolname = %s",
            (role,),
        ).fetchone()
    assert left == {"rolcanlogin": False, "rolpassword": None, "rolconfig": None}


@pytest.mark.parametrize(
    "attempt",
    [
        "SET statement_timeout = 0",
        "SET work_mem = '4GB'",
        "LISTEN geoapp_live",
        "NOTIFY geoapp_live, '1'",
        "PREPARE p AS SELECT 1",
    ],
)
def test_known_and_left(analyst: Connection, attempt: str) -> None:
    """PostgreSQL has no right that forbids these; README and docs say so. A NOTIFY carries no row: maps read by their own
    rights what a number stands for."""
    analyst.execute(attempt.encode())


# -- what must go on --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "question",
    [
        "SELECT count(*) FROM analysis.site",
        "SELECT count(*) FROM analysis.risk_cell",
        "SELECT ST_AsMVT(t) FROM (SELECT ST_AsMVTGeom(c.geom_3857, ST_TileEnvelope(10, 857, 420)) AS g FROM territory.grid_cell AS c) AS t",
        "SELECT ST_AsGeoJSON(ST_Transform(geom, 4326)) FROM registry.camera LIMIT 1",
        "SELECT ST_AsBinary(ST_Buffer(geom, 10)) FROM registry.camera LIMIT 1",
        "SELECT ST_ClusterDBSCAN(geom, 100, 2) OVER () FROM registry.camera",
        # what QGIS asks first
        "SELECT * FROM geometry_columns",
        "SELECT * FROM public.spatial_ref_sys WHERE srid = 4549",
        "SELECT postgis_full_version()",
        "SELECT pg_is_in_recovery()",
        "SELECT current_schemas(true), has_schema_privilege('analysis', 'usage'), has_table_privilege('registry.camera', 'select')",
        "SELECT * FROM information_schema.columns WHERE table_schema = 'analysis'",
        "SELECT * FROM information_schema.table_privileges",
        "SELECT pg_get_viewdef('analysis.site'::regclass)",
        "SELECT obj_description('registry.camera'::regclass)",
        "EXPLAIN (FORMAT JSON) SELECT * FROM registry.key_risk_area",
        "SELECT id FROM access.my_account",
    ],
)
def test_reading_goes_on(analyst: Connection, question: str) -> None:
    analyst.execute(question.encode())


def test_copying_out_what_may_be_read(analyst: Connection) -> None:
    with analyst.cursor().copy("COPY (SELECT id FROM registry.camera) TO STDOUT") as rows:
        assert list(rows.rows())


def test_a_cursor_as_qgis_opens_it(analyst: Connection) -> None:
    analyst.execute("BEGIN READ ONLY")
    analyst.execute(
        "DECLARE qgis_1 BINARY CURSOR FOR SELECT ST_AsBinary(geom), id FROM registry.camera WHERE geom && ST_MakeEnvelope(0, 0, 1e7, 1e7, 4549)"
    )
    assert analyst.execute("FETCH FORWARD 10 FROM qgis_1").fetchall()
    analyst.execute("CLOSE qgis_1")
    analyst.execute("COMMIT")


@pytest.mark.parametrize(
    "command",
    [
        r"\d registry.camera",
        r"\dt *.*",
        r"\dv+ analysis.*",
        r"\dp registry.*",
        r"\df access.*",
        r"\du",
        r"\l",
        r"\dn+",
    ],
)
def test_psql_describes(cluster: PrivateCluster, analyst_url: str, command: str) -> None:
    plain = make_conninfo(**{k: v for k, v in conninfo_to_dict(analyst_url).items() if k != "password"})
    done = subprocess.run(
        [cluster.server / "psql", "-X", "-v", "ON_ERROR_STOP=1", "-d", plain, "-c", command],
        env={**os.environ, "PGPASSWORD": PASSWORD}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr
    assert done.stdout.strip()


def test_triggers_in_plpgsql_still_run_for_who_may_write(url: str) -> None:
    with connect(url) as owner:
        admin = caller(owner, "lock.admin", "admin")
    with connect(url) as connection:
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(admin.db_role)))
        connection.execute(
            "UPDATE analysis.parameter SET value = value + 1 WHERE name = (SELECT min(name) FROM analysis.parameter)"
        )
        row = connection.execute("SELECT action, login FROM access.audit ORDER BY id DESC LIMIT 1").fetchone()
        assert row == {"action": "update", "login": "lock.admin"}
        connection.rollback()


# -- the list ---------------------------------------------------------------------------------------------------

# Volatile functions of the server that stay open to PUBLIC, by what they are. One that a new PostgreSQL brings, or that
# somebody opens, is not here: look at it, then close it in sql/access/lockdown.sql or add it.
OPEN = {
    "chance and clock": "bernoulli system random setseed gen_random_uuid clock_timestamp timeofday",
    "own session": "current_query pg_stat_clear_snapshot pg_stat_force_next_flush currtid2 txid_status pg_xact_status",
    "sizes": "pg_database_size pg_indexes_size pg_relation_size pg_table_size pg_tablespace_size pg_total_relation_size",
    "structure": "pg_partition_ancestors pg_partition_tree pg_sequence_last_value pg_collation_actual_version"
    " pg_database_collation_actual_version amvalidate pg_jit_available pg_get_wal_resource_managers",
    "state of the server": "pg_is_in_recovery pg_is_wal_replay_paused pg_get_wal_replay_pause_state pg_last_wal_receive_lsn"
    " pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_last_committed_xact pg_xact_commit_timestamp"
    " pg_xact_commit_timestamp_origin pg_get_multixact_members pg_blocking_pids pg_safe_snapshot_blocking_pids"
    " pg_isolation_test_session_is_blocked pg_stat_get_recovery_prefetch",
    "counters of the own transaction": "pg_stat_get_xact_blocks_fetched pg_stat_get_xact_blocks_hit"
    " pg_stat_get_xact_function_calls pg_stat_get_xact_function_self_time pg_stat_get_xact_function_total_time"
    " pg_stat_get_xact_numscans pg_stat_get_xact_tuples_deleted pg_stat_get_xact_tuples_fetched"
    " pg_stat_get_xact_tuples_hot_updated pg_stat_get_xact_tuples_inserted pg_stat_get_xact_tuples_returned"
    " pg_stat_get_xact_tuples_updated",
    "only callable by the server itself, or as its extension's script": "brinhandler bthandler ginhandler gisthandler hashhandler"
    " spghandler heap_tableam_handler dsnowball_init dsnowball_lexize plpgsql_call_handler plpgsql_inline_handler"
    " plpgsql_validator pg_extension_config_dump",
}


def test_every_volatile_function_that_is_open_is_on_the_list(analyst: Connection) -> None:
    rows = analyst.execute(
        "SELECT DISTINCT p.proname AS name FROM pg_proc AS p"
        " WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.provolatile = 'v' AND p.prokind IN ('f', 'p')"
        " AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)"
        " AND has_function_privilege(current_user, p.oid, 'EXECUTE')"
    ).fetchall()
    listed = set(" ".join(OPEN.values()).split())
    assert {row["name"] for row in rows} - listed == set()


def test_functions_of_the_house_that_run_as_the_owner_are_few_and_known(analyst: Connection) -> None:
    rows = analyst.execute(
        "SELECT p.oid::regprocedure::text AS name FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace"
        " WHERE p.prosecdef AND p.prorettype <> 'trigger'::regtype AND has_function_privilege(current_user, p.oid, 'EXECUTE')"
        " AND has_schema_privilege(current_user, n.oid, 'USAGE')"
    ).fetchall()
    names = {row["name"].split("(")[0] for row in rows}
    assert names <= {
        "access.record",  # writes in the caller's own name
        "access.record_export",
        "access.actions_of",  # what a role may do, no row
        "watch.pulse",  # two figures
        # For the policies: codes and ids of the caller's own area, whoever calls.
        "access.areas_of_caller",
        "access.units_of_caller",
        "access.sites_of_caller",
        "access.key_risk_areas_of_caller",
        "access.cameras_of_caller",
        "territory.versions_of",  # when layers changed, no row
        "analysis.no_cell_ground",  # ground between cells: no cell, no site
    }, names
    with pytest.raises(Denied):
        analyst.execute("SELECT access.first_admin('x', 'x', 'x')")
