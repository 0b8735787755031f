"""What the page of telling asks for: add and change receivers, try them, pause, remove, tell once more.

Everything is done under the admin's own database role by the functions of `geoapp tell`; what the page hides, the database
refuses. No secret is read: a test is sent by the teller, which opens them.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import psycopg
from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse
from pydantic import SecretStr, ValidationError
from starlette.concurrency import run_in_threadpool

from dashboards import forms
from dashboards.board import Board
from dashboards.forms import Sent
from dashboards.own_account import Id
from dashboards.telling_form import COOLDOWN_MOST_S, PER_MINUTE_MOST, seen
from dashboards.texts import t
from geoapp.access.account_changes import give_reason
from geoapp.access.caller import NO_RIGHT, Connection, Forbidden, acting, current_caller
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from geoapp.watch.telling.receiver import SECRETS
from geoapp.watch.telling.register import (
    Asked,
    add_receiver,
    ask_test,
    change_receiver,
    pause_receiver,
    remove_receiver,
    resume_receiver,
    tell_again,
)
from layers.honest_route import honest_route

AGAIN = timedelta(days=1)
REASON_MOST = 200
# What a person asks for with a reason: something ends, or other people are told.
WITH_REASON = ("pause", "remove")
_SEPARATORS = re.compile(r"[,;，；、\s]+")
_QUIET = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")
Name = Annotated[str, Path(pattern=r"^[a-z0-9][a-z0-9_.-]{0,39}$")]


def router(board: Board) -> APIRouter:
    """`POST /telling/add`, `/telling/{name}/change|test|pause|resume|remove|again`, `/telling/deliveries/{id}/again`: forms,
    answered in JSON.

    403 for whoever keeps no receivers; 404: no such receiver or message; 409: refused with its reason; 422: {"problems":
    {field: text}}. Secrets that are sent are sealed and in no answer.
    """
    routes = APIRouter(route_class=honest_route(board.pool))

    @routes.post("/telling/add")
    async def add(request: Request) -> JSONResponse:
        sent = await Sent.of(request)
        return await run_in_threadpool(_answered, lambda: added(board, sent))

    @routes.post("/telling/deliveries/{delivery}/again")
    async def again(delivery: Id) -> JSONResponse:
        return await run_in_threadpool(_answered, lambda: told_again(board, delivery))

    @routes.post("/telling/{name}/change")
    async def change(name: Name, request: Request) -> JSONResponse:
        sent = await Sent.of(request)
        return await run_in_threadpool(_answered, lambda: changed(board, name, sent))

    @routes.post("/telling/{name}/{action}")
    async def act(name: Name, action: str, request: Request) -> JSONResponse:
        sent = await Sent.of(request)
        return await run_in_threadpool(_answered, lambda: done(board, name, action, sent))

    return routes


def added(board: Board, sent: Sent) -> JSONResponse:
    """Adds a receiver; it is told of what happens from now on."""
    _require_admin()
    asked, wrong = read(sent)
    if asked is None or wrong:
        return forms.problems(wrong)
    with acting(board.pool) as connection:
        give_reason(connection, sent.text("reason")[:REASON_MOST])
        add_receiver(connection, asked, secrets(sent, asked.kind), at=_now(), by=None)
    return forms.done()


def changed(board: Board, name: str, sent: Sent) -> JSONResponse:
    """Gives a receiver what was sent, unless somebody changed it since the page was made. Empty secrets stay as they are."""
    _require_admin()
    asked, wrong = read(sent)
    if asked is None or wrong:
        return forms.problems(wrong)
    if asked.name != name:
        return forms.problems({"name": t("telling.name_stays", sent.lang)})
    with acting(board.pool) as connection:
        give_reason(connection, sent.text("reason")[:REASON_MOST])
        connection.execute(
            "SELECT FROM watch.receiver WHERE name = %s AND removed_at IS NULL FOR UPDATE", (name,)
        )
        rows = connection.execute(read_sql("screens/receivers").encode(), {"at": _now()}).fetchall()
        held = next((r for r in rows if r["receiver"] == name), None)
        if held is None:
            return forms.refused(t("telling.no_such", sent.lang), 404)
        if seen(held) != sent.text("seen"):
            return forms.refused(t("telling.changed_since", sent.lang))
        given = secrets(sent, asked.kind)
        change_receiver(connection, asked, given, held=held["secrets"], at=_now(), by=None)
    return forms.done()


def done(board: Board, name: str, action: str, sent: Sent) -> JSONResponse:
    """One deed about one receiver."""
    _require_admin()
    acts: dict[str, Callable[[Connection], Any]] = {
        "test": lambda c: ask_test(c, name, at=_now()),
        "pause": lambda c: pause_receiver(c, name, at=_now(), by=None),
        "resume": lambda c: resume_receiver(c, name, at=_now()),
        "remove": lambda c: remove_receiver(c, name, at=_now(), by=None),
        "again": lambda c: tell_again(c, name, since=_now() - AGAIN, at=_now()),
    }
    if action not in acts:
        return forms.refused(t("telling.no_such", sent.lang), 404)
    if action in WITH_REASON and not sent.text("reason"):
        return forms.problems({"reason": t("access.reason_missing", sent.lang)})
    with acting(board.pool) as connection:
        row = connection.execute(
            "SELECT id FROM watch.receiver WHERE name = %s AND removed_at IS NULL", (name,)
        ).fetchone()
        if row is None:
            return forms.refused(t("telling.no_such", sent.lang), 404)
        give_reason(connection, sent.text("reason")[:REASON_MOST])
        result = acts[action](connection)
        # Messages are no rows that are watched: that somebody asked for them is written by name.
        if action == "test":
            _record(connection, "receiver_tested", row["id"], name, 1)
        elif action == "again":
            _record(connection, "told_again", row["id"], name, result)
    return forms.done()


def told_again(board: Board, delivery: int) -> JSONResponse:
    """One message that was refused or given up, once more, with the same key."""
    _require_admin()
    with acting(board.pool) as connection:
        row = connection.execute(
            "SELECT r.id, r.name FROM watch.delivery AS d JOIN watch.receiver AS r ON r.id = d.receiver_id"
            " WHERE d.id = %s AND r.removed_at IS NULL",
            (delivery,),
        ).fetchone()
        if row is None:
            return forms.refused(
                "没有这条消息，或接收方已删除 / no such message, or its receiver was removed.", 404
            )
        long_ago = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
        count = tell_again(connection, row["name"], since=long_ago, at=_now(), ids=[delivery])
        if not count:
            return forms.refused(
                "这条消息不在被拒收或放弃之列 / this message was neither refused nor given up."
            )
        _record(connection, "told_again", row["id"], row["name"], count)
    return forms.done()


def read(sent: Sent) -> tuple[Asked | None, dict[str, str]]:
    """What the form asks for, or what is wrong with it by field. A secret's value is in no message."""
    lang = sent.lang
    wrong: dict[str, str] = {}
    if not sent.text("reason"):
        wrong["reason"] = t("access.reason_missing", lang)
    if not sent.several("topics"):
        wrong["topics"] = t("telling.topics_missing", lang)

    def real(name: str, most: float) -> float:
        try:
            value = float(sent.text(name))
        except ValueError:
            value = -1.0
        if not 0 <= value <= most:
            wrong[name] = t("telling.number_bad", lang, most=f"{most:g}")
            return 0.0
        return value

    quiet_from, quiet_to = None, None
    if sent.text("quiet"):
        begins, _, ends = (
            sent.text("quiet").replace("：", ":").replace("–", "-").replace("—", "-").partition("-")
        )
        quiet_from, quiet_to = begins.strip(), ends.strip()
        if not (_QUIET.fullmatch(quiet_from) and _QUIET.fullmatch(quiet_to)):
            wrong["quiet"] = t("telling.quiet_bad", lang)
    given = {
        "name": sent.text("name"),
        "kind": sent.text("kind"),
        "address": sent.text("address")[:500],
        "recipients": tuple(part for part in _SEPARATORS.split(sent.text("recipients")) if part),
        "sender": sent.text("sender") or None,
        "language": sent.text("language") or "zh",
        "topics": tuple(sent.several("topics")),
        "classes": tuple(sent.several("classes")) or None,
        "transitions": tuple(sent.several("transitions")) or None,
        "towns": tuple(sent.several("towns")) or None,
        "min_score": real("min_score", 1),
        "only_confirmed": sent.text("only_confirmed") != "",
        "cooldown_s": real("cooldown_s", COOLDOWN_MOST_S),
        "quiet_from": None if "quiet" in wrong else quiet_from,
        "quiet_to": None if "quiet" in wrong else quiet_to,
        "quiet_passes": tuple(sent.several("quiet_passes")),
        "per_minute": round(real("per_minute", PER_MINUTE_MOST)) or None,
        "give_up_after_s": real("give_up_h", 168) * 3600 or 1.0,
    }
    if sent.text("give_up_h") and "give_up_h" not in wrong and float(sent.text("give_up_h")) <= 0:
        wrong["give_up_h"] = t("telling.number_bad", lang, most="168")
    try:
        asked = Asked.model_validate(given)
    except ValidationError as fault:
        for error in fault.errors(include_input=False, include_url=False):
            name = str(error["loc"][0]) if error["loc"] else "address"
            wrong.setdefault(name, error["msg"].removeprefix("Value error, "))
        return None, wrong
    return asked, wrong


def secrets(sent: Sent, kind: str) -> dict[str, SecretStr]:
    """The secrets that were typed; an empty field is none."""
    return {name: SecretStr(sent.secret(name)) for name in SECRETS[kind] if sent.secret(name)}


def _record(connection: Connection, action: str, receiver: int, name: str, count: int) -> None:
    connection.execute(
        "SELECT access.record(%s, 'watch.receiver', %s, NULL, nullif(current_setting('geoapp.reason', true), ''),"
        " jsonb_build_object('name', %s::text, 'messages', %s::integer))",
        (action, str(receiver), name, count),
    )


def _require_admin() -> None:
    """Raises Forbidden for whoever keeps no receivers: the database would say so too, later and less clearly."""
    if not current_caller().may("keep_receivers"):
        raise Forbidden(NO_RIGHT)


def _now() -> datetime:
    return datetime.now(UTC)


def _answered(act: Callable[[], JSONResponse]) -> JSONResponse:
    try:
        return act()
    except Forbidden:
        raise
    except psycopg.errors.CheckViolation:
        return forms.refused("内容不合要求 / these values cannot be used together.")
    except Refused as refusal:
        return forms.refused(str(refusal))
