"""The own account: role and area, password, sign-ins, tokens. Whose password was set by an admin sees the first part alone."""

import uuid
from datetime import UTC, datetime
from html import escape
from typing import Annotated, Any

from dash import html
from fastapi import APIRouter, Path, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from dashboards import forms, shell
from dashboards.board import Board, Row, clock
from dashboards.forms import Sent
from dashboards.state import ViewState
from dashboards.texts import Language, t, word
from geoapp.access.account_changes import NoSuchAccount, end_own_session, revoke_own_token
from geoapp.access.caller import Caller, acting, current_caller
from geoapp.access.passwords import LONG, SHORTEST, PasswordRefused, TooBusy
from geoapp.access.sign_in import MustWait, WrongPassword, change_password
from geoapp.database.sql_files import read_sql
from layers.honest_route import client_ip, honest_route

Id = Annotated[int, Path(ge=1, le=2**63 - 1)]


def layout(state: ViewState, board: Board) -> html.Div:
    """The page."""
    lang, caller, now = state.lang, current_caller(), datetime.now(UTC)
    city = board.city()
    zone = str(city["timezone"]) if city else "Asia/Shanghai"
    of_now = {"account": caller.account_id, "at": now}
    with acting(board.pool) as connection:
        account = connection.execute(
            "SELECT password_set_at FROM access.account WHERE id = %(account)s", of_now
        ).fetchone()
        sessions = connection.execute(read_sql("screens/account_sessions").encode(), of_now).fetchall()
        tokens = connection.execute(read_sql("screens/account_tokens").encode(), of_now).fetchall()
    set_at = account["password_set_at"] if account else None
    body = html.Main(
        [
            html.H1(t("account.title", lang)),
            html.P(t("account.lead", lang), className="lead"),
            html.Div(
                [
                    _card(t("account.who", lang), _facts(caller, city, set_at, lang, zone)),
                    _card(t("account.password", lang), _password(caller, set_at, lang)),
                ],
                className="card-pair",
            ),
            html.H2(t("account.sessions", lang)),
            html.P(t("account.sessions_lead", lang), className="lead"),
            html.Div(session_table(sessions, caller, lang, zone), className="table-card"),
            html.H2(t("account.tokens", lang)),
            html.Div(token_table(tokens, lang, zone), className="table-card"),
            forms.dialog(
                "end-session",
                t("account.end", lang),
                t("account.end_ask", lang),
                forms.form([], "", lang, t("account.end", lang), danger=True, in_dialog=True),
                with_who=True,
            ),
            forms.dialog(
                "revoke-token",
                t("account.revoke", lang),
                t("account.revoke_ask", lang),
                forms.form([], "", lang, t("account.revoke", lang), danger=True, in_dialog=True),
                with_who=True,
            ),
        ],
        className="table-page account-page",
    )
    return shell.frame(state, "/account", city, [body])


def _card(title: str, content: Any) -> html.Section:
    return html.Section([html.H2(title), content], className="card panel")


def _facts(caller: Caller, city: Row | None, set_at: datetime | None, lang: Language, zone: str) -> html.Dl:
    name = (caller.name_en if lang == "en" else "") or caller.name_zh
    pairs = [
        ("account.name", name),
        ("account.login", caller.login),
        ("account.roles", shell.role_words(caller, lang)),
        ("account.area", shell.area_words(caller, city, lang, longest=12)),
    ]
    if set_at is not None:
        pairs.append(("account.password_set", clock(set_at, zone)))
    return html.Dl(
        [part for key, value in pairs for part in (html.Dt(t(key, lang)), html.Dd(value))], className="facts"
    )


def _password(caller: Caller, set_at: datetime | None, lang: Language) -> Any:
    if caller.is_demo:
        return html.P(t("account.demo_password", lang), className="quiet")
    if set_at is None:
        return html.P(t("account.no_password", lang), className="quiet")
    return forms.form(
        [
            forms.password("old", t("account.old", lang), "current-password"),
            html.P(rules(lang), className="rules", id="password-rules"),
            forms.password("new", t("account.new", lang), "new-password"),
            forms.password("again", t("account.again", lang), "new-password"),
        ],
        "/account/password",
        lang,
        t("account.change", lang),
    )


def rules(lang: Language) -> str:
    """The rules for passwords, before one is typed."""
    return t("account.rules", lang, short=SHORTEST, long=LONG)


def session_table(rows: list[Row], caller: Caller, lang: Language, zone: str) -> html.Table:
    """The newest sign-ins; open ones, but not this one, can be ended."""
    columns = ("at", "method", "ip", "browser", "state", "actions")
    body = []
    for r in rows:
        is_this = str(r["id"]) == caller.session_id
        state = t("account.this_one", lang) if is_this else t("account.open", lang)
        if not r["is_open"]:
            state = t("account.ended_why", lang, at=clock(r["ended_at"] or r["until"], zone))
        end: Any = "—"
        if r["is_open"] and not is_this:
            end = forms.opener(
                t("account.end", lang),
                "end-session",
                action=f"/account/sessions/{r['id']}/end",
                who=f"{clock(r['created_at'], zone)} · {r['ip'] or '—'}",
            )
        values = [
            clock(r["created_at"], zone),
            word("sign_in_method", r["method"], lang),
            r["ip"] or "—",
            browser_words(r["user_agent"]),
            html.Span(state, className="tag seen" if r["is_open"] else "tag"),
            end,
        ]
        body.append(row([t(f"account.{c}", lang) for c in columns], values))
    return table([t(f"account.{c}", lang) for c in columns], body)


def token_table(rows: list[Row], lang: Language, zone: str) -> Any:
    """The account's tokens; those that still hold can be revoked."""
    if not rows:
        return html.P(t("account.no_tokens", lang), className="empty")
    names = [t(f"account.{c}", lang) for c in ("token_name", "scopes", "until", "last_used", "actions")]
    body = []
    for r in rows:
        if r["is_open"]:
            last: Any = forms.opener(
                t("account.revoke", lang),
                "revoke-token",
                action=f"/account/tokens/{r['id']}/revoke",
                who=r["name"],
            )
        else:
            last = html.Span(
                t("account.revoked" if r["revoked_at"] else "account.expired", lang), className="tag"
            )
        may = " · ".join(word("token_scope", s, lang) for s in r["scopes"])
        used = clock(r["last_used_at"], zone) if r["last_used_at"] else t("account.never", lang)
        body.append(row(names, [r["name"], may, clock(r["expires_at"], zone), used, last]))
    return table(names, body)


def table(names: list[str], body: list[html.Tr]) -> html.Table:
    """A table whose rows become cards on a phone."""
    head = html.Thead(html.Tr([html.Th(name, scope="col") for name in names]))
    return html.Table([head, html.Tbody(body)], className="plain-table stacking")


def row(names: list[str], values: list[Any], **more: Any) -> html.Tr:
    """A row of such a table: each cell knows its column's name."""
    return html.Tr(
        [
            html.Td(html.Div(value), **shell.data(name=name))
            for name, value in zip(names, values, strict=True)
        ],
        **more,
    )


def browser_words(user_agent: str | None) -> str:
    """Browser and system out of a User-Agent, as far as they can be told."""
    agent = user_agent or ""
    browsers = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
    systems = (
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    )
    found = [next((name for mark, name in marks if mark in agent), "") for marks in (browsers, systems)]
    return " · ".join(filter(None, found)) or (agent[:40] or "—")


def must_change_page(lang: Language, csrf: str) -> str:
    """A page by itself, without Dash, for whoever has to change the password before anything else (HTML)."""
    caller = current_caller()
    words = {
        key: escape(t(f"account.{key}", lang))
        for key in ("old", "new", "again", "change", "must_change", "password")
    }

    def box(name: str, label: str, purpose: str) -> str:
        return (
            f'<div class="field"><label for="{name}">{label}</label>'
            f'<input id="{name}" name="{name}" type="password" autocomplete="{purpose}" required>'
            f'<p class="problem" role="alert" data-problem="{name}" hidden></p></div>'
        )

    return (
        f'<!doctype html><html lang="{"en" if lang == "en" else "zh-CN"}"><head><meta charset="utf-8">'
        f"<title>{words['password']} · GeoApp</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        '<link rel="stylesheet" href="/assets/app.css"><script src="/assets/00_theme.js"></script>'
        '<script src="/assets/70_forms.js" defer></script></head><body class="alone"><main class="card panel">'
        f'<p class="alone-brand"><span class="mark" aria-hidden="true"></span><b>GeoApp</b></p>'
        f"<h1>{words['password']}</h1><p>{escape(caller.name_zh)} · {escape(caller.login)}</p>"
        f'<p class="lead-note inner">{words["must_change"]}</p>'
        f'<form class="form" action="/account/password" method="post" data-ask="1" novalidate data-failed="{escape(t("access.failed", lang))}">'
        f'<input type="hidden" name="csrf" value="{escape(csrf)}"><div class="fields">'
        f"{box('old', words['old'], 'current-password')}"
        f'<p class="rules">{escape(rules(lang))}</p>'
        f"{box('new', words['new'], 'new-password')}{box('again', words['again'], 'new-password')}</div>"
        '<p class="message" role="alert" data-message="1" hidden></p>'
        f'<div class="buttons"><button type="submit" class="primary">{words["change"]}</button></div></form>'
        '<form action="/signout" method="post" data-csrf="1">'
        f'<input type="hidden" name="csrf" value="{escape(csrf)}">'
        f'<button type="submit" class="link">{escape(t("access.sign_out", lang))}</button></form></main></body></html>'
    )


def router(board: Board) -> APIRouter:
    """`POST /account/password`, `/account/sessions/{id}/end`, `/account/tokens/{id}/revoke`: forms, answered in JSON.

    422: {"problems": {field: text}}; 404: not the caller's own, or not there; 409: refused with a reason.
    """
    routes = APIRouter(route_class=honest_route(board.pool))

    @routes.post("/account/password")
    async def change(request: Request) -> JSONResponse:
        sent = await Sent.of(request)
        return await run_in_threadpool(changed_password, board, sent, client_ip(request))

    @routes.post("/account/sessions/{session}/end")
    async def end(session: uuid.UUID) -> JSONResponse:
        def act() -> JSONResponse:
            with acting(board.pool) as connection:
                end_own_session(connection, current_caller().account_id, str(session), datetime.now(UTC))
            return forms.done()

        return await _answered(act)

    @routes.post("/account/tokens/{token}/revoke")
    async def revoke(token: Id) -> JSONResponse:
        def act() -> JSONResponse:
            with acting(board.pool) as connection:
                revoke_own_token(connection, current_caller().account_id, token, datetime.now(UTC))
            return forms.done()

        return await _answered(act)

    return routes


def changed_password(board: Board, sent: Sent, ip: str | None) -> JSONResponse:
    """Changes the caller's password; what is wrong is said at the field that it is about."""
    lang = sent.lang
    if sent.secret("new") != sent.secret("again"):
        return forms.problems({"again": t("account.differs", lang)})
    try:
        # The web process's own connection: a wrong password stays counted when the change is rolled back.
        with board.pool.connection() as connection:
            change_password(
                connection,
                current_caller(),
                sent.secret("old"),
                sent.secret("new"),
                at=datetime.now(UTC),
                ip=ip,
            )
    except WrongPassword:
        return forms.problems({"old": t("account.old_wrong", lang)})
    except PasswordRefused as refusal:
        why = [zh if lang == "zh" else en for zh, en in refusal.problems]
        return forms.problems(
            {"new": t("account.new_refused", lang, why=("；" if lang == "zh" else "; ").join(why))}
        )
    except (MustWait, TooBusy) as refusal:
        return forms.refused(str(refusal), 429)
    then = {"then": f"/?lang={lang}"} if current_caller().must_change_password else {}
    return forms.done(message=t("account.changed", lang), **then)


async def _answered(act: Any) -> JSONResponse:
    try:
        answer: JSONResponse = await run_in_threadpool(act)
    except NoSuchAccount as refusal:
        return forms.refused(str(refusal), 404)
    return answer
