"""What an RTSP server says of a stream, asked before FFmpeg is: FFmpeg's one answer for every fault is "could not open".

It takes no thread, says why there is no stream, tries an account once, and tells the server's clock in passing.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from detection.config import FetchConfig
from detection.sources.clock import offset_of_date
from detection.sources.network_faults import reason_of_connect
from detection.types import Credentials, Reason, Unobserved

__all__ = ["Described", "describe"]

_MAX_BODY = 256_000
_HEAD = re.compile(r"RTSP/1\.\d (\d{3})")
_PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^,\s]*))')


@dataclass(frozen=True, slots=True)
class Described:
    """A stream with video. peer: the IP address that answered, so that no name is looked up a second time.

    connection: to be closed when the stream has been read. A server that prepares a stream at its description (GStreamer's)
    puts it away when the asker leaves, and refuses whoever asks meanwhile.
    """

    peer: str
    clock_offset_s: float | None
    connection: asyncio.StreamWriter


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]


async def describe(
    host: str,
    port: int,
    url: str,
    account: Credentials | None,
    config: FetchConfig,
    *,
    clock: Callable[[], datetime],
) -> Described | Unobserved:
    """Asks with DESCRIBE for the stream at url (without an account in it). The whole is to be limited by the caller."""
    try:
        async with asyncio.timeout(config.connect_s):
            reader, writer = await asyncio.open_connection(host, port, limit=65_536)
    except TimeoutError:
        limit = f"{config.connect_s:g}"
        return Unobserved(Reason.CONNECT_TIMEOUT, f"{limit} 秒内没有连上 / no connection within {limit} s")
    except (OSError, UnicodeError) as fault:
        return Unobserved(reason_of_connect(fault))
    described: Described | None = None
    try:
        asked_at = clock()
        answer = await _ask(reader, writer, url, 1, "")
        header = _authorization(answer, account, url) if answer.status == 401 and account else None
        if header is not None:
            asked_at = clock()
            answer = await _ask(reader, writer, url, 2, f"Authorization: {header}\r\n")
        why_not = _why_not(answer, is_account_shown=header is not None)
        if why_not is not None:
            return why_not
        peer = str(writer.get_extra_info("peername")[0])
        offset = offset_of_date(next(iter(answer.all("date")), None), asked_at, clock())
        described = Described(peer, offset, writer)
        return described
    except (asyncio.IncompleteReadError, ConnectionError):
        return Unobserved(Reason.BROKEN_OFF, "没有应答，连接就断了 / the connection ended before an answer")
    except (ValueError, asyncio.LimitOverrunError):
        return Unobserved(
            Reason.RTSP_REFUSED, "应答的不是 RTSP 服务器 / what answers there is no RTSP server"
        )
    finally:
        if described is None:
            writer.close()


async def _ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, url: str, number: int, header: str
) -> _Answer:
    """Raises ValueError where the answer is no RTSP."""
    writer.write(
        f"DESCRIBE {url} RTSP/1.0\r\nCSeq: {number}\r\nUser-Agent: geoapp-watch\r\n"
        f"Accept: application/sdp\r\n{header}\r\n".encode()
    )
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode("utf-8", "replace")
    found = _HEAD.match(head)
    if found is None:
        raise ValueError("no RTSP status")
    lines = [line.partition(":") for line in head.split("\r\n")[1:] if ":" in line]
    headers = [(name.strip().lower(), value.strip()) for name, _, value in lines]
    length = int(next((value for name, value in headers if name == "content-length"), "0"))
    if not 0 <= length <= _MAX_BODY:
        raise ValueError("a description of that length is none")
    return _Answer(int(found[1]), headers, await reader.readexactly(length))


def _why_not(answer: _Answer, *, is_account_shown: bool) -> Unobserved | None:
    if answer.status == 200:
        if re.search(rb"^m=video ", answer.body, re.MULTILINE) is None:
            return Unobserved(Reason.RTSP_NO_STREAM, "描述中没有视频 / no video in its description")
        return None
    detail = f"RTSP {answer.status}"
    if answer.status == 401:
        return Unobserved(Reason.UNAUTHORIZED if is_account_shown else Reason.HTTP_401, detail)
    if answer.status == 404:
        return Unobserved(Reason.RTSP_NO_STREAM, detail)
    if 300 <= answer.status < 400:
        return Unobserved(Reason.HTTP_REDIRECT, detail)
    return Unobserved(Reason.RTSP_REFUSED, detail)


def _authorization(answer: _Answer, account: Credentials, url: str) -> str | None:
    """The answer to a challenge: digest (MD5, as FFmpeg has it too) where it is offered, else basic; None for others."""
    offered = {c.partition(" ")[0].lower(): c for c in answer.all("www-authenticate")}
    user, password = account.username.get_secret_value(), account.password.get_secret_value()
    if "digest" in offered:
        said = {name.lower(): a or b for name, a, b in _PARAMETER.findall(offered["digest"])}
        if said.get("algorithm", "MD5").upper() != "MD5" or not said.get("nonce"):
            return None
        return _digest(user, password, url, said)
    if "basic" in offered:
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    return None


def _digest(user: str, password: str, url: str, said: dict[str, str]) -> str:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    realm, nonce = said.get("realm", ""), said["nonce"]
    first, second = md5(f"{user}:{realm}:{password}"), md5(f"DESCRIBE:{url}")
    # RTSP servers ask without qop (RFC 2069); where one is offered, the answer may leave it out as well.
    response = md5(f"{first}:{nonce}:{second}")
    opaque = f', opaque="{said["opaque"]}"' if "opaque" in said else ""
    return f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{url}", response="{response}"{opaque}'
