"""Frames of false alarms as a data set in YOLO's layout: pictures in which the model must learn to see nothing."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from detection.lease import Connection, statement
from detection.types import CLASSES
from geoapp.errors import Refused


@dataclass(frozen=True, slots=True)
class Negatives:
    """What a run did: frames written, kept as they were, taken out (their review changed, their time is over, or newer ones
    need the room), left out for want of room, and missing on disk."""

    written: int
    kept: int
    removed: int
    left_out: int
    missing: tuple[str, ...]


def write_negatives(
    connection: Connection,
    evidence_folder: Path,
    folder: Path,
    *,
    most_bytes: float | None = None,
    adds: bool = True,
) -> Negatives:
    """Brings a folder up to date with the reviews: images/, labels/ (empty: nothing is to be seen), negatives.jsonl with
    the boxes that were wrong and why, data.yaml.

    most_bytes: of frames, the newest first; None: all. adds: whether new frames come in, or old ones only go. Again it changes nothing. A frame whose file is gone or is not what was
    hashed is not written, and named. Raises Refused while another process is at the same folder; OSError passes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        return _written(connection, evidence_folder, folder, most_bytes, adds)


def _written(
    connection: Connection, evidence_folder: Path, folder: Path, most_bytes: float | None, adds: bool
) -> Negatives:
    found = connection.execute(statement("negative_frames")).fetchall()
    rows = _newest(found, most_bytes)
    left_out = len(found) - len(rows)
    images, labels = folder / "images", folder / "labels"
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    written = kept = 0
    missing: list[str] = []
    lines: list[str] = []
    for row in rows:
        name = str(row["id"])
        image = images / f"{name}.jpg"
        if image.exists():
            kept += 1
        elif not adds:
            left_out += 1
            continue
        else:
            content = _frame(evidence_folder / row["path"], row["sha256"])
            if content is None:
                missing.append(row["path"])
                continue
            _write(image, content)
            written += 1
        _write(labels / f"{name}.txt", b"")
        lines.append(json.dumps(_line(row), ensure_ascii=False))
    wanted = {str(row["id"]) for row in rows}
    removed = 0
    for image in images.glob("*.jpg"):
        if image.stem not in wanted:
            image.unlink()
            (labels / f"{image.stem}.txt").unlink(missing_ok=True)
            removed += 1
    _write(folder / "negatives.jsonl", "".join(f"{line}\n" for line in lines).encode())
    described = {"path": str(folder), "train": "images", "val": "images", "names": dict(enumerate(CLASSES))}
    _write(folder / "data.yaml", yaml.safe_dump(described, allow_unicode=True, sort_keys=False).encode())
    return Negatives(written, kept, removed, left_out, tuple(missing))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the folder against other processes of this machine; ends with the process, however that ends."""
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(
                f"{folder}: 另一个进程正在收集 / another process is at it; try again later"
            ) from None
        yield


def _newest(rows: list[dict[str, Any]], most_bytes: float | None) -> list[dict[str, Any]]:
    """The newest of rows in the order of time whose frames have room together."""
    if most_bytes is None:
        return rows
    first, used = len(rows), 0
    while first > 0 and used + rows[first - 1]["bytes"] <= most_bytes:
        first -= 1
        used += rows[first]["bytes"]
    return rows[first:]


def _line(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "image": f"images/{row['id']}.jpg",
        "incident_no": row["incident_no"],
        "class": row["class"],
        "cause": row["cause"],
        "reason": row["review_reason"],
        "captured_at": row["captured_at"].isoformat(),
        "width_px": row["width_px"],
        "height_px": row["height_px"],
        "boxes": row["boxes"],
        "model_hash": row["model_hash"],
    }


def _frame(path: Path, sha256: str) -> bytes | None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    return data if hashlib.sha256(data).hexdigest() == sha256 else None


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all; left alone where it is the same already."""
    if path.exists() and path.read_bytes() == data:
        return
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)
