"""What an admin changes of an account, and what everybody may change of the own one; each with its reason in the audit.

`connection` is the caller's (acting): which accounts, sessions and tokens there are for them is for the policies.
"""

from datetime import datetime

from geoapp.access import sessions
from geoapp.access.caller import Connection
from geoapp.access.tokens import revoke_tokens
from geoapp.errors import Refused


class NoSuchAccount(Refused):
    """There is no such account, session or token, or it is not for the caller to change."""

    def __init__(self) -> None:
        super().__init__("没有这一项 / there is no such thing.")


def give_reason(connection: Connection, reason: str) -> None:
    """For the rest of the transaction, row triggers write this reason into the audit."""
    connection.execute("SELECT set_config('geoapp.reason', %s, true)", (reason.strip(),))


def disable(connection: Connection, account_id: int, at: datetime) -> None:
    """Takes the account's rights away and ends its sessions (a trigger does). Raises NoSuchAccount; idempotent."""
    _one(connection, account_id)
    connection.execute(
        "UPDATE access.account SET disabled_at = %s WHERE id = %s AND disabled_at IS NULL", (at, account_id)
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
