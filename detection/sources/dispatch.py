"""Every camera by the scheme of its address. One object for the watch: `open_source`."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from urllib.parse import urlsplit

from detection.config import FetchConfig, WatchConfig
from detection.sources.base import FrameSource
from detection.sources.files import FileSource
from detection.sources.http_snapshot import HttpSnapshot
from detection.sources.isapi import IsapiSource
from detection.sources.onvif import OnvifSource
from detection.sources.platform import PlatformSource
from detection.sources.rtsp import RtspSource
from detection.types import Camera, Frame, Reason, Unobserved
from geoapp.registry.camera_address import scheme_of

__all__ = ["SOURCES", "DispatchingSource", "open_source"]

Clock = Callable[[], datetime]
Maker = Callable[[WatchConfig, HttpSnapshot, Clock], FrameSource]
"""Makes a source out of the configuration, the HTTP client that all of them share, and a clock."""

SOURCES: dict[str, Maker] = {
    "http": lambda config, http, clock: http,
    "https": lambda config, http, clock: http,
    "isapi": lambda config, http, clock: IsapiSource(http),
    "onvif": lambda config, http, clock: OnvifSource(config.sources.onvif, config.fetch, http, clock=clock),
    "rtsp": lambda config, http, clock: RtspSource(config.sources.rtsp, config.fetch, clock=clock),
    "file": lambda config, http, clock: FileSource(config.sources.files, config.fetch, clock=clock),
    "gb28181": lambda config, http, clock: PlatformSource(
        config.sources.platform, config.fetch, http, clock=clock
    ),
}


class HostTurns:
    """How many cameras of one host and port are asked at a time; the others there wait, those elsewhere do not."""

    def __init__(self, config: FetchConfig) -> None:
        self._config = config
        # Only those that are asked just now: the number asked and waiting, and the turns.
        self._asked: dict[str, int] = defaultdict(int)
        self._turns: dict[str, asyncio.Semaphore] = {}

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[bool]:
        """Held while its camera is asked. False where none came free within host_wait_s: then nothing is to be asked."""
        turns = self._turns.setdefault(host, asyncio.Semaphore(self._config.per_host))
        self._asked[host] += 1
        is_mine = False
        try:
            try:
                async with asyncio.timeout(self._config.host_wait_s):
                    await turns.acquire()
                is_mine = True
            except TimeoutError:
                pass
            yield is_mine
        finally:
            if is_mine:
                turns.release()
            self._asked[host] -= 1
            if not self._asked[host]:
                del self._asked[host], self._turns[host]


class DispatchingSource:
    """See detection.sources.base.FrameSource. sources: by scheme; http: closed with them."""

    def __init__(self, sources: dict[str, FrameSource], http: HttpSnapshot, config: FetchConfig) -> None:
        self._sources, self._http = sources, http
        self._hosts = HostTurns(config)

    async def grab(self, camera: Camera) -> Frame | Unobserved:
        source = self._sources.get(scheme_of(camera.snapshot_url))
        if source is None:
            known = ", ".join(f"{s}://" for s in self._sources)
            return Unobserved(Reason.BAD_ADDRESS, f"只认 {known} / none of {known}")
        host = turn_of(camera.snapshot_url)
        if host is None:
            return Unobserved(Reason.BAD_ADDRESS)
        if not host:
            return await source.grab(camera)
        async with self._hosts.turn(host) as is_mine:
            if not is_mine:
                return Unobserved(
                    Reason.HOST_BUSY,
                    "同一主机的其他摄像机占满了名额 / other cameras of its host took all turns",
                )
            return await source.grab(camera)

    async def close(self) -> None:
        for source in self._sources.values():
            if source is not self._http:
                await source.close()
        await self._http.close()


def open_source(config: WatchConfig, *, clock: Clock) -> DispatchingSource:
    """Every way of fetching that there is, with one HTTP client and one clock (which gives time with zone)."""
    http = HttpSnapshot(config.fetch, clock=clock)
    sources = {scheme: make(config, http, clock) for scheme, make in SOURCES.items()}
    return DispatchingSource(sources, http, config.fetch)


# Where a scheme asks when its address names no port. A GB/T 28181 device is no host: the platform has a limit of its own.
_PORTS = {"http": 80, "isapi": 80, "onvif": 80, "https": 443, "rtsp": 554}


def turn_of(address: str) -> str | None:
    """What a camera waits for: `host:port`. Empty for files; None: no address.

    By port, since recorders behind one NAT address are told apart by it and each bears its own load. The price: a recorder
    that is asked both for pictures and for streams counts as two.
    """
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS.get(parts.scheme.lower(), 0)
    except ValueError:
        return None
    return f"{parts.hostname}:{port}" if parts.hostname else ""
