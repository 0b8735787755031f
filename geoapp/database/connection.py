"""Where the database is and how to reach it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from geoapp.settings import Settings, settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

# A server that was just killed may take a moment to come back; a person should not wait longer than this.
CONNECT_TIMEOUT_S = 5
# A connection that answered so lately is not asked again whether it is there.
CHECKED_FOR_S = 1.0

_checked: WeakKeyDictionary[psycopg.Connection[Any], float] = WeakKeyDictionary()


def database_url(configured: Settings | None = None, *, start: bool = True) -> str:
    """libpq URL of the city's database: GEOAPP_DATABASE_URL, else the private cluster's (started when `start`).

    Raises Refused when the private cluster cannot be started, with what to do.
    """
    configured = configured or settings()
    if configured.database_url is not None:
        return configured.database_url.get_secret_value()
    from geoapp.database.cluster import PrivateCluster

    cluster = PrivateCluster(configured.home_path, pg_bin=configured.pg_bin)
    if start:
        cluster.up()
    return cluster.url()


def connect(url: str | None = None, **options: Any) -> psycopg.Connection[dict[str, Any]]:
    """A connection with dict rows; raises psycopg.OperationalError when the server does not answer within 5 s."""
    return psycopg.connect(
        url or database_url(), row_factory=dict_row, connect_timeout=CONNECT_TIMEOUT_S, **options
    )


def open_pool(
    url: str | None = None, *, size: int = 6, name: str = "geoapp"
) -> ConnectionPool[psycopg.Connection[dict[str, Any]]]:
    """A pool of dict-row connections, checked before use (at most once a second), so that a restarted server is noticed."""
    return ConnectionPool(
        url or database_url(),
        connection_class=psycopg.Connection[dict[str, Any]],
        kwargs={"row_factory": dict_row, "connect_timeout": CONNECT_TIMEOUT_S},
        min_size=1,
        max_size=size,
        timeout=CONNECT_TIMEOUT_S,
        check=_check,
        name=name,
        open=True,
    )


def _check(connection: psycopg.Connection[Any]) -> None:
    now = monotonic()
    if now - _checked.get(connection, float("-inf")) >= CHECKED_FOR_S:
        ConnectionPool.check_connection(connection)
        _checked[connection] = now


def sqlalchemy_engine(url: str | None = None) -> Engine:
    """SQLAlchemy engine over psycopg 3 for the same database."""
    from sqlalchemy import create_engine  # a third of a second that most commands need not wait

    plain = url or database_url()
    return create_engine(plain.replace("postgresql://", "postgresql+psycopg://", 1))


@contextmanager
def transaction(url: str | None = None) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """One connection, one transaction: committed at the end, rolled back on any error."""
    with connect(url) as connection:
        yield connection
