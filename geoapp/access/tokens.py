"""API tokens: `ga_` and 43 random characters; the database keeps the SHA-256, what they are for, and their end."""

import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from geoapp.access.caller import Caller, Connection
from geoapp.access.sessions import SLIDE_EVERY, token_hash
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

SCOPES = ("read", "write", "export", "metrics")
LONGEST = timedelta(days=366)
LONGEST_NAME = 100
TOKEN = re.compile(r"ga_[A-Za-z0-9_-]{43}")


def make_token(
    connection: Connection,
    account_id: int,
    name: str,
    scopes: Sequence[str],
    *,
    at: datetime,
    expires_at: datetime,
) -> str:
    """Makes a token for an account and returns its text, which is shown once and kept nowhere.

    Raises Refused for unknown scopes, no name, and an end that has passed or is more than a year away.
    """
    unknown = [s for s in scopes if s not in SCOPES]
    if unknown or not scopes:
        raise Refused(
            f"令牌用途不认识 / unknown token scope: {', '.join(unknown) or '—'}. Choose: {', '.join(SCOPES)}."
        )
    name = " ".join(name.split())
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise Refused(
            f"令牌要有名称，最多 {LONGEST_NAME} 个字符 / a token has a name of at most {LONGEST_NAME} characters."
        )
    if not at < expires_at <= at + LONGEST:
        raise Refused("令牌要在一年之内到期 / a token ends within a year.")
    token = f"ga_{secrets.token_urlsafe(32)}"
    connection.execute(
        "INSERT INTO access.token (token_hash, account_id, name, scopes, created_at, expires_at) VALUES (%s, %s, %s, %s, %s, %s)",
        (token_hash(token), account_id, name, list(scopes), at, expires_at),
    )
    return token


def caller_of_token(connection: Connection, token: str, at: datetime) -> Caller | None:
    """The caller of an API token at a moment, or None for one that is forged, revoked, ended, or of a disabled account."""
    if not TOKEN.fullmatch(token):
        return None
    row = connection.execute(
        read_sql("access/token_caller").encode(), {"token_hash": token_hash(token), "at": at}
    ).fetchone()
    if row is None:
        return None
    if row["last_used_at"] is None or at - row["last_used_at"] > SLIDE_EVERY:
        connection.execute("UPDATE access.token SET last_used_at = %s WHERE id = %s", (at, row["token_id"]))
    return Caller.from_row(row)


def revoke_tokens(
    connection: Connection, account_id: int, at: datetime, *, token_id: int | None = None
) -> int:
    """Revokes an account's tokens that are not yet revoked, or the one of them with this id; how many."""
    return connection.execute(
        "UPDATE access.token SET revoked_at = %(at)s WHERE account_id = %(account)s AND revoked_at IS NULL"
        " AND (%(token)s::bigint IS NULL OR id = %(token)s)",
        {"at": at, "account": account_id, "token": token_id},
    ).rowcount
