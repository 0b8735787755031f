"""How far a camera's clock is off, from what it says in passing."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["offset_of_date", "offset_s"]


def offset_s(camera_time: datetime, asked_at: datetime, answered_at: datetime) -> float:
    """Camera clock minus ours, seconds, at the middle of the request."""
    return (camera_time - (asked_at + (answered_at - asked_at) / 2)).total_seconds()


def offset_of_date(header: str | None, asked_at: datetime, answered_at: datetime) -> float | None:
    """The same from an HTTP or RTSP Date header, good to half a second; None where there is none that can be read."""
    if not header:
        return None
    try:
        said = parsedate_to_datetime(header)
        said = said if said.tzinfo else said.replace(tzinfo=UTC)
        # A Date is cut to whole seconds: on average half a second has passed since.
        return offset_s(said, asked_at, answered_at) + 0.5
    except (ValueError, OverflowError):
        return None
