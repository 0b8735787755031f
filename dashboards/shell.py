"""The frame of every page: top bar, banners, toasts, foot; and the small pieces that pages share."""

from datetime import UTC, datetime
from typing import Any

from dash import html

from dashboards.board import Row, offset
from dashboards.state import ViewState
from dashboards.texts import Language, group, t
from geoapp.settings import settings

PAGES = {"/": "nav.overview", "/matrix": "nav.matrix", "/cameras": "nav.cameras"}


def data(**attributes: object) -> dict[str, Any]:
    """`data-*` attributes for a component: data(select="cell:1") is {"data-select": "cell:1"}."""
    return {f"data-{name.replace('_', '-')}": str(value) for name, value in attributes.items()}


def icon(name: str) -> html.I:
    """A drawn sign of app.css (a CSS mask in this installation, no icon service)."""
    return html.I(className=f"icon icon-{name}", **{"aria-hidden": "true"})


def top_bar(state: ViewState, path: str, city: Row | None, tool: Any = None) -> html.Header:
    """Title, sample flag, page links, live state, language, theme."""
    lang = state.lang
    kept = f"?lang={lang}" + (f"&theme={state.theme}" if state.theme else "")
    other: Language = "zh" if lang == "en" else "en"
    name = "" if city is None else str(city["name_en"] if lang == "en" else city["name_zh"])
    flag = []
    if city is not None and city["is_generated"]:
        flag = [html.Span(t("app.sample", lang), className="sample-flag", title=t("app.sample_hint", lang))]
    links = [
        html.A(
            t(key, lang),
            href=f"{to}{kept}",
            className="nav-link" + (" here" if to == path else ""),
            **({"aria-current": "page"} if to == path else {}),
        )
        for to, key in PAGES.items()
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
        ],
        className="top-bar",
    )


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
