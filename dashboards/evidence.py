"""Frames kept as evidence, by their random id: who looks is on record, and a file that is not the one stored is refused."""

import hashlib
import uuid
from pathlib import Path
from typing import Any

import psycopg
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from geoapp.access.caller import Pool, acting
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from layers.export_route import REASON_MAX
from layers.honest_route import client_ip, honest_route, message

_KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"RIFF": "image/webp"}
# The list and the drawer of one page show the same frame: that is one look. A minute later it is asked for, and on record,
# again. The answer varies with the cookie, so the next person at the same browser never gets it from there.
KEPT_BY_THE_PAGE = "private, max-age=60"
NO_FRAME = "没有这张画面 / no such frame"


def router(pool: Pool, folder: Path) -> APIRouter:
    """`GET /evidence/{id}.jpg[?why=…]`: the frame as the camera sent it. `folder` holds the files of watch.evidence.path.

    403: the role may not look at frames; 404: no such row in the caller's area, or no file; 409: the file's SHA-256 is
    not the stored one; 503: the database is away. Each look is a record of the audit, with `why` where it is given.
    """
    routes = APIRouter(route_class=honest_route(pool))

    @routes.get("/evidence/{name}", include_in_schema=True)
    def evidence(
        request: Request, name: str, why: str | None = Query(default=None, max_length=REASON_MAX)
    ) -> Response:
        try:
            wanted = uuid.UUID(name.removesuffix(".jpg"))
        except ValueError:
            raise Refused(NO_FRAME) from None
        with acting(pool) as connection:
            row = connection.execute(read_sql("screens/evidence").encode(), {"id": wanted}).fetchone()
            if row is None:
                raise Refused(NO_FRAME)
            content = _content(folder, row["path"])
            fault = _fault(content, row["sha256"])
            _record_look(connection, row, why, fault, client_ip(request))
        if content is None:
            return message(404, "画面文件不在了 / the frame's file is missing")
        if fault is not None:
            return message(
                409,
                "画面与存证时的 SHA-256 不符，不予显示 / the file is not the frame that was stored (SHA-256 differs)",
            )
        kind = next(
            (k for magic, k in _KINDS.items() if content.startswith(magic)), "application/octet-stream"
        )
        return Response(content, media_type=kind, headers={"Cache-Control": KEPT_BY_THE_PAGE})

    return routes


def _content(folder: Path, stored: str) -> bytes | None:
    """The bytes of a file inside the folder, None where there is none."""
    root = folder.resolve()
    path = (root / stored).resolve()
    return path.read_bytes() if path.is_relative_to(root) and path.is_file() else None


def _fault(content: bytes | None, sha256: str) -> str | None:
    if content is None:
        return "file is missing"
    return None if hashlib.sha256(content).hexdigest() == sha256 else "SHA-256 differs"


def _record_look(
    connection: psycopg.Connection[dict[str, Any]],
    row: dict[str, Any],
    why: str | None,
    fault: str | None,
    ip: str | None,
) -> None:
    connection.execute(
        "SELECT access.record('look_at_evidence', 'watch.evidence', %(id)s, %(town)s, %(why)s,"
        " jsonb_strip_nulls(jsonb_build_object('incident_no', %(no)s::bigint, 'fault', %(fault)s::text)), %(ok)s, %(ip)s::inet)",
        {
            "id": str(row["id"]),
            "town": row["town_code"],
            "why": (why or "").strip() or None,
            "no": row["incident_no"],
            "fault": fault,
            "ok": fault is None,
            "ip": ip,
        },
    )
