"""RTSP, against GStreamer's server (and a gate before it that breaks the conversation where a test says)."""

import asyncio
import json
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from watching import EAST, NORTH, SRID, gb_id

from detection.config import FetchConfig, RtspConfig
from detection.gate import decode
from detection.sources.rtsp import RtspSource
from detection.types import Camera, Credentials, Frame, Reason, Unobserved
from detection.watch import utc_now

SCRIPT = Path(__file__).with_name("rtsp_server.py")
ACCOUNT = "viewer", "p@ss:w/rd"
Ports = dict[str, int]


def start_server() -> tuple[subprocess.Popen[str], Ports]:
    process = subprocess.Popen(
        ["/usr/bin/python3", str(SCRIPT), *ACCOUNT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, "the RTSP server did not start: see TEST_PACKAGES in the Makefile"
    return process, json.loads(line)


@pytest.fixture(scope="module")
def ports() -> Iterator[Ports]:
    process, listening = start_server()
    yield listening
    process.kill()
    process.wait(5)


class Gate:
    """Passes one connection after the other to a server, until the client's word `at` (None: all of them): from there it
    passes so many bytes of the server's and then keeps silent, closes, or calls `then`."""

    def __init__(
        self, port: int, at: bytes | None, then: str | Callable[[], None] = "silent", passing: int = 0
    ) -> None:
        self._port, self._at, self._then, self._passing = port, at, then, passing
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.words: list[bytes] = []
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            self._open += [client, server]
            cut = threading.Event()
            threading.Thread(target=self._up, args=(client, server, cut), daemon=True).start()
            threading.Thread(target=self._down, args=(client, server, cut), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        try:
            while data := client.recv(65_536):
                self.words.append(data.split(b" ", 1)[0])
                if self._at is not None and data.startswith(self._at):
                    cut.set()
                    if self._then == "close" and not self._passing:
                        self._shut(client, server)
                    if not self._passing:
                        return
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def _down(self, client: socket.socket, server: socket.socket, cut: threading.Event) -> None:
        passed = 0
        try:
            while data := server.recv(1024):
                if cut.is_set():
                    passed += len(data)
                    if passed > self._passing:
                        if callable(self._then):
                            self._then()
                            cut.clear()
                            continue
                        if self._then == "close":
                            self._shut(client, server)
                        return
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            return

    @staticmethod
    def _shut(*sockets: socket.socket) -> None:
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def close(self) -> None:
        self._listener.close()
        self._shut(*self._open)


def camera(port: int, path: str = "live", account: tuple[str, str] | None = None, number: int = 1) -> Camera:
    held = None if account is None else Credentials(SecretStr(account[0]), SecretStr(account[1]))
    url = f"rtsp://127.0.0.1:{port}/{path}"
    return Camera(number, gb_id(number), "测试", url, 10, EAST, NORTH, SRID, credentials=held)


def grab(*cameras: Camera, config: RtspConfig | None = None, **limits: float) -> list[Frame | Unobserved]:
    """One look after the other, from one source."""

    async def ask() -> list[Frame | Unobserved]:
        source = RtspSource(config or RtspConfig(), FetchConfig(**limits), clock=utc_now)  # type: ignore[arg-type]
        return [await source.grab(one) for one in cameras]

    return asyncio.run(ask())


def reason(answer: Frame | Unobserved) -> Reason | None:
    return answer.reason if isinstance(answer, Unobserved) else None


def test_one_picture_of_a_stream_and_the_servers_clock(ports: Ports) -> None:
    (answer,) = grab(camera(ports["open"]))
    assert isinstance(answer, Frame), answer
    image = decode(answer.data)
    assert not isinstance(image, Unobserved)
    assert image.shape == (360, 640, 3)
    # The test pattern has a white, a yellow, a cyan … bar: what came is the picture and not grey of a lost key frame.
    blue, green, red = (int(v) for v in image[100, 130])
    assert (red > 150, green > 150, blue < 90) == (True, True, True), (red, green, blue)
    assert answer.clock_offset_s is not None
    assert abs(answer.clock_offset_s) < 1.5
    assert answer.captured_at < answer.received_at


@pytest.mark.parametrize("asks", ["basic", "digest"])
def test_accounts(ports: Ports, asks: str) -> None:
    right = camera(ports[asks], account=ACCOUNT)
    wrong = camera(ports[asks], account=("viewer", "other"), number=2)
    answers = grab(right, wrong, wrong, camera(ports[asks], number=3))
    assert isinstance(answers[0], Frame), answers[0]
    assert [reason(a) for a in answers[1:]] == [Reason.UNAUTHORIZED, Reason.UNAUTHORIZED, Reason.HTTP_401]
    for answer in answers[1:]:
        assert "other" not in repr(answer)


def test_a_wrong_account_is_tried_once(ports: Ports) -> None:
    gate = Gate(ports["basic"], None)
    wrong = camera(gate.port, account=("viewer", "other"))
    assert [reason(a) for a in grab(wrong, wrong, wrong)] == [Reason.UNAUTHORIZED] * 3
    gate.close()
    assert gate.words == [b"DESCRIBE", b"DESCRIBE"], "without an account, then with it; not once a look"


def test_no_such_stream_and_nobody_there(ports: Ports) -> None:
    closed = camera(1)
    named = Camera(2, gb_id(2), "测试", "rtsp://no-such-camera.invalid/live", 10, EAST, NORTH, SRID)
    answers = grab(camera(ports["open"], "nothing"), closed, named)
    assert [reason(a) for a in answers] == [
        Reason.RTSP_NO_STREAM,
        Reason.CONNECTION_REFUSED,
        Reason.NAME_NOT_FOUND,
    ]


@pytest.mark.parametrize(
    ("at", "then", "passing", "expected"),
    [
        pytest.param(b"DESCRIBE", "silent", 0, Reason.RTSP_SILENT, id="never answers"),
        pytest.param(b"DESCRIBE", "close", 0, Reason.BROKEN_OFF, id="hangs up"),
        pytest.param(b"SETUP", "silent", 0, Reason.RTSP_NO_PICTURE, id="hangs after the description"),
        pytest.param(b"SETUP", "close", 0, Reason.BROKEN_OFF, id="hangs up after the description"),
        pytest.param(b"PLAY", "silent", 0, Reason.RTSP_NO_PICTURE, id="hangs at play"),
        pytest.param(b"PLAY", "silent", 900, Reason.RTSP_NO_PICTURE, id="hangs within a picture"),
        pytest.param(b"PLAY", "close", 900, Reason.BROKEN_OFF, id="hangs up within a picture"),
    ],
)
def test_a_stream_that_breaks_is_given_up_in_time(
    ports: Ports, at: bytes, then: str, passing: int, expected: Reason
) -> None:
    gate = Gate(ports["open"], at, then, passing)
    began = time.monotonic()
    (answer,) = grab(camera(gate.port), total_s=1.2, connect_s=0.5)
    assert reason(answer) is expected, answer
    assert time.monotonic() - began < 2.0
    gate.close()


def test_a_server_that_is_killed_in_mid_stream() -> None:
    process, listening = start_server()
    try:
        killed = threading.Event()

        def kill() -> None:
            process.kill()
            process.wait(5)
            killed.set()

        gate = Gate(listening["open"], b"PLAY", kill, 900)
        (answer,) = grab(camera(gate.port), total_s=4.0)
        assert killed.is_set()
        assert reason(answer) is Reason.BROKEN_OFF, answer
        (after,) = grab(camera(listening["open"]), total_s=4.0)
        assert reason(after) is Reason.CONNECTION_REFUSED
        gate.close()
    finally:
        process.kill()
        process.wait(5)


def test_hanging_streams_leave_a_bounded_number_of_threads(ports: Ports) -> None:
    gate = Gate(ports["open"], b"SETUP", "silent")
    config = RtspConfig(readers=2, abandoned=3)

    async def ask() -> tuple[list[Frame | Unobserved], Frame | Unobserved]:
        source = RtspSource(config, FetchConfig(total_s=1.5, connect_s=0.5, host_wait_s=1.0), clock=utc_now)
        hanging = (camera(gate.port, number=n) for n in range(1, 9))
        answers = await asyncio.gather(*(source.grab(one) for one in hanging))
        most.append(sum(t.name == "rtsp" for t in threading.enumerate()))
        await asyncio.sleep(1.5)  # FFmpeg gives up by itself
        good = RtspSource(config, FetchConfig(), clock=utc_now)
        return list(answers), await good.grab(camera(ports["open"]))

    most: list[int] = []
    answers, good = asyncio.run(ask())
    gate.close()
    told = {reason(a) for a in answers}
    # Eight encoders begin at once: on a busy machine some describe themselves too late, which is another reason.
    assert told <= {Reason.RTSP_NO_PICTURE, Reason.READERS_BUSY, Reason.RTSP_SILENT}
    assert Reason.READERS_BUSY in told
    assert most[0] <= config.readers + config.abandoned
    assert isinstance(good, Frame), good


def test_a_reader_that_never_ends_holds_up_nobody(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    """FFmpeg itself hangs, beyond any time-out of its own: the look is given up, the next ones go on."""
    from detection.sources import rtsp

    freed, real = threading.Event(), rtsp._one_picture
    stuck = [True, True]

    def hang_twice(address: str, ends: float, max_pixels: int) -> bytes | Unobserved:
        if stuck:
            stuck.pop()
            freed.wait(30)
        return real(address, ends, max_pixels)

    monkeypatch.setattr(rtsp, "_one_picture", hang_twice)
    config = RtspConfig(readers=1, abandoned=2)

    async def ask() -> list[Frame | Unobserved]:
        source = RtspSource(config, FetchConfig(total_s=1.5), clock=utc_now)
        found = [await source.grab(camera(ports["open"])) for _ in range(3)]
        freed.set()
        await asyncio.sleep(0.5)
        return [*found, await source.grab(camera(ports["open"]))]

    answers = asyncio.run(ask())
    assert [reason(a) for a in answers] == [
        Reason.RTSP_NO_PICTURE,
        Reason.RTSP_NO_PICTURE,
        Reason.READERS_BUSY,
        None,
    ]


def test_a_stream_of_too_many_pixels(ports: Ports) -> None:
    (answer,) = grab(camera(ports["open"], "large"), max_pixels=1_000_000)
    assert reason(answer) is Reason.TOO_MANY_PIXELS


def test_garbage_in_place_of_rtsp() -> None:
    listener = socket.create_server(("127.0.0.1", 0))

    def answer_once(said: bytes) -> None:
        client, _ = listener.accept()
        client.recv(4096)
        client.sendall(said)
        client.close()

    for said, expected in (
        (b"HTTP/1.1 200 OK\r\n\r\n", Reason.RTSP_REFUSED),
        (b"x" * 200_000, Reason.RTSP_REFUSED),
        (b"RTSP/1.0 200 OK\r\nContent-Length: -1\r\n\r\n", Reason.RTSP_REFUSED),
        (b"RTSP/1.0 200 OK\r\nContent-Length: many\r\n\r\n", Reason.RTSP_REFUSED),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 900\r\n\r\nshort", Reason.BROKEN_OFF),
        (b"RTSP/1.0 200 OK\r\nContent-Length: 8\r\n\r\nm=audio ", Reason.RTSP_NO_STREAM),
        (b"RTSP/1.0 302 Moved\r\nLocation: rtsp://10.0.0.1/\r\n\r\n", Reason.HTTP_REDIRECT),
        (b"RTSP/1.0 503 Full\r\n\r\n", Reason.RTSP_REFUSED),
    ):
        thread = threading.Thread(target=answer_once, args=(said,), daemon=True)
        thread.start()
        (answer,) = grab(camera(listener.getsockname()[1]), total_s=2.0)
        assert reason(answer) is expected, (said[:40], answer)
        thread.join(2)
    listener.close()


@pytest.mark.parametrize("path", ["a b", "a\r\nX: y", "a\tb"])
def test_an_address_never_becomes_a_line_of_the_request(path: str) -> None:
    assert reason(grab(camera(1, path))[0]) is Reason.BAD_ADDRESS


def test_an_account_never_stands_in_what_is_printed(ports: Ports, capfd: pytest.CaptureFixture[str]) -> None:
    gate = Gate(ports["digest"], b"SETUP", "close")
    answers = grab(camera(gate.port, account=ACCOUNT), total_s=2.0)
    gate.close()
    printed = capfd.readouterr()
    assert reason(answers[0]) is Reason.BROKEN_OFF
    for secret in (ACCOUNT[1], "p%40ss"):
        assert secret not in printed.out + printed.err + repr(answers)
