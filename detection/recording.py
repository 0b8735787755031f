"""Results of scans into the register, many in one statement: the observations, their counters, the cameras' health."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid5

from detection.lease import Connection, statement
from detection.types import Claim, Observation, Observed, Unobserved

# Names of observations, incidents and frames are derived from what they are of: a repeat makes the same name.
NAMESPACE = UUID("6d1c9f0e-35b3-5c60-8a43-310116000000")


class Outcome(StrEnum):
    """What became of a result. LOOK: not written, since the camera's incidents have to be looked at with it."""

    RECORDED = "recorded"
    LOOK = "look"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Recorded:
    """is_new: False where the same look had been written before (its answer was lost on the way)."""

    outcome: Outcome
    is_new: bool
    has_incidents: bool
    is_health_changed: bool


def observation_id(camera_id: int, captured_at: datetime, model_hash: str) -> UUID:
    """The same look by the same model has the same id."""
    return uuid5(NAMESPACE, f"{camera_id}|{captured_at.isoformat()}|{model_hash}")


def record_scans(
    connection: Connection,
    results: Sequence[tuple[Claim, Observation]],
    *,
    at: datetime,
    alone: bool,
) -> list[Recorded]:
    """Writes the results and gives their leases back; what became of each, in their order.

    results: at most one of a camera. at: now, for the next due times. alone: inside a transaction that goes on to the
    camera's incidents; otherwise a look that concerns incidents is left (Outcome.LOOK).
    """
    rows = connection.execute(
        statement("recorded_scans"),
        {"at": at, "alone": alone} | _columns(results),
    ).fetchall()
    by_camera = {row["camera_id"]: row for row in rows}
    return [_recorded(by_camera[claim.camera.id]) for claim, _ in results]


def record_late_scans(connection: Connection, results: Sequence[tuple[Claim, Observation]]) -> list[bool]:
    """Writes looks of cameras that another process has taken over meanwhile: they were looks all the same.

    What was counted as not scanned in their hours is counted as what it was. Leases and health are not touched.
    Whether each is new, in order.
    """
    rows = connection.execute(statement("late_scans"), _columns(results)).fetchall()
    new = {row["camera_id"] for row in rows}
    return [claim.camera.id in new for claim, _ in results]


def _recorded(row: dict[str, Any]) -> Recorded:
    return Recorded(Outcome(row["outcome"]), row["is_new"], row["has_incidents"], row["is_health_changed"])


def _columns(results: Sequence[tuple[Claim, Observation]]) -> dict[str, list[Any]]:
    """The results as arrays, for unnest."""
    looks = [observation for _, observation in results]
    return {
        "camera_id": [claim.camera.id for claim, _ in results],
        "token": [claim.token for claim, _ in results],
        "period_s": [claim.camera.period_s for claim, _ in results],
        "observation_id": [observation_id(o.camera_id, o.captured_at, o.model_hash) for o in looks],
        "captured_at": [o.captured_at for o in looks],
        "received_at": [o.received_at for o in looks],
        "reason": [o.result.reason.value if isinstance(o.result, Unobserved) else None for o in looks],
        "boxes": [_boxes(o) for o in looks],
        "clock_offset_s": [None if o.frame is None else o.frame.clock_offset_s for o in looks],
        "detail": [_detail(o) for o in looks],
        "picture": [None if o.picture is None else json.dumps(o.picture.as_json()) for o in looks],
        # Joined: an array of arrays of different lengths is none to PostgreSQL.
        "notes": [None if o.picture is None else ",".join(sorted(o.picture.notes)) for o in looks],
        "model_hash": [o.model_hash for o in looks],
    }


def _detail(look: Observation) -> str | None:
    why = look.result.detail if isinstance(look.result, Unobserved) else ""
    return "; ".join(part for part in (why, look.detail) if part) or None


def _boxes(look: Observation) -> str:
    if not isinstance(look.result, Observed) or not look.result.boxes:
        return "[]"
    return json.dumps([box.as_json() for box in look.result.boxes])
