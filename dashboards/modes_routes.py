"""What the page of modes asks for: modes set for cameras, masks accepted, declined, ended.

Everything is done under the caller's own database role by the functions of `geoapp detect mode` and `mask`; what the page
hides, the database refuses.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

import psycopg
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from dashboards import forms
from dashboards.board import Board
from dashboards.forms import Sent
from dashboards.mode_masks import DAYS_MOST
from dashboards.modes_page import LOOK_BACK, Filter
from dashboards.own_account import Id
from dashboards.texts import t
from detection.masks import DECISIONS, decide_mask
from detection.modes import MODES, set_mode
from geoapp.access.account_changes import give_reason
from geoapp.access.caller import NO_RIGHT, Forbidden, acting, current_caller
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from layers.honest_route import honest_route

# One transaction with a row and a record of the audit for each.
MOST = 20_000
REASON_MOST = 500


def router(board: Board) -> APIRouter:
    """`POST /modes/set`, `/modes/masks/{id}/accept|refuse|end`: forms, answered in JSON.

    403: the role does not do this, or not at this camera; 404: no such mask in the caller's area; 409: refused with its
    reason; 422: {"problems": {field: text}}.
    """
    routes = APIRouter(route_class=honest_route(board.pool))

    @routes.post("/modes/set")
    async def set_(request: Request) -> JSONResponse:
        sent = await Sent.of(request)
        return await run_in_threadpool(_answered, lambda: modes_set(board, sent))

    @routes.post("/modes/masks/{mask}/{decision}")
    async def decide(mask: Id, decision: str, request: Request) -> JSONResponse:
        sent = await Sent.of(request)
        return await run_in_threadpool(_answered, lambda: mask_decided(board, mask, decision, sent))

    return routes


def modes_set(board: Board, sent: Sent) -> JSONResponse:
    """Sets a mode for the cameras that are ticked, or for all that the filter of the page finds."""
    _require("set_mode")
    lang, now = sent.lang, datetime.now(UTC)
    reason, mode, class_name = sent.text("reason"), sent.text("set_mode"), sent.text("set_class") or None
    wrong = {}
    if mode not in MODES:
        wrong["set_mode"] = t("modes.mode_missing", lang)
    if not 2 <= len(reason) <= REASON_MOST:
        wrong["reason"] = t("modes.reason_bad", lang)
    ticked = {int(v) for v in sent.several("camera") if v.isascii() and v.isdigit() and len(v) < 19}
    by_filter = sent.text("which") == "filtered"
    if not by_filter and not ticked:
        wrong["which"] = t("modes.none_chosen", lang)
    if wrong:
        return forms.problems(wrong)
    asked = Filter.of({name: sent.text(name) for name in ("town", "class", "mode", "text")})
    with acting(board.pool) as connection:
        if by_filter:
            values = asked.parameters | {"since": now - LOOK_BACK, "at": now, "most": MOST + 1, "skip": 0}
            found = connection.execute(read_sql("screens/mode_cameras").encode(), values).fetchall()
            rows = [row for row in found if row["is_own"]]
            if len(found) > MOST:
                return forms.refused(t("modes.too_many", lang, n=MOST))
            # What is set is what the page said it would be.
            if str(len(rows)) != sent.text("in_all"):
                return forms.refused(t("modes.filter_changed", lang, n=len(rows)))
        else:
            rows = connection.execute(
                "SELECT c.gb_id FROM registry.camera AS c WHERE c.id = ANY (%s)", (list(ticked),)
            ).fetchall()
            if len(rows) != len(ticked):
                return forms.refused(
                    "没有这台摄像机，或不在您的管辖范围内 / no such camera, or not in your area.", 404
                )
        give_reason(connection, reason)
        gb_ids = [row["gb_id"] for row in rows]
        count = set_mode(
            connection, gb_ids, class_name, mode, reason=reason, by=current_caller().login, at=now
        )
    then = f"/modes?{urlencode(asked.fields | {'lang': lang})}"
    return forms.done(message=t("modes.done", lang, n=count), then=then)


def mask_decided(board: Board, mask: int, decision: str, sent: Sent) -> JSONResponse:
    """Accepts (again: for longer), declines or ends a mask."""
    _require("decide_mask")
    lang = sent.lang
    if decision not in DECISIONS:
        return forms.refused("没有这一项 / there is no such thing.", 404)
    wrong = {}
    days = sent.text("days")
    if decision == "accept" and not (
        days.isascii() and days.isdigit() and len(days) < 4 and 1 <= int(days) <= DAYS_MOST
    ):
        wrong["days"] = t("modes.days_bad", lang, most=DAYS_MOST)
    if not sent.text("reason"):
        wrong["reason"] = t("access.reason_missing", lang)
    if wrong:
        return forms.problems(wrong)
    with acting(board.pool) as connection:
        if connection.execute("SELECT FROM watch.mask WHERE id = %s", (mask,)).fetchone() is None:
            return forms.refused(
                "没有这块遮罩，或不在您的管辖范围内 / no such mask, or not in your area.", 404
            )
        give_reason(connection, sent.text("reason")[:REASON_MOST])
        decide_mask(
            connection,
            mask,
            decision,
            days=float(days) if decision == "accept" else 0.0,
            by=current_caller().login,
            at=datetime.now(UTC),
        )
    return forms.done()


def _require(action: str) -> None:
    """Raises Forbidden for whoever does not do this: the database would say so too, later and less clearly."""
    if not current_caller().may(action):
        raise Forbidden(NO_RIGHT)


def _answered(act: Callable[[], JSONResponse]) -> JSONResponse:
    try:
        return act()
    except Forbidden:
        raise
    except psycopg.errors.CheckViolation:
        return forms.refused("内容不合要求 / these values cannot be used together.")
    except Refused as refusal:
        return forms.refused(str(refusal))
