"""The route that hands out a layer as a file: on record before it is made, one at a time for an account."""

import json
import os
import secrets
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import psycopg
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from geoapp.access.caller import NO_RIGHT, Caller, Forbidden, Pool, acting, current_caller
from layers.export import driver_of, exported_layer, layer_frame, write_frame
from layers.honest_route import client_ip, message
from layers.registry import Layer

# More rows than this, or any column about a person, leave the house only with a reason.
ROWS_WITHOUT_REASON = 1000
REASON_MIN, REASON_MAX = 4, 500
REASON_WANTED = (
    "导出个人信息或超过 1000 行须写明用途（reason，至少 4 个字）/ To take out personal data or more than 1,000 rows, say what for"
    " (reason, at least 4 characters)."
)


def add_export(routes: APIRouter, pool: Pool) -> None:
    """Adds `/export/{file}` to the routes."""
    exporting: set[int] = set()
    guard = threading.Lock()

    @contextmanager
    def alone(caller: Caller) -> Iterator[bool]:
        """Whether the caller's account has no other file under way, for as long as the block runs."""
        with guard:
            free = caller.account_id not in exporting
            exporting.add(caller.account_id)
        try:
            yield free
        finally:
            if free:
                with guard:
                    exporting.discard(caller.account_id)

    @routes.get("/export/{file}")
    def export(
        request: Request, file: str, reason: str = Query(default="", max_length=REASON_MAX)
    ) -> Response:
        """A layer as a file (`{layer}.gpkg`, `.geojson` or `.fgb`): the rows in the caller's area, on record before it is made."""
        caller = current_caller()
        name, ending = Path(file).stem, Path(file).suffix
        declared = exported_layer(name, caller.roles)
        driver_of(ending)
        if caller.token_scopes is not None and "export" not in caller.token_scopes:
            raise Forbidden("令牌没有导出用途 / this token is not for exports.")
        with alone(caller) as free:
            if not free:
                return message(
                    429, "上一次导出还没有完成 / Your last export is still being made: wait for it."
                )
            return _file(request, pool, caller, declared, ending, reason.strip())


def _file(
    request: Request, pool: Pool, caller: Caller, declared: Layer, ending: str, reason: str
) -> Response:
    with acting(pool, caller) as connection:
        _refuse_who_may_not_export(connection)
        frame = layer_frame(connection, declared)
        asked = bool(declared.personal) or len(frame) > ROWS_WITHOUT_REASON
        if asked and len(reason) < REASON_MIN:
            return message(
                422,
                REASON_WANTED,
            )
        connection.execute(
            "SELECT access.record_export(%s, %s, %s, %s, %s::inet, %s)",
            (
                declared.id,
                ending.removeprefix("."),
                len(frame),
                reason or None,
                client_ip(request),
                json.dumps(
                    {"scope": caller.scope, "areas": list(caller.areas), "personal": list(declared.personal)}
                ),
            ),
        )
    # On record: now it may be written, and leave. The file has no name any more before its first byte is sent.
    with tempfile.TemporaryDirectory(prefix="geoapp-export-") as folder:
        made = Path(folder) / f"{declared.id}{ending.lower()}"
        write_frame(frame, declared.id, made)
        content = made.open("rb")
    shown = f"geoapp-{declared.id}-{secrets.token_hex(6)}{ending.lower()}"
    headers = {
        "Content-Disposition": f'attachment; filename="{shown}"',
        "Content-Length": str(os.fstat(content.fileno()).st_size),
        "Cache-Control": "private, no-store",
    }
    return StreamingResponse(_parts(content), headers=headers, media_type="application/octet-stream")


def _refuse_who_may_not_export(connection: psycopg.Connection[dict[str, Any]]) -> None:
    """Raises Forbidden before anything is read for a file; record_export itself refuses too."""
    row = connection.execute(
        "SELECT has_function_privilege('access.record_export(text, text, bigint, text, inet, jsonb)', 'EXECUTE') AS may"
    ).fetchone()
    if row is None or not row["may"]:
        raise Forbidden(NO_RIGHT)


def _parts(content: BinaryIO) -> Iterator[bytes]:
    with content:
        while part := content.read(262_144):
            yield part
