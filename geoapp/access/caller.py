"""Who asks. Every read and write of a request is done under the asker's own database role, for one transaction."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg_pool import ConnectionPool

from geoapp.errors import Refused

Connection = psycopg.Connection[dict[str, Any]]
Pool = ConnectionPool[Connection]

ROLES = ("committee", "planner", "analyst", "duty_officer", "inspector", "enterprise", "admin")
SCOPES = ("district", "town", "community", "site")


# The one answer to whoever may not, whatever it was.
NO_RIGHT = "您的角色不能做这件事 / Your role does not do this."


class NotSignedIn(Refused):
    """Nobody has signed in for this request."""


class Forbidden(Refused):
    """The caller's role does not do this."""


@dataclass(frozen=True)
class Caller:
    """An account that asks, as of this request.

    roles: of ROLES; scope: of SCOPES; areas: codes of towns or communities (12 digits); sites: ids of registry.site;
    db_role: the PostgreSQL role to take; actions: names of access.actions_of(); token_scopes: None for a browser's
    session, else what the token may be used for (read, write, export, metrics).
    """

    account_id: int
    login: str
    name_zh: str
    roles: tuple[str, ...]
    scope: str
    db_role: str
    areas: tuple[str, ...] = ()
    sites: tuple[int, ...] = ()
    name_en: str = ""
    actions: frozenset[str] = frozenset()
    is_demo: bool = False
    must_change_password: bool = False
    session_id: str | None = None
    token_id: int | None = None
    token_scopes: tuple[str, ...] | None = None

    @property
    def scope_key(self) -> str:
        """Short text that two callers share only if they may read the same: part of every cache key and ETag."""
        held = repr((sorted(self.roles), self.scope, self.areas, self.sites))
        return hashlib.sha256(held.encode()).hexdigest()[:16]

    def may(self, action: str) -> bool:
        """Whether the role does this, somewhere; whether it may here is for the database to say."""
        return action in self.actions

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> "Caller":
        """From a row of sql/access/session_caller.sql or token_caller.sql."""
        scopes = row.get("token_scopes")
        return cls(
            account_id=row["account_id"],
            login=row["login"],
            name_zh=row["name_zh"],
            name_en=row["name_en"],
            roles=tuple(row["roles"]),
            scope=row["scope"],
            db_role=row["db_role"],
            areas=tuple(row["areas"]),
            sites=tuple(row["sites"]),
            actions=frozenset(row["actions"]),
            is_demo=row["is_demo"],
            must_change_password=row["must_change_password"],
            session_id=str(row["session_id"]) if row.get("session_id") else None,
            token_id=row.get("token_id"),
            token_scopes=None if scopes is None else tuple(scopes),
        )


_caller: ContextVar[Caller | None] = ContextVar("geoapp_caller", default=None)


def current_caller() -> Caller:
    """The caller of this request. Raises NotSignedIn where there is none."""
    found = _caller.get()
    if found is None:
        raise NotSignedIn("请先登录 / sign in first.")
    return found


def caller_or_none() -> Caller | None:
    """The caller of this request, or None."""
    return _caller.get()


@contextmanager
def calling(caller: Caller | None) -> Iterator[None]:
    """Inside the block (and the threads and tasks it starts), `caller` is the one who asks."""
    token = _caller.set(caller)
    try:
        yield
    finally:
        _caller.reset(token)


@contextmanager
def acting(pool: Pool, caller: Caller | None = None) -> Iterator[Connection]:
    """A connection inside one transaction under the role of `caller` (default: of this request).

    The role is set for the transaction only (SET LOCAL), so a pooled connection never carries it to the next request.
    Committed at the end, rolled back on any error. Raises NotSignedIn where nobody has signed in, and
    psycopg.errors.InsufficientPrivilege where the role may not do what is asked.
    """
    who = caller or current_caller()
    begin = sql.SQL("BEGIN; SET LOCAL ROLE {}").format(sql.Identifier(who.db_role))
    with pool.connection() as connection, _outside_transactions(connection):
        try:
            # In one message: to a tile that is known already each way to the server costs as much as its question.
            connection.execute(begin, prepare=False)
            yield connection
            connection.commit()
        except BaseException:
            with suppress(psycopg.Error):  # what went wrong first is what is said
                connection.rollback()
            raise


@contextmanager
def as_web(pool: Pool) -> Iterator[Connection]:
    """A connection of the web process itself: each statement is a transaction of its own.

    It reads accounts, sessions and versions of layers, and nothing of the city.
    """
    with pool.connection() as connection, _outside_transactions(connection):
        yield connection


@contextmanager
def _outside_transactions(connection: Connection) -> Iterator[None]:
    """Inside the block the connection begins no transaction by itself."""
    held = connection.autocommit
    connection.autocommit = True
    try:
        yield
    finally:
        with suppress(psycopg.Error):  # a broken connection is thrown away
            connection.autocommit = held
