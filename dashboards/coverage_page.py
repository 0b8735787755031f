"""The page of coverage: who was blind at an hour, the 60 % rule, onboarding against target, where the next cameras go.

Every figure is a function of `analysis` that an analyst can SELECT (docs/coverage.md); the address says what is asked for.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import dash_mantine_components as dmc
import psycopg
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from psycopg_pool import PoolTimeout

from dashboards import coverage_hours, coverage_onboarding, coverage_places, coverage_rule, forms, shell
from dashboards.board import Board, Row
from dashboards.coverage_asked import Asked
from dashboards.state import ViewState
from dashboards.texts import Language, either, t
from geoapp.access.caller import Caller, current_caller
from geoapp.errors import Refused

SECTIONS: dict[str, Callable[[Board, Asked, Caller, datetime, Language], Any]] = {
    "hours": coverage_hours.section,
    "rule": coverage_rule.section,
    "onboarding": coverage_onboarding.section,
    "places": coverage_places.section,
}


def layout(state: ViewState, board: Board) -> html.Div:
    """The page: its parts follow the address (callbacks of `register`)."""
    lang = state.lang
    city = board.city()
    if not shell.may_open("/coverage", current_caller()):
        return shell.frame(state, "/coverage", city, [shell.notice(t("access.forbidden", lang))])
    if city is None:
        return shell.frame(state, "/coverage", city, [shell.notice(t("app.no_city", lang))])
    zone = str(city["timezone"])
    body = [
        html.Main(
            [
                html.H1(t("coverage.title", lang)),
                html.P(t("coverage.lead", lang), className="lead"),
                html.Div(id="coverage-filter"),
                *[
                    html.Section(
                        html.P(t("coverage.loading", lang), className="empty"),
                        id=f"coverage-{name}",
                        className="coverage-part",
                        **{"aria-live": "polite"},
                    )
                    for name in SECTIONS
                ],
            ],
            className="table-page coverage-page",
        ),
        dcc.Store(id="coverage-drawn"),
        dcc.Store(id="coverage-page", data={"lang": lang, "theme": state.theme, "zone": zone}),
    ]
    return shell.frame(state, "/coverage", city, body)


def filters(asked: Asked, towns: list[Row], today: date, lang: Language) -> html.Form:
    """Day and town, for the whole page; looking again is an ordinary GET."""
    every = {"value": "", "label": t("ledger.every_town", lang)}
    return html.Form(
        [
            day_box("day", t("coverage.day", lang), asked.day, today),
            dmc.Select(
                name="town",
                label=t("modes.town", lang),
                data=[every, *[{"value": r["code"], "label": either(r, lang)} for r in towns]],
                value=asked.town,
                searchable=True,
                allowDeselect=False,
                size="xs",
                comboboxProps={"zIndex": 3000},
            ),
            html.Button(t("audit.find", lang), type="submit", className="primary"),
            *[forms.hidden(name, value) for name, value in asked.kept(but=("day", "at", "town")).items()],
        ],
        action="/coverage",
        method="get",
        className="filters panel",
        role="search",
    )


def day_box(name: str, label: str, day: date, today: date) -> dmc.TextInput:
    """A day up to today."""
    limits = {"type": "date", "max": today.isoformat(), "min": "2000-01-01"}
    return dmc.TextInput(
        name=name, label=label, value=day.isoformat(), size="xs", attributes={"input": limits}
    )


def register(app: Dash, board: Board) -> None:
    """Callbacks of the page: each part for itself, so that a slow one keeps no other waiting."""

    @app.callback(
        Output("coverage-filter", "children"), Input("address", "search"), State("coverage-page", "data")
    )
    def choose(query: str | None, page: dict[str, Any]) -> Any:
        def made(asked: Asked, now: datetime) -> Any:
            today = now.astimezone(ZoneInfo(page["zone"])).date()
            return filters(asked, board.shared("ledger_towns"), today, page["lang"])

        return _answered(query, page, made)

    for name, make in SECTIONS.items():
        _register_part(app, board, name, make)
    app.clientside_callback(
        ClientsideFunction("geoapp", "coverageDrawn"),
        Output("coverage-drawn", "data"),
        [Input(f"coverage-{name}", "children") for name in SECTIONS],
    )


def _register_part(
    app: Dash, board: Board, name: str, make: Callable[[Board, Asked, Caller, datetime, Language], Any]
) -> None:
    @app.callback(
        Output(f"coverage-{name}", "children"), Input("address", "search"), State("coverage-page", "data")
    )
    def show(query: str | None, page: dict[str, Any]) -> Any:
        def made(asked: Asked, now: datetime) -> Any:
            # Nothing there is not the same as nowhere: said once, and no part of the page speaks of it.
            if asked.town and board.row("town_seen", code=asked.town) is None:
                return _no_town(asked.town, page["lang"]) if name == "hours" else None
            return make(board, asked, current_caller(), now, page["lang"])

        return _answered(query, page, made)


def _no_town(code: str, lang: Language) -> html.P:
    return html.P(t("coverage.no_town", lang, code=code), className="lead-note", role="status")


def _answered(query: str | None, page: dict[str, Any], make: Callable[[Asked, datetime], Any]) -> Any:
    caller, now = current_caller(), datetime.now(UTC)
    if not shell.may_open("/coverage", caller):
        return None
    try:
        return make(Asked.of(query, caller, page, now), now)
    except Refused as refusal:
        return html.P(str(refusal), className="lead-note")
    except (psycopg.OperationalError, PoolTimeout):
        return shell.notice(t("app.no_database", page["lang"]))
