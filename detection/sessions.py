"""Database sessions of a watch: one per thread, opened again at once after the server was away.

Not the pool of the web application: a pool pauses between tries as long as the outage lasted, and a watch should
look again the moment that the database is back.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from geoapp.database.connection import connect

Connection = psycopg.Connection[dict[str, Any]]
DATABASE_FAULTS = (psycopg.OperationalError, psycopg.InterfaceError)
# A server that stops answering without closing the line is given up after this long.
STATEMENT_LIMIT_MS = 10_000


class Sessions:
    """Autocommit connections with dict rows, one for each thread that asks.

    url: libpq URL, or a function that gives it, asked at each new connection (a private server that was started
    again may listen on another port).
    """

    def __init__(self, url: str | Callable[[], str]) -> None:
        self._url = url
        self._local = threading.local()
        self._open: set[Connection] = set()
        self._lock = threading.Lock()
        # Raised by every fault: sessions opened before it have most likely lost the server too.
        self._faults = 0

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """This thread's connection. Raises one of DATABASE_FAULTS; after one, the next call connects anew."""
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is not None and self._local.faults != self._faults:
            self._drop(connection)
        if connection is None or connection.closed:
            faults = self._faults
            connection = connect(
                self._url if isinstance(self._url, str) else self._url(),
                autocommit=True,
                application_name="geoapp watch",
                options=f"-c statement_timeout={STATEMENT_LIMIT_MS}",
                keepalives_idle=5,
                tcp_user_timeout=STATEMENT_LIMIT_MS,
            )
            self._local.connection, self._local.faults = connection, faults
            with self._lock:
                self._open.add(connection)
        try:
            yield connection
        except DATABASE_FAULTS:
            self._drop(connection)
            with self._lock:
                self._faults += 1
            raise

    def close(self) -> None:
        """Closes every thread's connection."""
        with self._lock:
            todo = list(self._open)
        for connection in todo:
            self._drop(connection)

    def _drop(self, connection: Connection) -> None:
        with self._lock:
            self._open.discard(connection)
        with contextlib.suppress(psycopg.Error):
            connection.close()
