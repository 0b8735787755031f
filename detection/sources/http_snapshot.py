"""One picture by HTTP GET, with hard limits on time and size, and the camera's account where it asks for one."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Callable, Generator
from datetime import datetime
from urllib.parse import urlsplit

import httpx

from detection.config import FetchConfig
from detection.sources.challenge import ChallengeAuth, filled_in, has_places
from detection.types import Camera, Credentials, Frame, Reason, Unobserved

MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_STATUS = {401: Reason.HTTP_401, 403: Reason.HTTP_403, 404: Reason.HTTP_404}


class HttpSnapshot:
    """Snapshots over HTTP. Proxies of the environment are ignored and redirects not followed: a camera's address
    is the camera's, and a login page is not a picture. `clock` gives the time of capture and receipt."""

    def __init__(self, config: FetchConfig, *, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._clock = clock
        # By camera: the address and account that were used, and what came of it.
        self._auths: dict[int, tuple[str, Credentials, ChallengeAuth]] = {}
        self._refused: dict[int, tuple[tuple[str, object], float]] = {}
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(config.total_s, connect=config.connect_s),
            limits=httpx.Limits(max_connections=config.in_flight, max_keepalive_connections=config.in_flight),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "geoapp-watch", "Accept": "image/jpeg, image/png"},
        )

    async def grab(self, camera: Camera) -> Frame | Unobserved:
        captured_at = self._clock()
        try:
            # httpx limits each read; a camera that drips one byte a second needs a limit on the whole.
            async with asyncio.timeout(self._config.total_s):
                answer = self._without_asking(camera) or await self._download(camera)
        except (TimeoutError, httpx.TimeoutException):
            return Unobserved(Reason.TIMEOUT, f"no whole picture within {self._config.total_s:g} s")
        except httpx.ConnectError as fault:
            refused = _has_errno(fault, errno.ECONNREFUSED)
            return Unobserved(Reason.CONNECTION_REFUSED if refused else Reason.UNREACHABLE)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            return Unobserved(Reason.BAD_ADDRESS)
        except httpx.HTTPError as fault:
            return Unobserved(Reason.BROKEN_OFF, type(fault).__name__)
        if isinstance(answer, Unobserved):
            return answer
        return Frame(answer, captured_at, self._clock())

    async def close(self) -> None:
        await self._client.aclose()

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
            return Unobserved(Reason.HTTP_401, "its address needs an account, and none is stored")
        if self._is_pausing(camera):
            return Unobserved(Reason.UNAUTHORIZED, "refused before; tried again later, or when it is changed")
        return None

    def _is_pausing(self, camera: Camera) -> bool:
        refused = self._refused.get(camera.id)
        if refused is None:
            return False
        what, until = refused
        if what == (camera.snapshot_url, camera.credentials) and time.monotonic() < until:
            return True
        del self._refused[camera.id]
        return False

    async def _download(self, camera: Camera) -> bytes | Unobserved:
        credentials = camera.credentials
        if not isinstance(credentials, Credentials):
            return await self._follow(_once(self._client.build_request("GET", camera.snapshot_url)), False)
        url = filled_in(camera.snapshot_url, credentials)
        request = self._client.build_request("GET", url)
        flow = self._auth_of(camera, credentials).flow(request)
        answer = await self._follow(flow, has_places(camera.snapshot_url))
        if isinstance(answer, Unobserved) and answer.reason is Reason.UNAUTHORIZED:
            until = time.monotonic() + self._config.unauthorized_pause_s
            self._refused[camera.id] = (camera.snapshot_url, camera.credentials), until
        return answer

    async def _follow(
        self, flow: Generator[httpx.Request, httpx.Response, None], is_in_address: bool
    ) -> bytes | Unobserved:
        """Sends a flow's requests; the last response counts. Of the others no body is read, however long it is."""
        request: httpx.Request | None = next(flow)
        while request is not None:
            asked_with_account = is_in_address or "Authorization" in request.headers
            response = await self._client.send(request, stream=True)
            try:
                request = _next_request(flow, response)
                if request is None:
                    return await self._read(response, asked_with_account)
            finally:
                await response.aclose()
        raise AssertionError("a flow ends with a response")

    async def _read(self, response: httpx.Response, asked_with_account: bool) -> bytes | Unobserved:
        if response.status_code != httpx.codes.OK:
            reason = _reason_of_status(response.status_code)
            if reason is Reason.HTTP_401 and asked_with_account:
                return Unobserved(Reason.UNAUTHORIZED, "the stored user name or password was refused")
            return Unobserved(reason, f"HTTP {response.status_code}")
        parts, size = [], 0
        async for part in response.aiter_bytes():
            parts.append(part)
            size += len(part)
            if size > self._config.max_bytes:
                return Unobserved(Reason.TOO_LARGE, f"more than {self._config.max_bytes} bytes")
        data = b"".join(parts)
        if not data.startswith(MAGIC):
            kind = response.headers.get("content-type", "nothing")
            return Unobserved(Reason.NOT_AN_IMAGE, f"{kind[:60]}, {size} bytes")
        return data


def _once(request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
    yield request


def _next_request(
    flow: Generator[httpx.Request, httpx.Response, None], response: httpx.Response
) -> httpx.Request | None:
    """What a flow wants to send after this response; None where it is content."""
    try:
        return flow.send(response)
    except StopIteration:
        return None


def safe_url(url: str) -> str:
    """The address without account, password and query: for logs and screens."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "?"
    return f"{parts.scheme}://{parts.hostname or '?'}{port}{parts.path}"


def _reason_of_status(status: int) -> Reason:
    if status in _STATUS:
        return _STATUS[status]
    if status >= 500:
        return Reason.HTTP_5XX
    return Reason.HTTP_4XX if status >= 400 else Reason.HTTP_REDIRECT


def _has_errno(fault: BaseException | None, number: int) -> bool:
    """Whether the error or any cause of it carries this errno (asyncio and httpcore wrap it several times)."""
    seen: set[int] = set()
    todo = [fault]
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, OSError) and one.errno == number:
            return True
        todo += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            todo += one.exceptions
        # asyncio joins the errors of several addresses into one OSError without errno.
        if isinstance(one, OSError) and one.errno is None and f"[Errno {number}]" in str(one):
            return True
    return False
