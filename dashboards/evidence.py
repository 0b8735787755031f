"""Frames kept as evidence, by their random id: who looks is on record, and a file that is not the one stored is refused.

Officials see on the screen what the camera sent, to verify it; what leaves as a file, and whatever a firm sees, is
blurred: persons, and in public places all but the incident itself.
"""

import uuid
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any

import psycopg
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from detection.evidence import TamperedError, read_frame
from detection.evidence_export import provenance
from detection.privacy.blur import Blurred, Mode, blurred_jpeg, boxes_of, mode_for
from detection.privacy.persons import open_person_finder
from geoapp.access.caller import Caller, Pool, acting, current_caller
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from geoapp.settings import settings
from layers.export_route import REASON_MAX
from layers.honest_route import client_ip, honest_route, message

_KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"RIFF": "image/webp"}
# The list and the drawer of one page show the same frame: that is one look. A minute later it is asked for, and on record,
# again. The answer varies with the cookie, so the next person at the same browser never gets it from there.
KEPT_BY_THE_PAGE = "private, max-age=60"
NO_FRAME = "没有这张画面 / no such frame"
# What becomes of each fault: status and words.
_FAULTS = {
    "file is missing": (404, "画面文件不在了 / the frame's file is missing"),
    "SHA-256 differs": (
        409,
        "画面与存证时的 SHA-256 不符，不予显示 / the file is not the frame that was stored (SHA-256 differs)",
    ),
    "not kept: disk_full": (
        410,
        "当时存储空间已满，画面未能保存 / the disk was full: this frame was not kept",
    ),
}
# A page shows a few dozen frames; finding persons in one takes a core some tenths of a second.
_BLURRED_KEPT = 64


def router(pool: Pool, folder: Path) -> APIRouter:
    """`GET /evidence/{id}.jpg[?why=…][&download=1]`. `folder` holds the files of watch.evidence.path.

    On an official's screen the frame as the camera sent it; with download=1, and for accounts of a site, blurred.
    403: the role may not look at frames; 404: no such row in the caller's area, or no file; 409: the file's SHA-256 is
    not the stored one; 410: it was never kept (disk full); 503: the database is away, or nothing here finds persons and so
    nothing leaves. Each answer is a record of the audit, with `why` where it is given; a part of a frame is never served.
    """
    routes = APIRouter(route_class=honest_route(pool))
    ready = _BlurredFrames()

    @routes.get("/evidence/{name}", include_in_schema=True)
    def evidence(
        request: Request,
        name: str,
        why: str | None = Query(default=None, max_length=REASON_MAX),
        download: bool = False,
    ) -> Response:
        try:
            wanted = uuid.UUID(name.removesuffix(".jpg"))
        except ValueError:
            raise Refused(NO_FRAME) from None
        with acting(pool) as connection:
            row = connection.execute(read_sql("screens/evidence").encode(), {"id": wanted}).fetchone()
        if row is None:
            raise Refused(NO_FRAME)
        content, fault = _content(folder, row)
        blurred, refusal = None, None
        if content is not None and (download or not sees_it_whole(current_caller())):
            try:
                blurred = ready.made(content, row)
            except Refused as found:
                fault, refusal = "not blurred", str(found)
        # On record before a byte leaves: where the record fails, so does the look.
        with acting(pool) as connection:
            _record_look(connection, row, why, fault, client_ip(request), blurred, is_download=download)
        if refusal is not None:
            return message(503, refusal)
        if content is None:
            return message(*_FAULTS[str(fault)])
        if blurred is not None:
            headers = {"Cache-Control": "private, no-store" if download else KEPT_BY_THE_PAGE}
            if download:
                headers["Content-Disposition"] = (
                    f'attachment; filename="{row["incident_no"]}_{row["captured_at"]:%Y%m%dT%H%M%SZ}.jpg"'
                )
            return Response(blurred.data, media_type="image/jpeg", headers=headers)
        kind = next(
            (k for magic, k in _KINDS.items() if content.startswith(magic)), "application/octet-stream"
        )
        return Response(content, media_type=kind, headers={"Cache-Control": KEPT_BY_THE_PAGE})

    return routes


def sees_it_whole(caller: Caller) -> bool:
    """Whether the screen shows this caller the frame as it came: officials verify it; a firm is not one."""
    return caller.scope != "site" and "enterprise" not in caller.roles


def _content(folder: Path, row: dict[str, Any]) -> tuple[bytes | None, str | None]:
    """The frame as it was stored, or what is wrong with it."""
    if row["path"] is None:
        return None, f"not kept: {row['not_kept']}"
    try:
        content = read_frame(folder, row["path"], row["sha256"])
    except TamperedError:
        return None, "SHA-256 differs"
    return content, None if content is not None else "file is missing"


class _BlurredFrames:
    """Frames blurred lately, by what they show: the same page asks again."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, Mode, str], Blurred] = OrderedDict()
        self._lock = Lock()

    def made(self, content: bytes, row: dict[str, Any]) -> Blurred:
        """The frame made fit to leave. Raises Refused where it cannot be."""
        mode = mode_for(row["site_id"])
        key = (row["sha256"], mode, str(row["id"]))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        note = provenance(row["id"], row["sha256"], mode)
        done = blurred_jpeg(content, open_person_finder(settings()), mode, boxes_of(row["boxes"]), note)
        with self._lock:
            self._kept[key] = done
            while len(self._kept) > _BLURRED_KEPT:
                self._kept.popitem(last=False)
        return done


def _record_look(
    connection: psycopg.Connection[dict[str, Any]],
    row: dict[str, Any],
    why: str | None,
    fault: str | None,
    ip: str | None,
    blurred: Blurred | None,
    *,
    is_download: bool,
) -> None:
    connection.execute(
        "SELECT access.record('look_at_evidence', 'watch.evidence', %(id)s, %(town)s, %(why)s,"
        " jsonb_strip_nulls(jsonb_build_object('incident_no', %(no)s::bigint, 'fault', %(fault)s::text,"
        " 'blurred', %(blurred)s::text, 'download', %(download)s::boolean)), %(ok)s, %(ip)s::inet)",
        {
            "id": str(row["id"]),
            "town": row["town_code"],
            "why": (why or "").strip() or None,
            "no": row["incident_no"],
            "fault": fault,
            "blurred": None if blurred is None else blurred.mode,
            "download": True if is_download else None,
            "ok": fault is None,
            "ip": ip,
        },
    )
