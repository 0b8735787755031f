"""gb28181:// through a video platform that answers as WVP does: login, a snapshot taken now, the picture by its mark."""

import asyncio
import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from time import monotonic, sleep
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr, ValidationError
from watching import EAST, NORTH, SRID, gb_id, picture

from detection.config import FetchConfig, PlatformConfig
from detection.sources.http_snapshot import HttpSnapshot
from detection.sources.platform import PlatformSource
from detection.types import Camera, Frame, Reason, Unobserved
from detection.watch import utc_now

DEVICE = "31011600001180000001"
ACCOUNT = "geoapp", "S3cret-口令"


class Platform:
    """WVP's snapshot API: every answer in {"code", "msg", "data"}, the token in the header access-token."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.tokens: set[str] = set()
        self.taken: dict[tuple[str, str, str], bytes] = {}
        self.offline: set[str] = set()
        self.bare_name = False
        self.status_signed_out = 401
        self.delay_s = 0.0
        self.at_once = self.most_at_once = 0
        self._lock = Lock()
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = platform.answer(self)
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        path, query = (
            urlsplit(request.path).path,
            {k: v[0] for k, v in parse_qs(urlsplit(request.path).query).items()},
        )
        with self._lock:
            self.asked[path] += 1
        if path == "/api/user/login":
            wanted = hashlib.md5(ACCOUNT[1].encode(), usedforsecurity=False).hexdigest()
            if (query["username"], query["password"]) != (ACCOUNT[0], wanted):
                return 200, told(100, "用户名或密码错误")
            token = secrets.token_hex(8)
            self.tokens.add(token)
            return 200, told(0, "成功", {"accessToken": token, "username": ACCOUNT[0]})
        if request.headers.get("access-token") not in self.tokens:
            return self.status_signed_out, told(401, "请登录后重新请求")
        if path == "/api/play/snap":
            return self._snap(query["deviceId"], query["channelId"])
        *_, device, channel = path.split("/")
        found = self.taken.get((device, channel, query["mark"]))
        return (404, b"") if found is None else (200, found)

    def _snap(self, device: str, channel: str) -> tuple[int, bytes]:
        with self._lock:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        sleep(self.delay_s)
        with self._lock:
            self.at_once -= 1
            mark = f"2026112719{len(self.taken):04}"
            if channel in self.offline:
                return 200, told(-1, "设备离线")
            self.taken[device, channel, mark] = picture(int(channel) % 1000 + len(self.taken))
        name = f"{device}_{channel}_{mark}.jpg"
        return 200, name.encode() if self.bare_name else told(0, "成功", name)


def told(code: int, message: str, data: object = None) -> bytes:
    return json.dumps({"code": code, "msg": message, "data": data}, ensure_ascii=False).encode()


@pytest.fixture
def platform() -> Iterator[Platform]:
    one = Platform()
    yield one
    one.close()


def camera(number: int = 1, url: str = f"gb28181://{DEVICE}") -> Camera:
    return Camera(number, gb_id(number), "测试", url, 10, EAST, NORTH, SRID)


def config(url: str | None, password: str = ACCOUNT[1], **more: int) -> PlatformConfig:
    return PlatformConfig(base_url=url, username=SecretStr(ACCOUNT[0]), password=SecretStr(password), **more)


class Looking:
    """A source with its client, for the length of a test's coroutine."""

    def __init__(self, rules: PlatformConfig, **limits: float) -> None:
        fetch = FetchConfig(**limits)  # type: ignore[arg-type]
        self.http = HttpSnapshot(fetch, clock=utc_now)
        self.source = PlatformSource(rules, fetch, self.http, clock=utc_now)

    async def __aenter__(self) -> PlatformSource:
        return self.source

    async def __aexit__(self, *_: object) -> None:
        await self.http.close()


def grab(rules: PlatformConfig, *cameras: Camera, **limits: float) -> list[Frame | Unobserved]:
    async def ask() -> list[Frame | Unobserved]:
        async with Looking(rules, **limits) as source:
            return [await source.grab(one) for one in cameras]

    return asyncio.run(ask())


def reason(answer: Frame | Unobserved) -> Reason | None:
    return answer.reason if isinstance(answer, Unobserved) else None


@pytest.mark.parametrize("bare_name", [False, True])
def test_each_look_is_a_picture_taken_now(platform: Platform, bare_name: bool) -> None:
    platform.bare_name = bare_name
    answers = grab(config(platform.url), camera(1), camera(1), camera(2))
    assert [a.data for a in answers if isinstance(a, Frame)] == list(platform.taken.values())
    assert list(platform.taken) == [
        (DEVICE, gb_id(1), "20261127190000"),
        (DEVICE, gb_id(1), "20261127190001"),
        (DEVICE, gb_id(2), "20261127190002"),
    ]
    assert all(isinstance(a, Frame) and a.clock_offset_s is None for a in answers)
    assert platform.asked["/api/user/login"] == 1


def test_a_channel_in_the_address(platform: Platform) -> None:
    grab(config(platform.url), camera(1, f"gb28181://{DEVICE}/{gb_id(9)}"))
    assert [channel for _, channel, _ in platform.taken] == [gb_id(9)]


@pytest.mark.parametrize("status", [401, 403, 200])
def test_a_forgotten_token_is_replaced_once_for_all(platform: Platform, status: int) -> None:
    platform.status_signed_out = status

    async def ask() -> list[Frame | Unobserved]:
        async with Looking(config(platform.url)) as source:
            first = await source.grab(camera())
            platform.tokens.clear()
            return [first, *await asyncio.gather(*(source.grab(camera(n)) for n in range(1, 7)))]

    assert [reason(a) for a in asyncio.run(ask())] == [None] * 7
    assert platform.asked["/api/user/login"] == 2


def test_a_wrong_account_is_tried_once_for_all_cameras(platform: Platform) -> None:
    answers = grab(config(platform.url, "other-S3cret"), *(camera(n) for n in range(1, 5)))
    assert [reason(a) for a in answers] == [Reason.UNAUTHORIZED] * 4
    assert platform.asked == {"/api/user/login": 1}
    assert "S3cret" not in repr(answers)
    assert "S3cret" not in repr(config(platform.url, "other-S3cret"))


def test_what_the_platform_says_is_kept(platform: Platform) -> None:
    platform.offline.add(gb_id(1))
    offline, fine = grab(config(platform.url), camera(1), camera(2))
    assert reason(offline) is Reason.PLATFORM_REFUSED
    assert "设备离线" in repr(offline)
    assert isinstance(fine, Frame)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (None, Reason.PLATFORM_NOT_SET),
        ("http://127.0.0.1:1", Reason.CONNECTION_REFUSED),
        ("http://no-such-platform.invalid", Reason.NAME_NOT_FOUND),
    ],
)
def test_a_platform_that_is_not_there(url: str | None, expected: Reason) -> None:
    assert reason(grab(config(url), camera())[0]) is expected


@pytest.mark.parametrize("url", ["gb28181://", "gb28181://cam1", f"gb28181://{DEVICE}/1", f"http://{DEVICE}"])
def test_an_address_that_is_none(platform: Platform, url: str) -> None:
    assert reason(grab(config(platform.url), camera(1, url))[0]) is Reason.BAD_ADDRESS
    assert not platform.asked


def test_no_more_at_a_time_than_set(platform: Platform) -> None:
    platform.delay_s = 0.1

    async def ask() -> list[Frame | Unobserved]:
        async with Looking(config(platform.url, at_a_time=3)) as source:
            return await asyncio.gather(*(source.grab(camera(n)) for n in range(1, 10)))

    assert [reason(a) for a in asyncio.run(ask())] == [None] * 9
    assert platform.most_at_once == 3


def test_a_platform_that_is_slow_is_given_up_in_time(platform: Platform) -> None:
    platform.delay_s = 2.0
    began = monotonic()
    assert reason(grab(config(platform.url), camera(), total_s=0.4)[0]) is Reason.TIMEOUT
    assert monotonic() - began < 1.5


def test_an_address_with_an_account_is_no_configuration() -> None:
    with pytest.raises(ValidationError):
        config("http://admin:pw@10.0.0.1")
