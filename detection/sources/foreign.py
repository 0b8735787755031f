"""Words of a device in a detail that people read."""

from __future__ import annotations

__all__ = ["foreign"]


def foreign(text: object, most: int) -> str:
    """What a device says, on one line and at most so long, without the signs that part a detail: "中文 / English; …"."""
    plain = " ".join(str(text).split())
    return plain.replace("; ", ", ").replace(" / ", " | ")[:most].strip()
