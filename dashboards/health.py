"""`/healthz` for a supervisor and `/metrics` for Prometheus on the same machine."""

from typing import Any

import psycopg
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from psycopg_pool import ConnectionPool, PoolTimeout

from dashboards.live import Stream
from geoapp.database.migrations import head
from geoapp.database.sql_files import read_sql

_LOOPBACK = {"127.0.0.1", "::1", "testclient"}


def router(pool: ConnectionPool[psycopg.Connection[dict[str, Any]]], stream: Stream) -> APIRouter:
    """`/healthz`: 200 when the database answers at the program's revision, else 503; `/metrics`: loopback only, else 404."""
    routes = APIRouter()

    @routes.get("/healthz")
    def healthz() -> Response:
        try:
            with pool.connection() as connection:
                row = connection.execute(read_sql("screens/health")).fetchone() or {}
        except (psycopg.OperationalError, PoolTimeout):
            return JSONResponse({"status": "away", "database": False}, status_code=503)
        except psycopg.Error:
            return JSONResponse({"status": "no schema", "database": True}, status_code=503)
        current = row.get("revision") == head()
        body = {
            "status": "ok" if current else "schema differs",
            "database": True,
            "revision": row.get("revision"),
            "city": row.get("city_code"),
            "watch_last_try_at": row["last_try_at"].isoformat() if row.get("last_try_at") else None,
            "open_maps": len(stream.subscribers),
        }
        return JSONResponse(body, status_code=200 if current else 503)

    @routes.get("/metrics", include_in_schema=False)
    def metrics(request: Request) -> Response:
        if request.client is None or request.client.host not in _LOOPBACK:
            return PlainTextResponse("Not Found", status_code=404)
        registry = CollectorRegistry()
        Gauge("geoapp_open_maps", "Browsers on the live stream", registry=registry).set(
            len(stream.subscribers)
        )
        Gauge("geoapp_outbox_last_id", "Newest outbox id told", registry=registry).set(stream.last_id)
        reachable = Gauge("geoapp_database_up", "1 when the database answers", registry=registry)
        try:
            with pool.connection() as connection:
                row = connection.execute(read_sql("screens/metrics")).fetchone() or {}
            reachable.set(1)
            for name, value in row.items():
                if value is not None:
                    Gauge(f"geoapp_{name}", name.replace("_", " "), registry=registry).set(float(value))
        except (psycopg.Error, PoolTimeout):
            reachable.set(0)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return routes
