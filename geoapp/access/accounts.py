"""Accounts: made, changed, disabled. The database makes and keeps each account's role (access.follow_role)."""

import re
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import psycopg

from geoapp.access.caller import ROLES, SCOPES, Connection
from geoapp.errors import Refused

LOGIN = re.compile(r"[a-z][a-z0-9._-]{1,31}")


def scope_of(roles: Sequence[str], areas: Sequence[str], sites: Sequence[int]) -> str:
    """The scope that follows from what is given: sites, communities, towns, or the whole district.

    Raises Refused for unknown roles, areas of mixed levels, an enterprise without sites, sites for another role, and an
    admin who is not of the whole district.
    """
    unknown = [r for r in roles if r not in ROLES]
    if unknown or not roles:
        raise Refused(
            f"没有这个角色 / no such role: {', '.join(unknown) or '—'}. Choose: {', '.join(ROLES)}."
        )
    if "enterprise" in roles:
        if len(set(roles)) > 1:
            raise Refused("企业账号不能兼任其他角色 / an enterprise's account holds no other role.")
        if not sites or areas:
            raise Refused("企业账号要指定它的场所 / an enterprise's account names its sites, and no areas.")
        return "site"
    if sites:
        raise Refused("只有企业账号按场所限定 / only an enterprise's account is limited to sites.")
    bad = [code for code in areas if not re.fullmatch(r"[0-9]{12}", code)]
    if bad:
        raise Refused(f"区划代码应为 12 位数字 / a unit's code has 12 digits: {', '.join(bad)}.")
    # A code that ends in zeros names the unit above: 6 zeros the county, 3 zeros a town.
    levels = {
        "district" if code.endswith("000000") else "town" if code.endswith("000") else "community"
        for code in areas
    }
    if len(levels) > 1:
        raise Refused(
            "一个账号的管辖区应为同一级 / the areas of an account are all towns or all communities."
        )
    scope = levels.pop() if levels else "district"
    if "admin" in roles and scope != "district":
        raise Refused("管理员管全区 / an admin is of the whole district: give no areas.")
    assert scope in SCOPES
    return scope


def areas_kept(connection: Connection, scope: str, areas: Sequence[str]) -> tuple[str, ...]:
    """The area codes that an account of this scope keeps: none for the whole district.

    Raises Refused for a county's code that is not this district's: a slip of the pen must not give all of it.
    """
    if scope != "district":
        return tuple(dict.fromkeys(areas))
    found = connection.execute(
        "SELECT u.code FROM territory.unit AS u WHERE u.code = ANY (%s)", (list(areas),)
    ).fetchall()
    strange = sorted({*areas} - {row["code"] for row in found})
    if strange:
        raise Refused(f"没有这个区划或场所 / no such unit or site: {', '.join(strange)}.")
    return ()


def add_account(
    connection: Connection,
    login: str,
    name_zh: str,
    roles: Sequence[str],
    *,
    areas: Sequence[str] = (),
    sites: Sequence[int] = (),
    name_en: str = "",
    password_hash: str | None = None,
    must_change_password: bool = False,
    oidc_subject: str | None = None,
    is_demo: bool = False,
    at: datetime | None = None,
) -> int:
    """Makes an account with its database role and returns its id. `connection` is the owner's or an admin's (acting).

    areas: 12-digit codes of towns or of communities (none = the whole district). sites: ids of registry.site, for an
    enterprise. at: when its password was set (aware; None: the transaction's time).
    Raises Refused for a login that cannot be one or is taken, and for areas or sites that are not there.
    """
    if not LOGIN.fullmatch(login):
        raise Refused(
            f"账号名 {login!r} 不能用 / this login cannot be used: 2 to 32 of a-z 0-9 . _ - , beginning with a letter."
        )
    scope = scope_of(roles, areas, sites)
    kept_areas = areas_kept(connection, scope, areas)
    values: dict[str, Any] = {
        "login": login,
        "name_zh": name_zh.strip() or login,
        "name_en": name_en.strip(),
        "roles": list(dict.fromkeys(roles)),
        "scope": scope,
        "db_role": f"geoapp_{login}_{secrets.token_hex(3)}",
        "password_hash": password_hash,
        "must": must_change_password,
        "oidc_subject": oidc_subject,
        "at": at,
    }
    try:
        with connection.transaction():
            row = connection.execute(
                """
                INSERT INTO access.account (login, name_zh, name_en, roles, scope, db_role, password_hash,
                    password_set_at, must_change_password, oidc_subject)
                VALUES (%(login)s, %(name_zh)s, %(name_en)s, %(roles)s, %(scope)s, %(db_role)s, %(password_hash)s::text,
                    CASE WHEN %(password_hash)s::text IS NOT NULL THEN coalesce(%(at)s::timestamptz, now()) END, %(must)s, %(oidc_subject)s)
                RETURNING id
                """,
                values,
            ).fetchone()
            assert row is not None
            account_id = int(row["id"])
            if is_demo:
                connection.execute("UPDATE access.account SET is_demo = true WHERE id = %s", (account_id,))
            for code in kept_areas:
                connection.execute("INSERT INTO access.account_area VALUES (%s, %s)", (account_id, code))
            for site in dict.fromkeys(sites):
                connection.execute("INSERT INTO access.account_site VALUES (%s, %s)", (account_id, site))
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.errors.UniqueViolation as fault:
        raise Refused(f"账号 {login} 已经有了 / there is an account {login} already.") from fault
    except psycopg.errors.ForeignKeyViolation as fault:
        raise Refused(
            f"没有这个区划或场所 / no such unit or site: {', '.join([*kept_areas, *map(str, sites)])}."
        ) from fault
    return account_id
