"""`geoapp user token`, `tokens` and `revoke`: the API tokens of accounts."""

from datetime import UTC, datetime, timedelta

import typer
from rich.markup import escape
from rich.table import Table

from geoapp.access.tokens import make_token, revoke_tokens
from geoapp.access.user_act import JSON, LOGIN, account_named, console, moment, print_json, record, say
from geoapp.database.connection import connect, database_url
from geoapp.errors import Refused


def token(
    login: str = LOGIN,
    name: str = typer.Option(..., "--name", help="What it is for."),
    scope: list[str] = typer.Option(["read"], "--scope", help="read, write, export, metrics; repeat."),
    days: int = typer.Option(90, "--days", min=1, max=366, help="Days until it ends."),
    as_json: bool = JSON,
) -> None:
    """发放令牌 / Make an API token and print it once."""
    now = datetime.now(UTC)
    ends = now + timedelta(days=days)
    with connect(database_url()) as connection, connection.transaction():
        account = account_named(connection, login)
        if account["disabled_at"] is not None:
            raise Refused(f"{login}: 账号已停用 / the account is disabled.")
        made = make_token(connection, account["id"], name, scope, at=now, expires_at=ends)
        record(connection, "token_made", account["id"], {"name": name, "scopes": scope, "days": days})
    say(
        {"login": login, "name": name, "scopes": scope, "expires_at": ends.isoformat(), "token": made},
        as_json,
        f"令牌 / token {name!r} ({', '.join(scope)}) → {moment(ends)}",
        ("只显示这一次", "shown only now", made),
    )


def tokens(login: str = LOGIN, as_json: bool = JSON) -> None:
    """列出令牌，不含内容 / List an account's tokens, never their text."""
    with connect(database_url()) as connection, connection.transaction():
        account = account_named(connection, login)
        rows = connection.execute(
            "SELECT id, name, scopes, created_at, created_by, expires_at, last_used_at, revoked_at FROM access.token"
            " WHERE account_id = %s ORDER BY id",
            (account["id"],),
        ).fetchall()
    if as_json:
        print_json(rows)
        return
    table = Table(
        "编号 id", "名称 name", "用途 scopes", "到期 ends", "最近 last used", "状态 state", box=None
    )
    now = datetime.now(UTC)
    for row in rows:
        state = (
            "已吊销 revoked"
            if row["revoked_at"]
            else "已到期 ended"
            if row["expires_at"] <= now
            else "有效 valid"
        )
        moments = moment(row["expires_at"]), moment(row["last_used_at"])
        table.add_row(str(row["id"]), escape(row["name"]), ", ".join(row["scopes"]), *moments, state)
    console().print(table if rows else "没有令牌 / no tokens")


def revoke(
    token_id: int = typer.Argument(..., metavar="ID", help="As geoapp user tokens shows it."),
    as_json: bool = JSON,
) -> None:
    """吊销令牌 / Revoke an API token at once."""
    with connect(database_url()) as connection, connection.transaction():
        row = connection.execute(
            "SELECT account_id, name, revoked_at FROM access.token WHERE id = %s", (token_id,)
        ).fetchone()
        if row is None:
            raise Refused(
                f"没有令牌 {token_id} / there is no token {token_id}: geoapp user tokens LOGIN lists them."
            )
        revoked = revoke_tokens(connection, row["account_id"], datetime.now(UTC), token_id=token_id)
        record(connection, "token_revoked", row["account_id"], {"token": token_id, "name": row["name"]})
    text = f"已吊销 / revoked: {row['name']}" if revoked else f"早已吊销 / was revoked before: {row['name']}"
    say({"id": token_id, "name": row["name"], "revoked": bool(revoked)}, as_json, text)
