"""What people do from the screens, as JSON: each one statement under the caller's role, which decides whether it may.

The gate has checked the CSRF token or the API token before. 403: the role does not do this; 404: no such thing in the
caller's area, whether or not there is one elsewhere; 409: it is not in a state for that; 422: values that do not fit.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

import psycopg
from fastapi import APIRouter, Path
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse, Response
from psycopg import sql
from psycopg.types.json import Jsonb
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from geoapp.access.caller import Pool, acting
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from layers.honest_route import honest_route, message

NOT_THERE = "没有这一项，或不在您的管辖范围内 / There is no such thing, or it is not in your area."
NOT_NOW = "它的状态已经变了，刷新后再看 / It is in another state by now: look again."
WRONG_VALUES = "内容不合要求 / These values cannot be used together."
# A visit may be written down a moment before the server's clock gets there.
CLOCK_SLACK = timedelta(minutes=5)

Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500, pattern=r"^[^\x00]*$")]
Code = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z_.-]{1,40}$")]
UnitCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{12}$")]
Id = Annotated[int, Field(ge=1, le=2**62)]
PathId = Annotated[int, Path(ge=1, le=2**62)]

# What a false alarm was (watch.incident.false_cause).
FalseCause = Literal[
    "steam", "dust", "fog_rain", "reflection", "lamp_sun", "vehicle", "lens", "cooking", "test", "other"
]

# From which states a hazard gets into another. Only verified_closed is closed.
HAZARD_FROM: dict[str, list[str]] = {
    "assigned": ["found"],
    "fixing": ["assigned", "rejected", "submitted"],
    "submitted": ["assigned", "fixing", "rejected"],
    "rejected": ["submitted"],
    "verified_closed": ["submitted"],
}


class Asked(BaseModel):
    """A request's body: nothing that is not named."""

    model_config = ConfigDict(extra="forbid")


class Review(Asked):
    """Somebody has looked at a lead. cause: what a false alarm was, of the short list. was: the review that the page showed, so that two officers do not overrule each other unseen."""

    review: Literal["confirmed", "false", "permitted"]
    reason: Text = ""
    cause: FalseCause | None = None
    was: Literal["unreviewed", "confirmed", "false", "permitted"] | None = None

    @model_validator(mode="after")
    def _false_alarm_has_a_reason(self) -> "Review":
        if self.review == "false" and self.cause in (None, "other") and len(self.reason) < 2:
            raise ValueError("误报须写明理由 / say why it is a false alarm")
        if self.review != "false" and self.cause is not None:
            raise ValueError("只有误报才有误报原因 / only a false alarm has a cause of a false alarm")
        return self


class NewChangeset(Asked):
    """A proposed change of cells; `proposal` is GeoJSON (EPSG:4326)."""

    title: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")
    ]
    reason: Text = ""
    town_code: UnitCode
    proposal: dict[str, Any] | None = None


class ChangesetState(Asked):
    """A planner hands in or takes back; the committee says yes or no."""

    state: Literal["draft", "submitted", "approved", "rejected"]
    review_note: Text = ""


class NewVisit(Asked):
    """A check of a site that was made. done_at: with its zone, not in the future."""

    site_id: Id
    kind: Literal["patrol", "self_check", "remote_check", "admin_inspection"]
    outcome: Literal["ok", "hazard", "unknown"]
    done_at: AwareDatetime

    @model_validator(mode="after")
    def _was_made(self) -> "NewVisit":
        if not datetime(2000, 1, 1, tzinfo=UTC) <= self.done_at <= datetime.now(UTC) + CLOCK_SLACK:
            raise ValueError("检查时间不能在将来 / a check that was made is not in the future")
        return self


class HazardState(Asked):
    """The next state of a hazard, and why."""

    state: Literal["assigned", "fixing", "submitted", "rejected", "verified_closed"]
    reason: Text = ""


class NewAssignment(Asked):
    """A department leads or helps with a place type in a unit, from a day on."""

    rule_code: Code
    unit_code: UnitCode
    department_code: Code
    role: Literal["lead", "co"]
    status: Literal["proposed", "confirmed", "disputed", "designated"] = "proposed"
    person_id: Id | None = None
    valid_from: date
    valid_to: date | None = None
    document_no: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] | None = None
    reason: Text = ""

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "NewAssignment":
        if self.valid_to is not None and self.valid_to <= self.valid_from:
            raise ValueError("终止日期须晚于起始日期 / valid_to comes after valid_from")
        return self


def router(pool: Pool) -> APIRouter:
    """POST routes over the web process's pool. Each answers the row as it is now, 201 where it is new."""
    routes = APIRouter(route_class=honest_route(pool), tags=["actions"])

    @routes.post("/incidents/{incident}/review")
    def review(incident: uuid.UUID, asked: Review) -> Response:
        values = {
            "id": incident,
            "review": asked.review,
            "reason": asked.reason or None,
            "cause": asked.cause,
            "was": asked.was,
        }
        return _done(pool, "reviewed_incident", values, asked.reason, seen="seen_incident")

    @routes.post("/changesets")
    def propose(asked: NewChangeset) -> Response:
        values = asked.model_dump() | {"proposal": None if asked.proposal is None else Jsonb(asked.proposal)}
        return _done(pool, "new_changeset", values, asked.reason, status=201)

    @routes.post("/changesets/{changeset}/state")
    def decide(changeset: PathId, asked: ChangesetState) -> Response:
        values = asked.model_dump() | {"id": changeset}
        is_review = asked.state in ("approved", "rejected")
        return _done(
            pool, "reviewed_changeset" if is_review else "planned_changeset", values, asked.review_note
        )

    @routes.post("/visits")
    def visit(asked: NewVisit) -> Response:
        return _done(pool, "new_visit", asked.model_dump(), "", status=201)

    @routes.post("/hazards/{hazard}/state")
    def hazard_state(hazard: PathId, asked: HazardState) -> Response:
        values = {"id": hazard, "state": asked.state, "from_states": HAZARD_FROM[asked.state]}
        name = "closed_hazard" if asked.state == "verified_closed" else "moved_hazard"
        return _done(pool, name, values, asked.reason, seen="seen_hazard")

    @routes.post("/assignments")
    def assign(asked: NewAssignment) -> Response:
        return _done(pool, "new_assignment", asked.model_dump(), asked.reason, status=201)

    return routes


def _done(
    pool: Pool,
    name: str,
    values: Mapping[str, Any],
    reason: str,
    *,
    seen: str | None = None,
    status: int = 200,
) -> Response:
    """Runs `sql/actions/<name>.sql` in one transaction whose audit carries the reason, and answers its row.

    seen: the query that tells a thing in another state from one that is not there.
    """
    try:
        with acting(pool) as connection:
            # Read by the audit's trigger, for this transaction only.
            connection.execute(sql.SQL("SET LOCAL geoapp.reason = {}").format(sql.Literal(reason)))
            row = connection.execute(read_sql(f"actions/{name}").encode(), values).fetchone()
            if row is None:
                if seen and connection.execute(read_sql(f"actions/{seen}").encode(), values).fetchone():
                    return message(409, NOT_NOW)
                raise Refused(NOT_THERE)
            # What is checked at the end of the transaction is refused here, not as a fault of the server.
            connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.errors.CheckViolation:
        return message(409, NOT_NOW)
    except psycopg.errors.UniqueViolation:
        return message(409, "已有相同的一项 / There is the same already.")
    except (psycopg.errors.ForeignKeyViolation, psycopg.errors.DataError):
        return message(422, WRONG_VALUES)
    return JSONResponse(jsonable_encoder(row), status_code=status)
