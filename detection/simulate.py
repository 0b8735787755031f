"""Many cameras through the real lease table, gate and store, in a database that is made for it and dropped."""

from __future__ import annotations

import heapq
import multiprocessing
import random
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from detection.backends.base import Detector
from detection.config import WatchConfig
from detection.lease import statement, sync_cameras
from detection.scanning import Clock, Done, LocalScanning, Scanning
from detection.types import Camera, Claim, Frame, Observation, Observed, Reason, Unobserved
from detection.watch import run_scanning, utc_now
from geoapp.database.connection import connect
from geoapp.database.migrations import migrate
from geoapp.errors import Refused
from geoapp.settings import settings

PICTURES = 16
SIZE = (640, 360)
OVERDUE_SHARE = 0.05


class NoiseSource:
    """In-process cameras: every look gets another of a few noisy pictures, as JPEG."""

    def __init__(self, clock: Clock) -> None:
        rng = np.random.default_rng(7)
        self._clock = clock
        self._pictures = [
            cv2.imencode(".jpg", rng.integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8))[1].tobytes()
            for _ in range(PICTURES)
        ]
        self._count = 0

    async def grab(self, camera: Camera) -> Frame | Unobserved:
        self._count += 1
        at = self._clock()
        return Frame(self._pictures[(camera.id + self._count) % PICTURES], at, at)

    async def close(self) -> None:
        """Holds nothing."""


class ModelledScanning:
    """Scans without pixels: each takes a time drawn from a model, and a share of the cameras cannot be looked through.

    The time is lognormal (as the answers of cameras are: most at the median, a few much later), at most the fetch's
    limit. What is measured is everything else: claims, ledger, health, commits. The figures say so.
    """

    model_hash = "0" * 64
    thresholds = {"fire": 0.5, "smoke": 0.5, "welding_arc": 0.5, "sparks": 0.5}  # noqa: RUF012 - never changed

    def __init__(self, scan: ScanModel, config: WatchConfig, clock: Clock) -> None:
        self._scan, self._limit_s, self._clock = scan, config.fetch.total_s, clock
        self._rng = random.Random(7)
        self._ends: list[tuple[float, int, Claim, datetime, Done]] = []
        self._count = 0
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._work, name="modelled", daemon=True)
        self._thread.start()

    def scan(self, claims: Sequence[Claim], done: Done) -> None:
        now, asked_at = time.monotonic(), self._clock()
        with self._changed:
            for claim in claims:
                takes_s = self._takes_s(claim)
                self._count += 1
                heapq.heappush(self._ends, (now + takes_s, self._count, claim, asked_at, done))
            self._changed.notify()

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(2.0)

    def _work(self) -> None:
        while True:
            with self._changed:
                if self._is_closed:
                    return
                now = time.monotonic()
                if not self._ends or self._ends[0][0] > now:
                    self._changed.wait(self._ends[0][0] - now if self._ends else None)
                    continue
                over = []
                while self._ends and self._ends[0][0] <= now:
                    over.append(heapq.heappop(self._ends))
            received_at = self._clock()
            for _, _, claim, asked_at, done in over:
                done(
                    claim,
                    Observation(claim.camera.id, asked_at, received_at, self._result(claim), self.model_hash),
                )

    def _is_dead(self, claim: Claim) -> bool:
        # The same cameras are dead throughout, as they are in a city; not those that are due one after the other.
        return (claim.camera.id * 0.754878) % 1.0 < self._scan.dead_share

    def _takes_s(self, claim: Claim) -> float:
        if self._is_dead(claim):
            return self._limit_s
        return min(self._limit_s, self._scan.median_s * self._rng.lognormvariate(0.0, self._scan.spread))

    def _result(self, claim: Claim) -> Observed | Unobserved:
        return Unobserved(Reason.TIMEOUT) if self._is_dead(claim) else Observed((), *SIZE)


@dataclass(frozen=True, slots=True)
class ScanModel:
    """median_s: half of the scans are shorter; spread: standard deviation of the logarithm; dead_share: 0..1, cameras that do
    not answer and cost the whole time limit."""

    median_s: float = 0.2
    spread: float = 0.5
    dead_share: float = 0.02


def simulate(
    url: str,
    cameras: int,
    period_s: float,
    seconds: float,
    *,
    config: WatchConfig,
    detector: Detector | None = None,
    scan: ScanModel | None = None,
    processes: int = 1,
    cluster: str | None = None,
) -> dict[str, Any]:
    """Runs the watch for `seconds` over `cameras` in-process cameras with a period of period_s seconds.

    detector: looks at noisy pictures; without one there are no pixels, and the time of a scan is drawn from `scan`.
    processes: how many watches share the cameras (without a detector); figures are of all of them, lags of the worst.
    cluster: address of a Dask scheduler whose workers spend the time of the scans (without a detector).
    Returns the watch's figures (scans_per_s, lag_p95_s …) with cameras, period_s, wanted_per_s, the model ("none" unless a
    detector is given), how many looks a second saw a picture and how many cameras that can be looked through are due, and
    what sql/watch/scans_accounted.sql says. Raises Refused where the server allows no new database, and where the cluster
    cannot be used.
    """
    scan = scan or ScanModel()
    with simulated_cameras(url, cameras, period_s) as scratch, tempfile.TemporaryDirectory() as folder:
        if detector is not None:
            scanning: Scanning = LocalScanning(NoiseSource(utc_now), detector, config=config, clock=utc_now)
            figures = _run_for(seconds, scratch, scanning, folder, config)
        elif cluster is not None:
            from detection.cluster import ClusterScanning

            scanning = ClusterScanning(cluster, partial(open_modelled, scan, config))
            figures = _run_for(seconds, scratch, scanning, folder, config)
        else:
            figures = _modelled(scratch, folder, config, scan, seconds, processes)
        accounts = accounted(scratch, period_s)
    return (
        {
            "cameras": cameras,
            "period_s": period_s,
            "wanted_per_s": round(cameras / period_s, 2),
            "processes": processes,
            "model": "none" if detector is None else detector.model_hash[:12],
            "observed_per_s": round(figures["observed"] / seconds, 2),
            "answering_per_s": round((1 - (0 if detector else scan.dead_share)) * cameras / period_s, 2),
        }
        | figures
        | accounts
    )


def accounted(url: str, period_s: float) -> dict[str, int]:
    """sql/watch/scans_accounted.sql of a simulation's database."""
    with connect(url) as connection:
        row = connection.execute(statement("scans_accounted"), {"period_s": period_s}).fetchone()
    assert row is not None
    return {name: int(value) for name, value in row.items()}


@contextmanager
def simulated_cameras(url: str, cameras: int, period_s: float) -> Iterator[str]:
    """URL of a throwaway database with so many cameras that are due in turn. Raises Refused as throwaway_database does."""
    with throwaway_database(url) as scratch:
        with connect(scratch) as connection:
            connection.execute(
                """
                INSERT INTO registry.camera (gb_id, name_zh, geom, snapshot_url, period_s)
                SELECT '31011600001327' || lpad(n::text, 6, '0'), 'simulated ' || n,
                       ST_SetSRID(ST_MakePoint(400000 + n, 3400000), %(srid)s), 'in-process', %(period)s
                FROM generate_series(1, %(cameras)s) AS n
                """,
                {
                    "cameras": cameras,
                    "period": max(1, round(period_s)),
                    "srid": settings().metric_srid,
                },
            )
            # As after a restart: what was due a moment ago (a twentieth of the period) waits already.
            sync_cameras(connection, at=utc_now() - timedelta(seconds=OVERDUE_SHARE * period_s))
            # A city's cameras did not come a second ago: the planner knows how many there are.
            connection.execute("ANALYZE registry.camera, watch.scan_due")
        yield scratch


def _run_for(
    seconds: float, url: str, scanning: Scanning, folder: str, config: WatchConfig
) -> dict[str, Any]:
    stop = threading.Event()
    timer = threading.Timer(seconds, stop.set)
    timer.start()
    try:
        return run_scanning(url, scanning, stop=stop, evidence_folder=Path(folder), config=config)
    finally:
        timer.cancel()


def open_modelled(scan: ScanModel, config: WatchConfig) -> ModelledScanning:
    """What a worker of a cluster opens: it spends the time of scans."""
    return ModelledScanning(scan, config, utc_now)


def modelled_process(
    url: str, folder: str, config: WatchConfig, scan: ScanModel, seconds: float
) -> dict[str, Any]:
    """One watch of a simulation for `seconds`, in this process; its figures."""
    return _run_for(seconds, url, ModelledScanning(scan, config, utc_now), folder, config)


def _modelled(
    url: str, folder: str, config: WatchConfig, scan: ScanModel, seconds: float, processes: int
) -> dict[str, Any]:
    """Figures of all processes: sums, and the worst lag."""
    if processes == 1:
        return modelled_process(url, folder, config, scan, seconds)
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        running = [
            pool.submit(modelled_process, url, folder, config, scan, seconds) for _ in range(processes)
        ]
        told = [one.result() for one in running]
    figures = dict(told[0])
    for name in ("scans", "scans_per_s", "observed", "leases_lost", "late", "dropped"):
        figures[name] = round(sum(one[name] for one in told), 2)
    for name in ("lag_p50_s", "lag_p95_s"):
        figures[name] = max(one[name] or 0.0 for one in told)
    figures["unobserved"] = dict(sum((Counter(one["unobserved"]) for one in told), Counter()))
    return figures


@contextmanager
def throwaway_database(url: str) -> Iterator[str]:
    """URL of a database with the schema, dropped at the end. Raises Refused where the role may not make one."""
    name = f"geoapp_simulate_{uuid.uuid4().hex[:10]}"
    with psycopg.connect(url, autocommit=True) as connection:
        try:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege:
            raise Refused(
                "这个数据库账号不能新建数据库 / this database role may not create a database; simulate needs one to throw away."
            ) from None
        try:
            scratch = _with_database(url, name)
            migrate(scratch, srid=settings().metric_srid)
            yield scratch
        finally:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


def _with_database(url: str, name: str) -> str:
    """The same server and account, another database; as a URL, since SQLAlchemy understands no other form."""
    from urllib.parse import urlsplit, urlunsplit

    parts = urlsplit(url)
    if parts.scheme:
        return urlunsplit(parts._replace(path=f"/{name}"))
    return make_conninfo(url, dbname=name)
