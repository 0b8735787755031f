"""Telling, from the outbox to the receiver's own log: who is told, once, when, and what becomes of it."""

import contextlib
import hashlib
import hmac
import json
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import psycopg
import pytest
from clones import clone, drop
from told import AT, Asked, HttpReceiver, add, begin, happen, later, notice, opener, reply
from watching import add_camera, fire_at, look

from geoapp.access import service_role
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.database.sql_files import read_sql
from geoapp.settings import settings
from geoapp.watch.telling.answer import Answer
from geoapp.watch.telling.config import TellingConfig
from geoapp.watch.telling.deliver import Telling, deliver_due
from geoapp.watch.telling.register import pause_receiver, remove_receiver, resume_receiver, tell_again
from geoapp.watch.telling.running import running
from geoapp.watch.telling.senders import SENDERS

Connection = psycopg.Connection[dict[str, Any]]
FAST = TellingConfig(connect_s=1, total_s=2, lease_s=30)


@pytest.fixture(scope="module")
def installation(
    cluster: PrivateCluster, city_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """URL of the owner to a city of this module's own, in an installation of its own."""
    name = clone(cluster, city_template)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEOAPP_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("GEOAPP_DATABASE_URL", cluster.url(name))
        patch.delenv("GEOAPP_WATCH_DATABASE_URL", raising=False)
        settings.cache_clear()
        yield cluster.url(name)
    settings.cache_clear()
    drop(cluster, name)


@pytest.fixture
def city(installation: str) -> Iterator[Connection]:
    """The owner's autocommit connection; no receiver, and nothing to tell."""
    with connect(installation, autocommit=True) as connection:
        connection.execute("TRUNCATE watch.delivery, watch.receiver, watch.outbox RESTART IDENTITY")
        yield connection


@pytest.fixture
def watch_url(installation: str) -> str:
    """Telling works under the watch's login, which may read neither firms nor people."""
    return service_role.watch_url()


@pytest.fixture
def hook() -> Iterator[HttpReceiver]:
    receiver = HttpReceiver()
    yield receiver
    receiver.close()


def round_at(url: str, seconds: float, config: TellingConfig = FAST) -> dict[str, int]:
    """One round as of AT + seconds."""
    return deliver_due(opener(url), config, later(seconds))


def states(city: Connection) -> list[str]:
    return [r["state"] for r in city.execute("SELECT state FROM watch.delivery ORDER BY id").fetchall()]


def row(city: Connection, query: str, *values: Any) -> dict[str, Any]:
    found = city.execute(query.encode(), values).fetchone()
    assert found is not None
    return found


# -- once, and signed -------------------------------------------------------------------------------------------


def test_a_fire_is_told_once_signed_and_with_who_answers(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    add(city, "desk", "webhook", hook.url(), secrets={"secret": "a-shared-secret"})
    incident = happen(city)
    config = FAST.model_copy(update={"public_url": "https://map.example.org/"})
    assert round_at(watch_url, 1, config)["delivered"] == 1
    assert round_at(watch_url, 2, config)["delivered"] == 0
    (asked,) = hook.asked
    stamp = asked.headers["X-GeoApp-Timestamp"]
    proof = hmac.new(b"a-shared-secret", stamp.encode() + b"." + asked.body, hashlib.sha256).hexdigest()
    assert asked.headers["X-GeoApp-Signature"] == f"sha256={proof}"
    assert asked.headers["Idempotency-Key"] == asked.key == asked.json["key"]
    told = asked.json
    assert told["schema"] == "geoapp.notice/1"
    assert [c["transition"] for c in told["changes"]] == ["opened"]
    assert told["incident"]["id"] == str(incident)
    assert told["link"] == f"https://map.example.org/review?incident={incident}"
    # Who answers is who the register says, with a phone; asked for apart from the function that the message comes from.
    expected = {
        r["name_zh"]: r["phone"]
        for r in city.execute(
            "SELECT p.name_zh, p.phone FROM watch.incident AS i JOIN duty.grid_staff AS s ON s.cell_code = i.cell_code"
            " JOIN duty.person AS p ON p.id = s.person_id WHERE i.id = %s AND s.assigned_from <= %s"
            " AND (s.assigned_to IS NULL OR s.assigned_to > %s)",
            (incident, AT.date(), AT.date()),
        ).fetchall()
    }
    assert expected
    named = {
        p["name_zh"]: p["phone"] for p in told["incident"]["answering"] if p["role"] in ("worker", "chief")
    }
    assert named == expected
    assert any(p["role"] in ("leader", "safety_officer") for p in told["incident"]["answering"])
    log = row(city, "SELECT * FROM analysis.delivery")
    assert (log["receiver"], log["state"], log["attempts"]) == ("desk", "delivered", 1)
    assert log["took_s"] == pytest.approx(1)
    assert log["first_hit_to_told_s"] == pytest.approx(5)


def test_every_receiver_hears_what_it_wants_and_no_more(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    town = row(
        city,
        "SELECT town_code FROM registry.camera WHERE cell_code IS NOT NULL AND site_id IS NOT NULL ORDER BY id",
    )
    other = row(
        city, "SELECT code FROM territory.unit WHERE level = 'town' AND code <> %s", town["town_code"]
    )
    wants: dict[str, dict[str, Any]] = {
        "all": {},
        "fire": {"classes": ("fire",)},
        "closed": {"transitions": ("closed",)},
        "here": {"towns": (town["town_code"],)},
        "there": {"towns": (other["code"],)},
        "sure": {"min_score": 0.8},
        "confirmed": {"only_confirmed": True, "transitions": ("closed",)},
        "cameras": {"topics": ("camera_health",)},
        "late": {"at": later(100)},
    }
    for name, asked in wants.items():
        add(city, name, "webhook", hook.url(f"/{name}"), **asked)
    happen(city, "fire")
    weak = begin(city, "smoke", score=0.5)
    notice(city, weak, at=later(1))
    city.execute("UPDATE watch.incident SET review = 'confirmed' WHERE id = %s", (weak,))
    notice(city, weak, "reviewed", at=later(2))
    city.execute(
        "INSERT INTO watch.outbox (topic, dedupe_key, payload, created_at) SELECT 'camera_health', 'h1',"
        " jsonb_build_object('camera_id', min(c.id), 'observed', false, 'reason', 'covered'), %s FROM registry.camera AS c",
        (later(3),),
    )
    round_at(watch_url, 4)

    def heard(name: str) -> list[list[str]]:
        return sorted([c["transition"] for c in a.json["changes"]] for a in hook.at(f"/{name}"))

    # At planning the weak one was confirmed already, so the opening of it passes as well.
    assert heard("all") == [["opened"], ["opened", "reviewed"]]
    assert heard("fire") == [["opened"]]
    assert heard("closed") == heard("there") == heard("late") == []
    assert heard("here") == [["opened"], ["opened", "reviewed"]]
    assert heard("sure") == [["opened"]]
    assert heard("confirmed") == [["reviewed"]]
    assert heard("cameras") == [["unobserved"]]
    (blind,) = hook.at("/cameras")
    assert blind.json["changes"][0]["data"]["reason"] == "covered"
    assert "镜头被遮挡" in blind.json["lines"][0]["text"]


# -- cooldown ---------------------------------------------------------------------------------------------------


def test_updates_within_the_cooldown_are_one_message_and_an_escalation_passes(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    add(city, "desk", "webhook", hook.url(), cooldown_s=300)
    incident = happen(city, "smoke")
    round_at(watch_url, 1)
    for second, transition in ((10, "quiet"), (20, "reopened"), (30, "quiet")):
        notice(city, incident, transition, at=later(second))
        round_at(watch_url, second + 1)
    assert len(hook.asked) == 1
    waits = row(city, "SELECT DISTINCT waits_for, next_try_at FROM watch.delivery WHERE state = 'waiting'")
    assert waits == {"waits_for": "cooldown", "next_try_at": later(301)}
    round_at(watch_url, 302)
    assert [[c["transition"] for c in a.json["changes"]] for a in hook.asked] == [
        ["opened"],
        ["quiet", "reopened", "quiet"],
    ]
    city.execute("UPDATE watch.incident SET class = 'fire' WHERE id = %s", (incident,))
    notice(city, incident, "quiet", at=later(303))
    round_at(watch_url, 304)
    assert len(hook.asked) == 2
    notice(city, incident, "upgraded", at=later(305))
    round_at(watch_url, 306)
    assert [c["transition"] for c in hook.asked[2].json["changes"]] == ["quiet", "upgraded"]
    assert set(states(city)) == {"delivered", "joined"}
    # Three messages, three keys.
    assert len({a.key for a in hook.asked}) == 3
    # A joined change has its message's outcome in the log.
    assert {r["state"] for r in city.execute("SELECT state FROM analysis.delivery").fetchall()} == {
        "delivered"
    }


def test_a_cooldown_is_not_used_up_by_what_was_not_told(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    hook.replies["/hook"] = [reply(400, "no"), reply(200)]
    add(city, "desk", "webhook", hook.url(), cooldown_s=300)
    incident = happen(city, "smoke")
    round_at(watch_url, 1)
    notice(city, incident, "quiet", at=later(2))
    round_at(watch_url, 3)
    assert states(city) == ["refused", "delivered"]


# -- what receivers answer --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 410, 422])
def test_what_will_not_become_better_is_tried_once(
    city: Connection, watch_url: str, hook: HttpReceiver, status: int
) -> None:
    hook.replies["/hook"] = [reply(status, "never")]
    add(city, "desk", "webhook", hook.url())
    happen(city)
    for seconds in (1, 100, 10_000):
        round_at(watch_url, seconds)
    assert len(hook.asked) == 1
    log = row(city, "SELECT state, last_answer FROM analysis.delivery")
    assert log == {"state": "refused", "last_answer": f"HTTP {status} never"}
    # Once somebody has mended it, it is told with the same key.
    hook.replies["/hook"] = [reply(200)]
    with city.transaction():
        assert tell_again(city, "desk", since=AT, at=later(10_001)) == 1
    round_at(watch_url, 10_002)
    assert states(city) == ["delivered"]
    assert len({a.key for a in hook.asked}) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
def test_what_may_become_better_is_tried_again_with_the_same_key(
    city: Connection, watch_url: str, hook: HttpReceiver, status: int
) -> None:
    hook.replies["/hook"] = [reply(status), reply(status), reply(200)]
    add(city, "desk", "webhook", hook.url())
    happen(city)
    for seconds in (1, 10, 100):
        round_at(watch_url, seconds)
    assert states(city) == ["delivered"]
    assert len(hook.asked) == 3
    assert len({a.key for a in hook.asked}) == 1
    desk = row(city, "SELECT failures, failing_since FROM watch.receiver")
    assert desk == {"failures": 0, "failing_since": None}


def test_retry_after_is_kept_to(city: Connection, watch_url: str, hook: HttpReceiver) -> None:
    hook.replies["/hook"] = [reply(429, Retry_After="120"), reply(200)]
    add(city, "desk", "webhook", hook.url())
    happen(city)
    round_at(watch_url, 1)
    happen(city, at=later(2))
    for seconds in (60, 120):
        round_at(watch_url, seconds)
    assert len(hook.asked) == 1
    round_at(watch_url, 122)
    assert states(city) == ["delivered", "delivered"]


def test_after_its_time_it_is_given_up_and_shown(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    hook.replies["/hook"] = [reply(503, "down")]
    add(city, "desk", "webhook", hook.url(), give_up_after_s=600)
    happen(city)
    tried = 0
    for seconds in range(1, 700, 20):
        round_at(watch_url, seconds)
        assert len(hook.asked) >= tried
        tried = len(hook.asked)
    assert states(city) == ["given_up"]
    # The pauses grew: far fewer tries than rounds.
    assert 5 <= tried <= 14
    log = row(city, "SELECT state, attempts, last_answer FROM analysis.delivery")
    assert log == {"state": "given_up", "attempts": tried, "last_answer": "HTTP 503 down"}


def test_a_message_that_is_never_taken_does_not_block_the_others(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    poison = begin(city)

    def picky(asked: Asked, handler: BaseHTTPRequestHandler) -> None:
        reply(500 if asked.json["incident"]["id"] == str(poison) else 200)(asked, handler)

    hook.replies["/hook"] = [picky]
    add(city, "desk", "webhook", hook.url())
    notice(city, poison)
    for n in range(5):
        happen(city, at=later(n))
    for seconds in range(10, 200, 20):
        round_at(watch_url, seconds)
    assert sorted(states(city)) == ["delivered"] * 5 + ["waiting"]


def test_a_dead_receiver_holds_up_nobody(city: Connection, watch_url: str, hook: HttpReceiver) -> None:
    released = threading.Event()

    def hang(_: Asked, handler: BaseHTTPRequestHandler) -> None:
        released.wait(20)

    def drip(_: Asked, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        with contextlib.suppress(OSError):
            while not released.wait(0.05):
                handler.wfile.write(b".")

    hook.replies |= {"/dead": [hang], "/drip": [drip]}
    add(city, "dead", "webhook", hook.url("/dead"))
    add(city, "drip", "webhook", hook.url("/drip"))
    add(city, "alive", "webhook", hook.url("/alive"))
    add(city, "nowhere", "webhook", "http://127.0.0.1:9/")
    patient = FAST.model_copy(update={"total_s": 4.0})
    now = [later(1)]
    telling = Telling(opener(watch_url), patient, clock=lambda: now[0])
    took = []
    try:
        for n in range(4):
            happen(city, at=later(n))
            began = time.monotonic()
            telling.tick()
            while len(hook.at("/alive")) <= n and time.monotonic() - began < 10:
                time.sleep(0.05)
                telling.tick()
            took.append(time.monotonic() - began)
            now[0] = later(n + 2)
        # Told while the dead ones were still being waited for.
        assert max(took) < patient.total_s / 2
        # Neither the one that hangs nor the one that drips has a thread for longer than the limit.
        assert telling.settle(patient.total_s + 2)
    finally:
        released.set()
        telling.close()
    told = city.execute(
        "SELECT r.name, count(*) AS n FROM watch.receiver AS r JOIN watch.delivery AS d ON d.receiver_id = r.id"
        " WHERE d.state = 'delivered' GROUP BY r.name"
    ).fetchall()
    assert told == [{"name": "alive", "n": 4}]


# -- many processes ---------------------------------------------------------------------------------------------


def test_many_tellers_tell_each_thing_once(city: Connection, watch_url: str, hook: HttpReceiver) -> None:
    names = ["a", "b", "c"]
    for name in names:
        add(city, name, "webhook", hook.url(f"/{name}"))
    incidents = [happen(city, at=later(n / 100)) for n in range(20)]
    tellers = [Telling(opener(watch_url), FAST, clock=lambda: later(1)) for _ in range(4)]

    def work(telling: Telling) -> None:
        for _ in range(12):
            telling.tick()
            telling.settle()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, tellers))
    for telling in tellers:
        telling.close()
    for name in names:
        told = sorted(a.json["incident"]["id"] for a in hook.at(f"/{name}"))
        assert told == sorted(map(str, incidents))
    assert set(states(city)) == {"delivered"}


def test_a_teller_that_lost_its_lease_writes_nothing(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    def overtaken(asked: Asked, handler: BaseHTTPRequestHandler) -> None:
        # While this one waits for its answer, its lease ends and another process takes the receiver.
        city.execute("UPDATE watch.receiver SET lease_token = lease_token + 1, lease_owner = 'another'")
        reply(200)(asked, handler)

    hook.replies["/hook"] = [overtaken, reply(200)]
    add(city, "desk", "webhook", hook.url())
    happen(city)
    round_at(watch_url, 1)
    assert states(city) == ["waiting"]
    round_at(watch_url, 100)
    assert states(city) == ["delivered"]
    assert len(hook.asked) == 2
    assert len({a.key for a in hook.asked}) == 1


def test_while_the_database_is_away_nothing_is_raised_and_nothing_lost(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    add(city, "desk", "webhook", hook.url())
    happen(city)
    url = [watch_url.replace("dbname=", "dbname=not_") if "dbname=" in watch_url else watch_url + "_not"]
    telling = Telling(lambda: connect(url[0], autocommit=True), FAST, clock=lambda: later(1))
    assert telling.tick()["delivered"] == 0
    url[0] = watch_url
    telling.tick()
    telling.settle()
    telling.close()
    assert states(city) == ["delivered"]


# -- quiet hours, pauses, pace ----------------------------------------------------------------------------------


def test_quiet_hours_hold_smoke_until_their_end_and_let_fire_through(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    # AT is 09:30 in the city.
    add(city, "desk", "webhook", hook.url(), quiet_from="09:00", quiet_to="10:00", give_up_after_s=60)
    smoke, fire = happen(city, "smoke"), happen(city, "fire")
    round_at(watch_url, 1)
    assert [a.json["incident"]["id"] for a in hook.asked] == [str(fire)]
    notice(city, smoke, "closed", at=later(600))
    round_at(watch_url, 601)
    assert len(hook.asked) == 1
    # Waiting for the morning uses up none of its time to be delivered in.
    round_at(watch_url, 1801)
    assert [c["transition"] for c in hook.asked[1].json["changes"]] == ["opened", "closed"]


def test_a_paused_receiver_hears_all_of_it_afterwards_in_one(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    add(city, "desk", "webhook", hook.url())
    with city.transaction():
        pause_receiver(city, "desk", at=AT, by="test")
    incident = happen(city)
    notice(city, incident, "closed", at=later(5))
    round_at(watch_url, 10)
    assert hook.asked == []
    with city.transaction():
        resume_receiver(city, "desk", at=later(20))
    round_at(watch_url, 21)
    assert [c["transition"] for a in hook.asked for c in a.json["changes"]] == ["opened", "closed"]


def test_a_removed_receiver_hears_nothing_and_its_secrets_are_gone(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    add(city, "desk", "webhook", hook.url(), secrets={"secret": "a-shared-secret"})
    happen(city)
    with city.transaction():
        remove_receiver(city, "desk", at=AT, by="test")
    assert row(city, "SELECT count(*) AS n FROM access.secret WHERE subject_kind = 'receiver'")["n"] == 0
    happen(city, at=later(1))
    round_at(watch_url, 2)
    assert hook.asked == []
    add(city, "desk", "webhook", hook.url(), at=later(3))  # the name is free again


def test_a_robots_pace_is_kept_and_fire_goes_first(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    add(city, "desk", "webhook", hook.url(), per_minute=20)
    for n in range(30):
        happen(city, "smoke", at=later(n / 100))
    fire = happen(city, "fire", at=later(1))
    counts = []
    for seconds in range(2, 130, 2):
        before = len(hook.asked)
        round_at(watch_url, seconds)
        counts.append(len(hook.asked) - before)
    assert hook.asked[0].json["incident"]["id"] == str(fire)
    assert len(hook.asked) == 31
    assert max(sum(counts[n : n + 30]) for n in range(len(counts))) <= 20


# -- what is kept -----------------------------------------------------------------------------------------------


def test_old_notices_that_are_still_to_be_planned_are_kept(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    add(city, "desk", "webhook", hook.url())
    happen(city)
    forget = read_sql("watch/forgotten_notices").encode()
    assert city.execute(forget, {"before": later(1000)}).fetchall() == []
    hook.replies["/hook"] = [reply(503), reply(200)]
    round_at(watch_url, 1)
    # Planned: the notice itself may go, the message is still told.
    assert len(city.execute(forget, {"before": later(1000)}).fetchall()) == 1
    round_at(watch_url, 100)
    assert states(city) == ["delivered"]


def test_without_receivers_old_notices_go(city: Connection) -> None:
    happen(city)
    forget = read_sql("watch/forgotten_notices").encode()
    assert len(city.execute(forget, {"before": later(1000)}).fetchall()) == 1


def test_what_was_told_is_forgotten_whole_and_never_under_a_legal_hold(
    city: Connection, watch_url: str
) -> None:
    add(city, "desk", "webhook", "http://127.0.0.1:9/")
    to = row(city, "SELECT id FROM watch.receiver")["id"]
    held, free = happen(city), happen(city)
    city.execute("DELETE FROM watch.delivery")
    city.execute(
        "INSERT INTO watch.legal_hold (incident_id, reason, held_by) VALUES (%s, '行政处罚调查', 'test')",
        (held,),
    )

    def told(name: str, day: float, state: str, incident: Any = None, into: int | None = None) -> int:
        made = row(
            city,
            "INSERT INTO watch.delivery (receiver_id, message_key, topic, subject, transition, happened_at, state, next_try_at,"
            " due_since, incident_id, joined_into, delivered_at) VALUES (%s, gen_random_uuid(), 'incident', %s, 'opened', %s, %s, %s,"
            " %s, %s, %s, %s) RETURNING id",
            to, name, AT + timedelta(days=day), state, AT, AT, incident, into, AT if state == "delivered" else None,
        )  # fmt: skip
        return int(made["id"])

    told("free", -10, "delivered", free)
    told("refused", -10, "refused")
    told(
        "joined, whole message old", -10, "joined", None, told("joined, whole message old", -11, "delivered")
    )
    told("a part is young", 1, "joined", None, told("a part is young", -10, "delivered"))
    told("waits", -10, "waiting")
    told("held", -10, "delivered", held)
    told("held by a part", -10, "joined", held, told("held by a part", -10, "given_up"))
    told("young", 1, "delivered")
    left = ("a part is young", "held", "held by a part", "waits", "young")
    forget = read_sql("watch/forgotten_deliveries").encode()
    # As the watch itself, with its rights.
    with connect(watch_url, autocommit=True) as watch:
        gone = [len(watch.execute(forget, {"before": AT, "most": 2}).fetchall()) for _ in range(4)]
    assert sum(gone) == 4
    assert gone[2:] == [0, 0]
    found = city.execute("SELECT DISTINCT subject FROM watch.delivery ORDER BY 1").fetchall()
    assert tuple(r["subject"] for r in found) == left


def test_the_watchs_login_may_not_add_or_change_receivers(city: Connection, watch_url: str) -> None:
    add(city, "desk", "webhook", "http://127.0.0.1:9/")
    with connect(watch_url, autocommit=True) as watch:
        for attempt in (
            "INSERT INTO watch.receiver (name) VALUES ('x')",
            "UPDATE watch.receiver SET address = 'http://127.0.0.1:1/'",
            "DELETE FROM watch.receiver",
            "SELECT phone FROM duty.person",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                watch.execute(attempt.encode())
        city.execute(
            "INSERT INTO watch.delivery (receiver_id, message_key, topic, subject, transition, happened_at, state, next_try_at, due_since)"
            " SELECT r.id, gen_random_uuid(), 'incident', 's', 'opened', now(), 'waiting', now(), now() FROM watch.receiver AS r"
        )
        assert watch.execute("DELETE FROM watch.delivery").rowcount == 0, "what waits is not forgotten"


def test_a_receivers_secret_stands_in_no_log_and_no_row(
    city: Connection, watch_url: str, hook: HttpReceiver, capfd: pytest.CaptureFixture[str]
) -> None:
    token = f"693axxx6-{uuid.uuid4()}"

    def echo(asked: Asked, handler: BaseHTTPRequestHandler) -> None:
        reply(200, {"errcode": 93000, "errmsg": f"invalid webhook url {handler.path}, hint {token}"})(
            asked, handler
        )

    hook.replies["/send"] = [echo]
    add(city, "group", "wecom", hook.url("/send"), secrets={"token": token})
    happen(city)
    round_at(watch_url, 1)
    assert hook.asked[0].query == {"key": token}
    assert states(city) == ["refused"]
    rows = json.dumps(
        [
            city.execute(f"SELECT * FROM {table}".encode()).fetchall()
            for table in ("watch.receiver", "watch.delivery", "analysis.delivery", "watch.outbox")
        ],
        default=str,
    )
    said = "".join(capfd.readouterr())
    assert "93000" in rows
    assert "group" in said
    assert token not in rows + said


def test_an_incident_that_is_no_longer_on_record_is_not_told(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    add(city, "desk", "webhook", hook.url())
    incident = happen(city)
    hook.replies["/hook"] = [reply(503)]
    round_at(watch_url, 1)
    city.execute("DELETE FROM watch.incident WHERE id = %s", (incident,))
    round_at(watch_url, 100)
    assert states(city) == ["refused"]
    assert len(hook.asked) == 1


def test_no_picture_goes_out(city: Connection, watch_url: str, hook: HttpReceiver) -> None:
    add(city, "desk", "webhook", hook.url())
    happen(city)
    round_at(watch_url, 1)
    assert not any(word in hook.asked[0].body.decode() for word in ("evidence", ".jpg", "sha256", "snapshot"))


def test_shadow_incidents_are_told_to_nobody_even_when_reviewed(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    add(city, "desk", "webhook", hook.url())
    shadow = begin(city)
    city.execute("UPDATE watch.incident SET mode = 'shadow' WHERE id = %s", (shadow,))
    notice(city, shadow, "reviewed")
    round_at(watch_url, 1)
    assert hook.asked == []
    # Turned to an alert, its opening is the first news of it: no cooldown stands in the way.
    city.execute("UPDATE watch.incident SET mode = 'alert' WHERE id = %s", (shadow,))
    notice(city, shadow, "opened", at=later(2))
    round_at(watch_url, 3)
    assert states(city) == ["delivered"]


def test_cameras_that_go_blind_together_are_one_message(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    add(city, "desk", "webhook", hook.url(), topics=("camera_health",), language="en")
    city.execute(
        "INSERT INTO watch.outbox (topic, dedupe_key, payload, created_at) SELECT 'camera_health', 'h' || c.id,"
        " jsonb_build_object('camera_id', c.id, 'observed', false, 'reason', 'timeout'), %s"
        " FROM registry.camera AS c ORDER BY c.id LIMIT 30",
        (AT,),
    )
    round_at(watch_url, 1)
    (asked,) = hook.asked
    assert asked.json["title"] == "30 camera(s) cannot be looked through"
    said = [line["text"] for line in asked.json["lines"]]
    assert "10 more" in said
    assert said[-1] == "Not being able to look does not mean that nothing is there."


def test_a_thread_beside_other_work_tells_by_itself(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    now = row(city, "SELECT clock_timestamp() AS at")["at"]
    add(city, "desk", "webhook", hook.url(), at=now)
    with running(watch_url, FAST.model_copy(update={"tick_s": 0.05})):
        happen(city, at=row(city, "SELECT clock_timestamp() AS at")["at"])
        ends = time.monotonic() + 10
        while not hook.asked and time.monotonic() < ends:
            time.sleep(0.02)
    assert states(city) == ["delivered"]


def test_the_figures_for_supervisors_count_what_nobody_took(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    now = row(city, "SELECT clock_timestamp() AS at")["at"]
    hook.replies["/hook"] = [reply(404)]
    hook.replies["/down"] = [reply(503)]
    add(city, "desk", "webhook", hook.url(), at=now)
    add(city, "down", "webhook", hook.url("/down"), at=now)
    happen(city, at=row(city, "SELECT clock_timestamp() AS at")["at"])
    deliver_due(opener(watch_url), FAST)
    figures = {r["name"]: r["value"] for r in city.execute("SELECT * FROM access.metrics()").fetchall()}
    assert figures["deliveries_waiting"] == 1
    assert figures["deliveries_not_taken_day"] == 1
    assert figures["receivers_failing"] == 1


def test_from_the_looks_of_a_camera_to_the_receivers_log(
    city: Connection, watch_url: str, hook: HttpReceiver, tmp_path: Path
) -> None:
    """The watch's own writing and telling together: smoke that turns into a fire and ends."""
    city.execute("UPDATE registry.camera SET snapshot_url = NULL")
    add_camera(city, 1, "http://127.0.0.1:9/a")  # with a pose: its incidents are told
    began = row(city, "SELECT clock_timestamp() AS at")["at"]
    add(city, "desk", "webhook", hook.url(), at=began)
    smoke, fire = fire_at(12.0, 22.0, class_name="smoke"), fire_at(12.0, 22.0)
    at, told = began, []
    for boxes in ([smoke], [smoke], [smoke], [fire], [fire], [fire], [], [], [], []):
        look(city, at, boxes, tmp_path)
        at += timedelta(seconds=5)
        deliver_due(opener(watch_url), FAST)
        told.append(len(hook.asked))
    said = [[c["transition"] for c in a.json["changes"]] for a in hook.asked]
    # The opening and the escalation at once; that it went quiet waits for the end of the cooldown.
    assert said == [["opened"], ["upgraded"]]
    assert hook.asked[1].json["incident"]["class"] == "fire"
    assert told[0] == 0  # one look alone opens nothing
    waits = row(city, "SELECT transition, waits_for FROM watch.delivery WHERE state = 'waiting'")
    assert waits == {"transition": "quiet", "waits_for": "cooldown"}


def test_who_was_added_paused_and_removed_is_in_the_audit_and_telling_is_not(
    city: Connection, watch_url: str, hook: HttpReceiver
) -> None:
    before = row(city, "SELECT coalesce(max(id), 0) AS id FROM access.audit")["id"]
    add(city, "desk", "webhook", hook.url(), secrets={"secret": "a-shared-secret"})
    happen(city)
    round_at(watch_url, 1)
    with city.transaction():
        pause_receiver(city, "desk", at=later(2), by="test")
    with city.transaction():
        remove_receiver(city, "desk", at=later(3), by="test")
    kept = city.execute(
        "SELECT action, after FROM access.audit WHERE id > %s AND subject = 'watch.receiver' ORDER BY id",
        (before,),
    ).fetchall()
    assert [r["action"] for r in kept] == ["insert", "update", "update"]
    assert kept[0]["after"]["name"] == "desk"
    assert set(kept[1]["after"]) == {"paused_at", "paused_by"}
    assert "a-shared-secret" not in json.dumps(kept)


def test_a_fault_of_our_own_is_tried_again_and_its_trace_holds_no_secret(
    city: Connection,
    watch_url: str,
    hook: HttpReceiver,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    add(city, "desk", "webhook", hook.url(), secrets={"secret": "a-shared-secret"})
    happen(city)

    def broken(*_: Any, **__: Any) -> Answer:
        raise KeyError("a-shared-secret")

    with monkeypatch.context() as patch:
        patch.setitem(SENDERS, "webhook", broken)
        round_at(watch_url, 1)
    assert states(city) == ["waiting"]
    said = "".join(capfd.readouterr())
    assert "message_failed" in said
    assert "a-shared-secret" not in said
    round_at(watch_url, 100)
    assert states(city) == ["delivered"]
