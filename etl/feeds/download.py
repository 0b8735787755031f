"""A file from an address: only if it has changed, whole or not at all, within limits."""

import asyncio
import hashlib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import httpx

from geoapp.access.redaction import redact
from geoapp.errors import Refused

__all__ = ["Body", "Limits", "download"]

_SNIFFED = 1024
_HTML = (b"<!doctype html", b"<html", b"<head", b"<script")
_REFUSED_STATUS = {
    401: "账号或口令不被接受 / the account or password is not accepted",
    403: "没有权限 / access is forbidden",
    404: "地址上没有文件 / there is no file at the address",
    407: "代理要求登录 / the proxy asks for an account",
    410: "文件已被撤下 / the file was taken away",
    429: "对方说请求太多 / the server says that it is asked too often",
}


class Limits(NamedTuple):
    """Seconds to connect, to wait for the next bytes, and in all; bytes; redirects in a row."""

    connect_s: float = 5.0
    read_s: float = 30.0
    total_s: float = 600.0
    most_bytes: int = 2 << 30
    most_redirects: int = 5


class Body(NamedTuple):
    """What was written to the target: its validators, SHA-256 and size."""

    etag: str | None
    last_modified: str | None
    sha256: str
    size: int


def download(
    address: str,
    target: Path,
    *,
    shown: str,
    etag: str | None = None,
    last_modified: str | None = None,
    limits: Limits | None = None,
    ca_file: Path | None = None,
) -> Body | None:
    """Writes what is at an http(s) address to `target`; None where the server says that it has not changed.

    `etag`, `last_modified`: of what is held already. An account in the address is used, and goes to no other host.
    `ca_file`: authorities that are believed besides the public ones. Raises Refused, naming `shown` instead of the
    address, for whatever is not the whole file.
    """
    limits = limits or Limits()
    headers = {"User-Agent": "GeoApp feed", "Accept-Encoding": "identity"}
    if etag:
        headers["If-None-Match"] = etag
    if last_modified:
        headers["If-Modified-Since"] = last_modified
    with _in_words(shown, limits):
        return asyncio.run(_within(address, target, headers, shown, limits, _trusted(ca_file)))


async def _within(
    address: str, target: Path, headers: dict[str, str], shown: str, limits: Limits, trusted: ssl.SSLContext
) -> Body | None:
    timeout = httpx.Timeout(limits.read_s, connect=limits.connect_s)
    # One limit over everything: looking up the name, redirects, headers that drip, a body that drips.
    async with asyncio.timeout(limits.total_s), httpx.AsyncClient(verify=trusted, timeout=timeout) as client:
        request = client.build_request("GET", address, headers=headers)
        for _ in range(limits.most_redirects + 1):
            response = await client.send(request, stream=True)
            try:
                if response.next_request is None:
                    return await _received(response, target, shown, limits, is_conditional=len(headers) > 2)
                _refuse_other_schemes(response.request.url, response.next_request.url, shown)
                request = response.next_request
            finally:
                await response.aclose()
    raise Refused(
        f"{shown}: 转向超过 {limits.most_redirects} 次 / more than {limits.most_redirects} redirects, one to another."
    )


async def _received(
    response: httpx.Response, target: Path, shown: str, limits: Limits, *, is_conditional: bool
) -> Body | None:
    if response.status_code == 304 and is_conditional:
        return None
    if response.status_code != 200:
        why = _REFUSED_STATUS.get(response.status_code, "服务器出错 / the server failed")
        raise Refused(f"{shown}: HTTP {response.status_code}: {why}.")
    declared = response.headers.get("Content-Length", "")
    if declared.isdigit():
        _refuse_too_large(int(declared), shown, limits)
    digest, size, start = hashlib.sha256(), 0, b""
    with target.open("wb") as out:
        async for part in response.aiter_bytes():
            size += len(part)
            _refuse_too_large(size, shown, limits)
            if len(start) < _SNIFFED:
                start += part[:_SNIFFED]
                _refuse_web_page(start, response.headers.get("Content-Type", ""), shown)
            digest.update(part)
            out.write(part)
    if not size:
        raise Refused(f"{shown}: 下载的是空文件 / the file is empty (0 bytes).")
    return Body(response.headers.get("ETag"), response.headers.get("Last-Modified"), digest.hexdigest(), size)


def _refuse_other_schemes(here: httpx.URL, there: httpx.URL, shown: str) -> None:
    if there.scheme not in ("http", "https"):
        raise Refused(
            f"{shown}: 转向到 {there.scheme}:，不跟随 / is redirected to {there.scheme}:, which is not followed."
        )
    if here.scheme == "https" and there.scheme == "http":
        raise Refused(
            f"{shown}: 从加密的 https 转向到不加密的 http，不跟随 / is redirected from https to http, which is open to anyone on the way."
        )


def _refuse_too_large(size: int, shown: str, limits: Limits) -> None:
    if size > limits.most_bytes:
        raise Refused(
            f"{shown}: 超过 {limits.most_bytes / 1e6:,.0f} MB，已停止 / is larger than {limits.most_bytes / 1e6:,.0f} MB and was left; "
            "if that is right, raise GEOAPP_FEED_MOST_MB."
        )


def _refuse_web_page(start: bytes, media_type: str, shown: str) -> None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith(_HTML) or media_type.lower().startswith("text/html"):
        raise Refused(
            f"{shown}: 收到的是网页而不是数据文件，多半是登录页 / sent a web page instead of a file of data, "
            "most likely to sign in: check the account, and whether the address is that of the file itself."
        )


@lru_cache(maxsize=1)
def _trusted(ca_file: Path | None) -> ssl.SSLContext:
    trusted = httpx.create_ssl_context()
    if ca_file is not None:
        try:
            trusted.load_verify_locations(ca_file)
        except (OSError, ssl.SSLError):
            raise Refused(
                f"GEOAPP_FEED_CA_FILE: {ca_file} 读不了或不是 PEM / cannot be read, or is no PEM file."
            ) from None
    return trusted


@contextmanager
def _in_words(shown: str, limits: Limits) -> Iterator[None]:
    """Faults of the network as a person is told them. Texts of libraries are quoted only where they hold no address."""
    try:
        yield
    except TimeoutError:
        raise Refused(
            f"{shown}: {limits.total_s:g} 秒内没有传完 / was not complete after {limits.total_s:g} s."
        ) from None
    except httpx.ConnectTimeout:
        raise Refused(
            f"{shown}: {limits.connect_s:g} 秒内连不上 / no connection within {limits.connect_s:g} s."
        ) from None
    except httpx.TimeoutException:
        raise Refused(
            f"{shown}: {limits.read_s:g} 秒没有收到数据 / nothing came for {limits.read_s:g} s."
        ) from None
    except httpx.ConnectError as fault:
        raise Refused(f"{shown}: {_connection_words(str(fault))}.") from None
    except httpx.RemoteProtocolError:
        raise Refused(
            f"{shown}: 没有传完就断了，或应答不合 HTTP / was cut off before its end, or the answer is no HTTP."
        ) from None
    except httpx.HTTPError as fault:
        raise Refused(f"{shown}: 网络出错 / the network failed ({type(fault).__name__}).") from None
    except (httpx.InvalidURL, UnicodeError):
        raise Refused(f"{shown}: 转向的地址不合法 / is redirected to what is no address.") from None
    except OSError as fault:
        raise Refused(
            f"{shown}: 存不下来 / cannot be kept: {fault.strerror or fault}; check the disk."
        ) from None


def _connection_words(said: str) -> str:
    if "CERTIFICATE" in said.upper():
        return f"证书不可信 / its certificate is not trusted ({redact(said[:160])}); for an authority of one's own set GEOAPP_FEED_CA_FILE"
    if "name" in said.lower() or "resolution" in said.lower() or "nodename" in said.lower():
        return "找不到这个主机名 / the host's name is not known (DNS)"
    return f"连不上 / cannot be reached ({redact(said[:160])})"
