"""The watch: claims due cameras, fetches, examines and writes, until told to stop. Any number may run side by side.

A tick (APScheduler) claims a batch; frames are fetched beside each other in one asyncio loop, so that a dead camera
delays nobody; each frame is then examined and written by a worker thread. The database holds all that matters: a
watch that is killed leaves leases that expire, and nothing else.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import cv2
import structlog
from apscheduler.executors.pool import ThreadPoolExecutor as TickExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from detection.backends.base import Detector
from detection.config import WatchConfig
from detection.gate import Gate
from detection.lease import claim_due, make_due, release, statement, sync_cameras
from detection.sessions import DATABASE_FAULTS, Connection, Sessions
from detection.sources.base import FrameSource
from detection.store import LeaseLost, Stored, store_scan
from detection.types import Camera, Claim, Frame, Observation, Observed, Reason, Unobserved

log = structlog.get_logger("watch")
Clock = Callable[[], datetime]
T = TypeVar("T")

STOP_LIMIT_S = 8.0
EXIT_STALLED = 75
# A result that could not be written is tried again after these pauses, as long as its lease lasts.
BACK_OFF_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
# Between two tries to claim while the database is away.
LONGEST_PAUSE_S = 5.0
LAGS_KEPT = 20_000


def utc_now() -> datetime:
    """The clock of a running watch; tests bring their own."""
    return datetime.now(UTC)


@dataclass(slots=True)
class Tally:
    """What this process did, for its report. Guarded by the watch's lock."""

    scans: int = 0
    observed: int = 0
    leases_lost: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    transitions: Counter[str] = field(default_factory=Counter)
    lags_s: deque[float] = field(default_factory=lambda: deque(maxlen=LAGS_KEPT))
    detect_s: float = 0.0

    def as_json(self, seconds: float) -> dict[str, Any]:
        """Figures of the last `seconds`: scans, scans_per_s, observed, unobserved by reason, lag in seconds."""
        lags = sorted(self.lags_s)
        return {
            "scans": self.scans,
            "scans_per_s": round(self.scans / seconds, 2) if seconds > 0 else 0.0,
            "observed": self.observed,
            "unobserved": dict(self.reasons),
            "transitions": dict(self.transitions),
            "leases_lost": self.leases_lost,
            "lag_p50_s": round(lags[len(lags) // 2], 3) if lags else None,
            "lag_p95_s": round(lags[int(len(lags) * 0.95)], 3) if lags else None,
            "detect_ms": round(self.detect_s / self.observed * 1000, 1) if self.observed else None,
            "seconds": round(seconds, 1),
        }


class Watch:
    """One watch process's parts and its work in flight.

    sessions: of the city's database. executor: examines and writes; any concurrent.futures Executor whose
    workers share this process's memory.
    """

    def __init__(
        self,
        sessions: Sessions,
        source: FrameSource,
        detector: Detector,
        *,
        config: WatchConfig,
        evidence_folder: Path,
        clock: Clock = utc_now,
        executor: Executor | None = None,
    ) -> None:
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:6]}"
        self.tally = Tally()
        self._sessions = sessions
        self._source = source
        self._detector = detector
        self._config = config
        self._gate = Gate(config.gate)
        self._evidence_folder = evidence_folder
        self._clock = clock
        self._own_executor = executor is None
        self._executor = executor or ThreadPoolExecutor(config.schedule.workers, "examine")
        self._detect_lock = threading.Lock()
        self._lock = threading.Lock()
        self._in_flight: dict[Future[Stored | None], float] = {}
        self._away_since: float | None = None
        self._retry_at = 0.0
        self._lost_some = False
        self._began = time.monotonic()
        self._stopping = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._fetcher = threading.Thread(target=self._loop.run_forever, name="fetch", daemon=True)
        self._fetcher.start()

    # -- scheduling ---------------------------------------------------------------------------------------------

    def tick(self) -> int:
        """Claims what is due, as far as there is room, and starts the scans; how many."""
        claims = self.claim(self._config.schedule.batch)
        for claim in claims:
            self.start(claim)
        return len(claims)

    def claim(self, most: int, *, only: Sequence[str] | None = None) -> list[Claim]:
        """Holds up to `most` due cameras for one scan each (of those with the gb_ids `only`, where given)."""
        with self._lock:
            busy = len(self._in_flight)
        room = min(self._config.fetch.in_flight - busy, most)
        if room <= 0 or self._stopping.is_set() or time.monotonic() < self._retry_at:
            return []

        def ask(connection: Connection) -> list[Claim]:
            if self._lost_some and busy == 0:
                # Scans given up while the database was away are due at once, not only when their leases run out.
                release(connection, owner=self.owner)
                self._lost_some = False
            return claim_due(
                connection,
                owner=self.owner,
                batch=room,
                lease_s=self._config.schedule.lease_s,
                at=self._clock(),
                only=only,
            )

        return self._with_database(ask) or []

    def start(self, claim: Claim) -> Future[Stored | None]:
        """Begins a scan; the future gives what it changed, or None where nothing could be written."""
        if claim.attempts > 1:
            log.warning("scan_redone", camera=claim.camera.gb_id, attempts=claim.attempts)
        done: Future[Stored | None] = Future()
        with self._lock:
            self._in_flight[done] = time.monotonic()
            # What was overdue before this process began is not its own lateness.
            self.tally.lags_s.append(min(claim.lag_s, time.monotonic() - self._began))
        done.add_done_callback(self._landed)
        asked_at = self._clock()
        fetched = asyncio.run_coroutine_threadsafe(self._source.grab(claim.camera), self._loop)

        def examine(got: Future[Frame | Unobserved]) -> None:
            try:
                self._executor.submit(self._finish, claim, got, asked_at, done)
            except RuntimeError:  # the executor is closing: the lease expires and another takes over
                done.set_result(None)

        fetched.add_done_callback(examine)
        return done

    def sync(self) -> int | None:
        """Brings the lease table in line with the register; how many cameras are connected."""
        if time.monotonic() < self._retry_at:
            return None
        return self._with_database(lambda connection: sync_cameras(connection, at=self._clock()))

    def make_due(self, gb_ids: list[str]) -> list[str]:
        """Makes cameras due now; those that are connected."""
        return self._with_database(lambda c: make_due(c, gb_ids, at=self._clock())) or []

    def forget(self) -> None:
        """Removes old observations that belong to no incident, and old notices."""
        now, rules = self._clock(), self._config.schedule

        def remove(connection: Connection) -> None:
            for name, hours in (
                ("forgotten_observations", rules.retain_hours),
                ("forgotten_notices", rules.notice_hours),
            ):
                connection.execute(statement(name), {"before": now - timedelta(hours=hours)})

        self._with_database(remove)

    def stalled_s(self) -> float:
        """How long the oldest scan is on its way, seconds; 0 while the database is away (then scans wait for it)."""
        with self._lock:
            if self._away_since is not None or not self._in_flight:
                return 0.0
            return time.monotonic() - min(self._in_flight.values())

    def settle(self, limit_s: float) -> int:
        """Waits until nothing is in flight, limit_s seconds at most; how many scans are still on their way."""
        with self._lock:
            todo = set(self._in_flight)
        return len(wait(todo, limit_s).not_done)

    def close(self) -> None:
        """Ends cleanly: no new claims, scans on their way are written, leases given back."""
        self._stopping.set()
        self.settle(STOP_LIMIT_S)
        if self._own_executor:
            self._executor.shutdown(wait=False, cancel_futures=True)
        self._with_database(lambda connection: release(connection, owner=self.owner))
        asyncio.run_coroutine_threadsafe(self._source.close(), self._loop).result(2.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._fetcher.join(2.0)

    # -- one scan -----------------------------------------------------------------------------------------------

    def _finish(
        self, claim: Claim, got: Future[Frame | Unobserved], asked_at: datetime, done: Future[Stored | None]
    ) -> None:
        try:
            observation = self.look(claim.camera, got.result(), asked_at)
            done.set_result(self._write(claim, observation))
        except Exception as fault:
            # Nothing was written, so the lease expires and the scan is done again.
            log.error(
                "scan_failed", camera=claim.camera.gb_id, fault=f"{type(fault).__name__}: {fault}"[:300]
            )
            done.set_result(None)

    def look(self, camera: Camera, got: Frame | Unobserved, asked_at: datetime) -> Observation:
        """What a fetched frame shows, or why it shows nothing. Never an empty picture for a fault."""
        model_hash = self._detector.model_hash
        if isinstance(got, Unobserved):
            return Observation(camera.id, asked_at, self._clock(), got, model_hash)
        return Observation(
            camera.id, got.captured_at, got.received_at, self._examine(camera, got), model_hash, got
        )

    def _examine(self, camera: Camera, frame: Frame) -> Observed | Unobserved:
        image = self._gate.examine(camera, frame)
        if isinstance(image, Unobserved):
            return image
        try:
            with self._detect_lock:
                began = time.perf_counter()
                (boxes,) = self._detector.detect([image])
                self.tally.detect_s += time.perf_counter() - began
        except Exception as fault:
            log.error("detector_failed", camera=camera.gb_id, fault=f"{type(fault).__name__}: {fault}"[:300])
            return Unobserved(Reason.DETECTOR_FAILED, type(fault).__name__)
        return Observed(boxes, image.shape[1], image.shape[0])

    def _write(self, claim: Claim, observation: Observation) -> Stored | None:
        """Writes the result, trying again while the lease lasts. None where it had to be given up."""
        for pause_s in BACK_OFF_S:
            try:
                with self._sessions.connection() as connection:
                    stored = store_scan(
                        connection,
                        claim,
                        observation,
                        thresholds=self._detector.thresholds,
                        config=self._config,
                        evidence_folder=self._evidence_folder,
                        at=self._clock(),
                    )
                self._count(claim, observation, stored)
                return stored
            except LeaseLost as lost:
                with self._lock:
                    self.tally.leases_lost += 1
                log.warning("lease_lost", camera=claim.camera.gb_id, detail=str(lost))
                return None
            except DATABASE_FAULTS as fault:
                self._database_away(fault)
                ends_at = claim.lease_until - timedelta(seconds=pause_s)
                if self._clock() >= ends_at or self._stopping.wait(pause_s):
                    break
        self._lost_some = True
        return None

    def _count(self, claim: Claim, observation: Observation, stored: Stored) -> None:
        result = observation.result
        self._database_back()
        with self._lock:
            self.tally.scans += 1
            if isinstance(result, Observed):
                self.tally.observed += 1
            else:
                self.tally.reasons[result.reason.value] += 1
            self.tally.transitions.update(word for _, _, word in stored.transitions)
        if stored.is_health_changed:
            if isinstance(result, Unobserved):
                log.warning(
                    "camera_not_observed",
                    camera=claim.camera.gb_id,
                    reason=result.reason.value,
                    detail=result.detail,
                )
            else:
                log.info("camera_observed_again", camera=claim.camera.gb_id)
        for number, class_name, word in stored.transitions:
            log.info(
                "incident", incident_no=number, kind=class_name, transition=word, camera=claim.camera.gb_id
            )

    def _landed(self, done: Future[Stored | None]) -> None:
        with self._lock:
            self._in_flight.pop(done, None)

    # -- the database may go away -------------------------------------------------------------------------------

    def _with_database(self, ask: Callable[[Connection], T]) -> T | None:
        """The answer, or None while the database is away (said once, tried again with growing pauses)."""
        try:
            with self._sessions.connection() as connection:
                answer = ask(connection)
        except DATABASE_FAULTS as fault:
            self._database_away(fault)
            return None
        self._database_back()
        return answer

    def _database_away(self, fault: Exception) -> None:
        now = time.monotonic()
        with self._lock:
            is_news = self._away_since is None
            if self._away_since is None:
                self._away_since = now
            # Pauses grow with the outage, not with the number of threads that noticed it.
            self._retry_at = now + min(LONGEST_PAUSE_S, max(BACK_OFF_S[0], (now - self._away_since) / 2))
        if is_news:
            first = (str(fault).strip().splitlines() or [type(fault).__name__])[0]
            log.error(
                "database_away", fault=first[:200], what="scans wait and are done again when it is back"
            )

    def _database_back(self) -> None:
        with self._lock:
            if self._away_since is None:
                return
            away_s, self._away_since, self._retry_at = time.monotonic() - self._away_since, None, 0.0
        log.info("database_back", away_s=round(away_s, 1))


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
    began = time.monotonic()
    with open_watch(
        url, source, detector, config=config, evidence_folder=evidence_folder, clock=clock
    ) as watch:
        log.info(
            "watch_started",
            owner=watch.owner,
            cameras=watch.sync(),
            model=detector.model_hash[:12],
            backend=type(detector).__name__,
        )
        scheduler = ticker(watch, config)
        scheduler.start()
        try:
            stop.wait()
        finally:
            scheduler.shutdown(wait=True)
            watch.settle(STOP_LIMIT_S)
        summary = watch.tally.as_json(time.monotonic() - began)
    log.info("watch_stopped", **summary)
    return summary


def ticker(watch: Watch, config: WatchConfig) -> BackgroundScheduler:
    """The clockwork of one process. Late ticks are joined into one and never dropped (APScheduler drops those that
    are a second late by default)."""
    rules = config.schedule
    scheduler = BackgroundScheduler(
        timezone=UTC,
        executors={"default": TickExecutor(2)},
        job_defaults={"max_instances": 1, "coalesce": True, "misfire_grace_time": None},
    )
    scans, at = 0, time.monotonic()

    def report() -> None:
        nonlocal scans, at
        figures = watch.tally.as_json(time.monotonic() - at)
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
    scheduler.add_job(watch.tick, "interval", seconds=rules.tick_s, id="claim")
    scheduler.add_job(watch.sync, "interval", seconds=rules.sync_s, id="sync")
    scheduler.add_job(report, "interval", seconds=rules.report_s, id="report")
    scheduler.add_job(watch.forget, "interval", hours=1, id="forget")
    return scheduler


@contextmanager
def open_watch(
    url: str | Callable[[], str],
    source: FrameSource,
    detector: Detector,
    *,
    config: WatchConfig,
    evidence_folder: Path,
    clock: Clock = utc_now,
) -> Iterator[Watch]:
    """A watch without a clockwork (the caller ticks), closed at the end."""
    cv2.setNumThreads(1)  # worker threads decode beside each other already
    sessions = Sessions(url)
    watch = Watch(sessions, source, detector, config=config, evidence_folder=evidence_folder, clock=clock)
    try:
        yield watch
    finally:
        watch.close()
        sessions.close()
