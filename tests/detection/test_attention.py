"""What the watch pays attention to: modes of cameras, masks from rejections, and the negatives that training takes."""

import fcntl
import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from two_cameras import add_two, look_of, seen_by
from two_cameras import incidents as incidents_of
from watching import POSE, T0, THRESHOLDS, add_camera, fire_at, gb_id, look, notices

from detection.config import MasksConfig, ModesConfig, WatchConfig
from detection.masks import decide_mask, list_masks
from detection.modes import list_modes, set_mode
from detection.negatives import write_negatives
from detection.set_aside import Mask, modes_of, split_boxes
from detection.types import CLASSES, Box
from geoapp.database.connection import connect
from geoapp.errors import Refused

Connection = psycopg.Connection[dict[str, Any]]
FIRE = (12.0, 22.0)
FAR_FIRE = (30.0, 8.0)
DAY = timedelta(days=1)
coordinate = st.floats(0, 600, allow_nan=False)


def set_for(connection: Connection, mode: str, class_name: str | None = None, number: int = 1) -> None:
    set_mode(connection, [gb_id(number)], class_name, mode, reason="试运行", by="test", at=T0)


def set_aside(connection: Connection) -> list[tuple[Any, ...]]:
    rows = connection.execute(
        "SELECT class, why, boxes FROM watch.set_aside_hour ORDER BY class, why"
    ).fetchall()
    return [tuple(row.values()) for row in rows]


def count(connection: Connection, what: str) -> int:
    row = connection.execute(f"SELECT count(*) AS n FROM {what}".encode()).fetchone()
    assert row is not None
    return int(row["n"])


# -- modes --------------------------------------------------------------------------------------------------------


def test_measure_counts_boxes_and_begins_nothing(ground: Connection, tmp_path: Path) -> None:
    add_camera(ground, 1, "http://127.0.0.1:1/none.jpg")
    set_for(ground, "measure", "welding_arc")
    arc = fire_at(*FIRE, class_name="welding_arc")
    for i in range(3):
        look(ground, T0 + timedelta(seconds=10 * i), [arc, fire_at(*FAR_FIRE)], tmp_path)
    assert [i["class"] for i in incidents_of(ground)] == ["fire"]
    assert set_aside(ground) == [("welding_arc", "measure", 3)]


def test_shadow_is_told_to_nobody_and_on_no_map_until_it_alerts(ground: Connection, tmp_path: Path) -> None:
    add_camera(ground, 1, "http://127.0.0.1:1/none.jpg")
    set_for(ground, "shadow")
    for i in range(4):
        look(ground, T0 + timedelta(seconds=10 * i), [fire_at(*FIRE)], tmp_path)
    (incident,) = incidents_of(ground)
    assert (incident["mode"], incident["state"]) == ("shadow", "open")
    assert notices(ground) == []
    assert count(ground, "analysis.event") == count(ground, "analysis.review_queue") == 0
    assert count(ground, "analysis.shadow_event") == 1
    # Set to alert while it goes on: told at its next look, as a new one.
    set_for(ground, "alert")
    look(ground, T0 + timedelta(seconds=50), [fire_at(*FIRE)], tmp_path)
    assert [n["transition"] for n in notices(ground)] == ["opened"]
    assert count(ground, "analysis.event") == 1
    # And back: what was told of is not hidden.
    set_for(ground, "shadow")
    look(ground, T0 + timedelta(seconds=60), [fire_at(*FIRE)], tmp_path)
    assert incidents_of(ground)[0]["mode"] == "alert"
    told = list_modes(ground, [gb_id(1)], history=True)
    assert [(m["mode"], m["set_by"]) for m in told] == [
        ("shadow", "test"),
        ("alert", "test"),
        ("shadow", "test"),
    ]


def test_a_camera_without_a_pose_starts_in_shadow_unless_waived(ground: Connection, tmp_path: Path) -> None:
    add_camera(ground, 1, "http://127.0.0.1:1/none.jpg", pose=None)
    for i in range(2):
        look(ground, T0 + timedelta(seconds=10 * i), [fire_at(*FIRE)], tmp_path)
    assert incidents_of(ground)[0]["mode"] == "shadow"
    set_for(ground, "alert")
    look(ground, T0 + timedelta(seconds=20), [fire_at(*FIRE)], tmp_path)
    assert incidents_of(ground)[0]["mode"] == "alert"


def test_shadow_and_alert_are_kept_apart_across_cameras(ground: Connection, tmp_path: Path) -> None:
    add_two(ground)
    set_for(ground, "shadow", number=1)
    for i in range(2):
        for number in (1, 2):
            look_of(ground, number, (T0, 10 * i + number), [seen_by(number, *FIRE)], tmp_path)
    assert sorted((i["mode"], i["cameras"]) for i in incidents_of(ground)) == [("alert", 1), ("shadow", 1)]
    assert [n["transition"] for n in notices(ground)] == ["opened"]


@given(st.sampled_from(["measure", "shadow", "alert"]), st.booleans())
def test_what_is_set_for_a_camera_goes_before_the_settings(stored: str, has_pose: bool) -> None:
    config = ModesConfig(default="alert", classes={"sparks": "measure"})
    assert set(modes_of(config, dict.fromkeys(CLASSES, stored), has_pose=has_pose).values()) == {stored}
    unset = modes_of(config, {}, has_pose=has_pose)
    assert unset["sparks"] == "measure"
    assert unset["fire"] == ("alert" if has_pose else "shadow")
    assert modes_of(config, dict.fromkeys(CLASSES, "default"), has_pose=has_pose) == unset


@pytest.mark.parametrize(
    ("gb_ids", "class_name", "mode", "reason", "said"),
    [
        (["31011600000000000099"], None, "alert", "为何", "31011600000000000099"),
        ([gb_id(1)], "person", "alert", "为何", "person"),
        ([gb_id(1)], None, "loud", "为何", "loud"),
        ([gb_id(1)], None, "alert", " ", "reason"),
    ],
)
def test_modes_that_make_no_sense_are_refused(
    ground: Connection, gb_ids: list[str], class_name: str | None, mode: str, reason: str, said: str
) -> None:
    add_camera(ground, 1, "http://127.0.0.1:1/none.jpg")
    with pytest.raises(Refused, match=said):
        set_mode(ground, gb_ids, class_name, mode, reason=reason, by="test", at=T0)
    assert count(ground, "watch.camera_mode") == 0


# -- masks --------------------------------------------------------------------------------------------------------


@given(
    st.lists(
        st.tuples(st.sampled_from(CLASSES), coordinate, coordinate, st.floats(1, 200), st.floats(1, 200)),
        max_size=10,
    ),
    st.floats(0.05, 0.6),
)
def test_every_box_is_kept_or_set_aside_and_none_outside_a_mask_is(
    found: list[tuple[str, float, float, float, float]], right: float
) -> None:
    boxes = [Box(name, 0.9, x, y, x + w, y + h) for name, x, y, w, h in found]
    mask = Mask(7, "fire", ((0, 0), (right, 0), (right, 1), (0, 1)))
    kept, aside = split_boxes(
        boxes, dict.fromkeys(CLASSES, "alert"), [mask], width_px=1000, height_px=1000, share=0.7
    )
    assert sorted(map(id, kept + [one.box for one in aside])) == sorted(map(id, boxes))
    for one in aside:
        assert (one.why, one.mask_id, one.box.class_name) == ("mask", 7, "fire")
        inside = min(one.box.x2, 1000 * right) - one.box.x1
        assert inside >= 0.7 * (one.box.x2 - one.box.x1) - 1e-6
    for box in kept:
        assert box.class_name != "fire" or box.x2 > 1000 * right or box.y2 > 1000


@pytest.fixture
def lamp(ground: Connection, tmp_path: Path) -> Connection:
    """A lamp was taken for a fire, opened an incident, and was called a false alarm."""
    add_camera(ground, 1, "http://127.0.0.1:1/none.jpg")
    for i in range(3):
        look(ground, T0 + timedelta(seconds=10 * i), [fire_at(*FIRE)], tmp_path)
    reject(ground, "lamp_sun")
    return ground


def reject(connection: Connection, cause: str | None, review: str = "false") -> None:
    connection.execute(
        "UPDATE watch.incident SET review = %s, false_cause = %s, review_reason = '灯'", (review, cause)
    )


def test_a_lamp_proposes_a_mask_that_suppresses_once_accepted(lamp: Connection, tmp_path: Path) -> None:
    (mask,) = list_masks(lamp, at=T0)
    assert (mask["state"], mask["class"], mask["cause"], mask["gb_id"]) == (
        "proposed",
        "fire",
        "lamp_sun",
        gb_id(1),
    )
    xs, ys = zip(*mask["polygon"], strict=True)
    box = fire_at(*FIRE)
    assert min(xs) < box.x1 / POSE.width_px < box.x2 / POSE.width_px < max(xs)
    assert min(ys) < box.y1 / POSE.height_px < box.y2 / POSE.height_px < max(ys)
    at = T0 + timedelta(hours=1)
    look(lamp, at, [fire_at(*FIRE)], tmp_path)
    assert len(incidents_of(lamp)) == 2, "a proposal suppresses nothing"
    done = decide_mask(lamp, mask["id"], "accept", days=2, by="test", at=at)
    assert (done["state"], done["until"]) == ("active", at + 2 * DAY)
    for i in range(1, 4):
        look(lamp, at + timedelta(seconds=10 * i), [fire_at(*FIRE), fire_at(*FAR_FIRE)], tmp_path)
    assert [i["state"] for i in incidents_of(lamp)][2:] == ["open"], "a fire beside it is one"
    assert set_aside(lamp) == [("fire", "mask", 3)]
    (mask,) = list_masks(lamp, at=at)
    assert (mask["suppressed"], mask["last_suppressed_at"]) == (3, at + timedelta(seconds=30))
    # A fire that grows out of the lamp's place is seen.
    big = Box("fire", 0.9, box.x1 - 60, box.y1 - 80, box.x2 + 60, box.y2 + 20)
    before = len(incidents_of(lamp))
    look(lamp, at + timedelta(hours=2), [big], tmp_path)
    assert len(incidents_of(lamp)) == before + 1
    # Never for ever.
    later = at + 2 * DAY + timedelta(seconds=1)
    look(lamp, later, [fire_at(*FIRE)], tmp_path)
    assert len(incidents_of(lamp)) == before + 2
    assert list_masks(lamp, at=later) == []
    assert [m["state"] for m in list_masks(lamp, at=later, everything=True)] == ["expired"]


def test_what_moves_on_proposes_no_mask(ground: Connection, tmp_path: Path) -> None:
    add_camera(ground, 1, "http://127.0.0.1:1/none.jpg")
    for i in range(2):
        look(ground, T0 + timedelta(seconds=10 * i), [fire_at(*FIRE)], tmp_path)
    for cause in ("vehicle", None):
        reject(ground, cause)
        assert list_masks(ground, at=T0) == []
        reject(ground, None, "unreviewed")


def test_a_rejection_taken_back_takes_its_proposal_back(lamp: Connection) -> None:
    (mask,) = list_masks(lamp, at=T0)
    reject(lamp, None, "confirmed")
    assert list_masks(lamp, at=T0) == []
    reject(lamp, "lamp_sun")
    (again,) = list_masks(lamp, at=T0)
    assert again["id"] == mask["id"]
    decide_mask(lamp, mask["id"], "refuse", days=0, by="test", at=T0)
    with pytest.raises(Refused, match="mask"):
        decide_mask(lamp, mask["id"], "end", days=0, by="test", at=T0)
    with pytest.raises(Refused, match="mask"):
        decide_mask(lamp, 999, "accept", days=1, by="test", at=T0)


# -- negatives ----------------------------------------------------------------------------------------------------


def test_negatives_follow_the_reviews(lamp: Connection, tmp_path: Path) -> None:
    folder = tmp_path / "negatives"
    first = write_negatives(lamp, tmp_path, folder)
    frames = sorted((folder / "images").glob("*.jpg"))
    assert first.written == len(frames) == 2
    assert all((folder / "labels" / f"{f.stem}.txt").read_bytes() == b"" for f in frames)
    lines = [json.loads(line) for line in (folder / "negatives.jsonl").read_text().splitlines()]
    assert {(n["cause"], n["reason"], n["class"]) for n in lines} == {("lamp_sun", "灯", "fire")}
    assert lines[0]["boxes"][0]["class"] == "fire"
    times = {f: f.stat().st_mtime_ns for f in folder.rglob("*") if f.is_file()}
    time.sleep(0.01)
    again = write_negatives(lamp, tmp_path, folder)
    assert (again.written, again.kept, again.removed) == (0, 2, 0)
    assert {f: f.stat().st_mtime_ns for f in folder.rglob("*") if f.is_file()} == times
    # A frame that is not what was hashed teaches nothing.
    (folder / "images" / frames[0].name).unlink()
    row = lamp.execute("SELECT path FROM watch.evidence WHERE id::text = %s", (frames[0].stem,)).fetchone()
    assert row is not None
    (tmp_path / row["path"]).write_bytes(b"changed")
    assert write_negatives(lamp, tmp_path, folder).missing == (row["path"],)
    reject(lamp, None, "confirmed")
    assert write_negatives(lamp, tmp_path, folder).removed == 1
    assert not list((folder / "images").glob("*.jpg"))


def test_negatives_have_a_bound_and_one_writer(lamp: Connection, tmp_path: Path) -> None:
    folder = tmp_path / "negatives"
    nothing = write_negatives(lamp, tmp_path, folder, adds=False)
    assert (nothing.written, nothing.left_out) == (0, 2)
    sizes = [r["bytes"] for r in lamp.execute("SELECT bytes FROM watch.evidence ORDER BY captured_at")]
    newest = write_negatives(lamp, tmp_path, folder, most_bytes=sizes[-1])
    assert (newest.written, newest.left_out) == (1, 1)
    (image,) = (folder / "images").glob("*.jpg")
    row = lamp.execute("SELECT id FROM watch.evidence ORDER BY captured_at DESC LIMIT 1").fetchone()
    assert row is not None
    assert image.stem == str(row["id"]), "the newest one"
    assert write_negatives(lamp, tmp_path, folder).written == 1
    none = write_negatives(lamp, tmp_path, folder, most_bytes=0)
    assert (none.removed, none.left_out, list((folder / "images").glob("*"))) == (2, 2, [])
    with (folder / ".lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(Refused, match="another process"):
            write_negatives(lamp, tmp_path, folder)


def test_a_frame_that_was_not_kept_is_no_negative(lamp: Connection, tmp_path: Path) -> None:
    lamp.execute("UPDATE watch.evidence SET path = NULL, sha256 = NULL, not_kept = 'disk_full'")
    done = write_negatives(lamp, tmp_path, tmp_path / "negatives")
    assert (done.written, done.missing) == (0, ())


def test_a_frame_that_shows_a_real_fire_as_well_is_no_negative(ground: Connection, tmp_path: Path) -> None:
    add_camera(ground, 1, "http://127.0.0.1:1/none.jpg")
    for i in range(2):
        look(ground, T0 + timedelta(seconds=10 * i), [fire_at(*FIRE), fire_at(*FAR_FIRE)], tmp_path)
    ground.execute(
        "UPDATE watch.incident SET review = 'false', false_cause = 'reflection'"
        " WHERE incident_no = (SELECT min(incident_no) FROM watch.incident)"
    )
    assert write_negatives(ground, tmp_path, tmp_path / "negatives").written == 0


# -- permits ------------------------------------------------------------------------------------------------------


def test_a_permit_that_ends_in_the_middle_of_work_flips_it(ground: Connection, tmp_path: Path) -> None:
    add_camera(ground, 1, "http://127.0.0.1:1/none.jpg")
    arc = fire_at(*FIRE, class_name="welding_arc")
    look(ground, T0, [arc, fire_at(*FAR_FIRE)], tmp_path)
    ground.execute(
        "INSERT INTO registry.site (name_zh, geom) SELECT '测试厂', geom FROM watch.incident WHERE class = 'welding_arc'"
    )
    ground.execute(
        "INSERT INTO registry.hot_work_permit (permit_no, site_id, level, geom, starts_at, ends_at, status)"
        " SELECT 'P1', s.id, 'first', ST_Buffer(s.geom, 3), %s, %s, 'active' FROM registry.site AS s",
        (T0, T0 + timedelta(seconds=25)),
    )
    states = []
    for i in range(1, 5):
        look(ground, T0 + timedelta(seconds=10 * i), [arc, fire_at(*FAR_FIRE)], tmp_path)
        rows = ground.execute("SELECT class, permit_state FROM analysis.event").fetchall()
        states.append({row["class"]: row["permit_state"] for row in rows})
    assert [s["welding_arc"] for s in states] == ["permitted", "permitted", "unpermitted", "unpermitted"]
    assert {s["fire"] for s in states} == {None}


# -- rights -------------------------------------------------------------------------------------------------------


def test_masked_and_measured_looks_need_no_more_than_the_watch_may(
    lamp: Connection, watch_url: str, tmp_path: Path
) -> None:
    (mask,) = list_masks(lamp, at=T0)
    decide_mask(lamp, mask["id"], "accept", days=1, by="test", at=T0)
    set_for(lamp, "measure", "smoke")
    with connect(watch_url, autocommit=True) as watch:
        watch.execute("SET ROLE geoapp_watch")
        smoke = fire_at(*FAR_FIRE, class_name="smoke")
        look(watch, T0 + timedelta(minutes=5), [fire_at(*FIRE), smoke, fire_at(*FAR_FIRE)], tmp_path)
        for i in range(1, 6):
            look(
                watch,
                T0 + timedelta(minutes=5, seconds=10 * i),
                [fire_at(*FAR_FIRE)] if i < 3 else [],
                tmp_path,
            )
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            watch.execute("UPDATE watch.mask SET state = 'ended', decided_at = now()")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            watch.execute("DELETE FROM watch.camera_mode")
    assert set_aside(lamp) == [("fire", "mask", 1), ("smoke", "measure", 1)]


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="share"):
        MasksConfig(share=0.4)
    with pytest.raises(ValueError, match="default"):
        ModesConfig(default="loud")  # type: ignore[arg-type]
    assert WatchConfig().modes.without_pose == "shadow"
    assert set(THRESHOLDS) == set(CLASSES)
