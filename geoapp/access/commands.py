"""`geoapp user`: accounts, their tokens and SQL logins, by whoever owns the installation."""

import getpass
import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import typer
from psycopg.types.json import Jsonb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from geoapp.access import account_changes
from geoapp.access.accounts import add_account
from geoapp.access.caller import ROLES, Connection
from geoapp.access.passwords import LONGEST_RAW, hash_password, one_time_password, refuse_problems
from geoapp.access.sign_in import reset_password
from geoapp.access.sql_login import end_sql_sessions, give_sql_login, sql_url, take_sql_login
from geoapp.access.tokens import make_token, revoke_tokens
from geoapp.database.connection import connect, database_url
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

app = typer.Typer(
    help="账号：添加、停用、重置密码、令牌、SQL 登录 / accounts: add, disable, reset, tokens, SQL logins.",
    no_args_is_help=True,
)
JSON = typer.Option(False, "--json", help="Print JSON.")
LOGIN = typer.Argument(..., metavar="LOGIN")
ROLE_HELP = f"One of {', '.join(ROLES)}; repeat for several."


@app.command()
def add(
    login: str = LOGIN,
    name: str = typer.Option(..., "--name", help="姓名或单位 / name of the person or firm."),
    role: list[str] = typer.Option(..., "--role", help=ROLE_HELP),
    area: list[str] = typer.Option([], "--area", help="Town or community: 12-digit code or name; repeat."),
    site: list[str] = typer.Option([], "--site", help="An enterprise's site: id or USCC; repeat."),
    name_en: str = typer.Option("", "--name-en", help="Name in English."),
    oidc_subject: str | None = typer.Option(None, "--oidc-subject", help="Signs in at the OIDC provider as."),
    password_stdin: bool = typer.Option(
        False, "--password-stdin", help="Read the password from standard input."
    ),
    generate: bool = typer.Option(False, "--generate", help="Make a one-time password and print it."),
    sql: bool = typer.Option(False, "--sql", help="Also give a database login (analyst, planner)."),
    as_json: bool = JSON,
) -> None:
    """添加账号 / Add an account. The password is asked for twice, or see --generate and --password-stdin."""
    url = database_url()
    with connect(url) as connection, connection.transaction():
        areas, sites = _areas(connection, area), _sites(connection, site)
        once = one_time_password() if generate else None
        password = once or _typed_password(
            login, name, from_stdin=password_stdin, optional=oidc_subject is not None
        )
        account_id = add_account(
            connection,
            login,
            name,
            role,
            areas=areas,
            sites=sites,
            name_en=name_en,
            password_hash=None if password is None else hash_password(password),
            must_change_password=once is not None,
            oidc_subject=oidc_subject,
            at=datetime.now(UTC),
        )
        account = _account(connection, login)
        done: dict[str, Any] = {
            key: account[key] for key in ("id", "login", "roles", "scope", "areas", "area_names", "sites")
        }
        if once is not None:
            done["one_time_password"] = once
        if sql:
            done["sql_url"] = sql_url(url, account["db_role"], give_sql_login(connection, account))
        _record(connection, "account_added", account_id, {"roles": role, "sql": sql})
    _say(
        done,
        as_json,
        f"已添加 / added: {login} ({', '.join(role)}; {_where(account)})",
        (
            "一次性密码，首次登录须修改，只显示这一次",
            "one-time password, to be changed at the first sign-in; shown only now",
            once,
        ),
        ("SQL 登录，只显示这一次", "SQL login, shown only now", done.get("sql_url")),
    )


@app.command()
def change(
    login: str = LOGIN,
    name: str | None = typer.Option(None, "--name", help="姓名或单位 / name of the person or firm."),
    name_en: str | None = typer.Option(None, "--name-en", help='Name in English; "" takes it away.'),
    role: list[str] = typer.Option([], "--role", help=f"Instead of the roles held. {ROLE_HELP}"),
    area: list[str] = typer.Option(
        [], "--area", help="Instead of the areas held: 12-digit code or name; repeat."
    ),
    site: list[str] = typer.Option([], "--site", help="Instead of the sites held: id or USCC; repeat."),
    district: bool = typer.Option(False, "--district", help="The whole district instead of areas or sites."),
    oidc_subject: str | None = typer.Option(None, "--oidc-subject", help='"" takes it away.'),
    as_json: bool = JSON,
) -> None:
    """修改账号 / Change an account: what is not given stays. Its open sessions go on with the new roles and area at once."""
    given = [name, name_en, oidc_subject]
    if not (role or area or site or district or any(part is not None for part in given)):
        raise Refused("没有说改什么 / nothing to change was given: geoapp user change --help.")
    if district and (area or site):
        raise Refused("--district 不与 --area、--site 同用 / --district goes with neither --area nor --site.")
    if name is not None and not name.strip():
        raise Refused("姓名不能为空 / the name cannot be empty.")

    def act(connection: Connection, account: dict[str, Any]) -> dict[str, Any]:
        areas, sites = _areas(connection, area), _sites(connection, site)
        account_changes.change_account(
            connection,
            account["id"],
            name_zh=name,
            name_en=name_en,
            roles=role or None,
            areas=areas if area or district else None,
            sites=sites if site else None,
            oidc_subject=oidc_subject,
        )
        now = _account(connection, login)
        return {
            key: now[key] for key in ("name_zh", "name_en", "roles", "scope", "areas", "area_names", "sites")
        }

    _change(login, "account_changed", act, as_json, f"已修改 / changed: {login}", ends_sql=True)


@app.command("list")
def list_accounts(as_json: bool = JSON) -> None:
    """列出账号 / List accounts with roles, areas and what is open."""
    with connect(database_url()) as connection, connection.transaction():
        rows = _accounts(connection, None)
    if as_json:
        _print_json([_public(row) for row in rows])
        return
    headings = (
        "账号 login",
        "姓名 name",
        "角色 roles",
        "范围 area",
        "状态 state",
        "会话 sessions",
        "令牌 tokens",
        "最近 last seen",
    )
    table = Table(*headings, box=None)
    for row in rows:
        table.add_row(
            row["login"],
            escape(row["name_zh"]),
            ", ".join(row["roles"]),
            escape(_where(row)),
            _state(row),
            str(row["open_sessions"]),
            str(row["open_tokens"]),
            _moment(row["last_seen_at"]),
        )
    _console().print(table if rows else "还没有账号 / no accounts yet: geoapp user add")


@app.command()
def disable(login: str = LOGIN, as_json: bool = JSON) -> None:
    """停用账号 / Disable an account: its rights go at once, its sessions and database connections end."""

    def act(connection: Connection, account: dict[str, Any]) -> dict[str, Any]:
        account_changes.disable(connection, account["id"], datetime.now(UTC))
        return {"disabled": True}

    _change(login, "account_disabled", act, as_json, f"已停用 / disabled: {login}", ends_sql=True)


@app.command()
def enable(login: str = LOGIN, as_json: bool = JSON) -> None:
    """启用账号 / Enable a disabled account; old sessions stay ended."""

    def act(connection: Connection, account: dict[str, Any]) -> dict[str, Any]:
        account_changes.enable(connection, account["id"])
        return {"disabled": False}

    _change(login, "account_enabled", act, as_json, f"已启用 / enabled: {login}")


@app.command()
def reset(login: str = LOGIN, as_json: bool = JSON) -> None:
    """重置密码 / Give a one-time password; all sessions end and all tokens are revoked."""
    with connect(database_url()) as connection, connection.transaction():
        account = _account(connection, login)
        once = reset_password(connection, account["id"], at=datetime.now(UTC))
        _record(connection, "account_reset", account["id"], {})
    _say(
        {"login": login, "one_time_password": once, "has_sql_login": account["has_sql_login"]},
        as_json,
        f"已重置 / reset: {login}"
        + (
            f"\n  SQL 登录没有变 / its SQL login is as before: geoapp user sql {login} 换口令 / renews it"
            if account["has_sql_login"]
            else ""
        ),
        ("一次性密码，7 天内有效，只显示这一次", "one-time password, good for 7 days; shown only now", once),
    )


@app.command()
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
        account = _account(connection, login)
        if account["disabled_at"] is not None:
            raise Refused(f"{login}: 账号已停用 / the account is disabled.")
        made = make_token(connection, account["id"], name, scope, at=now, expires_at=ends)
        _record(connection, "token_made", account["id"], {"name": name, "scopes": scope, "days": days})
    _say(
        {"login": login, "name": name, "scopes": scope, "expires_at": ends.isoformat(), "token": made},
        as_json,
        f"令牌 / token {name!r} ({', '.join(scope)}) → {_moment(ends)}",
        ("只显示这一次", "shown only now", made),
    )


@app.command()
def tokens(login: str = LOGIN, as_json: bool = JSON) -> None:
    """列出令牌，不含内容 / List an account's tokens, never their text."""
    with connect(database_url()) as connection, connection.transaction():
        account = _account(connection, login)
        rows = connection.execute(
            "SELECT id, name, scopes, created_at, created_by, expires_at, last_used_at, revoked_at FROM access.token"
            " WHERE account_id = %s ORDER BY id",
            (account["id"],),
        ).fetchall()
    if as_json:
        _print_json(rows)
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
        moments = _moment(row["expires_at"]), _moment(row["last_used_at"])
        table.add_row(str(row["id"]), escape(row["name"]), ", ".join(row["scopes"]), *moments, state)
    _console().print(table if rows else "没有令牌 / no tokens")


@app.command()
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
        _record(connection, "token_revoked", row["account_id"], {"token": token_id, "name": row["name"]})
    text = f"已吊销 / revoked: {row['name']}" if revoked else f"早已吊销 / was revoked before: {row['name']}"
    _say({"id": token_id, "name": row["name"], "revoked": bool(revoked)}, as_json, text)


@app.command()
def sql(
    login: str = LOGIN,
    off: bool = typer.Option(False, "--off", help="Take the database login away."),
    as_json: bool = JSON,
) -> None:
    """SQL 登录 / Give an analyst or planner a database login and print its psql address once; --off takes it away."""
    if off:

        def act(connection: Connection, account: dict[str, Any]) -> dict[str, Any]:
            take_sql_login(connection, account)
            return {"sql": False}

        text = f"已收回 SQL 登录 / SQL login taken away: {login}"
        _change(login, "sql_login_taken", act, as_json, text, ends_sql=True)
        return
    url = database_url()
    with connect(url) as connection, connection.transaction():
        account = _account(connection, login)
        address = sql_url(url, account["db_role"], give_sql_login(connection, account))
        _record(connection, "sql_login_given", account["id"], {})
    _say(
        {"login": login, "sql": True, "sql_url": address},
        as_json,
        f"SQL 登录 / SQL login: {login} ({_where(account)})",
        ("psql 地址，含口令，只显示这一次", "address for psql, with its password; shown only now", address),
    )


def _change(
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
            account = _account(connection, login)
            done = act(connection, account)
            _record(connection, action, account["id"], done)
        # When the change holds, so that nobody comes in again between.
        if ends_sql and not _may_connect(connection, account["db_role"]):
            done["sql_connections_ended"] = end_sql_sessions(connection, account["db_role"])
    _say({"login": login, **done}, as_json, text)


def _may_connect(connection: Connection, role: str) -> bool:
    row = connection.execute("SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", (role,)).fetchone()
    return row is not None and bool(row["rolcanlogin"])


def _accounts(connection: Connection, login: str | None) -> list[dict[str, Any]]:
    return connection.execute(
        read_sql("access/accounts").encode(), {"login": login, "at": datetime.now(UTC)}
    ).fetchall()


def _account(connection: Connection, login: str) -> dict[str, Any]:
    found = _accounts(connection, login)
    if not found:
        raise Refused(f"没有账号 {login} / there is no account {login}: geoapp user list shows them.")
    return found[0]


def _areas(connection: Connection, asked: list[str]) -> list[str]:
    """Codes of the units that are named by code or by name. Raises Refused for a name that is none or several."""
    codes = []
    for word in asked:
        if re.fullmatch(r"[0-9]{12}", word):
            codes.append(word)
            continue
        rows = connection.execute(
            "SELECT code, name_zh FROM territory.unit WHERE %s IN (name_zh, name_en) AND valid_to IS NULL"
            " AND level IN ('town', 'community') ORDER BY code",
            (word,),
        ).fetchall()
        if not rows:
            raise Refused(
                f"没有这个乡镇或社区 / there is no town or community {word!r}: use its 12-digit code."
            )
        if len(rows) > 1:
            listed = ", ".join(row["code"] for row in rows)
            raise Refused(
                f"{word} 不止一个，请用代码 / there is more than one {word}, use the code: {listed}."
            )
        codes.append(rows[0]["code"])
    return codes


def _sites(connection: Connection, asked: list[str]) -> list[int]:
    """Ids of the sites that are named by id or USCC. Raises Refused for one that is not there."""
    ids = []
    for word in asked:
        number = int(word) if re.fullmatch(r"[0-9]{1,17}", word) else None
        row = connection.execute(
            "SELECT id FROM registry.site WHERE id = %s OR uscc = %s", (number, word.strip().upper())
        ).fetchone()
        if row is None:
            raise Refused(
                f"没有这个场所 / there is no site {word!r}: give its id or its 统一社会信用代码 (USCC)."
            )
        ids.append(int(row["id"]))
    return ids


def _typed_password(login: str, name: str, *, from_stdin: bool, optional: bool) -> str | None:
    """A password that keeps the rules: one line of standard input, or asked for twice; None where none is needed."""
    if from_stdin:
        password = sys.stdin.readline(LONGEST_RAW + 2).rstrip("\r\n")
    elif optional:
        return None
    elif not sys.stdin.isatty():
        _no_terminal()
    else:
        try:
            password, again = getpass.getpass("密码 / password: "), getpass.getpass("再输一次 / again: ")
        except EOFError:
            raise Refused("没有输入密码 / no password was typed; nothing was stored.") from None
        if password != again:
            raise Refused("两次不一样 / the two are not the same; nothing was stored.")
    refuse_problems(password, login, name)
    return password


def _no_terminal() -> NoReturn:
    raise Refused(
        "没有终端可以询问密码 / there is no terminal to ask for a password: use --generate, or --password-stdin.\n"
        "  密码从不写在命令行里 / A password is never given on the command line."
    )


def _record(connection: Connection, action: str, account_id: int, detail: dict[str, Any]) -> None:
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


def _public(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "disabled": row["disabled_at"] is not None}


def _where(row: dict[str, Any]) -> str:
    if row["scope"] == "district":
        return "全区 whole district"
    if row["scope"] == "site":
        return f"场所 sites {', '.join(map(str, row['sites']))}"
    return "、".join(row["area_names"])


def _state(row: dict[str, Any]) -> str:
    if row["disabled_at"] is not None:
        return "停用 disabled"
    marks = [
        text
        for holds, text in (
            (row["is_demo"], "演示 demo"),
            (row["has_sql_login"], "SQL"),
            (row["must_change_password"], "须改密码 must change"),
        )
        if holds
    ]
    return " · ".join(["有效 active", *marks])


def _moment(at: datetime | None) -> str:
    return "—" if at is None else at.astimezone().strftime("%Y-%m-%d %H:%M")


def _say(done: dict[str, Any], as_json: bool, text: str, *once: tuple[str, str, str | None]) -> None:
    """What was done; then what is shown only now, each on a line of its own."""
    if as_json:
        _print_json(done)
        return
    typer.echo(text)
    for zh, en, shown in once:
        if shown is not None:
            typer.echo(f"{zh} / {en}:\n  {shown}")


def _print_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, default=lambda v: v.isoformat()))


def _console() -> Console:
    return Console(width=None if Console().is_terminal else 160)
