"""The live stream and the frames, by area: what happens in the other town is never told, and its frames are not there."""

import hashlib
import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import uvicorn
from access.asking import WHO, AsWhoever, own_home
from access.signed_in import account, sign_in
from clones import AS_OF
from fastapi import FastAPI
from small_town import COMMUNITY_A, TOWN_A, TOWN_B, add_camera, add_incident, add_site, box, small_town
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from dashboards import evidence, live
from geoapp.access.caller import Caller
from geoapp.access.sessions import end_session
from geoapp.access.web_role import web_url
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import open_pool

Connection = psycopg.Connection[dict[str, Any]]


@dataclass
class Watched:
    """Two towns with a camera each, a server over them, and who may listen."""

    owner: Connection
    base: str
    folder: Path
    callers: dict[str, Caller]
    cameras: dict[str, int]
    sites: dict[str, int]
    stream: live.Stream

    def listen(self, who: str, query: str = "", **options: Any) -> ClientConnection:
        headers = options.pop("headers", {}) | {WHO: who}
        options = {"origin": self.base, "legacy": True} | options
        return connect(f"ws{self.base[4:]}/live{query}", additional_headers=headers, **options)

    def get(self, who: str, path: str) -> httpx.Response:
        return httpx.get(self.base + path, headers={WHO: who}, timeout=20)

    def happens(self, town: str) -> str:
        """An incident with its message, in one transaction as the watch writes it; its id."""
        x = 600 if town == TOWN_A else 2600
        with self.owner.transaction():
            made = add_incident(
                self.owner, self.cameras[town], self.sites[town], datetime.now(UTC), x=x, y=100
            )
            self.owner.execute(
                "INSERT INTO watch.outbox (topic, dedupe_key, payload) VALUES ('incident', %s, %s)",
                (
                    f"incident:{made}:opened",
                    json.dumps({"id": str(made), "state": "open", "transition": "opened"}),
                ),
            )
        return str(made)

    def blind(self, town: str) -> int:
        """A message about a camera of a town; the camera."""
        self.owner.execute(
            "INSERT INTO watch.outbox (topic, dedupe_key, payload) VALUES ('camera_health', %s, %s)",
            (f"health:{uuid.uuid4()}", json.dumps({"camera_id": self.cameras[town], "observed": False})),
        )
        return self.cameras[town]

    def frame(self, incident: str) -> str:
        """A frame of an incident; its id."""
        content = b"\xff\xd8\xff" + uuid.uuid4().bytes
        name = f"{uuid.uuid4().hex}.jpg"
        (self.folder / name).write_bytes(content)
        observation = uuid.uuid4()
        self.owner.execute(
            "INSERT INTO watch.observation (id, camera_id, captured_at, received_at, observed, model_hash, boxes)"
            " SELECT %s, i.camera_id, now(), now(), true, 'test', '[]' FROM watch.incident AS i WHERE i.id = %s",
            (observation, incident),
        )
        row = self.owner.execute(
            "INSERT INTO watch.evidence (incident_id, observation_id, sha256, path, bytes, width_px, height_px, captured_at,"
            " received_at, boxes) VALUES (%s, %s, %s, %s, %s, 640, 360, now(), now(), '[]') RETURNING id",
            (incident, observation, hashlib.sha256(content).hexdigest(), name, len(content)),
        ).fetchone()
        assert row is not None
        return str(row["id"])


@pytest.fixture(scope="module")
def watched(cluster: PrivateCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with small_town(cluster, AS_OF) as owner:
        sites = {TOWN_A: add_site(owner, 600, 100), TOWN_B: add_site(owner, 2600, 100)}
        # The camera of town B looks over the border: town A is told of its health, not of what burns in town B.
        cameras = {
            TOWN_A: add_camera(owner, 600, 100, None),
            TOWN_B: add_camera(owner, 2100, 100, box(2050, 50, 200, 100)),
        }
        who = {
            "town_a": account(owner, "town_a", "duty_officer", areas=[TOWN_A]),
            "town_a2": account(owner, "town_a2", "duty_officer", areas=[TOWN_A]),
            "town_b": account(owner, "town_b", "duty_officer", areas=[TOWN_B]),
            "community_a": account(owner, "community_a", "inspector", areas=[COMMUNITY_A]),
            "planner_a": account(owner, "planner_a", "planner", areas=[TOWN_A]),
            "admin": account(owner, "admin", "admin"),
            "district": account(owner, "district", "committee"),
            "firm_b": account(owner, "firm_b", "enterprise", sites=[sites[TOWN_B]]),
            "leaver": account(owner, "leaver", "duty_officer", areas=[TOWN_A]),
            "mover": account(owner, "mover", "duty_officer", areas=[TOWN_A]),
            "disabled": account(owner, "disabled", "duty_officer", areas=[TOWN_B]),
        }
        callers = {login: sign_in(owner, number)[1] for login, number in who.items()}
        info = owner.info
        home = tmp_path_factory.mktemp("home")
        folder = tmp_path_factory.mktemp("evidence")
        with own_home(home):
            url = web_url(f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}")
        with open_pool(url, size=3) as pool, serving(url, pool, folder, callers) as (base, stream):
            yield Watched(owner, base, folder, callers, cameras, sites, stream)


@contextmanager
def serving(
    url: str, pool: Any, folder: Path, callers: dict[str, Caller]
) -> Iterator[tuple[str, live.Stream]]:
    import asyncio
    import contextlib

    stream = live.Stream(url)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> Any:
        task = asyncio.create_task(stream.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app = FastAPI(lifespan=lifespan)
    app.include_router(live.router(stream))
    app.include_router(evidence.router(pool, folder))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(AsWhoever(app, *callers.values()), host="127.0.0.1", port=port, log_level="error")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.started
    yield f"http://127.0.0.1:{port}", stream
    server.should_exit = True
    thread.join(15)


def told(socket: ClientConnection, kind: str, seconds: float = 10) -> dict[str, Any]:
    """The next message of a type."""
    deadline = time.monotonic() + seconds
    with suppress(TimeoutError):
        while time.monotonic() < deadline:
            said = json.loads(socket.recv(timeout=max(0.01, deadline - time.monotonic())))
            if said["type"] == kind:
                return said
    raise AssertionError(f"no {kind} within {seconds} s")


def heard(socket: ClientConnection, until: int) -> list[dict[str, Any]]:
    """Events up to the beat that says that all up to an outbox id has been told."""
    found = []
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        said = json.loads(socket.recv(timeout=10))
        if said["type"] == "event":
            found.append(said)
        elif said["type"] == "beat" and said["last_id"] >= until:
            return found
    raise AssertionError("no beat")


def newest(watched: Watched) -> int:
    row = watched.owner.execute("SELECT max(id) AS id FROM watch.outbox").fetchone()
    assert row is not None
    return int(row["id"] or 0)


def subjects(events: list[dict[str, Any]]) -> list[Any]:
    return [e["payload"].get("id") or e["payload"].get("camera_id") for e in events]


def test_each_town_hears_its_own_at_once_and_nothing_else(watched: Watched) -> None:
    names = ("town_a", "town_a2", "town_b", "district", "community_a", "firm_b")
    sockets = {who: watched.listen(who) for who in names}
    try:
        for one in sockets.values():
            told(one, "beat")
        started = time.monotonic()
        a, b = watched.happens(TOWN_A), watched.happens(TOWN_B)
        over_the_border, inside = watched.blind(TOWN_B), watched.blind(TOWN_A)
        assert told(sockets["town_a"], "event", 2)["payload"]["id"] == a
        assert time.monotonic() - started < 2
        last = newest(watched)
        rest = {who: heard(one, last) for who, one in sockets.items()}
        assert subjects(rest["town_a"]) == [inside]
        assert subjects(rest["town_a2"]) == [a, inside], "each of the same scope hears all"
        assert subjects(rest["community_a"]) == [a, inside]
        assert subjects(rest["town_b"]) == [b, over_the_border]
        assert subjects(rest["district"]) == [a, b, over_the_border, inside], "in order"
        assert b in subjects(rest["firm_b"])
        assert a not in subjects(rest["firm_b"])
        assert len(watched.stream.groups) == 5, "two of the six may see the same: they are read for once"
    finally:
        for one in sockets.values():
            one.close()


@pytest.mark.long
def test_what_was_missed_is_replayed_from_the_own_area_only(watched: Watched) -> None:
    with watched.listen("town_a") as one:
        after = told(one, "beat")["last_id"]
    a, b = watched.happens(TOWN_A), watched.happens(TOWN_B)
    for who, own in (("town_a", [a]), ("town_b", [b]), ("district", [a, b])):
        with watched.listen(who, f"?after={after}") as one:
            events = [e for e in heard(one, newest(watched)) if e["replayed"]]
            assert subjects(events) == own
    # The count of ids is no way in: from the very beginning a town gets its own all the same.
    with watched.listen("town_b", "?after=0") as one:
        assert a not in subjects(heard(one, newest(watched)))


def test_a_late_commit_of_a_lower_id_is_told_to_its_area(watched: Watched) -> None:
    info = watched.owner.info
    url = f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
    add = (
        "INSERT INTO watch.outbox (topic, dedupe_key, payload) VALUES ('camera_health', %s, %s) RETURNING id"
    )
    with psycopg.connect(url) as late:
        low = late.execute(
            add, (str(uuid.uuid4()), json.dumps({"camera_id": watched.cameras[TOWN_A]}))
        ).fetchone()
        assert low is not None
        with watched.listen("town_a") as a, watched.listen("district") as all_:
            told(a, "beat")
            told(all_, "beat")
            high = watched.blind(TOWN_B)
            assert told(all_, "event")["payload"]["camera_id"] == high
            late.commit()
            assert told(a, "event", 3)["id"] == low[0]
            assert told(all_, "event", 3)["id"] == low[0]


def closed(one: ClientConnection, seconds: float, texts: list[str] | None = None) -> int | None:
    """The code with which the other side closes within some seconds; what it says before is added to `texts`."""
    deadline = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline:
            said = str(one.recv(timeout=max(0.01, deadline - time.monotonic())))
            if texts is not None:
                texts.append(said)
    except ConnectionClosed as end:
        return end.rcvd.code if end.rcvd else None
    except TimeoutError:
        pass
    return None


def test_whoever_signs_out_is_told_nothing_more(watched: Watched) -> None:
    with watched.listen("leaver") as one, watched.listen("town_a") as other:
        told(one, "beat")
        session = watched.callers["leaver"].session_id
        assert session is not None
        end_session(watched.owner, session, "signed_out", datetime.now(UTC))
        made = watched.happens(TOWN_A)
        assert told(other, "event", 3)["payload"]["id"] == made
        texts: list[str] = []
        assert closed(one, 15, texts) == live.SIGNED_OUT
        assert not any(made in text for text in texts)


def test_a_disabled_account_and_an_idle_session_are_closed(watched: Watched) -> None:
    with watched.listen("disabled") as one:
        told(one, "beat")
        watched.owner.execute("UPDATE access.account SET disabled_at = now() WHERE login = 'disabled'")
        assert closed(one, 15) == live.SIGNED_OUT
    idle = sign_in(watched.owner, watched.callers["town_a"].account_id)[1]
    listener = live.Listener(idle)
    watched.owner.execute(
        "UPDATE access.session SET idle_until = now() - interval '1 s' WHERE id = %s", (idle.session_id,)
    )
    assert listener.key not in watched.stream._callers([listener])


def test_another_area_takes_effect_in_an_open_stream(watched: Watched) -> None:
    mover = watched.callers["mover"].account_id
    with watched.listen("mover") as one, watched.listen("town_a") as stays:
        told(one, "beat")
        told(stays, "beat")
        with watched.owner.transaction():
            watched.owner.execute("DELETE FROM access.account_area WHERE account_id = %s", (mover,))
            watched.owner.execute("INSERT INTO access.account_area VALUES (%s, %s)", (mover, TOWN_B))
        assert told(one, "reload", 15), "what its page shows is not its area any more"
        a, b = watched.happens(TOWN_A), watched.happens(TOWN_B)
        last = newest(watched)
        assert subjects(heard(one, last)) == [b]
        assert subjects(heard(stays, last)) == [a]


def test_rows_are_read_for_the_scope_that_the_maps_have(watched: Watched) -> None:
    """Whoever is moved between two looks at the sessions never lends its new area to the maps of its old one."""
    stale = replace(
        watched.callers["mover"], areas=("310116999000",)
    )  # what a map was opened with before the move
    with pytest.raises(live.ScopeChanged):
        watched.stream._rows(stale, 0, 0)


def test_strangers_other_sites_and_pages_without_origin_do_not_listen(watched: Watched) -> None:
    with watched.listen("nobody") as one:
        assert closed(one, 5) == live.SIGNED_OUT
    for origin in ("http://evil.example", None, "null", watched.base + ".evil.example", "http://["):
        with pytest.raises(InvalidStatus), watched.listen("town_a", origin=origin) as one:
            one.recv(timeout=2)


def test_a_session_opens_ten_streams_and_no_more(watched: Watched) -> None:
    sockets = [watched.listen("town_b") for _ in range(live.SOCKETS_PER_SESSION)]
    try:
        for one in sockets:
            told(one, "beat")
        with pytest.raises(InvalidStatus):
            watched.listen("town_b")
        watched.listen("town_a").close()
    finally:
        for one in sockets:
            one.close()
    deadline = time.monotonic() + 5
    while watched.stream.open_maps and time.monotonic() < deadline:
        time.sleep(0.05)
    assert watched.stream.groups == {}, "nobody looks: nothing is read"


def test_a_map_that_does_not_read_is_cut_off_and_keeps_no_memory() -> None:
    import asyncio

    async def fill() -> list[Any]:
        listener = live.Listener(
            Caller(1, "x", "", ("analyst",), "district", "geoapp_x_000000", session_id="1")
        )
        for n in range(live.QUEUE_MAX + 5):
            listener.tell({"n": n})
            if listener.queue.qsize() == 1 and n:
                break
        return [listener.queue.get_nowait() for _ in range(listener.queue.qsize())]

    assert asyncio.run(fill()) == [live.TOO_SLOW]


def test_a_map_that_goes_while_its_account_is_looked_at_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    def officer(areas: tuple[str, ...]) -> Caller:
        return Caller(1, "x", "", ("duty_officer",), "town", "geoapp_x_000000", areas=areas, session_id="1")

    monkeypatch.setattr(live, "open_pool", lambda *_, **__: None)
    stream = live.Stream("")
    went, stays = live.Listener(officer((TOWN_A,))), live.Listener(officer((TOWN_A,)))

    def look(_: list[live.Listener]) -> dict[str, Caller]:
        stream.leave(went)  # the browser is closed in this very moment
        return {went.key: officer((TOWN_B,))}

    monkeypatch.setattr(stream, "_callers", look)

    async def looked() -> None:
        for listener in (went, stays):
            await stream.join(listener)
        await stream._look_at_sessions()

    stream.away_since = datetime.now(UTC)  # join reads nothing
    asyncio.run(looked())
    assert [group.listeners for group in stream.groups.values()] == [{stays}]
    assert went.queue.empty()
    assert stays.queue.get_nowait() == {"type": "reload"}


# --- frames --------------------------------------------------------------------------------------------------


def looks(watched: Watched, frame: str) -> list[dict[str, Any]]:
    return watched.owner.execute(
        "SELECT login, town_code, reason, ok, detail FROM access.audit WHERE action = 'look_at_evidence' AND subject_id = %s ORDER BY id",
        (frame,),
    ).fetchall()


def test_a_frame_is_shown_in_its_area_and_the_look_is_on_record(watched: Watched) -> None:
    frame = watched.frame(watched.happens(TOWN_A))
    for who in ("town_a", "district", "community_a"):
        answer = watched.get(who, f"/evidence/{frame}.jpg?why=核实火情")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "private, max-age=60"
        assert "Cookie" in answer.headers["vary"]
        assert "etag" not in answer.headers
    found = looks(watched, frame)
    assert [(f["login"], f["town_code"], f["reason"], f["ok"]) for f in found] == [
        (who, TOWN_A, "核实火情", True) for who in ("town_a", "district", "community_a")
    ]


def test_a_frame_of_another_town_looks_like_none(watched: Watched) -> None:
    frame = watched.frame(watched.happens(TOWN_A))
    other, nothing = (
        watched.get("town_b", f"/evidence/{frame}.jpg"),
        watched.get("town_b", f"/evidence/{uuid.uuid4()}.jpg"),
    )
    assert other.status_code == nothing.status_code == 404
    assert other.content == nothing.content
    assert watched.get("firm_b", f"/evidence/{frame}.jpg").status_code == 404
    assert looks(watched, frame) == []


def test_whose_role_does_not_look_at_frames_is_refused_wherever_they_are(watched: Watched) -> None:
    a, b = watched.frame(watched.happens(TOWN_A)), watched.frame(watched.happens(TOWN_B))
    for who in ("planner_a", "admin"):
        for frame in (a, b, str(uuid.uuid4())):
            answer = watched.get(who, f"/evidence/{frame}.jpg")
            assert answer.status_code == 403
            refused = watched.owner.execute(
                "SELECT login, action, ok FROM access.audit ORDER BY id DESC LIMIT 1"
            ).fetchone()
            assert refused == {"login": who, "action": "refused", "ok": False}
    assert watched.get("nobody", f"/evidence/{a}.jpg").status_code == 401


def test_a_frame_that_is_not_the_one_that_was_stored_is_not_shown_and_that_is_on_record(
    watched: Watched,
) -> None:
    frame = watched.frame(watched.happens(TOWN_A))
    row = watched.owner.execute("SELECT path FROM watch.evidence WHERE id = %s", (frame,)).fetchone()
    assert row is not None
    stored = watched.folder / row["path"]
    stored.write_bytes(stored.read_bytes() + b"x")
    assert watched.get("town_a", f"/evidence/{frame}.jpg").status_code == 409
    stored.unlink()
    assert watched.get("town_a", f"/evidence/{frame}.jpg").status_code == 404
    assert [(f["ok"], f["detail"].get("fault")) for f in looks(watched, frame)] == [
        (False, "SHA-256 differs"), (False, "file is missing"),
    ]  # fmt: skip
