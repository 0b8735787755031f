"""What an admin changes of an account, and what everybody may change of the own one; each with its reason in the audit.

`connection` is the caller's (acting): which accounts, sessions and tokens there are for them is for the policies.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from geoapp.access import sessions
from geoapp.access.accounts import areas_kept, scope_of
from geoapp.access.caller import Connection
from geoapp.access.tokens import revoke_tokens
from geoapp.errors import Refused


class NoSuchAccount(Refused):
    """There is no such account, session or token, or it is not for the caller to change."""

    def __init__(self) -> None:
        super().__init__("没有这一项 / there is no such thing.")


class AdminStays(Refused):
    """The last enabled admin stays one, and nobody changes the own roles or disables the own account."""


def give_reason(connection: Connection, reason: str) -> None:
    """For the rest of the transaction, row triggers write this reason into the audit."""
    # SET, not set_config(): that function is closed to most roles.
    connection.execute(sql.SQL("SET LOCAL geoapp.reason = {}").format(sql.Literal(reason.strip())))


def change_account(
    connection: Connection,
    account_id: int,
    *,
    name_zh: str | None = None,
    name_en: str | None = None,
    roles: Sequence[str] | None = None,
    areas: Sequence[str] | None = None,
    sites: Sequence[int] | None = None,
    oidc_subject: str | None = None,
) -> None:
    """Changes what is given of an account, in one transaction; None keeps a part as it is.

    connection: an admin's (acting) or the owner's. areas: 12-digit codes of towns or of communities, () = the whole
    district; sites: ids of registry.site, for an enterprise. Only one of the two given takes the other away. "" takes
    the OIDC subject away. The account's database role follows at once (a trigger), its open sessions go on with the new
    roles and area from their next request. Raises NoSuchAccount; AdminStays; Refused where the roles, areas and sites do
    not go together (scope_of), for areas or sites that are not there, and for an OIDC subject that is another's.
    """
    with connection.transaction():
        held = connection.execute(
            "SELECT a.name_zh, a.name_en, a.roles, a.oidc_subject FROM access.account AS a WHERE a.id = %s FOR UPDATE",
            (account_id,),
        ).fetchone()
        if held is None:
            raise NoSuchAccount
        held_areas = _column(
            connection, "SELECT area_code FROM access.account_area WHERE account_id = %s", account_id
        )
        held_sites = _column(
            connection, "SELECT site_id FROM access.account_site WHERE account_id = %s", account_id
        )
        wanted_roles = held["roles"] if roles is None else list(dict.fromkeys(roles))
        wanted_areas = areas if areas is not None else held_areas if sites is None else ()
        wanted_sites = sites if sites is not None else held_sites if areas is None else ()
        scope = scope_of(wanted_roles, wanted_areas, wanted_sites)
        kept_areas = areas_kept(connection, scope, wanted_areas)
        values = {
            "id": account_id,
            "name_zh": (name_zh or "").strip() or held["name_zh"],
            "name_en": held["name_en"] if name_en is None else name_en.strip(),
            "roles": wanted_roles,
            "scope": scope,
            "oidc_subject": held["oidc_subject"] if oidc_subject is None else oidc_subject.strip() or None,
        }
        try:
            with _admin_stays():
                connection.execute(
                    "UPDATE access.account SET name_zh = %(name_zh)s, name_en = %(name_en)s, roles = %(roles)s,"
                    " scope = %(scope)s, oidc_subject = %(oidc_subject)s WHERE id = %(id)s",
                    values,
                )
            for table, column, before, after in (
                ("access.account_area", "area_code", held_areas, kept_areas),
                ("access.account_site", "site_id", held_sites, tuple(dict.fromkeys(wanted_sites))),
            ):
                for value in [v for v in before if v not in after]:
                    connection.execute(
                        f"DELETE FROM {table} WHERE account_id = %s AND {column} = %s".encode(),
                        (account_id, value),
                    )
                for value in [v for v in after if v not in before]:
                    connection.execute(f"INSERT INTO {table} VALUES (%s, %s)".encode(), (account_id, value))
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except psycopg.errors.UniqueViolation as fault:
            raise Refused(
                f"这个 OIDC 标识是别的账号的 / another account has the OIDC subject {oidc_subject}."
            ) from fault
        except psycopg.errors.ForeignKeyViolation as fault:
            raise Refused(
                f"没有这个区划或场所 / no such unit or site: {', '.join([*kept_areas, *map(str, wanted_sites)])}."
            ) from fault


def disable(connection: Connection, account_id: int, at: datetime) -> None:
    """Takes the account's rights away and ends its sessions (a trigger does). Raises NoSuchAccount, AdminStays; idempotent."""
    _one(connection, account_id)
    with _admin_stays():
        connection.execute(
            "UPDATE access.account SET disabled_at = %s WHERE id = %s AND disabled_at IS NULL",
            (at, account_id),
        )


def enable(connection: Connection, account_id: int) -> None:
    """Gives a disabled account its rights back; its old sessions stay ended. Raises NoSuchAccount; idempotent."""
    _one(connection, account_id)
    connection.execute(
        "UPDATE access.account SET disabled_at = NULL WHERE id = %s AND disabled_at IS NOT NULL",
        (account_id,),
    )


def end_sessions(connection: Connection, account_id: int, at: datetime, reason: str) -> int:
    """Ends all open sessions of an account; how many. It is on record by itself: sessions have no row trigger."""
    _one(connection, account_id)
    ended = sessions.end_sessions(connection, account_id, "by_admin", at)
    connection.execute(
        "SELECT access.record('sessions_ended', 'access.account', %s, NULL, %s, jsonb_build_object('sessions', %s::int))",
        (str(account_id), reason.strip() or None, ended),
    )
    return ended


def end_own_session(connection: Connection, account_id: int, session_id: str, at: datetime) -> None:
    """Ends one session of the caller's own account. Raises NoSuchAccount for another's or one that has ended."""
    ended = connection.execute(
        "UPDATE access.session SET ended_at = %s, ended_why = 'by_owner'"
        " WHERE id = %s::uuid AND account_id = %s AND ended_at IS NULL",
        (at, session_id, account_id),
    ).rowcount
    if ended == 0:
        raise NoSuchAccount
    connection.execute(
        "SELECT access.record('sessions_ended', 'access.account', %s, NULL, NULL, jsonb_build_object('sessions', 1))",
        (str(account_id),),
    )


def revoke_own_token(connection: Connection, account_id: int, token_id: int, at: datetime) -> None:
    """Revokes one token of the caller's own account. Raises NoSuchAccount for another's or a revoked one."""
    revoked = revoke_tokens(connection, account_id, at, token_id=token_id)
    if revoked == 0:
        raise NoSuchAccount


def _one(connection: Connection, account_id: int) -> None:
    if connection.execute("SELECT FROM access.account WHERE id = %s", (account_id,)).fetchone() is None:
        raise NoSuchAccount


def _column(connection: Connection, query: str, account_id: int) -> tuple[Any, ...]:
    rows = connection.execute(query.encode(), (account_id,)).fetchall()
    return tuple(sorted(next(iter(row.values())) for row in rows))


@contextmanager
def _admin_stays() -> Iterator[None]:
    """The database's refusals of access.account_admin_stays in their own words."""
    try:
        yield
    except psycopg.errors.CheckViolation as fault:
        if fault.diag.constraint_name in ("account_last_admin", "account_own_rights"):
            raise AdminStays(f"{fault.diag.message_primary}.") from fault
        raise
