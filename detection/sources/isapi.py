"""Hikvision cameras and recorders: isapi://host[:port]/channel is a picture of that channel over ISAPI."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from detection.sources.http_snapshot import HttpSnapshot
from detection.types import Camera, Frame, Reason, Unobserved

__all__ = ["IsapiSource", "picture_address"]


class IsapiSource:
    """Asks over the HTTP of `http`, with the camera's account as the device asks for it (digest, as a rule)."""

    def __init__(self, http: HttpSnapshot) -> None:
        self._http = http

    async def grab(self, camera: Camera) -> Frame | Unobserved:
        url = picture_address(camera.snapshot_url)
        if url is None:
            return Unobserved(Reason.BAD_ADDRESS, "isapi://host[:port]/channel")
        return await self._http.grab(replace(camera, snapshot_url=url))

    async def close(self) -> None:
        """The HTTP client belongs to whoever made it."""


def picture_address(address: str) -> str | None:
    """The HTTP address of an isapi:// one; None where it is none.

    A number up to 99 is a channel, and its main stream is meant (7 is 701); a longer one is a stream as the device counts
    them (702 is the sub-stream of channel 7). Without a number: channel 1.
    """
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    number = parts.path.strip("/") or "1"
    if parts.scheme != "isapi" or not host or not (number.isascii() and number.isdigit()) or int(number) < 1:
        return None
    stream = int(number) * 100 + 1 if int(number) < 100 else int(number)
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}{f':{port}' if port else ''}/ISAPI/Streaming/channels/{stream}/picture"
