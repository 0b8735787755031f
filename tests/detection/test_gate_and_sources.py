"""What a camera can do wrong, over real HTTP and on real bytes: each has its own reason, none is an empty picture."""

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
from watching import (
    EAST,
    NORTH,
    POSE,
    SRID,
    CameraServer,
    RedDetector,
    Script,
    drip,
    hang_up,
    jpeg,
    picture,
    send,
    status,
)

from detection.backends.base import boxes_in
from detection.config import FetchConfig
from detection.gate import decode, decode_in_detail
from detection.sources.files import FolderSource, frames_of_folder
from detection.sources.http_snapshot import HttpSnapshot, safe_url
from detection.types import Camera, Frame, Reason, Unobserved
from detection.watch import utc_now
from geoapp.access.redaction import redact
from geoapp.errors import Refused

GOOD = picture(1)


def camera(url: str = "", *, width: int | None = 640, height: int | None = 360) -> Camera:
    return Camera(
        id=1,
        gb_id="1" * 20,
        name_zh="测试",
        snapshot_url=url,
        period_s=10,
        x=EAST,
        y=NORTH,
        srid=SRID,
        pose=POSE,
        max_range_m=100,
        width_px=width,
        height_px=height,
    )


def grab(url: str, **limits: float) -> Frame | Unobserved:
    async def ask() -> Frame | Unobserved:
        source = HttpSnapshot(FetchConfig(**limits), clock=utc_now)  # type: ignore[arg-type]
        try:
            return await source.grab(camera(url))
        finally:
            await source.close()

    return asyncio.run(ask())


def test_a_good_picture_comes_as_it_was_sent(server: CameraServer) -> None:
    server.scripts["a"] = send(GOOD)
    frame = grab(server.url("a"))
    assert isinstance(frame, Frame)
    assert frame.data == GOOD
    assert frame.captured_at <= frame.received_at


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (status(401), Reason.HTTP_401),
        (status(403), Reason.HTTP_403),
        (status(404), Reason.HTTP_404),
        (status(410), Reason.HTTP_4XX),
        (status(500), Reason.HTTP_5XX),
        (status(503), Reason.HTTP_5XX),
        (status(302), Reason.HTTP_REDIRECT),
        (send(b"<html>login</html>", "text/html"), Reason.NOT_AN_IMAGE),
        (send(b"<html>login</html>"), Reason.NOT_AN_IMAGE),
        (send(b""), Reason.NOT_AN_IMAGE),
        (hang_up(GOOD), Reason.BROKEN_OFF),
        (send(b"\xff\xd8\xff" + b"0" * 300_000), Reason.TOO_LARGE),
    ],
)
def test_each_fault_has_its_reason(server: CameraServer, script: Script, reason: Reason) -> None:
    server.scripts["a"] = script
    answer = grab(server.url("a"), max_bytes=200_000)
    assert isinstance(answer, Unobserved)
    assert answer.reason is reason


def test_a_camera_that_drips_is_given_up_in_time(server: CameraServer) -> None:
    server.scripts["a"] = drip(GOOD, 5.0)
    began = time.monotonic()
    answer = grab(server.url("a"), total_s=0.6, connect_s=0.5)
    assert isinstance(answer, Unobserved)
    assert answer.reason is Reason.TOO_SLOW
    assert time.monotonic() - began < 2.0


def test_nobody_listens_and_no_such_host() -> None:
    refused = grab("http://127.0.0.1:1/a.jpg")
    unknown = grab("http://no-such-camera.invalid/a.jpg", total_s=3.0)
    assert isinstance(refused, Unobserved)
    assert refused.reason is Reason.CONNECTION_REFUSED
    assert isinstance(unknown, Unobserved)
    assert unknown.reason is Reason.NAME_NOT_FOUND


@pytest.mark.parametrize("url", ["", "in-process", "ftp://127.0.0.1/a.jpg", "http://[::1/a.jpg"])
def test_an_address_that_is_none(url: str) -> None:
    answer = grab(url)
    assert isinstance(answer, Unobserved)
    assert answer.reason is Reason.BAD_ADDRESS


def test_no_credential_reaches_a_log() -> None:
    secret = "http://admin:S3cret!@10.0.0.5:8000/snap.jpg?user=admin&password=S3cret!&ch=1"
    assert "S3cret" not in safe_url(secret)
    assert "S3cret" not in redact(f"fault at {secret}")
    assert "S3cret" not in redact("postgresql://geoapp:S3cret@127.0.0.1/geoapp")
    assert redact("token: S3cret, next") == "token: ***, next"
    assert redact("camera401.example has 3 passes") == "camera401.example has 3 passes"
    assert safe_url("http://[bad") == "?"


@pytest.mark.parametrize(
    "data",
    [GOOD[: len(GOOD) // 2], GOOD[:-2], b"\xff\xd8\xff\xe0rubbish\xff\xd9", b"\x89PNG\r\n\x1a\nrubbish", b""],
)
def test_half_a_picture_is_none(data: bytes) -> None:
    result = decode(data)
    assert isinstance(result, Unobserved)
    assert result.reason is Reason.DAMAGED_IMAGE


@pytest.mark.parametrize(
    ("size", "detail_px", "decoded"),
    [
        ((1920, 1080), 640, (960, 540)),
        ((3840, 2160), 640, (960, 540)),
        ((2560, 1440), 640, (640, 360)),
        ((1279, 719), 640, (1279, 719)),
        ((1281, 721), 640, (641, 361)),
        ((1080, 1920), 640, (540, 960)),
        ((1920, 1080), 0, (1920, 1080)),
    ],
)
def test_a_large_jpeg_comes_out_no_smaller_than_the_model_sees(
    size: tuple[int, int], detail_px: int, decoded: tuple[int, int]
) -> None:
    data = jpeg(np.full((size[1], size[0], 3), 90, np.uint8))
    found = decode_in_detail(data, detail_px)
    assert not isinstance(found, Unobserved)
    assert (found.image.shape[1], found.image.shape[0]) == decoded
    assert (found.width_px, found.height_px) == size


def test_boxes_are_in_pixels_of_the_picture_as_sent() -> None:
    image = np.full((1080, 1920, 3), 90, np.uint8)
    image[400:600, 800:1200] = (0, 0, 255)
    found = decode_in_detail(jpeg(image), 640)
    assert not isinstance(found, Unobserved)
    (box,) = boxes_in(RedDetector(), found)
    assert box.corners == pytest.approx((800, 400, 1200, 600), abs=4)


def test_padding_after_the_end_is_no_damage() -> None:
    assert not isinstance(decode(GOOD + b"\0" * 64), Unobserved)


def test_folder_of_frames(tmp_path: Path) -> None:
    for name, seed in (("b.jpg", 2), ("a.jpg", 1)):
        (tmp_path / name).write_bytes(picture(seed))
    (tmp_path / "notes.txt").write_text("not a picture")
    found = list(frames_of_folder(tmp_path, clock=utc_now))
    assert [path.name for path, _ in found] == ["a.jpg", "b.jpg"]
    source = FolderSource(tmp_path, clock=utc_now)
    frames = [asyncio.run(source.grab(camera())) for _ in range(3)]
    assert [f.data for f in frames if isinstance(f, Frame)] == [picture(2), picture(1), picture(2)]
    (tmp_path / "empty").mkdir()
    with pytest.raises(Refused, match="no pictures"):
        list(frames_of_folder(tmp_path / "empty", clock=utc_now))
    with pytest.raises(Refused, match="not a folder"):
        list(frames_of_folder(tmp_path / "missing", clock=utc_now))


def test_no_proxy_of_the_environment(monkeypatch: pytest.MonkeyPatch, server: CameraServer) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    server.scripts["a"] = send(GOOD)
    assert isinstance(grab(server.url("a")), Frame), "the environment's proxy is not the camera's way"
