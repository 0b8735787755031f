"""What a scan leaves in the register: incidents, evidence, health, outbox, in one transaction behind a fence."""

import hashlib
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from shapely import wkt
from shapely.geometry import Point
from watching import (
    EAST,
    NORTH,
    SRID,
    T0,
    add_camera,
    claim_one,
    fire_at,
    gb_id,
    look,
    notices,
)

from detection.lease import claim_due, release, sync_cameras
from detection.store import LeaseLost
from detection.types import Reason
from geoapp.database.connection import connect

Connection = psycopg.Connection[dict[str, Any]]
FIRE = (12.0, 22.0)
FAR_FIRE = (30.0, 8.0)


@pytest.fixture(autouse=True)
def one_camera(ground: Connection) -> None:
    add_camera(ground, 1, "http://127.0.0.1:1/none.jpg")


def incidents(connection: Connection) -> list[dict[str, Any]]:
    return connection.execute(
        "SELECT *, ST_X(geom) AS x, ST_Y(geom) AS y, ST_AsText(ellipse) AS ring FROM watch.incident ORDER BY incident_no"
    ).fetchall()


def test_one_event_over_many_looks_is_one_incident(ground: Connection, tmp_path: Path) -> None:
    at = T0
    for i in range(12):
        east, north = FIRE
        look(ground, at, [fire_at(east + 0.2 * math.sin(i), north, score=0.6 + 0.02 * i)], tmp_path)
        at += timedelta(seconds=10)
    (incident,) = incidents(ground)
    assert incident["state"] == "open"
    assert incident["observation_count"] == 12
    assert incident["peak_score"] == pytest.approx(0.82)
    assert incident["opened_at"] == T0 + timedelta(seconds=10)
    assert [n["transition"] for n in notices(ground)] == ["opened"]
    assert notices(ground)[0]["review"] == "unreviewed"


def test_two_fires_far_apart_are_two_incidents(ground: Connection, tmp_path: Path) -> None:
    for i in range(4):
        look(ground, T0 + timedelta(seconds=10 * i), [fire_at(*FIRE), fire_at(*FAR_FIRE)], tmp_path)
    found = incidents(ground)
    assert [i["state"] for i in found] == ["open", "open"]
    assert [i["observation_count"] for i in found] == [4, 4]


def test_flame_and_its_smoke_are_one_event(ground: Connection, tmp_path: Path) -> None:
    smoke = fire_at(*FIRE, class_name="smoke", score=0.7)
    look(ground, T0, [smoke], tmp_path)
    look(ground, T0 + timedelta(seconds=2), [smoke], tmp_path)
    look(ground, T0 + timedelta(seconds=12), [smoke, fire_at(*FIRE)], tmp_path)
    (incident,) = incidents(ground)
    assert incident["class"] == "fire"
    assert [n["transition"] for n in notices(ground)] == ["opened", "upgraded"]


def test_a_single_flicker_opens_nothing(ground: Connection, tmp_path: Path) -> None:
    look(ground, T0, [fire_at(*FIRE)], tmp_path)
    for i in range(1, 5):
        look(ground, T0 + timedelta(seconds=2 * i), [], tmp_path)
    (incident,) = incidents(ground)
    assert incident["state"] == "closed"
    assert incident["opened_at"] is None
    assert notices(ground) == []


def test_a_first_hit_is_looked_at_again_soon(ground: Connection, tmp_path: Path) -> None:
    look(ground, T0, [fire_at(*FIRE)], tmp_path)
    due = ground.execute("SELECT next_due_at, burst_left FROM watch.scan_due").fetchone()
    assert due is not None
    assert due["burst_left"] == 4
    assert (due["next_due_at"] - T0).total_seconds() == pytest.approx(2.1, abs=0.01)
    claim = claim_due(ground, owner="test", batch=1, lease_s=30, at=due["next_due_at"])[0]
    look(ground, due["next_due_at"], [fire_at(*FIRE)], tmp_path, claim=claim)
    after = ground.execute("SELECT next_due_at, burst_left FROM watch.scan_due").fetchone()
    assert after is not None
    assert after["burst_left"] == 0, "open: no more bursts"
    assert (after["next_due_at"] - due["next_due_at"]).total_seconds() == pytest.approx(10, abs=0.2)


def test_not_looking_never_closes(ground: Connection, tmp_path: Path) -> None:
    for i in range(2):
        look(ground, T0 + timedelta(seconds=2 * i), [fire_at(*FIRE)], tmp_path)
    at = T0
    for _ in range(200):  # 33 hours without a picture
        at += timedelta(minutes=10)
        look(ground, at, Reason.TIMEOUT, tmp_path)
    (incident,) = incidents(ground)
    assert incident["state"] == "open"
    at += timedelta(minutes=10)
    look(ground, at, [], tmp_path)
    assert incidents(ground)[0]["state"] == "open", "one empty look after an outage is not enough"


def test_quiet_and_closed_by_empty_looks_and_reopened_between(ground: Connection, tmp_path: Path) -> None:
    at, states = T0, []
    script = [True] * 2 + [False] * 3 + [True] + [False] * 12
    for sees in script:
        look(ground, at, [fire_at(*FIRE)] if sees else [], tmp_path)
        states.append(incidents(ground)[0]["state"])
        at += timedelta(seconds=10)
    assert states[:6] == ["candidate", "open", "open", "open", "quiet", "open"]
    assert states[-1] == "closed"
    assert len(incidents(ground)) == 1
    assert incidents(ground)[0]["closed_at"] == at - timedelta(seconds=10)
    assert [n["transition"] for n in notices(ground)] == ["opened", "quiet", "reopened", "quiet", "closed"]


def test_review_by_people_is_not_touched(ground: Connection, tmp_path: Path) -> None:
    for i in range(2):
        look(ground, T0 + timedelta(seconds=10 * i), [fire_at(*FIRE)], tmp_path)
    ground.execute(
        "UPDATE watch.incident SET review = 'false', review_reason = '灯光', reviewed_at = %s, reviewed_by = 'w'",
        (T0,),
    )
    for i in range(2, 20):
        look(ground, T0 + timedelta(seconds=10 * i), [fire_at(*FIRE)] if i < 6 else [], tmp_path)
    (incident,) = incidents(ground)
    assert (incident["state"], incident["review"], incident["review_reason"], incident["reviewed_by"]) == (
        "closed",
        "false",
        "灯光",
        "w",
    )


def test_truth_lies_within_the_ellipse(ground: Connection, tmp_path: Path) -> None:
    look(ground, T0, [fire_at(*FIRE)], tmp_path)
    (incident,) = incidents(ground)
    truth = Point(EAST + 1000 + FIRE[0], NORTH + FIRE[1])
    assert incident["placing_method"] == "pose_ray"
    assert wkt.loads(incident["ring"]).contains(truth)
    assert math.hypot(incident["x"] - truth.x, incident["y"] - truth.y) < 0.5
    assert 0 < incident["semi_minor_m"] <= incident["semi_major_m"] < 10


def test_evidence_is_the_frame_as_it_came(ground: Connection, tmp_path: Path) -> None:
    for i in range(3):
        look(ground, T0 + timedelta(seconds=2 * i), [fire_at(*FIRE)], tmp_path)
    rows = ground.execute("SELECT * FROM watch.evidence ORDER BY captured_at").fetchall()
    assert len(rows) == 2, "the first hit and the opening; the third look shows nothing new"
    for row in rows:
        data = (tmp_path / row["path"]).read_bytes()
        assert row["path"].startswith("2026/11/22/")
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        assert (len(data), row["width_px"], row["height_px"]) == (row["bytes"], 640, 360)
        assert row["boxes"][0]["class"] == "fire"
    assert not list(tmp_path.rglob("*.part"))


def test_no_room_for_evidence_writes_nothing(ground: Connection, tmp_path: Path) -> None:
    blocked = tmp_path / "full"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(OSError, match="full"):
        look(ground, T0, [fire_at(*FIRE)], blocked)
    for table in ("observation", "incident", "evidence", "observation_hour", "camera_health"):
        count = ground.execute(f"SELECT count(*) AS n FROM watch.{table}").fetchone()
        assert count is not None
        assert count["n"] == 0, table


def test_zombie_writes_nothing(ground: Connection, tmp_path: Path) -> None:
    """A worker that hung past its lease comes back after another took the camera over."""
    zombie = claim_one(ground, T0)
    later = T0 + timedelta(seconds=31)
    (second,) = claim_due(ground, owner="other", batch=5, lease_s=30, at=later)
    assert second.token == zombie.token + 1
    look(ground, later, [fire_at(*FIRE)], tmp_path, claim=second)
    with pytest.raises(LeaseLost):
        look(ground, T0, [fire_at(*FIRE)], tmp_path, claim=zombie)
    count = ground.execute("SELECT count(*) AS n FROM watch.observation").fetchone()
    assert count is not None
    assert count["n"] == 1
    assert incidents(ground)[0]["observation_count"] == 1


def test_zombie_is_refused_even_when_nobody_finished_yet(ground: Connection, tmp_path: Path) -> None:
    zombie = claim_one(ground, T0)
    claim_due(ground, owner="other", batch=5, lease_s=30, at=T0 + timedelta(seconds=31))
    with pytest.raises(LeaseLost):
        look(ground, T0, [], tmp_path, claim=zombie)
    health = ground.execute("SELECT count(*) AS n FROM watch.camera_health").fetchone()
    assert health is not None
    assert health["n"] == 0


def test_a_repeated_result_is_harmless(ground: Connection, tmp_path: Path) -> None:
    for _ in range(3):
        look(ground, T0, [fire_at(*FIRE)], tmp_path)
    assert incidents(ground)[0]["observation_count"] == 1
    hour = ground.execute("SELECT observed, unobserved FROM watch.observation_hour").fetchone()
    assert hour == {"observed": 1, "unobserved": 0}


def test_two_owners_never_hold_one_camera(ground: Connection, watch_url: str) -> None:
    for number in range(2, 42):
        add_camera(ground, number, "http://127.0.0.1:1/none.jpg")
    sync_cameras(ground, at=T0)
    at = T0 + timedelta(seconds=30)
    with connect(watch_url, autocommit=True) as other, ground.transaction():
        mine = claim_due(ground, owner="a", batch=25, lease_s=30, at=at)
        theirs = claim_due(other, owner="b", batch=64, lease_s=30, at=at)
    assert (len(mine), len(theirs)) == (25, 16)
    assert not {c.camera.id for c in mine} & {c.camera.id for c in theirs}
    assert release(ground, owner="a") == 25


def test_health_is_told_when_it_changes_only(ground: Connection, tmp_path: Path) -> None:
    results = [[], [], Reason.TIMEOUT, Reason.TIMEOUT, Reason.HTTP_401, [], []]
    for i, result in enumerate(results):
        look(ground, T0 + timedelta(seconds=10 * i), result, tmp_path)  # type: ignore[arg-type]
    told = [(n["observed"], n["reason"]) for n in notices(ground, "camera_health")]
    assert told == [(False, "timeout"), (False, "http_401"), (True, None)]
    events = ground.execute("SELECT observed, reason FROM watch.camera_health_event ORDER BY id").fetchall()
    assert [(e["observed"], e["reason"]) for e in events] == told
    health = ground.execute("SELECT * FROM watch.camera_health").fetchone()
    assert health is not None
    assert health["observed"]
    assert health["since"] == T0 + timedelta(seconds=50)
    assert health["last_observed_at"] == T0 + timedelta(seconds=60)
    hour = ground.execute("SELECT observed, unobserved, reasons FROM watch.observation_hour").fetchone()
    assert hour == {"observed": 4, "unobserved": 3, "reasons": {"timeout": 2, "http_401": 1}}


def test_dead_camera_from_the_start_is_told(ground: Connection, tmp_path: Path) -> None:
    look(ground, T0, Reason.CONNECTION_REFUSED, tmp_path)
    assert notices(ground, "camera_health")[0]["reason"] == "connection_refused"
    row = ground.execute("SELECT last_observed_at FROM watch.camera_health").fetchone()
    assert row == {"last_observed_at": None}


def test_disconnected_camera_is_no_longer_due(ground: Connection) -> None:
    assert sync_cameras(ground, at=T0) == 1
    ground.execute("UPDATE registry.camera SET snapshot_url = NULL")
    assert sync_cameras(ground, at=T0) == 0
    assert claim_due(ground, owner="a", batch=5, lease_s=30, at=T0 + timedelta(minutes=1)) == []


def add_site(connection: Connection, x: float, y: float, half_m: float) -> tuple[int, int]:
    """A site with a key risk area of 2 half_m squared around x, y; ids of both."""
    row = connection.execute(
        """
        WITH site AS (
            INSERT INTO registry.site (name_zh, geom) VALUES ('测试厂', ST_SetSRID(ST_MakePoint(%(x)s, %(y)s), %(srid)s))
            RETURNING id
        )
        INSERT INTO registry.key_risk_area (code, site_id, name_zh, kind, level, geom)
        SELECT 'K1', id, '喷漆房', 'spray_booth', 'red', ST_MakeEnvelope(%(x)s - %(h)s, %(y)s - %(h)s, %(x)s + %(h)s, %(y)s + %(h)s, %(srid)s)
        FROM site RETURNING id, site_id
        """,
        {"x": x, "y": y, "h": half_m, "srid": SRID},
    ).fetchone()
    assert row is not None
    return row["site_id"], row["id"]


def test_key_risk_area_and_its_site_are_named_and_its_camera_goes_first(
    ground: Connection, tmp_path: Path
) -> None:
    site, area = add_site(ground, EAST + 1000 + FIRE[0], NORTH + FIRE[1], 3)
    ground.execute("UPDATE registry.camera SET sector = ST_Buffer(geom, 60)")
    look(ground, T0, [fire_at(*FIRE)], tmp_path)
    (incident,) = incidents(ground)
    assert (incident["site_id"], incident["key_risk_area_id"]) == (site, area)
    priority = ground.execute("SELECT is_priority FROM watch.scan_due").fetchone()
    assert priority == {"is_priority": True}


def test_overload_never_makes_a_key_risk_area_wait(ground: Connection) -> None:
    add_site(ground, EAST + 1000 + FIRE[0], NORTH + FIRE[1], 3)
    ground.execute("UPDATE registry.camera SET sector = ST_Buffer(geom, 60)")
    for number in range(2, 12):
        add_camera(ground, number, "http://127.0.0.1:1/none.jpg")
    sync_cameras(ground, at=T0)
    at = T0 + timedelta(minutes=5)
    ground.execute("UPDATE watch.scan_due SET next_due_at = %s - interval '1 s' WHERE is_priority", (at,))
    (claim,) = claim_due(ground, owner="a", batch=1, lease_s=30, at=at)
    assert claim.camera.gb_id == gb_id(1), "the others are five minutes late, and still it goes first"


@pytest.mark.parametrize(
    ("class_name", "minutes", "expected"),
    [("welding_arc", 5, True), ("sparks", 5, True), ("fire", 5, False), ("welding_arc", 90, False)],
)
def test_permit_of_that_place_and_time(
    ground: Connection, tmp_path: Path, class_name: str, minutes: int, expected: bool
) -> None:
    site, _ = add_site(ground, EAST + 1000 + FIRE[0], NORTH + FIRE[1], 3)
    ground.execute(
        """
        INSERT INTO registry.hot_work_permit (permit_no, site_id, level, geom, starts_at, ends_at, status)
        SELECT 'P1', %s, 'first', geom, %s, %s, 'active' FROM registry.key_risk_area
        """,
        (site, T0, T0 + timedelta(hours=1)),
    )
    look(ground, T0 + timedelta(minutes=minutes), [fire_at(*FIRE, class_name=class_name)], tmp_path)
    (incident,) = incidents(ground)
    assert (incident["permit_id"] is not None) == expected
    assert incident["review"] == "unreviewed", "a permit is a hint; the review is for people"


def test_work_that_goes_on_past_its_permit_is_not_under_it(ground: Connection, tmp_path: Path) -> None:
    site, _ = add_site(ground, EAST + 1000 + FIRE[0], NORTH + FIRE[1], 3)
    ground.execute(
        """
        INSERT INTO registry.hot_work_permit (permit_no, site_id, level, geom, starts_at, ends_at, status)
        SELECT 'P' || p.n, %s, 'first', a.geom, p.starts_at, p.ends_at, 'active'
        FROM registry.key_risk_area AS a,
            (VALUES (1, %s::timestamptz, %s::timestamptz), (2, %s, %s)) AS p (n, starts_at, ends_at)
        """,
        (
            site,
            T0,
            T0 + timedelta(seconds=15),
            T0 + timedelta(seconds=25),
            T0 + timedelta(seconds=35),
        ),
    )
    arc = fire_at(*FIRE, class_name="welding_arc")
    under = []
    for seconds in (5, 10, 15, 30, 40):
        look(ground, T0 + timedelta(seconds=seconds), [arc], tmp_path)
        (incident,) = incidents(ground)
        permit = ground.execute(
            "SELECT permit_no FROM registry.hot_work_permit WHERE id = %s", (incident["permit_id"],)
        ).fetchone()
        under.append(permit and permit["permit_no"])
    assert under == ["P1", "P1", None, "P2", None]
    # The permit of another place says nothing here, however valid.
    ground.execute(
        "UPDATE registry.hot_work_permit SET ends_at = %s, geom = ST_Translate(geom, 500, 0)",
        (T0 + timedelta(hours=1),),
    )
    look(ground, T0 + timedelta(seconds=50), [arc], tmp_path)
    (incident,) = incidents(ground)
    assert incident["permit_id"] is None
