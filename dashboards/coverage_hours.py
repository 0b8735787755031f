"""Who was blind at an hour: a strip of the day, the areas that were not seen and why, shares of towns. Drawn, observed and not
known are three figures; they are never added up."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from dash import html

from dashboards.board import Board, Row, number
from dashboards.coverage_asked import Asked, clock_span
from dashboards.ledger import hours_of
from dashboards.own_account import row, table
from dashboards.texts import Language, either, t, word
from geoapp.access.caller import Caller

AREAS_SHOWN, CAMERAS_SHOWN = 20, 3
# From the bottom of a column up.
VERDICTS = ("seen", "not_known", "not_covered", "blind")


def section(board: Board, asked: Asked, caller: Caller, now: datetime, lang: Language) -> list[Any]:
    """The part of the page for the chosen day and hour."""
    since, until = asked.span
    town = asked.town or None
    by_hour = {
        r["hour"]: r for r in board.rows("coverage_hours", since=since, until=until, moment=now, town=town)
    }
    an_hour = {"since": asked.at, "until": asked.at + timedelta(hours=1), "moment": now, "town": town}
    blind = board.rows("coverage_blind", at=asked.at, moment=now, town=town, most=AREAS_SHOWN)
    shares = board.rows("coverage_shares", **an_hour)
    basis = board.rows("coverage_basis", moment=now)
    said = f"{asked.day} {clock_span(asked.at, asked.zone)}"
    chosen = by_hour.get(asked.at)
    unread = [t("coverage.unread", lang, text=text) for text in asked.unread]
    return [
        *[html.P(text, className="lead-note") for text in unread],
        html.H2(t("coverage.who_was_blind", lang, when=said)),
        html.P(_sentence(chosen, asked, now, lang), className="coverage-sentence"),
        strip(hours_of(since, until), by_hour, asked, now, lang),
        *([legend(share(chosen["rule"]), lang)] if chosen else []),
        basis_list(basis, lang),
        *([html.H3(t("coverage.unseen_areas", lang)), *_areas(blind, asked, lang)] if chosen else []),
        html.H3(t("coverage.ground_of_towns", lang)),
        html.P(t("coverage.three_figures", lang), className="lead"),
        *_shares(shares, lang),
    ]


def _sentence(r: Row | None, asked: Asked, now: datetime, lang: Language) -> list[Any] | str:
    if r is None:
        return t("coverage.no_areas", lang)
    said: list[Any] = [t("coverage.of_areas", lang, n=number(r["areas"])), " "]
    for n, name in enumerate(reversed(VERDICTS)):
        between = ("，" if lang == "zh" else ", ") if n else ""
        said += [between, html.B(number(r[name])), f" {word('verdict', name, lang)}"]
    running = asked.at + timedelta(hours=1) > now
    return [*said, t("coverage.running", lang) if running else ""]


def strip(
    hours: list[datetime], by_hour: dict[datetime, Row], asked: Asked, now: datetime, lang: Language
) -> html.Nav:
    """A column an hour, as high as its areas; a click chooses the hour. An hour that has not come stays empty."""
    columns: list[Any] = []
    for hour in hours:
        clock = hour.astimezone(ZoneInfo(asked.zone)).strftime("%H")
        r = by_hour.get(hour)
        if r is None or hour >= now:
            name = t("coverage.not_come" if hour >= now else "coverage.no_areas", lang)
            columns.append(
                html.Span([html.Span(className="bar none"), html.Small(clock)], className="hour", title=name)
            )
            continue
        said = " · ".join(f"{word('verdict', v, lang)} {number(r[v])}" for v in VERDICTS if r[v])
        title = f"{clock_span(hour, asked.zone)} {said}"
        here = hour == asked.at
        parts = [
            html.I(className=f"cover {v}", style={"height": f"{100 * r[v] / r['areas']:.2f}%"})
            for v in reversed(VERDICTS)
            if r[v]
        ]
        columns.append(
            html.A(
                [html.Span(parts, className="bar"), html.Small(clock)],
                href=asked.link(day=asked.day.isoformat(), at=hour.isoformat()),
                className="hour" + (" here" if here else ""),
                title=title,
                **{"aria-label": title} | ({"aria-current": "true"} if here else {}),
            )
        )
    return html.Nav(columns, className="hour-strip", **{"aria-label": t("coverage.strip", lang)})


def legend(rule: str, lang: Language) -> html.Ul:
    """What the columns mean; rule: the share of an area that must be seen."""
    return html.Ul(
        [
            html.Li([html.I(className=f"cover {v}"), html.Span([html.B(word("verdict", v, lang)), " ", t(f"coverage_means.{v}", lang, share=rule)])])
            for v in reversed(VERDICTS)
        ],
        className="coverage-legend",
    )  # fmt: skip


def basis_list(rows: list[Row], lang: Language) -> html.Div:
    """What the figures lack, plainly; all that they rest on, on demand."""
    lacking = [html.Li(either(r, lang, "said")) for r in rows if r["is_lacking"]]
    rest = [html.Li(either(r, lang, "said")) for r in rows if not r["is_lacking"]]
    return html.Div(
        [
            html.Ul(lacking, className="lacking"),
            html.Details([html.Summary(t("coverage.basis", lang, n=len(lacking))), html.Ul(rest)]),
        ],
        className="coverage-basis",
    )


def share(value: float | None) -> str:
    """Whole per cent, rounded down; a figure that is missing is no 0."""
    return "—" if value is None else f"{int(100 * value + 1e-9)} %"


def _areas(rows: list[Row], asked: Asked, lang: Language) -> list[Any]:
    if not rows:
        return [html.P(t("coverage.none_unseen", lang), className="empty")]
    names = [t(f"coverage.{n}", lang) for n in ("area", "verdict", "drawn", "observed", "not_known", "cameras")]  # fmt: skip
    body = [
        row(
            names,
            [
                area_name(r, lang),
                html.Span(word("verdict", r["verdict"], lang), className=f"tag verdict-{r['verdict']}"),
                share(r["drawn_fraction"]),
                share(r["observed_fraction"]),
                share(r["not_known_fraction"]),
                _why(r["why"], lang),
            ],
        )
        for r in rows
    ]
    said = t("coverage.shown_of", lang, n=number(len(rows)), all=number(rows[0]["in_all"]))
    ledger = html.A(
        t("coverage.to_ledger", lang),
        href=f"/ledger?lang={lang}&day={asked.day}" + (f"&theme={asked.theme}" if asked.theme else ""),
    )
    return [html.Div(table(names, body), className="table-card coverage-areas"), html.P([said, " · ", ledger], className="quiet")]  # fmt: skip


def area_name(r: Row, lang: Language, key: str = "area_id") -> html.Div:
    """An area's name, which leads to the map; its level and town."""
    where = " · ".join(x for x in (word("level", r["level"], lang), either(r, lang, "town")) if x)
    link = html.A(either(r, lang) or r["code"], href=f"/?lang={lang}&lens=coverage&selected=key_risk_area:{r[key]}", className="link")  # fmt: skip
    return html.Div([link, html.Br(), html.Small(where)])


def _why(cameras: list[dict[str, Any]], lang: Language) -> Any:
    if not cameras:
        return html.Span(t("coverage.no_camera", lang), className="quiet")
    lines: list[Any] = []
    for camera in cameras[:CAMERAS_SHOWN]:
        reasons = sorted((camera["reasons"] or {}).items(), key=lambda pair: -pair[1])
        told = ", ".join(f"{word('reason', r, lang)} {number(n)}" for r, n in reasons[:2])
        said = word("ledger_state", camera["state"], lang) + (f": {told}" if told else "")
        link = html.A(camera["name"] or camera["gb_id"], href=f"/?lang={lang}&selected=camera:{camera['id']}", className="link")  # fmt: skip
        lines.append(html.Li([link, " ", html.Small(said)]))
    more = len(cameras) - CAMERAS_SHOWN
    if more > 0:
        lines.append(html.Li(t("coverage.more_cameras", lang, n=more)))
    return html.Ul(lines, className="coverage-why")


def _shares(rows: list[Row], lang: Language) -> list[Any]:
    if not rows:
        return [html.P(t("coverage.no_ground", lang), className="empty")]
    names = [t(f"coverage.{n}", lang) for n in ("place", "km2", "drawn", "observed", "not_known", "cameras_of")]  # fmt: skip
    body = [
        row(
            names,
            [
                html.B(t("scope.district", lang)) if r["place"] == "" else either(r, lang) or r["place"],
                number(r["area_m2"] / 1e6, 2),
                _bar(r["drawn_fraction"], "drawn"),
                _bar(r["observed_fraction"], "seen"),
                _bar(r["not_known_fraction"], "not_known"),
                f"{number(r['observed_cameras'])} / {number(r['cameras'])}"
                + (f" ({number(r['not_known_cameras'])} ?)" if r["not_known_cameras"] else ""),
            ],
            **({"className": "sum"} if r["place"] == "" else {}),
        )
        for r in rows
    ]
    return [html.Div(table(names, body), className="table-card coverage-shares")]


def _bar(value: float | None, kind: str) -> html.Div:
    width = 0 if value is None else min(100.0, 100 * value)
    said = "—" if value is None else f"{100 * value:.2f} %"
    return html.Div(
        [html.Span(html.I(className=f"cover {kind}", style={"width": f"{width:.2f}%"}), className="track"), html.Span(said)],
        className="share-bar",
    )  # fmt: skip
