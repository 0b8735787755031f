"""Who looks at which camera when: the lease table watch.scan_due. Any number of watch processes share it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

import psycopg
from pydantic import SecretStr

from detection.picture_health.memory import PictureMemory
from detection.pose import Pose
from detection.types import Camera, Claim, Credentials, Reason, Unobserved
from geoapp.access import sealing
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused

Connection = psycopg.Connection[dict[str, Any]]


@cache
def statement(name: str) -> bytes:
    """Text of sql/watch/<name>.sql."""
    return read_sql(f"watch/{name}").encode()


def sync_cameras(connection: Connection, *, at: datetime) -> int:
    """Gives every connected camera of the register its row, takes it from the others; how many are connected."""
    row = connection.execute(statement("sync_scan_due"), {"at": at}).fetchone()
    assert row is not None
    return int(row["connected"])


def claim_due(
    connection: Connection,
    *,
    owner: str,
    batch: int,
    lease_s: float,
    at: datetime,
    only: Sequence[str] | None = None,
    is_night: bool = False,
    priority_only: bool = False,
) -> list[Claim]:
    """Up to `batch` due cameras, held for lease_s seconds. Those of key risk areas first, then the most overdue.

    only: gb_ids to choose from; None for all. is_night: the night's periods are in force. priority_only: none but those
    of key risk areas.
    """
    rows = connection.execute(
        statement("claimed_cameras"),
        {
            "at": at,
            "owner": owner,
            "batch": batch,
            "lease_s": lease_s,
            "only": None if only is None else list(only),
            "is_night": is_night,
            "priority_only": priority_only,
        },
    ).fetchall()
    return [
        Claim(
            camera=_camera(row, _credentials(connection, row)),
            token=row["lease_token"],
            lease_until=row["lease_until"],
            lag_s=max(0.0, row["lag_s"]),
            burst_left=row["burst_left"],
            attempts=row["attempts"],
            is_priority=row["is_priority"],
        )
        for row in rows
    ]


def release(connection: Connection, *, owner: str) -> int:
    """Gives back what this process still holds; how many. Results on their way can still be written."""
    return len(connection.execute(statement("released_leases"), {"owner": owner}).fetchall())


def make_due(connection: Connection, gb_ids: Sequence[str], *, at: datetime) -> list[str]:
    """Makes these cameras due now; returns those that are connected."""
    rows = connection.execute(
        """
        UPDATE watch.scan_due AS d SET next_due_at = %s
        FROM registry.camera AS c
        WHERE c.id = d.camera_id AND c.gb_id = ANY(%s)
        RETURNING c.gb_id
        """,
        (at, list(gb_ids)),
    ).fetchall()
    return [row["gb_id"] for row in rows]


def _credentials(connection: Connection, row: dict[str, Any]) -> Credentials | Unobserved | None:
    """The camera's account and password, opened now: a change counts from the next look on."""
    sealed = {f: (row[f"{f}_key"], row[f"{f}_sealed"]) for f in ("username", "password") if row[f"{f}_key"]}
    if not sealed:
        return None
    try:
        keys = sealing.keys(connection)
        opened = {
            field: sealing.unseal(key_id, bytes(value), f"camera/{row['gb_id']}/{field}", under=keys)
            for field, (key_id, value) in sealed.items()
        }
    except Refused as refusal:
        return Unobserved(Reason.CREDENTIALS_UNREADABLE, str(refusal).splitlines()[0])
    blank = SecretStr("")
    return Credentials(opened.get("username", blank), opened.get("password", blank))


def _camera(row: dict[str, Any], credentials: Credentials | Unobserved | None) -> Camera:
    return Camera(
        id=row["id"],
        gb_id=row["gb_id"],
        name_zh=row["name_zh"],
        snapshot_url=row["snapshot_url"],
        period_s=float(row["period_s"]),
        x=row["x"],
        y=row["y"],
        srid=row["srid"],
        pose=pose_of(row),
        max_range_m=row["max_range_m"],
        width_px=row["width_px"],
        height_px=row["height_px"],
        credentials=credentials,
        picture=PictureMemory.of_json(row["picture"], row["notes"]),
    )


def pose_of(row: dict[str, Any]) -> Pose | None:
    """Pose of a row of registry.camera; None where any part is missing or out of range."""
    names = ("height_m", "azimuth_deg", "tilt_deg", "hfov_deg", "width_px", "height_px")
    if any(row[name] is None for name in names):
        return None
    try:
        return Pose(*(row[name] for name in names))
    except ValueError:
        return None
