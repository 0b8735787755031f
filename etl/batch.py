"""A batch: many rows written at once, of which the audit keeps one record instead of one a row.

The rows themselves can be told by what they come from (staging.batch, or the sample city's seed). Only the tables' owner
can leave rows out of the audit so; for everybody else the mark does nothing (sql/migrations/0008_access.up.sql).
"""

import getpass
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg


@contextmanager
def batch(connection: psycopg.Connection[Any], name: str) -> Iterator[None]:
    """Inside the block, in the transaction that is open, rows are written as the batch `name`: see `record_batch`."""
    connection.execute("SELECT set_config('geoapp.batch', %s, true)", (name,))
    yield
    # After an error the transaction is rolled back, and the mark with it.
    connection.execute("SELECT set_config('geoapp.batch', '', true)")


def record_batch(
    connection: psycopg.Connection[Any],
    action: str,
    subject: str,
    subject_id: int | str | None,
    detail: dict[str, Any],
) -> None:
    """The audit's one record of a batch, in the same transaction: what was written, and who at this machine did it."""
    connection.execute(
        "SELECT access.record(%s, %s, %s, detail => %s)",
        (
            action,
            subject,
            None if subject_id is None else str(subject_id),
            json.dumps(detail | {"system_user": _system_user()}, ensure_ascii=False),
        ),
    )


def _system_user() -> str | None:
    """The operating system's account: all that a command line knows of who sits at it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return None
