"""Masks over places of a picture that gave false alarms: proposed by a review, decided by people, never for ever."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from detection.lease import Connection, statement
from geoapp.errors import Refused

# What may become of a mask, and out of which states.
DECISIONS = {
    "accept": ("active", ["proposed", "refused", "active", "ended"]),
    "refuse": ("refused", ["proposed"]),
    "end": ("ended", ["active"]),
}


def list_masks(connection: Connection, *, at: datetime, everything: bool = False) -> list[dict[str, Any]]:
    """Masks that are proposed or hold at a moment, with what they suppressed; everything: and those that were."""
    return connection.execute(statement("mask_list"), {"at": at, "all": everything}).fetchall()


def decide_mask(
    connection: Connection, number: int, decision: str, *, days: float, by: str, at: datetime
) -> dict[str, Any]:
    """Accepts (for `days` from now; again: longer), refuses or ends a mask; its id, state and until.

    Raises Refused where there is no such mask, or it is not in a state that allows it.
    """
    state, was = DECISIONS[decision]
    until = at + timedelta(days=days) if state == "active" else None
    row = connection.execute(
        statement("decided_mask"),
        {"id": number, "state": state, "was": was, "until": until, "at": at, "by": by},
    ).fetchone()
    if row is None:
        raise Refused(
            f"没有这样的遮罩，或其状态不允许 / no such mask, or its state does not allow it: {number}"
            "（geoapp detect mask list --all）"
        )
    return row
