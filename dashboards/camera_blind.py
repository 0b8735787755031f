"""The blind list, on top of the page of cameras: which are blind now, since when, and what nobody sees for them."""

from typing import Any

import dash_mantine_components as dmc
import psycopg
from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html, no_update
from psycopg_pool import PoolTimeout

from dashboards import csv_download
from dashboards.board import Board, Row, clock, number
from dashboards.texts import Language, either, t, word

# The list is worked through from its top; whoever needs all of a city's outage reads analysis.camera_blind.
SHOWN = 200
COLUMNS = ("name", "why", "since", "last", "unseen", "map")


def section(lang: Language) -> html.Section:
    """The empty part of the page; `register` fills it and keeps it fresh."""
    return html.Section(
        [
            html.Div(
                [
                    html.H2(t("blind.title", lang)),
                    csv_download.form("blind-file", "/export/blind_cameras.csv", lang),
                ],
                className="blind-head",
            ),
            html.Div(id="blind-figures", className="blind-figures", role="status"),
            dmc.Group(
                dmc.ChipGroup([], id="blind-filter", value="all", multiple=False),
                gap=6,
                className="blind-filter",
            ),
            html.Div(id="blind-table", className="table-card"),
            html.P(id="blind-rest", className="empty-line"),
            dcc.Store(id="blind-rows"),
        ],
        className="blind-list",
        **{"aria-label": t("blind.title", lang)},
    )


def figures(rows: list[Row], about: Row, lang: Language) -> list[Any]:
    """The figures above the list. What could not be asked is a dash, never 0."""
    unwatched = [r for r in rows if r["unwatched_area_count"]]
    late = sum(1 for r in rows if r["is_watch_late"])
    tiles = [
        ("blind.now", len(rows), t("blind.of", lang, n=number(about["connected"])), bool(rows)),
        ("blind.unwatched", len(unwatched), t("blind.unwatched_note", lang), bool(unwatched)),
        ("blind.late", late, t("blind.late_note", lang), late > 0),
    ]
    parts: list[Any] = [
        html.Div(
            [html.B(number(value)), html.Span(t(key, lang)), html.Small(note)],
            className="blind-figure" + (" bad" if is_bad else ""),
        )
        for key, value, note, is_bad in tiles
    ]
    notes = [t("blind.night_mode", lang, n=number(about["night_mode"]))]
    off = t("blind.clock_off", lang, n=number(about["clock_off"]))
    if about["clock_off"]:
        off += t("blind.clock_most", lang, time=duration(about["clock_off_most_s"], lang))
    notes.append(off)
    notes.append(t("blind.not_connected", lang, n=number(about["not_connected"])))
    parts.append(html.Ul([html.Li(note) for note in notes], className="blind-notes"))
    return parts


def chips(rows: list[Row], lang: Language) -> list[Any]:
    """All, and each reason there is with its number, the most frequent first."""
    counts: dict[str, int] = {}
    for r in rows:
        counts[r["reason"]] = counts.get(r["reason"], 0) + 1
    entries = [("all", f"{t('cameras.all', lang)} {number(len(rows))}")]
    entries += [
        (reason, f"{word('reason', reason, lang)} {number(n)}")
        for reason, n in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    return [dmc.Chip(label, value=value, size="xs", variant="outline") for value, label in entries]


def table(rows: list[Row], lang: Language, zone: str) -> dict[str, Any]:
    """Head and rows for the browser's table: values, not components."""
    return {
        "head": [t(f"blind.{c}", lang) for c in COLUMNS],
        "rows": [
            {"worst": r["worst_level"] if r["unwatched_area_count"] else None, "cells": _cells(r, lang, zone)}
            for r in rows
        ],
        "empty": t("blind.none", lang),
    }


def _cells(r: Row, lang: Language, zone: str) -> list[dict[str, Any]]:
    place = " · ".join(part for part in (either(r, lang, "town"), r["site_name_zh"]) if part)
    why = [said(r["detail"], lang)] if r["detail"] else []
    if r["is_watch_late"] and r["reason"] != "not_scanned":
        why.append(t("blind.nobody_tries", lang))
    return [
        {"strong": r["name_zh"], "code": r["gb_id"], "lines": [place] if place else []},
        {"tag": word("reason", r["reason"], lang), "lines": why},
        {
            "strong": duration(r["blind_s"], lang) if r["since"] else t("drawer.never", lang),
            "lines": [clock(r["since"], zone)] if r["since"] else [],
        },
        {"text": clock(r["last_observed_at"], zone) if r["last_observed_at"] else t("drawer.never", lang)},
        {"lines": _unseen(r, lang) or [t("blind.nothing_known", lang)]},
        {"text": t("cameras.map", lang), "select": f"camera:{r['id']}"},
    ]


def _unseen(r: Row, lang: Language) -> list[str]:
    """What it should be watching: areas (and how many of them nobody sees), incidents."""
    lines = []
    if r["key_risk_area_count"]:
        names = r[f"key_risk_areas_{lang}"]
        shown = ("、" if lang == "zh" else ", ").join(names[:2])
        if len(names) > 2:
            shown = t("blind.and_more", lang, names=shown, n=len(names) - 2)
        key = "blind.areas_unwatched" if r["unwatched_area_count"] else "blind.areas_watched"
        lines.append(
            t(
                key,
                lang,
                level=word("level", r["worst_level"], lang),
                n=r["key_risk_area_count"],
                unwatched=r["unwatched_area_count"],
                names=shown,
            )
        )
    if r["incident_count"]:
        numbers = " ".join(f"#{n}" for n in r["incident_nos"][:3])
        lines.append(t("blind.incidents", lang, n=r["incident_count"], numbers=numbers))
    return lines


def duration(seconds: float, lang: Language) -> str:
    """About how long: minutes below two hours, hours below two days, then days."""
    minutes = int(abs(seconds) // 60)
    if minutes < 120:
        return t("blind.minutes", lang, n=minutes)
    return (
        t("blind.hours", lang, n=minutes // 60)
        if minutes < 2880
        else t("blind.days", lang, n=minutes // 1440)
    )


def said(detail: str, lang: Language) -> str:
    """The reader's half of a detail; parts are joined by "; ", and each is "中文 / English" or the same in both."""
    halves = [part.split(" / ") for part in detail.split("; ")]
    return "; ".join(half[0] if len(half) != 2 or lang == "zh" else half[1] for half in halves)


def register(app: Dash, board: Board) -> None:
    """Callbacks of the list: fresh with the page's slow tick, and at every choice of a reason."""

    @app.callback(
        Output("blind-figures", "children"),
        Output("blind-filter", "children"),
        Output("blind-rows", "data"),
        Output("blind-rest", "children"),
        Input("blind-filter", "value"),
        Input("slow-tick", "data"),
        State("page-state", "data"),
    )
    def show(chosen: str | None, _: Any, page: dict[str, Any]) -> Any:
        lang: Language = page["lang"]
        try:
            rows, about = board.shared("camera_blind"), board.shared("camera_figures")[0]
        except (psycopg.Error, PoolTimeout):
            return no_update, no_update, no_update, no_update
        of_reason = [r for r in rows if r["reason"] == chosen]
        # A reason that is gone leaves nothing to filter by.
        shown = of_reason or rows
        rest = t("blind.rest", lang, n=number(len(shown) - SHOWN)) if len(shown) > SHOWN else ""
        return figures(rows, about, lang), chips(rows, lang), table(shown[:SHOWN], lang, page["zone"]), rest

    app.clientside_callback(
        ClientsideFunction("geoapp", "blindTable"),
        Output("blind-table", "data-filled"),
        Input("blind-rows", "data"),
    )
