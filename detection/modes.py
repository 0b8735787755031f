"""How the boxes of a camera count, set by people: measure, shadow, alert, or as the watch's settings say. Never forgotten."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from detection.lease import Connection, statement
from detection.types import CLASSES
from geoapp.errors import Refused

MODES = ("measure", "shadow", "alert", "default")


def set_mode(
    connection: Connection,
    gb_ids: Sequence[str],
    class_name: str | None,
    mode: str,
    *,
    reason: str,
    by: str,
    at: datetime,
) -> int:
    """Sets how the boxes of a class (None: of all) count at cameras from their next look on; how many cameras.

    Raises Refused for a camera, class or mode that is not known, or where no reason is given.
    """
    if class_name is not None and class_name not in CLASSES:
        raise Refused(f"没有这一类别 / no such class: {class_name}. {', '.join(CLASSES)}")
    if mode not in MODES:
        raise Refused(f"没有这一模式 / no such mode: {mode}. {', '.join(MODES)}")
    if not 2 <= len(reason.strip()) <= 500:
        raise Refused("请说明原因（2 到 500 字）/ Say why, in 2 to 500 characters: --reason")
    with connection.transaction():
        _require_known(connection, gb_ids)
        rows = connection.execute(
            statement("new_camera_modes"),
            {
                "gb_ids": list(gb_ids),
                "class": class_name,
                "mode": mode,
                "reason": reason.strip(),
                "at": at,
                "by": by,
            },
        ).fetchall()
    return len(rows)


def list_modes(
    connection: Connection, gb_ids: Sequence[str] | None = None, *, history: bool = False
) -> list[dict[str, Any]]:
    """What is set for cameras (None: all that have a setting), newest first; history: and what was set before.

    Raises Refused for a camera that is not known: nothing set there is another answer.
    """
    _require_known(connection, gb_ids or ())
    return connection.execute(
        statement("camera_mode_list"),
        {"gb_ids": None if gb_ids is None else list(gb_ids), "history": history},
    ).fetchall()


def _require_known(connection: Connection, gb_ids: Sequence[str]) -> None:
    unknown = connection.execute(statement("unknown_cameras"), {"gb_ids": list(gb_ids)}).fetchall()
    if unknown:
        raise Refused("没有这些摄像机 / no such cameras: " + ", ".join(str(row["gb_id"]) for row in unknown))
