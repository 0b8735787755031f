"""Database connections of a teller, used again: a new one must first learn what messages ask (PROJ, plans: 0.1 s and more)."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg

from geoapp.database.connection import connect

Connection = psycopg.Connection[dict[str, Any]]
DATABASE_FAULTS = (psycopg.OperationalError, psycopg.InterfaceError)
STATEMENT_LIMIT_MS = 10_000


class Connections:
    """Autocommit connections with dict rows, each lent to one thread at a time; most_idle are kept open.

    url: libpq URL, or a function that gives it, asked at each new connection (a private server that was started again may
    listen on another port).
    """

    def __init__(self, url: str | Callable[[], str], *, most_idle: int = 8) -> None:
        self._url, self._most_idle = url, most_idle
        self._idle: list[Connection] = []
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection; what is recorded is recorded at once. Raises one of DATABASE_FAULTS where the server is away.

        After a fault all idle ones are closed: they have most likely lost the server too.
        """
        with self._lock:
            held = self._idle.pop() if self._idle else None
        if held is None or held.closed:
            held = connect(
                self._url if isinstance(self._url, str) else self._url(),
                autocommit=True,
                application_name="geoapp tell",
                options=f"-c statement_timeout={STATEMENT_LIMIT_MS}",
                keepalives_idle=5,
                tcp_user_timeout=STATEMENT_LIMIT_MS,
            )
        try:
            yield held
        except BaseException as fault:
            _close(held)
            if isinstance(fault, DATABASE_FAULTS):
                self.close()
            raise
        with self._lock:
            if len(self._idle) < self._most_idle:
                self._idle.append(held)
                return
        _close(held)

    def close(self) -> None:
        """Closes those that are idle."""
        with self._lock:
            todo, self._idle = self._idle, []
        for one in todo:
            _close(one)


def _close(connection: Connection) -> None:
    with contextlib.suppress(psycopg.Error):
        connection.close()
