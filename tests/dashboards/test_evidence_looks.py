"""Frames over HTTP: each answer is on record before it is given, files leave blurred, a firm sees nobody's face."""

import hashlib
import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import cv2
import httpx
import numpy as np
import psycopg
import pytest
from psycopg import sql
from screens import Site, open_incident
from test_account_pages import body_of
from test_matrix_http import DRAWER, callback
from test_web import asked

from dashboards import evidence, retention_panel
from detection.config import EvidenceConfig
from detection.retention import sweep
from detection.types import Box, Image
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

PERSON = (40.0, 60.0, 90.0, 200.0)


class OnePerson:
    model_hash = "d" * 64

    def persons(self, image: Image) -> tuple[Box, ...]:
        return (Box("person", 0.8, *PERSON),)


@pytest.fixture(autouse=True)
def finder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "open_person_finder", lambda _: OnePerson())


@pytest.fixture
def frame(site: Site) -> Iterator[dict[str, Any]]:
    """An incident on the firm's own ground, its frame full of detail."""
    with site.connect() as owner:
        made = open_incident(owner, site.home)
        picture = np.random.default_rng(3).integers(0, 256, (360, 640, 3), dtype=np.uint8)
        data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 97])[1].tobytes()
        (site.home / "evidence" / made["path"]).write_bytes(data)
        owner.execute(
            "UPDATE watch.evidence SET sha256 = %s WHERE id = %s",
            (hashlib.sha256(data).hexdigest(), made["evidence"]),
        )
        owner.execute(
            "UPDATE watch.incident AS i SET site_id = s.id, town_code = s.town_code, cell_code = s.cell_code, geom = s.geom"
            " FROM registry.site AS s WHERE s.id = %s AND i.id = %s",
            (site.people.own_site, made["id"]),
        )
        yield made | {"data": data, "picture": cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)}


def looks(site: Site, frame: dict[str, Any]) -> list[dict[str, Any]]:
    with site.connect() as owner:
        return owner.execute(
            "SELECT login, ok, reason, detail, host(ip) AS ip FROM access.audit"
            " WHERE action = 'look_at_evidence' AND subject_id = %s ORDER BY id",
            (frame["evidence"],),
        ).fetchall()


def is_blurred(answer: httpx.Response, frame: dict[str, Any]) -> bool:
    """Whether the person is gone and the rest is there. Fails where only one of the two is so."""
    shown = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == frame["picture"].shape
    x1, y1, x2, y2 = (int(v) for v in PERSON)

    def detail(image: Image) -> float:
        return float(np.abs(np.diff(image.astype(int), axis=1)).mean())

    assert detail(shown[:, 200:]) > 0.7 * detail(frame["picture"][:, 200:])
    return detail(shown[y1:y2, x1:x2]) < 0.15 * detail(frame["picture"][y1:y2, x1:x2])


@pytest.mark.parametrize("login", ["duty_officer", "committee", "inspector"])
def test_an_official_sees_the_frame_as_it_came_and_takes_out_a_blurred_one(
    site: Site, frame: dict[str, Any], login: str
) -> None:
    client, path = site.client(login), f"/evidence/{frame['evidence']}.jpg"
    seen = client.get(path, params={"why": "核实火情"})
    assert seen.content == frame["data"]
    taken = client.get(path, params={"download": "1", "why": "移交消防"})
    assert is_blurred(taken, frame)
    assert taken.headers["cache-control"] == "private, no-store"
    assert taken.headers["content-disposition"].startswith(f'attachment; filename="{frame["no"]}_')
    assert [(r["login"], r["ok"], r["reason"], r["detail"].get("download"), r["detail"].get("blurred")) for r in looks(site, frame)] == [
        (login, True, "核实火情", None, None),
        (login, True, "移交消防", True, "persons"),
    ]  # fmt: skip
    assert all(r["ip"] == "127.0.0.1" for r in looks(site, frame))


def test_a_firm_sees_and_takes_out_blurred_frames_only(site: Site, frame: dict[str, Any]) -> None:
    client = site.client("enterprise")
    for query in ("", "?download=0", "?download=1", "?why=x"):
        answer = client.get(f"/evidence/{frame['evidence']}.jpg{query}")
        assert answer.status_code == 200
        assert is_blurred(answer, frame), query
    assert [r["detail"]["blurred"] for r in looks(site, frame)] == ["persons"] * 4


def test_where_nothing_finds_persons_nothing_leaves(
    site: Site, frame: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(_: object) -> OnePerson:
        raise Refused("没有人员检测模型 / no model that finds persons")

    monkeypatch.setattr(evidence, "open_person_finder", none)
    path = f"/evidence/{frame['evidence']}.jpg"
    for login, query in (("enterprise", ""), ("committee", "?download=1")):
        answer = site.client(login).get(path + query)
        assert answer.status_code == 503
        assert "no model" in answer.json()["error"]
        assert b"\xff\xd8" not in answer.content
    assert [(r["ok"], r["detail"]["fault"]) for r in looks(site, frame)] == [(False, "not blurred")] * 2
    assert site.client("duty_officer").get(path).content == frame["data"]


@pytest.mark.parametrize("ranges", ["bytes=0-99", "bytes=-10", "bytes=0-0,5-9"])
def test_a_part_of_a_frame_is_a_whole_look(site: Site, frame: dict[str, Any], ranges: str) -> None:
    answer = site.client("duty_officer").get(f"/evidence/{frame['evidence']}.jpg", headers={"Range": ranges})
    assert (answer.status_code, answer.content) == (200, frame["data"])
    assert "accept-ranges" not in answer.headers
    assert len(looks(site, frame)) == 1


def test_other_methods_and_other_addresses_give_no_frame(site: Site, frame: dict[str, Any]) -> None:
    client = site.client("duty_officer")
    for method in ("HEAD", "POST", "PUT", "OPTIONS"):
        answer = client.request(method, f"/evidence/{frame['evidence']}.jpg")
        assert answer.status_code in (204, 403, 404, 405), method
        assert "content-length" not in answer.headers or int(answer.headers["content-length"]) < len(
            frame["data"]
        )
    for path in (f"/evidence/{frame['path']}", f"/assets/{frame['path']}", f"/assets/../evidence/{frame['path']}",
                 f"/{frame['path']}", f"/evidence/{frame['evidence']}/thumb.jpg", f"/thumbs/{frame['evidence']}.jpg"):  # fmt: skip
        answer = client.get(path)
        assert frame["data"] not in answer.content
        assert b"\xff\xd8\xff" not in answer.content, path
    assert looks(site, frame) == []


def test_a_look_that_cannot_be_recorded_is_none(
    site: Site, frame: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with site.connect() as owner:
        owner.execute(
            "ALTER TABLE access.audit ADD CONSTRAINT no_looks CHECK (action <> 'look_at_evidence') NOT VALID"
        )
        try:
            answer = site.client("duty_officer").get(f"/evidence/{frame['evidence']}.jpg")
        finally:
            owner.execute("ALTER TABLE access.audit DROP CONSTRAINT no_looks")
    assert answer.status_code >= 400
    assert frame["data"] not in answer.content


@pytest.mark.parametrize(("change", "status", "said"), [
    ("altered", 409, "SHA-256"), ("gone", 404, "missing"), ("not kept", 410, "not kept"),
])  # fmt: skip
def test_what_is_not_the_frame_is_said_and_never_shown(
    site: Site, frame: dict[str, Any], change: str, status: int, said: str
) -> None:
    file = site.home / "evidence" / frame["path"]
    if change == "altered":
        file.write_bytes(frame["data"][:-2] + b"\0\xff\xd9")
    elif change == "gone":
        file.unlink()
    else:
        with site.connect() as owner:
            owner.execute(
                "UPDATE watch.evidence SET path = NULL, sha256 = NULL, not_kept = 'disk_full' WHERE id = %s",
                (frame["evidence"],),
            )
    for login, query in (("duty_officer", ""), ("committee", "?download=1"), ("enterprise", "")):
        answer = site.client(login).get(f"/evidence/{frame['evidence']}.jpg{query}")
        assert answer.status_code == status
        assert said in answer.json()["error"]
    assert [r["ok"] for r in looks(site, frame)] == [False] * 3


def page_of(site: Site, login: str, lang: str) -> str:
    made = asked(
        site.client(login),
        "page.children",
        {"address.pathname": "/audit"},
        {"address.search": f"?lang={lang}"},
    )
    return json.dumps(made, ensure_ascii=False)


@pytest.mark.parametrize(("lang", "words"), [("zh", "证据保全"), ("en", "Legal holds")])
def test_the_panel_shows_policy_holds_deletions_and_room_to_who_answers_for_them(
    site: Site, frame: dict[str, Any], lang: str, words: str
) -> None:
    with site.connect() as owner:
        owner.execute(
            "INSERT INTO watch.evidence_room (host, measured_at, total_bytes, free_bytes, state)"
            " VALUES ('rack-7', now(), 1000000000000, 1500000000, 'low') ON CONFLICT DO NOTHING"
        )
        reason = f"法院调证 {uuid.uuid4().hex[:6]}"
        owner.execute(
            "INSERT INTO watch.legal_hold (incident_id, reason) VALUES (%s, %s)", (frame["id"], reason)
        )
    for login in ("committee", "admin"):
        page = page_of(site, login, lang)
        for said in (words, "1,095", f"#{frame['no']}", reason, "rack-7", "1.5"):
            assert said in page, (login, said)
        assert ("空间不足" if lang == "zh" else "running out") in page
    for login in ("duty_officer", "enterprise", "planner"):
        assert words not in page_of(site, login, lang)


def test_the_drawer_offers_the_blurred_file_and_says_what_is_missing(
    site: Site, frame: dict[str, Any]
) -> None:
    def drawer(login: str) -> str:
        state = {"page-state.data": {"lang": "en", "zone": "Asia/Shanghai"}}
        chosen = {"selection.data": {"kind": "incident", "id": frame["id"]}}
        return callback(site.client(login), DRAWER, chosen, state)

    assert "as the camera sent it" in drawer("duty_officer")
    assert f"/evidence/{frame['evidence']}.jpg?download=1" in drawer("duty_officer")
    assert "with persons blurred" in drawer("enterprise")
    assert "download=1" not in drawer("admin")
    with site.connect() as owner:
        owner.execute(
            "UPDATE watch.evidence SET path = NULL, sha256 = NULL, not_kept = 'disk_full' WHERE id = %s",
            (frame["evidence"],),
        )
        assert "the frame was not kept" in drawer("duty_officer")
        owner.execute("UPDATE watch.incident SET state = 'closed', closed_at = now(), review = 'false',"
                      " last_seen_at = now() - interval '31 days' WHERE id = %s", (frame["id"],))  # fmt: skip
        swept = sweep(owner, site.home / "evidence", datetime.now(UTC), EvidenceConfig())
        assert swept.deleted >= 1
    assert "Frames deleted by policy: 1" in drawer("duty_officer")
    assert "No frame was kept" not in drawer("duty_officer")


def test_the_committee_holds_and_releases_in_its_own_name_and_others_do_not(
    site: Site, frame: dict[str, Any]
) -> None:
    with site.connect() as owner:
        roles = {
            r["login"]: r["db_role"]
            for r in owner.execute("SELECT login, db_role FROM access.account").fetchall()
        }

        def as_account(login: str, query: bytes) -> None:
            with owner.transaction():
                owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(roles[login])))
                owner.execute(query, {"id": frame["id"]})

        place = b"INSERT INTO watch.legal_hold (incident_id, reason) VALUES (%(id)s, 'asked for by a court')"
        release = b"UPDATE watch.legal_hold SET release_reason = 'case closed' WHERE incident_id = %(id)s"
        for login in ("admin", "duty_officer", "planner", "inspector", "enterprise"):
            for query in (place, release):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    as_account(login, query)
        as_account("committee", place)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_account("committee", b"DELETE FROM watch.legal_hold WHERE incident_id = %(id)s")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_account("committee", b"DELETE FROM watch.evidence WHERE incident_id = %(id)s")
        as_account("committee", release)
        row = owner.execute(
            "SELECT * FROM watch.legal_hold WHERE incident_id = %s", (frame["id"],)
        ).fetchone()
        assert row is not None
        assert (row["held_by"], row["released_by"], row["release_reason"]) == (
            "committee",
            "committee",
            "case closed",
        )
        told = owner.execute(
            "SELECT action, login FROM access.audit WHERE subject = 'watch.legal_hold' AND subject_id = %s ORDER BY id",
            (frame["id"],),
        ).fetchall()
        assert told == [
            {"action": "insert", "login": "committee"},
            {"action": "update", "login": "committee"},
        ]
        policy = b"UPDATE watch.retention_policy SET days = 45 WHERE review = 'false' AND class = 'any'"
        for login in ("committee", "duty_officer", "enterprise"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                as_account(login, policy)
        as_account("admin", policy)
        changed = owner.execute(
            "SELECT days, changed_by FROM watch.retention_policy WHERE review = 'false' AND class = 'any'"
        ).fetchone()
        assert changed == {"days": 45, "changed_by": "admin"}
        owner.execute("UPDATE watch.retention_policy SET days = 30 WHERE review = 'false' AND class = 'any'")


def test_the_retention_panel_counts_what_is_there_and_marks_what_needs_a_hand(site: Site) -> None:
    with site.connect() as owner:
        kept = open_incident(owner, site.home)
        lost = open_incident(owner, site.home)
        owner.execute(
            "UPDATE watch.evidence SET path = NULL, sha256 = NULL, not_kept = 'disk_full' WHERE incident_id = %s",
            (lost["id"],),
        )
        owner.execute("UPDATE watch.evidence SET bytes = 345000 WHERE incident_id = %s", (kept["id"],))
        counted = owner.execute(
            "SELECT count(*) FILTER (WHERE not_kept IS NULL) AS kept, count(not_kept) AS lost FROM watch.evidence"
        ).fetchone()
    assert counted is not None
    shown = body_of(site.client("committee"), "/audit", "?lang=en")
    assert f"Frames kept: {counted['kept']}, " in shown
    assert f"Frames not kept because the disk was full: {counted['lost']}" in shown
    marked = re.findall(r'"children": "([^"]+)", "className": "bad"', shown)
    assert f"Frames not kept because the disk was full: {counted['lost']}" in marked
    assert not [text for text in marked if text.startswith("Frames kept")]
    with site.connect() as owner:
        rows = owner.execute(read_sql("screens/retention").encode()).fetchall()
    assert sum(r["frames"] for r in rows) == counted["kept"], "what was not kept is not counted as kept"


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 MB"), (1, "1 KB"), (345_000, "345 KB"), (1_250_000, "1.2 MB"), (2.5e9, "2.5 GB")],
)
def test_sizes_in_words(count: float, words: str) -> None:
    assert retention_panel.size(count) == words
