"""Key risk areas that joined the network, against the target: the curve of a year, the years, the targets and who set them."""

import json
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import dash_mantine_components as dmc
from dash import html

from dashboards import forms, shell
from dashboards.board import Board, Row, number
from dashboards.coverage_asked import Asked
from dashboards.coverage_hours import share
from dashboards.own_account import row, table
from dashboards.texts import Language, either, group, t
from geoapp.access.caller import Caller


def section(board: Board, asked: Asked, caller: Caller, now: datetime, lang: Language) -> list[Any]:
    """The part of the page for onboarding as it stood on the asked day."""
    town = asked.town or None
    today = now.astimezone(ZoneInfo(asked.zone)).date()
    years = board.rows("coverage_years", on=asked.on, town=town)
    days = board.rows("coverage_days", on=asked.on, town=town)
    targets = board.rows("coverage_targets", on=asked.on, town=town)
    parts: list[Any] = [
        html.H2(t("coverage.onboarding", lang)),
        html.P(t("coverage.onboarding_lead", lang), className="lead"),
        _day_form(asked, today.isoformat(), lang),
    ]
    if not days:
        parts.append(html.P(t("coverage.not_whole", lang), className="empty"))
    else:
        parts += [_sentence(days[-1], asked, lang), _curve(days, lang), _years(years, lang)]
    parts += _targets(targets, asked.zone, lang)
    if may_set(caller):
        parts.append(target_form(board.shared("ledger_towns"), caller, asked, today.year, lang))
    return parts


def may_set(caller: Caller) -> bool:
    """Whether a form for a target is of use: the committee sets them, of the district or of its towns."""
    return "committee" in caller.roles and caller.scope in ("district", "town")


def _day_form(asked: Asked, today: str, lang: Language) -> html.Form:
    limits = {"type": "date", "max": today, "min": "2000-01-01"}
    return html.Form(
        [
            dmc.TextInput(
                name="on",
                label=t("coverage.as_it_stood", lang),
                value=asked.on.isoformat(),
                size="xs",
                attributes={"input": limits},
            ),
            html.Button(t("audit.find", lang), type="submit", className="plain"),
            *[forms.hidden(name, value) for name, value in asked.kept(but=("on",)).items()],
        ],
        action="/coverage#coverage-onboarding",
        method="get",
        className="coverage-day",
    )


def _sentence(day: Row, asked: Asked, lang: Language) -> html.P:
    if day["target"] is None:
        key = "coverage.joined_no_target"
    elif day["year_joined"] >= day["due_by_day"]:
        key = "coverage.joined_ahead"
    else:
        key = "coverage.joined_behind"
    said = t(
        key,
        lang,
        day=asked.on,
        year=asked.on.year,
        n=number(day["year_joined"]),
        target=number(day["target"]),
        due=number(day["due_by_day"], 1),
        all=number(day["in_network"]),
    )
    if day["left_day_not_known"]:
        said += t("coverage.left_not_known", lang, n=number(day["left_day_not_known"]))
    return html.P(said, className="coverage-sentence")


def _curve(days: list[Row], lang: Language) -> html.Div:
    """Drawn by assets/82_coverage.js: what joined day by day, and the target at an even pace where one was in force."""
    points = {
        "days": [d["day"].isoformat() for d in days],
        "joined": [d["year_joined"] for d in days],
        "due": [d["due_by_day"] for d in days],
        "target": days[-1]["target"],
    }
    words = group("coverage_curve", lang)
    return html.Div(
        className="coverage-curve panel",
        role="img",
        **{"aria-label": t("coverage.curve", lang)},
        **shell.data(curve=json.dumps(points), words=json.dumps(words, ensure_ascii=False)),
    )


def _years(rows: list[Row], lang: Language) -> html.Div | html.P:
    if not rows:
        return html.P(t("coverage.no_years", lang), className="empty")
    names = [t(f"coverage.{n}", lang) for n in ("year", "as_of", "joined", "target", "due", "reached", "in_network")]  # fmt: skip
    body = [
        row(
            names,
            [
                str(r["year"]),
                r["as_of"].isoformat(),
                number(r["year_joined"]),
                number(r["target"]),
                number(r["due_by_day"], 1),
                share(r["share"]),
                number(r["in_network"]),
            ],
        )
        for r in rows
    ]
    return html.Div(table(names, body), className="table-card coverage-years")


def _targets(rows: list[Row], zone: str, lang: Language) -> list[Any]:
    if not rows:
        return [html.P(t("coverage.no_target", lang), className="quiet")]
    names = [t(f"coverage.{n}", lang) for n in ("year", "target", "document", "set_on", "set_by")]
    body = [
        row(
            names,
            [str(r["year"]), number(r["areas"]), r["document_no"] or "—", r["set_on"].isoformat(), r["set_by"] or "—"],
        )
        for r in rows
    ]  # fmt: skip
    return [
        html.H3(t("coverage.targets", lang)),
        html.Div(table(names, body), className="table-card coverage-targets"),
    ]


def target_form(towns: list[Row], caller: Caller, asked: Asked, year: int, lang: Language) -> html.Section:
    """A new target. An old one stays: what held on a past day stays known."""
    options = [{"value": r["code"], "label": either(r, lang)} for r in towns]
    if caller.scope == "district":
        options.insert(0, {"value": "", "label": t("scope.district", lang)})
    else:
        options = [o for o in options if o["value"] in caller.areas]
    chosen = asked.town if any(o["value"] == asked.town for o in options) else options[0]["value"] if options else ""  # fmt: skip
    boxes = [
        forms.choice("town", t("coverage.place", lang), options, chosen),
        forms.number("year", t("coverage.year", lang), year, 2000, 2100),
        forms.number("areas", t("coverage.target_areas", lang), 0, 0, 100_000),
        forms.text("document_no", t("coverage.document", lang), t("coverage.document_hint", lang), autoComplete="off"),
    ]  # fmt: skip
    form = forms.form(boxes, "/coverage/targets", lang, t("coverage.set_target", lang))
    return html.Section([html.H3(t("coverage.new_target", lang)), form], className="card panel coverage-target-form")  # fmt: skip
