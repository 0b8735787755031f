"""One picture by HTTP GET, with hard limits on time and size, and the camera's account where it asks for one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

import httpx

from detection.config import FetchConfig
from detection.sources.challenge import ChallengeAuth, filled_in, has_places
from detection.sources.clock import offset_of_date
from detection.sources.network_faults import reason_of_connect
from detection.sources.picture import checked
from detection.sources.refusals import Refusals
from detection.sources.transport import Connections
from detection.types import Camera, Credentials, Frame, Reason, Unobserved

_STATUS = {401: Reason.HTTP_401, 403: Reason.HTTP_403, 404: Reason.HTTP_404}
_REDIRECTS = (301, 302, 303, 307, 308)

Flow = Generator[httpx.Request, httpx.Response, None]


@dataclass(slots=True)
class Progress:
    """What is known of a request when its time is over. kept_bytes: of the body so far."""

    kept_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Answer:
    data: bytes
    clock_offset_s: float | None


class HttpSnapshot:
    """Snapshots over HTTP. Proxies of the environment are ignored, and a redirect is followed within the camera's own host
    and port only: its address is its own, and its account goes nowhere else. `clock` gives the time of capture and receipt.

    Used by itself it asks config.in_flight cameras at a time, however many of them stand at one host: per_host is kept by
    detection.sources.dispatch, through which the watch asks."""

    def __init__(self, config: FetchConfig, *, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._clock = clock
        # By camera: the address and account that were used.
        self._auths: dict[int, tuple[str, Credentials, ChallengeAuth]] = {}
        self._refusals = Refusals(config.unauthorized_pause_s)
        self.client = httpx.AsyncClient(
            timeout=httpx.Timeout(config.total_s, connect=config.connect_s),
            transport=Connections(),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "geoapp-watch", "Accept": "image/jpeg, image/png"},
        )

    async def grab(self, camera: Camera) -> Frame | Unobserved:
        captured_at = self._clock()
        progress = Progress()
        try:
            # httpx limits each read; a camera that drips one byte a second needs a limit on the whole.
            async with asyncio.timeout(self._config.total_s):
                answer = self._without_asking(camera) or await self._download(camera, progress)
        except TimeoutError:
            if progress.kept_bytes:
                kept, limit = progress.kept_bytes, f"{self._config.total_s:g}"
                return Unobserved(
                    Reason.TOO_SLOW, f"{limit} 秒内只收到 {kept} 字节 / {kept} bytes within {limit} s"
                )
            return no_picture_within(self._config.total_s)
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            return unobserved_by(fault)
        if isinstance(answer, Unobserved):
            return answer
        return Frame(answer.data, captured_at, self._clock(), answer.clock_offset_s)

    async def close(self) -> None:
        await self.client.aclose()

    def _auth_of(self, camera: Camera, credentials: Credentials) -> ChallengeAuth:
        known = self._auths.get(camera.id)
        if known is None or known[:2] != (camera.snapshot_url, credentials):
            known = camera.snapshot_url, credentials, ChallengeAuth(credentials)
            self._auths[camera.id] = known
        return known[2]

    def _without_asking(self, camera: Camera) -> Unobserved | None:
        """Why the camera is not even asked, where that is known."""
        if isinstance(camera.credentials, Unobserved):
            return camera.credentials
        if camera.credentials is None and has_places(camera.snapshot_url):
            return Unobserved(
                Reason.HTTP_401, "地址需要账号，但没有存 / its address needs an account, and none is stored"
            )
        return self._refusals.standing(camera)

    async def _download(self, camera: Camera, progress: Progress) -> _Answer | Unobserved:
        """Follows redirects within the camera's own host, each asked with the account anew where it asks for it."""
        credentials = camera.credentials
        is_in_address = has_places(camera.snapshot_url)
        url = camera.snapshot_url
        if isinstance(credentials, Credentials):
            url = filled_in(url, credentials)
        for _ in range(self._config.redirects + 1):
            request = self.client.build_request("GET", url)
            flow = _once(request)
            if isinstance(credentials, Credentials):
                flow = self._auth_of(camera, credentials).flow(request)
            answer = await self._follow(flow, is_in_address, progress)
            if isinstance(answer, httpx.URL):
                if not _is_same_camera(request.url, answer):
                    return Unobserved(Reason.HTTP_REDIRECT, "转到别的主机或端口 / to another host or port")
                url = str(answer)
                continue
            if isinstance(answer, Unobserved) and answer.reason is Reason.UNAUTHORIZED:
                self._refusals.note(camera)
            return answer
        return Unobserved(
            Reason.TOO_MANY_REDIRECTS,
            f"超过 {self._config.redirects} 次 / more than {self._config.redirects}",
        )

    async def _follow(
        self, flow: Flow, is_in_address: bool, progress: Progress
    ) -> _Answer | httpx.URL | Unobserved:
        """Sends a flow's requests; the last response counts. Of the others no body is read, however long it is."""
        request: httpx.Request | None = next(flow)
        while request is not None:
            asked_with_account = is_in_address or "Authorization" in request.headers
            asked_at = self._clock()
            response = await self.client.send(request, stream=True)
            try:
                request = _next_request(flow, response)
                if request is None:
                    offset = offset_of_date(response.headers.get("date"), asked_at, self._clock())
                    if response.status_code in _REDIRECTS and "location" in response.headers:
                        return response.url.join(response.headers["location"])
                    data = await self._read(response, asked_with_account, progress)
                    return data if isinstance(data, Unobserved) else _Answer(data, offset)
            finally:
                await response.aclose()
        raise AssertionError("a flow ends with a response")

    async def _read(
        self, response: httpx.Response, asked_with_account: bool, progress: Progress
    ) -> bytes | Unobserved:
        if response.status_code != httpx.codes.OK:
            reason = reason_of_status(response.status_code)
            if reason is Reason.HTTP_401 and asked_with_account:
                return Unobserved(
                    Reason.UNAUTHORIZED,
                    "所存的用户名或密码被拒绝 / the stored user name or password was refused",
                )
            return Unobserved(reason, f"HTTP {response.status_code}")
        data = await body_of(response, self._config.max_bytes, progress)
        if isinstance(data, Unobserved):
            return data
        return checked(data, self._config, kind=response.headers.get("content-type", ""))


async def body_of(
    response: httpx.Response, max_bytes: int, progress: Progress | None = None
) -> bytes | Unobserved:
    """The body of a streamed response, up to max_bytes of it as they come out of any compression."""
    parts, progress = [], progress or Progress()
    async for part in response.aiter_bytes():
        parts.append(part)
        progress.kept_bytes += len(part)
        if progress.kept_bytes > max_bytes:
            return Unobserved(Reason.TOO_LARGE, f"超过 {max_bytes} 字节 / more than {max_bytes} bytes")
    return b"".join(parts)


def no_picture_within(seconds: float) -> Unobserved:
    """What a source answers when its time is over."""
    return Unobserved(Reason.TIMEOUT, f"{seconds:g} 秒内没有画面 / no picture within {seconds:g} s")


def unobserved_by(fault: httpx.HTTPError | httpx.InvalidURL) -> Unobserved:
    """Why a request failed. The text of the error is not kept: it may hold the address."""
    if isinstance(fault, httpx.PoolTimeout):
        return Unobserved(
            Reason.HOST_BUSY, "同时查看的摄像机已达上限 / as many cameras are asked as may be at a time"
        )
    if isinstance(fault, httpx.ConnectTimeout):
        return Unobserved(Reason.CONNECT_TIMEOUT)
    if isinstance(fault, httpx.TimeoutException):
        return Unobserved(Reason.TIMEOUT)
    if isinstance(fault, httpx.ConnectError):
        return Unobserved(reason_of_connect(fault))
    if isinstance(fault, (httpx.InvalidURL, httpx.UnsupportedProtocol)):
        return Unobserved(Reason.BAD_ADDRESS)
    return Unobserved(Reason.BROKEN_OFF, type(fault).__name__)


def reason_of_status(status: int) -> Reason:
    """Of an HTTP status other than 200."""
    if status in _STATUS:
        return _STATUS[status]
    if status >= 500:
        return Reason.HTTP_5XX
    return Reason.HTTP_4XX if status >= 400 else Reason.HTTP_REDIRECT


def safe_url(url: str) -> str:
    """The address without account, password and query: for logs and screens."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "?"
    return f"{parts.scheme}://{parts.hostname or '?'}{port}{parts.path}"


def _is_same_camera(asked: httpx.URL, named: httpx.URL) -> bool:
    """Same host and port, or from plain HTTP to HTTPS on their own ports. Another port may be another camera's."""
    if asked.host != named.host:
        return False
    if asked.scheme == named.scheme:
        return asked.port == named.port
    return (asked.scheme, named.scheme) == ("http", "https") and asked.port is None and named.port is None


def _once(request: httpx.Request) -> Flow:
    yield request


def _next_request(flow: Flow, response: httpx.Response) -> httpx.Request | None:
    """What a flow wants to send after this response; None where it is content."""
    try:
        return flow.send(response)
    except StopIteration:
        return None
