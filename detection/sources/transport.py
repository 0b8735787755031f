"""HTTP connections by aiohttp under httpx's client: a tenth of the CPU that httpx's own take for a picture.

httpx keeps the requests, redirects, accounts and errors; what is here is only how bytes go out and come in. Measured:
docs/benchmarks.md, "Fetching".
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from functools import cache

import aiohttp
import httpx
from yarl import URL

__all__ = ["Connections"]

_CHUNK_BYTES = 65_536
KEEP_S = 5.0
"""A camera has few connections to give: none is held longer than a fast period needs."""


class Connections(httpx.AsyncBaseTransport):
    """As many connections as are asked for (the watch bounds them itself); idle ones are kept for KEEP_S seconds.

    A request on a connection that was cut is sent once more. Raises httpx's errors: ConnectTimeout, ConnectError (the system's error is its cause), ReadTimeout, and
    RemoteProtocolError for everything that a device breaks off or garbles.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.scheme not in ("http", "https"):
            raise httpx.UnsupportedProtocol("")
        session = self._opened()
        limits = request.extensions.get("timeout", {})
        with _errors_of_httpx():
            response = await session.request(
                request.method,
                # As it stands in the register: requoting would change what a camera's web server is asked.
                URL(str(request.url), encoded=True),
                headers=request.headers.multi_items(),
                data=request.content or None,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(
                    sock_connect=limits.get("connect"), sock_read=limits.get("read")
                ),
            )
        return httpx.Response(
            response.status, headers=response.raw_headers, stream=_Body(response), request=request
        )

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        # Made at the first request, since it belongs to the event loop that asks.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_S, ssl=_trusted()),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        return self._session


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _errors_of_httpx():
            async for part in self._response.content.iter_chunked(_CHUNK_BYTES):
                yield part

    async def aclose(self) -> None:
        # A connection with an unread rest is closed, one that was read to the end is kept.
        self._response.release()


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted, read once a process: it takes a tenth of a second."""
    return httpx.create_ssl_context(trust_env=False)


@contextmanager
def _errors_of_httpx() -> Iterator[None]:
    try:
        yield
    except aiohttp.ConnectionTimeoutError as fault:
        raise httpx.ConnectTimeout("") from fault
    except aiohttp.ServerTimeoutError as fault:
        raise httpx.ReadTimeout("") from fault
    except aiohttp.ClientConnectorError as fault:
        raise httpx.ConnectError("") from fault
    except aiohttp.InvalidURL as fault:
        raise httpx.InvalidURL("") from fault
    except (aiohttp.ClientError, ValueError) as fault:
        raise httpx.RemoteProtocolError(type(fault).__name__) from fault
