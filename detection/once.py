"""One pass: over cameras (stored as the watch stores it) or over a folder of pictures (nothing stored)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detection.backends.base import Detector
from detection.config import WatchConfig
from detection.gate import decode
from detection.sources.files import frames_of_folder
from detection.sources.http_snapshot import HttpSnapshot
from detection.types import Unobserved
from detection.watch import open_watch, utc_now
from geoapp.database.connection import connect
from geoapp.errors import Refused

PASS_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Pass:
    """What one pass over cameras gave. rows: a look each, as written; the rest are gb_ids.

    held: named cameras that another process was looking through. not_written: looked through, but nothing could be
    stored (its reason is in the log).
    """

    rows: list[dict[str, Any]]
    held: list[str]
    not_written: list[str]


def look_at_folder(folder: Path, detector: Detector, config: WatchConfig) -> list[dict[str, Any]]:
    """A row for every picture: what, observed, reason, boxes above their thresholds. Raises Refused when empty."""
    rows: list[dict[str, Any]] = []
    for path, frame in frames_of_folder(folder, clock=utc_now):
        image = decode(frame.data)
        if isinstance(image, Unobserved):
            rows.append({"what": path.name, "observed": False, "reason": image.reason.value, "boxes": []})
            continue
        (boxes,) = detector.detect([image])
        strong = [b.as_json() for b in boxes if b.score >= detector.thresholds[b.class_name]]
        rows.append({"what": path.name, "observed": True, "reason": None, "boxes": strong})
    return rows


def look_at_cameras(
    url: str, gb_ids: Sequence[str], detector: Detector, config: WatchConfig, evidence_folder: Path
) -> Pass:
    """Scans the due cameras once (the given ones whether due or not).

    Raises Refused where a given camera is unknown or not connected, or no camera is connected at all.
    """
    source = HttpSnapshot(config.fetch, clock=utc_now)
    with open_watch(url, source, detector, config=config, evidence_folder=evidence_folder) as watch:
        connected = watch.sync()
        if connected is None:
            raise Refused("数据库没有回答 / The database does not answer: geoapp db up")
        if connected == 0:
            raise Refused(
                "没有接入的摄像机 / No camera is connected: registry.camera.snapshot_url is empty everywhere."
            )
        if gb_ids:
            missing = set(gb_ids) - set(watch.make_due(list(gb_ids)))
            if missing:
                raise Refused(f"没有这些已接入的摄像机 / not connected: {', '.join(sorted(missing))}")
        begun = []
        while claims := watch.claim(config.schedule.batch, only=gb_ids or None):
            begun += [(claim.camera.gb_id, watch.start(claim)) for claim in claims]
            watch.settle(PASS_LIMIT_S)
    # After the watch has closed: it still writes what was on its way.
    results = [(gb_id, future.result() if future.done() else None) for gb_id, future in begun]
    names = [str(stored.observation_id) for _, stored in results if stored is not None]
    with connect(url) as connection:
        rows = connection.execute(
            """
            SELECT c.gb_id AS what, o.observed, o.reason, o.boxes
            FROM watch.observation AS o
            JOIN registry.camera AS c ON c.id = o.camera_id
            WHERE o.id = ANY(%s::uuid[])
            ORDER BY c.gb_id
            """,
            (names,),
        ).fetchall()
    written = {row["what"] for row in rows}
    claimed = {gb_id for gb_id, _ in results}
    return Pass(rows, held=sorted(set(gb_ids) - claimed), not_written=sorted(claimed - written))
