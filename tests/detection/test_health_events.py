"""A fault of a camera is on record within two periods, whichever process looks, and clears nothing that was seen."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psycopg
import pytest
from farm_cameras import farm_cameras
from typer.testing import CliRunner
from watching import (
    T0,
    THRESHOLDS,
    RedDetector,
    add_camera,
    claim_one,
    fire_at,
    gb_id,
    jpeg,
    look,
    notices,
    picture,
)

from detection import commands
from detection.config import WatchConfig
from detection.farm import lens
from detection.farm.scenes import Scene, render
from detection.picture_health.memory import PictureMemory
from detection.scanning import LocalScanning
from detection.store import LeaseLost, store_scan
from detection.types import Camera, Frame, Image, Observation, Reason, Unobserved
from geoapp.errors import Refused
from geoapp.settings import settings

Connection = psycopg.Connection[dict[str, Any]]
PERIOD = timedelta(seconds=10)
FARM = farm_cameras(1)[0]


class NoSource:
    """Frames are handed to the scanning directly."""

    async def grab(self, camera: Camera) -> Frame | Unobserved:
        raise NotImplementedError

    async def close(self) -> None:
        """Holds nothing."""


def scan(
    connection: Connection, at: datetime, data: bytes, folder: Path, clock_offset_s: float | None = None
) -> Observation:
    """One look of a watch process that has only just begun, written as the watch writes it."""
    claim = claim_one(connection, at)
    scanning = LocalScanning(NoSource(), RedDetector(), config=WatchConfig(), clock=lambda: at)
    try:
        seen = scanning.look(claim.camera, Frame(data, at, at, clock_offset_s))
    finally:
        scanning.close()
    store_scan(
        connection,
        claim,
        seen,
        thresholds=THRESHOLDS,
        config=WatchConfig(),
        evidence_folder=folder,
        at=at + timedelta(milliseconds=100),
    )
    return seen


def farm_frame(count: int, light: Any = "day") -> Image:
    """A frame of a camera of the demo farm, each at another moment."""
    frame, _ = render(Scene(FARM.pose, FARM.kind, FARM.seed, light, "CAM", 1), 1.7e9 + 10.0 * count, [])
    return frame


def events(connection: Connection) -> list[dict[str, Any]]:
    return connection.execute(
        "SELECT at, observed, reason, detail, notes FROM watch.camera_health_event ORDER BY at"
    ).fetchall()


def black(frame: Image) -> Image:
    return np.zeros_like(frame)


def smaller(frame: Image) -> Image:
    return np.asarray(cv2.resize(frame, (640, 480)), np.uint8)


@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        (Reason.BLACK, black),
        (Reason.COVERED, lens.in_a_bag),
        (Reason.BLURRED, lens.fogged_lens),
        (Reason.RESOLUTION_CHANGED, smaller),
        (Reason.FROZEN, None),
        (Reason.DAMAGED_IMAGE, None),
    ],
)
def test_a_fault_is_on_record_within_two_periods(
    ground: Connection, tmp_path: Path, reason: Reason, fault: Any
) -> None:
    add_camera(ground, 1, "http://127.0.0.1:1/a.jpg", pose=FARM.pose)
    at = T0
    for count in range(11):
        scan(ground, at, jpeg(farm_frame(count)), tmp_path)
        at += PERIOD
    assert events(ground) == [], "a healthy camera leaves no event"
    # The last good picture came a period before; the fault begins right after it.
    began, last = at - PERIOD, farm_frame(10)
    for _ in range(2):
        frame = last if fault is None else fault(last)
        data = jpeg(frame)
        scan(ground, at, data[: len(data) // 2] if reason is Reason.DAMAGED_IMAGE else data, tmp_path)
        at += PERIOD
    (event, *_) = events(ground)
    assert event["reason"] == reason
    assert event["observed"] is False
    assert event["at"] - began <= 2 * PERIOD
    assert any(c.isdigit() for c in event["detail"])
    scan(ground, at, jpeg(farm_frame(12)), tmp_path)
    scan(ground, at + PERIOD, jpeg(farm_frame(13)), tmp_path)
    assert events(ground)[-1]["observed"] is True
    health = ground.execute("SELECT observed, reason, detail FROM watch.camera_health").fetchone()
    assert health == {"observed": True, "reason": None, "detail": None}


def test_a_clock_hours_off_and_infrared_are_notes_on_record_and_told_to_nobody(
    ground: Connection, tmp_path: Path
) -> None:
    add_camera(ground, 1, "http://127.0.0.1:1/a.jpg", pose=FARM.pose)
    lights = ["day", "day", "ir", "ir", "day"]
    offsets = [0.2, 7200.0, 7200.0, None, 0.1]
    for count, (light, offset) in enumerate(zip(lights, offsets, strict=True)):
        scan(ground, T0 + count * PERIOD, jpeg(farm_frame(count, light)), tmp_path, offset)
    found = [(e["observed"], e["reason"], e["notes"]) for e in events(ground)]
    assert found == [
        (True, None, ["clock_off"]),
        (True, None, ["clock_off", "night_mode"]),
        (True, None, []),
    ]
    assert events(ground)[0]["detail"] == "时钟 +7200 秒 / clock +7200 s"
    assert notices(ground, "camera_health") == []
    ledger = ground.execute(
        "SELECT sum(observed) AS seen, sum(unobserved) AS not_seen FROM watch.observation_hour"
    )
    assert ledger.fetchone() == {"seen": 5, "not_seen": 0}
    health = ground.execute("SELECT clock_offset_s, notes FROM watch.camera_health").fetchone()
    assert health is not None
    assert health["clock_offset_s"] == pytest.approx(0.1)


def test_what_is_kept_survives_looks_that_bring_no_picture(ground: Connection, tmp_path: Path) -> None:
    add_camera(ground, 1, "http://127.0.0.1:1/a.jpg", pose=FARM.pose)
    scan(ground, T0, jpeg(farm_frame(0, "ir")), tmp_path, -300.0)
    look(ground, T0 + PERIOD, Reason.TIMEOUT, tmp_path)
    held = ground.execute("SELECT picture, notes, clock_offset_s FROM watch.camera_health").fetchone()
    assert held is not None
    assert (held["notes"], held["clock_offset_s"]) == (["clock_off", "night_mode"], -300.0)
    kept = PictureMemory.of_json(held["picture"], held["notes"])
    assert kept is not None
    assert kept.seen_at == T0
    assert claim_one(ground, T0 + 2 * PERIOD).camera.picture == kept


def test_what_cannot_be_read_of_it_is_made_anew(ground: Connection, tmp_path: Path) -> None:
    add_camera(ground, 1, "http://127.0.0.1:1/a.jpg", pose=FARM.pose)
    scan(ground, T0, jpeg(farm_frame(0)), tmp_path)
    ground.execute("UPDATE watch.camera_health SET picture = '{\"patches\": 7}'")
    assert claim_one(ground, T0 + PERIOD).camera.picture is None
    at = T0 + 10 * PERIOD
    scan(ground, at, jpeg(farm_frame(1)), tmp_path)
    assert claim_one(ground, at + PERIOD).camera.picture is not None


def test_a_turned_camera_is_learned_anew(
    ground: Connection, watch_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GEOAPP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GEOAPP_DATABASE_URL", watch_url)
    settings.cache_clear()
    add_camera(ground, 1, "http://127.0.0.1:1/a.jpg", pose=FARM.pose)
    for count in range(11):
        scan(ground, T0 + count * PERIOD, jpeg(farm_frame(count)), tmp_path)
    softer = lens.out_of_focus(farm_frame(20), blur=4.0)
    at = T0 + 20 * PERIOD
    assert _seen(scan(ground, at, jpeg(softer), tmp_path)) is Reason.BLURRED
    on_its_way = claim_one(ground, at + PERIOD)
    called = CliRunner().invoke(commands.app, ["relearn", gb_id(1)])
    assert called.exit_code == 0, called.output
    with pytest.raises(LeaseLost):
        look(ground, at + PERIOD, [], tmp_path, claim=on_its_way)
    assert _seen(scan(ground, at + 2 * PERIOD, jpeg(softer), tmp_path)) is None
    unknown = CliRunner().invoke(commands.app, ["relearn", gb_id(1), gb_id(9)])
    assert isinstance(unknown.exception, Refused)
    assert gb_id(9) in str(unknown.exception)
    assert claim_one(ground, at + 3 * PERIOD).camera.picture is not None, "nothing is forgotten by halves"
    settings.cache_clear()


def _seen(seen: Observation) -> Reason | None:
    return seen.result.reason if isinstance(seen.result, Unobserved) else None


@pytest.mark.parametrize("reason", list(Reason))
def test_a_look_that_saw_nothing_closes_nothing_and_is_never_clear(
    ground: Connection, tmp_path: Path, reason: Reason
) -> None:
    add_camera(ground, 1, "http://127.0.0.1:1/a.jpg")
    at = T0
    for _ in range(2):
        look(ground, at, [fire_at(12.0, 22.0)], tmp_path)
        at += timedelta(seconds=2)
    before = _incident(ground)
    assert before["state"] == "open"
    for _ in range(30):
        at += timedelta(minutes=2)
        look(ground, at, reason, tmp_path)
    assert _incident(ground) == before, "an hour of looks that saw nothing"
    seen = _reasons(ground)
    assert seen == [reason.value]
    row = ground.execute(
        "SELECT sum(observed) AS observed, sum((reasons ->> %s)::integer) AS n FROM watch.observation_hour",
        (reason.value,),
    ).fetchone()
    assert row == {"observed": 2, "n": 30}


def _incident(connection: Connection) -> dict[str, Any]:
    (incident,) = connection.execute(
        "SELECT state, review, last_seen_at, observation_count FROM watch.incident"
    ).fetchall()
    return incident


def _reasons(connection: Connection) -> Sequence[str]:
    rows = connection.execute("SELECT DISTINCT reason FROM watch.observation WHERE NOT observed").fetchall()
    return [row["reason"] for row in rows]


def test_an_outage_of_pictures_counts_as_not_seen_even_where_a_fire_was(
    ground: Connection, tmp_path: Path
) -> None:
    """Through the gate, not past it: a fire, then a bag over the lens for an hour."""
    add_camera(ground, 1, "http://127.0.0.1:1/a.jpg")
    burning = fire_at(12.0, 22.0).corners
    for count in range(12):
        scan(ground, T0 + count * PERIOD, picture(count, burning), tmp_path)
    assert _incident(ground)["state"] == "open"
    grey = np.full((360, 640, 3), 120, np.uint8)
    for minute in range(60):
        scan(ground, T0 + timedelta(minutes=3 + minute), jpeg(grey), tmp_path)
    assert _incident(ground)["state"] == "open"
    assert _reasons(ground) == ["covered"]
