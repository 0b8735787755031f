"""The duty matrix: which place type is led by whom, and where that is missing."""

from typing import Any

import dash_mantine_components as dmc
import psycopg
from dash import Dash, Input, Output, State, dcc, html, no_update
from psycopg_pool import PoolTimeout

from dashboards import shell
from dashboards.board import Board, Row, number
from dashboards.state import ViewState
from dashboards.texts import Language, either, t, word

STATUSES = ("missing", "two_leads", "disputed", "proposed", "no_person", "confirmed")


def layout(state: ViewState, board: Board) -> html.Div:
    """The page."""
    lang = state.lang
    city = board.city()
    if city is None:
        return shell.frame(state, "/matrix", city, [shell.notice(t("app.no_city", lang))])
    rows = board.shared("duty_matrix")
    if not rows:
        return shell.frame(state, "/matrix", city, [shell.notice(t("matrix.none", lang))])
    units = {r["unit_code"]: either(r, lang, "unit") for r in rows}
    # The county where the reader has it, else the first of the own towns.
    chosen = min((r for r in rows), key=lambda r: (r["unit_level"] != "county", r["unit_code"]))["unit_code"]
    body = [
        html.Main(
            [
                html.H1(t("matrix.title", lang)),
                html.P(t("matrix.lead", lang), className="lead"),
                html.Div(id="matrix-summary", className="lead"),
                html.Div(
                    [
                        dmc.Select(
                            id="matrix-unit",
                            data=[{"value": k, "label": v} for k, v in sorted(units.items())],
                            value=chosen,
                            allowDeselect=False,
                            size="xs",
                            w=150,
                            **{"aria-label": t("matrix.unit", lang)},
                        ),
                        dmc.ChipGroup(
                            [
                                dmc.Chip(t(f"matrix.status_{s}", lang), value=s, size="xs", variant="outline")
                                for s in STATUSES
                            ],
                            id="matrix-status",
                            multiple=True,
                            value=list(STATUSES),
                        ),
                        html.Span(id="matrix-total", className="total"),
                    ],
                    className="tools",
                ),
                html.Div(id="matrix-table", className="table-card"),
            ],
            className="table-page",
        ),
        dcc.Store(id="slow-tick"),
        html.I(id="slow-tick-mark", hidden=True),
        dcc.Store(id="page-state", data={"lang": lang, "zone": city["timezone"]}),
    ]
    return shell.frame(state, "/matrix", city, body)


def table(rows: list[Row], lang: Language) -> html.Table | html.P:
    """Place types with sites, lead, person and status, as ordered by the query (gaps first)."""
    if not rows:
        return html.P(t("table.empty", lang), className="empty")
    columns = ("place_type", "sites", "lead_department", "person", "status")
    body = [
        html.Tr(
            [
                html.Td(
                    [either(r, lang, "place_type"), html.Small(f" {r['rule_code']}", className="fine-code")]
                ),
                html.Td(number(r["site_count"]), className="n"),
                html.Td(either(r, lang, "lead") or "—"),
                html.Td(r["person_name"] or "—"),
                html.Td(
                    html.Span(
                        word("matrix", f"status_{r['status']}", lang),
                        className=f"status status-{r['status']}",
                    )
                ),
            ],
            className="" if r["status"] == "confirmed" else "gap",
        )
        for r in rows
    ]
    head = [
        html.Th(t(f"matrix.{c}", lang), scope="col", className="n" if c == "sites" else "") for c in columns
    ]
    return html.Table([html.Thead(html.Tr(head)), html.Tbody(body)], className="plain-table")


def register(app: Dash, board: Board) -> None:
    """Callbacks of the page."""

    @app.callback(
        Output("matrix-table", "children"),
        Output("matrix-total", "children"),
        Output("matrix-summary", "children"),
        Input("matrix-unit", "value"),
        Input("matrix-status", "value"),
        Input("slow-tick", "data"),
        State("page-state", "data"),
    )
    def show(unit: str, statuses: list[str], _: Any, page: dict[str, Any]) -> Any:
        lang: Language = page["lang"]
        try:
            rows = [r for r in board.shared("duty_matrix") if r["unit_code"] == unit]
            head = board.headline()
        except (psycopg.Error, PoolTimeout):
            return no_update, no_update, no_update
        chosen = [r for r in rows if r["status"] in (statuses or [])]
        rate, sites = head.get("duty_clear_rate"), head.get("sites_without_confirmed_lead")
        summary = t(
            "matrix.summary",
            lang,
            clear=number(rate["numerator"] if rate else None),
            all=number(rate["denominator"] if rate else None),
            sites=number(sites["value"] if sites else None),
        )
        return table(chosen, lang), t("table.rows", lang, n=number(len(chosen))), summary
