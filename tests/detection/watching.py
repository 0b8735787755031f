"""What tests of the watch share: pictures, a camera server with scripted faults, an engine that sees red."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psycopg

from detection.config import WatchConfig
from detection.lease import claim_due, sync_cameras
from detection.pose import Pose, ground_to_pixel
from detection.store import store_scan
from detection.types import Box, Claim, Frame, Image, Observation, Observed, Reason, Unobserved

SRID = 4549
EAST, NORTH = 426_000.0, 3_400_000.0
POSE = Pose(height_m=8.0, azimuth_deg=30.0, tilt_deg=18.0, hfov_deg=70.0, width_px=640, height_px=360)
T0 = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
THRESHOLDS = {"fire": 0.4, "smoke": 0.4, "welding_arc": 0.4, "sparks": 0.4}
FIRE_RED = (20, 20, 250)
ARC_BLUE = (250, 40, 20)


def picture(
    seed: int, *fires: tuple[float, float, float, float], size: tuple[int, int] = (640, 360)
) -> bytes:
    """A JPEG of grey noise with red rectangles x1, y1, x2, y2 in pixels; another seed is another moment."""
    rng = np.random.default_rng(seed)
    image = rng.integers(60, 130, (size[1], size[0], 3), dtype=np.uint8)
    for x1, y1, x2, y2 in fires:
        cv2.rectangle(image, (round(x1), round(y1)), (round(x2), round(y2)), FIRE_RED, -1)
    return jpeg(image)


def jpeg(image: Image) -> bytes:
    done, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 90])
    assert done
    return data.tobytes()


class RedDetector:
    """Sees what is red as fire, by its colour: no weights, but real pixels through the real path."""

    model_hash = "a" * 64
    thresholds = THRESHOLDS
    input_px = 0

    def detect(self, images: Sequence[Image]) -> list[tuple[Box, ...]]:
        return [self._see(image) for image in images]

    def _see(self, image: Image) -> tuple[Box, ...]:
        mask = cv2.inRange(image, (0, 0, 181), (89, 89, 255))
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        return tuple(
            Box("fire", 0.9, float(x), float(y), float(x + w), float(y + h))
            for x, y, w, h, area in stats[1:count]
            if area >= 50
        )


class CameraServer:
    """Cameras over HTTP on 127.0.0.1, each by a script: count of the request -> what to do with it."""

    def __init__(self) -> None:
        self.scripts: dict[str, Callable[[int, BaseHTTPRequestHandler], None]] = {}
        self.asked: dict[str, int] = {}
        cameras = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.strip("/").split("?")[0]
                count = cameras.asked.get(name, 0)
                cameras.asked[name] = count + 1
                cameras.scripts.get(name, status(404))(count, self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{name}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


Script = Callable[[int, BaseHTTPRequestHandler], None]


def send(body: Callable[[int], bytes] | bytes, kind: str = "image/jpeg") -> Script:
    """200 with a body; a function gets the count of the request."""

    def script(count: int, handler: BaseHTTPRequestHandler) -> None:
        data = body if isinstance(body, bytes) else body(count)
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    return script


def status(code: int) -> Script:
    def script(_: int, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return script


def drip(data: bytes, seconds: float) -> Script:
    """A body that comes a byte at a time for `seconds`: each read is quick, the whole never ends."""

    def script(_: int, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        ends = time.monotonic() + seconds
        try:
            for i in range(len(data)):
                handler.wfile.write(data[i : i + 1])
                handler.wfile.flush()
                time.sleep(0.05)
                if time.monotonic() > ends:
                    return
        except OSError:
            return

    return script


def hang_up(data: bytes) -> Script:
    """Promises a whole body, sends half and closes the line."""

    def script(_: int, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data[: len(data) // 2])
        handler.close_connection = True

    return script


def gb_id(number: int) -> str:
    return f"310116{number:014d}"


def add_camera(
    connection: psycopg.Connection[dict[str, Any]],
    number: int,
    url: str | None,
    *,
    pose: Pose | None = POSE,
    period_s: int = 10,
    max_range_m: float = 120.0,
) -> int:
    """A camera at a place of its own, 1 km from the next; its id."""
    row = connection.execute(
        """
        INSERT INTO registry.camera (gb_id, name_zh, geom, height_m, azimuth_deg, tilt_deg, hfov_deg, width_px, height_px,
                                     max_range_m, snapshot_url, period_s)
        VALUES (%s, %s, ST_SetSRID(ST_MakePoint(%s, %s), %s), %s, %s, %s, %s, %s, %s, %s, %s, %s)
        RETURNING id
        """,
        (
            gb_id(number),
            f"测试摄像机 {number}",
            EAST + 1000 * number,
            NORTH,
            SRID,
            *(
                (pose.height_m, pose.azimuth_deg, pose.tilt_deg, pose.hfov_deg, pose.width_px, pose.height_px)
                if pose
                else (None,) * 6
            ),
            max_range_m,
            url,
            period_s,
        ),
    ).fetchone()
    assert row is not None
    return int(row["id"])


def claim_one(connection: psycopg.Connection[dict[str, Any]], at: datetime, *, owner: str = "test") -> Claim:
    """The one camera of the database, made due and claimed."""
    sync_cameras(connection, at=at)
    connection.execute("UPDATE watch.scan_due SET next_due_at = %s", (at,))
    (claim,) = claim_due(connection, owner=owner, batch=1, lease_s=30.0, at=at)
    return claim


def look(
    connection: psycopg.Connection[dict[str, Any]],
    at: datetime,
    boxes: Sequence[Box] | Reason,
    folder: Path,
    *,
    config: WatchConfig | None = None,
    claim: Claim | None = None,
) -> Any:
    """One scan of the database's one camera at `at`, with these boxes, written as the watch writes it."""
    claim = claim or claim_one(connection, at)
    data = picture(int(at.timestamp()) % 10_000, *(box.corners for box in boxes if isinstance(box, Box)))
    result = (
        Unobserved(boxes)
        if isinstance(boxes, Reason)
        else Observed(tuple(boxes), POSE.width_px, POSE.height_px)
    )
    frame = None if isinstance(boxes, Reason) else Frame(data, at, at + timedelta(milliseconds=80))
    return store_scan(
        connection,
        claim,
        Observation(claim.camera.id, at, at + timedelta(milliseconds=80), result, "b" * 64, frame),
        thresholds=THRESHOLDS,
        config=config or WatchConfig(),
        evidence_folder=folder,
        at=at + timedelta(milliseconds=100),
    )


def fire_at(
    east_m: float, north_m: float, *, class_name: str = "fire", score: float = 0.8, pose: Pose = POSE
) -> Box:
    """The box of a fire 1.5 m wide and 2 m high that stands on the ground at this offset from the camera."""
    foot, top = ground_to_pixel(pose, east_m, north_m), ground_to_pixel(pose, east_m, north_m, 2.0)
    assert foot is not None
    assert top is not None
    half = max((foot[1] - top[1]) * 0.375, 2.0)
    return Box(class_name, score, foot[0] - half, top[1], foot[0] + half, foot[1])


def notices(connection: psycopg.Connection[dict[str, Any]], topic: str = "incident") -> list[dict[str, Any]]:
    rows = connection.execute(
        "SELECT payload FROM watch.outbox WHERE topic = %s ORDER BY id", (topic,)
    ).fetchall()
    return [
        row["payload"] if isinstance(row["payload"], dict) else json.loads(row["payload"]) for row in rows
    ]
