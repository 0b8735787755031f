"""Cameras that see one spot make one incident, others do not; votes of all open it, and each has to say that it is over."""

import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from two_cameras import add_two, claim_of, incidents, look_of, seen_by
from watching import EAST, NORTH, POSE, SRID, T0, fire_at, gb_id, look, notices

from detection.across import SHARPER, Elsewhere, crossed, find_across, ground_keys, ground_score
from detection.config import AcrossConfig, WatchConfig
from detection.evidence import keep_frame
from detection.placing import place
from detection.types import Camera, GroundFix, Reason
from geoapp.database.connection import connect

Connection = psycopg.Connection[dict[str, Any]]
CONFIG = AcrossConfig()
SPOT = (12.0, 22.0)
OTHER_SPOT = (4.0, 24.0)
metres = st.floats(0.5, 30, allow_nan=False)
turn = st.floats(0, 180, allow_nan=False)


def fix(x: float, y: float, major: float = 3.0, minor: float = 1.0, rotation: float = 0.0) -> GroundFix:
    return GroundFix("pose_ray", x, y, major, minor, rotation)


def elsewhere(place: GroundFix, class_name: str = "fire") -> Elsewhere:
    return Elsewhere(
        uuid4(),
        class_name,
        place.x,
        place.y,
        place.method,
        place.semi_major_m,
        place.semi_minor_m,
        place.rotation_deg,
        T0,
    )


@given(metres, metres, turn, turn, st.floats(-80, 80), st.floats(-80, 80))
def test_what_agrees_shares_a_square_and_lies_within_both_errors(
    a_m: float, b_m: float, a_turn: float, b_turn: float, dx: float, dy: float
) -> None:
    """The locks are enough: two hits that could be one incident have a lock in common."""
    a, b = fix(99.0, 201.0, a_m, a_m / 2, a_turn), fix(99.0 + dx, 201.0 + dy, b_m, b_m / 3, b_turn)
    score = ground_score(a, "fire", elsewhere(b), T0, CONFIG)
    assert score == pytest.approx(ground_score(b, "fire", elsewhere(a), T0, CONFIG))
    if score > 0:
        assert np.hypot(dx, dy) <= a_m + b_m
        assert set(ground_keys([a], CONFIG)) & set(ground_keys([b], CONFIG))


@given(metres, metres, turn, turn, turn)
def test_disjoint_fires_are_never_merged(
    a_m: float, b_m: float, a_turn: float, b_turn: float, way: float
) -> None:
    """Further apart than both errors together: two incidents, whatever the ellipses."""
    apart = (a_m + b_m) * 1.001
    a = fix(0, 0, a_m, a_m / 2, a_turn)
    b = fix(apart * np.sin(np.radians(way)), apart * np.cos(np.radians(way)), b_m, b_m / 2, b_turn)
    assert find_across([(a, "fire")], [elsewhere(b)], T0, CONFIG) == [None]


def test_what_is_not_clear_begins_a_new_one() -> None:
    left, right = elsewhere(fix(-1.0, 0)), elsewhere(fix(1.1, 0))
    assert find_across([(fix(0, 0), "fire")], [left, right], T0, CONFIG) == [None], "two agree alike"
    assert find_across([(fix(-1.0, 0), "fire"), (fix(-0.9, 0), "fire")], [left], T0, CONFIG) == [None, None]
    assert find_across([(fix(-1.0, 0), "fire")], [left], T0, CONFIG) == [left]
    assert find_across([(fix(-1.0, 0), "smoke")], [left], T0, CONFIG) == [left], "smoke is of its fire"
    assert find_across([(fix(-1.0, 0), "sparks")], [left], T0, CONFIG) == [None]
    vague = replace(fix(-1.0, 0), semi_major_m=CONFIG.max_error_m + 1)
    assert find_across([(vague, "fire")], [left], T0, CONFIG) == [None]
    bearing = replace(fix(-1.0, 0), method="bearing_sector")
    assert find_across([(bearing, "fire")], [left], T0, CONFIG) == [None]
    late = T0 + timedelta(seconds=CONFIG.gap_s + 1)
    assert find_across([(fix(-1.0, 0), "fire")], [left], late, CONFIG) == [None]


@given(metres, metres, turn, turn, st.floats(-20, 20), st.floats(-20, 20))
def test_rays_that_cross_know_more_than_each_and_lie_between(
    a_m: float, b_m: float, a_turn: float, b_turn: float, dx: float, dy: float
) -> None:
    a, b = fix(5.0, 7.0, a_m, a_m / 5, a_turn), fix(5.0 + dx, 7.0 + dy, b_m, b_m / 5, b_turn)
    joint = crossed(a, elsewhere(b))
    if joint is None:
        return
    assert joint.method == "triangulated"
    assert joint.semi_major_m is not None
    assert joint.semi_minor_m is not None
    assert joint.semi_minor_m <= joint.semi_major_m <= SHARPER * min(a_m, b_m) + 1e-9
    assert joint.semi_major_m >= min(a_m, b_m) / 5 / np.sqrt(2) - 1e-9, "not sharper than what they know best"
    swapped = crossed(b, elsewhere(a))
    assert swapped is not None
    assert np.allclose([joint.x, joint.y, joint.semi_major_m], [swapped.x, swapped.y, swapped.semi_major_m])
    if (dx, dy) == (0, 0):
        assert np.allclose([joint.x, joint.y], [5.0, 7.0])


def test_rays_that_cross_give_each_other_their_bearings_and_what_adds_nothing_is_left() -> None:
    a = fix(0, 0, 20, 1, 30.0)
    joint = crossed(a, elsewhere(fix(0, 0, 20, 1, 120.0)))
    assert joint is not None
    assert joint.semi_major_m == pytest.approx(1.0, abs=0.01)
    assert joint.ring is not None
    assert np.hypot(*np.transpose(joint.ring)).max() == pytest.approx(joint.semi_major_m)
    in_line = crossed(a, elsewhere(fix(0, 0, 20, 1, 30.0)))
    assert in_line is not None
    assert in_line.semi_major_m == pytest.approx(20 / np.sqrt(2)), (
        "in one line: a mean of two ranges, no more"
    )
    assert crossed(a, elsewhere(fix(0, 0, 30, 1, 30.0))) is None, "hardly sharper than the better one"
    assert crossed(a, elsewhere(fix(0, 0, 200, 60, 120.0))) is None, "a camera far away adds nothing"
    assert crossed(a, elsewhere(replace(fix(0, 0), method="bearing_sector"))) is None


def test_crossed_rays_are_as_good_as_they_say() -> None:
    """Two cameras at a right angle with errors of their poses drawn as their sigmas say: the truth lies in 95 % of the
    ellipses, and the error is a fraction of one camera's."""
    rng, config = np.random.default_rng(4), WatchConfig().placing
    spot, stands, turns = (0.0, 75.0), ((0.0, 0.0), (75.0, 75.0)), (0.0, 270.0)
    alone, together, held = [], [], 0
    for _ in range(400):
        fixes = []
        for (east, north), azimuth in zip(stands, turns, strict=True):
            told = replace(POSE, azimuth_deg=azimuth)
            sigma = config.sigma(10.0, is_smoke=False)
            true = replace(
                told,
                azimuth_deg=(azimuth + rng.normal(0, sigma.azimuth_deg)) % 360,
                tilt_deg=told.tilt_deg + rng.normal(0, sigma.tilt_deg),
                height_m=told.height_m + rng.normal(0, sigma.height_m),
            )
            u, v = rng.normal(0, sigma.foot_px, 2)
            box = fire_at(spot[0] - east, spot[1] - north, pose=true)
            box = replace(box, x1=box.x1 + u, x2=box.x2 + u, y1=box.y1 + v, y2=box.y2 + v)
            camera = Camera(1, gb_id(1), "", "", 10.0, east, north, SRID, told, 120.0)
            fixes.append(place(camera, box, told.width_px, told.height_px, config))
        joint = crossed(fixes[0], elsewhere(fixes[1]))
        assert joint is not None
        alone.append(np.hypot(fixes[0].x - spot[0], fixes[0].y - spot[1]))
        together.append(np.hypot(joint.x - spot[0], joint.y - spot[1]))
        held += ground_score(fix(*spot, 0.1, 0.1), "fire", elsewhere(joint), T0, CONFIG) > 0
    assert np.median(together) < 0.7 * np.median(alone)
    assert held / 400 >= 0.9


@pytest.fixture
def yard(ground: Connection) -> Connection:
    add_two(ground)
    return ground


def test_two_cameras_that_see_one_fire_open_one_incident(yard: Connection, tmp_path: Path) -> None:
    look_of(yard, 1, (T0, 0), [seen_by(1, *SPOT)], tmp_path)
    assert incidents(yard)[0]["state"] == "candidate"
    look_of(yard, 2, (T0, 3), [seen_by(2, *SPOT)], tmp_path)
    (incident,) = incidents(yard)
    assert (incident["state"], incident["cameras"]) == ("open", 2), "a vote of each is enough"
    assert [n["transition"] for n in notices(yard)] == ["opened"]
    kept = yard.execute("SELECT count(*) AS n FROM watch.evidence").fetchone()
    assert kept == {"n": 2}, "a frame of each camera"
    assert np.hypot(incident["x"] - EAST - SPOT[0], incident["y"] - NORTH - SPOT[1]) < 1
    # Each goes on with its own box.
    for i in range(4):
        look_of(yard, 1 + i % 2, (T0, 10 + 5 * i), [seen_by(1 + i % 2, *SPOT)], tmp_path)
    (incident,) = incidents(yard)
    assert incident["observation_count"] == 6


def test_an_incident_is_placed_where_the_rays_of_its_cameras_cross(yard: Connection, tmp_path: Path) -> None:
    beside, to_the_left = (24.0, 0.0), replace(POSE, azimuth_deg=330.0)
    yard.execute(
        "UPDATE registry.camera SET geom = ST_SetSRID(ST_MakePoint(%s, %s), %s), azimuth_deg = %s WHERE gb_id = %s",
        (EAST + beside[0], NORTH + beside[1], SRID, to_the_left.azimuth_deg, gb_id(2)),
    )
    there = fire_at(SPOT[0] - beside[0], SPOT[1] - beside[1], pose=to_the_left)
    look_of(yard, 1, (T0, 0), [seen_by(1, *SPOT)], tmp_path)
    (alone,) = incidents(yard)
    look_of(yard, 2, (T0, 3), [there], tmp_path)
    (crossing,) = incidents(yard)
    assert (alone["placing_method"], crossing["placing_method"]) == ("pose_ray", "triangulated")
    assert crossing["semi_major_m"] < SHARPER * alone["semi_major_m"]
    assert np.hypot(crossing["x"] - EAST - SPOT[0], crossing["y"] - NORTH - SPOT[1]) < 0.5
    area = yard.execute(
        "SELECT ST_Area(ellipse) AS m2, ST_Contains(ellipse, geom) AS holds FROM watch.incident"
    ).fetchone()
    assert area is not None
    assert area["holds"]
    assert area["m2"] == pytest.approx(np.pi * crossing["semi_major_m"] * crossing["semi_minor_m"], rel=0.02)
    # Further looks of the same two are no new witnesses.
    for i in range(2):
        look_of(yard, 1, (T0, 10 + 10 * i), [seen_by(1, *SPOT, score=0.95)], tmp_path)
        look_of(yard, 2, (T0, 12 + 10 * i), [there], tmp_path)
    (after,) = incidents(yard)
    assert (after["cameras"], after["observation_count"], after["state"]) == (2, 6, "open")
    assert (after["x"], after["y"], after["semi_major_m"]) == (
        crossing["x"],
        crossing["y"],
        crossing["semi_major_m"],
    )


def test_two_fires_before_two_cameras_stay_two(yard: Connection, tmp_path: Path) -> None:
    for i in range(3):
        for number in (1, 2):
            found = [seen_by(number, *SPOT), seen_by(number, *OTHER_SPOT)]
            look_of(yard, number, (T0, 10 * i + number), found, tmp_path)
    found = incidents(yard)
    places = [(round(i["x"] - EAST), round(i["y"] - NORTH)) for i in found]
    assert sorted(places) == [(4, 24), (12, 22)]
    assert [i["cameras"] for i in found] == [2, 2]


def test_it_is_over_only_when_each_camera_says_so(yard: Connection, tmp_path: Path) -> None:
    for number in (1, 2):
        look_of(yard, number, (T0, number), [seen_by(number, *SPOT)], tmp_path)
    for i in range(12):  # a lorry stands before the first camera
        look_of(yard, 1, (T0, 10 + i), [], tmp_path)
        if i % 4 == 0:
            look_of(yard, 2, (T0, 10.5 + i), [seen_by(2, *SPOT)], tmp_path)
    assert incidents(yard)[0]["state"] == "open"
    for i in range(3):
        assert incidents(yard)[0]["state"] == "open"
        look_of(yard, 2, (T0, 30 + i), [], tmp_path)
    assert incidents(yard)[0]["state"] == "quiet"
    look_of(yard, 1, (T0, 40), [seen_by(1, *SPOT)], tmp_path)
    assert incidents(yard)[0]["state"] == "open"
    assert [n["transition"] for n in notices(yard)] == ["opened", "quiet", "reopened"]


def test_a_blind_camera_neither_closes_nor_keeps_it_open(yard: Connection, tmp_path: Path) -> None:
    for number in (1, 2):
        look_of(yard, number, (T0, number), [seen_by(number, *SPOT)], tmp_path)
    for i in range(20):
        look_of(yard, 1, (T0, 10 + i), Reason.TIMEOUT, tmp_path)
    assert incidents(yard)[0]["state"] == "open"
    for i in range(3):
        look_of(yard, 2, (T0, 40 + i), [], tmp_path)
    assert incidents(yard)[0]["state"] == "quiet", "who can be looked through decides"


def test_where_nobody_can_look_it_stays_open_and_says_since_when(yard: Connection, tmp_path: Path) -> None:
    for number in (1, 2):
        look_of(yard, number, (T0, number), [seen_by(number, *SPOT)], tmp_path)
    for i in range(30):
        for number in (1, 2):
            look_of(yard, number, (T0, 60 * i + 10 + number), Reason.BLACK, tmp_path)
    asked = "SELECT * FROM analysis.event_unseen_at(%s)"
    (unseen,) = yard.execute(asked, (T0 + timedelta(minutes=31),)).fetchall()
    assert (unseen["state"], unseen["camera_count"]) == ("open", 2)
    assert unseen["unseen_since"] == T0 + timedelta(seconds=2)
    look_of(yard, 2, (T0, 1870), [], tmp_path)
    assert yard.execute(asked, (T0 + timedelta(seconds=1880),)).fetchall() == []
    event = yard.execute("SELECT state, camera_count, last_looked_at FROM analysis.event").fetchone()
    assert event == {
        "state": "open",
        "camera_count": 2,
        "last_looked_at": T0 + timedelta(seconds=1870),
    }


def test_votes_outlive_the_days_that_are_dropped(yard: Connection, tmp_path: Path) -> None:
    for i in range(2):
        look_of(yard, 1, (T0, 10 * i), [seen_by(1, *SPOT)], tmp_path)
    for i in range(2):
        look_of(yard, 1, (T0, 20 + 10 * i), [], tmp_path)
    yard.execute("TRUNCATE watch.observation")
    look_of(yard, 1, (T0, 50), [], tmp_path)
    assert incidents(yard)[0]["state"] == "quiet", "the third empty look in a row"


def simultaneous(url: str, rounds: int, folder: Path) -> list[dict[str, Any]]:
    """In each round both cameras' looks at one new fire are written by two connections at the same instant."""
    barrier = threading.Barrier(2, timeout=30)
    faults: list[BaseException] = []

    def play(number: int) -> None:
        try:
            with connect(url, autocommit=True) as connection:
                for i in range(rounds):
                    at = T0 + timedelta(hours=i)
                    claim = claim_of(connection, number, at)
                    box = seen_by(number, *SPOT)
                    barrier.wait()
                    look(connection, at, [box], folder, claim=claim)
                    barrier.wait()
                    for j in range(1, 5):
                        look_of(connection, number, (at, 10 * j), [], folder)
                    barrier.wait()
        except BaseException as fault:
            faults.append(fault)
            barrier.abort()
            raise

    players = [threading.Thread(target=play, args=(number,)) for number in (1, 2)]
    for player in players:
        player.start()
    for player in players:
        player.join()
    assert not faults
    with connect(url) as connection:
        return incidents(connection)


def check_simultaneous(found: list[dict[str, Any]], rounds: int) -> None:
    assert len(found) == rounds, "one fire, one incident, however the two writers race"
    assert {i["cameras"] for i in found} == {2}
    assert all(i["opened_at"] is not None for i in found)


def test_two_writers_at_one_instant_make_one_incident(
    yard: Connection, watch_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between an incident's row and its commit the first of the two waits until the other waits for it, at the lock of the
    ground; were there none, where it too begins an incident."""
    frames, guard, waited_for = [0], threading.Lock(), set[str]()
    waiting = "SELECT locktype FROM pg_locks WHERE NOT granted"

    def keep_slowly(*arguments: Any, **named: Any) -> Any:
        with guard:
            frames[0] += 1
            mine = frames[0]
        if mine % 2:  # a frame of each writer in a round
            with connect(watch_url, autocommit=True) as looking:
                ends = time.monotonic() + 30
                while time.monotonic() < ends and frames[0] == mine:
                    if row := looking.execute(waiting).fetchone():
                        waited_for.add(row["locktype"])
                        break
                    time.sleep(0.005)
                else:
                    assert frames[0] > mine, "the other writer came to neither"
        return keep_frame(*arguments, **named)

    monkeypatch.setattr("detection.looks.keep_frame", keep_slowly)
    check_simultaneous(simultaneous(watch_url, 6, tmp_path), 6)
    assert waited_for == {"advisory"}, "looks of two cameras stand in line for nothing else"


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_two_writers_at_one_instant_a_thousand_times(
    yard: Connection, watch_url: str, tmp_path: Path
) -> None:
    check_simultaneous(simultaneous(watch_url, 1000, tmp_path), 1000)


@pytest.mark.parametrize("seed", range(3))
def test_any_order_of_looks_gaps_and_blindness(yard: Connection, tmp_path: Path, seed: int) -> None:
    """Whatever two cameras show: one event of the world is one incident until it closes, only a look changes a state,
    and a review stays what people made it."""
    rng = np.random.default_rng(seed)
    at: datetime = T0
    reviewed: dict[Any, tuple[str, str]] = {}
    before: dict[Any, str] = {}
    for _ in range(40):
        at += timedelta(seconds=float(rng.choice([2, 10, 30, 120], p=[0.4, 0.4, 0.15, 0.05])))
        number = int(rng.integers(1, 3))
        kind = rng.choice(["hit", "empty", "blind"], p=[0.45, 0.35, 0.2])
        boxes = [seen_by(number, *SPOT)] if kind == "hit" else Reason.FROZEN if kind == "blind" else []
        look_of(yard, number, (at, 0), boxes, tmp_path)
        found = incidents(yard)
        assert sum(i["state"] != "closed" for i in found) <= 1
        after = {i["id"]: i["state"] for i in found}
        if kind == "blind":
            assert after == before
        if kind == "hit":
            assert "candidate" in after.values() or "open" in after.values()
        for i in found:
            if i["id"] in reviewed:
                assert (i["review"], i["review_reason"]) == reviewed[i["id"]]
            elif i["state"] == "open" and rng.random() < 0.3:
                reviewed[i["id"]] = (str(rng.choice(["confirmed", "false"])), "看过")
                yard.execute(
                    "UPDATE watch.incident SET review = %s, review_reason = %s WHERE id = %s",
                    (*reviewed[i["id"]], i["id"]),
                )
            assert i["state"] != "closed" or before.get(i["id"]) in (None, "closed", "candidate", "quiet")
        before = after
    ended = yard.execute(
        "SELECT count(*) AS n FROM watch.incident AS i JOIN watch.incident_camera AS v ON v.incident_id = i.id"
        " WHERE (i.state = 'closed') <> (v.ended_at IS NOT NULL)"
    ).fetchone()
    assert ended == {"n": 0}
