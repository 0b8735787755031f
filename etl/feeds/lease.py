"""Who works on which feed: leases in staging.feed. Any number of processes share it; a killed one is taken over."""

import os
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg
import structlog

from geoapp.database.connection import connect
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

__all__ = [
    "LEASE_S",
    "Claim",
    "Clock",
    "LeaseLost",
    "claim_feeds",
    "keeping_lease",
    "new_owner",
    "refuse_if_lost",
]

Connection = psycopg.Connection[dict[str, Any]]
Clock = Callable[[], datetime]
LEASE_S = 60.0
log = structlog.get_logger("feeds")


class LeaseLost(Refused):
    """Another process has taken the feed over, or it was removed: this turn stores nothing."""


class Claim(NamedTuple):
    """A feed that this process holds for one turn, begun at `at`. `manifest` is as it is stored, without secrets."""

    id: int
    name: str
    kind: str
    source: str
    has_secret: bool
    manifest: dict[str, Any]
    manifest_name: str
    timezone: str
    into_sample: bool
    every: str
    most_rejected: float
    fingerprint: dict[str, Any]
    failures: int
    token: int
    at: datetime
    cut_off_owner: str | None = None


def new_owner() -> str:
    """A name for this process among those that work on feeds."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"


def claim_feeds(
    connection: Connection,
    *,
    owner: str,
    at: datetime,
    most: int = 1,
    lease_s: float = LEASE_S,
    only: str | None = None,
) -> list[Claim]:
    """Up to `most` due feeds, held for `lease_s` seconds; or the feed named `only`, due or not, unless another holds it."""
    rows = connection.execute(
        read_sql("staging/claimed_feeds").encode(),
        {"owner": owner, "at": at, "most": most, "lease_s": lease_s, "only": only},
    ).fetchall()
    return [claim_of(row, at) for row in rows]


def claim_of(row: dict[str, Any], at: datetime) -> Claim:
    """A row of staging.feed as a claim."""
    same = {name: row[name] for name in Claim._fields if name in row}
    return Claim(**same, token=row["lease_token"], at=at)


@contextmanager
def keeping_lease(url: str, claim: Claim, *, clock: Clock, lease_s: float = LEASE_S) -> Iterator[None]:
    """Renews the lease while the block works, three times as often as needed, until it is lost (`refuse_if_lost` tells)."""
    over = threading.Event()

    def renew() -> None:
        while not over.wait(lease_s / 3):
            try:
                with connect(url) as connection:
                    held = connection.execute(
                        "UPDATE staging.feed SET lease_until = %s WHERE id = %s AND lease_token = %s AND lease_owner IS NOT NULL"
                        " RETURNING id",
                        (clock() + timedelta(seconds=lease_s), claim.id, claim.token),
                    ).fetchone()
            except psycopg.OperationalError:
                continue  # what is stored is asked for the lease once more (refuse_if_lost)
            if held is None:
                return

    keeper = threading.Thread(target=renew, name=f"lease {claim.name}", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()


def refuse_if_lost(connection: Connection, claim: Claim) -> None:
    """Holds the feed's row to the end of the transaction. Raises LeaseLost where the claim is not the latest."""
    held = connection.execute(
        "SELECT FROM staging.feed WHERE id = %s AND lease_token = %s AND lease_owner IS NOT NULL FOR UPDATE",
        (claim.id, claim.token),
    ).fetchone()
    if held is None:
        raise LeaseLost(
            f"{claim.name}: 已由另一进程接手或已删除，本次不保存 / was taken over by another process, or removed; nothing was stored."
        )
