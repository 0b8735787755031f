"""What the page of coverage asks for beyond looking: a target that is set, and the next camera places as a file."""

import json
from datetime import UTC, datetime
from typing import Annotated

import psycopg
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from psycopg.types.json import Jsonb
from starlette.concurrency import run_in_threadpool

from dashboards import forms
from dashboards.actions import Code
from dashboards.board import Board
from dashboards.coverage_onboarding import may_set
from dashboards.coverage_places import places_of
from dashboards.forms import Sent
from dashboards.texts import t
from geoapp.access.account_changes import give_reason
from geoapp.access.caller import NO_RIGHT, Forbidden, acting, current_caller
from layers.camera_places import as_geojson, next_places
from layers.export_route import REASON_MAX
from layers.honest_route import client_ip, honest_route

DOCUMENT_MOST = 60


def router(board: Board) -> APIRouter:
    """`POST /coverage/targets` (a form, answered in JSON) and `GET /export/camera-places.geojson`.

    Target: 403 another role, or a town that is not the caller's; 404 no such town; 422 {"problems": {field: text}}.
    File: EPSG:4326, a point and its ground for each place; 403 for a role that may not export; 404 with the reason for numbers
    that no camera has. On record before a byte leaves.
    """
    routes = APIRouter(route_class=honest_route(board.pool))

    @routes.post("/coverage/targets")
    async def set_target(request: Request) -> JSONResponse:
        sent = await Sent.of(request)
        return await run_in_threadpool(target_set, board, sent)

    @routes.get("/export/camera-places.geojson")
    def places(
        request: Request,
        wanted: Annotated[int, Query(ge=1, le=20)] = 5,
        reach: Annotated[float, Query(ge=5, le=2000)] = 80,
        hfov: Annotated[float, Query(ge=5, le=360)] = 90,
        town: Annotated[Code | None, Query()] = None,
        reason: Annotated[str, Query(max_length=REASON_MAX)] = "",
    ) -> Response:
        caller, now = current_caller(), datetime.now(UTC)
        if not caller.may("export"):
            raise Forbidden(NO_RIGHT)
        with acting(board.pool) as connection:
            found = next_places(connection, wanted, now, town=town, reach_m=reach, hfov_deg=hfov)
            detail = {"scope": caller.scope, "areas": list(caller.areas), "town": town, "wanted": wanted}
            connection.execute(
                "SELECT access.record_export('camera_places', 'geojson', %s, %s, %s::inet, %s)",
                (places_of(found), reason.strip() or None, client_ip(request), Jsonb(detail)),
            )
        name = f"geoapp-camera-places-{now:%Y-%m-%d}.geojson"
        headers = {
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "private, no-store",
        }
        text = json.dumps(as_geojson(found), ensure_ascii=False)
        return Response(text, headers=headers, media_type="application/geo+json")

    return routes


def target_set(board: Board, sent: Sent) -> JSONResponse:
    """A new target of a town, or of the district where no town is named, from today on."""
    if not may_set(current_caller()):
        raise Forbidden(NO_RIGHT)
    lang = sent.lang
    year, areas, document, town = (sent.text(n) for n in ("year", "areas", "document_no", "town"))
    wrong = {}
    if not (_is_whole(year) and 2000 <= int(year) <= 2100):
        wrong["year"] = t("coverage.year_bad", lang)
    if not (_is_whole(areas) and int(areas) <= 100_000):
        wrong["areas"] = t("coverage.areas_bad", lang)
    if not 2 <= len(document) <= DOCUMENT_MOST:
        wrong["document_no"] = t("coverage.document_bad", lang)
    if wrong:
        return forms.problems(wrong)
    try:
        with acting(board.pool) as connection:
            named = connection.execute(
                "SELECT FROM territory.unit AS u WHERE u.code = %s AND u.level = 'town'", (town,)
            ).fetchone()
            if town and named is None:
                return forms.refused(
                    "没有这个街镇，或不在您的管辖范围内 / no such town, or not in your area.", 404
                )
            give_reason(connection, document)
            connection.execute(
                "INSERT INTO registry.onboarding_target (town_code, year, areas, document_no) VALUES (%s, %s, %s, %s)",
                (town or None, int(year), int(areas), document),
            )
    except psycopg.errors.InsufficientPrivilege as fault:
        raise Forbidden(NO_RIGHT) from fault
    return forms.done()


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 7
