"""The page of accounts, for admins: who may sign in, in which role, for which area; and the forms that change it.

Everything is read under the admin's own database role; `accounts_routes` does what the forms ask.
"""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from dash import dcc, html

from dashboards import forms, shell
from dashboards.board import Board, Row, clock, number
from dashboards.own_account import row, table
from dashboards.state import ViewState
from dashboards.texts import Language, either, t, word
from geoapp.access.caller import ROLES, acting, current_caller
from geoapp.access.tokens import LONGEST, SCOPES
from geoapp.database.sql_files import read_sql

# What is done to one account: path word, text of the question, whether it takes something away.
ACTIONS = {
    "reset-password": ("account.reset", "account.reset_ask", False),
    "end-sessions": ("account.end_sessions", "account.end_sessions_ask", False),
    "disable": ("account.disable", "account.disable_ask", True),
    "enable": ("account.enable", "account.enable_ask", False),
}
TOKEN_DAYS = 90


def layout(state: ViewState, board: Board) -> html.Div:
    """The page; for others than admins a plain word that it is not theirs."""
    lang = state.lang
    city = board.city()
    if not shell.may_open("/accounts", current_caller()):
        return shell.frame(state, "/accounts", city, [shell.notice(t("access.forbidden", lang))])
    zone = str(city["timezone"]) if city else "Asia/Shanghai"
    with acting(board.pool) as connection:
        accounts = connection.execute(
            read_sql("screens/account_list").encode(), {"at": datetime.now(UTC)}
        ).fetchall()
        units = connection.execute(read_sql("screens/account_units").encode()).fetchall()
        tokens = connection.execute(
            read_sql("screens/token_list").encode(), {"at": datetime.now(UTC)}
        ).fetchall()
    active = sum(r["disabled_at"] is None for r in accounts)
    body = html.Main(
        [
            html.H1(t("account.manage_title", lang)),
            html.P(t("account.manage_lead", lang), className="lead"),
            html.Div(
                [
                    forms.opener(
                        t("account.add", lang), "add-account", action="/accounts/add", className="primary"
                    ),
                    html.Span(
                        t("account.count", lang, n=number(len(accounts)), active=number(active)),
                        className="total",
                    ),
                ],
                className="tools",
            ),
            html.Div(account_table(accounts, lang, zone), className="table-card"),
            html.H2(t("account.all_tokens", lang)),
            html.P(t("account.all_tokens_lead", lang), className="lead"),
            html.Div(token_table(tokens, lang, zone), className="table-card"),
            forms.dialog("add-account", t("account.add", lang), "", add_form(units, lang)),
            forms.dialog(
                "edit-account",
                t("account.edit", lang),
                t("account.edit_note", lang),
                edit_form(units, lang),
                with_who=True,
            ),
            forms.dialog(
                "issue-token",
                t("account.issue", lang),
                t("account.issue_note", lang),
                token_form(lang),
                with_who=True,
            ),
            forms.dialog(
                "revoke-token",
                t("account.revoke", lang),
                t("account.revoke_ask", lang),
                forms.form(
                    [forms.reason(lang)], "", lang, t("account.revoke", lang), danger=True, in_dialog=True
                ),
                with_who=True,
            ),
            *[
                forms.dialog(
                    f"ask-{name}",
                    t(title, lang),
                    t(question, lang),
                    forms.form([forms.reason(lang)], "", lang, t(title, lang), danger=danger, in_dialog=True),
                    with_who=True,
                )
                for name, (title, question, danger) in ACTIONS.items()
            ],
            dcc.Store(id="page-state", data={"lang": lang, "zone": zone}),
        ],
        className="table-page accounts-page",
    )
    return shell.frame(state, "/accounts", city, [body])


def add_form(units: list[Row], lang: Language) -> html.Form:
    """Login, name, roles, area or sites, reason."""
    return forms.form(
        [
            forms.text("login", t("account.login", lang), t("account.login_hint", lang), autoComplete="off"),
            forms.text("name_zh", t("account.name_zh", lang), autoComplete="off"),
            *_rights(units, lang, ""),
            forms.reason(lang),
        ],
        "/accounts/add",
        lang,
        t("account.add_do", lang),
        in_dialog=True,
    )


def edit_form(units: list[Row], lang: Language) -> html.Form:
    """Names, roles, area or sites, OIDC subject, reason; the button that opens it fills it (`_filled`)."""
    return forms.form(
        [
            forms.text("name_zh", t("account.name_zh", lang), autoComplete="off", id="edit-name-zh"),
            forms.text("name_en", t("account.name_en", lang), autoComplete="off", id="edit-name-en"),
            *_rights(units, lang, "edit-"),
            forms.text(
                "oidc_subject",
                t("account.oidc_subject", lang),
                t("account.oidc_hint", lang),
                autoComplete="off",
                id="edit-oidc",
            ),
            forms.reason(lang),
            forms.hidden("seen", "", id="edit-seen"),
        ],
        "",
        lang,
        t("account.edit_do", lang),
        in_dialog=True,
    )


def token_form(lang: Language) -> html.Form:
    """What an API token is for, what it may, how long."""
    scopes = [{"value": scope, "label": word("token_scope", scope, lang)} for scope in SCOPES]
    return forms.form(
        [
            forms.text(
                "name", t("account.token_name", lang), t("account.token_hint", lang), autoComplete="off"
            ),
            forms.several("scopes", t("account.scopes", lang), scopes, lang, value=["read"]),
            forms.number("days", t("account.days", lang), TOKEN_DAYS, 1, LONGEST.days),
            forms.reason(lang),
        ],
        "",
        lang,
        t("account.issue", lang),
        in_dialog=True,
        once="account.token_once",
    )


def _rights(units: list[Row], lang: Language, stem: str) -> list[html.Div]:
    """Roles, area and sites of the dialog whose fields' ids begin with `stem`."""
    groups = [
        {
            "group": t(f"account.{title}", lang),
            "items": [{"value": u["code"], "label": either(u, lang)} for u in units if u["level"] == level],
        }
        for level, title in (("town", "towns"), ("community", "communities"))
    ]
    role_options = [{"value": role, "label": t(f"role.{role}", lang)} for role in ROLES]
    return [
        forms.several("roles", t("account.roles", lang), role_options, lang, id=f"{stem}role-choice"),
        forms.several(
            "areas",
            t("account.areas", lang),
            groups,
            lang,
            t("account.areas_hint", lang),
            id=f"{stem}area-choice",
        ),
        forms.several(
            "sites",
            t("account.sites", lang),
            [],
            lang,
            t("account.sites_hint", lang),
            id=f"{stem}site-choice",
        ),
    ]


def _filled(r: Row) -> dict[str, dict[str, Any]]:
    """What the fields of the edit dialog hold for an account."""
    return {
        "edit-name-zh": {"value": r["name_zh"]},
        "edit-name-en": {"value": r["name_en"]},
        "edit-role-choice": {"value": r["roles"]},
        "edit-area-choice": {"value": r["area_codes"]},
        "edit-site-choice": {"data": r["sites"], "value": [s["value"] for s in r["sites"]]},
        "edit-oidc": {"value": r["oidc_subject"] or ""},
        "edit-seen": {"value": seen(r)},
    }


def seen(r: Row) -> str:
    """What the admin saw of the account when the dialog was filled: what has been changed since is not overwritten."""
    parts = ("id", "name_zh", "name_en", "oidc_subject", "roles", "area_codes", "site_ids")
    return sha256(repr([r[part] for part in parts]).encode()).hexdigest()[:16]


def account_table(rows: list[Row], lang: Language, zone: str) -> html.Table:
    """One row an account: the active ones first, with what can be done to them."""
    names = [
        t(f"account.{c}", lang)
        for c in ("login", "name", "roles", "area", "last_sign_in", "state", "actions")
    ]
    own = current_caller().account_id
    return table(
        names,
        [
            row(
                names,
                [
                    html.Code(r["login"]),
                    either(r, lang),
                    " · ".join(word("role", role, lang) for role in r["roles"]),
                    area_of(r, lang),
                    _last_sign_in(r, lang, zone),
                    html.Div(_state(r, lang, zone), className="tags-cell"),
                    html.Div(_buttons(r, lang, is_own=r["id"] == own), className="row-actions"),
                ],
                className="off" if r["disabled_at"] else "",
            )
            for r in rows
        ],
    )


def area_of(r: Row, lang: Language) -> str:
    """The names of an account's towns, communities or sites; the whole district."""
    if r["scope"] == "district":
        return t("scope.district", lang)
    return ("、" if lang == "zh" else ", ").join(r[f"areas_{lang}"]) or "—"


def _last_sign_in(r: Row, lang: Language, zone: str) -> list[Any]:
    at = clock(r["last_sign_in_at"], zone) if r["last_sign_in_at"] else t("account.never", lang)
    open_now = html.Small(t("account.sessions_open", lang, n=r["open_sessions"]), className="fine-code")
    return [at, *([html.Br(), open_now] if r["open_sessions"] else [])]


def _state(r: Row, lang: Language, zone: str) -> list[html.Span]:
    if r["disabled_at"]:
        return [
            html.Span(t("account.disabled", lang), className="tag blind", title=clock(r["disabled_at"], zone))
        ]
    tags = [html.Span(t("account.active", lang), className="tag seen")]
    if r["must_change_password"]:
        tags.append(html.Span(t("account.must_change_tag", lang), className="tag review-unreviewed"))
    if r["is_demo"]:
        tags.append(html.Span(t("account.demo_tag", lang), className="tag"))
    return tags


def _buttons(r: Row, lang: Language, *, is_own: bool) -> list[Any]:
    who = f"{either(r, lang)} · {r['login']}"
    edit = forms.opener(
        t("account.edit", lang),
        "edit-account",
        action=f"/accounts/{r['id']}/change",
        who=who,
        fill=_filled(r),
    )
    token = forms.opener(
        t("account.issue", lang), "issue-token", action=f"/accounts/{r['id']}/token", who=who
    )
    if is_own:
        return [html.Span(t("account.who", lang), className="tag"), edit, token]
    able = ["enable"] if r["disabled_at"] else ["reset-password", "end-sessions", "disable"]
    if not r["open_sessions"] and "end-sessions" in able:
        able.remove("end-sessions")
    if r["is_demo"] and "reset-password" in able:
        able.remove("reset-password")
    done = [
        forms.opener(t(ACTIONS[name][0], lang), f"ask-{name}", action=f"/accounts/{r['id']}/{name}", who=who)
        for name in able
    ]
    return [edit, *([] if r["disabled_at"] else [token]), *done]


def token_table(rows: list[Row], lang: Language, zone: str) -> Any:
    """The tokens of all accounts; those that still hold can be revoked."""
    if not rows:
        return html.P(t("account.no_tokens_issued", lang), className="empty")
    names = [
        t(f"account.{c}", lang) for c in ("login", "token_name", "scopes", "until", "last_used", "actions")
    ]
    body = []
    for r in rows:
        last: Any = html.Span(
            t("account.revoked" if r["revoked_at"] else "account.expired", lang), className="tag"
        )
        if r["is_open"]:
            last = forms.opener(
                t("account.revoke", lang),
                "revoke-token",
                action=f"/accounts/tokens/{r['id']}/revoke",
                who=f"{r['name']} · {r['login']}",
            )
        login = [html.Code(r["login"]), f" {either(r, lang)}"]
        if r["is_disabled"]:
            login.append(html.Span(t("account.disabled", lang), className="tag blind"))
        values = [
            html.Div(login, className="tags-cell"),
            r["name"],
            " · ".join(word("token_scope", s, lang) for s in r["scopes"]),
            clock(r["expires_at"], zone),
            clock(r["last_used_at"], zone) if r["last_used_at"] else t("account.never", lang),
            html.Div(last, className="row-actions"),
        ]
        body.append(row(names, values, className="" if r["is_open"] else "off"))
    return table(names, body)
