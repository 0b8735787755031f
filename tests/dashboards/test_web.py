"""Evidence, health, headers and the live stream over HTTP, without a browser."""

import contextlib
import io
import json
import re
import tarfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from screens import Site, open_incident
from websockets.sync.client import ClientConnection, connect

from dashboards.live import REPLAY_MAX
from dashboards.source import archive
from geoapp.database.sql_files import read_sql
from geoapp.settings import REPOSITORY


@pytest.fixture
def web(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.base, timeout=20) as client:
        yield client


def stream(site: Site, query: str = "", **options: Any) -> ClientConnection:
    return connect(f"ws{site.base[4:]}/live{query}", **options)


def told(socket: ClientConnection, kind: str, seconds: float = 10) -> dict[str, Any]:
    """The next message of a type."""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(TimeoutError):
        while time.monotonic() < deadline:
            message = json.loads(socket.recv(timeout=max(0.01, deadline - time.monotonic())))
            if message["type"] == kind:
                return message
    raise AssertionError(f"no {kind} within {seconds} s")


def test_evidence_is_the_frame_that_was_stored_or_nothing(web: httpx.Client, site: Site) -> None:
    with site.connect() as connection:
        made = open_incident(connection, site.home)
    path = f"/evidence/{made['evidence']}.jpg"
    answer = web.get(path)
    stored = site.home / "evidence" / made["path"]
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.content == stored.read_bytes()

    stored.write_bytes(stored.read_bytes() + b"x")
    refused = web.get(path)
    assert refused.status_code == 409
    assert "SHA-256" in refused.text

    stored.unlink()
    assert web.get(path).status_code == 404
    assert web.get(f"/evidence/{uuid.uuid4()}.jpg").status_code == 404
    assert web.get("/evidence/1.jpg").status_code == 404


def test_evidence_never_leaves_its_folder(web: httpx.Client, site: Site) -> None:
    secret = site.home / "secret.jpg"
    secret.write_bytes(b"\xff\xd8\xff secret")
    with site.connect() as connection:
        made = open_incident(connection, site.home)
        connection.execute(
            "UPDATE watch.evidence SET path = '../secret.jpg' WHERE id = %s", (made["evidence"],)
        )
    assert web.get(f"/evidence/{made['evidence']}.jpg").status_code == 404


def test_pages_carry_security_headers_and_no_secret(web: httpx.Client, site: Site) -> None:
    password = site.url.split(":")[2].split("@")[0]
    for path in (
        "/",
        "/matrix",
        "/_dash-layout",
        "/_dash-dependencies",
        "/healthz",
        "/metrics",
        "/headline.json",
    ):
        answer = web.get(path)
        assert answer.status_code == 200, path
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe-eval" not in policy
        assert "script-src 'self' 'sha256-" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert password not in answer.text
        assert "postgresql://" not in answer.text


def test_an_unknown_path_is_not_found_and_the_pages_are(web: httpx.Client) -> None:
    for path in ("/", "/matrix", "/cameras", "/?lens=duty", "/matrix?lang=en"):
        answer = web.get(path)
        assert answer.status_code == 200, path
        assert "_dash-" in answer.text
    for path in ("/nope", "/docs", "/openapi.json", "/matrix/nope", "/assets/nope.js"):
        assert web.get(path).status_code == 404, path
    assert "_dash-" in web.get("/nope").text, "the page itself says that there is no such page"
    assert web.get("/assets/app.css").status_code == 200
    scripts = re.findall(r'src="(/[^"]+[.]js[^"]*)"', web.get("/").text)
    assert len(scripts) > 5
    for path in scripts:
        answer = web.get(path)
        assert answer.status_code == 200, path
        assert "javascript" in answer.headers["content-type"]


def test_search_leaves_out_towns_of_the_past(site: Site) -> None:
    from dashboards.search import wanted

    with site.connect() as connection, connection.transaction(force_rollback=True):
        town = connection.execute(
            "SELECT code, name_zh FROM territory.unit WHERE level = 'town' ORDER BY code LIMIT 1"
        ).fetchone()
        assert town is not None

        def found(valid_to: str) -> bool:
            connection.execute(
                f"UPDATE territory.unit SET valid_to = {valid_to} WHERE code = %s", (town["code"],)
            )
            rows = connection.execute(read_sql("screens/search"), wanted(town["name_zh"])).fetchall()
            return town["code"] in {row["id"] for row in rows if row["kind"] == "town"}

        assert found("NULL")
        assert found("analysis.city_date(now()) + 1")
        assert not found("analysis.city_date(now())")


def test_the_program_hands_out_its_own_source(web: httpx.Client) -> None:
    answer = web.get("/source.tar.gz")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/gzip"
    with tarfile.open(fileobj=io.BytesIO(answer.content), mode="r:gz") as tar:
        names = {m.name.removeprefix("geoapp-source/") for m in tar.getmembers()}
        own = tar.extractfile("geoapp-source/dashboards/app.py")
        assert own is not None
        assert own.read() == (REPOSITORY / "dashboards" / "app.py").read_bytes()
    assert {"LICENSE", "README.md", "requirements.lock", "sql/screens/search.sql"} <= names
    assert not [
        n for n in names if any(part.startswith(".") or part == "__pycache__" for part in n.split("/"))
    ]


def test_the_source_holds_no_settings_links_or_caches(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("password")
    (tmp_path / "LICENSE").write_text("AGPL")
    for name in ("app.py", ".env", "__pycache__/app.pyc", "runs/frame.jpg", ".geoapp/db", "deep/more.sql"):
        path = tmp_path / "geoapp" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / ".env").write_text("GEOAPP_DATABASE_URL=password")
    (tmp_path / "geoapp" / "link.py").symlink_to(tmp_path / "secret")
    with tarfile.open(fileobj=io.BytesIO(archive(tmp_path)), mode="r:gz") as tar:
        names = sorted(tar.getnames())
        assert {m.uname for m in tar.getmembers()} == {""}
    assert names == [f"geoapp-source/{n}" for n in ("LICENSE", "geoapp/app.py", "geoapp/deep/more.sql")]


def test_health_says_what_is_wrong(web: httpx.Client, site: Site) -> None:
    well = web.get("/healthz")
    assert well.status_code == 200
    assert well.json()["status"] == "ok"
    assert well.json()["city"] == "310116"
    with site.database_away():
        ill = web.get("/healthz")
        assert ill.status_code == 503
        assert ill.json()["database"] is False
        assert "geoapp_database_up 0.0" in web.get("/metrics").text
        assert web.get(f"/evidence/{uuid.uuid4()}.jpg").status_code == 503
    deadline = time.monotonic() + 15
    while web.get("/healthz").status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "geoapp_incidents_open" in web.get("/metrics").text


def test_every_reader_hears_a_committed_event_once(site: Site) -> None:
    with stream(site) as one, stream(site) as two:
        told(one, "beat")
        told(two, "beat")
        with site.connect() as connection:
            started = time.monotonic()
            made = open_incident(connection, site.home)
        for socket in (one, two):
            event = told(socket, "event", 3)
            assert event["payload"]["id"] == made["id"]
            assert event["topic"] == "incident"
        assert time.monotonic() - started < 2
        with pytest.raises(AssertionError):
            told(one, "event", 4)


def test_an_event_that_is_rolled_back_is_never_told(site: Site) -> None:
    with stream(site) as socket:
        told(socket, "beat")
        with site.connect() as connection, connection.transaction(force_rollback=True):
            connection.execute(
                "INSERT INTO watch.outbox (topic, dedupe_key, payload) VALUES ('incident', 'never', '{}')"
            )
        with pytest.raises(AssertionError):
            told(socket, "event", 4)


def test_what_was_missed_is_replayed_by_id(site: Site) -> None:
    with stream(site) as socket:
        last = told(socket, "beat")["last_id"]
    with site.connect() as connection:
        made = [open_incident(connection, site.home)["id"] for _ in range(3)]
    with stream(site, f"?after={last}") as socket:
        events = [told(socket, "event") for _ in made]
    assert [e["payload"]["id"] for e in events] == made
    assert all(e["replayed"] for e in events)
    assert [e["id"] for e in events] == sorted(e["id"] for e in events)


def test_a_late_commit_of_a_lower_id_is_told_too(site: Site) -> None:
    with stream(site) as socket, site.connect() as early, site.connect() as late:
        told(socket, "beat")
        add = "INSERT INTO watch.outbox (topic, dedupe_key, payload) VALUES ('camera_health', %s, '{}') RETURNING id"
        with late.transaction():
            low = late.execute(add, (f"low {uuid.uuid4()}",)).fetchone()
            high = early.execute(add, (f"high {uuid.uuid4()}",)).fetchone()
            assert low is not None
            assert high is not None
            assert low["id"] < high["id"]
            assert told(socket, "event")["id"] == high["id"]
        assert told(socket, "event")["id"] == low["id"]


def test_the_stream_says_that_the_database_is_away_and_goes_on(site: Site) -> None:
    with stream(site) as socket:
        told(socket, "beat")
        with site.database_away():
            away = told(socket, "away")
            assert away["since"]
        told(socket, "beat", 15)
        with site.connect() as connection:
            made = open_incident(connection, site.home)
        assert told(socket, "event")["payload"]["id"] == made["id"]


def test_a_page_of_another_site_may_not_listen(site: Site) -> None:
    from websockets.exceptions import InvalidStatus

    with pytest.raises(InvalidStatus), stream(site, origin="http://evil.example") as socket:
        socket.recv(timeout=2)


def test_after_a_long_break_the_page_is_told_to_ask_for_everything(site: Site) -> None:
    with stream(site) as socket:
        first = told(socket, "beat")["last_id"]
    with site.connect() as connection:
        made = connection.execute(
            "INSERT INTO watch.outbox (topic, dedupe_key, payload)"
            " SELECT 'camera_health', 'long break ' || n, '{}' FROM generate_series(1, %s) AS n RETURNING id",
            (REPLAY_MAX + 1,),
        ).fetchall()
    ids = sorted(row["id"] for row in made)
    with stream(site) as socket:
        while told(socket, "beat")["last_id"] < ids[-1]:
            pass
    with stream(site, f"?after={first}") as socket:
        assert json.loads(socket.recv(timeout=5))["type"] == "reload", "not the oldest rows of the gap"
        assert told(socket, "beat")["last_id"] >= ids[-1]
    with stream(site, f"?after={ids[0]}") as socket:  # as many as are replayed: each is told
        events = [json.loads(socket.recv(timeout=5)) for _ in range(REPLAY_MAX)]
        assert [e["id"] for e in events] == ids[1:]
