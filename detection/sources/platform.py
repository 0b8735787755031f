"""Cameras behind the city's video platform: gb28181://device[/channel], by the platform's HTTP API as WVP has it.

    GET {login_path}?username=…&password=MD5   {"code": 0, "data": {"accessToken": …}}
    GET {snap_path}?deviceId=…&channelId=…     the name of a picture taken just now: {device}_{channel}_{mark}.jpg
    GET {picture_path}?mark=…                  that picture

device: the 20-digit number under which the platform knows the camera or its recorder; channel: the camera's own, its
gb_id where the address names none. The account is the platform's (sources.platform in the watch's configuration), shown
in the header access-token, and no camera's. The pictures carry no clock of the camera's.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from detection.config import FetchConfig, PlatformConfig
from detection.sources.base import FailedLookError
from detection.sources.foreign import foreign
from detection.sources.http_snapshot import (
    HttpSnapshot,
    body_of,
    no_picture_within,
    reason_of_status,
    unobserved_by,
)
from detection.sources.picture import checked
from detection.types import Camera, Frame, Reason, Unobserved

__all__ = ["PlatformSource", "device_and_channel"]

_MAX_JSON_BYTES = 1_000_000
_TOKEN_HEADER = "access-token"
_GB_ID = re.compile(r"\d{20}")


class PlatformSource:
    """Signs in once and again where the platform has forgotten it; config.at_a_time cameras are asked at a time."""

    def __init__(
        self, config: PlatformConfig, fetch: FetchConfig, http: HttpSnapshot, *, clock: Callable[[], datetime]
    ) -> None:
        self._config, self._fetch, self._http, self._clock = config, fetch, http, clock
        self._token = ""
        self._signing_in = asyncio.Lock()
        self._refused_until = 0.0
        self._turns = asyncio.Semaphore(config.at_a_time)

    async def grab(self, camera: Camera) -> Frame | Unobserved:
        if self._config.base_url is None:
            return Unobserved(Reason.PLATFORM_NOT_SET, "sources.platform.base_url")
        named = device_and_channel(camera)
        if named is None:
            return Unobserved(
                Reason.BAD_ADDRESS,
                "gb28181://device[/channel]，各 20 位数字 / gb28181://device[/channel], 20 digits each",
            )
        try:
            async with asyncio.timeout(self._fetch.host_wait_s):
                await self._turns.acquire()
        except TimeoutError:
            n = self._config.at_a_time
            return Unobserved(
                Reason.HOST_BUSY, f"平台上已有 {n} 个请求 / the platform is asked {n} times already"
            )
        try:
            return await self._ask(*named)
        finally:
            self._turns.release()

    async def _ask(self, device: str, channel: str) -> Frame | Unobserved:
        captured_at = self._clock()
        try:
            async with asyncio.timeout(self._fetch.total_s):
                data = await self._picture(device, channel)
        except FailedLookError as failed:
            return failed.unobserved
        except TimeoutError:
            return no_picture_within(self._fetch.total_s)
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            return unobserved_by(fault)
        return Frame(data, captured_at, self._clock())

    async def close(self) -> None:
        """The HTTP client belongs to whoever made it."""

    async def _picture(self, device: str, channel: str) -> bytes:
        """Raises FailedLookError with the reason."""
        status, body = await self._get(
            self._config.snap_path, {"deviceId": device, "channelId": channel}, _MAX_JSON_BYTES
        )
        name = _data_of(status, body)
        taken = re.fullmatch(
            rf"(?:.*/)?{device}_{channel}_([\w-]+)\.jpg", name if isinstance(name, str) else ""
        )
        if taken is None:
            raise FailedLookError(
                Unobserved(
                    Reason.PLATFORM_REFUSED,
                    "平台没有给出这台摄像机的画面 / it named no picture of this camera",
                )
            )
        path = self._config.picture_path.format(device=device, channel=channel)
        status, body = await self._get(path, {"mark": taken[1]}, self._fetch.max_bytes)
        if status != httpx.codes.OK:
            raise FailedLookError(
                Unobserved(Reason.PLATFORM_REFUSED, f"取画面时 HTTP {status} / HTTP {status} for the picture")
            )
        data = checked(body, self._fetch)
        if isinstance(data, Unobserved):
            raise FailedLookError(data)
        return data

    async def _get(self, path: str, query: dict[str, str], max_bytes: int) -> tuple[int, bytes]:
        """Status and body, signed in; asked once more after signing in anew where the platform has forgotten us."""
        if not self._token:
            await self._sign_in("")
        token = self._token
        status, body = await self._send(path, query, max_bytes, token)
        if _is_signed_out(status, body):
            await self._sign_in(token)
            status, body = await self._send(path, query, max_bytes, self._token)
            if _is_signed_out(status, body):
                raise FailedLookError(
                    Unobserved(Reason.HTTP_403, "平台账号无权查看 / the platform's account may not see it")
                )
        return status, body

    async def _sign_in(self, old: str) -> None:
        """One of the looks that need it signs in, the others wait for it. A refused account pauses for all of them."""
        async with self._signing_in:
            if self._token != old:
                return
            if time.monotonic() < self._refused_until:
                raise FailedLookError(
                    Unobserved(
                        Reason.UNAUTHORIZED, "平台此前拒绝了账号 / the platform refused its account before"
                    )
                )
            password = self._config.password.get_secret_value()
            # The API wants the MD5 of the password: the platform's choice, not ours.
            hashed = hashlib.md5(password.encode(), usedforsecurity=False).hexdigest()
            account = {"username": self._config.username.get_secret_value(), "password": hashed}
            status, body = await self._send(self._config.login_path, account, _MAX_JSON_BYTES, "")
            told = _json(body)
            code = told.get("code") if isinstance(told, dict) else None
            data = told.get("data") if isinstance(told, dict) else None
            token = data.get("accessToken") if isinstance(data, dict) else None
            if isinstance(token, str) and token.isascii() and token.isprintable():
                self._token = token
                return
            if status >= 500:
                raise FailedLookError(Unobserved(reason_of_status(status), "平台登录 / the platform's login"))
            if code is None and status == httpx.codes.OK:
                raise FailedLookError(
                    Unobserved(
                        Reason.PLATFORM_REFUSED, "平台登录的应答不合要求 / its login answers something else"
                    )
                )
            self._refused_until = time.monotonic() + self._fetch.unauthorized_pause_s
            raise FailedLookError(
                Unobserved(
                    Reason.UNAUTHORIZED,
                    f"平台拒绝了账号，代码 {foreign(code, 20)} / the platform refused its account, code {foreign(code, 20)}",
                )
            )

    async def _send(self, path: str, query: dict[str, str], max_bytes: int, token: str) -> tuple[int, bytes]:
        assert self._config.base_url is not None
        request = self._http.client.build_request(
            "GET",
            self._config.base_url.rstrip("/") + path,
            params=query,
            headers={_TOKEN_HEADER: token} if token else {},
        )
        response = await self._http.client.send(request, stream=True)
        try:
            body = await body_of(response, max_bytes)
        finally:
            await response.aclose()
        if isinstance(body, Unobserved):
            raise FailedLookError(body)
        return response.status_code, body


def device_and_channel(camera: Camera) -> tuple[str, str] | None:
    """The numbers of a gb28181:// address; None where it is none. Without a channel it is the camera's own gb_id."""
    parts = urlsplit(camera.snapshot_url)
    device, channel = parts.netloc, parts.path.strip("/") or camera.gb_id
    if parts.scheme != "gb28181" or not _GB_ID.fullmatch(device) or not _GB_ID.fullmatch(channel):
        return None
    return device, channel


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _data_of(status: int, body: bytes) -> Any:
    """What came, out of {"code": 0, "data": …} or bare. Raises FailedLookError where the platform says that nothing came."""
    told = _json(body)
    if isinstance(told, dict) and told.get("code") == 0:
        return told.get("data")
    if isinstance(told, dict) and "code" in told:
        # Its own words (device offline, no stream) help whoever reads the log.
        raise FailedLookError(
            Unobserved(
                Reason.PLATFORM_REFUSED, f"code {foreign(told['code'], 20)}: {foreign(told.get('msg'), 60)}"
            )
        )
    if status != httpx.codes.OK:
        raise FailedLookError(Unobserved(Reason.PLATFORM_REFUSED, f"HTTP {status}"))
    return told if isinstance(told, str) else body.decode("utf-8", "replace").strip()


def _is_signed_out(status: int, body: bytes) -> bool:
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return True
    # Some versions say it with status 200.
    told = _json(body) if body[:1] == b"{" else None
    return isinstance(told, dict) and told.get("code") in (401, 403)
