"""What the page of imports asks for: the report and the workbook of a batch, corrected workbooks, decisions on sites.

Everything is done under the admin's own database role; what the page hides, the database refuses.
"""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import psycopg
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from psycopg.types.json import Jsonb
from starlette.concurrency import run_in_threadpool

from dashboards import forms, imports_in
from dashboards.board import Board
from dashboards.forms import Sent
from dashboards.import_merges import DECISIONS, seen
from dashboards.own_account import Id
from dashboards.texts import Language, t
from etl.report.page import write_report
from etl.report.workbook import write_workbook
from geoapp.access import account_changes
from geoapp.access.caller import NO_RIGHT, Connection, Forbidden, acting, current_caller
from geoapp.errors import Refused
from layers.export_route import REASON_MAX, REASON_MIN
from layers.honest_route import client_ip, honest_route, message

# The report is a page of its own: its scripts stand in it, it asks nothing of anybody, and it is nobody's origin, so that
# whatever a file brought into it reaches neither the session nor this site.
REPORT_POLICY = (
    "sandbox allow-scripts allow-popups; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
REASON_WANTED = (
    f"请写明用途，至少 {REASON_MIN} 个字：留置的行含个人信息 / say what it is for, at least {REASON_MIN} characters: "
    "rows that were kept aside hold personal data."
)
SHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def router(board: Board) -> APIRouter:
    """`GET /export/import/{batch}.html` and `.xlsx`: the report of an imported file, and its rows that were kept aside.
    `POST /imports/corrected`: a corrected workbook as the body. `POST /imports/merges/{proposal}/{left|right|apart}`: a form.

    403 for whoever keeps no imports; 404: no such batch or proposal, or no row was kept aside; 409: refused with its reason;
    422: {"problems": {field: text}}. What leaves is on record in the audit, in the same transaction.
    """
    routes = APIRouter(route_class=honest_route(board.pool))

    @routes.get("/export/import/{batch}.html")
    def report(batch: Id, request: Request) -> Response:
        return _file(board, batch, "html", _report, request, None)

    @routes.get("/export/import/{batch}.xlsx")
    def workbook(
        batch: Id, request: Request, reason: str = Query(default="", max_length=REASON_MAX)
    ) -> Response:
        _require_right()
        if len(reason.strip()) < REASON_MIN:
            return message(422, REASON_WANTED)
        return _file(board, batch, "xlsx", _workbook, request, reason.strip())

    @routes.post("/imports/corrected")
    async def hand_in(request: Request) -> JSONResponse:
        body = await request.body()
        lang: Language = "en" if request.query_params.get("lang") == "en" else "zh"
        return await run_in_threadpool(handed_in, board, body, lang, client_ip(request))

    @routes.post("/imports/merges/{proposal}/{decision}")
    async def decide(proposal: Id, decision: str, request: Request) -> JSONResponse:
        sent = await Sent.of(request)
        was = request.query_params.get("seen", "")
        return await run_in_threadpool(decided, board, proposal, decision, was, sent)

    return routes


def _require_right() -> None:
    """Raises Forbidden for whoever keeps no imports: the database would say so too, later and less clearly."""
    if not current_caller().may("read_imports"):
        raise Forbidden(NO_RIGHT)


def _file(
    board: Board,
    batch: int,
    kind: str,
    make: Callable[[Connection, int, Path], Any],
    request: Request,
    reason: str | None,
) -> Response:
    """A file that is made of a batch, and its line in the audit."""
    _require_right()
    with acting(board.pool) as connection, tempfile.TemporaryDirectory() as folder:
        if connection.execute("SELECT FROM staging.batch WHERE id = %s", (batch,)).fetchone() is None:
            raise Refused(f"没有批次 {batch} / there is no import {batch}.")
        target = Path(folder) / f"import-{batch}.{kind}"
        make(connection, batch, target)
        content = target.read_bytes()
        connection.execute(
            "SELECT access.record(%s, 'staging.batch', %s, NULL, %s, %s, true, %s::inet)",
            (f"import_{kind}", str(batch), reason, Jsonb({"bytes": len(content)}), client_ip(request)),
        )
    headers = {"Cache-Control": "no-store"}
    if kind == "html":
        headers["Content-Security-Policy"] = REPORT_POLICY
        return Response(content, media_type="text/html; charset=utf-8", headers=headers)
    headers["Content-Disposition"] = f'attachment; filename="rejected-{batch}.xlsx"'
    return Response(content, media_type=SHEET, headers=headers)


def _report(connection: Connection, batch: int, target: Path) -> None:
    write_report(connection, batch, target)


def _workbook(connection: Connection, batch: int, target: Path) -> None:
    write_workbook(connection, batch, target)


def handed_in(board: Board, body: bytes, lang: Language, ip: str | None) -> JSONResponse:
    """Keeps a corrected workbook for the operator, and says which command loads it."""
    _require_right()
    now = datetime.now(UTC)
    with acting(board.pool) as connection:
        try:
            kept, said = imports_in.take_in(body, now)
        except Refused as refusal:
            return forms.refused(str(refusal))
        try:
            detail = {"file": said["file"][:200], "sha256": sha256(body).hexdigest(), "bytes": len(body)}
            connection.execute(
                "SELECT access.record('import_handed_in', 'staging.batch', %s, NULL, NULL, %s, true, %s::inet)",
                (kept.name.partition("-")[0], Jsonb(detail), ip),
            )
        except psycopg.Error:
            kept.unlink(missing_ok=True)
            raise
    return forms.done(
        message=t("imports.kept", lang, file=said["file"]), command=imports_in.load_command(kept)
    )


def decided(board: Board, proposal: int, decision: str, was: str, sent: Sent) -> JSONResponse:
    """One of DECISIONS on a pair of sites, unless somebody changed one of the two since the page was made."""
    _require_right()
    lang = sent.lang
    if decision not in DECISIONS:
        return forms.refused(t("imports.no_pair", lang), 404)
    if not sent.text("reason"):
        return forms.problems({"reason": t("access.reason_missing", lang)})
    try:
        with acting(board.pool) as connection:
            account_changes.give_reason(connection, sent.text("reason")[:200])
            _decide(connection, proposal, decision, was)
    except psycopg.errors.LockNotAvailable:
        return forms.refused(t("imports.import_runs", lang))
    except psycopg.errors.NoDataFound:
        return forms.refused(t("imports.no_pair", lang), 404)
    except PairChanged:
        return forms.refused(t("imports.pair_changed", lang))
    return forms.done()


class PairChanged(Refused):
    """One of the two sites is not what the admin saw."""


def _decide(connection: Connection, proposal: int, decision: str, was: str) -> None:
    """Raises PairChanged, and what the register's functions raise."""
    pair = connection.execute(
        "SELECT * FROM analysis.import_merge WHERE merge_id = %s", (proposal,)
    ).fetchone()
    if pair is None:
        raise psycopg.errors.NoDataFound
    if seen(pair) != was:
        raise PairChanged("changed")
    left, right = pair["left_id"], pair["right_id"]
    if decision == "apart":
        connection.execute("SELECT registry.keep_sites_apart(%s, %s)", (left, right))
        return
    keep, gone = (left, right) if decision == "left" else (right, left)
    connection.execute("SELECT registry.merge_sites(%s, %s)", (keep, gone))
