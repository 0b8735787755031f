"""Frames whose time is over go, one by one and on record; what is on disk and what is in the register are compared.

A deletion is marked (watch.deletion), the file is removed, the deletion is confirmed and its row goes. Killed anywhere
between, the next sweep finishes it. What is under a legal hold is never touched: the database refuses it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import structlog
from psycopg.pq import TransactionStatus

from detection.config import EvidenceConfig
from detection.evidence import Room, TamperedError, force_names, measure_room, place_of, read_frame
from detection.lease import Connection
from geoapp.database.sql_files import read_sql

log = structlog.get_logger("watch")
# A frame is on disk before its row is: what is younger may still be on its way.
SETTLED_S = 3600.0
# Half-written frames are looked for in the folders of so many days; geoapp evidence check looks in all.
DRAFT_DAYS = 8


@dataclass(frozen=True, slots=True)
class Swept:
    """begun: frames newly marked. deleted: frames that went, with bytes. held: marked ones that a hold now keeps.

    failed: files that could not be removed; they stay marked. drafts: half-written files removed.
    """

    begun: int
    deleted: int
    bytes: int
    held: int
    failed: int
    drafts: int
    room: Room


@dataclass(frozen=True, slots=True)
class Checked:
    """rows, files: how many there are. The lists name what does not agree: evidence ids, and paths of files."""

    rows: int = 0
    files: int = 0
    lost: list[UUID] = field(default_factory=list)
    altered: list[UUID] = field(default_factory=list)
    not_kept: list[UUID] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    drafts: list[str] = field(default_factory=list)
    unfinished: list[UUID] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Every row has its frame and every file its row. What was said not to be kept is no fault."""
        return not (self.lost or self.altered or self.unknown or self.drafts or self.unfinished)


def sweep(connection: Connection, folder: Path, at: datetime, config: EvidenceConfig) -> Swept:
    """Deletes frames that are due at `at` (UTC or any zone) by watch.retention_policy, at most config.sweep_most.

    connection: outside a transaction; several sweeps may run at once. Raises ValueError inside one, psycopg errors as
    they are; a file that cannot be removed is logged, counted and tried again by the next sweep.
    """
    if connection.info.transaction_status != TransactionStatus.IDLE:
        raise ValueError("a sweep commits step by step: it needs a connection outside a transaction")
    with connection.transaction():
        begun = _one(connection, "SELECT watch.begin_deletions(%s, %s) AS n", (at, config.sweep_most))
        waiting = connection.execute(
            "SELECT evidence_id, bytes, path FROM watch.deletion WHERE deleted_at IS NULL ORDER BY begun_at, evidence_id"
            " LIMIT %s",
            (config.sweep_most,),
        ).fetchall()
    deleted = freed = held = failed = 0
    for row in waiting:
        try:
            went = _delete(connection, folder, row["evidence_id"], at)
        except OSError as fault:
            failed += 1
            log.error("frame_not_deleted", evidence_id=str(row["evidence_id"]), why=str(fault))
            continue
        if went is None:
            held += 1
        else:
            deleted += 1
            freed += row["bytes"] if went else 0
    drafts = _remove_drafts(folder, at)
    room = note_room(connection, folder, at, config)
    if deleted or failed:
        log.info("evidence_swept", deleted=deleted, bytes=freed, failed=failed)
    return Swept(begun, deleted, freed, held, failed, drafts, room)


def _delete(connection: Connection, folder: Path, evidence_id: UUID, at: datetime) -> bool | None:
    """Whether a file was there; None where the deletion is no longer to be done. Raises OSError, and then nothing is done."""
    with connection.transaction():
        row = connection.execute("SELECT path FROM watch.may_delete(%s)", (evidence_id,)).fetchone()
        if row is None:
            return None
        was_there = row["path"] is not None and _remove(folder, row["path"])
        connection.execute("SELECT watch.end_deletion(%s, %s, %s)", (evidence_id, at, not was_there))
    return was_there


def _remove(folder: Path, stored: str) -> bool:
    """Whether the file was there. Its name is gone from the disk before this returns."""
    path = place_of(folder, stored)
    if path is None:
        raise OSError(f"{stored}: outside the evidence folder")
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    force_names(path.parent)
    return True


def _remove_drafts(folder: Path, at: datetime) -> int:
    """Files of the last days that were never finished; how many. All the years are not searched at each sweep."""
    days = [folder / f"{at.astimezone(UTC) - timedelta(days=n):%Y/%m/%d}" for n in range(DRAFT_DAYS)]
    drafts = [path for day in days for path in day.glob("*.part")]
    old = [p for p in drafts if at.timestamp() - p.stat().st_mtime > SETTLED_S]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def note_room(connection: Connection, folder: Path, at: datetime, config: EvidenceConfig) -> Room:
    """Measures the room left for frames on this machine and writes it to watch.evidence_room; says so where it is low."""
    room = measure_room(folder, low_mb=config.low_mb, full_mb=config.full_mb)
    with connection.transaction():
        connection.execute(
            read_sql("watch/noted_room").encode(),
            {
                "host": socket.gethostname(),
                "at": at,
                "total": room.total,
                "free": room.free,
                "state": room.state,
            },
        )
    if room.state != "enough":
        log.error(
            "evidence_room_" + room.state, free_bytes=room.free, low_mb=config.low_mb, full_mb=config.full_mb
        )
    return room


def check(connection: Connection, folder: Path, at: datetime) -> Checked:
    """Reads every frame and compares it with its row, and every file of the folder with the rows.

    Files without a row that were written within SETTLED_S before `at` may still be on their way, and are not counted.
    """
    found = Checked(
        unfinished=[
            row["evidence_id"]
            for row in connection.execute("SELECT evidence_id FROM watch.deletion WHERE deleted_at IS NULL")
        ]
    )
    files = {str(p.relative_to(folder)): p.stat().st_mtime for p in _files(folder)}
    known: set[str] = set()
    rows = 0
    for row in connection.execute("SELECT id, path, sha256 FROM watch.evidence ORDER BY captured_at, id"):
        rows += 1
        if row["path"] is None:
            found.not_kept.append(row["id"])
            continue
        known.add(row["path"])
        try:
            if read_frame(folder, row["path"], row["sha256"]) is None:
                found.lost.append(row["id"])
        except TamperedError:
            found.altered.append(row["id"])
    strange = sorted(
        p for p, written in files.items() if p not in known and at.timestamp() - written > SETTLED_S
    )
    found.drafts.extend(p for p in strange if p.endswith(".part"))
    found.unknown.extend(p for p in strange if not p.endswith(".part"))
    return Checked(
        rows,
        len(files),
        found.lost,
        found.altered,
        found.not_kept,
        found.unknown,
        found.drafts,
        found.unfinished,
    )


def _files(folder: Path) -> Iterator[Path]:
    return (p for p in folder.rglob("*") if p.is_file())


def _one(connection: Connection, query: str, values: tuple[object, ...]) -> int:
    row = connection.execute(query.encode(), values).fetchone()
    assert row is not None
    return int(row["n"])
