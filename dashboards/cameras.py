"""All cameras, blind ones first: whether somebody looks through them, and why not."""

from typing import Any

import dash_mantine_components as dmc
import psycopg
from dash import Dash, Input, Output, State, dcc, html, no_update
from psycopg_pool import PoolTimeout

from dashboards import shell
from dashboards.board import Board, Row, clock, number
from dashboards.state import ViewState
from dashboards.texts import Language, either, t, word


def layout(state: ViewState, board: Board) -> html.Div:
    """The page."""
    lang = state.lang
    city = board.city()
    if city is None:
        return shell.frame(state, "/cameras", city, [shell.notice(t("app.no_city", lang))])
    body = [
        html.Main(
            [
                html.H1(t("cameras.title", lang)),
                html.P(t("cameras.lead", lang), className="lead"),
                html.Div(
                    [
                        dmc.SegmentedControl(
                            id="camera-filter", value="all", data=choices([], lang), size="xs"
                        ),
                        html.Span(id="camera-total", className="total"),
                    ],
                    className="tools",
                ),
                html.Div(id="camera-table", className="table-card"),
            ],
            className="table-page",
        ),
        dcc.Store(id="slow-tick"),
        html.I(id="slow-tick-mark", hidden=True),
        dcc.Store(id="page-state", data={"lang": lang, "zone": city["timezone"]}),
    ]
    return shell.frame(state, "/cameras", city, body)


def choices(rows: list[Row], lang: Language) -> Any:
    """The filter: all, observed, and each reason there is, with numbers."""
    reasons: dict[str, int] = {}
    for r in rows:
        reasons[r["reason"] or "observed"] = reasons.get(r["reason"] or "observed", 0) + 1
    out = [{"value": "all", "label": f"{t('cameras.all', lang)} {number(len(rows)) if rows else ''}".strip()}]
    if "observed" in reasons:
        out.append({"value": "observed", "label": f"{t('drawer.observed', lang)} {reasons['observed']}"})
    for reason, n in sorted(reasons.items(), key=lambda pair: -pair[1]):
        if reason != "observed":
            out.append({"value": reason, "label": f"{word('reason', reason, lang)} {n}"})
    return out


def table(rows: list[Row], lang: Language, zone: str) -> html.Table | html.P:
    """One row a camera, in the order of the query."""
    if not rows:
        return html.P(t("table.empty", lang), className="empty")
    body = []
    for r in rows:
        state = t("drawer.observed", lang) if r["observed"] else t("drawer.unobserved", lang)
        body.append(
            html.Tr(
                [
                    html.Td([html.B(r["name_zh"]), html.Br(), html.Code(r["gb_id"])]),
                    html.Td(either(r, lang, "town") or "—"),
                    html.Td(html.Span(state, className="tag seen" if r["observed"] else "tag blind")),
                    html.Td(word("reason", r["reason"], lang) if r["reason"] else "—"),
                    html.Td(clock(r["since"], zone)),
                    html.Td(
                        clock(r["last_observed_at"], zone, seconds=True)
                        if r["last_observed_at"]
                        else t("drawer.never", lang)
                    ),
                    html.Td(
                        html.Button(
                            t("cameras.map", lang),
                            type="button",
                            className="link",
                            **shell.data(select=f"camera:{r['id']}"),
                        )
                    ),
                ],
                className="" if r["observed"] else "gap",
            )
        )
    columns = ("name", "town", "state", "reason", "since", "last_observed", "map")
    head = [html.Th(t(f"cameras.{c}", lang), scope="col") for c in columns]
    return html.Table([html.Thead(html.Tr(head)), html.Tbody(body)], className="plain-table")


def register(app: Dash, board: Board) -> None:
    """Callbacks of the page."""

    @app.callback(
        Output("camera-table", "children"),
        Output("camera-total", "children"),
        Output("camera-filter", "data"),
        Input("camera-filter", "value"),
        Input("slow-tick", "data"),
        State("page-state", "data"),
    )
    def show(chosen: str, _: Any, page: dict[str, Any]) -> Any:
        lang: Language = page["lang"]
        try:
            rows = board.shared("camera_list")
        except (psycopg.Error, PoolTimeout):
            return no_update, no_update, no_update
        shown = [r for r in rows if chosen in ("all", None) or (r["reason"] or "observed") == chosen]
        return (
            table(shown, lang, page["zone"]),
            t("cameras.count", lang, n=number(len(shown))),
            choices(rows, lang),
        )
