"""Accounts for tests: one of each role and area over a city, as callers."""

from collections.abc import Sequence
from datetime import UTC, datetime

from geoapp.access.accounts import add_account
from geoapp.access.caller import Caller, Connection
from geoapp.access.sessions import caller_of_session, open_session


def account(
    owner: Connection,
    login: str,
    roles: str | Sequence[str],
    *,
    areas: Sequence[str] = (),
    sites: Sequence[int] = (),
) -> int:
    """A new account, made through the owner's connection (committed by whoever owns it)."""
    held = [roles] if isinstance(roles, str) else list(roles)
    return add_account(owner, login, f"{login} 测试", held, areas=areas, sites=sites)


def sign_in(owner: Connection, account_id: int) -> tuple[str, Caller]:
    """A session's cookie and its caller, opened as the sign-in does it."""
    now = datetime.now(UTC)
    token = open_session(owner, account_id, method="password", at=now, ip="127.0.0.1")
    found = caller_of_session(owner, token, now)
    assert found is not None
    return token, found


def caller(
    owner: Connection,
    login: str,
    roles: str | Sequence[str],
    *,
    areas: Sequence[str] = (),
    sites: Sequence[int] = (),
) -> Caller:
    """A new account as a caller."""
    return sign_in(owner, account(owner, login, roles, areas=areas, sites=sites))[1]
