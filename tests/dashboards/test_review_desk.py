"""The review desk behind its page: urgency that explains itself, time to verify, who has a lead in hand, assignments, handovers."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import psycopg
import pytest
from access.asking import WHO, AsWhoever, web_pool
from access.signed_in import caller
from clones import AS_OF
from fastapi import FastAPI
from fastapi.testclient import TestClient
from small_town import (
    TOWN_A,
    TOWN_B,
    add_area,
    add_camera,
    add_hazard,
    add_incident,
    add_person,
    add_site,
    box,
    small_town,
)

from dashboards import actions, review_desk_routes
from dashboards.board import Board
from dashboards.review_desk_lead import span
from geoapp.access.caller import Caller, Pool, acting
from geoapp.database.cluster import PrivateCluster

Connection = psycopg.Connection[dict[str, Any]]
NOW = datetime.now(UTC)
GONE = timedelta(days=400)


@dataclass
class Desk:
    """Officers of two towns at their desks, with a site, an area and a camera in each town."""

    owner: Connection
    web: TestClient
    pool: Pool
    callers: dict[str, Caller]
    sites: dict[str, int]
    cameras: dict[str, int]
    area: int

    def get(self, who: str, path: str) -> Any:
        return self.web.get(path, headers={WHO: who})

    def post(self, who: str, path: str, body: Any) -> Any:
        return self.web.post(path, json=body, headers={WHO: who})

    def incident(self, town: str = TOWN_A, seen: datetime = NOW, **options: Any) -> str:
        x = 600 if town == TOWN_A else 2600
        return str(
            add_incident(self.owner, self.cameras[town], self.sites[town], seen, x=x, y=100, **options)
        )

    def row(self, query: str, *values: Any) -> dict[str, Any]:
        found = self.owner.execute(query.encode(), values).fetchone()
        assert found is not None
        return found

    def as_(self, who: str, query: str, *values: Any) -> list[dict[str, Any]]:
        with acting(self.pool, self.callers[who]) as connection:
            return connection.execute(query.encode(), values).fetchall()


@pytest.fixture(scope="module")
def running(cluster: PrivateCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with small_town(cluster, AS_OF) as owner:
        sites = {TOWN_A: add_site(owner, 600, 100), TOWN_B: add_site(owner, 2600, 100)}
        sector = box(550, 50, 200, 200)
        cameras = {TOWN_A: add_camera(owner, 600, 100, sector), TOWN_B: add_camera(owner, 2600, 100, None)}
        area = add_area(owner, sites[TOWN_A], 590, 90, 40, 40)
        who = [
            caller(owner, "officer", "duty_officer", areas=[TOWN_A]),
            caller(owner, "second", "duty_officer", areas=[TOWN_A]),
            caller(owner, "officer_b", "duty_officer", areas=[TOWN_B]),
            caller(owner, "inspector", "inspector", areas=[TOWN_A]),
            caller(owner, "committee", "committee"),
            caller(owner, "chief", "duty_officer"),
            caller(owner, "analyst", "analyst"),
            caller(owner, "firm", "enterprise", sites=[sites[TOWN_A]]),
        ]
        info = owner.info
        url = f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
        with web_pool(url, tmp_path_factory.mktemp("home")) as pool:
            app = FastAPI()
            app.include_router(review_desk_routes.router(Board(pool)))
            app.include_router(actions.router(pool))
            with TestClient(AsWhoever(app, *who)) as client:
                yield Desk(owner, client, pool, {w.login: w for w in who}, sites, cameras, area)


@pytest.fixture
def desk(running: Desk) -> Desk:
    """The desk with an empty queue."""
    for table in (
        "incident_hold",
        "incident_assignment",
        "handover_receipt",
        "handover",
        "evidence",
        "incident_observation",
        "observation",
        "deletion",
        "outbox",
    ):
        running.owner.execute(f"DELETE FROM watch.{table}".encode())
    running.owner.execute("DELETE FROM watch.incident")
    # Cameras that a test put up.
    running.owner.execute(
        "DELETE FROM registry.camera WHERE id <> ALL (%s)", (list(running.cameras.values()),)
    )
    return running


# --- urgency -----------------------------------------------------------------------------------------------------------


def test_urgency_is_the_sum_of_its_reasons_and_is_worked_out_by_hand(desk: Desk) -> None:
    fire = desk.incident(class_="fire", score=0.5, seen=NOW - timedelta(minutes=30))
    permit = desk.row(
        "INSERT INTO registry.hot_work_permit (permit_no, site_id, level, geom, starts_at, ends_at, status)"
        " VALUES (%s, %s, 'second', ST_GeomFromText(%s, 4549), %s, %s, 'active') RETURNING id",
        f"DH-{uuid.uuid4().hex[:6]}", desk.sites[TOWN_A], box(550, 50, 100, 100), NOW - timedelta(hours=2), NOW + timedelta(hours=2),
    )  # fmt: skip
    bare = desk.incident(class_="welding_arc", score=0.5)
    covered = desk.incident(class_="sparks", score=0.5)
    desk.owner.execute("UPDATE watch.incident SET permit_id = %s WHERE id = %s", (permit["id"], covered))
    in_area = desk.incident(class_="smoke", score=1.0, state="quiet", seen=NOW - timedelta(hours=5))
    desk.owner.execute("UPDATE watch.incident SET key_risk_area_id = %s WHERE id = %s", (desk.area, in_area))
    judged = desk.incident(class_="fire", score=0.5, review="confirmed", reviewed_at=NOW)
    over = desk.incident(class_="fire", review="false", state="closed", closed_at=NOW, reviewed_at=NOW)
    rows = {
        str(r["incident_id"]): r
        for r in desk.as_("officer", "SELECT * FROM analysis.review_queue_at(%s)", NOW)
    }
    assert over not in rows
    by_hand = {
        fire: 100 + 50 + 10 + 10 + 10,  # unreviewed, fire, still goes on, score, half an hour of an hour
        bare: 100 + 15 + 30 + 10 + 10,
        covered: 100 + 15 + 10 + 10,
        in_area: 100 + 40 + 20 + 20 + 20,  # waiting longer than an hour adds no more
        judged: 50 + 10 + 10,
    }
    assert {key: pytest.approx(value, abs=0.01) for key, value in by_hand.items()} == {
        k: r["urgency"] for k, r in rows.items()
    }
    for row in rows.values():
        assert sum(x["points"] for x in row["reasons"]) == pytest.approx(row["urgency"], abs=0.3)
        assert all(x["zh"] and x["en"] for x in row["reasons"])
    assert [r["is_unpermitted"] for r in (rows[bare], rows[covered], rows[fire])] == [True, False, False]
    told = desk.get("officer", "/review/queue.json?lang=en").json()
    assert [r["id"] for r in told["rows"]] == [in_area, fire, bare, covered, judged]
    assert (told["in_all"], told["unreviewed"]) == (5, 4)
    assert "no permit" in told["rows"][2]["marks"]


def test_a_constant_that_is_changed_moves_the_queue(desk: Desk) -> None:
    fire, arc = desk.incident(class_="fire"), desk.incident(class_="welding_arc")
    order = "SELECT incident_id::text AS id FROM analysis.review_queue"
    assert [r["id"] for r in desk.as_("analyst", order)] == [fire, arc]
    desk.owner.execute("UPDATE analysis.parameter SET value = 60 WHERE name = 'review_points_unpermitted'")
    try:
        assert [r["id"] for r in desk.as_("analyst", order)] == [arc, fire]
    finally:
        desk.owner.execute(
            "UPDATE analysis.parameter SET value = 30 WHERE name = 'review_points_unpermitted'"
        )


def test_who_sees_which_part_of_the_queue(desk: Desk) -> None:
    a, b = desk.incident(TOWN_A), desk.incident(TOWN_B)
    seen = {"officer": {a}, "inspector": {a}, "officer_b": {b}, "committee": {a, b}, "chief": {a, b}}
    for who, ids in seen.items():
        assert {r["id"] for r in desk.get(who, "/review/queue.json").json()["rows"]} == ids, who
        for incident in (a, b):
            answer = desk.get(who, f"/review/lead/{incident}.json")
            assert answer.status_code == (200 if incident in ids else 404), (who, answer.text)
    for who in ("firm", "analyst"):
        for path in ("queue.json", f"lead/{a}.json", "shift.json", f"lead/{a}/recipients.json"):
            assert desk.get(who, f"/review/{path}").status_code == 403, (who, path)
    for who in ("inspector", "committee", "analyst", "firm"):
        assert desk.post(who, f"/incidents/{a}/hold", {}).status_code == 403, who
        assert desk.post(who, f"/incidents/{a}/assign", {"department_code": "YJ"}).status_code == 403, who
        body = {"note": "x", "shift_from": (NOW - timedelta(hours=8)).isoformat()}
        assert desk.post(who, "/review/handovers", body).status_code == 403, who
    assert desk.post("officer_b", f"/incidents/{a}/hold", {}).status_code == 404
    assert desk.post("officer_b", f"/incidents/{a}/assign", {"department_code": "YJ"}).status_code == 404


def test_an_empty_queue_says_how_many_cameras_look(desk: Desk) -> None:
    told = desk.get("officer", "/review/queue.json").json()
    assert (told["rows"], told["in_all"], told["unreviewed"], told["longest"]) == ([], 0, 0, "—")
    assert told["cameras"]["cameras_total"] == "1"


def test_of_more_than_the_page_takes_the_most_urgent_are_shown_and_all_are_counted(desk: Desk) -> None:
    desk.owner.execute(
        "INSERT INTO watch.incident (class, camera_id, state, first_seen_at, last_seen_at, opened_at, peak_score, model_hash,"
        " box, geom, placing_method, town_code) SELECT 'smoke', c.id, 'open', %s, %s, %s, 0.2 + n / 1000.0, 'x', '{0,0,9,9}', c.geom,"
        " 'camera_point', %s FROM registry.camera AS c, generate_series(1, 520) AS n WHERE c.id = %s",
        (NOW, NOW, NOW, TOWN_A, desk.cameras[TOWN_A]),
    )
    told = desk.get("officer", "/review/queue.json").json()
    assert (len(told["rows"]), told["in_all"], told["unreviewed"]) == (500, 520, 520)
    assert told["rows"][0]["score"] == "0.72"
    urgencies = [r["urgency"] for r in told["rows"]]
    assert urgencies == sorted(urgencies, reverse=True)


# --- time to verify -----------------------------------------------------------------------------------------------------


def test_time_to_verify_agrees_with_numpy(desk: Desk) -> None:
    rng = np.random.default_rng(15)
    waits: dict[tuple[str, str], list[float]] = {}
    for kind, officer in (("fire", "officer"), ("fire", "second"), ("smoke", "officer")):
        for wait in rng.gamma(2, 200, 9):
            seen = NOW - timedelta(days=2)
            made = desk.incident(
                class_=kind, seen=seen, review="confirmed", reviewed_at=seen + timedelta(seconds=float(wait))
            )
            desk.owner.execute("UPDATE watch.incident SET reviewed_by = %s WHERE id = %s", (officer, made))
            waits.setdefault((kind, officer), []).append(float(wait))
    desk.incident(class_="fire")  # not reviewed: no time
    desk.incident(
        seen=NOW, review="confirmed", reviewed_at=NOW - timedelta(hours=1)
    )  # said before it was opened: no time either
    rows = {
        (r["class"], r["reviewed_by"]): r for r in desk.as_("analyst", "SELECT * FROM analysis.review_time")
    }
    every = [w for group in waits.values() for w in group]
    wanted = {
        (None, None): every,
        ("fire", None): waits["fire", "officer"] + waits["fire", "second"],
        (None, "officer"): waits["fire", "officer"] + waits["smoke", "officer"],
        ("smoke", "officer"): waits["smoke", "officer"],
    }
    assert len(rows) == 1 + 2 + 2 + 3
    for key, values in wanted.items():
        assert rows[key]["reviewed"] == len(values)
        assert rows[key]["median_s"] == pytest.approx(np.percentile(values, 50), abs=0.01)
        assert rows[key]["p90_s"] == pytest.approx(np.percentile(values, 90), abs=0.01)
    times = desk.get("committee", "/review/queue.json?lang=en").json()["times"]
    assert next(x for x in times if x["kind"] == "all")["median"] == span(
        float(np.percentile(every, 50)), "en"
    )


def test_a_review_at_the_desk_is_measured(desk: Desk) -> None:
    incident = desk.incident(seen=datetime.now(UTC) - timedelta(minutes=7))
    said = desk.post(
        "officer", f"/incidents/{incident}/review", {"review": "false", "cause": "steam", "was": "unreviewed"}
    )
    assert said.status_code == 200
    assert said.json()["false_cause"] == "steam"
    row = desk.as_("analyst", "SELECT * FROM analysis.incident_review_time WHERE incident_id = %s", incident)[
        0
    ]
    assert row["reviewed_by"] == "officer"
    assert 420 <= row["seconds"] < 440


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (None, "—", "—"),
        (0, "0 秒", "0 s"),
        (89, "89 秒", "89 s"),
        (90, "2 分钟", "2 min"),
        (7200, "2 小时", "2 h"),
        (400000, "5 天", "5 d"),
    ],
)
def test_lengths_of_time_in_words(seconds: float | None, zh: str, en: str) -> None:
    assert (span(seconds, "zh"), span(seconds, "en")) == (zh, en)


# --- two officers -------------------------------------------------------------------------------------------------------


def test_a_lead_in_hand_is_shown_kept_and_let_go_of(desk: Desk) -> None:
    incident = desk.incident()
    told = "SELECT count(*) AS n FROM watch.outbox WHERE topic = 'review'"
    assert desk.post("officer", f"/incidents/{incident}/hold", {}).status_code == 200
    assert (
        desk.post("officer", f"/incidents/{incident}/hold", {}).status_code == 200
    )  # renewed, and nobody told twice
    assert desk.row(told)["n"] == 1
    second = desk.get("second", "/review/queue.json").json()["rows"][0]
    assert (second["held"], second["is_mine"]) == ("officer 测试", False)
    assert desk.get("officer", f"/review/lead/{incident}.json").json()["is_mine"] is True
    refused = desk.post("second", f"/incidents/{incident}/hold", {})
    assert (refused.status_code, refused.json()["error"]) == (409, review_desk_routes.TAKEN)
    desk.post("second", f"/incidents/{incident}/hold", {"release": True})  # not theirs to let go of
    assert desk.row("SELECT login FROM watch.incident_hold")["login"] == "officer"
    desk.owner.execute("UPDATE watch.incident_hold SET held_until = now() - interval '1 second'")
    desk.owner.execute(
        "UPDATE watch.incident_hold SET db_role = %s, login = 'officer'", (desk.callers["officer"].db_role,)
    )
    assert (
        desk.post("second", f"/incidents/{incident}/hold", {}).status_code == 200
    )  # its page has gone: free again
    assert desk.row("SELECT login FROM watch.incident_hold")["login"] == "second"
    assert desk.post("second", f"/incidents/{incident}/hold", {"release": True}).json() == {"held": False}
    assert desk.get("officer", "/review/queue.json").json()["rows"][0]["held"] == ""


def test_nobody_takes_a_hold_by_sql_either(desk: Desk) -> None:
    incident = desk.incident()
    desk.post("officer", f"/incidents/{incident}/hold", {})
    changed = "UPDATE watch.incident_hold SET held_until = now() RETURNING incident_id"
    assert desk.as_("second", changed) == []
    assert desk.as_("second", "DELETE FROM watch.incident_hold RETURNING incident_id") == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        desk.as_("second", "UPDATE watch.incident_hold SET login = 'officer'")
    assert len(desk.as_("officer", changed)) == 1


def test_the_second_verdict_is_refused_and_says_whose_the_first_was(desk: Desk) -> None:
    incident = desk.incident(class_="fire")
    path = f"/incidents/{incident}/review"
    assert desk.post("officer", path, {"review": "confirmed", "was": "unreviewed"}).status_code == 200
    late = desk.post("second", path, {"review": "false", "cause": "steam", "was": "unreviewed"})
    assert late.status_code == 409
    lead = desk.get("second", f"/review/lead/{incident}.json?lang=en").json()
    assert lead["reviewed"].startswith("officer said “Confirmed” at")
    assert desk.row("SELECT review, false_cause FROM watch.incident WHERE id = %s", incident) == {
        "review": "confirmed",
        "false_cause": None,
    }
    # Knowingly it can be overruled: what it was is what was shown.
    again = desk.post(
        "second", path, {"review": "false", "cause": "steam", "reason": "冷却塔", "was": "confirmed"}
    )
    assert again.status_code == 200
    lead = desk.get("officer", f"/review/lead/{incident}.json?lang=zh").json()
    assert lead["reviewed"].endswith("核实为「误报」：蒸汽 · 冷却塔")


@pytest.mark.parametrize(
    "body",
    [
        {"review": "false"},
        {"review": "false", "cause": "other"},
        {"review": "false", "cause": "boredom"},
        {"review": "confirmed", "cause": "steam"},
    ],
)
def test_a_verdict_that_makes_no_sense_is_refused(desk: Desk, body: dict[str, str]) -> None:
    incident = desk.incident()
    assert desk.post("officer", f"/incidents/{incident}/review", body).status_code == 422
    assert desk.row("SELECT review FROM watch.incident WHERE id = %s", incident)["review"] == "unreviewed"


# --- assignments --------------------------------------------------------------------------------------------------------


def test_what_was_assigned_is_on_record_and_shown(desk: Desk) -> None:
    incident = desk.incident()
    code = desk.row("SELECT min(code) AS code FROM duty.department")["code"]
    person = add_person(desk.owner, "李到场")
    first = desk.post(
        "officer", f"/incidents/{incident}/assign", {"department_code": code, "note": "请到场核查"}
    )
    assert first.status_code == 201, first.text
    assert first.json()["assigned_by"] == "officer"
    assert desk.post("officer", f"/incidents/{incident}/assign", {"person_id": person}).status_code == 201
    audit = desk.owner.execute(
        "SELECT login, action, reason, town_code, after FROM access.audit WHERE subject = 'watch.incident_assignment' ORDER BY id DESC LIMIT 2"
    ).fetchall()
    assert [(a["login"], a["action"], a["town_code"]) for a in audit] == [("officer", "insert", TOWN_A)] * 2
    assert audit[1]["reason"] == "请到场核查"
    assert audit[1]["after"]["department_code"] == code
    assert (
        desk.row(
            "SELECT count(*) AS n FROM watch.outbox WHERE topic = 'review' AND incident_id = %s", incident
        )["n"]
        == 2
    )
    row = desk.get("committee", "/review/queue.json").json()["rows"][0]
    assert row["given"] == "李到场"
    given = next(
        s
        for s in desk.get("inspector", f"/review/lead/{incident}.json").json()["sections"]
        if s["key"] == "given"
    )
    assert given["rows"][0]["value"] == "李到场"
    assert "请到场核查" in given["rows"][1]["small"]


def test_an_assignment_to_nobody_known_is_refused(desk: Desk) -> None:
    incident = desk.incident()
    path = f"/incidents/{incident}/assign"
    elsewhere = add_person(desk.owner, "别镇人")
    desk.owner.execute("UPDATE duty.person SET unit_code = %s WHERE id = %s", (TOWN_B, elsewhere))
    for body in (
        {},
        {"note": "x"},
        {"department_code": "NONE"},
        {"person_id": 10**9},
        {"person_id": elsewhere},
        {"department_code": "YJ", "who": 1},
    ):
        assert desk.post("officer", path, body).status_code == 422, body
    assert desk.row("SELECT count(*) AS n FROM watch.incident_assignment")["n"] == 0
    assert (
        desk.post("officer", f"/incidents/{uuid.uuid4()}/assign", {"department_code": "YJ"}).status_code
        == 404
    )
    known = desk.get("officer", f"/review/lead/{incident}/recipients.json").json()["recipients"]
    assert "别镇人" not in {r["name_zh"] for r in known}
    assert {"department", "person"} == {r["kind"] for r in known}


# --- one lead -----------------------------------------------------------------------------------------------------------


def test_a_lead_says_what_is_known_and_what_is_not(desk: Desk) -> None:
    incident = desk.incident(class_="welding_arc")
    add_hazard(desk.owner, desk.sites[TOWN_A], "major", NOW, deadline=NOW - timedelta(days=1))
    lead = desk.get("officer", f"/review/lead/{incident}.json?lang=en").json()
    parts = {s["key"]: s for s in lead["sections"]}
    assert parts["permits"]["tone"] == "bad"
    assert "unpermitted" in parts["permits"]["empty"]
    assert parts["hazards"]["rows"][0]["tone"] == "bad"
    assert "overdue" in parts["hazards"]["rows"][0]["small"]
    assert parts["cameras"]["rows"][0]["name"] == "Saw it"
    assert (
        "not looked" in parts["cameras"]["rows"][0]["small"].lower()
        or "never" in parts["cameras"]["rows"][0]["small"]
    )
    assert any(r["name"] == "Grid worker" for r in parts["answering"]["rows"])
    assert (lead["frames"], lead["newest"], lead["looks"]) == ([], None, [])
    other = desk.get("officer_b", f"/review/lead/{desk.incident(TOWN_B)}.json?lang=en").json()
    assert any("no pose" in note for note in other["notes"])


def test_a_permit_is_shown_with_whether_it_holds_there_and_then(desk: Desk) -> None:
    at = NOW - timedelta(hours=30)
    incident = desk.incident(class_="sparks", seen=at)
    for no, starts, ends in (("HOLDS", -1, 1), ("EARLY", -4, -2)):
        desk.owner.execute(
            "INSERT INTO registry.hot_work_permit (permit_no, site_id, level, geom, starts_at, ends_at, status, watcher)"
            " VALUES (%s, %s, 'first', ST_GeomFromText(%s, 4549), %s, %s, 'active', '王监火')",
            (
                f"{no}-{uuid.uuid4().hex[:5]}",
                desk.sites[TOWN_A],
                box(500, 0, 200, 200),
                at + timedelta(hours=starts),
                at + timedelta(hours=ends),
            ),
        )
    rows = next(
        s
        for s in desk.get("officer", f"/review/lead/{incident}.json?lang=en").json()["sections"]
        if s["key"] == "permits"
    )["rows"]
    tones = {r["name"].partition("-")[0]: r["tone"] for r in rows}
    assert tones == {"HOLDS": "good", "EARLY": "bad"}
    assert rows[0]["small"] == "fire watch 王监火"


def test_frames_come_in_the_order_of_time_with_those_of_the_same_camera_around(desk: Desk) -> None:
    lead, before = (
        desk.incident(class_="fire"),
        desk.incident(class_="smoke", seen=NOW - timedelta(minutes=12)),
    )
    long_ago = desk.incident(class_="smoke", seen=NOW - GONE)
    for incident, minutes in ((lead, 0), (lead, 1), (before, -12), (long_ago, -600)):
        desk.owner.execute(
            "INSERT INTO watch.evidence (incident_id, observation_id, sha256, path, bytes, width_px, height_px, captured_at, received_at, boxes)"
            " VALUES (%s, gen_random_uuid(), repeat('0', 64), 'x.jpg', 1, 640, 360, %s, %s, %s)",
            (
                incident,
                NOW + timedelta(minutes=minutes),
                NOW,
                '[{"class": "fire", "score": 0.9, "box": [64, 36, 128, 72]}]',
            ),
        )
    for seconds, observed in ((-60, True), (-30, False), (0, True)):
        desk.owner.execute(
            "INSERT INTO watch.observation (id, camera_id, captured_at, received_at, observed, reason, boxes)"
            " VALUES (gen_random_uuid(), %s, %s, %s, %s, %s, %s)",
            (
                desk.cameras[TOWN_A],
                NOW + timedelta(seconds=seconds),
                NOW,
                observed,
                None if observed else "timeout",
                "[1]" if seconds == 0 else "[]",
            ),
        )
    told = desk.get("officer", f"/review/lead/{lead}.json?lang=en").json()
    assert [f["is_own"] for f in told["frames"]] == [False, True, True]
    assert told["newest"] == told["frames"][2]["id"]
    assert told["frames"][1]["boxes"][0] | {} == {
        "name": "fire", "score": 0.9, "left": 10.0, "top": 10.0, "width": 10.0, "height": 10.0, "label": "Fire 0.90",
    }  # fmt: skip
    (only,) = told["looks"]
    assert [x["tone"] for x in only["looks"]] == ["clear", "blind", "hit"]
    assert "timed out" in only["looks"][1]["words"]
    assert {f["camera"] for f in told["frames"]} == {""}, "one camera needs no name"


def add_frame(desk: Desk, incident: str, camera: int, at: datetime, not_kept: str | None = None) -> None:
    """A frame of an incident, taken by a camera that looked just then."""
    look = uuid.uuid4()
    desk.owner.execute(
        "INSERT INTO watch.incident_observation (incident_id, observation_id, score, camera_id, captured_at)"
        " VALUES (%s, %s, 0.8, %s, %s)",
        (incident, look, camera, at),
    )
    desk.owner.execute(
        "INSERT INTO watch.evidence (incident_id, observation_id, sha256, path, bytes, width_px, height_px, captured_at,"
        " received_at, boxes, not_kept) VALUES (%s, %s, %s, %s, 1, 640, 360, %s, %s, '[]', %s)",
        (incident, look, *((None, None) if not_kept else ("0" * 64, "x.jpg")), at, at, not_kept),
    )


def seen_by_another(desk: Desk, incident: str, camera: int) -> None:
    desk.owner.execute(
        "INSERT INTO watch.incident_camera (incident_id, camera_id, box, looks, looked_at, first_seen_at, last_seen_at, peak_score)"
        " VALUES (%s, %s, '{0,0,10,10}', '{true}', %s, %s, %s, 0.85)",
        (incident, camera, [NOW], NOW + timedelta(seconds=5), NOW + timedelta(seconds=65)),
    )


def test_each_camera_that_saw_a_lead_is_shown_with_its_frames_and_looks(desk: Desk) -> None:
    first = desk.cameras[TOWN_A]
    second = add_camera(desk.owner, 650, 120, None)
    desk.owner.execute("UPDATE registry.camera SET name_zh = '东门机' WHERE id = %s", (second,))
    lead = desk.incident(class_="fire")
    seen_by_another(desk, lead, second)
    # Ten frames of the first camera must not push out the only one of the second.
    for seconds in range(10):
        add_frame(desk, lead, first, NOW + timedelta(seconds=10 + seconds))
    add_frame(desk, lead, second, NOW + timedelta(seconds=5))
    # What the second camera saw before, as another lead, is shown too; what a third saw of that lead is not.
    before = desk.incident(class_="smoke", seen=NOW - timedelta(minutes=5))
    seen_by_another(desk, before, second)
    for camera in (second, desk.cameras[TOWN_B]):
        add_frame(desk, before, camera, NOW - timedelta(minutes=5))
    for camera in (first, second):
        desk.owner.execute(
            "INSERT INTO watch.observation (id, camera_id, captured_at, received_at, observed, reason, boxes)"
            " VALUES (gen_random_uuid(), %s, %s, %s, %s, %s, '[]')",
            (camera, NOW, NOW, camera == first, None if camera == first else "timeout"),
        )
    told = desk.get("officer", f"/review/lead/{lead}.json?lang=zh").json()
    own = [f for f in told["frames"] if f["is_own"]]
    assert own[0]["camera"] == "东门机", "the earliest of all"
    assert [f["camera"] for f in own].count("东门机") == 1
    assert len(own) == 1 + 7 + 1, "the newest seven, and the first one of either camera"
    assert [f["camera"] for f in told["frames"] if not f["is_own"]] == ["东门机"]
    by_camera = {x["camera"]: [look["tone"] for look in x["looks"]] for x in told["looks"]}
    assert by_camera["东门机"] == ["blind"]
    assert len(by_camera) == 2
    cameras = next(s for s in told["sections"] if s["key"] == "cameras")["rows"]
    assert [r["name"] for r in cameras] == ["发现者", "发现者"]
    assert cameras[1]["value"] == "东门机"
    assert "0.85" in cameras[1]["small"]
    assert [note for note in told["notes"] if "没有姿态" in note and "东门机" in note]


def test_a_camera_of_another_area_that_saw_a_lead_is_not_named_and_not_left_out(desk: Desk) -> None:
    lead = desk.incident(class_="fire")
    seen_by_another(desk, lead, desk.cameras[TOWN_B])
    add_frame(desk, lead, desk.cameras[TOWN_B], NOW)
    add_frame(desk, lead, desk.cameras[TOWN_A], NOW + timedelta(seconds=1))
    told = desk.get("officer", f"/review/lead/{lead}.json?lang=en").json()
    rows = next(s for s in told["sections"] if s["key"] == "cameras")["rows"]
    assert [(r["value"], r["link"]) for r in rows[1:]] == [("A camera outside your area", "")]
    assert told["frames"][0]["camera"] == "A camera outside your area"
    whole = desk.get("committee", f"/review/lead/{lead}.json?lang=en").json()
    assert "A camera outside your area" not in str(whole)


def test_a_frame_that_was_not_kept_has_its_place_and_its_reason(desk: Desk) -> None:
    lead = desk.incident(class_="fire")
    add_frame(desk, lead, desk.cameras[TOWN_A], NOW)
    for seconds in range(1, 10):
        add_frame(desk, lead, desk.cameras[TOWN_A], NOW + timedelta(seconds=seconds), "disk_full")
    told = desk.get("officer", f"/review/lead/{lead}.json?lang=en").json()
    assert [bool(f["not_kept"]) for f in told["frames"]] == [False] + [True] * 7
    assert "disk was full" in told["frames"][-1]["not_kept"]
    assert told["newest"] == told["frames"][0]["id"], "the desk opens with a frame that can be seen"
    zh = desk.get("officer", f"/review/lead/{lead}.json").json()
    assert "存储空间已满" in zh["frames"][-1]["not_kept"]


def test_a_lead_whose_frames_were_deleted_does_not_say_that_there_were_none(desk: Desk) -> None:
    lead = desk.incident(class_="fire")
    assert "No frame was kept" in desk.get("officer", f"/review/lead/{lead}.json?lang=en").json()["no_frames"]
    desk.owner.execute(
        "INSERT INTO watch.deletion (evidence_id, incident_id, incident_no, town_code, sha256, path, bytes, captured_at, review,"
        " class, days, basis_zh, basis_en, begun_at, deleted_at, was_missing)"
        " SELECT gen_random_uuid(), i.id, i.incident_no, i.town_code, repeat('0', 64), 'x.jpg', 1, i.first_seen_at, 'unreviewed',"
        " i.class, 180, '依据', 'basis', now(), now(), false FROM watch.incident AS i WHERE i.id = %s",
        (lead,),
    )
    assert "deleted" in desk.get("officer", f"/review/lead/{lead}.json?lang=en").json()["no_frames"]


# --- handover -----------------------------------------------------------------------------------------------------------


def test_the_figures_of_a_shift_are_counted_by_hand_and_stay_as_they_were(desk: Desk) -> None:
    now = datetime.now(UTC)
    desk.incident(seen=now - timedelta(hours=1))
    desk.incident(seen=now - timedelta(hours=2), review="confirmed", reviewed_at=now - timedelta(hours=1))
    desk.incident(
        seen=now - timedelta(hours=30),
        review="false",
        reviewed_at=now - timedelta(hours=2),
        state="closed",
        closed_at=now - timedelta(hours=2),
    )
    desk.incident(
        seen=now - timedelta(hours=31),
        review="permitted",
        reviewed_at=now - timedelta(hours=29),
        state="closed",
        closed_at=now - timedelta(hours=28),
    )
    desk.incident(TOWN_B, seen=now - timedelta(hours=1))
    body = {"note": "喷漆房风机停运，请重点看 12 号机", "shift_from": (now - timedelta(hours=8)).isoformat()}
    made = desk.post("officer", "/review/handovers", body)
    assert made.status_code == 201, made.text
    figures = made.json()["figures"]
    assert figures == {
        "opened": 2, "confirmed": 1, "false_alarms": 1, "permitted": 0, "still_open": 2, "unreviewed": 1,
        "blind_cameras": 1, "connected_cameras": 1,
    }  # fmt: skip
    desk.incident(seen=now - timedelta(hours=1))
    kept = desk.get("second", "/review/shift.json?lang=en").json()
    assert kept["unread"] == 1
    note = kept["handovers"][0]
    assert (note["who"], note["note"]) == ("officer 测试", body["note"])
    assert {f["key"]: f["value"] for f in note["figures"]}["opened"] == "2"
    for who, sees in (("officer_b", 0), ("committee", 1), ("inspector", 1)):
        assert len(desk.get(who, "/review/shift.json").json()["handovers"]) == sees, who


def test_a_handover_is_received_once_by_each_and_not_by_its_writer(desk: Desk) -> None:
    body = {"note": "一切正常", "shift_from": (datetime.now(UTC) - timedelta(hours=8)).isoformat()}
    made = desk.post("officer", "/review/handovers", body).json()["id"]
    path = f"/review/handovers/{made}/receipt"
    assert desk.post("officer", path, {}).status_code == 404
    assert desk.post("officer_b", path, {}).status_code == 404  # another town's
    assert desk.post("inspector", path, {}).status_code == 403
    assert desk.post("second", path, {}).status_code == 201
    assert desk.post("second", path, {}).status_code == 200
    told = desk.get("officer", "/review/shift.json").json()
    assert told["unread"] == 0
    assert len(told["handovers"][0]["receipts"]) == 1
    assert told["handovers"][0]["receipts"][0].startswith("second 测试")
    audit = desk.row(
        "SELECT login, after FROM access.audit WHERE subject = 'watch.handover_receipt' ORDER BY id DESC LIMIT 1"
    )
    assert audit["login"] == "second"


@pytest.mark.parametrize(
    ("note", "hours", "status"),
    [
        ("  ", 8, 422),
        ("x" * 4001, 8, 422),
        ("a\x00b", 8, 422),
        ("晚点写", -1, 422),
        ("太久", 24 * 8, 422),
        ("行", 8, 201),
    ],
)
def test_a_handover_that_cannot_be_is_refused(desk: Desk, note: str, hours: int, status: int) -> None:
    body = {"note": note, "shift_from": (datetime.now(UTC) - timedelta(hours=hours)).isoformat()}
    assert desk.post("officer", "/review/handovers", body).status_code == status


def test_what_changed_is_since_the_handover_received_or_the_last_session(desk: Desk) -> None:
    now = datetime.now(UTC)
    start = "SELECT since, basis FROM analysis.shift_start_at(%s)"
    assert desk.as_("chief", start, now)[0] == {"since": now - timedelta(hours=24), "basis": "day"}
    account = desk.callers["chief"].account_id
    ended = now - timedelta(hours=9)
    desk.owner.execute(
        "INSERT INTO access.session (id, token_hash, account_id, method, created_at, last_used_at, idle_until, expires_at, ended_at, ended_why)"
        " SELECT gen_random_uuid(), sha256(random()::text::bytea), %s, 'password', %s, %s, %s, %s, %s, 'signed_out'",
        (
            account,
            ended - timedelta(hours=8),
            ended,
            ended + timedelta(hours=1),
            ended + timedelta(hours=4),
            ended,
        ),
    )
    assert desk.as_("chief", start, now)[0] == {"since": ended, "basis": "session"}
    body = {"note": "交班", "shift_from": (now - timedelta(hours=8)).isoformat()}
    made = desk.post("officer", "/review/handovers", body).json()["id"]
    assert desk.post("chief", f"/review/handovers/{made}/receipt", {}).status_code == 201
    later = datetime.now(UTC)
    row = desk.as_("chief", start, later)[0]
    assert row["basis"] == "handover"
    assert now < row["since"] <= later


def test_what_changed_names_leads_and_cameras_and_no_note_is_a_change(desk: Desk) -> None:
    now = datetime.now(UTC)
    opened = desk.incident(seen=now - timedelta(minutes=50))
    shut = desk.incident(
        seen=now - GONE,
        review="false",
        reviewed_at=now - GONE,
        state="closed",
        closed_at=now - timedelta(minutes=40),
    )
    camera = desk.cameras[TOWN_A]
    desk.owner.execute("DELETE FROM watch.camera_health_event")
    for minutes, observed, reason in (
        (90, True, None),
        (30, False, "frozen"),
        (25, False, "black"),
        (10, True, None),
        (5, True, None),
    ):
        desk.owner.execute(
            "INSERT INTO watch.camera_health_event (camera_id, at, observed, reason) VALUES (%s, %s, %s, %s)",
            (camera, now - timedelta(minutes=minutes), observed, reason),
        )
    since = (now - timedelta(hours=1)).isoformat().replace("+", "%2B")
    told = desk.get("officer", f"/review/shift.json?lang=en&since={since}").json()
    assert [(c["change"], c["select"], c["detail"]) for c in told["changes"]] == [
        ("back", f"camera:{camera}", ""),
        ("blind", f"camera:{camera}", "frozen picture"),
        ("closed", f"incident:{shut}", ""),
        ("opened", f"incident:{opened}", ""),
    ]
    assert {x["change"]: x["n"] for x in told["totals"]} == {"opened": 1, "closed": 1, "blind": 1, "back": 1}
    assert desk.get("officer_b", f"/review/shift.json?since={since}").json()["changes"] == []
