"""The ledger against what the cameras themselves say that they did: they agree, camera by camera and reason by reason."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import psycopg
from test_watch import moment, value, wait_for, watching
from watching import CameraServer, Script, add_camera, drip, gb_id, hang_up, jpeg, picture, send, status
from worker import CONFIG

from detection.config import FetchConfig

Connection = psycopg.Connection[dict[str, Any]]


def black() -> bytes:
    import numpy as np

    return jpeg(np.random.default_rng(1).integers(0, 4, (360, 640, 3), dtype=np.uint8))


def test_an_hour_with_faults(
    ground: Connection, watch_url: str, server: CameraServer, tmp_path: Path
) -> None:
    good = picture(3)
    # What a camera may do at each request, and what the ledger has to call it (None: looked).
    ways: list[tuple[str | None, Script]] = [
        (None, moment()),
        (None, moment()),
        ("http_401", status(401)),
        ("http_404", status(404)),
        ("http_5xx", status(503)),
        ("too_slow", drip(good, 4.0)),
        ("broken_off", hang_up(good)),
        ("damaged_image", send(good[: len(good) // 2])),
        ("not_an_image", send(b"<html>login</html>", "text/html")),
        ("black", send(black())),
    ]
    said: dict[str, Counter[str]] = {}
    lock = threading.Lock()

    def whimsical(name: str, seed: int) -> Callable[[int, BaseHTTPRequestHandler], None]:
        draw = random.Random(seed)

        def script(count: int, handler: BaseHTTPRequestHandler) -> None:
            with lock:
                word, way = draw.choice(ways)
                said.setdefault(name, Counter())[word or "observed"] += 1
            way(count, handler)

        return script

    for number in range(1, 16):
        server.scripts[gb_id(number)] = whimsical(gb_id(number), number)
        add_camera(ground, number, server.url(gb_id(number)), period_s=1)
    config = CONFIG.model_copy(update={"fetch": FetchConfig(total_s=1.0, connect_s=0.5)})
    with watching(watch_url, tmp_path, config) as figures:
        wait_for(lambda: value(ground, "SELECT count(*) FROM watch.observation") >= 120)
    rows = ground.execute(
        "SELECT c.gb_id, sum(o.due) AS due, sum(o.observed) AS observed, sum(o.unobserved) AS unobserved,"
        " (SELECT jsonb_object_agg(r.key, r.n) FROM (SELECT e.key, sum(e.value::integer) AS n"
        "   FROM watch.observation_hour AS h, jsonb_each_text(h.reasons) AS e WHERE h.camera_id = c.id GROUP BY e.key) AS r) AS reasons"
        " FROM watch.observation_hour AS o JOIN registry.camera AS c ON c.id = o.camera_id GROUP BY c.id, c.gb_id"
    ).fetchall()
    ledger = {row["gb_id"]: Counter(row["reasons"] or {}) for row in rows}
    for row in rows:
        assert row["due"] == row["observed"] + row["unobserved"]
        if row["observed"]:
            ledger[row["gb_id"]]["observed"] = row["observed"]
        # Due times in which nobody asked the camera are the watch's own: the farm cannot know of them.
        ledger[row["gb_id"]].pop("not_scanned", None)
    assert ledger == said
    assert figures["scans"] == sum(sum(c.values()) for c in said.values())
    assert len({word for c in said.values() for word in c}) == 9, "every way came up"
