"""The camera farm of this city: plays every connected camera whose snapshot address points at the farm."""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

from detection.farm.layout import SCENE_KINDS
from detection.farm.script import FarmCamera
from detection.lease import pose_of
from geoapp.database.cluster import port_is_free
from geoapp.database.connection import connect
from geoapp.errors import Refused

LOCAL_HOSTS = {"127.0.0.1", "localhost", "::1"}
DEFAULT_SEED = 2


def farm_cameras(url: str, port: int) -> list[FarmCamera]:
    """Cameras of the city at `url` that are to be played on `port`.

    Raises Refused where there is none, or where a camera has no pose or an unknown kind of scene.
    """
    with connect(url) as connection:
        rows = connection.execute(
            """
            SELECT c.*
            FROM registry.camera AS c
            WHERE c.snapshot_url IS NOT NULL AND c.enabled AND c.is_generated
            ORDER BY c.gb_id
            """
        ).fetchall()
    cameras = []
    for row in rows:
        if not _points_here(row["snapshot_url"], port):
            continue
        pose = pose_of(row)
        if pose is None:
            raise Refused(
                f"摄像机 {row['gb_id']} 没有姿态 / camera {row['gb_id']} has no pose to draw its scene from."
            )
        if row["scene_kind"] not in SCENE_KINDS:
            raise Refused(
                f"摄像机 {row['gb_id']}: 场景 {row['scene_kind']} 不认识 / unknown scene, one of {', '.join(SCENE_KINDS)}"
            )
        # By its own name, so that a place looks the same whichever cameras are played beside it.
        seed = int.from_bytes(hashlib.sha256(row["gb_id"].encode()).digest()[:4], "big")
        cameras.append(FarmCamera(row["gb_id"], pose, row["scene_kind"], seed, f"CAM {row['gb_id'][-6:]}"))
    if not cameras:
        raise Refused(
            f"没有摄像机指向端口 {port} 的农场 / no generated camera's snapshot_url points at port {port}: "
            "geoapp sample-city makes some (GEOAPP_FARM_PORT is the port)."
        )
    return cameras


def run_farm(url: str, *, host: str, port: int, seed: int | None) -> None:
    """Serves the farm until stopped. Raises Refused where the port is taken or there is nothing to play."""
    if not port_is_free(port):
        raise Refused(
            f"端口 {port} 已被占用 / Port {port} is in use by another program: set GEOAPP_FARM_PORT."
        )
    cameras = farm_cameras(url, port)
    from detection.farm.server import run

    run(cameras, host, port, DEFAULT_SEED if seed is None else seed)


def _points_here(address: str, port: int) -> bool:
    parts = urlsplit(address)
    return parts.hostname in LOCAL_HOSTS and parts.port == port
