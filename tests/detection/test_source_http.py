"""Faults of HTTP cameras beyond the plain ones, and what their Date says; all over real sockets."""

import asyncio
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from watching import EAST, NORTH, SRID, CameraServer, gb_id, picture, send

from detection.config import FetchConfig
from detection.sources.clock import offset_of_date
from detection.sources.http_snapshot import HttpSnapshot
from detection.sources.picture import size_in_header
from detection.types import Camera, Credentials, Frame, Reason, Unobserved
from detection.watch import utc_now

GOOD = picture(1)


def camera(url: str, number: int = 1, account: tuple[str, str] | None = None) -> Camera:
    held = None if account is None else Credentials(SecretStr(account[0]), SecretStr(account[1]))
    return Camera(number, gb_id(number), "测试", url, 10, EAST, NORTH, SRID, credentials=held)


def grab(one: Camera, **limits: float) -> Frame | Unobserved:
    async def ask() -> Frame | Unobserved:
        source = HttpSnapshot(FetchConfig(**limits), clock=utc_now)  # type: ignore[arg-type]
        try:
            return await source.grab(one)
        finally:
            await source.close()

    return asyncio.run(ask())


def reason(answer: Frame | Unobserved) -> Reason | None:
    return answer.reason if isinstance(answer, Unobserved) else None


def redirect(where: Callable[[int], str], status: int = 302) -> Callable[[int, BaseHTTPRequestHandler], None]:
    def script(count: int, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Location", where(count))
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return script


def png_bomb(width: int, height: int) -> bytes:
    """A PNG of so many black pixels in a few hundred bytes of header and zeros that were never written out."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    chunks = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks
    )


def jpeg_bomb(width: int, height: int) -> bytes:
    """A JPEG whose frame header says so; padding and a comment before it, as real ones have."""
    start = GOOD.index(b"\xff\xc0")
    said = GOOD[: start + 5] + struct.pack(">HH", height, width) + GOOD[start + 9 :]
    return said[:2] + b"\xff\xfe\x00\x04ab" + b"\xff" + said[2:]


@pytest.mark.parametrize("bomb", [png_bomb(20_000, 10_000), jpeg_bomb(20_000, 10_000)], ids=["png", "jpeg"])
def test_two_hundred_megapixels_are_refused_undecoded(server: CameraServer, bomb: bytes) -> None:
    server.scripts["a"] = send(bomb)
    assert len(bomb) < 500_000
    began = time.process_time()
    answer = grab(camera(server.url("a")))
    assert reason(answer) is Reason.TOO_MANY_PIXELS
    assert "20000x10000" in repr(answer)
    assert time.process_time() - began < 1.0


def test_sizes_in_headers() -> None:
    assert size_in_header(picture(1, size=(704, 576))) == (704, 576)
    assert size_in_header(png_bomb(3, 4)) == (3, 4)
    assert size_in_header(jpeg_bomb(5, 6)) == (5, 6)
    assert size_in_header(GOOD[:40]) is None


@given(st.binary(max_size=200), st.sampled_from([b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b""]))
def test_no_bytes_break_the_reading_of_a_header(data: bytes, magic: bytes) -> None:
    size = size_in_header(magic + data)
    assert size is None or (size[0] >= 0 and size[1] >= 0)


def test_redirects_within_the_host_are_followed_and_bounded(server: CameraServer) -> None:
    server.scripts["good"] = send(GOOD)
    server.scripts["twice"] = redirect(lambda _: "/once")
    server.scripts["once"] = redirect(lambda _: server.url("good"), 307)
    server.scripts["endless"] = redirect(lambda count: f"/endless?{count}")
    server.scripts["away"] = redirect(lambda _: "http://localhost:1/")
    server.scripts["port"] = redirect(lambda _: "http://127.0.0.1:1/")
    server.scripts["odd"] = redirect(lambda _: "http://[bad")
    assert isinstance(grab(camera(server.url("twice"))), Frame)
    assert reason(grab(camera(server.url("endless")))) is Reason.TOO_MANY_REDIRECTS
    assert server.asked["endless"] == 4
    assert reason(grab(camera(server.url("away")))) is Reason.HTTP_REDIRECT
    assert reason(grab(camera(server.url("port")))) is Reason.HTTP_REDIRECT
    assert reason(grab(camera(server.url("odd")))) in (Reason.BAD_ADDRESS, Reason.HTTP_REDIRECT)


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that accepts and says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    yield listener.getsockname()[1]
    listener.close()


def test_one_that_says_nothing_is_not_one_that_is_slow(silent: int) -> None:
    began = time.monotonic()
    assert reason(grab(camera(f"http://127.0.0.1:{silent}/a"), total_s=0.5, connect_s=0.3)) is Reason.TIMEOUT
    assert time.monotonic() - began < 1.5


def test_a_connection_that_does_not_come_about() -> None:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    address = listener.getsockname()
    full = [socket.socket() for _ in range(4)]
    for one in full:  # the queue of the listener is full now: the next one waits for its answer
        one.setblocking(False)
        one.connect_ex(address)
    time.sleep(0.1)
    answer = grab(camera(f"http://127.0.0.1:{address[1]}/a"), total_s=2.0, connect_s=0.4)
    for one in [*full, listener]:
        one.close()
    assert reason(answer) is Reason.CONNECT_TIMEOUT


def test_a_connection_cut_before_the_answer() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    asked = []

    def cut() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            asked.append(client.recv(4096))
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()

    threading.Thread(target=cut, daemon=True).start()
    answer = grab(camera(f"http://127.0.0.1:{listener.getsockname()[1]}/a"))
    listener.close()
    assert reason(answer) is Reason.BROKEN_OFF
    # Once more, since a kept connection may have been closed by a healthy camera, and then no more.
    assert len(asked) <= 2


def test_half_a_picture_with_a_whole_length_is_damaged(server: CameraServer) -> None:
    from detection.gate import decode

    server.scripts["a"] = send(GOOD[: len(GOOD) // 2])
    answer = grab(camera(server.url("a")))
    assert isinstance(answer, Frame)
    damaged = decode(answer.data)
    assert isinstance(damaged, Unobserved)
    assert damaged.reason is Reason.DAMAGED_IMAGE


@pytest.mark.parametrize("off_h", [-8.0, 0.0, 7.5])
def test_a_clock_that_is_hours_off_is_measured(server: CameraServer, off_h: float) -> None:
    def script(_: int, handler: BaseHTTPRequestHandler) -> None:
        said = format_datetime(datetime.now(UTC) + timedelta(hours=off_h), usegmt=True)
        handler.send_response_only(200)
        handler.send_header("Date", said)
        handler.send_header("Content-Length", str(len(GOOD)))
        handler.end_headers()
        handler.wfile.write(GOOD)

    server.scripts["a"] = script
    answer = grab(camera(server.url("a")))
    assert isinstance(answer, Frame)
    assert answer.clock_offset_s == pytest.approx(off_h * 3600, abs=1.5)
    assert abs((answer.captured_at - utc_now()).total_seconds()) < 10, "the time of capture is ours"


@pytest.mark.parametrize("said", [None, "", "yesterday", "Fri, 99 Nov 2026 10:00:00 GMT", "\x00"])
def test_a_date_that_is_none_says_nothing(said: str | None) -> None:
    now = datetime(2026, 11, 27, tzinfo=UTC)
    assert offset_of_date(said, now, now) is None


def test_an_offset_is_taken_at_the_middle_of_the_request() -> None:
    asked = datetime(2026, 11, 27, 10, 0, 0, tzinfo=UTC)
    answered = asked + timedelta(seconds=4)
    assert offset_of_date("Fri, 27 Nov 2026 10:00:02 GMT", asked, answered) == pytest.approx(0.5)
    assert offset_of_date("Fri, 27 Nov 2026 18:00:02 +0800", asked, answered) == pytest.approx(0.5)
