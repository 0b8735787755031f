"""The frame of every page: top bar, banners, toasts, foot; and the small pieces that pages share."""

from datetime import UTC, datetime
from typing import Any

from dash import html

from dashboards.board import Row, offset
from dashboards.state import ViewState
from dashboards.texts import Language, group, t, word
from geoapp.access.caller import Caller, caller_or_none
from geoapp.settings import settings

PAGES = {
    "/": "nav.overview",
    "/review": "nav.review",
    "/coverage": "nav.coverage",
    "/matrix": "nav.matrix",
    "/cameras": "nav.cameras",
}
# Roles whose work is on a page; others are not led there. What they may read is not decided here but by the database.
USED_BY = {
    "/review": {"committee", "duty_officer", "inspector"},
    "/matrix": {"committee", "planner", "analyst", "duty_officer", "inspector", "admin"},
    "/cameras": {"committee", "planner", "analyst", "duty_officer", "admin"},
    "/coverage": {"committee", "planner", "analyst", "duty_officer", "admin"},
    "/modes": {"committee", "planner", "analyst", "duty_officer", "admin"},
}
# Areas in which a page has something to show: the matrix is of whole towns or communities.
USED_IN = {"/matrix": {"district", "town", "community"}, "/coverage": {"district", "town", "community"}}
# Pages that are closed to whoever may not do this.
NEEDED_ACTION = {
    "/review": "look_at_evidence",
    "/accounts": "manage_accounts",
    "/exports": "export",
    "/imports": "read_imports",
    "/telling": "keep_receivers",
}


def data(**attributes: object) -> dict[str, Any]:
    """`data-*` attributes for a component: data(select="cell:1") is {"data-select": "cell:1"}."""
    return {f"data-{name.replace('_', '-')}": str(value) for name, value in attributes.items()}


def icon(name: str) -> html.I:
    """A drawn sign of app.css (a CSS mask in this installation, no icon service)."""
    return html.I(className=f"icon icon-{name}", **{"aria-hidden": "true"})


def top_bar(state: ViewState, path: str, city: Row | None, tool: Any = None) -> html.Header:
    """Title, sample flag, page links, live state, language, theme."""
    lang = state.lang
    kept = keep(state)
    caller = caller_or_none()
    other: Language = "zh" if lang == "en" else "en"
    name = "" if city is None else str(city["name_en"] if lang == "en" else city["name_zh"])
    flag = []
    if city is not None and city["is_generated"]:
        flag = [html.Span(t("app.sample", lang), className="sample-flag", title=t("app.sample_hint", lang))]
    if caller is not None and caller.is_demo:
        flag.append(html.Span(t("access.demo", lang), className="sample-flag demo-flag"))
    links = [
        html.A(
            t(key, lang),
            href=f"{to}{kept}",
            className="nav-link" + (" here" if to == path else ""),
            **({"aria-current": "page"} if to == path else {}),
        )
        for to, key in PAGES.items()
        if is_used(to, caller)
    ]
    return html.Header(
        [
            html.A(
                [
                    html.Span(className="mark", **{"aria-hidden": "true"}),
                    html.Span([html.B(name), html.Span(t("app.title", lang))], className="title"),
                ],
                href=f"/{kept}",
                className="brand",
            ),
            *flag,
            html.Nav(links, className="nav"),
            html.Div(tool, className="search-slot"),
            html.Div(
                [html.I(), html.Span(t("live.wait", lang))],
                id="live-pill",
                className="live-pill",
                role="status",
                **data(state="wait", texts=_json(group("live", lang))),
            ),
            html.Button(
                t("app.language", lang), className="plain lang", lang=other, **data(lang=other), type="button"
            ),
            html.Button(
                icon("theme"),
                className="plain square",
                title=t("app.theme", lang),
                type="button",
                **{"aria-label": t("app.theme", lang), **data(theme_switch="1")},
            ),
            *([user_menu(state, path, city, caller)] if caller else []),
        ],
        className="top-bar",
    )


def keep(state: ViewState) -> str:
    """The query string that carries language and theme to another page."""
    return f"?lang={state.lang}" + (f"&theme={state.theme}" if state.theme else "")


def is_used(path: str, caller: Caller | None) -> bool:
    """Whether a link to the page helps this caller."""
    if caller is None:
        return True
    has_work = path not in USED_BY or bool(USED_BY[path] & set(caller.roles))
    return has_work and (path not in USED_IN or caller.scope in USED_IN[path])


def may_open(path: str, caller: Caller | None) -> bool:
    """Whether the page is open to this caller."""
    # The watch's business, no firm's.
    if path in ("/modes", "/coverage") and caller is not None and caller.scope == "site":
        return False
    return caller is None or path not in NEEDED_ACTION or caller.may(NEEDED_ACTION[path])


def role_words(caller: Caller, lang: Language) -> str:
    """The caller's roles in words."""
    return " · ".join(word("role", role, lang) for role in caller.roles)


def area_words(caller: Caller, city: Row | None, lang: Language, longest: int = 2) -> str:
    """The caller's area in words; of more than `longest` names the first, and how many there are."""
    if caller.scope == "district":
        return t("scope.district", lang)
    names = [] if city is None else list(city.get(f"own_areas_{lang}") or [])
    # Without the database there are no names; codes are better than nothing.
    names = names or [*caller.areas, *map(str, caller.sites)]
    if len(names) > longest:
        return t("scope.more", lang, name=names[0], n=len(names))
    return ("、" if lang == "zh" else ", ").join(names)


def user_menu(state: ViewState, path: str, city: Row | None, caller: Caller) -> html.Details:
    """Who is signed in, with role and area; the pages about accounts; sign out. Opens by key as by pointer."""
    lang, kept = state.lang, keep(state)
    name = (caller.name_en if lang == "en" else "") or caller.name_zh
    who = f"{role_words(caller, lang)} · {area_words(caller, city, lang)}"
    sees_more = bool({"admin", "committee"} & set(caller.roles))
    entries = [("/account", "access.own_account")]
    if may_open("/accounts", caller):
        entries.append(("/accounts", "access.accounts"))
    if caller.may("set_mode"):
        entries.append(("/modes", "modes.link"))
    if may_open("/telling", caller):
        entries.append(("/telling", "access.telling"))
    if may_open("/imports", caller):
        entries.append(("/imports", "access.imports"))
    if may_open("/exports", caller):
        entries.append(("/exports", "access.exports"))
    entries.append(("/audit", "access.audit" if sees_more else "access.own_audit"))
    links = [
        html.Li(
            html.A(
                t(key, lang),
                href=f"{to}{kept}",
                className="menu-line" + (" here" if to == path else ""),
                **({"aria-current": "page"} if to == path else {}),
            )
        )
        for to, key in entries
    ]
    if caller.is_demo:
        links.append(html.Li(html.A(t("access.switch", lang), href=f"/signin{kept}", className="menu-line")))
    return html.Details(
        [
            html.Summary(
                [
                    html.Span(name[:1].upper(), className="person-mark", **{"aria-hidden": "true"}),
                    html.Span([html.B(name), html.Small(who)], className="person"),
                ],
                title=f"{name} · {who}",
            ),
            html.Div(
                [
                    html.P([html.B(name), html.Small(f"{caller.login} · {who}")], className="menu-who"),
                    html.Ul(links),
                    html.Form(
                        html.Button(t("access.sign_out", lang), type="submit", className="menu-line"),
                        action="/signout",
                        method="post",
                        **data(csrf="1"),
                    ),
                ],
                className="menu panel",
            ),
        ],
        id="user-menu",
        className="user-menu",
    )


def scope_line(state: ViewState, city: Row | None) -> list[html.Div]:
    """On every page of a caller whose area is not the whole district: the figures are not the district's."""
    caller = caller_or_none()
    if caller is None or caller.scope == "district":
        return []
    return [
        html.Div(
            t("scope.only", state.lang, area=area_words(caller, city, state.lang, longest=3)),
            id="scope-line",
            className="scope-line",
            role="note",
        )
    ]


def foot(state: ViewState, city: Row | None) -> html.Footer:
    """Zone of all times, the licence and the link to the source (AGPL-3.0 section 13)."""
    lang = state.lang
    parts: list[Any] = []
    if city is not None:
        zone = str(city["timezone"])
        parts.append(html.Span(t("foot.zone", lang, zone=zone, offset=offset(zone, datetime.now(UTC)))))
    parts.append(
        html.Span(
            [
                "GeoApp · ",
                t("app.licence", lang),
                " · ",
                html.A(t("app.source", lang), href=settings().source_url, rel="noopener", target="_blank"),
            ],
            className="source",
        )
    )
    return html.Footer(parts, className="foot")


def frame(state: ViewState, path: str, city: Row | None, body: list[Any], tool: Any = None) -> html.Div:
    """A whole page; `tool` goes into the top bar."""
    lang = state.lang
    toast_texts = group("class", lang) | {"opened": t("live.opened", lang), "lead": t("live.lead", lang)}
    return html.Div(
        [
            top_bar(state, path, city, tool),
            html.Div(
                id="stale-banner",
                className="stale-banner",
                role="alert",
                hidden=True,
                **data(texts=_json(group("live", lang))),
            ),
            html.Div(
                id="watch-banner",
                className="watch-banner",
                role="status",
                hidden=True,
                **data(texts=_json(group("live", lang))),
            ),
            *scope_line(state, city),
            *body,
            foot(state, city),
            html.Div(
                id="toasts",
                className="toasts",
                **{"aria-live": "polite", **data(texts=_json(toast_texts))},
            ),
        ],
        className=f"screen page-{path.strip('/') or 'overview'}",
        lang="en" if lang == "en" else "zh-CN",
        **data(zone="" if city is None else city["timezone"]),
    )


def notice(text: str) -> html.Div:
    """A page's only content when there is nothing to show."""
    return html.Div(html.P(text), className="notice", role="alert")


def _json(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False)
