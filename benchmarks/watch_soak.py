"""The watch held for a while at a steady pace, with fires lit now and then: how late scans are, how soon an incident is told,
and whether memory grows.

    python -m benchmarks.watch_soak --home FOLDER [--cameras 250] [--period 30] [--minutes 30] [--fires 60] [--json FILE]

Cameras, pictures and server as in benchmarks.watch_scans (a process of its own on the same cores), and as there without a
limit by host: all cameras are of one. The shipped model looks
at every picture; a fire is a red patch that the benchmark's engine calls one in addition, so that what is measured is the
machine around the model. `told`: seconds from a moment to the NOTIFY that open maps are fed by. fsync is on.
"""

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import socket
import statistics
import tempfile
import threading
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psycopg

from benchmarks.watch_scans import SRID, pictures
from detection.backends import open_detector
from detection.backends.base import Detector
from detection.backends.weights import find_weights
from detection.config import WatchConfig
from detection.scanning import LocalScanning
from detection.sources.http_snapshot import HttpSnapshot
from detection.types import Box, Image
from detection.watch import run_scanning, utc_now
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.database.migrations import migrate
from geoapp.settings import settings

RED = (20, 20, 250)
SIZE = (1920, 1080)
PATCH = (900, 500, 1000, 620)


class RealAndRed:
    """The shipped model, and a red patch as a fire beside it."""

    def __init__(self, real: Detector) -> None:
        self._real = real
        self.model_hash, self.thresholds = real.model_hash, real.thresholds
        self.at_once, self.input_px = getattr(real, "at_once", 1), real.input_px

    def detect(self, images: Sequence[Image]) -> list[tuple[Box, ...]]:
        self._real.detect(images)
        return [self._see(image) for image in images]

    def _see(self, image: Image) -> tuple[Box, ...]:
        scale = image.shape[1] / SIZE[0]
        x1, y1, x2, y2 = (round(side * scale) for side in PATCH)
        blue, green, red = image[(y1 + y2) // 2, (x1 + x2) // 2].astype(int)
        is_fire = red > 180 and green < 90 and blue < 90
        return (Box("fire", 0.9, x1, y1, x2, y2),) if is_fire else ()


def burning(data: bytes) -> bytes:
    """The picture with the patch in it."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    cv2.rectangle(image, PATCH[:2], PATCH[2:], RED, -1)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def serve(held: list[bytes], alight: list[bytes], lit: Any, listening: socket.socket) -> None:
    """GET /N gives camera N's next picture; it burns while lit[N] is not 0."""
    count = 0

    class Camera(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport, self.asked = transport, b""

        def data_received(self, data: bytes) -> None:
            nonlocal count
            self.asked += data
            while b"\r\n\r\n" in self.asked:
                head, _, self.asked = self.asked.partition(b"\r\n\r\n")
                number = int(head.split(b" ", 2)[1].strip(b"/"))
                body = (alight if lit[number] else held)[count % len(held)]
                count += 1
                self.transport.write(
                    b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body)
                    + body
                )

    async def work() -> None:
        server = await asyncio.get_running_loop().create_server(Camera, sock=listening)
        await server.serve_forever()

    asyncio.run(work())


def resident_mb() -> int:
    """This process's resident memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1_000_000


def light_fires(
    lit: "Synchronized[Any] | Any", cameras: int, fires: int, seconds: float, stop: threading.Event
) -> None:
    """Fires at moments spread over the run, each before another camera, until the end."""
    chosen = random.Random(3).sample(range(1, cameras + 1), fires)
    for number in chosen:
        if stop.wait(seconds * 0.9 / fires):
            return
        lit[number] = 1


def hear(url: str, heard: dict[str, datetime], stop: threading.Event) -> None:
    """When each incident's opening was told to open maps."""
    with (
        psycopg.connect(url, autocommit=True) as listening,
        psycopg.connect(url, autocommit=True) as asking,
    ):
        listening.execute("LISTEN geoapp_live")
        while not stop.is_set():
            for notice in listening.notifies(timeout=0.5):
                at = datetime.now(UTC)
                row = asking.execute(
                    "SELECT payload ->> 'id' FROM watch.outbox WHERE id = %s AND payload ->> 'transition' = 'opened'",
                    (int(notice.payload),),
                ).fetchone()
                if row is not None:
                    heard[row[0]] = at


def sample_memory(curve: list[int], stop: threading.Event) -> None:
    """Resident memory every 30 seconds, MB."""
    while not stop.wait(30.0):
        curve.append(resident_mb())


def measure(url: str, port: int, lit: Any, options: argparse.Namespace) -> dict[str, Any]:
    config = WatchConfig()
    detector = RealAndRed(open_detector(find_weights(settings()), config.detector, home=settings().home_path))
    with connect(url, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE registry.camera, watch.incident, watch.observation, watch.outbox CASCADE"
        )
        connection.execute(
            "INSERT INTO registry.camera (gb_id, name_zh, geom, snapshot_url, period_s, height_m, azimuth_deg, tilt_deg,"
            " hfov_deg, width_px, height_px, max_range_m)"
            " SELECT '31011600001328' || lpad(n::text, 6, '0'), 'soak ' || n, ST_SetSRID(ST_MakePoint(400000 + 500 * n,"
            " 3400000), %s), %s || n, %s, 8, 30, 18, 70, %s, %s, 120 FROM generate_series(1, %s) AS n",
            (SRID, f"http://127.0.0.1:{port}/", options.period, *SIZE, options.cameras),
        )
    cv2.setNumThreads(1)
    scanning = LocalScanning(
        HttpSnapshot(config.fetch, clock=utc_now), detector, config=config, clock=utc_now
    )
    stop, seconds = threading.Event(), options.minutes * 60
    heard: dict[str, datetime] = {}
    curve: list[int] = []
    beside = [
        threading.Thread(target=light_fires, args=(lit, options.cameras, options.fires, seconds, stop)),
        threading.Thread(target=hear, args=(url, heard, stop)),
        threading.Thread(target=sample_memory, args=(curve, stop)),
    ]
    for thread in beside:
        thread.start()
    threading.Timer(seconds, stop.set).start()
    with tempfile.TemporaryDirectory() as folder:
        figures = run_scanning(url, scanning, stop=stop, evidence_folder=Path(folder), config=config)
    for thread in beside:
        thread.join()
    with connect(url) as connection:
        opened = connection.execute(
            "SELECT id::text, first_seen_at, opened_at FROM watch.incident WHERE opened_at IS NOT NULL"
        ).fetchall()
        missed = connection.execute(
            "SELECT coalesce(sum((reasons ->> 'not_scanned')::integer), 0) AS n, sum(due) AS due FROM watch.observation_hour"
        ).fetchone()
    assert missed is not None
    known = [row for row in opened if row["id"] in heard]
    return figures | {
        "cameras": options.cameras,
        "period_s": options.period,
        "minutes": options.minutes,
        "due": missed["due"],
        "not_scanned": missed["n"],
        "fires": options.fires,
        "incidents": len(opened),
        "told_after_first_hit_s": _spread([heard[r["id"]] - r["first_seen_at"] for r in known]),
        "told_after_confirming_frame_s": _spread([heard[r["id"]] - r["opened_at"] for r in known]),
        "memory_mb": curve,
    }


def _spread(spans: list[timedelta]) -> dict[str, float] | None:
    seconds = sorted(span.total_seconds() for span in spans)
    if not seconds:
        return None
    return {
        "median": round(statistics.median(seconds), 2),
        "p95": round(seconds[int(len(seconds) * 0.95)], 2),
        "worst": round(seconds[-1], 2),
    }


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--cameras", type=int, default=250)
    parser.add_argument("--period", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--fires", type=int, default=60)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    held = pictures(*SIZE)
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    port = listening.getsockname()[1]
    processes = multiprocessing.get_context("fork")
    lit = processes.Array("b", options.cameras + 1, lock=False)
    farm = processes.Process(
        target=serve, args=(held, [burning(data) for data in held], lit, listening), daemon=True
    )
    farm.start()
    options.home.mkdir(parents=True, exist_ok=True)
    options.home.chmod(0o755)
    cluster = PrivateCluster(options.home)
    cluster.up()
    try:
        migrate(cluster.url(), srid=SRID)
        figures = measure(cluster.url(), port, lit, options)
    finally:
        cluster.down()
        farm.kill()
    text = json.dumps(figures, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
