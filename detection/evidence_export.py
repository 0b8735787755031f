"""The frames of an incident as a bundle for others: persons unrecognisable, digests of the originals, chain of custody."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from psycopg.types.json import Jsonb

from detection.evidence import TamperedError, force_names, read_frame
from detection.lease import Connection, statement
from detection.privacy.blur import Mode, blurred_jpeg, boxes_of, mode_for
from detection.privacy.persons import PersonFinder
from geoapp.errors import Refused

# Written into every manifest, for who opens the bundle knows nothing of this house.
WARNING_ZH = "人员检测可能漏检，转交前请逐张目视检查。原始画面由本系统按 SHA-256 封存，可依法调取。"
WARNING_EN = (
    "A detector of persons misses some: look at each frame before passing it on."
    " Originals are sealed here by their SHA-256."
)


@dataclass(frozen=True, slots=True)
class Exported:
    """sha256: of the whole bundle. left_out: frames that are not in it (they are in the manifest, with the reason)."""

    path: Path
    sha256: str
    frames: int
    left_out: int
    mode: Mode
    persons: int


def export_incident(
    connection: Connection,
    folder: Path,
    incident_no: int,
    target: Path,
    *,
    open_finder: Callable[[], PersonFinder],
    mode: Mode | None,
    at: datetime,
    by: str,
    reason: str,
) -> Exported:
    """Writes `target`, a ZIP with blurred JPEGs and manifest.json, complete or not at all; the audit has it before it exists.

    mode: None = all but the incident's boxes in a public place, persons on a site's ground. connection: outside a
    transaction. Raises Refused for an unknown incident, one without a frame, an existing target, a missing reason, a
    person model that is not there, and a frame that cannot be decoded; OSError where it cannot be written.
    """
    if len(reason.strip()) < 4:
        raise Refused("请写明导出事由（至少 4 个字）/ say why it is exported (4 characters at least).")
    if target.exists():
        raise Refused(f"{target}: 文件已存在，不覆盖 / exists already and is not overwritten.")
    finder = open_finder()
    draft = target.with_name(target.name + ".part")
    try:
        with connection.transaction():
            incident = connection.execute(
                statement("exported_incident"), {"incident_no": incident_no}
            ).fetchone()
            if incident is None:
                raise Refused(f"#{incident_no}: 没有这起事件 / no such incident.")
            chosen = mode or mode_for(incident["site_id"])
            manifest, persons = _write(connection, folder, draft, incident, finder, chosen, at, by, reason)
            exported = [f for f in manifest["frames"] if "file" in f]
            if not exported:
                raise Refused(f"#{incident_no}: 没有可导出的画面 / holds no frame that can be exported.")
            digest = hashlib.sha256(draft.read_bytes()).hexdigest()
            connection.execute(
                "SELECT access.record('export', 'watch.evidence', %s, %s, %s, %s)",
                (
                    str(incident["id"]),
                    incident["town_code"],
                    reason.strip()[:1000],
                    Jsonb(
                        {
                            "incident_no": incident_no,
                            "frames": len(exported),
                            "mode": chosen,
                            "bundle_sha256": digest,
                            "by": by,
                        }
                    ),
                ),
            )
        draft.replace(target)
        force_names(target.resolve().parent)
    finally:
        draft.unlink(missing_ok=True)
    return Exported(target, digest, len(exported), len(manifest["frames"]) - len(exported), chosen, persons)


def _write(
    connection: Connection,
    folder: Path,
    draft: Path,
    incident: dict[str, Any],
    finder: PersonFinder,
    mode: Mode,
    at: datetime,
    by: str,
    reason: str,
) -> tuple[dict[str, Any], int]:
    """Writes the bundle to `draft`; its manifest and how many persons were blurred."""
    asked = {"incident_id": incident["id"]}
    rows = connection.execute(statement("exported_frames"), asked).fetchall()
    frames, persons = [], 0
    with draft.open("xb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as bundle:
            for number, row in enumerate(rows, 1):
                told = _told(row)
                why_not, data = _original(folder, row)
                if data is None:
                    frames.append(told | {"left_out": why_not})
                    continue
                note = provenance(row["id"], row["sha256"], mode)
                ready = blurred_jpeg(data, finder, mode, boxes_of(row["boxes"]), note)
                name = f"{number:04d}_{row['captured_at']:%Y%m%dT%H%M%S%z}.jpg"
                bundle.writestr(name, ready.data)
                persons += ready.persons
                frames.append(
                    told
                    | {
                        "file": name,
                        "exported_sha256": hashlib.sha256(ready.data).hexdigest(),
                        "exported_bytes": len(ready.data),
                        "persons_blurred": ready.persons,
                    }
                )
            manifest = {
                "format": "geoapp-evidence-1",
                "exported_at": at,
                "exported_by": by,
                "reason": reason.strip(),
                "blurred": mode,
                "person_model_sha256": finder.model_hash,
                "warning_zh": WARNING_ZH,
                "warning_en": WARNING_EN,
                "incident": incident,
                "frames": frames,
                "chain_of_custody": connection.execute(statement("custody"), asked).fetchall(),
            }
            bundle.writestr(
                "manifest.json", json.dumps(manifest, ensure_ascii=False, indent=1, default=_plain)
            )
        file.flush()
        os.fsync(file.fileno())
    return manifest, persons


def provenance(evidence_id: object, sha256: str, mode: Mode) -> str:
    """The comment of a blurred JPEG: which frame it was made from."""
    return f"GeoApp evidence {evidence_id}; original sha256 {sha256}; blurred {mode}"


def _told(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "evidence_id": row["id"],
        "camera_gb_id": row["camera_gb_id"],
        "camera_name_zh": row["camera_name_zh"],
        "captured_at": row["captured_at"],
        "received_at": row["received_at"],
        "original_sha256": row["sha256"],
        "original_bytes": row["bytes"],
        "width_px": row["width_px"],
        "height_px": row["height_px"],
        "boxes": row["boxes"],
    }


def _original(folder: Path, row: dict[str, Any]) -> tuple[str, bytes | None]:
    """The frame as it was stored, else why it is not there."""
    if row["path"] is None:
        return f"not kept: {row['not_kept']}", None
    try:
        data = read_frame(folder, row["path"], row["sha256"])
    except TamperedError:
        return "SHA-256 differs from the stored one", None
    return "file is missing", data


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
