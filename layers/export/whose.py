"""In whose name the command line takes data out: the owner's, or an account's with that account's rights and rows."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from geoapp.access.caller import NO_RIGHT, ROLES, Forbidden
from geoapp.errors import Refused
from layers.export.content import Content

Connection = psycopg.Connection[dict[str, Any]]


@contextmanager
def in_name_of(connection: Connection, login: str) -> Iterator[tuple[str, ...]]:
    """One transaction with the rights and rows of the account `login` ("" = of the connection itself); gives its roles.

    Raises Refused where there is no such account or it is disabled, Forbidden where its role may not read what is asked.
    """
    with connection.transaction():
        if not login:
            yield ROLES
            return
        account = connection.execute(
            "SELECT db_role, roles, disabled_at FROM access.account WHERE login = %s", (login,)
        ).fetchone()
        if account is None or account["disabled_at"] is not None:
            raise Refused(
                f"没有可用的账号 {login} / there is no enabled account {login!r}: see geoapp user list."
            )
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(account["db_role"])))
        try:
            yield tuple(account["roles"])
        except psycopg.errors.InsufficientPrivilege:
            raise Forbidden(NO_RIGHT) from None
        connection.execute("SET LOCAL ROLE NONE")


def on_record(connection: Connection, made: Content, login: str) -> None:
    """Writes into the audit, in the connection's own name, what was taken out and for whom."""
    wanted = made.order
    detail = {"frame": wanted.frame.name, "as": login or None, "personal": made.personal, "by": "command"}
    connection.execute(
        "SELECT access.record_export(%s, %s, %s, NULL, NULL, %s)",
        (wanted.register.id, wanted.ending.removeprefix("."), made.rows, Jsonb(detail)),
    )
