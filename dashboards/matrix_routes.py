"""What the page of duties asks for: a decision on an industry, and what it shows as a file.

Done under the caller's own database role; what the page hides, the database refuses.
"""

import csv
import io
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, BinaryIO

import psycopg
from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from psycopg.types.json import Jsonb
from starlette.concurrency import run_in_threadpool

from dashboards import forms
from dashboards.board import Board
from dashboards.duty_proposals import decided_words, may_decide
from dashboards.forms import Sent
from dashboards.matrix_asked import Asked, day_of, unread
from dashboards.texts import Language, t
from geoapp.access.account_changes import give_reason
from geoapp.access.caller import NO_RIGHT, Connection, Forbidden, acting, current_caller
from geoapp.database.sql_files import read_sql
from layers.export.text_values import FORMULA_STARTS
from layers.export_route import REASON_MAX, REASON_MIN, REASON_WANTED, ROWS_WITHOUT_REASON
from layers.honest_route import client_ip, honest_route, message

REASON_MOST = 500
NAME_MOST, DOCUMENT_MOST, INDUSTRY_MOST = 100, 100, 40
# A decision may be dated before it is entered, and may begin later; not in another age.
FARTHEST = timedelta(days=2 * 366)
ALL = 2_000_000
UNIT_COLUMNS = (
    "unit_code", "town_code", "name_zh", "name_en", "site_count", "gap_count", "missing_count", "no_rule_count", "two_leads_count",
    "disputed_count", "proposed_count", "no_person_count", "cell_count", "no_grid_worker_count", "state",
)  # fmt: skip
ENTRY_COLUMNS = (
    "unit_code", "town_code", "department_code", "department_zh", "department_en", "lead_count", "no_person_count", "two_leads_count",
    "disputed_count", "proposed_count", "missing_count",
)  # fmt: skip
SITE_COLUMNS = (
    "site_id", "name_zh", "rule_code", "place_type_zh", "place_type_en", "gbt4754", "industry", "cell_code", "community_code", "town_code",
    "status", "department_codes", "lead_code", "lead_zh", "lead_en",
)  # fmt: skip
CELL_COLUMNS = ("code", "name_zh", "community_zh", "town_zh", "town_en", "chief_name")


def router(board: Board) -> APIRouter:
    """`POST /matrix/decide`: a form, answered in JSON; `GET /export/duty.csv?<the page's own query>[&reason=…]`.

    403: the role does not do this; 409: refused with its reason; 422: {"problems": {field: text}}, or more rows than leave
    without a reason. The file is UTF-8 with a byte order mark and on record before a byte leaves: the list where the page
    has one, else its matrix (every unit, not only the page's); an empty cell is not known, never 0.
    """
    routes = APIRouter(route_class=honest_route(board.pool))

    @routes.post("/matrix/decide")
    async def decide(request: Request) -> JSONResponse:
        sent = await Sent.of(request)
        return await run_in_threadpool(decided, board, sent)

    @routes.get("/export/duty.csv")
    def duty_file(request: Request, reason: Annotated[str, Query(max_length=REASON_MAX)] = "") -> Response:
        return file_of(board, request, reason.strip())

    return routes


def decided(board: Board, sent: Sent) -> JSONResponse:
    """Designates a department for an industry, or gives its sites a place type that is there already."""
    if not may_decide():
        raise Forbidden(NO_RIGHT)
    lang = sent.lang
    wrong = _lacking(sent, lang)
    if wrong:
        return forms.problems(wrong)
    kind, _, code = sent.text("decision").partition(":")
    with acting(board.pool) as connection:
        department = _department(connection, kind, code)
        if kind != "rule" and department is None:
            return forms.problems({"decision": t("proposal.decision_missing", lang)})
        values = {
            "industry": sent.text("industry"),
            "existing_rule": code if kind == "rule" else None,
            "department": department,
            "place_type_zh": sent.text("place_type_zh"),
            "place_type_en": sent.text("place_type_en"),
            "near_rule": code if kind != "department" else None,
            "document_no": sent.text("document_no"),
            "valid_from": day_of(sent.text("valid_from")),
        }
        give_reason(connection, sent.text("reason")[:REASON_MOST])
        try:
            made = connection.execute(read_sql("actions/designated_industry").encode(), values).fetchone()
        except psycopg.errors.UniqueViolation:
            return forms.refused(t("proposal.decided_already", lang))
        except (psycopg.errors.ForeignKeyViolation, psycopg.errors.CheckViolation):
            return forms.refused(t("proposal.values_bad", lang), 422)
    assert made is not None
    there = {n: sent.text(n) for n in ("level", "by", "within", "state", "day", "theme")}
    held = {"lang": lang} | ({"theme": there.pop("theme")} if there["theme"] in ("light", "dark") else {})
    asked = Asked.of(
        "&".join(f"{k}={v}" for k, v in there.items() if v and v.isascii() and v.replace("-", "").isalnum())
    )
    return forms.done(message=decided_words(made, lang), then=asked.link(held, "proposals"))


def _lacking(sent: Sent, lang: Language) -> dict[str, str]:
    """What is wrong with a form, by field."""
    kind, _, code = sent.text("decision").partition(":")
    day = day_of(sent.text("valid_from"))
    fits = {
        "decision": kind in ("rule", "near", "department") and bool(code),
        "place_type_zh": kind == "rule" or 2 <= len(sent.text("place_type_zh")) <= NAME_MOST,
        "place_type_en": len(sent.text("place_type_en")) <= NAME_MOST,
        "document_no": 2 <= len(sent.text("document_no")) <= DOCUMENT_MOST,
        "valid_from": day is not None and abs(day - datetime.now(UTC).date()) <= FARTHEST,
        "reason": bool(sent.text("reason")),
        "industry": 1 <= len(sent.text("industry")) <= INDUSTRY_MOST,
    }
    said = {
        "decision": "proposal.decision_missing",
        "place_type_zh": "proposal.name_bad",
        "place_type_en": "proposal.name_bad",
        "document_no": "proposal.document_missing",
        "valid_from": "proposal.day_bad",
        "reason": "access.reason_missing",
        "industry": "proposal.industry_missing",
    }
    return {field: t(said[field], lang) for field, is_fit in fits.items() if not is_fit}


def _department(connection: Connection, kind: str, code: str) -> str | None:
    """The department that is to lead: the one named, or the one of the rule whose business is near."""
    if kind == "department":
        return code
    if kind == "rule":
        return None
    row = connection.execute("SELECT r.lead_code FROM duty.rule AS r WHERE r.code = %s", (code,)).fetchone()
    return None if row is None else row["lead_code"]


def file_of(board: Board, request: Request, reason: str) -> Response:
    """What the page of this address shows, whole, as CSV."""
    caller = current_caller()
    if not caller.may("export"):
        raise Forbidden(NO_RIGHT)
    asked = Asked.of(request.url.query)
    wrong = unread(request.url.query)
    if wrong:
        return message(422, f"不能用 / cannot be used: {', '.join(wrong)}")
    city = board.city()
    zone, now = (str(city["timezone"]) if city else "Asia/Shanghai"), datetime.now(UTC)
    name, columns, values = _query_of(asked, zone, now)
    with acting(board.pool) as connection:
        file, rows = _written(connection, name, columns, values)
        if rows > ROWS_WITHOUT_REASON and len(reason) < REASON_MIN:
            file.close()
            return message(422, REASON_WANTED)
        detail = {"scope": caller.scope, "areas": list(caller.areas), "asked": asked.fields}
        connection.execute(
            "SELECT access.record_export('duty', 'csv', %s, %s, %s::inet, %s)",
            (rows, reason or None, client_ip(request), Jsonb(detail)),
        )
    headers = {
        "Content-Disposition": f'attachment; filename="geoapp-{name.replace("_", "-")}-{asked.day or "today"}.csv"',
        "Content-Length": str(os.fstat(file.fileno()).st_size),
        "Cache-Control": "private, no-store",
    }
    return StreamingResponse(_parts(file), headers=headers, media_type="text/csv; charset=utf-8")


def _query_of(asked: Asked, zone: str, now: datetime) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    everything = {"most": ALL, "skip": 0}
    if asked.lists:
        name = "duty_cells" if asked.listed == "no_grid_worker" else "duty_sites"
        return (
            name,
            CELL_COLUMNS if name == "duty_cells" else SITE_COLUMNS,
            asked.sites(zone, now) | everything,
        )
    if asked.by == "department" and not asked.state:
        return "duty_departments", ENTRY_COLUMNS, asked.matrix(zone, now) | {"units": None}
    return "duty_units", UNIT_COLUMNS, asked.matrix(zone, now) | everything


def _written(
    connection: Connection, name: str, columns: tuple[str, ...], values: dict[str, Any]
) -> tuple[BinaryIO, int]:
    """The rows of a query as CSV in a file without a name, at its beginning, and how many there are; read piece by piece."""
    content = tempfile.TemporaryFile()  # noqa: SIM115 - sent, and closed, after this returns
    file = io.TextIOWrapper(content, encoding="utf-8-sig", newline="")
    rows = 0
    writer = csv.writer(file)
    writer.writerow(columns)
    with connection.cursor(name="duty_file") as found:
        found.itersize = 5000
        found.execute(read_sql(f"screens/{name}").encode(), values)
        for row in found:
            writer.writerow([_cell(row[column]) for column in columns])
            rows += 1
    file.detach()
    content.seek(0)
    return content, rows


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return " ".join(map(str, value))
    if isinstance(value, str) and value[:1] in FORMULA_STARTS:
        return f"'{value}"
    return value


def _parts(content: BinaryIO) -> Iterator[bytes]:
    with content:
        while part := content.read(262_144):
            yield part
