"""What the page of accounts asks for: add, change, disable, reset, end sessions; tokens; the search of sites.

Everything is done under the admin's own database role; what the page hides, the database refuses.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from dash import Dash, Input, Output, State, no_update
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from psycopg_pool import PoolTimeout
from starlette.concurrency import run_in_threadpool

from dashboards import forms
from dashboards.accounts_page import ACTIONS, seen
from dashboards.board import Board, Row
from dashboards.forms import Sent
from dashboards.own_account import Id
from dashboards.search import wanted
from dashboards.texts import t
from geoapp.access import account_changes
from geoapp.access.account_changes import NoSuchAccount
from geoapp.access.accounts import LOGIN, add_account
from geoapp.access.caller import NO_RIGHT, Connection, Forbidden, acting, current_caller
from geoapp.access.passwords import hash_password, one_time_password
from geoapp.access.sign_in import reset_password
from geoapp.access.tokens import LONGEST, make_token, revoke_tokens
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from layers.honest_route import honest_route


def register(app: Dash, board: Board) -> None:
    """Callbacks of the page: sites are searched, there are too many to list."""

    def find(typed: str | None, chosen: list[str] | None, held: list[dict[str, str]]) -> Any:
        if not typed or not typed.strip():
            return no_update
        try:
            with acting(board.pool) as connection:
                _require_admin()
                rows = connection.execute(
                    read_sql("screens/account_sites").encode(), wanted(typed)
                ).fetchall()
        except (psycopg.Error, PoolTimeout, Forbidden):
            return no_update
        kept = [option for option in held or [] if option["value"] in (chosen or [])]
        known = {option["value"] for option in kept}
        return kept + [
            {"value": str(r["id"]), "label": f"{r['name_zh']}　{r['code']}"}
            for r in rows
            if str(r["id"]) not in known
        ]

    for choice in ("site-choice", "edit-site-choice"):
        app.callback(
            Output(choice, "data"),
            Input(choice, "searchValue"),
            State(choice, "value"),
            State(choice, "data"),
            prevent_initial_call=True,
        )(find)


def router(board: Board) -> APIRouter:
    """`POST /accounts/add`, `/accounts/{id}/change|token|disable|enable|reset-password|end-sessions` and
    `/accounts/tokens/{id}/revoke`: forms, answered in JSON.

    403 for whoever keeps no accounts; 404: no such account; 409: refused with its reason; 422: {"problems": {field: text}}.
    The answers of add, reset-password and token hold the one-time password or the token as `once`; it is kept nowhere.
    """
    routes = APIRouter(route_class=honest_route(board.pool))

    @routes.post("/accounts/add")
    async def add(request: Request) -> JSONResponse:
        sent = await Sent.of(request)
        return await run_in_threadpool(_answered, lambda: added(board, sent))

    @routes.post("/accounts/tokens/{token}/revoke")
    async def revoke(token: Id, request: Request) -> JSONResponse:
        sent = await Sent.of(request)
        return await run_in_threadpool(_answered, lambda: revoked(board, token, sent))

    @routes.post("/accounts/{account}/change")
    async def edit(account: Id, request: Request) -> JSONResponse:
        sent = await Sent.of(request)
        return await run_in_threadpool(_answered, lambda: edited(board, account, sent))

    @routes.post("/accounts/{account}/token")
    async def issue(account: Id, request: Request) -> JSONResponse:
        sent = await Sent.of(request)
        return await run_in_threadpool(_answered, lambda: issued(board, account, sent))

    @routes.post("/accounts/{account}/{action}")
    async def change(account: Id, action: str, request: Request) -> JSONResponse:
        sent = await Sent.of(request)
        return await run_in_threadpool(_answered, lambda: changed(board, account, action, sent))

    return routes


def added(board: Board, sent: Sent) -> JSONResponse:
    """Adds an account with a one-time password, which is in the answer and nowhere else."""
    _require_admin()
    lang = sent.lang
    login, name_zh, roles = sent.text("login"), sent.text("name_zh"), sent.several("roles")
    wrong = {}
    if not LOGIN.fullmatch(login):
        wrong["login"] = t("account.login_bad", lang)
    if not name_zh:
        wrong["name_zh"] = t("account.name_missing", lang)
    if not roles:
        wrong["roles"] = t("account.roles_missing", lang)
    if not sent.text("reason"):
        wrong["reason"] = t("access.reason_missing", lang)
    if wrong:
        return forms.problems(wrong)
    with acting(board.pool) as connection:
        taken = connection.execute("SELECT FROM access.account WHERE login = %s", (login,)).fetchone()
        if taken is not None:
            return forms.problems({"login": t("account.login_taken", lang)})
        account_changes.give_reason(connection, sent.text("reason")[:200])
        once = one_time_password()
        add_account(
            connection,
            login,
            name_zh[:60],
            roles,
            areas=sent.several("areas"),
            sites=_sites(sent),
            password_hash=hash_password(once),
            must_change_password=True,
            at=datetime.now(UTC),
        )
    return forms.done(once=once)


def _sites(sent: Sent) -> list[int]:
    return [
        int(part) for part in sent.several("sites") if part.isascii() and part.isdigit() and len(part) < 19
    ]


def edited(board: Board, account: int, sent: Sent) -> JSONResponse:
    """Gives an account the names, roles, area or sites that were sent, unless somebody changed it since the page was made."""
    _require_admin()
    lang = sent.lang
    wrong = {}
    if not sent.text("name_zh"):
        wrong["name_zh"] = t("account.name_missing", lang)
    if not sent.several("roles"):
        wrong["roles"] = t("account.roles_missing", lang)
    if not sent.text("reason"):
        wrong["reason"] = t("access.reason_missing", lang)
    if wrong:
        return forms.problems(wrong)
    with acting(board.pool) as connection:
        account_changes.give_reason(connection, sent.text("reason")[:200])
        if seen(_held(connection, account)) != sent.text("seen"):
            return forms.refused(t("account.changed_since", lang))
        account_changes.change_account(
            connection,
            account,
            name_zh=sent.text("name_zh")[:60],
            name_en=sent.text("name_en")[:60],
            roles=sent.several("roles"),
            areas=sent.several("areas"),
            sites=_sites(sent),
            oidc_subject=sent.text("oidc_subject")[:200],
        )
    return forms.done()


def issued(board: Board, account: int, sent: Sent) -> JSONResponse:
    """Makes an API token for an account; its text is in the answer and nowhere else."""
    _require_admin()
    lang, now = sent.lang, datetime.now(UTC)
    days = sent.text("days")
    wrong = {}
    if not sent.text("name"):
        wrong["name"] = t("account.token_name_missing", lang)
    if not sent.several("scopes"):
        wrong["scopes"] = t("account.scopes_missing", lang)
    if not (days.isascii() and days.isdigit() and len(days) < 5 and 1 <= int(days) <= LONGEST.days):
        wrong["days"] = t("account.days_bad", lang, most=LONGEST.days)
    if not sent.text("reason"):
        wrong["reason"] = t("access.reason_missing", lang)
    if wrong:
        return forms.problems(wrong)
    with acting(board.pool) as connection:
        if _held(connection, account)["disabled_at"] is not None:
            return forms.refused(t("account.is_disabled", lang))
        account_changes.give_reason(connection, sent.text("reason")[:200])
        once = make_token(
            connection,
            account,
            sent.text("name"),
            list(dict.fromkeys(sent.several("scopes"))),
            at=now,
            expires_at=now + timedelta(days=int(days)),
        )
    return forms.done(once=once)


def revoked(board: Board, token: int, sent: Sent) -> JSONResponse:
    """Revokes a token of any account."""
    _require_admin()
    if not sent.text("reason"):
        return forms.problems({"reason": t("access.reason_missing", sent.lang)})
    with acting(board.pool) as connection:
        account_changes.give_reason(connection, sent.text("reason")[:200])
        found = connection.execute(
            "SELECT account_id FROM access.token WHERE id = %s AND revoked_at IS NULL", (token,)
        ).fetchone()
        if found is None:
            raise NoSuchAccount
        revoke_tokens(connection, found["account_id"], datetime.now(UTC), token_id=token)
    return forms.done()


def _held(connection: Connection, account: int) -> Row:
    """The account as it is, locked for the rest of the transaction. Raises NoSuchAccount."""
    found = connection.execute(read_sql("screens/account_held").encode(), {"account": account}).fetchone()
    if found is None:
        raise NoSuchAccount
    return found


def changed(board: Board, account: int, action: str, sent: Sent) -> JSONResponse:
    """One of ACTIONS done to an account."""
    _require_admin()
    lang = sent.lang
    if action not in ACTIONS:
        raise NoSuchAccount
    if not sent.text("reason"):
        return forms.problems({"reason": t("access.reason_missing", lang)})
    if account == current_caller().account_id:
        return forms.refused(t("account.not_own", lang))
    reason, now = sent.text("reason")[:200], datetime.now(UTC)
    with acting(board.pool) as connection:
        account_changes.give_reason(connection, reason)
        acts: dict[str, Callable[[Connection], Any]] = {
            "disable": lambda c: account_changes.disable(c, account, now),
            "enable": lambda c: account_changes.enable(c, account),
            "end-sessions": lambda c: account_changes.end_sessions(c, account, now, reason),
            "reset-password": lambda c: reset_password(c, account, at=now),
        }
        result = acts[action](connection)
    return forms.done(once=result) if action == "reset-password" else forms.done()


def _require_admin() -> None:
    """Raises Forbidden for whoever keeps no accounts: the database would say so too, later and less clearly."""
    if not current_caller().may("manage_accounts"):
        raise Forbidden(NO_RIGHT)


def _answered(act: Callable[[], JSONResponse]) -> JSONResponse:
    try:
        return act()
    except NoSuchAccount as refusal:
        return forms.refused(str(refusal), 404)
    except Forbidden:
        raise
    except Refused as refusal:
        return forms.refused(str(refusal))
