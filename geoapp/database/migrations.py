"""The schema, up and down: roles, Alembic for tables, then the definitions: views and functions of sql/analysis and
sql/tiles, and who may do what on which rows (sql/access)."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from geoapp.database.connection import connect, sqlalchemy_engine
from geoapp.database.sql_files import definition_files, read_sql
from geoapp.errors import Refused

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import Script
    from sqlalchemy import Connection

# Alembic is imported where it is used: every command reaches this module, and it takes three quarters of a second.
REVISIONS = Path(__file__).parent / "revisions"
# Two processes that start together must not migrate together; any constant that nothing else locks.
MIGRATION_LOCK = 748_116_310


def _configuration(connection: Connection, srid: int) -> Config:
    config = _scripts()
    config.attributes["connection"] = connection
    config.attributes["srid"] = srid
    return config


def _scripts() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(REVISIONS))
    return config


def _revisions() -> list[Script]:
    """Every revision that this program knows, newest first."""
    from alembic.script import ScriptDirectory

    return list(ScriptDirectory.from_config(_scripts()).walk_revisions())


def head() -> str:
    """The newest revision that this program knows."""
    from alembic.script import ScriptDirectory

    found = ScriptDirectory.from_config(_scripts()).get_current_head()
    assert found is not None
    return found


def current(url: str) -> str | None:
    """The revision of the database, or None where there is no schema yet."""
    with connect(url) as connection:
        table = connection.execute("SELECT to_regclass('public.alembic_version') AS t").fetchone()
        if table is None or table["t"] is None:
            return None
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        return None if row is None else str(row["version_num"])


def stored_srid(url: str) -> int | None:
    """The metric zone (EPSG code) that the schema was made with, or None where there is none yet."""
    with connect(url) as connection:
        row = connection.execute(
            "SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute"
            " WHERE attrelid = to_regclass('territory.unit') AND attname = 'seat'"
        ).fetchone()
        return None if row is None else int(re.sub(r"\D", "", row["type"]))


def migrate(url: str, *, srid: int, to: str = "head") -> str | None:
    """Brings the schema to revision `to` ("head", a revision, or "base" for none) and renews the definitions.

    `srid` (EPSG code, metres) types the geometry columns at the first migration and may not change afterwards.
    Raises Refused when the database holds another zone, or a revision newer than this program.
    """
    from alembic import command
    from sqlalchemy import text

    _check_known(url)
    if to not in {"head", "base", *(r.revision for r in _revisions())}:
        known = ", ".join(reversed([r.revision for r in _revisions()]))
        raise Refused(f"没有版本 {to} / there is no revision {to!r}. Known: base, {known}, head.")
    held = stored_srid(url)
    if held is not None and held != srid:
        raise Refused(
            f"数据库的坐标带是 EPSG:{held}，要求的是 EPSG:{srid} / This database was made for EPSG:{held}, asked for EPSG:{srid}.\n"
            "  One database holds one city: use another GEOAPP_HOME (or database) for the other city."
        )
    engine = sqlalchemy_engine(url)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
            connection.commit()
            config = _configuration(connection, srid)
            if to == "base":
                drop_definitions_of(url, rights=True)
                command.downgrade(config, "base")
            elif to != "head" and _is_older(to, current(url)):
                drop_definitions_of(url, rights=True)
                command.downgrade(config, to)
            else:
                make_roles(url)
                command.upgrade(config, to)
            connection.commit()
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})
            connection.commit()
    finally:
        engine.dispose()
    if to == "head":
        apply_definitions(url, srid=srid)
        _follow_accounts(url)
    return current(url)


def make_roles(url: str) -> None:
    """The server's group roles, where they are missing. Raises Refused, with what to run, where this role may not make them."""
    with connect(url) as connection:
        try:
            connection.execute(read_sql("access/roles").encode())
        except psycopg.errors.InsufficientPrivilege as fault:
            raise Refused(
                f"缺少建立数据库角色的权限 / this database role may not make roles: {fault.diag.message_primary}.\n"
                "  As a superuser run: ALTER ROLE <it> CREATEROLE   (or run sql/access/roles.sql yourself)."
            ) from fault


def _follow_accounts(url: str) -> None:
    """Roles of accounts that this server does not know yet: after a restore on another one."""
    with connect(url) as connection:
        connection.execute(
            "SELECT access.follow_role(a) FROM access.account AS a"
            " WHERE NOT EXISTS (SELECT 1 FROM pg_roles AS r WHERE r.rolname = a.db_role)"
        )


def _is_older(to: str, now: str | None) -> bool:
    return now is not None and to < now


def _check_known(url: str) -> None:
    now = current(url)
    if now is not None and now > head():
        raise Refused(
            f"数据库版本 {now} 比程序 {head()} 新 / The database is at revision {now}, this program knows {head()}.\n"
            "  Update the program; nothing was changed."
        )


def definitions_digest(srid: int) -> str:
    """SHA-256 over all definition files: whether the views of a database are those of this program."""
    digest = hashlib.sha256(str(srid).encode())
    for path in definition_files():
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def apply_definitions(url: str, *, srid: int) -> bool:
    """Replaces all views and functions of `analysis` and `tiles`, all policies and rights, in one transaction.

    False when they were current.
    """
    digest = definitions_digest(srid)
    with connect(url) as connection:
        connection.execute("SELECT set_config('geoapp.batch', 'definitions', true)")
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK + 1,))
        row = connection.execute(
            "SELECT obj_description('tiles'::regnamespace, 'pg_namespace') AS said"
        ).fetchone()
        if row is not None and row["said"] == f"definitions {digest}":
            return False
        drop_definitions(connection)
        for path in definition_files():
            statement = read_sql(f"{path.parent.name}/{path.stem}", srid=srid)
            try:
                connection.cursor().execute(statement.encode())
            except psycopg.Error as fault:
                raise Refused(f"sql/{path.parent.name}/{path.name}: {fault}") from fault
        connection.execute(
            sql.SQL("COMMENT ON SCHEMA tiles IS {}").format(sql.Literal(f"definitions {digest}"))
        )
    return True


def drop_definitions_of(url: str, *, rights: bool = False) -> None:
    """Drops the definitions, where the schema exists: views and functions, and with `rights` who may do what, too."""
    with connect(url) as connection:
        found = connection.execute("SELECT to_regnamespace('analysis') AS n").fetchone()
        if found is not None and found["n"] is not None:
            drop_definitions(connection)
            if rights:
                connection.execute(read_sql("access/taken_back").encode())
            connection.execute("COMMENT ON SCHEMA tiles IS NULL")


def drop_definitions(connection: psycopg.Connection[dict[str, Any]]) -> None:
    """Drops every view and function of `analysis` and `tiles`; tables stay."""
    rows = connection.execute(
        """
        SELECT format('DROP %s IF EXISTS %s CASCADE',
                      CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END, c.oid::regclass) AS statement
        FROM pg_class AS c
        WHERE c.relnamespace IN ('analysis'::regnamespace, 'tiles'::regnamespace) AND c.relkind IN ('v', 'm')
        UNION ALL
        SELECT format('DROP FUNCTION IF EXISTS %s CASCADE', p.oid::regprocedure)
        FROM pg_proc AS p
        WHERE p.pronamespace IN ('analysis'::regnamespace, 'tiles'::regnamespace)
        """
    ).fetchall()
    for row in rows:
        connection.execute(row["statement"])
