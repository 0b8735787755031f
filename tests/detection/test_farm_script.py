"""The scripted day keeps its promises at any moment, and is the same every time."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from farm_cameras import farm_cameras

from detection.farm.layout import INDOOR
from detection.farm.scenes import light_at, stands_free
from detection.farm.script import FAULTS, Script, read_cameras
from detection.pose import ground_to_pixel, in_picture

NOON = datetime(2026, 6, 1, 4, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def script() -> Script:
    return Script(farm_cameras(), seed=2)


@pytest.fixture(scope="module")
def hour(script: Script) -> list:
    return script.events_between(NOON, NOON + HOUR)


def test_a_new_event_at_least_every_30_seconds(hour: list) -> None:
    starts = [event.start for event in hour]
    assert starts[0] <= NOON + timedelta(seconds=30)
    gaps = [(b - a).total_seconds() for a, b in pairwise(starts)]
    assert max(gaps) <= 30.0
    assert (NOON + HOUR - starts[-1]).total_seconds() <= 30.0


def test_events_last_one_to_three_minutes_on_40_cameras_and_of_every_class(hour: list) -> None:
    lengths = [(event.end - event.start).total_seconds() for event in hour]
    assert min(lengths) >= 60.0 - 1e-3
    assert max(lengths) <= 180.0 + 1e-3
    assert len({event.gb_id for event in hour}) >= 40
    counts = {n: sum(e.name == n for e in hour) for n in ("fire", "smoke", "welding_arc", "sparks")}
    assert min(counts.values()) >= 10, counts


def test_events_stand_on_visible_ground_8_to_60_m_away(script: Script, hour: list) -> None:
    for event in hour:
        camera = script.cameras[event.gb_id]
        assert 8.0 <= math.hypot(event.east_m, event.north_m) <= 60.0
        pixel = ground_to_pixel(camera.pose, event.east_m, event.north_m)
        assert pixel is not None
        assert in_picture(camera.pose, *pixel)
        assert stands_free(camera.kind, camera.seed, camera.pose, event.east_m, event.north_m)


def test_every_camera_has_quiet_times(script: Script, hour: list) -> None:
    busy = dict.fromkeys(script.cameras, 0.0)
    for event in hour:
        inside = min(event.end, NOON + HOUR) - max(event.start, NOON)
        busy[event.gb_id] += inside.total_seconds()
    assert max(busy.values()) < 0.5 * 3600


def test_the_same_seed_gives_the_same_day_in_any_order_of_asking() -> None:
    cameras = farm_cameras()
    whole = Script(cameras, seed=7).events_between(NOON, NOON + HOUR)
    again = Script(list(reversed(cameras)), seed=7)
    parts = [again.events_between(NOON + HOUR * i / 6, NOON + HOUR * (i + 1) / 6) for i in (5, 0, 3, 1, 4, 2)]
    assert {e.number: e for part in parts for e in part} == {e.number: e for e in whole}
    other = Script(cameras, seed=8).events_between(NOON, NOON + HOUR)
    assert [e.gb_id for e in other] != [e.gb_id for e in whole]


def test_effects_follow_the_events(script: Script, hour: list) -> None:
    for event in hour[5:25]:
        middle = event.start + (event.end - event.start) / 2
        kinds = {
            (e.kind, round(e.east_m, 6), round(e.north_m, 6)) for e in script.effects_at(event.gb_id, middle)
        }
        assert (event.name, round(event.east_m, 6), round(event.north_m, 6)) in kinds
        before = script.effects_at(event.gb_id, event.start - timedelta(seconds=1))
        assert not any(e.east_m == event.east_m and e.kind == event.name for e in before)


def test_misleading_things_appear_and_are_no_events(script: Script) -> None:
    seen = {
        e.kind
        for gb_id in script.cameras
        for m in range(0, 60, 4)
        for e in script.effects_at(gb_id, NOON + timedelta(minutes=m))
    }
    assert {"lamp", "headlights", "steam", "beacon"} <= seen
    events = {e.name for e in script.events_between(NOON, NOON + HOUR)}
    assert events <= {"fire", "smoke", "welding_arc", "sparks"}


def test_faulty_cameras_play_every_fault_and_no_events(script: Script, hour: list) -> None:
    assert set(script.faults.values()) == set(FAULTS)
    assert not {event.gb_id for event in hour} & set(script.faults)
    for gb_id, fault in script.faults.items():
        states = {script.fault_at(gb_id, NOON + timedelta(minutes=m)) for m in range(0, 40, 2)}
        assert states == ({"dead"} if fault == "dead" else {fault, None})
    healthy = next(g for g in script.cameras if g not in script.faults)
    assert script.fault_at(healthy, NOON) is None


def test_light_follows_the_local_hour() -> None:
    assert light_at("yard", 12.0, 1) == "day"
    assert light_at("yard", 18.0, 1) == "dusk"
    assert {light_at("yard", 1.0, s) for s in range(4)} == {"night", "ir"}
    assert {light_at(k, 12.0, s) for k in INDOOR for s in range(4)} == {"day"}  # type: ignore[arg-type]


def test_a_time_without_zone_is_refused(script: Script) -> None:
    with pytest.raises(ValueError, match="zone"):
        script.events_between(datetime(2026, 1, 1), datetime(2026, 1, 2))


def test_cameras_file(tmp_path: Path) -> None:
    file = tmp_path / "cameras.json"
    pose = {
        "height_m": 6, "azimuth_deg": 10, "tilt_deg": 15, "hfov_deg": 70, "width_px": 960, "height_px": 540,
    }  # fmt: skip
    good = {"gb_id": "31011600001320000001", "kind": "yard", "seed": 4, "pose": pose}
    file.write_text(json.dumps([good]), encoding="utf-8")
    assert read_cameras(file)[0].pose.tilt_deg == 15
    for bad, told in (
        ([good, good], "twice"),
        ([{**good, "kind": "moon"}], "camera 0: kind"),
        ([{**good, "pose": {**pose, "height_m": -1}}], "camera 0: pose height_m"),
        ([{"gb_id": "1"}], "camera 0"),
    ):
        file.write_text(json.dumps(bad), encoding="utf-8")
        with pytest.raises(ValueError, match=told):
            read_cameras(file)
    file.write_text("{", encoding="utf-8")
    with pytest.raises(ValueError, match=r"cameras\.json"):
        read_cameras(file)
