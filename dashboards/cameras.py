"""All cameras, blind ones first: whether somebody looks through them, and why not."""

from typing import Any

import dash_mantine_components as dmc
import psycopg
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from psycopg_pool import PoolTimeout

from dashboards import camera_blind, shell
from dashboards.board import Board, Row, clock, number
from dashboards.state import ViewState
from dashboards.texts import Language, either, t, word
from geoapp.access.caller import current_caller


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
                html.P(
                    [
                        html.A(t(key, lang), href=f"{to}{shell.keep(state)}")
                        for to, key in (("/ledger", "ledger.link"), ("/modes", "modes.link"))
                        if shell.may_open(to, current_caller())
                    ],
                    className="page-links",
                ),
                camera_blind.section(lang),
                html.H2(t("cameras.everyone", lang)),
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
        dcc.Store(id="camera-rows"),
        dcc.Store(id="ignored"),
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


def table(rows: list[Row], lang: Language, zone: str) -> dict[str, Any]:
    """Head and rows for the browser's table (one row a camera, in the order of the query).

    Values, not components: four hundred rows of Dash components take a slow machine minutes to draw.
    """
    columns = ("name", "town", "state", "reason", "since", "last_observed", "map")
    body = []
    for r in rows:
        state = t("drawer.observed", lang) if r["observed"] else t("drawer.unobserved", lang)
        seen = (
            clock(r["last_observed_at"], zone, seconds=True)
            if r["last_observed_at"]
            else t("drawer.never", lang)
        )
        body.append(
            {
                "gap": not r["observed"],
                "cells": [
                    {"text": r["name_zh"], "code": r["gb_id"]},
                    {"text": either(r, lang, "town") or "—"},
                    {"text": state, "tag": "tag seen" if r["observed"] else "tag blind"},
                    {"text": word("reason", r["reason"], lang) if r["reason"] else "—"},
                    {"text": clock(r["since"], zone)},
                    {"text": seen},
                    {"text": t("cameras.map", lang), "select": f"camera:{r['id']}"},
                ],
            }
        )
    return {"head": [t(f"cameras.{c}", lang) for c in columns], "rows": body, "empty": t("table.empty", lang)}


def register(app: Dash, board: Board) -> None:
    """Callbacks of the page."""
    camera_blind.register(app, board)

    @app.callback(
        Output("camera-rows", "data"),
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

    app.clientside_callback(
        ClientsideFunction("geoapp", "cameraTable"),
        Output("ignored", "data", allow_duplicate=True),
        Input("camera-rows", "data"),
        prevent_initial_call=True,
    )
