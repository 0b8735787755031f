"""Two cameras that face each other over one yard, for tests of what they see together."""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from watching import EAST, NORTH, POSE, SRID, add_camera, fire_at, gb_id, look

from detection.config import WatchConfig
from detection.lease import claim_due, sync_cameras
from detection.types import Box, Claim, Reason

Connection = psycopg.Connection[dict[str, Any]]
# From the first camera to the second, metres east and north; the second looks back.
APART = (24.0, 44.0)
POSES = {1: POSE, 2: replace(POSE, azimuth_deg=210.0)}
PLACES = {1: (0.0, 0.0), 2: APART}


def add_two(connection: Connection) -> None:
    for number in (1, 2):
        add_camera(connection, number, "http://127.0.0.1:1/none.jpg", pose=POSES[number])
        east, north = PLACES[number]
        connection.execute(
            "UPDATE registry.camera SET geom = ST_SetSRID(ST_MakePoint(%s, %s), %s) WHERE gb_id = %s",
            (EAST + east, NORTH + north, SRID, gb_id(number)),
        )


def seen_by(number: int, east_m: float, north_m: float, **changes: Any) -> Box:
    """The box that a camera sees of a fire at this offset from the first camera."""
    east, north = PLACES[number]
    return fire_at(east_m - east, north_m - north, pose=POSES[number], **changes)


def claim_of(connection: Connection, number: int, at: datetime) -> Claim:
    sync_cameras(connection, at=at)
    connection.execute(
        "UPDATE watch.scan_due AS d SET next_due_at = %s, lease_owner = NULL, lease_until = NULL"
        " FROM registry.camera AS c WHERE c.id = d.camera_id AND c.gb_id = %s",
        (at, gb_id(number)),
    )
    for _ in range(200):
        claims = claim_due(connection, owner="test", batch=1, lease_s=30.0, at=at, only=[gb_id(number)])
        if claims:
            return claims[0]
        time.sleep(0.01)  # the other writer's sync holds the row just now
    raise AssertionError(f"camera {number} cannot be claimed")


def look_of(
    connection: Connection,
    number: int,
    seconds_after: tuple[datetime, float],
    boxes: Sequence[Box] | Reason,
    folder: Path,
    *,
    config: WatchConfig | None = None,
) -> Any:
    """One scan of a camera, so many seconds after a moment."""
    at = seconds_after[0] + timedelta(seconds=seconds_after[1])
    return look(connection, at, boxes, folder, claim=claim_of(connection, number, at), config=config)


def incidents(connection: Connection) -> list[dict[str, Any]]:
    return connection.execute(
        "SELECT i.*, (SELECT count(*) FROM watch.incident_camera AS v WHERE v.incident_id = i.id) AS cameras,"
        " ST_X(i.geom) AS x, ST_Y(i.geom) AS y FROM watch.incident AS i ORDER BY i.incident_no"
    ).fetchall()
