"""`geoapp user sql`: an account's own login to the database."""

from typing import Any

import typer

from geoapp.access.caller import Connection
from geoapp.access.sql_login import give_sql_login, sql_url, take_sql_login
from geoapp.access.user_act import JSON, LOGIN, account_named, act_on, record, say, where
from geoapp.database.connection import connect, database_url


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
        act_on(login, "sql_login_taken", act, as_json, text, ends_sql=True)
        return
    url = database_url()
    with connect(url) as connection, connection.transaction():
        account = account_named(connection, login)
        address = sql_url(url, account["db_role"], give_sql_login(connection, account))
        record(connection, "sql_login_given", account["id"], {})
    say(
        {"login": login, "sql": True, "sql_url": address},
        as_json,
        f"SQL 登录 / SQL login: {login} ({where(account)})",
        ("psql 地址，含口令，只显示这一次", "address for psql, with its password; shown only now", address),
    )
