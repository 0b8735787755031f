"""SQL logins of analysts: the account's own database role may connect, and sees the rows that the account sees."""

import secrets
from typing import Any
from urllib.parse import quote, urlencode

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from geoapp.access.caller import Connection
from geoapp.errors import Refused

ROLES = frozenset({"analyst", "planner"})


def give_sql_login(connection: Connection, account: dict[str, Any]) -> str:
    """Lets an account (id, login, roles, db_role, disabled_at) sign in to the database; its new password.

    connection: the owner's. The server gets the password's SCRAM verifier, made here, so that neither its log nor its
    catalogue holds the password. A password given before no longer holds. Raises Refused for roles that do not work in
    SQL, for a disabled account, and where the owner may not change roles.
    """
    if not set(account["roles"]) <= ROLES:
        raise Refused(
            f"{account['login']}: 只有分析员和规划员可以直接用 SQL / only analysts and planners sign in to SQL "
            f"({', '.join(account['roles'])})."
        )
    if account["disabled_at"] is not None:
        raise Refused(f"{account['login']}: 账号已停用，先启用 / the account is disabled: enable it first.")
    role = str(account["db_role"])
    password = secrets.token_urlsafe(24)
    verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
    try:
        with connection.transaction():
            connection.execute(
                "UPDATE access.account SET has_sql_login = true WHERE id = %s", (account["id"],)
            )
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier))
            )
            _connect_right(connection, "GRANT", "TO", role)
    except psycopg.errors.InsufficientPrivilege as fault:
        raise Refused(
            f"数据库不让改角色 / this database role may not change roles: {fault.diag.message_primary}."
        ) from fault
    return password


def take_sql_login(connection: Connection, account: dict[str, Any]) -> None:
    """Takes the SQL login away, password and all. Connections that are open go on: see end_sql_sessions."""
    role = str(account["db_role"])
    with connection.transaction():
        connection.execute("UPDATE access.account SET has_sql_login = false WHERE id = %s", (account["id"],))
        connection.execute(sql.SQL("ALTER ROLE {} PASSWORD NULL").format(sql.Identifier(role)))
        _connect_right(connection, "REVOKE", "FROM", role)


def end_sql_sessions(connection: Connection, role: str) -> int:
    """Ends the open database connections of a role; how many."""
    row = connection.execute(
        "SELECT count(pg_terminate_backend(s.pid)) AS n FROM pg_stat_activity AS s WHERE s.usename = %s",
        (role,),
    ).fetchone()
    return 0 if row is None else int(row["n"])


def sql_url(owner_url: str, role: str, password: str) -> str:
    """The libpq address for psql, with the password: the owner's, with this role."""
    parts = {key: str(value) for key, value in conninfo_to_dict(owner_url).items() if value is not None}
    for owners in ("user", "password", "passfile"):
        parts.pop(owners, None)
    host, port, name = (parts.pop(key, "") for key in ("host", "port", "dbname"))
    place = host
    if host.startswith("/") or "," in host:  # a socket's folder, or several servers
        parts["host"], place = host, ""
    elif ":" in host:
        place = f"[{host}]"
    place += f":{port}" if port else ""
    rest = f"?{urlencode(parts)}" if parts else ""
    return (
        f"postgresql://{quote(role, safe='')}:{quote(password, safe='')}@{place}/{quote(name, safe='')}{rest}"
    )


def _connect_right(connection: Connection, verb: str, preposition: str, role: str) -> None:
    connection.execute(
        sql.SQL("{} CONNECT ON DATABASE {} {} {}").format(
            sql.SQL(verb), sql.Identifier(connection.info.dbname), sql.SQL(preposition), sql.Identifier(role)
        )
    )
