"""`geoapp user`: accounts, their tokens and SQL logins, by whoever owns the installation."""

import getpass
import re
import sys
from datetime import UTC, datetime
from typing import Any, NoReturn

import typer
from rich.markup import escape
from rich.table import Table

from geoapp.access import account_changes, sql_login_commands, token_commands
from geoapp.access.accounts import add_account
from geoapp.access.caller import ROLES, Connection
from geoapp.access.passwords import LONGEST_RAW, hash_password, one_time_password, refuse_problems
from geoapp.access.sign_in import reset_password
from geoapp.access.sql_login import give_sql_login, sql_url
from geoapp.access.user_act import (
    JSON,
    LOGIN,
    account_named,
    act_on,
    console,
    moment,
    print_json,
    read_accounts,
    record,
    say,
    where,
)
from geoapp.database.connection import connect, database_url
from geoapp.errors import Refused

app = typer.Typer(
    help="账号：添加、停用、重置密码、令牌、SQL 登录 / accounts: add, disable, reset, tokens, SQL logins.",
    no_args_is_help=True,
)
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
        account = account_named(connection, login)
        done: dict[str, Any] = {
            key: account[key] for key in ("id", "login", "roles", "scope", "areas", "area_names", "sites")
        }
        if once is not None:
            done["one_time_password"] = once
        if sql:
            done["sql_url"] = sql_url(url, account["db_role"], give_sql_login(connection, account))
        record(connection, "account_added", account_id, {"roles": role, "sql": sql})
    say(
        done,
        as_json,
        f"已添加 / added: {login} ({', '.join(role)}; {where(account)})",
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
        now = account_named(connection, login)
        return {
            key: now[key] for key in ("name_zh", "name_en", "roles", "scope", "areas", "area_names", "sites")
        }

    act_on(login, "account_changed", act, as_json, f"已修改 / changed: {login}", ends_sql=True)


@app.command("list")
def list_accounts(as_json: bool = JSON) -> None:
    """列出账号 / List accounts with roles, areas and what is open."""
    with connect(database_url()) as connection, connection.transaction():
        rows = read_accounts(connection, None)
    if as_json:
        print_json([_public(row) for row in rows])
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
            escape(where(row)),
            _state(row),
            str(row["open_sessions"]),
            str(row["open_tokens"]),
            moment(row["last_seen_at"]),
        )
    console().print(table if rows else "还没有账号 / no accounts yet: geoapp user add")


@app.command()
def disable(login: str = LOGIN, as_json: bool = JSON) -> None:
    """停用账号 / Disable an account: its rights go at once, its sessions and database connections end."""

    def act(connection: Connection, account: dict[str, Any]) -> dict[str, Any]:
        account_changes.disable(connection, account["id"], datetime.now(UTC))
        return {"disabled": True}

    act_on(login, "account_disabled", act, as_json, f"已停用 / disabled: {login}", ends_sql=True)


@app.command()
def enable(login: str = LOGIN, as_json: bool = JSON) -> None:
    """启用账号 / Enable a disabled account; old sessions stay ended."""

    def act(connection: Connection, account: dict[str, Any]) -> dict[str, Any]:
        account_changes.enable(connection, account["id"])
        return {"disabled": False}

    act_on(login, "account_enabled", act, as_json, f"已启用 / enabled: {login}")


@app.command()
def reset(login: str = LOGIN, as_json: bool = JSON) -> None:
    """重置密码 / Give a one-time password; all sessions end and all tokens are revoked."""
    with connect(database_url()) as connection, connection.transaction():
        account = account_named(connection, login)
        once = reset_password(connection, account["id"], at=datetime.now(UTC))
        record(connection, "account_reset", account["id"], {})
    say(
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


for command in (token_commands.token, token_commands.tokens, token_commands.revoke, sql_login_commands.sql):
    app.command()(command)


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


def _public(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "disabled": row["disabled_at"] is not None}


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
