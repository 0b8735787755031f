"""Sessions of signed-in browsers: a random cookie, of which the database keeps only the SHA-256."""

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import Any

from geoapp.access.caller import Caller, Connection
from geoapp.access.throttle import plain_ip
from geoapp.database.sql_files import read_sql
from geoapp.settings import settings

# The idle end is written again at most this often: a map asks for many tiles a second.
SLIDE_EVERY = timedelta(minutes=1)
COOKIE = "geoapp_session"
CSRF_COOKIE = "_csrf_token"
CSRF_HEADER = "X-CSRFToken"
TOKEN_LENGTH = 43


def idle() -> timedelta:
    """After how long without use a session ends (GEOAPP_SESSION_IDLE_MINUTES)."""
    return timedelta(minutes=settings().session_idle_minutes)


def longest() -> timedelta:
    """After how long a session ends in any case (GEOAPP_SESSION_HOURS)."""
    return timedelta(hours=settings().session_hours)


def token_hash(token: str) -> bytes:
    """SHA-256 of a cookie's or API token's text: what the database keeps of it."""
    return hashlib.sha256(token.encode()).digest()


def csrf_of(token: str) -> str:
    """The CSRF token of a session: it follows from the cookie's secret, so only the page's own origin can know it."""
    return hmac.new(token.encode(), b"geoapp csrf", "sha256").hexdigest()


def open_session(
    connection: Connection,
    account_id: int,
    *,
    method: str,
    at: datetime,
    ip: str | None = None,
    user_agent: str | None = None,
) -> str:
    """Opens a session (method: password, oidc, demo or first_start) and returns the cookie's text, 43 characters.

    `connection` is the web process's own (not acting). `at` is aware. It ends after idle() without use, after longest() in
    any case.
    """
    token = secrets.token_urlsafe(32)
    connection.execute(
        "INSERT INTO access.session (token_hash, account_id, method, created_at, last_used_at, idle_until, expires_at, ip, user_agent)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            token_hash(token),
            account_id,
            method,
            at,
            at,
            at + idle(),
            at + longest(),
            plain_ip(ip),
            "".join(c if c.isprintable() else " " for c in (user_agent or "")[:200]),
        ),
    )
    return token


def caller_of_session(
    connection: Connection, token: str, at: datetime, *, slides: bool = True
) -> Caller | None:
    """The caller of a cookie at a moment, or None for one that is forged, ended, or of a disabled account.

    slides: whether this is use by a person, which puts the idle end off; what a page asks by itself is none.
    """
    if len(token) != TOKEN_LENGTH or not token.isascii():
        return None
    row = connection.execute(
        read_sql("access/session_caller").encode(), {"token_hash": token_hash(token), "at": at}
    ).fetchone()
    if row is None:
        return None
    if slides:
        kept_open(connection, row, at)
    return Caller.from_row(row)


def kept_open(connection: Connection, row: dict[str, Any], at: datetime) -> None:
    """Puts the idle end of a session off, where that was not done just now; row: session_id and last_used_at."""
    if at - row["last_used_at"] > SLIDE_EVERY:
        connection.execute(
            "UPDATE access.session SET last_used_at = %(at)s, idle_until = %(until)s WHERE id = %(id)s",
            {"at": at, "until": at + idle(), "id": row["session_id"]},
        )


def end_session(connection: Connection, session_id: str, why: str, at: datetime) -> None:
    """Ends a session at once (why: signed_out, password_changed, by_admin)."""
    connection.execute(
        "UPDATE access.session SET ended_at = %s, ended_why = %s WHERE id = %s AND ended_at IS NULL",
        (at, why, session_id),
    )


def end_sessions(
    connection: Connection, account_id: int, why: str, at: datetime, *, but: str | None = None
) -> int:
    """Ends the open sessions of an account, except `but` (a session's id); how many."""
    return connection.execute(
        "UPDATE access.session SET ended_at = %s, ended_why = %s"
        " WHERE account_id = %s AND ended_at IS NULL AND id IS DISTINCT FROM %s::uuid",
        (at, why, account_id, but),
    ).rowcount
