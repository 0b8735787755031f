"""One object for every kind of address; a host is asked so many times at once, and others do not wait for it."""

import asyncio
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Lock

import pytest
from watching import EAST, NORTH, SRID, CameraServer, gb_id, picture, send

from detection.config import FetchConfig, WatchConfig, read_config
from detection.sources.dispatch import SOURCES, open_source, turn_of
from detection.types import Camera, Frame, Reason, Unobserved
from detection.watch import utc_now
from geoapp.errors import Refused
from geoapp.registry.camera_address import SCHEMES, scheme_of

GOOD = picture(1)


def camera(url: str, number: int = 1) -> Camera:
    return Camera(number, gb_id(number), "测试", url, 10, EAST, NORTH, SRID)


def grab_all(config: WatchConfig, *cameras: Camera) -> list[Frame | Unobserved]:
    """All of them beside each other."""

    async def ask() -> list[Frame | Unobserved]:
        source = open_source(config, clock=utc_now)
        try:
            return await asyncio.gather(*(source.grab(one) for one in cameras))
        finally:
            await source.close()

    return asyncio.run(ask())


def reason(answer: Frame | Unobserved) -> Reason | None:
    return answer.reason if isinstance(answer, Unobserved) else None


def test_every_scheme_of_the_register_has_its_source() -> None:
    assert set(SOURCES) == set(SCHEMES)
    assert all(scheme_of(form) == scheme for scheme, form in SCHEMES.items())


def test_each_address_goes_to_its_source(server: CameraServer, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(GOOD)
    server.scripts["a"] = send(GOOD)
    server.scripts["ISAPI/Streaming/channels/101/picture"] = send(GOOD)
    host = server.url("").removeprefix("http://").strip("/")
    answers = grab_all(
        WatchConfig(),
        camera(server.url("a"), 1),
        camera(server.url("a").replace("http", "HTTP"), 2),
        camera(f"isapi://{host}/1", 3),
        camera(f"file://{tmp_path}/a.jpg", 4),
        camera(f"onvif://{host}", 5),
        camera("rtsp://127.0.0.1:1/live", 6),
        camera(f"gb28181://{gb_id(7)}", 7),
        camera("https://127.0.0.1:1/a.jpg", 8),
    )
    assert [reason(a) for a in answers] == [
        None,
        None,
        None,
        None,
        Reason.HTTP_5XX,  # POST is nothing that this server knows: 501
        Reason.CONNECTION_REFUSED,
        Reason.PLATFORM_NOT_SET,
        Reason.CONNECTION_REFUSED,
    ]


@pytest.mark.parametrize(
    "url", ["", "in-process", "ftp://127.0.0.1/a.jpg", "http://[::1/a.jpg", "rtsp:/a", "://"]
)
def test_an_address_that_is_none(url: str) -> None:
    (answer,) = grab_all(WatchConfig(), camera(url))
    assert reason(answer) is Reason.BAD_ADDRESS


class Recorder:
    """A host that answers slowly and counts how many ask at once."""

    def __init__(self, delay_s: float) -> None:
        self.delay_s, self.at_once, self.most, self.lock = delay_s, 0, 0, Lock()

    def __call__(self, count: int, handler: BaseHTTPRequestHandler) -> None:
        with self.lock:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        time.sleep(self.delay_s)
        with self.lock:
            self.at_once -= 1
        send(GOOD)(count, handler)


def test_a_recorder_is_asked_so_many_times_at_once_and_others_do_not_wait(server: CameraServer) -> None:
    recorder = Recorder(0.3)
    server.scripts["channel"] = recorder
    server.scripts["other"] = send(GOOD)
    elsewhere = server.url("other").replace("127.0.0.1", "localhost")
    other_took: list[float] = []

    async def ask() -> list[Frame | Unobserved]:
        source = open_source(WatchConfig(fetch=FetchConfig(per_host=2)), clock=utc_now)

        async def other() -> Frame | Unobserved:
            began = time.monotonic()
            answer = await source.grab(camera(elsewhere, 99))
            other_took.append(time.monotonic() - began)
            return answer

        channels = [source.grab(camera(server.url("channel"), n)) for n in range(8)]
        try:
            return await asyncio.gather(*channels, other())
        finally:
            await source.close()

    answers = asyncio.run(ask())
    assert recorder.most == 2
    assert [reason(a) for a in answers[:8]] == [None] * 8, "waiting for a turn is not the camera's own time"
    assert reason(answers[8]) is None
    assert other_took[0] < 0.3


@pytest.mark.parametrize(
    ("address", "turn"),
    [
        ("http://203.0.113.5:8001/a.jpg", "203.0.113.5:8001"),
        ("http://203.0.113.5:8002/a.jpg", "203.0.113.5:8002"),
        ("http://10.0.0.7/a.jpg", "10.0.0.7:80"),
        ("isapi://10.0.0.7/12", "10.0.0.7:80"),
        ("ONVIF://10.0.0.7", "10.0.0.7:80"),
        ("https://Recorder.example/a.jpg", "recorder.example:443"),
        ("rtsp://10.0.0.7/live", "10.0.0.7:554"),
        ("rtsp://[fe80::1]:5540/live", "fe80::1:5540"),
        ("file:///pictures/a.jpg", ""),
        ("http://10.0.0.7:99999/a.jpg", None),
    ],
)
def test_whom_a_camera_waits_for(address: str, turn: str | None) -> None:
    assert turn_of(address) == turn


def test_recorders_behind_one_address_are_told_apart_by_their_ports(server: CameraServer) -> None:
    slow = Recorder(0.4)
    server.scripts["channel"] = slow
    took: list[float] = []

    async def ask(other: CameraServer) -> list[Frame | Unobserved]:
        source = open_source(WatchConfig(fetch=FetchConfig(per_host=1)), clock=utc_now)

        async def neighbour() -> Frame | Unobserved:
            began = time.monotonic()
            answer = await source.grab(camera(other.url("channel"), 99))
            took.append(time.monotonic() - began)
            return answer

        try:
            return await asyncio.gather(
                *(source.grab(camera(server.url("channel"), n)) for n in range(3)), neighbour()
            )
        finally:
            await source.close()

    with closing(CameraServer()) as other:
        other.scripts["channel"] = send(GOOD)
        answers = asyncio.run(ask(other))
    assert [reason(a) for a in answers] == [None] * 4
    assert slow.most == 1
    assert took[0] < 0.4


def test_a_host_that_never_has_a_turn_is_said_and_forgets_nothing(server: CameraServer) -> None:
    server.scripts["channel"] = Recorder(0.6)
    config = WatchConfig(fetch=FetchConfig(per_host=1, host_wait_s=0.2))
    answers = grab_all(config, *(camera(server.url("channel"), n) for n in range(4)))
    assert sorted(str(reason(a)) for a in answers) == ["None", *[Reason.HOST_BUSY] * 3]


def test_settings_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "watch.yaml"
    path.write_text(
        "sources: {platform: {base_url: 'http://10.0.0.9:18080', password: S3cret}}", encoding="utf-8"
    )
    read = read_config(path)
    assert read.sources.platform.password.get_secret_value() == "S3cret"
    assert "S3cret" not in repr(read)
    for wrong in ("{platform: {base_url: 'ftp://h'}}", "{rtsp: {readers: 0}}", "{usb: {}}"):
        path.write_text(f"sources: {wrong}", encoding="utf-8")
        with pytest.raises(Refused, match="sources"):
            read_config(path)
