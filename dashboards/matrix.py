"""The duty matrix: which department leads what where, what nobody answers for, who answers for a site, what waits to be decided."""

import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import dash_mantine_components as dmc
import psycopg
from dash import Dash, Input, Output, State, dcc, html
from psycopg_pool import PoolTimeout

from dashboards import csv_download, duty_proposals, forms, matrix_list, matrix_table, shell
from dashboards.board import Board, Row, number
from dashboards.matrix_asked import BY, LEVELS, STATES, Asked, unread
from dashboards.search import wanted
from dashboards.state import ViewState
from dashboards.texts import Language, either, t, word
from geoapp.access.caller import current_caller

# A page that a browser lays out at once.
UNITS_A_PAGE, LIST_A_PAGE, PROPOSALS_SHOWN, DECISIONS_SHOWN, PLANNED_SHOWN = 50, 50, 12, 20, 8

_BY = {"department": "matrix.by_department", "type": "matrix.by_type"}


def layout(state: ViewState, board: Board) -> html.Div:
    """The page: its content follows the address (callback `show`)."""
    lang = state.lang
    city = board.city()
    if city is None:
        return shell.frame(state, "/matrix", city, [shell.notice(t("app.no_city", lang))])
    body = [
        html.Main(
            [
                html.H1(t("matrix.title", lang)),
                html.P(t("matrix.lead", lang), className="lead"),
                html.Div(id="matrix-found"),
            ],
            className="table-page matrix-page",
        ),
        dcc.Store(id="matrix-page", data={"lang": lang, "theme": state.theme, "zone": city["timezone"]}),
    ]
    return shell.frame(state, "/matrix", city, body)


def register(app: Dash, board: Board) -> None:
    """The callback of the page: what is found follows the address."""

    @app.callback(
        Output("matrix-found", "children"), Input("address", "search"), State("matrix-page", "data")
    )
    def show(query: str | None, page: dict[str, Any]) -> Any:
        try:
            return content(query, board, page, datetime.now(UTC))
        except (psycopg.OperationalError, PoolTimeout):
            return shell.notice(t("app.no_database", page["lang"]))


def content(query: str | None, board: Board, page: dict[str, Any], now: datetime) -> list[Any]:
    """Filters, the matrix, what is listed, a chain, proposals; for an address."""
    lang: Language = page["lang"]
    zone: str = page["zone"]
    held = {"lang": lang} | ({"theme": page["theme"]} if page["theme"] else {})
    choices = board.rows("duty_choices")
    places = [r for r in choices if r["kind"] in ("town", "community")]
    if not places:
        return [html.P(t("matrix.none", lang), className="empty")]
    asked = _within_reach(Asked.of(query), [r["code"] for r in places])
    today = now.astimezone(ZoneInfo(zone)).date()
    as_of = asked.moment(zone, now)
    wrong = [*unread(query), *_no_town(query, asked)]
    top = [
        *[
            html.P(t("matrix.unread", lang, text=text), className="lead-note", role="status")
            for text in wrong
        ],
        *_day_banner(asked, today, lang),
        _filters(asked, places, held, lang),
    ]
    if as_of is not None and (unknown := _before_records(board, asked, as_of, zone, lang)) is not None:
        return [*top, unknown]
    matrix = asked.matrix(zone, now) | {"most": UNITS_A_PAGE}
    units = board.rows("duty_units", **matrix, skip=(asked.page - 1) * UNITS_A_PAGE)
    if not units and asked.page > 1:  # beyond the last page, not empty
        asked = replace(asked, page=1)
        units = board.rows("duty_units", **matrix, skip=0)
    names = {r["code"]: either(r, lang) for r in choices if r["kind"] != "department"}
    return [
        *top,
        *_matrix(board, asked, units, names, held, lang, zone, now),
        *_listed(board, asked, {r["code"]: either(r, lang) for r in choices}, held, lang, zone, now),
        _chain(board, asked, as_of, held, lang),
        _planned(board, as_of, lang),
        duty_proposals.panel(
            board.rows("duty_proposals", as_of=as_of, most=PROPOSALS_SHOWN),
            board.rows("duty_decisions", most=DECISIONS_SHOWN),
            [r for r in choices if r["kind"] == "department"],
            asked,
            held,
            lang,
            today,
        ),
    ]


def _levels() -> tuple[str, ...]:
    """What the reader may see whole, from the widest on: a town's reader no district, a community's no town."""
    return LEVELS[{"district": 0, "town": 1}.get(current_caller().scope, 2) :]


def _within_reach(asked: Asked, places: list[str]) -> Asked:
    """What the reader has of what the address names: no other town or community, and nothing wider than his own."""
    widest = _levels()[0]
    level = asked.level if asked.level in _levels() else widest
    is_own = asked.within in places or (widest != "community" and not asked.within.endswith("000"))
    within = asked.within if is_own and level != "district" else ""
    if level == "cell" and not within:
        within = places[0]  # fifty thousand cells are no page
    return replace(asked, level=level, within=within)


def _no_town(query: str | None, asked: Asked) -> list[str]:
    within = Asked.of(query).within
    return [within] if within and within != asked.within and asked.level != "district" else []


def _before_records(board: Board, asked: Asked, as_of: datetime, zone: str, lang: Language) -> html.P | None:
    """Says that nothing is known of the day; no zero may stand there. None where something is."""
    since = next(
        (r["known_since"] for r in board.shared("known_since", kept_s=60) if r["lens"] == "duty"), None
    )
    if since is not None and as_of >= since:
        return None
    if since is None:
        said = t("matrix.no_record_at_all", lang)
    else:
        said = t("matrix.no_record", lang, day=asked.day, since=since.astimezone(ZoneInfo(zone)).date())
    return html.P(said, className="lead-note", role="status")


def _day_banner(asked: Asked, today: Any, lang: Language) -> list[Any]:
    if asked.day is None or asked.day == today:
        return []
    key = "matrix.past_day" if asked.day < today else "matrix.future_day"
    return [html.Div(t(key, lang, day=asked.day), className="matrix-day", role="status")]


def _filters(asked: Asked, places: list[Row], held: dict[str, str], lang: Language) -> html.Form:
    """The form whose fields are the address: looking again is an ordinary GET."""
    any_ = {"value": "", "label": t("audit.any", lang)}

    def choice(name: str, options: list[dict[str, str]], value: str) -> dmc.Select:
        return dmc.Select(
            name=name,
            label=t(f"matrix.{name}", lang),
            data=options,
            value=value,
            allowDeselect=False,
            size="xs",
            comboboxProps={"zIndex": 3000},
        )

    within = [any_, *[{"value": r["code"], "label": either(r, lang)} for r in places]]
    if asked.within and asked.within not in {r["code"] for r in places}:
        within.append({"value": asked.within, "label": asked.within})
    return html.Form(
        [
            choice(
                "level", [{"value": v, "label": t(f"level_name.{v}", lang)} for v in _levels()], asked.level
            ),
            choice("by", [{"value": v, "label": t(_BY[v], lang)} for v in BY], asked.by),
            choice("within", within, asked.within),
            choice(
                "state",
                [any_, *[{"value": s, "label": word("duty_state", s, lang)} for s in STATES]],
                asked.state,
            ),
            dmc.TextInput(
                name="day",
                label=t("matrix.day", lang),
                value=asked.day.isoformat() if asked.day else "",
                placeholder="YYYY-MM-DD",
                size="xs",
                autoComplete="off",
                attributes={"input": {"type": "date"}},
            ),
            html.Button(t("matrix.show", lang), type="submit", className="primary"),
            *[forms.hidden(name, value) for name, value in held.items()],
        ],
        action="/matrix",
        method="get",
        className="filters panel",
        role="search",
    )


def _matrix(
    board: Board,
    asked: Asked,
    units: list[Row],
    towns: dict[str, str],
    held: dict[str, str],
    lang: Language,
    zone: str,
    now: datetime,
) -> list[Any]:
    in_all = units[0]["in_all"] if units else 0
    file = csv_download.form(
        "matrix-file", "/export/duty.csv", lang, query=asked.plain().link({}).partition("?")[2]
    )
    tools = html.Div(
        [
            matrix_table.legend(lang),
            html.Span(t("matrix.units", lang, n=number(in_all)), className="total"),
            *([file] if file is not None else []),
        ],
        className="tools",
    )
    if not units:
        return [tools, html.Div(html.P(t("table.empty", lang), className="empty"), className="table-card")]
    asking = {k: v for k, v in asked.matrix(zone, now).items() if k != "state"}
    shown = sorted({u["unit_code"] or "-" for u in units})
    if asked.by == "department":
        entries = board.rows("duty_departments", **asking, units=shown)
        drawn = matrix_table.departments(units, entries, asked, held, lang, towns)
    else:
        drawn = matrix_table.types(units, board.rows("duty_types", **asking, units=shown), asked, held, lang)
    parts: list[Any] = [tools, html.Div(drawn, className="table-card matrix-grid", tabIndex=0)]
    if asked.by == "type" and in_all > matrix_table.UNITS_ACROSS:
        parts.append(html.P(t("matrix.units_across", lang, n=matrix_table.UNITS_ACROSS), className="quiet"))
    return [*parts, _pager(asked, "page", asked.page, in_all, UNITS_A_PAGE, held, lang, "")]


def _pager(
    asked: Asked,
    name: str,
    at: int,
    in_all: int,
    size: int,
    held: dict[str, str],
    lang: Language,
    anchor: str,
) -> html.Nav:
    """To the pages before and after; nothing where there is one page."""
    last = max(1, math.ceil(in_all / size))
    links: list[Any] = []
    if at > 1:
        to = asked.link(held, anchor, **{name: min(at - 1, last)})
        links.append(html.A(t("modes.prev", lang), href=to, className="plain as-link"))
    if last > 1:
        links.append(html.Span(t("modes.page", lang, n=at, all=last), className="quiet"))
    if at < last:
        links.append(
            html.A(
                t("modes.next", lang),
                href=asked.link(held, anchor, **{name: at + 1}),
                className="plain as-link",
            )
        )
    return html.Nav(links, className="ways")


def _listed(
    board: Board,
    asked: Asked,
    names: dict[str, str],
    held: dict[str, str],
    lang: Language,
    zone: str,
    now: datetime,
) -> list[Any]:
    """The sites or cells of a count that was followed. names: of towns and departments, by code."""
    if not asked.lists:
        return []
    values = asked.sites(zone, now) | {"most": LIST_A_PAGE, "skip": (asked.more - 1) * LIST_A_PAGE}
    if asked.listed == "no_grid_worker":
        found = board.rows("duty_cells", **values)
        drawn = matrix_list.cells(found, held, lang)
    else:
        found = board.rows("duty_sites", **values)
        drawn = matrix_list.sites(found, asked, held, lang)
    in_all = found[0]["in_all"] if found else 0
    query = asked.link({}, site=None, text="").partition("?")[2]
    file = csv_download.form("list-file", "/export/duty.csv", lang, query=query)
    head = html.Div(
        [
            html.H2(
                [
                    list_words(asked, names, lang),
                    " ",
                    html.Span(t("table.rows", lang, n=number(in_all)), className="total"),
                ]
            ),
            *([file] if file is not None else []),
            html.A(t("matrix.close_list", lang), href=asked.plain().link(held), className="plain as-link"),
        ],
        id="list",
        className="list-head",
    )
    return [head, drawn, _pager(asked, "more", asked.more, in_all, LIST_A_PAGE, held, lang, "list")]


def list_words(asked: Asked, names: dict[str, str], lang: Language) -> str:
    """What is listed, in words."""
    known = {"led": "matrix.led", "unsettled": "matrix.unsettled", "no_rule": "matrix.no_rule"}
    state = t(known[asked.listed], lang) if asked.listed in known else word("duty_state", asked.listed, lang)
    nowhere = t("matrix.no_town" if asked.level == "town" else "matrix.no_cell", lang)
    parts = [
        duty_proposals.industry_words(asked.industry, "", lang) if asked.industry else "",
        state if asked.listed else "",
        t("matrix.no_department", lang)
        if asked.department == "-"
        else names.get(asked.department, asked.department),
        t("matrix.no_rule", lang) if asked.rule == "-" else asked.rule,
        nowhere if asked.unit == "-" else names.get(asked.unit, asked.unit),
        names.get(asked.town, "") if asked.town != asked.unit else "",
    ]
    return " · ".join(part for part in parts if part)


def _chain(
    board: Board, asked: Asked, as_of: datetime | None, held: dict[str, str], lang: Language
) -> html.Section:
    chain = board.rows("duty_chain", id=asked.site, as_of=as_of) if asked.site is not None else []
    found = board.rows("duty_site_found", **wanted(asked.text)) if asked.text else []
    return matrix_list.chain_card(asked, chain, found, held, lang)


def _planned(board: Board, as_of: datetime | None, lang: Language) -> Any:
    return matrix_list.planned(
        board.rows("duty_planned", as_of=as_of, most=PLANNED_SHOWN), lang
    ) or html.Span(hidden=True)
