"""One picture by HTTP GET, with hard limits on time and size."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from datetime import datetime
from urllib.parse import urlsplit

import httpx

from detection.config import FetchConfig
from detection.types import Camera, Frame, Reason, Unobserved

MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_STATUS = {401: Reason.HTTP_401, 403: Reason.HTTP_403, 404: Reason.HTTP_404}


class HttpSnapshot:
    """Snapshots over HTTP. Proxies of the environment are ignored and redirects not followed: a camera's address
    is the camera's, and a login page is not a picture. `clock` gives the time of capture and receipt."""

    def __init__(self, config: FetchConfig, *, clock: Callable[[], datetime]) -> None:
        self._config = config
        self._clock = clock
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
                answer = await self._download(camera.snapshot_url)
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

    async def _download(self, url: str) -> bytes | Unobserved:
        async with self._client.stream("GET", url) as response:
            if response.status_code != httpx.codes.OK:
                return Unobserved(_reason_of_status(response.status_code), f"HTTP {response.status_code}")
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
