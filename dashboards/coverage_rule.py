"""Key risk areas of which online cameras see less than the rule asks for, now, worst first."""

from datetime import datetime
from typing import Any

from dash import html

from dashboards.board import Board, clock, number
from dashboards.coverage_asked import Asked
from dashboards.coverage_hours import area_name, share
from dashboards.own_account import row, table
from dashboards.texts import Language, t
from geoapp.access.caller import Caller

SHOWN = 12


def section(board: Board, asked: Asked, caller: Caller, now: datetime, lang: Language) -> list[Any]:
    """The part of the page for the rule of 60 %."""
    rows = board.rows("coverage_rule", moment=now, town=asked.town or None, most=SHOWN)
    first = rows[0]
    head = t("coverage.rule", lang, share=share(first["rule"]))
    if not first["in_all"]:
        return [html.H2(head), html.P(t("coverage.no_areas", lang), className="empty")]
    said = t(
        "coverage.rule_said",
        lang,
        under=number(first["under"]),
        all=number(first["in_all"]),
        at=clock(now, asked.zone),
    )
    if not first["under"]:
        return [html.H2(head), html.P(said, className="coverage-sentence")]
    names = [t(f"coverage.{n}", lang) for n in ("area", "seen_now", "missing_m2", "online_of")]
    body = [
        row(
            names,
            [
                area_name(r, lang, "id"),
                share(r["seen_fraction"]),
                number(None if r["seen_m2"] is None else r["rule"] * r["area_m2"] - r["seen_m2"]),
                f"{number(r['online_camera_count'])} / {number(r['camera_count'])}",
            ],
        )
        for r in rows
    ]
    return [
        html.H2(head),
        html.P(said, className="coverage-sentence"),
        html.Div(table(names, body), className="table-card coverage-rule"),
        html.P(
            t("coverage.shown_of", lang, n=number(len(rows)), all=number(first["under"])), className="quiet"
        ),
    ]
