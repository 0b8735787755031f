"""One pass: over cameras (stored as the watch stores it) or over a folder of pictures (nothing stored)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detection.backends.base import Detector, boxes_in
from detection.config import WatchConfig
from detection.gate import decode_in_detail
from detection.sources.dispatch import open_source
from detection.sources.files import frames_of_folder
from detection.sources.picture import checked
from detection.types import Observation, Unobserved
from detection.watch import open_watch, utc_now
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
        data = checked(frame.data, config.fetch)
        picture = data if isinstance(data, Unobserved) else decode_in_detail(data, detector.input_px)
        if isinstance(picture, Unobserved):
            rows.append({"what": path.name, "observed": False, "reason": picture.reason.value, "boxes": []})
            continue
        boxes = boxes_in(detector, picture)
        strong = [b.as_json() for b in boxes if b.score >= detector.thresholds[b.class_name]]
        rows.append({"what": path.name, "observed": True, "reason": None, "boxes": strong})
    return rows


def look_at_cameras(
    url: str, gb_ids: Sequence[str], detector: Detector, config: WatchConfig, evidence_folder: Path
) -> Pass:
    """Scans the due cameras once (the given ones whether due or not).

    Raises Refused where a given camera is unknown or not connected, or no camera is connected at all.
    """
    source = open_source(config, clock=utc_now)
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
        begun: dict[str, Future[Observation | None]] = {}
        while claims := watch.claim(config.schedule.batch, only=gb_ids or None):
            is_over = all(claim.camera.gb_id in begun for claim in claims)
            for claim in claims:
                begun.setdefault(claim.camera.gb_id, watch.start(claim))
            watch.settle(PASS_LIMIT_S)
            if is_over:
                break  # due again already: one pass looks once
    # After the watch has closed: it still writes what was on its way.
    looks = {gb_id: future.result() if future.done() else None for gb_id, future in begun.items()}
    rows = [_row(gb_id, look) for gb_id, look in sorted(looks.items()) if look is not None]
    written = {row["what"] for row in rows}
    return Pass(rows, held=sorted(set(gb_ids) - set(looks)), not_written=sorted(set(looks) - written))


def _row(gb_id: str, look: Observation) -> dict[str, Any]:
    result = look.result
    if isinstance(result, Unobserved):
        return {"what": gb_id, "observed": False, "reason": result.reason.value, "boxes": []}
    return {"what": gb_id, "observed": True, "reason": None, "boxes": [b.as_json() for b in result.boxes]}
