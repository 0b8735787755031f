"""Whether bytes are a picture that may be decoded, by their first bytes and their header alone."""

from __future__ import annotations

from detection.config import FetchConfig
from detection.sources.foreign import foreign
from detection.types import Reason, Unobserved

__all__ = ["JPEG", "MAGIC", "checked", "size_in_header"]

JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
MAGIC = (JPEG, _PNG)
# Markers of a JPEG without a length: TEM, RST0..7, SOI.
_BARE = frozenset({0x01, *range(0xD0, 0xD9)})
# SOF0..15 carry the size; C4, C8 and CC are other things.
_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def checked(data: bytes, config: FetchConfig, *, kind: str = "") -> bytes | Unobserved:
    """The bytes, or why they are not decoded: no JPEG or PNG, or one that would fill the memory. kind: as the sender says."""
    if not data.startswith(MAGIC):
        # Of a content type only what it is: "text/html; charset=utf-8" would part the detail.
        what = foreign(kind.partition(";")[0], 60)
        return Unobserved(
            Reason.NOT_AN_IMAGE,
            f"{what or '未说明类型'}，{len(data)} 字节 / {what or 'no type said'}, {len(data)} bytes",
        )
    size = size_in_header(data)
    if size is not None and size[0] * size[1] > config.max_pixels:
        said = f"{size[0]}x{size[1]}"
        return Unobserved(Reason.TOO_MANY_PIXELS, f"{said}，{len(data)} 字节 / {said} in {len(data)} bytes")
    return data


def size_in_header(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels as the header says; None where it does not say (such a picture is damaged)."""
    if data.startswith(_PNG):
        return (_number(data, 16, 4), _number(data, 20, 4)) if data[12:16] == b"IHDR" else None
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker in _BARE:
            at += 2
        elif marker in _FRAME:
            return (_number(data, at + 7, 2), _number(data, at + 5, 2)) if at + 9 <= len(data) else None
        else:
            at += 2 + _number(data, at + 2, 2)
    return None


def _number(data: bytes, at: int, length: int) -> int:
    return int.from_bytes(data[at : at + length], "big")
