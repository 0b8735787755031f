"""What the review desk asks for and sends: the queue, one lead, who has it in hand, assignments, handovers.

Everything is done under the officer's own database role; what the page hides, the database refuses.
"""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import psycopg
from fastapi import APIRouter, Query
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse, Response
from psycopg import sql
from pydantic import AwareDatetime, StringConstraints, model_validator

from dashboards import review_desk_lead, review_desk_shift
from dashboards.actions import NOT_THERE, WRONG_VALUES, Asked, Code, Id, PathId, Text
from dashboards.board import Board
from dashboards.review_desk import is_for
from dashboards.texts import Language
from geoapp.access.caller import NO_RIGHT, Connection, Forbidden, acting, current_caller
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from layers.honest_route import honest_route, message

# How long a lead stays in hand without a sign of life of its page, seconds; pages renew after half of it.
HELD_S = 90
QUEUE_MOST = 500
TAKEN = "这条线索正由同事核实 / a colleague has this lead in hand."
NO_SHIFT = "班次的起点须早于现在，且不早于 7 天前 / a shift begins before now, and at most 7 days ago."
LONGEST_SHIFT = timedelta(days=7)

Lang = Annotated[Language, Query()]
Note = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000, pattern=r"^[^\x00]*$")
]


class Hold(Asked):
    """A lead taken in hand, or let go of."""

    release: bool = False


class Assign(Asked):
    """A lead given to a department, a person or both."""

    department_code: Code | None = None
    person_id: Id | None = None
    note: Text = ""

    @model_validator(mode="after")
    def _to_somebody(self) -> "Assign":
        if self.department_code is None and self.person_id is None:
            raise ValueError("请选择部门或人员 / choose a department or a person")
        return self


class NewHandover(Asked):
    """What a shift hands over. shift_from: with its zone."""

    note: Note
    shift_from: AwareDatetime


def router(board: Board) -> APIRouter:
    """`GET /review/queue.json`, `/review/lead/{id}.json`, `/review/lead/{id}/recipients.json`, `/review/shift.json`;
    `POST /incidents/{id}/hold`, `/incidents/{id}/assign`, `/review/handovers`, `/review/handovers/{id}/receipt`.

    403: the role does not do this; 404: nothing of that name in the caller's area; 409: a colleague has it in hand;
    422: values that do not fit. `lang` is zh or en. What is written is in the audit, and open desks hear of it.
    """
    routes = APIRouter(route_class=honest_route(board.pool), tags=["review"])

    @routes.get("/review/queue.json")
    def queue(lang: Lang = "zh") -> Response:
        _require_look()
        return _json(review_desk_lead.queue(board, lang, _now(), QUEUE_MOST))

    @routes.get("/review/lead/{incident}.json")
    def lead(incident: uuid.UUID, lang: Lang = "zh") -> Response:
        _require_look()
        found = review_desk_lead.lead(board, incident, lang, _now())
        if found is None:
            raise Refused(NOT_THERE)
        return _json(found)

    @routes.get("/review/lead/{incident}/recipients.json")
    def recipients(incident: uuid.UUID) -> Response:
        _require_look()
        return _json({"recipients": board.rows("review_recipients", id=incident)})

    @routes.get("/review/shift.json")
    def shift(lang: Lang = "zh", since: AwareDatetime | None = None) -> Response:
        _require_look()
        return _json(review_desk_shift.shift(board, lang, _now(), since))

    @routes.post("/incidents/{incident}/hold")
    def hold(incident: uuid.UUID, asked: Hold) -> Response:
        return held(board, incident, asked)

    @routes.post("/incidents/{incident}/assign")
    def assign(incident: uuid.UUID, asked: Assign) -> Response:
        return _written(board, "assigned_incident", asked.model_dump() | {"id": incident}, asked.note)

    @routes.post("/review/handovers")
    def hand_over(asked: NewHandover) -> Response:
        now = _now()
        if not now - LONGEST_SHIFT <= asked.shift_from < now:
            return message(422, NO_SHIFT)
        return _written(board, "new_handover", asked.model_dump(), "")

    @routes.post("/review/handovers/{handover}/receipt")
    def receive(handover: PathId) -> Response:
        try:
            return _written(board, "received_handover", {"id": handover}, "")
        except psycopg.errors.UniqueViolation:
            return _json({"handover_id": handover})  # received already: that is what was wanted

    return routes


def held(board: Board, incident: uuid.UUID, asked: Hold) -> Response:
    """Takes a lead in hand for HELD_S seconds, or lets go of it. 409 while a colleague has it."""
    name = "left_incident" if asked.release else "held_incident"
    with acting(board.pool) as connection:
        row = _one(connection, name, {"id": incident, "seconds": HELD_S})
        if row is None and not asked.release:
            if _one(connection, "seen_incident", {"id": incident}) is None:
                raise Refused(NOT_THERE)
            return message(409, TAKEN)
    return _json({"held": not asked.release})


def _written(board: Board, name: str, values: dict[str, Any], reason: str) -> Response:
    """201 with the new row; its audit carries the reason. Raises Refused where the caller sees no such thing."""
    try:
        with acting(board.pool) as connection:
            connection.execute(sql.SQL("SET LOCAL geoapp.reason = {}").format(sql.Literal(reason)))
            row = _one(connection, name, values)
            if row is None:
                raise Refused(NOT_THERE)
    except (psycopg.errors.ForeignKeyViolation, psycopg.errors.CheckViolation):
        return message(422, WRONG_VALUES)
    return _json(row, 201)


def _one(connection: Connection, name: str, values: dict[str, Any]) -> dict[str, Any] | None:
    return connection.execute(read_sql(f"actions/{name}").encode(), values).fetchone()


def _require_look() -> None:
    """Raises Forbidden for whoever the desk is not for."""
    if not is_for(current_caller()):
        raise Forbidden(NO_RIGHT)


def _now() -> datetime:
    return datetime.now(UTC)


def _json(found: Any, status: int = 200) -> JSONResponse:
    return JSONResponse(jsonable_encoder(found), status, {"Cache-Control": "no-store"})
