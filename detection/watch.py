"""The watch: claims due cameras, looks through them and writes what it saw, until told to stop. Any number may run side
by side.

A tick (APScheduler) claims a batch; the scans are done by a Scanning (this process, or a Dask cluster) and their results
written by a Writing. The database holds all that matters: a watch that is killed leaves leases that expire, and nothing
else. While the database is away, the cameras that this process looked through last are looked through further.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import cv2
import psycopg
import structlog
from apscheduler.executors.pool import ThreadPoolExecutor as TickExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from detection.backends.base import Detector
from detection.config import WatchConfig
from detection.evidence import MB, measure_room
from detection.lease import claim_due, make_due, release, statement, sync_cameras
from detection.negatives import write_negatives
from detection.outage import Outage
from detection.retention import sweep
from detection.scanning import Clock, LocalScanning, Scanning
from detection.sessions import DATABASE_FAULTS, Connection, Sessions
from detection.sources.base import FrameSource
from detection.tally import Tally
from detection.types import Claim, Observation
from detection.writing import Writing
from geoapp.errors import Refused

log = structlog.get_logger("watch")
T = TypeVar("T")

STOP_LIMIT_S = 8.0
EXIT_STALLED = 75
# Messages forgotten in one go: an hour later it goes on.
FORGET_DELIVERIES = 20_000
# Sites whose score is worked out in one transaction of the watch: a second or two.
KEPT_AT_ONCE = 5_000
KEEP_SCORES_S = 5.0
DEFAULT_ZONE = "Asia/Shanghai"


def utc_now() -> datetime:
    """The clock of a running watch; tests bring their own."""
    return datetime.now(UTC)


class Watch:
    """One watch process's parts and its work in flight. sessions: of the city's database."""

    def __init__(
        self,
        sessions: Sessions,
        scanning: Scanning,
        *,
        config: WatchConfig,
        evidence_folder: Path,
        clock: Clock = utc_now,
    ) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"
        self.tally = Tally()
        self.scanning = scanning
        self._sessions = sessions
        self._config = config
        self._evidence_folder = evidence_folder
        self._clock = clock
        self._zone = ZoneInfo(DEFAULT_ZONE)
        self._outage = Outage()
        self._lock = threading.Lock()
        # By camera: when its scan began, until its result has come.
        self._in_flight: dict[int, float] = {}
        self._asked: dict[tuple[int, int], Future[Observation | None]] = {}
        # Looked through last by this process: what to go on with while the database is away. Oldest first.
        self._recent: OrderedDict[int, tuple[Claim, float]] = OrderedDict()
        self._landed_changed = threading.Condition(self._lock)
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self.writing = Writing(
            sessions,
            outage=self._outage,
            tally=self.tally,
            landed=self._landed,
            thresholds=lambda: self.scanning.thresholds,
            config=config,
            evidence_folder=evidence_folder,
            clock=clock,
        )

    # -- scheduling ---------------------------------------------------------------------------------------------

    def tick(self) -> int:
        """Claims what is due, as far as there is room, and starts the scans; how many."""
        if self._outage.is_on:
            claims = self._due_without_database()
            if not self._outage.wait_s():
                self._with_database(lambda connection: connection.execute("SELECT 1"))
        elif self.writing.is_behind:
            claims = []  # a new claim would overtake the looks that wait
        else:
            claims = self.claim(self._config.schedule.batch)
        if claims:
            self._begin(claims)
        return len(claims)

    def claim(self, most: int, *, only: Sequence[str] | None = None) -> list[Claim]:
        """Holds up to `most` due cameras for one scan each (of those with the gb_ids `only`, where given)."""
        room, reserved = self._room()
        if room <= 0 or self._stopping.is_set() or self._outage.wait_s():
            return []
        at = self._clock()
        claims = self._with_database(
            lambda connection: claim_due(
                connection,
                owner=self.owner,
                batch=min(room, most),
                lease_s=self._config.schedule.lease_s,
                at=at,
                only=only,
                is_night=self._config.night.is_night(at.astimezone(self._zone).time()),
                priority_only=room <= reserved,
            )
        )
        return claims or []

    def _room(self) -> tuple[int, int]:
        """How many scans may begin, and how many of them are kept for cameras of key risk areas."""
        most = self._config.fetch.in_flight
        with self._lock:
            busy = len(self._in_flight)
        return most - busy - len(self.writing), int(most * self._config.schedule.reserve)

    def _due_without_database(self) -> list[Claim]:
        """Cameras that this process looked through last and that are due again, by its own clock."""
        now = time.monotonic()
        with self._lock:
            room = self._config.fetch.in_flight - len(self._in_flight)
            due = [
                claim
                for camera, (claim, landed_at) in self._recent.items()
                if camera not in self._in_flight and now >= landed_at + claim.camera.period_s
            ]
        due.sort(key=lambda claim: not claim.is_priority)
        return [] if self._stopping.is_set() else due[: max(0, min(room, self._config.schedule.batch))]

    def start(self, claim: Claim) -> Future[Observation | None]:
        """Begins a scan; the future gives the look that is written, or None where nothing could be."""
        done: Future[Observation | None] = Future()
        with self._lock:
            self._asked[claim.camera.id, claim.token] = done
        self._begin([claim])
        return done

    def _begin(self, claims: list[Claim]) -> None:
        now = time.monotonic()
        for claim in claims:
            if claim.attempts > 1:
                log.warning("scan_redone", camera=claim.camera.gb_id, attempts=claim.attempts)
        with self._lock:
            self._in_flight.update((claim.camera.id, now) for claim in claims)
        with self.tally.lock:
            # What was overdue before this process began is not its own lateness.
            self.tally.lags_s.extend(min(claim.lag_s, now - self._began) for claim in claims)
        self.scanning.scan(claims, self._scanned)

    def _scanned(self, claim: Claim, look: Observation | None) -> None:
        with self._lock:
            self._in_flight.pop(claim.camera.id, None)
        if look is None:
            self._landed(claim, None)
            return
        seen = claim
        if look.picture is not None:
            # Without the database nobody else tells the next look what this one saw.
            seen = replace(claim, camera=replace(claim.camera, picture=look.picture))
        with self._lock:
            self._recent[claim.camera.id] = seen, time.monotonic()
            self._recent.move_to_end(claim.camera.id)
            if len(self._recent) > self._config.spool.results:
                self._recent.popitem(last=False)
        self.writing.put(claim, look)

    def _landed(self, claim: Claim, look: Observation | None) -> None:
        with self._lock:
            asked = self._asked.pop((claim.camera.id, claim.token), None)
            self._landed_changed.notify_all()
        if asked is not None:
            asked.set_result(look)

    def sync(self) -> int | None:
        """Brings the lease table in line with the register; how many cameras are connected."""
        if self._outage.wait_s():
            return None

        def ask(connection: Connection) -> int:
            at = self._clock()
            connection.execute("SELECT watch.make_partitions(%s)", (at,))
            connection.execute(
                "SELECT watch.make_hour_partitions(%(at)s), watch.record_connections(%(at)s)", {"at": at}
            )
            zone = connection.execute("SELECT timezone FROM territory.city").fetchone()
            if zone is not None:
                self._zone = ZoneInfo(zone["timezone"])
            return sync_cameras(connection, at=at)

        return self._with_database(ask)

    def make_due(self, gb_ids: list[str]) -> list[str]:
        """Makes cameras due now; those that are connected."""
        return self._with_database(lambda c: make_due(c, gb_ids, at=self._clock())) or []

    def forget(self) -> None:
        """Removes old observations (their counts stay), notices and deliveries, and evidence whose time is over; then brings
        the folder of negatives up to date. What goes wrong with a disk is logged, and the rest goes on."""
        now, rules = self._clock(), self._config.schedule
        steps: list[tuple[bytes, Any]] = [
            (b"SELECT watch.drop_observations(%s)", (now - timedelta(hours=rules.retain_hours),)),
            (b"SELECT watch.forget_hours(%s)", (now,)),
            (statement("forgotten_notices"), {"before": now - timedelta(hours=rules.notice_hours)}),
            (
                statement("forgotten_deliveries"),
                {"before": now - timedelta(days=rules.delivery_days), "most": FORGET_DELIVERIES},
            ),
        ]

        def remove(connection: Connection) -> None:
            for text, values in steps:
                try:
                    connection.execute(text, values)
                except psycopg.errors.LockNotAvailable:
                    log.info("forget_later", what="somebody reads what would be dropped; again in an hour")

        self._with_database(remove)

        def remove_evidence(connection: Connection) -> None:
            try:
                sweep(connection, self._evidence_folder, now, self._config.evidence)
            except OSError as fault:
                log.error("evidence_not_swept", fault=str(fault)[:200])

        self._with_database(remove_evidence)
        self._with_database(self._gather_negatives)

    def keep_scores(self) -> None:
        """Brings the kept risk scores in step with what was changed and seen (analysis.keep_risk), a batch at a time, and the
        surfaces after a quarter of an hour. Scores that are not kept are worked out by whoever asks: a failure costs time only."""

        def keep(connection: Connection) -> None:
            try:
                for step, values in (
                    (b"SELECT analysis.keep_risk(%s::integer)", (KEPT_AT_ONCE,)),
                    (b"SELECT analysis.keep_risk_surface('15 minutes')", ()),
                ):
                    with connection.transaction():
                        # After a new formula every site of a city is noted at once, which takes longer than a look may.
                        connection.execute("SET LOCAL statement_timeout = '120s'")
                        connection.execute(step, values)
            except (psycopg.errors.QueryCanceled, psycopg.errors.RaiseException, psycopg.DataError) as fault:
                log.warning("scores_not_kept", fault=str(fault)[:200], what="geoapp layers refresh does it")

        self._with_database(keep)

    def _gather_negatives(self, connection: Connection) -> None:
        rules, evidence = self._config.negatives, self._config.evidence
        folder = rules.folder_beside(self._evidence_folder)
        # Switched off, nothing comes in any more; what was gathered before still goes when its time is over.
        if not rules.gather and not (folder / "negatives.jsonl").is_file():
            return
        try:
            room = measure_room(folder, low_mb=evidence.low_mb, full_mb=evidence.full_mb)
            # What is to be learned from must not take the room of what is to be proved.
            done = write_negatives(
                connection,
                self._evidence_folder,
                folder,
                most_bytes=rules.most_mb * MB,
                adds=rules.gather and room.state == "enough",
            )
        except (OSError, Refused) as fault:
            log.error("negatives_not_gathered", fault=str(fault)[:200])
            return
        if done.written or done.removed or done.missing:
            log.info(
                "negatives_gathered",
                written=done.written,
                kept=done.kept,
                removed=done.removed,
                left_out=done.left_out,
                missing=len(done.missing),
                room=room.state,
            )

    def stalled_s(self) -> float:
        """How long the oldest scan is on its way, seconds."""
        with self._lock:
            return time.monotonic() - min(self._in_flight.values()) if self._in_flight else 0.0

    def settle(self, limit_s: float) -> int:
        """Waits until nothing is on its way, limit_s seconds at most; how many scans still are."""
        ends = time.monotonic() + limit_s
        while (left := self._on_their_way()) and (remains := ends - time.monotonic()) > 0:
            with self._lock:
                self._landed_changed.wait(min(remains, 0.05))
        return left

    def _on_their_way(self) -> int:
        with self._lock:
            scanning = len(self._in_flight)
        return scanning + len(self.writing)

    def close(self) -> None:
        """Ends cleanly: no new claims, scans on their way are written, leases given back."""
        self._stopping.set()
        self.settle(0.0 if self._outage.is_on else STOP_LIMIT_S)
        lost = self.writing.close(2.0)
        if lost:
            log.error("looks_lost", looks=lost, what="the database did not come back before the end")
        self._with_database(lambda connection: release(connection, owner=self.owner))
        self.scanning.close()

    def _with_database(self, ask: Callable[[Connection], T]) -> T | None:
        """The answer, or None while the database is away."""
        try:
            with self._sessions.connection() as connection:
                answer = ask(connection)
        except DATABASE_FAULTS as fault:
            self._outage.begins(fault)
            return None
        self._outage.ends()
        return answer


def run(
    url: str | Callable[[], str],
    *,
    stop: threading.Event,
    source: FrameSource,
    detector: Detector,
    evidence_folder: Path,
    config: WatchConfig | None = None,
    clock: Clock = utc_now,
) -> dict[str, Any]:
    """Watches the cameras of the city at `url` (see Sessions) until `stop` is set; returns the process's figures.

    Raises nothing for cameras, networks or a database that goes away: they are logged, and the rest goes on.
    """
    config = config or WatchConfig()
    cv2.setNumThreads(1)  # worker threads decode beside each other already
    scanning = LocalScanning(source, detector, config=config, clock=clock)
    return run_scanning(url, scanning, stop=stop, evidence_folder=evidence_folder, config=config, clock=clock)


def run_scanning(
    url: str | Callable[[], str],
    scanning: Scanning,
    *,
    stop: threading.Event,
    evidence_folder: Path,
    config: WatchConfig,
    clock: Clock = utc_now,
) -> dict[str, Any]:
    """As `run`, with the given way of looking; closes it at the end."""
    with opened(url, scanning, config=config, evidence_folder=evidence_folder, clock=clock) as watch:
        log.info(
            "watch_started",
            owner=watch.owner,
            cameras=watch.sync(),
            model=scanning.model_hash[:12],
            scanning=type(scanning).__name__,
        )
        scheduler = ticker(watch, config)
        began = time.monotonic()
        scheduler.start()
        try:
            stop.wait()
        finally:
            # Scans that began before the end count; the time that they took after it does not.
            seconds = time.monotonic() - began
            scheduler.shutdown(wait=True)
            watch.settle(STOP_LIMIT_S)
        summary = watch.tally.as_json(seconds, _detect_s(scanning))
    log.info("watch_stopped", **summary)
    return summary


def _detect_s(scanning: Scanning) -> float:
    """Seconds that the engine of this process has worked; 0 where others did the looking."""
    return scanning.detect_s if isinstance(scanning, LocalScanning) else 0.0


def ticker(watch: Watch, config: WatchConfig) -> BackgroundScheduler:
    """The clockwork of one process. Late ticks are joined into one and never dropped (APScheduler drops those that
    are a second late by default)."""
    rules = config.schedule
    # That a tick came while the last one was still claiming is no news: what is due stays due.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": TickExecutor(2)},
        job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
    )
    scans, at = 0, time.monotonic()

    def claim() -> None:
        # A full batch says that more is due: not a tick per batch, or the tick would be the limit.
        while watch.tick() >= rules.batch:
            pass

    def report() -> None:
        nonlocal scans, at
        figures = watch.tally.as_json(time.monotonic() - at, _detect_s(watch.scanning))
        figures["scans_per_s"] = round((figures["scans"] - scans) / max(figures["seconds"], 0.1), 2)
        scans, at = figures["scans"], time.monotonic()
        log.info("watch_report", **figures)

    def end_if_stalled() -> None:
        stalled_s = watch.stalled_s()
        if stalled_s > rules.stall_s:
            # A hung engine cannot be interrupted from within. Its leases expire; whoever started us starts us again.
            log.error("watch_stalled", oldest_scan_s=round(stalled_s), what="this process ends")
            os._exit(EXIT_STALLED)

    scheduler.add_job(end_if_stalled, "interval", seconds=min(10.0, rules.stall_s / 2), id="stall")
    scheduler.add_job(claim, "interval", seconds=rules.tick_s, id="claim")
    scheduler.add_job(watch.sync, "interval", seconds=rules.sync_s, id="sync")
    scheduler.add_job(report, "interval", seconds=rules.report_s, id="report")
    scheduler.add_job(watch.keep_scores, "interval", seconds=KEEP_SCORES_S, id="scores")
    scheduler.add_job(watch.forget, "interval", hours=1, id="forget")
    return scheduler


@contextmanager
def opened(
    url: str | Callable[[], str],
    scanning: Scanning,
    *,
    config: WatchConfig,
    evidence_folder: Path,
    clock: Clock = utc_now,
) -> Iterator[Watch]:
    """A watch without a clockwork (the caller ticks), closed at the end with its scanning."""
    sessions = Sessions(url)
    watch = Watch(sessions, scanning, config=config, evidence_folder=evidence_folder, clock=clock)
    try:
        yield watch
    finally:
        watch.close()
        sessions.close()


def open_watch(
    url: str | Callable[[], str],
    source: FrameSource,
    detector: Detector,
    *,
    config: WatchConfig,
    evidence_folder: Path,
    clock: Clock = utc_now,
    executor: Executor | None = None,
) -> AbstractContextManager[Watch]:
    """`opened` with this process's own looking: a context manager that gives the Watch."""
    cv2.setNumThreads(1)
    scanning = LocalScanning(source, detector, config=config, clock=clock, executor=executor)
    return opened(url, scanning, config=config, evidence_folder=evidence_folder, clock=clock)
