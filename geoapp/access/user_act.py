"""One act of `geoapp user` on an account: found by its login, done, recorded in the audit, and said."""

import getpass
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import typer
from psycopg.types.json import Jsonb
from rich.console import Console

from geoapp.access.caller import Connection
from geoapp.access.sql_login import end_sql_sessions
from geoapp.database.connection import connect, database_url
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

JSON = typer.Option(False, "--json", help="Print JSON.")
LOGIN = typer.Argument(..., metavar="LOGIN")


def act_on(
    login: str,
    action: str,
    act: Callable[[Connection, dict[str, Any]], dict[str, Any]],
    as_json: bool,
    text: str,
    *,
    ends_sql: bool = False,
) -> None:
    """One act on one account, recorded. ends_sql: its open database connections end, if it may not connect any more."""
    with connect(database_url()) as connection:
        with connection.transaction():
            account = account_named(connection, login)
            done = act(connection, account)
            record(connection, action, account["id"], done)
        # When the change holds, so that nobody comes in again between.
        if ends_sql and not _may_connect(connection, account["db_role"]):
            done["sql_connections_ended"] = end_sql_sessions(connection, account["db_role"])
    say({"login": login, **done}, as_json, text)


def _may_connect(connection: Connection, role: str) -> bool:
    row = connection.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    return row is not None and bool(row["rolcanlogin"])


def read_accounts(connection: Connection, login: str | None) -> list[dict[str, Any]]:
    """Accounts as sql/access/accounts.sql gives them; login: that one alone, or None for all."""
    return connection.execute(
        read_sql("access/accounts").encode(), {"login": login, "at": datetime.now(UTC)}
    ).fetchall()


def account_named(connection: Connection, login: str) -> dict[str, Any]:
    """The account of a login. Raises Refused where there is none."""
    found = read_accounts(connection, login)
    if not found:
        raise Refused(f"没有账号 {login} / there is no account {login}: geoapp user list shows them.")
    return found[0]


def record(connection: Connection, action: str, account_id: int, detail: dict[str, Any]) -> None:
    """Into the audit, with who sat at the machine: the database role is the owner's, whoever it was."""
    by = {"by_system_user": _system_user(), "command": "geoapp user"}
    connection.execute(
        "SELECT access.record(%s, 'access.account', %s, detail => %s)",
        (action, str(account_id), Jsonb(by | detail)),
    )


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "?"


def where(row: dict[str, Any]) -> str:
    """An account's area in words, both languages."""
    if row["scope"] == "district":
        return "全区 whole district"
    if row["scope"] == "site":
        return f"场所 sites {', '.join(map(str, row['sites']))}"
    return "、".join(row["area_names"])


def moment(at: datetime | None) -> str:
    """A moment on this machine's clocks, to the minute."""
    return "—" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M")


def say(done: dict[str, Any], as_json: bool, text: str, *once: tuple[str, str, str | None]) -> None:
    """What was done; then what is shown only now, each on a line of its own."""
    if as_json:
        print_json(done)
        return
    typer.echo(text)
    for zh, en, shown in once:
        if shown is not None:
            typer.echo(f"{zh} / {en}:\n  {shown}")


def print_json(value: Any) -> None:
    """One line of JSON; moments in ISO 8601."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=lambda v: v.isoformat()))


def console() -> Console:
    """Where tables go: as wide as the terminal, 160 columns where there is none."""
    return Console(width=None if Console().is_terminal else 160)
