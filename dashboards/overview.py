"""The first page: the map under one of three lenses, the figures, the leads, the towns."""

import contextlib
from datetime import datetime
from typing import Any

import dash_mantine_components as dmc
import psycopg
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from psycopg_pool import PoolTimeout

from dashboards import drawer, search, shell
from dashboards.board import Board, Row, clock, number
from dashboards.day_bar import chosen_day, day_banner
from dashboards.legends import firm_legend, legend
from dashboards.map_area import map_area
from dashboards.past_day import PastDay
from dashboards.state import ViewState
from dashboards.texts import Language, either, t, word
from geoapp.access.caller import caller_or_none
from layers.asked import aware
from layers.rows_query import NOW, Span

_AWAY = (psycopg.Error, PoolTimeout)


def layout(state: ViewState, board: Board) -> html.Div:
    """The page for a state; the panels fill themselves by callbacks."""
    lang = state.lang
    city = board.city()
    if city is None or city["west"] is None:
        return shell.frame(state, "/", city, [shell.notice(t("app.no_city", lang))])
    past = chosen_day(state.day, board, city["timezone"])
    body = [
        day_banner(past, lang),
        html.Section(id="figures", className="figures", **{"aria-label": t("figures.title", lang)}),
        html.Main(
            [
                html.Div(map_area(state, city, past), className="map-area"),
                _rail(state),
                html.Aside(
                    id="drawer",
                    className="drawer",
                    tabIndex="-1",
                    **{"aria-live": "polite", "aria-label": t("drawer.cell", lang)},
                ),
            ],
            className="stage",
        ),
        # What the browser tells: a lead came (live), something may have changed (slow), what is selected, counts of a lens.
        dcc.Store(id="live-tick"),
        dcc.Store(id="slow-tick"),
        dcc.Store(id="selection"),
        dcc.Store(id="lens-counts"),
        dcc.Store(id="fly-to"),
        dcc.Store(id="ignored"),
        dcc.Store(id="page-state", data={"lang": lang, "zone": city["timezone"], **past.told()}),
        html.I(id="live-tick-mark", hidden=True),
        html.I(id="slow-tick-mark", hidden=True),
    ]
    return shell.frame(state, "/", city, body, search.box(lang))


def _as_of(page: dict[str, Any]) -> datetime | None:
    """The moment that the page speaks of; None = now."""
    moment = page.get("as_of")
    return datetime.fromisoformat(moment) if moment else None


def _window(selection: dict[str, Any]) -> Span:
    """The map's window, of what adds one up; without limits where none was told, or none that can be read."""
    try:
        since, until = (
            aware(datetime.fromisoformat(str(selection[end]))) if selection.get(end) else None
            for end in ("from", "to")
        )
    except ValueError:
        return NOW
    return Span(since=since, until=until)


def scope() -> str:
    """The caller's scope: district, town, community or site."""
    caller = caller_or_none()
    return "district" if caller is None else caller.scope


def is_part() -> bool:
    """Whether the caller sees a part of the district: no figure here speaks of the rest."""
    return scope() != "district"


def _sees_towns() -> bool:
    # Totals of a town are told to whoever sees all of it.
    return scope() in ("district", "town")


def _rail(state: ViewState) -> html.Aside:
    lang = state.lang
    towns = [dmc.TabsTab(t("rail.towns", lang), value="towns")] if _sees_towns() else []
    return html.Aside(
        dmc.Tabs(
            [
                dmc.TabsList(
                    [
                        dmc.TabsTab(
                            [t("rail.incidents", lang), html.Span(id="incident-count", className="count")],
                            value="incidents",
                        ),
                        *towns,
                    ]
                ),
                dmc.TabsPanel(
                    [
                        html.P(t("rail.lead_note", lang), className="rail-note"),
                        html.Div(id="incident-list", className="incident-list"),
                    ],
                    value="incidents",
                ),
                dmc.TabsPanel(html.Div(id="town-list", className="town-list"), value="towns"),
            ],
            id="rail-tabs",
            value="incidents",
            className="rail-tabs",
        ),
        className="rail",
        id="rail",
    )


# --- panels ----------------------------------------------------------------------------------------------------------


def figures(head: dict[str, Row], lang: Language, zone: str, *, part: bool = False) -> list[Any]:
    """The strip of figures, each with its denominator; a missing figure is said to be unknown.

    part: they are of a part of the district, and what is missing is not known to this account.
    """

    def value(name: str) -> float | None:
        row = head.get(name)
        return None if row is None else row["value"]

    def tile(name: str, label: str, shown: str, note: str, tone: str, lens: str | None = None) -> html.Div:
        hint = {}
        if part and head and value(name) is None:
            shown, note, tone = "—", t("scope.unknown", lang), "plain"
            hint = {"title": t("scope.unknown_why", lang)}
        return html.Div(
            [
                html.Span(label, className="label"),
                html.Span([html.B(shown), html.Small(note)], className="value"),
            ],
            className=f"figure tone-{tone}",
            **hint,
            **shell.data(figure=name, value="" if value(name) is None else value(name), lens=lens or ""),
        )

    declared = number(value("ground_declared_no_cell_km2"), 2)
    under, open_now = value("key_risk_area_seen_under_60"), value("incidents_open")
    as_of = next(iter(head.values()))["as_of"] if head else None
    return [
        tile(
            "incidents_open",
            t("figures.incidents_own" if part else "figures.incidents", lang),
            number(open_now),
            t(
                "figures.unreviewed",
                lang,
                n=number(value("incidents_unreviewed")),
                today=number(value("incidents_today")),
            ),
            "alarm" if open_now else "plain",
        ),
        tile(
            "cells_red",
            t("figures.cells", lang),
            f"{number(value('cells_red'))} / {number(value('cells_orange'))}",
            t("figures.of_cells", lang, n=number(value("cells_total"))),
            "red" if value("cells_red") else "plain",
        ),
        tile(
            "key_risk_area_seen_under_60",
            t("figures.kra", lang),
            number(under),
            t("figures.of_areas", lang, n=number(value("key_risk_area_total"))),
            "gap" if under else "plain",
        ),
        tile(
            "ground_in_no_cell_km2",
            t("figures.ground", lang),
            number(value("ground_in_no_cell_km2"), 2),
            t("figures.declared", lang, n=declared),
            "gap" if value("ground_in_no_cell_km2") else "plain",
        ),
        tile(
            "sites_without_confirmed_lead",
            t("figures.lead", lang),
            number(value("sites_without_confirmed_lead")),
            t("figures.of_sites", lang, n=number(value("sites_total"))),
            "duty" if value("sites_without_confirmed_lead") else "plain",
        ),
        tile(
            "cameras_online",
            t("figures.cameras", lang),
            number(value("cameras_online")),
            t(
                "figures.of_cameras",
                lang,
                connected=number(value("cameras_connected")),
                total=number(value("cameras_total")),
            ),
            "plain",
        ),
        html.Div(
            [html.Span(t("figures.as_of", lang)), html.B(clock(as_of, zone, seconds=True, year=False))],
            className="as-of",
        ),
    ]


def incident_list(
    rows: list[Row], head: dict[str, Row], lang: Language, zone: str, area: str = "", *, then: bool = False
) -> list[Any]:
    """Open leads, then those of the last day. area: the name of the part of the district that they are of, "" for all. then: as they
    stood at a past moment; how many cameras look now says nothing of it."""
    live = [r for r in rows if r["state"] != "closed"]
    past = [r for r in rows if r["state"] == "closed"]
    out: list[Any] = []
    if live:
        out.append(html.H3([t("rail.open", lang), html.Span(str(len(live)))]))
        out += [_incident_row(r, lang, zone, area) for r in live]
    elif then:
        out.append(html.P(t("rail.none_then", lang), className="empty"))
    else:
        online, total = head.get("cameras_online"), head.get("cameras_total")
        out.append(
            html.P(
                t(
                    "rail.none_own" if area else "rail.none",
                    lang,
                    area=area,
                    observed=number(online["value"] if online else None),
                    total=number(total["value"] if total else None),
                ),
                className="empty",
            )
        )
    if past:
        out.append(
            html.H3([t("rail.recent_then" if then else "rail.recent", lang), html.Span(str(len(past)))])
        )
        out += [_incident_row(r, lang, zone, area) for r in past]
    return out


def _incident_row(row: Row, lang: Language, zone: str, area: str) -> html.Button:
    place = row["key_risk_area_zh"] or row["site_name_zh"] or row["camera_name_zh"]
    # Seen from the own area but placed beyond its border: in the list, not in the strip's number.
    town = either(row, lang, "town") or (t("rail.beyond", lang) if area and scope() != "site" else "")
    picture: Any = html.Span(className="thumb none")
    if row["evidence_id"] and drawer.may("look_at_evidence"):
        picture = html.Img(src=f"/evidence/{row['evidence_id']}.jpg", className="thumb", alt="")
    return html.Button(
        [
            picture,
            html.Span(
                [
                    html.Span(
                        [
                            html.I(className=f"dot {row['class']}"),
                            html.B(word("class", row["class"], lang)),
                            html.Small(f"#{row['incident_no']}"),
                            html.Time(
                                clock(row["first_seen_at"], zone, day=row["state"] == "closed", year=False)
                            ),
                        ],
                        className="line",
                    ),
                    html.Span(place, className="place"),
                    html.Span(
                        [
                            html.Span(
                                word("state", row["state"], lang), className=f"tag state-{row['state']}"
                            ),
                            html.Span(
                                word("review", row["review"], lang), className=f"tag review-{row['review']}"
                            ),
                            html.Small(" · ".join([*([town] if town else []), f"{row['peak_score']:.2f}"])),
                        ],
                        className="line tags",
                    ),
                ],
                className="about",
            ),
        ],
        className=f"incident-row {row['state']}",
        type="button",
        **shell.data(select=f"incident:{row['id']}"),
    )


def town_list(rows: list[Row], lang: Language) -> list[Any]:
    """The ranking of towns; a click goes there."""
    columns = ["name", "red_orange", "gaps", "duty", "cameras", "incidents"]
    body = []
    for row in rows:
        box = (
            ",".join(f"{row[k]:.5f}" for k in ("west", "south", "east", "north"))
            if row["west"] is not None
            else ""
        )
        body.append(
            html.Tr(
                [
                    html.Td(
                        html.Button(either(row, lang), type="button", className="link", **shell.data(fly=box))
                    ),
                    html.Td(
                        [
                            html.B(number(row["red_cells"]), className="red"),
                            " / ",
                            html.Span(number(row["orange_cells"]), className="orange"),
                        ]
                    ),
                    html.Td(number(row["coverage_gaps"])),
                    html.Td(number(row["duty_gap_sites"])),
                    html.Td(f"{number(row['cameras_online'])}/{number(row['cameras'])}"),
                    html.Td(number(row["open_incidents"])),
                ]
            )
        )
    return [
        html.P(t("town.note", lang), className="rail-note"),
        html.Table(
            [
                html.Thead(html.Tr([html.Th(t(f"town.{c}", lang), scope="col") for c in columns])),
                html.Tbody(body),
            ],
            className="plain-table",
        ),
    ]


# Figures and columns of towns that follow from a lens: not known where the lens is not.
_FIGURES_OF = {
    "risk": ("cells_red", "cells_orange"),
    "coverage": (
        "incidents_open", "incidents_unreviewed", "incidents_today", "key_risk_area_seen_under_60", "cameras_online",
        "cameras_connected",
    ),
    "duty": ("sites_without_confirmed_lead",),
}  # fmt: skip
_COLUMNS_OF = {
    "risk": ("red_cells", "orange_cells"),
    "coverage": ("coverage_gaps", "cameras_online", "open_incidents"),
    "duty": ("duty_gap_sites",),
}


def _headline(board: Board, page: dict[str, Any]) -> dict[str, Row]:
    """The figures of now or of a past moment, by name; those that nobody recorded by then have no value."""
    as_of = _as_of(page)
    if as_of is None:
        return board.headline()
    blank = {name for lens in page.get("unknown") or () for name in _FIGURES_OF.get(lens, ())}
    rows = board.rows("headline_at", as_of=as_of)
    return {row["name"]: row | ({"value": None} if row["name"] in blank else {}) for row in rows}


def _towns(board: Board, page: dict[str, Any]) -> list[Row]:
    """The towns of now or of a past moment; what nobody recorded by then is empty."""
    as_of = _as_of(page)
    if as_of is None:
        return board.shared("town_list")
    blank = {name: None for lens in page.get("unknown") or () for name in _COLUMNS_OF.get(lens, ())}
    return [row | blank for row in board.rows("town_list_at", as_of=as_of)]


# --- callbacks -------------------------------------------------------------------------------------------------------


def register(app: Dash, board: Board) -> None:
    """Callbacks of the page. Where the database is away, panels keep what they show; the banner says since when."""

    @app.callback(Output("figures", "children"), Input("slow-tick", "data"), State("page-state", "data"))
    def show_figures(_: Any, page: dict[str, Any]) -> Any:
        try:
            return figures(_headline(board, page), page["lang"], page["zone"], part=is_part())
        except _AWAY:
            return no_update

    @app.callback(
        Output("incident-list", "children"),
        Output("incident-count", "children"),
        Input("live-tick", "data"),
        Input("slow-tick", "data"),
        State("page-state", "data"),
    )
    def show_incidents(_: Any, __: Any, page: dict[str, Any]) -> Any:
        try:
            as_of = _as_of(page)
            rows = board.rows("incident_list_at", as_of=as_of) if as_of else board.rows("incident_list")
            is_calm = not any(r["state"] != "closed" for r in rows)
            head = board.headline() if is_calm and as_of is None else {}
            live = sum(r["state"] != "closed" for r in rows)
            caller = caller_or_none()
            area = shell.area_words(caller, board.city(), page["lang"]) if caller and is_part() else ""
            if as_of is not None and not rows and "coverage" in (page.get("unknown") or ()):
                return html.P(t("rail.not_known", page["lang"]), className="empty"), "—"
            made = incident_list(rows, head, page["lang"], page["zone"], area, then=as_of is not None)
            return made, str(live)
        except _AWAY:
            return no_update, no_update

    @app.callback(Output("town-list", "children"), Input("slow-tick", "data"), State("page-state", "data"))
    def show_towns(_: Any, page: dict[str, Any]) -> Any:
        if not _sees_towns():
            return []
        try:
            return town_list(_towns(board, page), page["lang"])
        except _AWAY:
            return no_update

    @app.callback(
        Output("legend", "children"),
        Output("lens-question", "children"),
        Input("lens-counts", "data"),
        Input("lens", "value"),
        Input("slow-tick", "data"),
        State("page-state", "data"),
    )
    def show_legend(counts: dict[str, Any] | None, lens: str, _: Any, page: dict[str, Any]) -> Any:
        if scope() == "site":
            return firm_legend(page["lang"]), ""
        head: dict[str, Row] = {}
        if lens == "coverage":
            with contextlib.suppress(*_AWAY):
                head = _headline(board, page)
        return (
            legend(counts, lens, page["lang"], page["zone"], head, part=is_part()),
            t(f"lens.{lens}_question", page["lang"]),
        )

    @app.callback(
        Output("drawer", "children"),
        Output("fly-to", "data"),
        Input("selection", "data"),
        State("page-state", "data"),
    )
    def show_drawer(selection: dict[str, Any] | None, page: dict[str, Any]) -> Any:
        if not selection:
            return [], no_update
        try:
            children, place = drawer.content(
                board,
                selection["kind"],
                selection["id"],
                page["lang"],
                page["zone"],
                _as_of(page),
                _window(selection),
                page.get("unknown") or (),
            )
            children += drawer.also(selection.get("also") or [], page["lang"])
        except _AWAY:
            return drawer.failed(page["lang"]), no_update
        return children, place if selection.get("fly") and place else no_update

    @app.callback(
        Output("page-state", "data"),
        Output("day-banner", "children"),
        Output("day-banner", "className"),
        Output("day-banner", "hidden"),
        Input("day", "value"),
        State("page-state", "data"),
        prevent_initial_call=True,
    )
    def choose_day(day: str | None, page: dict[str, Any]) -> Any:
        try:
            past = chosen_day(day, board, page["zone"])
        except _AWAY:
            # The map stays where it is; that the other day was not reached is said.
            banner = day_banner(PastDay(refused="day.away"), page["lang"])
            return no_update, banner.children, banner.className, banner.hidden
        banner = day_banner(past, page["lang"])
        return page | past.told(), banner.children, banner.className, banner.hidden

    app.clientside_callback(
        ClientsideFunction("geoapp", "past"),
        Output("ignored", "data", allow_duplicate=True),
        Input("page-state", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("geoapp", "lens"), Output("ignored", "data"), Input("lens", "value")
    )
    app.clientside_callback(
        ClientsideFunction("geoapp", "layers"),
        Output("ignored", "data", allow_duplicate=True),
        Input("layers", "value"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("geoapp", "fly"),
        Output("ignored", "data", allow_duplicate=True),
        Input("fly-to", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("geoapp", "opened"),
        Output("ignored", "data", allow_duplicate=True),
        Input("selection", "data"),
        prevent_initial_call=True,
    )
