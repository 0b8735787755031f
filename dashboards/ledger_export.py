"""The ledger of a day as a file: what /ledger shows, every place and hour of it, under the reader's own role and on record."""

import csv
import json
import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Annotated, Any, BinaryIO, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from dashboards.actions import Code
from dashboards.board import Board
from dashboards.ledger import span
from geoapp.access.caller import NO_RIGHT, Connection, Forbidden, acting, current_caller
from geoapp.database.sql_files import read_sql
from layers.export.text_values import FORMULA_STARTS
from layers.export_route import REASON_MAX, REASON_MIN, REASON_WANTED, ROWS_WITHOUT_REASON
from layers.honest_route import client_ip, honest_route, message

COLUMNS = (
    "place", "name_zh", "name_en", "gb_id", "starts", "due", "observed", "unobserved", "watched_share",
    "looked", "partly", "blind", "not_due", "not_connected", "not_known", "reasons",
)  # fmt: skip
NO_SUCH_DAY = "台账只有从 2000 年到今天的日子 / the ledger has days from 2000 to today only."
# As analysis.watched names its places, in the order of the page.
Kind = Literal["town", "site", "key_risk_area", "camera"]


def router(board: Board) -> APIRouter:
    """`GET /export/ledger.csv?day=YYYY-MM-DD[&kind=…][&town=…][&reason=…]`: a day of the city, a row for each place and hour.

    UTF-8 with a byte order mark; `starts` in the city's zone; an empty cell is not known, never 0. 403 for a role that may
    not export; 422 for a day that is none, or more rows than leave without a reason. On record before a byte leaves.
    """
    routes = APIRouter(route_class=honest_route(board.pool))

    @routes.get("/export/ledger.csv")
    def ledger_file(
        request: Request,
        day: date,
        kind: Kind = "town",
        town: Annotated[Code | None, Query()] = None,
        reason: Annotated[str, Query(max_length=REASON_MAX)] = "",
    ) -> Response:
        caller = current_caller()
        if not caller.may("export"):
            raise Forbidden(NO_RIGHT)
        city = board.city()
        zone = str(city["timezone"]) if city else "Asia/Shanghai"
        now = datetime.now(UTC)
        if not date(2000, 1, 1) <= day <= now.astimezone(ZoneInfo(zone)).date():
            return message(422, NO_SUCH_DAY)
        since, until = span(day.isoformat(), zone)
        asked = {"kind": kind, "since": since, "until": until, "moment": now, "town": town, "place": None}
        with acting(board.pool) as connection:
            file, rows = written(connection, asked, zone)
            if rows > ROWS_WITHOUT_REASON and len(reason.strip()) < REASON_MIN:
                file.close()
                return message(422, REASON_WANTED)
            detail = {
                "scope": caller.scope,
                "areas": list(caller.areas),
                "day": str(day),
                "kind": kind,
                "town": town,
            }
            connection.execute(
                "SELECT access.record_export('ledger', 'csv', %s, %s, %s::inet, %s)",
                (rows, reason.strip() or None, client_ip(request), Jsonb(detail)),
            )
        headers = {
            "Content-Disposition": f'attachment; filename="geoapp-ledger-{kind}-{day}.csv"',
            "Content-Length": str(os.fstat(file.fileno()).st_size),
            "Cache-Control": "private, no-store",
        }
        return StreamingResponse(_parts(file), headers=headers, media_type="text/csv; charset=utf-8")

    return routes


def written(connection: Connection, asked: dict[str, Any], zone: str) -> tuple[BinaryIO, int]:
    """The rows of screens/ledger as CSV in a file without a name, at its beginning, and how many there are.

    Read piece by piece: a day of twenty thousand cameras is half a million rows.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115 - sent, and closed, after this returns
    rows = 0
    file.write(b"\xef\xbb\xbf")
    with connection.cursor(name="ledger_file", row_factory=dict_row) as found:
        found.itersize = 5000
        found.execute(read_sql("screens/ledger").encode(), asked)
        writer = csv.writer(_Utf8(file))
        writer.writerow(COLUMNS)
        for row in found:
            writer.writerow([_cell(row[name], zone) for name in COLUMNS])
            rows += 1
    file.seek(0)
    return file, rows


class _Utf8:
    """What csv.writer writes to, over a file of bytes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        return self._file.write(text.encode())


def _cell(value: Any, zone: str) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and value[:1] in FORMULA_STARTS:
        return f"'{value}"
    return value


def _parts(content: BinaryIO) -> Iterator[bytes]:
    with content:
        while part := content.read(262_144):
            yield part
