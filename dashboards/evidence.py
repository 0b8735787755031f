"""Frames kept as evidence, by their random id; a file that is not the one that was stored is refused."""

import hashlib
import uuid
from pathlib import Path
from typing import Any

import psycopg
from fastapi import APIRouter
from fastapi.responses import PlainTextResponse, Response
from psycopg_pool import ConnectionPool, PoolTimeout

from geoapp.database.sql_files import read_sql

_KINDS = {b"\xff\xd8\xff": "image/jpeg", b"\x89PNG": "image/png", b"RIFF": "image/webp"}


def router(pool: ConnectionPool[psycopg.Connection[dict[str, Any]]], folder: Path) -> APIRouter:
    """`GET /evidence/{id}.jpg`: the frame as the camera sent it. `folder` holds the files of watch.evidence.path.

    404: no such row or file; 409: the file's SHA-256 is not the stored one; 503: the database is away.
    """
    routes = APIRouter()

    @routes.get("/evidence/{name}", include_in_schema=True)
    def evidence(name: str) -> Response:
        try:
            wanted = uuid.UUID(name.removesuffix(".jpg"))
        except ValueError:
            return PlainTextResponse("没有这张画面 / no such frame", status_code=404)
        try:
            with pool.connection() as connection:
                row = connection.execute(read_sql("screens/evidence"), {"id": wanted}).fetchone()
        except (psycopg.OperationalError, PoolTimeout):
            return PlainTextResponse("数据库连接不上 / the database does not answer", status_code=503)
        if row is None:
            return PlainTextResponse("没有这张画面 / no such frame", status_code=404)
        root = folder.resolve()
        path = (root / row["path"]).resolve()
        if not path.is_relative_to(root) or not path.is_file():
            return PlainTextResponse("画面文件不在了 / the frame's file is missing", status_code=404)
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != row["sha256"]:
            return PlainTextResponse(
                "画面与存证时的 SHA-256 不符，不予显示 / the file is not the frame that was stored (SHA-256 differs)",
                status_code=409,
            )
        kind = next(
            (k for magic, k in _KINDS.items() if content.startswith(magic)), "application/octet-stream"
        )
        return Response(
            content,
            media_type=kind,
            headers={"Cache-Control": "private, max-age=86400, immutable", "ETag": f'"{row["sha256"]}"'},
        )

    return routes
