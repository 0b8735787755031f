"""The farm over real HTTP: pictures, faults, password, truth."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import cv2
import httpx
import numpy as np
import pytest
import uvicorn
from farm_cameras import farm_cameras

from detection.farm.script import Script
from detection.farm.server import create_app, draw_ahead

NOON = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


class Farm:
    """A served farm and what the test needs to steer it."""

    def __init__(self, auth: tuple[str, str] | None = None) -> None:
        self.clock = Clock()
        app = create_app(farm_cameras(24), seed=2, clock=self.clock, auth=auth, slow_s=3.0)
        self.script: Script = app.state.script
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical"))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        deadline = time.monotonic() + 20
        while not self.server.started and time.monotonic() < deadline:
            time.sleep(0.05)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10.0)

    def stop(self) -> None:
        self.http.close()
        self.server.should_exit = True
        self.thread.join(10)

    def with_fault(self, fault: str) -> str:
        """The camera of a fault, the clock set to a moment when it shows it."""
        gb_id = next(g for g, f in self.script.faults.items() if f == fault)
        for minute in range(60):
            self.clock.now = NOON + timedelta(minutes=minute)
            if self.script.fault_at(gb_id, self.clock.now) == fault:
                return gb_id
        raise AssertionError(f"{fault} never shows")


@pytest.fixture(scope="module")
def farm() -> Iterator[Farm]:
    served = Farm()
    yield served
    served.stop()


def decode(body: bytes) -> np.ndarray | None:
    return cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)


def test_a_snapshot_is_a_picture_of_now(farm: Farm) -> None:
    gb_id = farm.script.playing[0]
    farm.clock.now = NOON
    first = farm.http.get(f"/snapshot/{gb_id}.jpg")
    assert first.status_code == 200
    assert first.headers["content-type"] == "image/jpeg"
    assert datetime.fromisoformat(first.headers["x-captured-at"]) == NOON
    picture = decode(first.content)
    assert picture is not None
    assert picture.shape == (540, 960, 3)
    assert farm.http.get(f"/snapshot/{gb_id}.jpg").content == first.content
    farm.clock.now = NOON + timedelta(seconds=8)
    assert farm.http.get(f"/snapshot/{gb_id}.jpg").content != first.content


def test_truth_names_what_is_going_on(farm: Farm) -> None:
    farm.clock.now = NOON
    truth = farm.http.get("/truth.json", params={"minutes": 5}).json()
    expected = farm.script.events_between(NOON - timedelta(minutes=5), NOON)
    assert [e["number"] for e in truth["events"]] == [e.number for e in expected]
    assert "dead" in truth["faults"].values()
    assert farm.http.get("/truth.json", params={"minutes": -1}).status_code == 422


def test_unknown_camera_is_404(farm: Farm) -> None:
    assert farm.http.get("/snapshot/123.jpg").status_code == 404


def test_dead_camera_is_503(farm: Farm) -> None:
    assert farm.http.get(f"/snapshot/{farm.with_fault('dead')}.jpg").status_code == 503


def test_closed_connection(farm: Farm) -> None:
    gb_id = farm.with_fault("closed")
    with pytest.raises(httpx.TransportError):
        farm.http.get(f"/snapshot/{gb_id}.jpg")


def test_frozen_camera_repeats_one_picture(farm: Farm) -> None:
    gb_id = farm.with_fault("frozen")
    first = farm.http.get(f"/snapshot/{gb_id}.jpg").content
    farm.clock.now += timedelta(seconds=16)
    assert farm.http.get(f"/snapshot/{gb_id}.jpg").content == first
    assert decode(first) is not None


def test_black_picture(farm: Farm) -> None:
    picture = decode(farm.http.get(f"/snapshot/{farm.with_fault('black')}.jpg").content)
    assert picture is not None
    assert picture.max() < 8


def test_half_a_jpeg(farm: Farm) -> None:
    body = farm.http.get(f"/snapshot/{farm.with_fault('half')}.jpg").content
    assert body[:2] == b"\xff\xd8"
    assert body[-2:] != b"\xff\xd9"


def test_slow_camera_runs_into_a_timeout(farm: Farm) -> None:
    gb_id = farm.with_fault("slow")
    with pytest.raises(httpx.ReadTimeout):
        farm.http.get(f"/snapshot/{gb_id}.jpg", timeout=1.0)
    # The others answer meanwhile.
    farm.clock.now = NOON
    assert farm.http.get(f"/snapshot/{farm.script.playing[1]}.jpg").status_code == 200


def test_password() -> None:
    served = Farm(auth=("viewer", "s3cret"))
    try:
        path = f"/snapshot/{served.script.playing[0]}.jpg"
        assert served.http.get(path).status_code == 401
        assert served.http.get(path, auth=("viewer", "wrong")).status_code == 401
        assert served.http.get(path, headers={"Authorization": "Basic %%%"}).status_code == 401
        assert served.http.get("/truth.json").status_code == 401
        assert served.http.get(path, auth=("viewer", "s3cret")).status_code == 200
    finally:
        served.stop()


def test_scenes_are_drawn_before_they_are_asked_for() -> None:
    clock = Clock()
    app = create_app(farm_cameras(3), seed=5, clock=clock)
    stop = threading.Event()
    drawing = threading.Thread(target=draw_ahead, args=(app, clock, stop), daemon=True)
    drawing.start()
    deadline = time.monotonic() + 30
    while app.state.drawn < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    stop.set()
    drawing.join(10)
    assert app.state.drawn == 3
    assert not drawing.is_alive()
