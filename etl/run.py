"""A run of a manifest as others see it: a row of staging.load, written by a connection of its own while the load's one
transaction is open."""

import getpass
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Literal

import psycopg

from geoapp.access.redaction import redact
from geoapp.database.connection import connect
from geoapp.errors import Refused

__all__ = ["Origin", "Run", "running", "system_user"]

Origin = Literal["command", "page", "feed"]
# First half of the advisory lock's key; staging.is_held asks for it.
_HELD_BY = 748_116
_BETWEEN_NEWS_S = 0.5


class Run:
    """The row of one run; `None` for a connection stands for a dry run, of which nothing is kept."""

    def __init__(self, connection: psycopg.Connection[dict[str, Any]] | None, load_id: int | None) -> None:
        self.load_id = load_id
        self._connection = connection
        self._told_at = 0.0

    def step(self, text: str, rows_done: int = 0, rows_total: int | None = None) -> None:
        """What is being done, and how far it is; told to others at most twice a second."""
        now = time.monotonic()
        if self._connection is None or (rows_done and now - self._told_at < _BETWEEN_NEWS_S):
            return
        self._told_at = now
        self._connection.execute(
            "UPDATE staging.load SET step = %s, rows_done = %s, rows_total = %s, heard_at = clock_timestamp() WHERE id = %s",
            (redact(text), rows_done, rows_total, self.load_id),
        )

    def end(self, state: Literal["done", "refused", "failed"], message: str | None = None) -> None:
        """Says how the run ended."""
        if self._connection is not None:
            self._connection.execute(
                "UPDATE staging.load SET state = %s, message = %s, finished_at = clock_timestamp(), heard_at = clock_timestamp()"
                " WHERE id = %s",
                (state, None if message is None else redact(message), self.load_id),
            )


@contextmanager
def running(
    url: str,
    *,
    manifest: str,
    manifest_sha256: str,
    origin: Origin,
    started_by: str | None = None,
    feed_id: int | None = None,
) -> Iterator[Run]:
    """A run that others can follow; its end is written whatever happens, but for a kill, after which nobody holds it."""
    with connect(url, autocommit=True) as connection:
        row = connection.execute(
            "INSERT INTO staging.load (manifest, manifest_sha256, origin, started_by, feed_id) VALUES (%s, %s, %s, %s, %s)"
            " RETURNING id",
            (manifest, manifest_sha256, origin, started_by or system_user(), feed_id),
        ).fetchone()
        assert row is not None
        load_id = int(row["id"])
        connection.execute("SELECT pg_advisory_lock(%s, %s)", (_HELD_BY, load_id))
        run = Run(connection, load_id)
        try:
            yield run
        except Refused as refusal:
            run.end("refused", str(refusal))
            raise
        except BaseException as fault:
            # Where the database itself is gone, nobody holds the run any more, which says the same.
            with suppress(psycopg.OperationalError):
                run.end("failed", f"{type(fault).__name__}: {fault}".splitlines()[0])
            raise
        run.end("done")


def system_user() -> str:
    """The operating system's account: all that a command line knows of who sits at it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return "?"
