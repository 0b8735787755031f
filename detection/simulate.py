"""Many cameras through the real lease table, gate and store, in a database that is made for it and dropped."""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from detection.backends.base import Detector
from detection.config import WatchConfig
from detection.types import Box, Camera, Frame, Image, Unobserved
from detection.watch import run, utc_now
from geoapp.database.connection import connect
from geoapp.database.migrations import migrate
from geoapp.errors import Refused
from geoapp.settings import settings

PICTURES = 16
SIZE = (640, 360)


class NoiseSource:
    """In-process cameras: every look gets another of a few noisy pictures, as JPEG."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
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


class NoDetector:
    """Looks for nothing: what is measured is everything else. The figures say so."""

    model_hash = "0" * 64
    thresholds = {"fire": 0.5, "smoke": 0.5, "welding_arc": 0.5, "sparks": 0.5}  # noqa: RUF012 - never changed

    def detect(self, images: Sequence[Image]) -> list[tuple[Box, ...]]:
        return [() for _ in images]


def simulate(
    url: str,
    cameras: int,
    period_s: float,
    seconds: float,
    *,
    config: WatchConfig,
    detector: Detector | None = None,
) -> dict[str, Any]:
    """Runs the watch for `seconds` over `cameras` in-process cameras with a period of period_s seconds.

    Returns the watch's figures (scans_per_s, lag_p95_s …) with cameras, period_s, wanted_per_s and the model
    ("none" unless a detector is given). Raises Refused where the server allows no new database.
    """
    with throwaway_database(url) as scratch, tempfile.TemporaryDirectory() as folder:
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
        stop = threading.Event()
        timer = threading.Timer(seconds, stop.set)
        timer.start()
        try:
            figures = run(
                scratch,
                stop=stop,
                source=NoiseSource(utc_now),
                detector=detector or NoDetector(),
                evidence_folder=Path(folder),
                config=config,
            )
        finally:
            timer.cancel()
    return {
        "cameras": cameras,
        "period_s": period_s,
        "wanted_per_s": round(cameras / period_s, 2),
        "model": "none" if detector is None else detector.model_hash[:12],
    } | figures


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
