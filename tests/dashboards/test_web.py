"""Evidence, health, headers and the live stream over HTTP, without a browser."""

import contextlib
import io
import json
import re
import tarfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from psycopg import sql
from screens import Site, open_incident
from websockets.sync.client import ClientConnection, connect

from dashboards.live import REPLAY_MAX
from dashboards.source import archive
from geoapp.database.sql_files import read_sql
from geoapp.settings import REPOSITORY


@pytest.fixture(scope="module")
def web(site: Site) -> httpx.Client:
    """Somebody of the committee, for the whole district."""
    return site.client("committee")


def stream(site: Site, query: str = "", login: str = "committee", **options: Any) -> ClientConnection:
    headers = {"Cookie": f"geoapp_session={site.cookie(login)}"}
    options = {"origin": site.base} | options
    return connect(f"ws{site.base[4:]}/live{query}", additional_headers=headers, legacy=True, **options)


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


def asked(client: httpx.Client, output: str, inputs: dict[str, Any], state: dict[str, Any]) -> Any:
    """What a Dash callback answers to a browser: the new properties by "id.property"."""

    def listed(values: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"id": k.split(".")[0], "property": k.split(".")[1], "value": v} for k, v in values.items()]

    name, prop = output.split(".")
    body = {
        "output": output,
        "outputs": {"id": name, "property": prop},
        "inputs": listed(inputs),
        "changedPropIds": list(inputs),
        "state": listed(state),
    }
    answer = client.post("/_dash-update-component", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["response"][name][prop]


PAGE = {"page-state.data": {"lang": "zh", "zone": "Asia/Shanghai"}}


def test_panels_are_made_for_whoever_asks(site: Site) -> None:
    """Through Dash, as a browser does: the figures are those of SQL under the caller's role, each time, in any order."""

    def by_sql(login: str) -> dict[str, float]:
        with site.connect() as owner, owner.transaction():
            row = owner.execute("SELECT db_role FROM access.account WHERE login = %s", (login,)).fetchone()
            assert row is not None
            owner.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(row["db_role"])))
            rows = owner.execute("SELECT name, value FROM analysis.headline").fetchall()
        return {r["name"]: r["value"] for r in rows}

    def shown(client: httpx.Client) -> dict[str, float | None]:
        # Dash gives a component's attributes in any order.
        text = json.dumps(asked(client, "figures.children", {"slow-tick.data": {}}, PAGE), sort_keys=True)
        pairs = re.findall(r'"data-figure": "(\w+)", "data-lens": "\w*", "data-value": "([^"]*)"', text)
        return {name: float(value) if value else None for name, value in pairs}

    logins = ("committee", "duty_officer", "neighbour", "community")
    clients = {login: site.client(login) for login in logins}
    expected = {login: by_sql(login) for login in logins}
    assert len({json.dumps(e, sort_keys=True) for e in expected.values()}) == len(logins), (
        "four different areas"
    )
    for _ in range(2):
        with ThreadPoolExecutor(4) as at_once:
            found = dict(zip(logins, at_once.map(lambda one: shown(clients[one]), logins), strict=True))
        for login in logins:
            assert len(found[login]) == 6
            assert found[login] == {name: expected[login].get(name) for name in found[login]}, login


def test_search_and_drawer_know_the_own_town_only(site: Site) -> None:
    with site.connect() as owner:
        rows = owner.execute(
            "SELECT id, name_zh, cell_code FROM registry.site WHERE id = ANY (%s)",
            ([site.people.own_site, site.people.other_site],),
        ).fetchall()
    own, other = (
        next(r for r in rows if r["id"] == n) for n in (site.people.own_site, site.people.other_site)
    )
    officer, neighbour = site.client("duty_officer"), site.client("neighbour")
    for client, mine, theirs in ((officer, own, other), (neighbour, other, own)):
        for place, there in ((mine, True), (theirs, False)):
            found = asked(client, "search.data", {"search.searchValue": place["name_zh"]}, PAGE)
            assert (f"site:{place['id']}" in [o["value"] for o in found]) is there
            cells = asked(client, "search.data", {"search.searchValue": place["cell_code"]}, PAGE)
            assert (f"cell:{place['cell_code']}" in [o["value"] for o in cells]) is there
            for kind, key in (("site", place["id"]), ("cell", place["cell_code"])):
                drawer = _drawer(client, kind, key)
                assert (place["name_zh"] in drawer) is there


def _drawer(client: httpx.Client, kind: str, key: object) -> str:
    body = {
        "output": "..drawer.children...fly-to.data..",
        "outputs": [{"id": "drawer", "property": "children"}, {"id": "fly-to", "property": "data"}],
        "inputs": [{"id": "selection", "property": "data", "value": {"kind": kind, "id": str(key)}}],
        "changedPropIds": ["selection.data"],
        "state": [{"id": "page-state", "property": "data", "value": PAGE["page-state.data"]}],
    }
    answer = client.post("/_dash-update-component", json=body)
    assert answer.status_code == 200, answer.text
    return json.dumps(answer.json()["response"]["drawer"]["children"], ensure_ascii=False)


def test_who_may_review_has_a_desk_and_who_may_not_look_has_no_frame(site: Site) -> None:
    with site.connect() as connection:
        made = open_incident(connection, site.home)
        connection.execute(
            "UPDATE watch.incident SET town_code = %s WHERE id = %s", (site.people.town, made["id"])
        )
    for login, reviews, looks in (
        ("duty_officer", True, True),
        ("inspector", False, True),
        ("committee", False, True),
        ("planner", False, False),
        ("analyst", False, False),
        ("admin", False, False),
    ):
        client = site.client(login)
        drawer = _drawer(client, "incident", made["id"])
        assert f"#{made['no']}" in drawer, login
        assert ("review-desk" in drawer) is reviews, login
        assert (f"/evidence/{made['evidence']}.jpg" in drawer) is looks, login
        assert client.get(f"/evidence/{made['evidence']}.jpg").status_code == (200 if looks else 403), login
        answer = client.post(f"/incidents/{made['id']}/review", json={"review": "confirmed"})
        assert answer.status_code == (200 if reviews else 403), login
    assert f"#{made['no']}" not in _drawer(site.client("neighbour"), "incident", made["id"])
    # Without the token of the page nothing is done, whoever asks.
    forged = site.client("duty_officer")
    del forged.headers["X-CSRFToken"]
    assert forged.post(f"/incidents/{made['id']}/review", json={"review": "permitted"}).status_code == 403
    with site.connect() as connection:
        row = connection.execute("SELECT review FROM watch.incident WHERE id = %s", (made["id"],)).fetchone()
    assert row == {"review": "confirmed"}


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
    # Somebody else's question, brought by a proxy: whether it is well, and nothing of what it holds.
    stranger = site.client(None).get("/healthz", headers={"X-Forwarded-For": "203.0.113.9"})
    assert (stranger.status_code, stranger.json()) == (200, {"status": "ok"})
    assert site.client(None).get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code in (
        401,
        404,
    )
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
