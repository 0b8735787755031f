"""ONVIF and ISAPI over real HTTP: a device that checks tokens as the standards say, with a clock of its own."""

import asyncio
import base64
import hashlib
import re
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr
from test_camera_credentials import Digest
from watching import EAST, NORTH, SRID, CameraServer, gb_id, picture

from detection.config import FetchConfig, OnvifConfig
from detection.sources.http_snapshot import HttpSnapshot
from detection.sources.isapi import IsapiSource, picture_address
from detection.sources.onvif import OnvifSource
from detection.types import Camera, Credentials, Frame, Reason, Unobserved
from detection.watch import utc_now

GOOD = picture(1)
ACCOUNT = "viewer", 'p@ss<&>"w/rd'


class Device:
    """An ONVIF camera. off_h: its clock minus the right one. knobs set what is odd about it."""

    def __init__(self, off_h: float = 0.0, *, asks: bool = True) -> None:
        self.off, self.asks = timedelta(hours=off_h), asks
        self.asked: Counter[str] = Counter()
        self.snapshot = "/snap"
        self.named_host = ""  # what the device believes its own address to be
        self.garbage: bytes | None = None
        self.tells_time = True
        self.nonces: set[str] = set()
        device = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, answer = device.answer(body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def do_GET(self) -> None:
                device.asked["GET"] += 1
                found = self.path == device.snapshot
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(GOOD) if found else 0))
                self.end_headers()
                self.wfile.write(GOOD if found else b"")

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, body: str) -> tuple[int, bytes]:
        found = re.search(r"<(?:\w+:)?(Get\w+)", body)
        assert found is not None
        word = found[1]
        self.asked[word] += 1
        if self.garbage is not None:
            return 200, self.garbage
        if word == "GetSystemDateAndTime":
            return 200, self._time()
        if self.asks and not self._is_right(body):
            return 400, fault("NotAuthorized", "Sender not authorized")
        return self._media(word, body)

    def _media(self, word: str, body: str) -> tuple[int, bytes]:
        host = self.named_host or f"127.0.0.1:{self.port}"
        token = re.search(r"<ProfileToken>(.*)</ProfileToken>", body)
        if token is not None and token[1] not in ("main", "sub"):
            return 500, fault("NoProfile", "no such profile")
        said = {
            "GetCapabilities": f"<t:Capabilities><t:Media><t:XAddr>http://{host}/onvif/media</t:XAddr></t:Media></t:Capabilities>",
            "GetProfiles": '<t:Profiles token="main"/><t:Profiles token="sub"/>',
            "GetSnapshotUri": f"<t:MediaUri><t:Uri>http://{host}{self.snapshot}</t:Uri></t:MediaUri>",
        }
        return 200, soap(said[word])

    def _time(self) -> bytes:
        if not self.tells_time:
            return fault("ActionNotSupported", "")
        now = datetime.now(UTC) + self.off
        return soap(
            "<t:UTCDateTime>"
            f"<t:Time><t:Hour>{now.hour}</t:Hour><t:Minute>{now.minute}</t:Minute><t:Second>{now.second}</t:Second></t:Time>"
            f"<t:Date><t:Year>{now.year}</t:Year><t:Month>{now.month}</t:Month><t:Day>{now.day}</t:Day></t:Date>"
            "</t:UTCDateTime>"
        )

    def _is_right(self, body: str) -> bool:
        """WS-UsernameToken: the digest, a nonce used once, and a time within five seconds of its own clock."""
        user, password, nonce, created = (
            found[1] if (found := re.search(rf"<ws\w+:{name}(?: [^>]*)?>([^<]*)<", body)) else ""
            for name in ("Username", "Password", "Nonce", "Created")
        )
        if not created or nonce in self.nonces:
            return False
        self.nonces.add(nonce)
        at = datetime.fromisoformat(created)
        raw = base64.b64decode(nonce) + created.encode() + ACCOUNT[1].encode()
        wanted = base64.b64encode(hashlib.sha1(raw, usedforsecurity=False).digest()).decode()
        is_now = abs(at - (datetime.now(UTC) + self.off)) < timedelta(seconds=5)
        return (user, password) == (ACCOUNT[0], wanted) and is_now


def soap(body: str) -> bytes:
    return (
        '<?xml version="1.0"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope" xmlns:t="http://www.onvif.org/x">'
        f"<e:Body><t:Response>{body}</t:Response></e:Body></e:Envelope>"
    ).encode()


def fault(code: str, text: str) -> bytes:
    return (
        '<?xml version="1.0"?><e:Envelope xmlns:e="http://www.w3.org/2003/05/soap-envelope"><e:Body><e:Fault>'
        f"<e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>ter:{code}</e:Value></e:Subcode></e:Code>"
        f"<e:Reason><e:Text>{text}</e:Text></e:Reason></e:Fault></e:Body></e:Envelope>"
    ).encode()


@pytest.fixture
def device() -> Iterator[Device]:
    one = Device()
    yield one
    one.close()


def camera(url: str, account: tuple[str, str] | None = ACCOUNT) -> Camera:
    held = None if account is None else Credentials(SecretStr(account[0]), SecretStr(account[1]))
    return Camera(1, gb_id(1), "测试", url, 10, EAST, NORTH, SRID, credentials=held)


def grab(*cameras: Camera, config: OnvifConfig | None = None, **limits: float) -> list[Frame | Unobserved]:
    """One look after the other, from one source."""

    async def ask() -> list[Frame | Unobserved]:
        fetch = FetchConfig(**limits)  # type: ignore[arg-type]
        http = HttpSnapshot(fetch, clock=utc_now)
        source = OnvifSource(config or OnvifConfig(), fetch, http, clock=utc_now)
        try:
            return [await source.grab(one) for one in cameras]
        finally:
            await http.close()

    return asyncio.run(ask())


def reason(answer: Frame | Unobserved) -> Reason | None:
    return answer.reason if isinstance(answer, Unobserved) else None


@pytest.mark.parametrize("off_h", [0.0, -8.0, 30.0])
def test_a_device_is_asked_once_and_its_clock_is_measured(off_h: float) -> None:
    device = Device(off_h)
    try:
        answers = grab(*[camera(f"onvif://127.0.0.1:{device.port}")] * 3)
    finally:
        device.close()
    for answer in answers:
        assert isinstance(answer, Frame), answer
        assert answer.data == GOOD
        assert answer.clock_offset_s == pytest.approx(off_h * 3600, abs=1.5)
    # A token with our time would be refused by a clock that is hours off.
    assert device.asked == {
        "GetSystemDateAndTime": 1,
        "GetCapabilities": 1,
        "GetProfiles": 1,
        "GetSnapshotUri": 1,
        "GET": 3,
    }


def test_a_named_profile_is_taken(device: Device) -> None:
    assert isinstance(grab(camera(f"onvif://127.0.0.1:{device.port}/sub"))[0], Frame)
    assert device.asked["GetProfiles"] == 0
    (answer,) = grab(camera(f"onvif://127.0.0.1:{device.port}/nothing"))
    assert reason(answer) is Reason.ONVIF_FAULT
    assert "NoProfile" in repr(answer)


def test_a_wrong_account_is_tried_once(device: Device) -> None:
    wrong = camera(f"onvif://127.0.0.1:{device.port}", ("viewer", "S3cret"))
    answers = grab(wrong, wrong, wrong)
    assert [reason(a) for a in answers] == [Reason.UNAUTHORIZED] * 3
    assert "S3cret" not in repr(answers)
    assert device.asked["GetCapabilities"] == 1
    assert [reason(a) for a in grab(camera(wrong.snapshot_url, None))] == [Reason.HTTP_401]


def test_an_address_that_moved_is_asked_for_again(device: Device) -> None:
    one = camera(f"onvif://127.0.0.1:{device.port}")

    async def ask() -> list[Frame | Unobserved]:
        fetch = FetchConfig()
        http = HttpSnapshot(fetch, clock=utc_now)
        source = OnvifSource(OnvifConfig(), fetch, http, clock=utc_now)
        answers = [await source.grab(one)]
        device.snapshot = "/elsewhere"
        answers += [await source.grab(one), await source.grab(one)]
        await http.close()
        return answers

    assert [reason(a) for a in asyncio.run(ask())] == [None, Reason.HTTP_404, None]


def test_the_inner_address_of_a_device_behind_a_gateway_is_not_followed(device: Device) -> None:
    device.named_host = "10.255.255.1"
    assert isinstance(grab(camera(f"onvif://127.0.0.1:{device.port}"), total_s=2.0)[0], Frame)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"<html>",
        b"\xff\xd8\xff",
        b'<!DOCTYPE a [<!ENTITY b "' + b"x" * 1000 + b'">]><a>&b;</a>',
        soap(""),
        fault("ActionNotSupported", "no"),
        b"<a>" * 20_000,
    ],
)
def test_what_is_no_onvif_is_said_and_breaks_nothing(device: Device, garbage: bytes) -> None:
    device.garbage = garbage
    (answer,) = grab(camera(f"onvif://127.0.0.1:{device.port}"), total_s=2.0)
    assert reason(answer) is Reason.ONVIF_FAULT


def test_faults_of_the_network_keep_their_reasons() -> None:
    assert reason(grab(camera("onvif://127.0.0.1:1"))[0]) is Reason.CONNECTION_REFUSED
    assert reason(grab(camera("onvif://no-such-camera.invalid"))[0]) is Reason.NAME_NOT_FOUND
    assert reason(grab(camera("onvif://"))[0]) is Reason.BAD_ADDRESS


# -- ISAPI ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("isapi://10.0.0.1/7", "http://10.0.0.1/ISAPI/Streaming/channels/701/picture"),
        ("isapi://10.0.0.1:8000/702", "http://10.0.0.1:8000/ISAPI/Streaming/channels/702/picture"),
        ("isapi://10.0.0.1", "http://10.0.0.1/ISAPI/Streaming/channels/101/picture"),
        ("isapi://[fd00::1]/3", "http://[fd00::1]/ISAPI/Streaming/channels/301/picture"),
        ("isapi://10.0.0.1/front", None),
        ("isapi://10.0.0.1/0", None),
        ("isapi://10.0.0.1/²", None),
        ("isapi:///1", None),
        ("isapi://10.0.0.1:port/1", None),
        ("http://10.0.0.1/1", None),
    ],
)
def test_isapi_addresses(address: str, url: str | None) -> None:
    assert picture_address(address) == url


def test_a_channel_of_a_recorder_that_asks_by_digest(server: CameraServer) -> None:
    server.scripts["ISAPI/Streaming/channels/201/picture"] = Digest(*ACCOUNT)
    port = server.url("").split(":")[2].strip("/")

    async def ask() -> list[Frame | Unobserved]:
        http = HttpSnapshot(FetchConfig(), clock=utc_now)
        source = IsapiSource(http)
        good, gone = camera(f"isapi://127.0.0.1:{port}/2"), camera(f"isapi://127.0.0.1:{port}/3")
        answers = [await source.grab(good), await source.grab(gone), await source.grab(camera("isapi://h/x"))]
        await http.close()
        return answers

    answers = asyncio.run(ask())
    assert [reason(a) for a in answers] == [None, Reason.HTTP_404, Reason.BAD_ADDRESS]
    assert isinstance(answers[0], Frame)
    assert answers[0].data == GOOD
    assert answers[0].clock_offset_s is not None
