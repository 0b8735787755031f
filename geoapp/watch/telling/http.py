"""One POST with a bound on the whole of it, and what its answer means."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path

import httpx

from geoapp.watch.telling.answer import Answer, later, refused
from geoapp.watch.telling.config import TellingConfig

MOST_ANSWER_BYTES = 65_536
SHOWN_CHARACTERS = 200
TRY_AGAIN = frozenset({408, 425, 429})


class HttpAnswer:
    """Status, text and headers of an answer."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        self.status, self.text, self.headers = status, text, headers

    @property
    def said(self) -> str:
        """For the log: the status and the beginning of the text, in one line."""
        shown = " ".join(self.text.split())[:SHOWN_CHARACTERS]
        return f"HTTP {self.status} {shown}".rstrip()


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    config: TellingConfig,
    at: datetime,
) -> HttpAnswer | Answer:
    """The answer of status 2xx, or what its absence means. Redirects are not followed: the address is wrong then.

    Raises nothing. The whole takes config.total_s at most, however slowly the other side drips.
    """
    try:
        answer = asyncio.run(_within(url, body, headers, config))
    except TimeoutError:
        return later(f"no answer within {config.total_s:g} s")
    except (httpx.InvalidURL, httpx.UnsupportedProtocol):
        return refused("the address is not one that can be asked")
    except (httpx.HTTPError, OSError, ssl.SSLError) as fault:
        # Texts of httpx may quote the address, and addresses of robots hold their tokens.
        return later(f"not reached ({type(fault).__name__})")
    if 200 <= answer.status < 300:
        return answer
    if answer.status in TRY_AGAIN or answer.status >= 500:
        return later(answer.said, retry_after_s(answer.headers.get("retry-after"), at))
    return refused(answer.said)


async def _within(url: str, body: bytes, headers: Mapping[str, str], config: TellingConfig) -> HttpAnswer:
    async with asyncio.timeout(config.total_s):
        timeout = httpx.Timeout(config.total_s, connect=config.connect_s)
        async with (
            httpx.AsyncClient(timeout=timeout, follow_redirects=False, verify=trusted(config)) as client,
            client.stream("POST", url, content=body, headers=dict(headers)) as response,
        ):
            held = b""
            async for part in response.aiter_bytes():
                held += part
                if len(held) > MOST_ANSWER_BYTES:
                    break
            return HttpAnswer(response.status_code, held.decode("utf-8", "replace"), response.headers)


def trusted(config: TellingConfig) -> ssl.SSLContext:
    """The public authorities, and those of the file in the settings; read once, which takes longer than a message."""
    return _trusted(config.ca_file)


@lru_cache(maxsize=4)
def _trusted(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def retry_after_s(value: str | None, at: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, given in seconds or as a date; None where it says nothing sensible."""
    if value is None:
        return None
    if value.strip().isdigit():
        return float(min(int(value.strip()[:9]), 86_400))
    try:
        moment = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(0.0, (moment - at).total_seconds()), 86_400.0)
