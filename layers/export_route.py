"""The route that hands out a register or layer as a file: on record before it is made, one at a time for an account."""

import os
import secrets
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import psycopg
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from psycopg.types.json import Jsonb

from geoapp.access.caller import NO_RIGHT, Caller, Forbidden, Pool, acting, current_caller
from geoapp.errors import Refused
from layers.export import (
    Register,
    content_of,
    ending_of,
    metric_srid,
    order_of,
    register,
    span_for,
    write_file,
)
from layers.honest_route import client_ip, message

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
        request: Request,
        file: str,
        reason: str = Query(default="", max_length=REASON_MAX),
        frame: str = Query(default="", max_length=20),
        encoding: str = Query(default="", max_length=20),
        as_of: datetime | None = None,
        since: Annotated[datetime | None, Query(alias="from")] = None,
        until: Annotated[datetime | None, Query(alias="to")] = None,
    ) -> Response:
        """A register or layer as a file (`{name}.gpkg`, `.parquet`, `.geojson`, `.shp.zip`, `.xlsx`, `.csv`, `.fgb`): the rows
        in the caller's area, on record before it leaves. frame, encoding: as in layers.export.order. as_of, from, to: of a map
        layer, as it was."""
        caller = current_caller()
        ending = ending_of(file)
        asked = register(file[: -len(ending)], caller.roles)
        if caller.token_scopes is not None and "export" not in caller.token_scopes:
            raise Forbidden("令牌没有导出用途 / this token is not for exports.")
        with alone(caller) as free:
            if not free:
                return message(
                    429, "上一次导出还没有完成 / Your last export is still being made: wait for it."
                )
            when = (as_of, since, until)
            return _file(request, pool, caller, asked, ending, frame, encoding, reason.strip(), when)


def _file(
    request: Request,
    pool: Pool,
    caller: Caller,
    asked: Register,
    ending: str,
    frame: str,
    encoding: str,
    reason: str,
    when: tuple[datetime | None, datetime | None, datetime | None],
) -> Response:
    with acting(pool, caller) as connection, tempfile.TemporaryDirectory(prefix="geoapp-export-") as folder:
        # The rows that are counted, told and written are the same ones.
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        _refuse_who_may_not_export(connection)
        try:
            wanted = order_of(
                asked, ending, metric_srid(connection), frame, encoding, span_for(connection, asked, *when)
            )
        except Refused as refusal:
            return message(422, str(refusal))
        made = content_of(connection, wanted)
        if (asked.personal or made.rows > ROWS_WITHOUT_REASON) and len(reason) < REASON_MIN:
            return message(422, REASON_WANTED)
        detail = {
            "scope": caller.scope,
            "areas": list(caller.areas),
            "personal": made.personal,
            "frame": wanted.frame.name if made.family else None,
            "encoding": wanted.encoding,
            "span": wanted.span.key or None,
        }
        connection.execute(
            "SELECT access.record_export(%s, %s, %s, %s, %s::inet, %s)",
            (
                asked.id,
                ending.removeprefix("."),
                made.rows,
                reason or None,
                client_ip(request),
                Jsonb(detail),
            ),
        )
        # The record stands when the transaction ends, before the first byte is sent; the file has no name any more then.
        target = Path(folder) / f"{asked.id}{ending}"
        write_file(made, target)
        file = target.open("rb")
    shown = f"geoapp-{asked.id}{wanted.frame_tag}-{secrets.token_hex(6)}{ending}"
    headers = {
        "Content-Disposition": f'attachment; filename="{shown}"',
        "Content-Length": str(os.fstat(file.fileno()).st_size),
        "Cache-Control": "private, no-store",
    }
    return StreamingResponse(_parts(file), headers=headers, media_type="application/octet-stream")


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
