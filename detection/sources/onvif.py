"""ONVIF cameras: onvif://host[:port][/profile] asks the device where its snapshots are, and then for one.

The account goes to the host of the register's address and to no other, whatever address the device names: behind a
gateway it names its inner one anyway.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import unquote, urlsplit

import httpx

from detection.config import FetchConfig, OnvifConfig
from detection.sources import soap
from detection.sources.base import FailedLookError
from detection.sources.clock import offset_s
from detection.sources.foreign import foreign
from detection.sources.http_snapshot import (
    HttpSnapshot,
    body_of,
    no_picture_within,
    reason_of_status,
    unobserved_by,
)
from detection.sources.refusals import Refusals
from detection.types import Camera, Credentials, Frame, Reason, Unobserved

__all__ = ["OnvifSource"]

_MAX_SOAP_BYTES = 1_000_000
# Where a snapshot address that was right before may have changed.
_ASK_AGAIN = (Reason.HTTP_401, Reason.HTTP_404, Reason.HTTP_4XX, Reason.NOT_AN_IMAGE)


@dataclass(frozen=True, slots=True)
class _Known:
    """What a device told: asked for again after until (monotonic seconds)."""

    of: tuple[str, object]
    snapshot_url: str
    clock_offset_s: float | None
    until: float


class OnvifSource:
    """Snapshot addresses are kept for config.cache_s; the pictures come over the HTTP of `http`."""

    def __init__(
        self, config: OnvifConfig, fetch: FetchConfig, http: HttpSnapshot, *, clock: Callable[[], datetime]
    ) -> None:
        self._config, self._fetch, self._http, self._clock = config, fetch, http, clock
        self._known: dict[int, _Known] = {}
        self._refusals = Refusals(fetch.unauthorized_pause_s)

    async def grab(self, camera: Camera) -> Frame | Unobserved:
        if isinstance(camera.credentials, Unobserved):
            return camera.credentials
        try:
            async with asyncio.timeout(self._fetch.total_s):
                known = await self._known_of(camera)
                got = await self._http.grab(replace(camera, snapshot_url=known.snapshot_url))
        except FailedLookError as failed:
            return failed.unobserved
        except TimeoutError:
            return no_picture_within(self._fetch.total_s)
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            return unobserved_by(fault)
        if isinstance(got, Unobserved):
            if got.reason in _ASK_AGAIN:
                self._known.pop(camera.id, None)
            return got
        # The device's own word goes before the Date of its web server, which may be another clock.
        own = known.clock_offset_s
        return got if own is None else replace(got, clock_offset_s=own)

    async def close(self) -> None:
        """The HTTP client belongs to whoever made it."""

    async def _known_of(self, camera: Camera) -> _Known:
        of = (camera.snapshot_url, camera.credentials)
        known = self._known.get(camera.id)
        if known is not None and known.of == of and time.monotonic() < known.until:
            return known
        refused = self._refusals.standing(camera)
        if refused is not None:
            raise FailedLookError(refused)
        try:
            known = await self._ask(camera, of)
        except FailedLookError as failed:
            if failed.unobserved.reason is Reason.UNAUTHORIZED:
                self._refusals.note(camera)
            raise
        self._known[camera.id] = known
        return known

    async def _ask(self, camera: Camera, of: tuple[str, object]) -> _Known:
        parts = urlsplit(camera.snapshot_url)
        base = f"http://{parts.netloc}"
        account = camera.credentials if isinstance(camera.credentials, Credentials) else None
        asked_at = self._clock()
        told = await self._call(base + self._config.path, soap.GET_TIME, None)
        device_time = soap.device_time(told)
        offset = None if device_time is None else offset_s(device_time, asked_at, self._clock())
        # A device compares the token's time with its own clock, however wrong: it is given its own.
        shift = timedelta(seconds=offset or 0.0)

        async def call(url: str, body: str) -> soap.Element:
            security = "" if account is None else soap.security(account, self._clock() + shift)
            return await self._call(url, body, security)

        services = await call(base + self._config.path, soap.GET_CAPABILITIES)
        media = _at_home(soap.text_of(services, "Media", "XAddr"), base)
        if media is None:
            raise FailedLookError(
                Unobserved(Reason.ONVIF_FAULT, "设备没有给出媒体服务 / it names no media service")
            )
        profile = unquote(parts.path.strip("/"))
        if not profile:
            profile = soap.first_profile(await call(media, soap.GET_PROFILES)) or ""
        if not profile:
            raise FailedLookError(Unobserved(Reason.ONVIF_FAULT, "设备没有配置文件 / it has no profile"))
        answer = await call(media, soap.get_snapshot_uri(profile))
        snapshot = _at_home(soap.text_of(answer, "MediaUri", "Uri"), base)
        if snapshot is None:
            raise FailedLookError(
                Unobserved(Reason.ONVIF_FAULT, "设备没有给出抓图地址 / it names no snapshot address")
            )
        return _Known(of, snapshot, offset, time.monotonic() + self._config.cache_s)

    async def _call(self, url: str, body: str, security: str | None) -> soap.Element:
        """The body of an answer. Raises FailedLookError with the reason."""
        request = self._http.client.build_request(
            "POST",
            url,
            content=soap.envelope(body, security or ""),
            headers={"Content-Type": "application/soap+xml; charset=utf-8", "Accept": "application/soap+xml"},
        )
        response = await self._http.client.send(request, stream=True)
        try:
            data = await body_of(response, _MAX_SOAP_BYTES)
        finally:
            await response.aclose()
        if isinstance(data, Unobserved):
            raise FailedLookError(data)
        answer = soap.parse(data)
        fault = None if answer is None else soap.fault_of(answer)
        if response.status_code == httpx.codes.UNAUTHORIZED or (fault and "NotAuthorized" in fault):
            # Without a security header nothing was refused: none was shown.
            reason = Reason.UNAUTHORIZED if security else Reason.HTTP_401
            raise FailedLookError(Unobserved(reason, "ONVIF 未授权 / ONVIF: not authorized"))
        if fault is not None:
            raise FailedLookError(Unobserved(Reason.ONVIF_FAULT, foreign(fault, 100)))
        if response.status_code != httpx.codes.OK:
            raise FailedLookError(
                Unobserved(reason_of_status(response.status_code), f"HTTP {response.status_code}")
            )
        if answer is None:
            raise FailedLookError(
                Unobserved(
                    Reason.ONVIF_FAULT,
                    f"不是 SOAP 应答，{len(data)} 字节 / no SOAP answer, {len(data)} bytes",
                )
            )
        return answer


def _at_home(address: str | None, base: str) -> str | None:
    """The address on the host that the register names: path and query of it, and its port where the host is the same."""
    if not address:
        return None
    try:
        named, home = httpx.URL(address), httpx.URL(base)
        if named.scheme not in ("http", "https"):
            return None
        if named.host == home.host:
            return str(named.copy_with(userinfo=b""))
        return str(named.copy_with(scheme=home.scheme, host=home.host, port=home.port, userinfo=b""))
    except httpx.InvalidURL:
        return None
