"""One key frame of an RTSP stream, by FFmpeg as OpenCV brings it.

Each look opens the stream and closes it: a hundred thousand open streams would be more than decoding one frame each.
FFmpeg gives up by itself at its time-out; a reader that does not is left to itself, and there may be so many of those
and no more.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from urllib.parse import quote, urlsplit

# Read by OpenCV at its first stream. TCP goes through gateways; the description names the codec, so little is analysed.
os.environ.setdefault(
    "OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp|analyzeduration;100000|probesize;32768"
)
# FFmpeg would write addresses with their accounts to stderr.
os.environ["OPENCV_FFMPEG_LOGLEVEL"] = "-8"

import cv2

from detection.config import FetchConfig, RtspConfig
from detection.sources.refusals import Refusals
from detection.sources.rtsp_describe import describe
from detection.types import Camera, Credentials, Frame, Reason, Unobserved

__all__ = ["RtspSource"]

# A stream that cannot be opened is a reason in the register and no warning on stderr.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)

_DEFAULT_PORT = 554
_JPEG_QUALITY = 92


class RtspSource:
    """Streams by rtsp://host[:port]/path; the account is the camera's and stands in no address."""

    def __init__(self, config: RtspConfig, fetch: FetchConfig, *, clock: Callable[[], datetime]) -> None:
        self._config, self._fetch, self._clock = config, fetch, clock
        self._readers = asyncio.Semaphore(config.readers)
        self._abandoned: set[threading.Thread] = set()
        self._refusals = Refusals(fetch.unauthorized_pause_s)

    async def grab(self, camera: Camera) -> Frame | Unobserved:
        if isinstance(camera.credentials, Unobserved):
            return camera.credentials
        place = _place_of(camera.snapshot_url)
        if place is None:
            return Unobserved(Reason.BAD_ADDRESS, "rtsp://host[:port]/path")
        return self._refusals.standing(camera) or await self._ask(camera, *place)

    async def _ask(self, camera: Camera, host: str, port: int) -> Frame | Unobserved:
        account = camera.credentials if isinstance(camera.credentials, Credentials) else None
        captured_at = self._clock()
        ends = time.monotonic() + self._fetch.total_s
        try:
            async with asyncio.timeout(self._fetch.total_s):
                described = await describe(
                    host, port, camera.snapshot_url, account, self._fetch, clock=self._clock
                )
        except TimeoutError:
            limit = f"{self._fetch.total_s:g}"
            return Unobserved(Reason.RTSP_SILENT, f"{limit} 秒内没有描述 / no description within {limit} s")
        if isinstance(described, Unobserved):
            if described.reason is Reason.UNAUTHORIZED:
                self._refusals.note(camera)
            return described
        address = _address_for_ffmpeg(camera.snapshot_url, described.peer, port, account)
        try:
            data = await self._read(address, max(0.1, ends - time.monotonic()))
        finally:
            described.connection.close()
        if isinstance(data, Unobserved):
            return data
        return Frame(data, captured_at, self._clock(), described.clock_offset_s)

    async def close(self) -> None:
        """Readers on their way end by themselves; nothing waits for them."""

    async def _read(self, address: str, left_s: float) -> bytes | Unobserved:
        """The picture as JPEG, within left_s from when a reader is free (which is waited for as for a host's turn)."""
        try:
            async with asyncio.timeout(self._fetch.host_wait_s):
                await self._readers.acquire()
        except TimeoutError:
            n = self._config.readers
            return Unobserved(Reason.READERS_BUSY, f"已在读取 {n} 路 / {n} streams are read already")
        try:
            self._abandoned = {thread for thread in self._abandoned if thread.is_alive()}
            if len(self._abandoned) >= self._config.abandoned:
                n = len(self._abandoned)
                return Unobserved(Reason.READERS_BUSY, f"{n} 路读取卡住 / {n} readers hang")
            return await self._read_aside(address, left_s)
        finally:
            self._readers.release()

    async def _read_aside(self, address: str, left_s: float) -> bytes | Unobserved:
        """By a thread of its own, which is left behind where it does not end in time."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bytes | Unobserved] = loop.create_future()
        ends = time.monotonic() + left_s

        def settle(result: bytes | Unobserved) -> None:
            if not done.done():
                done.set_result(result)

        def read() -> None:
            result = _one_picture(address, ends, self._fetch.max_pixels)
            try:
                loop.call_soon_threadsafe(settle, result)
            except RuntimeError:
                return  # the loop is closed: nobody waits any more

        thread = threading.Thread(target=read, name="rtsp", daemon=True)
        thread.start()
        try:
            async with asyncio.timeout(left_s):
                return await done
        except TimeoutError:
            limit = f"{self._fetch.total_s:g}"
            return Unobserved(Reason.RTSP_NO_PICTURE, f"{limit} 秒内没有画面 / none within {limit} s")
        finally:
            if done.cancelled():  # by the time-out, or with the look
                self._abandoned.add(thread)


def _one_picture(address: str, ends: float, max_pixels: int) -> bytes | Unobserved:
    """Runs in a thread; FFmpeg's waiting holds no lock. ends: monotonic seconds. The address is never in a message."""
    left_ms = max(1, round(1000 * (ends - time.monotonic())))
    try:
        capture = cv2.VideoCapture(
            address,
            cv2.CAP_FFMPEG,
            [
                *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, left_ms),
                *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, left_ms),
                # One frame: more threads would only have to be made and ended.
                *(cv2.CAP_PROP_N_THREADS, 1),
            ],
        )
        try:
            if not capture.isOpened():
                return _failed(ends, "有描述，但打不开 / it was described, and could not be opened")
            width, height = (
                round(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
            )
            if width * height > max_pixels:
                return Unobserved(Reason.TOO_MANY_PIXELS, f"{width}x{height}")
            has_come, image = capture.read()
        finally:
            capture.release()
        if not has_come:
            return _failed(ends, "没有画面，码流就断了 / the stream ended before a picture")
        is_written, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        return (
            data.tobytes()
            if is_written
            else Unobserved(Reason.RTSP_NO_PICTURE, "无法编码 / cannot be encoded")
        )
    except cv2.error as fault:
        return Unobserved(Reason.RTSP_NO_PICTURE, f"OpenCV 错误 {fault.code} / OpenCV error {fault.code}")


def _failed(ends: float, detail: str) -> Unobserved:
    """FFmpeg says the same when its time is over and when the server ends the connection."""
    is_late = time.monotonic() > ends - 0.1
    return Unobserved(Reason.RTSP_NO_PICTURE if is_late else Reason.BROKEN_OFF, detail)


def _place_of(address: str) -> tuple[str, int] | None:
    """Host and port; None for what is no RTSP address: with a space or an end of line in it, or an account."""
    if any(ord(letter) <= 32 or ord(letter) == 127 for letter in address):
        return None
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port or _DEFAULT_PORT
    except ValueError:
        return None
    return (host, port) if parts.scheme == "rtsp" and host and "@" not in parts.netloc else None


def _address_for_ffmpeg(url: str, peer: str, port: int, account: Credentials | None) -> str:
    """The address with the account in it and the IP address in place of the name: for one call, never for a log."""
    rest = url.partition("://")[2]
    path = rest[len(urlsplit(url).netloc) :]
    shown = f"[{peer}]" if ":" in peer else peer
    holder = ""
    if account is not None:
        name, password = account.username.get_secret_value(), account.password.get_secret_value()
        holder = f"{quote(name, safe='')}:{quote(password, safe='')}@"
    return f"rtsp://{holder}{shown}:{port}{path}"
