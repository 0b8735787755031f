"""Signing in by password, and changing passwords.

Whoever is refused hears the same plain answer after the same work, whatever the cause; the cause is in the audit, for
admins. The web process signs people in on its own connection, under no account's role.
"""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from geoapp.access.account_changes import NoSuchAccount
from geoapp.access.accounts import LOGIN
from geoapp.access.caller import Caller, Connection, Forbidden
from geoapp.access.passwords import (
    PasswordRefused,
    TooBusy,
    hash_password,
    is_too_long,
    needs_rehash,
    one_time_password,
    problems_of,
    verify_password,
)
from geoapp.access.sessions import caller_of_session, csrf_of, end_sessions, open_session
from geoapp.access.throttle import (
    Try,
    device_cookie,
    device_of,
    is_known,
    new_device,
    note,
    plain_ip,
    recent,
    under_way,
    wait_s,
)
from geoapp.access.tokens import revoke_tokens
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

__all__ = [
    "MustWait",
    "Refusal",
    "SignedIn",
    "WrongPassword",
    "change_password",
    "reset_password",
    "sign_in",
]

NO_LOGIN = "?"
# A password that was told on the telephone or on paper does not lie about for longer.
ONE_TIME_LASTS = timedelta(days=7)
BUSY_WAIT_S = 3
# Refusals while a wait runs cost an attacker nothing, so each network gets one audit record a minute for them.
SAY_WAIT_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class SignedIn:
    """A session was opened: the cookies' texts, and who it is."""

    token: str
    csrf: str
    caller: Caller
    device_cookie: str


@dataclass(frozen=True)
class Refusal:
    """Nobody was signed in. wait_s: 0 = login or password are wrong (401); else seconds to wait (429, Retry-After)."""

    wait_s: int = 0


class WrongPassword(Refused):
    """The old password is not the account's."""


class MustWait(Refused):
    """Too many wrong passwords; `wait_s` seconds to wait."""

    def __init__(self, seconds: int) -> None:
        self.wait_s = seconds
        super().__init__(f"错误次数太多，请 {seconds} 秒后再试 / too many wrong passwords: wait {seconds} s.")


def sign_in(
    connection: Connection,
    login_typed: str,
    password: str,
    *,
    ip: str | None,
    user_agent: str | None,
    device: str | None,
    at: datetime,
) -> SignedIn | Refusal:
    """Signs in by login and password, as typed; a fresh session each time.

    connection: the web process's own (not acting), in no transaction: what this writes is committed when it returns,
    also for a refusal. device: the device cookie that came, if any. at: aware. Takes about 0.1 s, up to 5 s in a rush:
    not for the event loop. Raises KeyFileRefused where the installation's key file cannot be used.
    """
    held = device_of(device)
    tried = Try(_login_of(login_typed) or NO_LOGIN, plain_ip(ip), held)
    with under_way(tried, at) as others:
        with connection.transaction():
            weighed = [*recent(connection, tried, at), *others]
            wait = wait_s(weighed, tried, at, known_device=is_known(connection, tried, at))
            if wait > 0:
                _record_wait(connection, tried, wait, at)
                return Refusal(wait)
            account = _account(connection, tried.login)
        try:
            cause = _refused_why(account, tried.login, password, at)
            fresh_hash = None
            if account is not None and cause is None and needs_rehash(account["password_hash"]):
                fresh_hash = hash_password(password)
        except TooBusy:
            return Refusal(BUSY_WAIT_S)
        if account is None or cause is not None:
            with connection.transaction():
                note(connection, tried, at, succeeded=False)
                _record(connection, "sign_in_refused", tried, ok=False, detail={"cause": cause})
            return Refusal()
        with connection.transaction():
            known_as = Try(tried.login, tried.ip, held or new_device())
            note(connection, known_as, at, succeeded=True)
            if fresh_hash is not None:
                connection.execute(
                    "UPDATE access.account SET password_hash = %s WHERE id = %s AND password_hash = %s",
                    (fresh_hash, account["id"], account["password_hash"]),
                )
            token = open_session(
                connection, account["id"], method="password", at=at, ip=tried.ip, user_agent=user_agent
            )
            caller = caller_of_session(connection, token, at)
            if caller is None:  # disabled since we looked
                return Refusal()
            _set_role(connection, caller.db_role)
            _record(connection, "sign_in", known_as, ok=True, detail={"method": "password"})
            _set_role(connection, None)
    assert known_as.device is not None
    return SignedIn(token, csrf_of(token), caller, device_cookie(known_as.device))


def change_password(
    connection: Connection, caller: Caller, old: str, new: str, *, at: datetime, ip: str | None = None
) -> None:
    """Changes the caller's own password and ends all other sessions of the account.

    connection: the web process's own (not acting), in no transaction; it acts under the caller's role for the change.
    Raises WrongPassword, MustWait after several wrong ones, PasswordRefused with the rules that the new one breaks,
    Forbidden for an API token and for an account without a password, TooBusy.
    """
    if caller.session_id is None:
        raise Forbidden("令牌不能修改密码 / a token cannot change the password.")
    # The session stands for the device: who took over an open screen guesses no faster, and locks nobody else out.
    tried = Try(caller.login, plain_ip(ip), f"session {caller.session_id}")
    with under_way(tried, at) as others:
        with connection.transaction():
            wait = wait_s([*recent(connection, tried, at), *others], tried, at, known_device=True)
            account = _account(connection, caller.login)
        if wait > 0:
            raise MustWait(wait)
        if account is None or account["password_hash"] is None or account["id"] != caller.account_id:
            raise Forbidden("该账号没有密码 / this account has no password.")
        if is_too_long(old) or not verify_password(account["password_hash"], old):
            with connection.transaction():
                note(connection, tried, at, succeeded=False)
                _set_role(connection, caller.db_role)
                _record(connection, "change_password", tried, ok=False, detail={"cause": "wrong_password"})
                _set_role(connection, None)
            raise WrongPassword("原密码不对 / the old password is not right.")
        problems = problems_of(new, account["login"], account["name_zh"])
        if not problems and verify_password(account["password_hash"], new):
            problems = [("与原密码相同", "it is the old one")]
        if problems:
            raise PasswordRefused(problems)
        made = hash_password(new)
        with connection.transaction():
            # As the web process: an account has no right on its own hash, or who takes over an SQL login could set it.
            _set_password(connection, caller.account_id, made, at, must_change=False)
            _set_role(connection, caller.db_role)
            ended = end_sessions(connection, caller.account_id, "password_changed", at, but=caller.session_id)
            _record(connection, "change_password", tried, ok=True, detail={"sessions_ended": ended})
            _set_role(connection, None)


def reset_password(connection: Connection, account_id: int, *, at: datetime) -> str:
    """Gives an account a one-time password, which is returned and kept nowhere; it has to be changed at the next sign-in.

    connection: an admin's (acting) or the owner's. Ends all sessions of the account and revokes its tokens. Raises
    NoSuchAccount, and Forbidden for whoever keeps no accounts.
    """
    allowed = connection.execute(
        "SELECT 'manage_accounts' = ANY (access.actions_of(access.caller())) AS ok"
    ).fetchone()
    if allowed is None or not allowed["ok"]:
        raise Forbidden("只有管理员可以重置密码 / only an admin resets passwords.")
    once = one_time_password()
    if not _set_password(connection, account_id, hash_password(once), at, must_change=True):
        raise NoSuchAccount
    detail = {
        "sessions_ended": end_sessions(connection, account_id, "by_admin", at),
        "tokens_revoked": revoke_tokens(connection, account_id, at),
    }
    connection.execute(
        "SELECT access.record('reset_password', 'access.account', %s,"
        " reason => nullif(current_setting('geoapp.reason', true), ''), detail => %s)",
        (str(account_id), Jsonb(detail)),
    )
    return once


def _login_of(typed: str) -> str | None:
    """The login that was typed, or None for what cannot be one: only ASCII is, so that nothing merely looks like it."""
    if len(typed) > 100 or not typed.isascii():
        return None
    login = typed.strip(" \t").lower()
    return login if LOGIN.fullmatch(login) else None


def _account(connection: Connection, login: str) -> dict[str, Any] | None:
    return connection.execute(read_sql("access/sign_in_account").encode(), {"login": login}).fetchone()


def _refused_why(account: dict[str, Any] | None, login: str, password: str, at: datetime) -> str | None:
    """The true cause of a refusal, or None. One hash is computed whatever it is, except for what is too long."""
    if is_too_long(password):
        return "too_long"
    right = verify_password(account["password_hash"] if account is not None else None, password)
    if account is None:
        return "not_a_login" if login == NO_LOGIN else "unknown_login"
    set_at = account["password_set_at"]
    causes = {
        "disabled": account["disabled_at"] is not None,
        "no_password": account["password_hash"] is None,
        "wrong_password": not right,
        "one_time_password_lapsed": (
            account["must_change_password"] and set_at is not None and at - set_at > ONE_TIME_LASTS
        ),
    }
    return next((cause for cause, holds in causes.items() if holds), None)


def _set_password(
    connection: Connection, account_id: int, made: str, at: datetime, *, must_change: bool
) -> bool:
    changed = connection.execute(
        "UPDATE access.account SET password_hash = %s, password_set_at = %s, must_change_password = %s WHERE id = %s",
        (made, at, must_change, account_id),
    ).rowcount
    return changed == 1


def _set_role(connection: Connection, role: str | None) -> None:
    """Takes an account's role inside the transaction, so that the audit names it; None gives it back."""
    if role is None:
        connection.execute("RESET ROLE")
    else:
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))


def _record(connection: Connection, action: str, tried: Try, *, ok: bool, detail: dict[str, Any]) -> None:
    connection.execute(
        "SELECT access.record(%s, ok => %s, ip => %s::inet, login => %s, detail => %s)",
        (action, ok, tried.ip, tried.login, Jsonb(detail)),
    )


_waits: dict[str | None, tuple[datetime, int]] = {}
_waits_lock = threading.Lock()
_WAITS_KEPT = 10_000


def _record_wait(connection: Connection, tried: Try, wait: int, at: datetime) -> None:
    """Records a refusal while a wait runs: the first of a network at once, then one a minute with how many there were."""
    with _waits_lock:
        said_at, unsaid = _waits.get(tried.network, (None, 0))
        if said_at is not None and abs(at - said_at) < SAY_WAIT_EVERY:
            _waits[tried.network] = (said_at, unsaid + 1)
            return
        if len(_waits) >= _WAITS_KEPT:
            _waits.clear()
        _waits[tried.network] = (at, 0)
    detail = {"cause": "wait", "wait_s": wait, "not_recorded_since_the_last": unsaid}
    _record(connection, "sign_in_refused", tried, ok=False, detail=detail)
