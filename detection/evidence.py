"""Evidence frames: the bytes that the camera sent, on disk before any row speaks of them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID


@dataclass(frozen=True, slots=True)
class KeptFrame:
    """path: relative to the evidence folder. sha256: of the file's bytes."""

    path: str
    sha256: str
    size: int


def keep_frame(folder: Path, evidence_id: UUID, data: bytes, captured_at: datetime) -> KeptFrame:
    """Writes folder/YYYY/MM/DD/<id>.jpg (UTC day), forced to disk, complete or not at all. Raises OSError."""
    suffix = "png" if data.startswith(b"\x89PNG") else "jpg"
    relative = f"{captured_at.astimezone(UTC):%Y/%m/%d}/{evidence_id}.{suffix}"
    target = folder / relative
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_suffix(".part")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(target)
    entry = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(entry)  # else the name itself may be lost with the power
    finally:
        os.close(entry)
    return KeptFrame(relative, hashlib.sha256(data).hexdigest(), len(data))
