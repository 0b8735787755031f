"""Cameras that ask who looks: Basic and Digest over real HTTP, with the right account, a wrong one and none."""

import asyncio
import base64
import hashlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from watching import EAST, NORTH, SRID, T0, CameraServer, Script, add_camera, claim_one, gb_id, picture, send

from detection.config import FetchConfig
from detection.sources.http_snapshot import HttpSnapshot
from detection.types import Camera, Credentials, Frame, Reason, Unobserved
from detection.watch import utc_now
from geoapp.access import sealing
from geoapp.settings import settings

Connection = psycopg.Connection[dict[str, Any]]
GOOD = picture(1)
ACCOUNT = "viewer", "p@ss:w/ö rd"
HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}


def refuse(handler: BaseHTTPRequestHandler, *challenges: str) -> None:
    handler.send_response(401)
    for challenge in challenges:
        handler.send_header("WWW-Authenticate", challenge)
    handler.send_header("Content-Length", "0")
    handler.end_headers()


def basic(user: str, password: str) -> Script:
    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def script(count: int, handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Authorization") == wanted:
            send(GOOD)(count, handler)
        else:
            refuse(handler, 'Basic realm="camera"')

    return script


class Digest:
    """RFC 7616 with qop=auth, reckoned here from the standard's formula; a nonce is good for `uses` answers."""

    def __init__(self, user: str, password: str, *, algorithm: str = "MD5", uses: int = 1000) -> None:
        self.user, self.password, self.algorithm, self.uses = user, password, algorithm, uses
        self.nonces: dict[str, int] = {}

    def __call__(self, count: int, handler: BaseHTTPRequestHandler) -> None:
        if self._is_right(handler):
            send(GOOD)(count, handler)
            return
        nonce = secrets.token_hex(8)
        self.nonces[nonce] = 0
        refuse(
            handler,
            'Basic realm="camera"',
            f'Digest realm="camera", nonce="{nonce}", qop="auth", algorithm={self.algorithm}',
        )

    def _is_right(self, handler: BaseHTTPRequestHandler) -> bool:
        header = handler.headers.get("Authorization", "")
        if not header.startswith("Digest "):
            return False
        said = {k: a or b for k, a, b in re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]*))', header)}
        nonce = said["nonce"]
        if self.nonces.get(nonce, self.uses) >= self.uses:
            return False

        def digest(text: str) -> str:
            return HASHES[self.algorithm](text.encode()).hexdigest()

        first = digest(f"{self.user}:camera:{self.password}")
        second = digest(f"GET:{handler.path}")
        wanted = digest(f"{first}:{nonce}:{said['nc']}:{said['cnonce']}:auth:{second}")
        self.nonces[nonce] += said["response"] == wanted
        return said["response"] == wanted


def camera(url: str, user: str = "", password: str = "") -> Camera:
    credentials = Credentials(SecretStr(user), SecretStr(password)) if user or password else None
    return Camera(1, gb_id(1), "测试", url, 10, EAST, NORTH, SRID, credentials=credentials)


def grab(*cameras: Camera, **limits: float) -> list[Frame | Unobserved]:
    """One look after the other, from one source."""

    async def ask() -> list[Frame | Unobserved]:
        source = HttpSnapshot(FetchConfig(**limits), clock=utc_now)  # type: ignore[arg-type]
        try:
            return [await source.grab(one) for one in cameras]
        finally:
            await source.close()

    return asyncio.run(ask())


def reason(answer: Frame | Unobserved) -> Reason | None:
    return answer.reason if isinstance(answer, Unobserved) else None


ASKING = [
    pytest.param(basic, id="basic"),
    pytest.param(Digest, id="digest"),
    pytest.param(lambda u, p: Digest(u, p, algorithm="SHA-256"), id="digest sha-256"),
    pytest.param(lambda u, p: Digest(u, p, uses=1), id="digest, a nonce a look"),
]


@pytest.mark.parametrize("asks", ASKING)
def test_the_right_account_sees(server: CameraServer, asks: Any) -> None:
    server.scripts["a"] = asks(*ACCOUNT)
    for answer in grab(*[camera(server.url("a"), *ACCOUNT)] * 3):
        assert isinstance(answer, Frame)
        assert answer.data == GOOD


def test_what_was_asked_before_is_answered_at_once(server: CameraServer) -> None:
    for name, asks in (("basic", basic), ("digest", Digest)):
        server.scripts[name] = asks(*ACCOUNT)
        grab(*[camera(server.url(name), *ACCOUNT)] * 4)
        assert server.asked[name] == 5  # one challenge, then one request a look


@pytest.mark.parametrize("asks", ASKING)
@pytest.mark.parametrize("wrong", [("viewer", "other"), ("other", ACCOUNT[1]), ("viewer", "")])
def test_a_wrong_account_is_said_and_not_tried_again_and_again(
    server: CameraServer, asks: Any, wrong: tuple[str, str]
) -> None:
    server.scripts["a"] = asks(*ACCOUNT)
    answers = grab(*[camera(server.url("a"), *wrong)] * 5)
    assert [reason(a) for a in answers] == [Reason.UNAUTHORIZED] * 5
    assert server.asked["a"] == 2  # the challenge and one answer: five wrong ones would lock the account
    for answer in answers:
        assert wrong[1] == "" or wrong[1] not in repr(answer)


def test_a_changed_password_is_tried_at_once(server: CameraServer) -> None:
    server.scripts["a"] = Digest(*ACCOUNT)
    wrong, right = camera(server.url("a"), "viewer", "other"), camera(server.url("a"), *ACCOUNT)
    assert [reason(a) for a in grab(wrong, wrong, right, right)] == [
        Reason.UNAUTHORIZED,
        Reason.UNAUTHORIZED,
        None,
        None,
    ]


def test_after_the_pause_it_is_tried_again(server: CameraServer) -> None:
    server.scripts["a"] = basic(*ACCOUNT)
    grab(*[camera(server.url("a"), "viewer", "other")] * 3, unauthorized_pause_s=0)
    assert server.asked["a"] >= 4


def test_a_camera_that_asks_and_has_no_account_stored(server: CameraServer) -> None:
    server.scripts["a"] = basic(*ACCOUNT)
    assert [reason(a) for a in grab(camera(server.url("a")))] == [Reason.HTTP_401]


def test_an_account_goes_only_to_a_camera_that_asks(server: CameraServer) -> None:
    heard: list[str | None] = []

    def script(count: int, handler: BaseHTTPRequestHandler) -> None:
        heard.append(handler.headers.get("Authorization"))
        send(GOOD)(count, handler)

    server.scripts["a"] = script
    grab(*[camera(server.url("a"), *ACCOUNT)] * 2)
    assert heard == [None, None]


def test_basic_is_not_sent_where_digest_is_offered(server: CameraServer) -> None:
    heard: list[str] = []
    digest = Digest(*ACCOUNT)

    def script(count: int, handler: BaseHTTPRequestHandler) -> None:
        heard.append(handler.headers.get("Authorization", ""))
        digest(count, handler)

    server.scripts["a"] = script
    grab(*[camera(server.url("a"), *ACCOUNT)] * 2)
    assert not any(h.startswith("Basic") for h in heard)


@pytest.mark.parametrize(
    "challenge",
    [
        "Digest",
        "Digest realm=x",
        'Digest realm="a", nonce="b", algorithm=SHA-999',
        'Digest realm="a", nonce="b", qop="auth-int"',
        "Negotiate",
        'Digest realm="' + "x" * 5000 + '"',
    ],
)
def test_a_challenge_that_cannot_be_answered_is_no_fault(server: CameraServer, challenge: str) -> None:
    server.scripts["a"] = lambda _, handler: refuse(handler, challenge)
    (answer,) = grab(camera(server.url("a"), *ACCOUNT))
    assert reason(answer) is Reason.HTTP_401


def test_an_account_in_the_address_is_filled_in_for_the_request_alone(server: CameraServer) -> None:
    heard: list[str] = []

    def script(count: int, handler: BaseHTTPRequestHandler) -> None:
        heard.append(handler.path)
        if "pwd=p%40ss%3Aw%2F%C3%B6%20rd" in handler.path:
            send(GOOD)(count, handler)
        else:
            refuse(handler)

    server.scripts["a"] = script
    url = server.url("a") + "?usr={username}&pwd={password}"
    right, wrong, none = grab(camera(url, *ACCOUNT), camera(url, "viewer", "other"), camera(url))
    assert isinstance(right, Frame)
    assert reason(wrong) is Reason.UNAUTHORIZED
    assert reason(none) is Reason.HTTP_401
    assert len(heard) == 2  # without an account the camera is not asked
    assert "usr=viewer" in heard[0]


def test_an_account_does_not_follow_a_redirect(server: CameraServer) -> None:
    elsewhere = CameraServer()
    try:
        elsewhere.scripts["b"] = basic(*ACCOUNT)

        def script(_: int, handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(302)
            handler.send_header("Location", elsewhere.url("b"))
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        server.scripts["a"] = script
        (answer,) = grab(camera(server.url("a"), *ACCOUNT))
        assert reason(answer) is Reason.HTTP_REDIRECT
        assert elsewhere.asked == {}
    finally:
        elsewhere.close()


def test_the_body_of_a_challenge_is_not_read(server: CameraServer) -> None:
    """A 401 with an endless page must cost nothing."""
    digest = Digest(*ACCOUNT)

    def script(count: int, handler: BaseHTTPRequestHandler) -> None:
        if "Authorization" in handler.headers:
            digest(count, handler)
            return
        nonce = secrets.token_hex(8)
        digest.nonces[nonce] = 0
        handler.send_response(401)
        handler.send_header(
            "WWW-Authenticate", f'Digest realm="camera", nonce="{nonce}", qop="auth", algorithm=MD5'
        )
        handler.end_headers()
        try:
            for _ in range(10_000):
                handler.wfile.write(b"x" * 100_000)
        except OSError:
            return

    server.scripts["a"] = script
    (answer,) = grab(camera(server.url("a"), *ACCOUNT), total_s=5.0)
    assert isinstance(answer, Frame)


# -- from the database ------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ground: Connection) -> Iterator[Path]:
    monkeypatch.setenv("GEOAPP_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield tmp_path / "home"
    ground.execute("DELETE FROM access.secret")
    settings.cache_clear()


def test_a_claim_brings_the_cameras_own_account(ground: Connection, home: Path) -> None:
    add_camera(ground, 1, "http://127.0.0.1:1/a")
    assert claim_one(ground, T0).camera.credentials is None
    for field, value in (("username", ACCOUNT[0]), ("password", ACCOUNT[1])):
        sealing.put_secret(ground, "camera", gb_id(1), field, value, "test")
        sealing.put_secret(ground, "camera", gb_id(2), field, "another's", "test")
    ground.execute("UPDATE watch.scan_due SET lease_until = NULL")
    claimed = claim_one(ground, T0)
    assert claimed.camera.credentials == Credentials(SecretStr(ACCOUNT[0]), SecretStr(ACCOUNT[1]))
    for part in ACCOUNT:
        assert part not in repr(claimed)


@pytest.mark.parametrize("how", ["missing", "another", "open to others", "row altered", "row moved"])
def test_an_account_that_cannot_be_opened_is_a_reason_of_its_own(
    ground: Connection, home: Path, server: CameraServer, how: str
) -> None:
    server.scripts["a"] = basic(*ACCOUNT)
    add_camera(ground, 1, server.url("a"))
    owner = gb_id(2) if how == "row moved" else gb_id(1)
    sealing.put_secret(ground, "camera", owner, "password", ACCOUNT[1], "test")
    path = settings().key_path
    if how in ("missing", "another"):
        path.unlink()
    if how == "another":
        sealing.keys()
    if how == "open to others":
        path.chmod(0o644)
    if how == "row altered":
        ground.execute("UPDATE access.secret SET sealed = sealed || 'x'::bytea")
    if how == "row moved":
        ground.execute("UPDATE access.secret SET subject_id = %s", (gb_id(1),))
    claim = claim_one(ground, T0)
    (answer,) = grab(replace(claim.camera))
    assert reason(answer) is Reason.CREDENTIALS_UNREADABLE
    assert "a" not in server.asked
    assert path.exists() == (how != "missing")  # the watch makes no key in place of a lost one
