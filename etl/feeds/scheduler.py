"""The process that keeps feeds up to date until it is told to stop. Any number may run side by side.

A tick (APScheduler) claims what is due, as far as there are free workers; what is due, and who works on it, stands in
the database. A process that is killed leaves leases that run out, and a transaction that is rolled back.
"""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import UTC, datetime

import psycopg
import structlog
from apscheduler.executors.pool import ThreadPoolExecutor as TickExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from etl.feeds.lease import Claim, Clock, claim_feeds, new_owner
from etl.feeds.turn import Means, Turn, take_turn
from geoapp.database.connection import connect

__all__ = ["run_due", "run_until", "utc_now"]

log = structlog.get_logger("feeds")
TICK_S = 5.0
# Downloads wait for the network beside each other; loads wait for one another in any case.
WORKERS = 4


def utc_now() -> datetime:
    """The clock of a running scheduler; tests bring their own."""
    return datetime.now(UTC)


def run_due(url: str, *, means: Means, clock: Clock = utc_now) -> list[Turn]:
    """One turn of every feed that is due, one after the other."""
    owner = new_owner()
    turns: list[Turn] = []
    while True:
        with connect(url) as connection:
            claims = claim_feeds(connection, owner=owner, at=clock(), lease_s=means.lease_s)
        if not claims:
            return turns
        turns += [_turn(url, claim, means, clock) for claim in claims]


def run_until(
    url: str,
    stop: threading.Event,
    *,
    means: Means,
    clock: Clock = utc_now,
    tick_s: float = TICK_S,
    workers: int = WORKERS,
) -> None:
    """Keeps feeds up to date until `stop` is set, then ends the turns that are at work and returns."""
    owner = new_owner()
    at_work: set[Future[None]] = set()
    away_since: float | None = None
    pool = ThreadPoolExecutor(workers, "feed")

    def work(claim: Claim) -> None:
        try:
            _turn(url, claim, means, clock)
        except psycopg.OperationalError as fault:
            log.error(
                "feed_not_written",
                feed=claim.name,
                fault=_first(fault),
                what="taken up again when its lease is over",
            )
        except Exception:
            log.exception("feed_fault", feed=claim.name, what="taken up again when its lease is over")

    def tick() -> None:
        nonlocal away_since
        at_work.difference_update([one for one in at_work if one.done()])
        room = workers - len(at_work)
        if room <= 0 or stop.is_set():
            return
        try:
            with connect(url) as connection:
                claims = claim_feeds(connection, owner=owner, at=clock(), most=room, lease_s=means.lease_s)
        except psycopg.OperationalError as fault:
            if away_since is None:
                away_since = time.monotonic()
                log.error("database_away", fault=_first(fault), what="feeds wait and are due when it is back")
            return
        if away_since is not None:
            log.info("database_back", away_s=round(time.monotonic() - away_since, 1))
            away_since = None
        at_work.update(pool.submit(work, claim) for claim in claims)

    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": TickExecutor(1)},
        job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
    )
    scheduler.add_job(tick, "interval", seconds=tick_s, id="claim", next_run_time=datetime.now(UTC))
    log.info("feeds_started", owner=owner)
    scheduler.start()
    try:
        stop.wait()
    finally:
        scheduler.shutdown(wait=True)
        if at_work:
            log.info(
                "feeds_stopping",
                at_work=len(at_work),
                what="the turns at work are ended; nothing new is begun",
            )
        wait(at_work)
        pool.shutdown()
    log.info("feeds_stopped")


def _turn(url: str, claim: Claim, means: Means, clock: Clock) -> Turn:
    if claim.cut_off_owner:
        log.warning("feed_taken_over", feed=claim.name, cut_off=claim.cut_off_owner)
    began = time.monotonic()
    turn = take_turn(url, claim, clock=clock, means=means)
    say = log.info if turn.outcome in ("loaded", "unchanged") else log.warning
    say(
        "feed_turn",
        feed=turn.name,
        outcome=turn.outcome,
        said=turn.message,
        seconds=round(time.monotonic() - began, 1),
    )
    return turn


def _first(fault: Exception) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0][:200]
