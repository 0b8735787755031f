"""`/healthz` for a supervisor and `/metrics` for Prometheus: from the web process itself, without anybody's role."""

import psycopg
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, generate_latest
from psycopg_pool import PoolTimeout

from dashboards.asked import Asked
from dashboards.live import Stream
from geoapp.access.caller import Pool, caller_or_none
from geoapp.access.refusals import REFUSALS
from geoapp.database.migrations import head
from layers.honest_route import NOT_FOUND


def router(pool: Pool, stream: Stream) -> APIRouter:
    """`/healthz`: 200 when the database answers at the program's revision, else 503; `/metrics`: loopback, an admin, or a
    token for metrics, else 404.

    A stranger hears of `/healthz` its status alone; this machine and an admin also the revision, the city and the watch.
    """
    routes = APIRouter()

    @routes.get("/healthz")
    def healthz(request: Request) -> Response:
        status, details = _state(pool)
        body: dict[str, object] = {"status": "ok" if status == "ok" else "ill"}
        if Asked.of(request.scope).from_this_machine or _is_admin():
            body = {"status": status, **details, "open_maps": stream.open_maps}
        return JSONResponse(body, 200 if status == "ok" else 503, {"Cache-Control": "no-store"})

    @routes.get("/metrics", include_in_schema=False)
    def metrics(request: Request) -> Response:
        caller = caller_or_none()
        by_token = caller is not None and "metrics" in (caller.token_scopes or ())
        if not (Asked.of(request.scope).from_this_machine or by_token or _is_admin()):
            return PlainTextResponse("Not Found", status_code=404)
        return Response(generate_latest(_gauges(pool, stream)), media_type=CONTENT_TYPE_LATEST)

    return routes


def _is_admin() -> bool:
    caller = caller_or_none()
    return caller is not None and caller.token_id is None and "admin" in caller.roles


def _state(pool: Pool) -> tuple[str, dict[str, object]]:
    """(ok, away, no schema or schema differs; what this machine may know of it)."""
    try:
        with pool.connection() as connection:
            row = connection.execute("SELECT * FROM access.health()").fetchone() or {}
    except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout):
        return "away", {"database": False}
    except psycopg.Error:
        return "no schema", {"database": True}
    return "ok" if row.get("revision") == head() else "schema differs", {
        "database": True,
        "revision": row.get("revision"),
        "city": row.get("city_code"),
        "watch_last_try_at": row["last_try_at"].isoformat() if row.get("last_try_at") else None,
    }


def _gauges(pool: Pool, stream: Stream) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(REFUSALS)
    registry.register(NOT_FOUND)
    Gauge("geoapp_open_maps", "Browsers on the live stream", registry=registry).set(stream.open_maps)
    Gauge("geoapp_outbox_last_id", "Newest outbox id told", registry=registry).set(stream.last_id)
    reachable = Gauge("geoapp_database_up", "1 when the database answers", registry=registry)
    try:
        with pool.connection() as connection:
            rows = connection.execute("SELECT * FROM access.metrics()").fetchall()
        reachable.set(1)
    except (psycopg.Error, PoolTimeout):
        reachable.set(0)
        return registry
    for row in rows:
        if row["value"] is not None:
            Gauge(f"geoapp_{row['name']}", row["name"].replace("_", " "), registry=registry).set(row["value"])
    return registry
