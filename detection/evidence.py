"""Evidence frames: the bytes that the camera sent, on disk before any row speaks of them."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from uuid import UUID

MB = 1_000_000
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


class NoRoomError(OSError):
    """There is no room for the frame: the incident goes on without it, and its row says so."""


class TamperedError(Exception):
    """The file is not the frame that was stored."""


@dataclass(frozen=True, slots=True)
class KeptFrame:
    """path: relative to the evidence folder. sha256: of the file's bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of the file system that holds the frames. low: should be seen to; full: new frames are not kept."""

    total: int
    free: int
    state: Literal["enough", "low", "full"]


def measure_room(folder: Path, *, low_mb: float, full_mb: float) -> Room:
    """Room left for frames, in the folder or where it will be made. Raises OSError."""
    there = folder
    while not there.exists():
        there = there.parent
    usage = shutil.disk_usage(there)
    state: Literal["enough", "low", "full"] = "enough"
    if usage.free < full_mb * MB:
        state = "full"
    elif usage.free < low_mb * MB:
        state = "low"
    return Room(usage.total, usage.free, state)


def keep_frame(
    folder: Path, evidence_id: UUID, data: bytes, captured_at: datetime, *, full_mb: float = 0.0
) -> KeptFrame:
    """Writes folder/YYYY/MM/DD/<id>.jpg (UTC day), forced to disk, complete or not at all.

    full_mb: megabytes (10^6) that stay free. Raises NoRoomError where they would not, or where the disk or the quota is full;
    any other OSError as it is.
    """
    suffix = "png" if data.startswith(b"\x89PNG") else "jpg"
    relative = f"{captured_at.astimezone(UTC):%Y/%m/%d}/{evidence_id}.{suffix}"
    target = folder / relative
    draft = target.with_suffix(".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(target.parent).free
        if free - len(data) < full_mb * MB:
            raise NoRoomError(
                errno.ENOSPC, f"{free} bytes are free, {full_mb:g} MB are to stay so", str(folder)
            )
        _write(draft, target, data)
    except OSError as fault:
        if draft.is_file():
            draft.unlink(missing_ok=True)
        if fault.errno in _NO_ROOM and not isinstance(fault, NoRoomError):
            raise NoRoomError(fault.errno, fault.strerror, str(folder)) from fault
        raise
    return KeptFrame(relative, hashlib.sha256(data).hexdigest(), len(data))


def _write(draft: Path, target: Path, data: bytes) -> None:
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)
    force_names(target.parent)  # else the name itself may be lost with the power


def force_names(folder: Path) -> None:
    """Forces the names in a folder to disk."""
    entry = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)


def place_of(folder: Path, stored: str) -> Path | None:
    """The file of a stored path, None where that would lie outside the folder."""
    root = folder.resolve()
    path = (root / stored).resolve()
    return path if path.is_relative_to(root) else None


def read_frame(folder: Path, stored: str, sha256: str) -> bytes | None:
    """The bytes that were stored, None where the file is gone. Raises TamperedError where they are others."""
    path = place_of(folder, stored)
    if path is None:
        return None
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise TamperedError(stored)
    return data
