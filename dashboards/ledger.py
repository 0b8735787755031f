"""The ledger of a day: hours across, places down, the share of due looks that saw a picture; what is not known is hatched."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode
from zoneinfo import ZoneInfo

import dash_mantine_components as dmc
import psycopg
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from psycopg_pool import PoolTimeout

from dashboards import csv_download, shell
from dashboards.board import Board, Row, number
from dashboards.state import ViewState
from dashboards.texts import Language, either, t, word

KINDS = ("town", "site", "key_risk_area", "camera")
# The worst come first; whoever needs all of them reads analysis.watched.
PLACES_SHOWN, CAMERAS_SHOWN = 100, 50
# Camera-hours by answer, as analysis.watched counts them.
STATES = ("looked", "partly", "blind", "not_due", "not_connected", "not_known")
# Shares from which a cell is of the class.
CLASSES = ((1.0, "all"), (0.95, "most"), (0.5, "some"), (1e-9, "few"))


def layout(state: ViewState, board: Board) -> html.Div:
    """The page."""
    lang = state.lang
    city = board.city()
    if city is None:
        return shell.frame(state, "/ledger", city, [shell.notice(t("app.no_city", lang))])
    today = datetime.now(ZoneInfo(city["timezone"])).date().isoformat()
    towns = [{"value": r["code"], "label": either(r, lang)} for r in board.shared("ledger_towns")]
    body = [
        html.Main(
            [
                html.H1(t("ledger.title", lang)),
                html.P(t("ledger.lead", lang), className="lead"),
                html.Div(
                    [
                        dmc.DatePickerInput(
                            id="ledger-day",
                            value=today,
                            maxDate=today,
                            valueFormat="YYYY-MM-DD",
                            clearable=False,
                            size="xs",
                            w=130,
                            **{"aria-label": t("ledger.day", lang)},
                        ),
                        dmc.SegmentedControl(
                            id="ledger-kind",
                            value="town",
                            data=[{"value": kind, "label": t(f"ledger.{kind}", lang)} for kind in KINDS],
                            size="xs",
                        ),
                        dmc.Select(
                            id="ledger-town",
                            data=towns,
                            placeholder=t("ledger.every_town", lang),
                            clearable=True,
                            size="xs",
                            w=150,
                            **{"aria-label": t("ledger.in_town", lang)},
                        ),
                        html.Span(id="ledger-total", className="total"),
                        csv_download.form("ledger-file", "/export/ledger.csv", lang),
                    ],
                    className="tools",
                ),
                html.Div(id="ledger-grid", className="table-card ledger-grid"),
                legend(lang),
                html.Section(
                    html.P(t("ledger.choose", lang), className="empty"),
                    id="ledger-cell",
                    className="card panel ledger-cell",
                    **{"aria-live": "polite"},
                ),
            ],
            className="table-page",
        ),
        dcc.Store(id="ledger-rows"),
        dcc.Store(id="ledger-chosen"),
        dcc.Store(id="ledger-drawn"),
        dcc.Store(id="page-state", data={"lang": lang, "zone": city["timezone"]}),
    ]
    return shell.frame(state, "/ledger", city, body)


def legend(lang: Language) -> html.Ul:
    """What the fields mean."""
    names = ("all", "most", "some", "few", "none", "not_due", "not_connected", "not_known")
    return html.Ul(
        [
            html.Li([html.I(className=f"ledger-field {name}"), html.Span(t(f"ledger_field.{name}", lang))])
            for name in names
        ],
        className="ledger-legend",
    )


def field(row: Row | None) -> tuple[str, str]:
    """Class and text of one field: the share in whole per cent, rounded down; without a share why there is none."""
    if row is None:
        return "future", ""
    share = row["watched_share"]
    if share is None:
        # Of several answers the one that says least.
        return next((s for s in ("not_known", "not_connected", "not_due") if row[s]), "not_known"), ""
    name = next((name for least, name in CLASSES if share >= least), "none")
    return name, str(int(share * 100))


def span(day: str, zone: str) -> tuple[datetime, datetime]:
    """A day of the city from midnight to midnight, in UTC. Raises ValueError where `day` is no date."""
    date = datetime.fromisoformat(day).date()
    first, last = (
        datetime(d.year, d.month, d.day, tzinfo=ZoneInfo(zone)) for d in (date, date + timedelta(days=1))
    )
    return first.astimezone(UTC), last.astimezone(UTC)


def hours_of(since: datetime, until: datetime) -> list[datetime]:
    """The hours of a day: 24, but for a change of the clock."""
    return [since + timedelta(hours=n) for n in range(int((until - since).total_seconds() // 3600))]


def grid(rows: list[Row], kind: str, hours: list[datetime], zone: str, lang: Language) -> dict[str, Any]:
    """Head and lines for the browser's grid: places with the least share first, those without any answer last."""
    places: dict[str, dict[datetime, Row]] = {}
    for row in rows:
        places.setdefault(row["place"], {})[row["starts"].astimezone(UTC)] = row
    lines = []
    for place, found in places.items():
        due = sum(r["due"] or 0 for r in found.values())
        seen = sum(r["observed"] or 0 for r in found.values())
        any_row = next(iter(found.values()))
        name = either(any_row, lang) or t("ledger.no_place", lang)
        fields = [(hour, *field(found.get(hour)), found.get(hour)) for hour in hours]
        lines.append(
            {
                "rank": seen / due if due else 2.0,
                "place": place,
                "name": name,
                "code": any_row["gb_id"] if kind == "camera" else "",
                "share": f"{int(seen / due * 100)} %" if due else "—",
                "connected": _connected(found[max(found)]),
                "fields": [
                    {
                        "hour": hour.isoformat(),
                        "kind": name_of,
                        "text": text,
                        "blind": bool(row and row["blind"] and row["watched_share"]),
                        "title": _title(name, hour, name_of, text, zone, lang),
                    }
                    for hour, name_of, text, row in fields
                ],
            }
        )
    lines.sort(key=lambda line: (line["rank"], line["place"]))
    return {
        "head": [t(f"ledger.{kind}", lang), t("ledger.whole_day", lang), t("ledger.connected", lang)],
        "hours": [hour.astimezone(ZoneInfo(zone)).strftime("%H") for hour in hours],
        "lines": lines[:PLACES_SHOWN],
        "total": len(lines),
        "empty": t("table.empty", lang),
    }


def _connected(row: Row) -> str:
    """`7/45`: of how many cameras a share speaks; `?` where the record does not say."""
    cameras = sum(row[state] for state in STATES)
    connected = sum(row[state] for state in ("looked", "partly", "blind", "not_due"))
    return f"?/{number(cameras)}" if row["not_known"] else f"{number(connected)}/{number(cameras)}"


def _title(name: str, hour: datetime, kind: str, text: str, zone: str, lang: Language) -> str:
    if kind == "future":
        return ""
    clock = hour.astimezone(ZoneInfo(zone)).strftime("%H:%M")
    return f"{name} {clock}: " + (f"{text} %" if text else t(f"ledger_field.{kind}", lang))


def cell(row: Row | None, cameras: list[Row], hour: datetime, zone: str, lang: Language) -> list[Any]:
    """One field, told in full: how many looks, why not the others, and through which cameras."""
    if row is None:
        return [html.P(t("ledger.choose", lang), className="empty")]
    at = hour.astimezone(ZoneInfo(zone))
    name = either(row, lang) or t("ledger.no_place", lang)
    heading = f"{name} · {at:%Y-%m-%d %H:%M}–{at + timedelta(hours=1):%H:%M}"
    share = "—" if row["watched_share"] is None else f"{int(row['watched_share'] * 100)} %"
    looks = t("ledger.looks", lang, share=share, due=number(row["due"]), observed=number(row["observed"]))
    answers = [f"{t(f'ledger_state.{s}', lang)} {number(row[s])}" for s in STATES if row[s]]
    parts: list[Any] = [html.H2(heading), html.P(looks), html.P(" · ".join(answers), className="lead")]
    if row["reasons"]:
        why = sorted(row["reasons"].items(), key=lambda pair: -pair[1])
        parts.append(html.H3(t("ledger.why", lang)))
        parts.append(
            html.Ul(
                [html.Li([html.Span(word("reason", r, lang)), html.B(number(n))]) for r, n in why],
                className="ledger-why",
            )
        )
    if cameras:
        parts.append(html.H3(t("ledger.cameras", lang)))
        parts.append(html.Ul([_camera(r, lang) for r in cameras], className="ledger-cameras"))
    if len(cameras) == CAMERAS_SHOWN:
        parts.append(html.P(t("ledger.first", lang, n=CAMERAS_SHOWN), className="lead"))
    return parts


def _camera(row: Row, lang: Language) -> html.Li:
    why = sorted(row["reasons"].items(), key=lambda pair: -pair[1])
    told = "、" if lang == "zh" else ", "
    said = told.join(f"{word('reason', r, lang)} {number(n)}" for r, n in why)
    seen = "" if row["due"] is None else f"{number(row['observed'])}/{number(row['due'])}"
    return html.Li(
        [
            html.Button(
                row["name_zh"],
                className="link",
                type="button",
                **shell.data(select=f"camera:{row['camera_id']}"),
            ),
            html.Span(t(f"ledger_state.{row['state']}", lang)),
            html.Span(seen, className="n"),
            html.Small(said),
        ]
    )


def register(app: Dash, board: Board) -> None:
    """Callbacks of the page."""

    @app.callback(
        Output("ledger-rows", "data"),
        Output("ledger-total", "children"),
        Input("ledger-day", "value"),
        Input("ledger-kind", "value"),
        Input("ledger-town", "value"),
        State("page-state", "data"),
    )
    def show(day: str, kind: str, town: str | None, page: dict[str, Any]) -> Any:
        if not day or kind not in KINDS:
            return no_update, no_update
        lang: Language = page["lang"]
        try:
            since, until = span(day, page["zone"])
            moment = datetime.now(UTC)
            rows = board.rows(
                "ledger", kind=kind, since=since, until=until, moment=moment, town=town, place=None
            )
        except ValueError:
            return no_update, no_update
        except (psycopg.Error, PoolTimeout):
            return no_update, t("app.no_database", lang)
        shown = grid(rows, kind, hours_of(since, until), page["zone"], lang)
        total = t("ledger.count", lang, n=number(len(shown["lines"])), all=number(shown["total"]))
        return shown, total

    @app.callback(
        Output("ledger-cell", "children"),
        Input("ledger-chosen", "data"),
        Input("ledger-rows", "data"),
        State("ledger-kind", "value"),
        State("ledger-town", "value"),
        State("page-state", "data"),
    )
    def tell(chosen: dict[str, str] | None, _: Any, kind: str, town: str | None, page: dict[str, Any]) -> Any:
        lang: Language = page["lang"]
        if not chosen or chosen.get("kind") != kind or kind not in KINDS:
            return cell(None, [], datetime.now(UTC), page["zone"], lang)
        try:
            hour = datetime.fromisoformat(chosen["hour"])
            asked = {"kind": kind, "place": chosen["place"], "town": town, "moment": datetime.now(UTC)}
            found = board.rows("ledger", since=hour, until=hour + timedelta(hours=1), **asked)
            cameras = board.rows("ledger_cameras", hour=hour, limit=CAMERAS_SHOWN, **asked)
        except (ValueError, KeyError):
            return no_update
        except (psycopg.Error, PoolTimeout):
            return html.P(t("app.no_database", lang))
        return cell(found[0] if found else None, cameras, hour, page["zone"], lang)

    # A link to a day of the ledger (from /coverage) names it in the address.
    @app.callback(Output("ledger-day", "value"), Input("address", "search"), State("page-state", "data"))
    def open_day(query: str | None, page: dict[str, Any]) -> Any:
        asked = parse_qs((query or "").lstrip("?")).get("day", [""])[0]
        try:
            day = date.fromisoformat(asked)
        except ValueError:
            return no_update
        today = datetime.now(ZoneInfo(page["zone"])).date()
        return day.isoformat() if date(2000, 1, 1) <= day <= today else no_update

    # The file follows the page's choices; where the role has no button, nothing is asked of this callback.
    @app.callback(
        Output("ledger-file", "data-query"),
        Input("ledger-day", "value"),
        Input("ledger-kind", "value"),
        Input("ledger-town", "value"),
    )
    def choose_file(day: str, kind: str, town: str | None) -> str:
        return urlencode({"day": day, "kind": kind} | ({"town": town} if town else {}))

    app.clientside_callback(
        ClientsideFunction("geoapp", "ledgerGrid"),
        Output("ledger-drawn", "data"),
        Input("ledger-rows", "data"),
        State("ledger-kind", "value"),
    )
