"""Where a past day is chosen, and the banner that says which one the whole page speaks of."""

from datetime import UTC, datetime
from typing import Any

import dash_mantine_components as dmc
from dash import html

from dashboards import shell
from dashboards.board import Board, Row
from dashboards.past_day import PastDay, past_day, today
from dashboards.texts import Language, t


def day_bar(past: PastDay, city: Row, lang: Language) -> html.Div:
    """The day that the map speaks of: a field of the browser's own, a day back and forth, and today."""
    latest = today(datetime.now(UTC), city["timezone"]).isoformat()

    def step(sign: str, days: int, name: str) -> html.Button:
        return html.Button(
            sign,
            className="plain square",
            type="button",
            title=t(name, lang),
            **{"aria-label": t(name, lang), **shell.data(day_step=days)},
        )

    return html.Div(
        [
            html.Span(t("day.short", lang), **{"aria-hidden": "true"}),
            step("‹", -1, "day.back"),
            dmc.TextInput(
                id="day",
                value=past.day,
                size="xs",
                debounce=400,
                attributes={"input": {"type": "date", "max": latest, "aria-label": t("day.label", lang)}},
            ),
            step("›", 1, "day.forth"),
        ],
        className="day-bar panel",
        title=t("day.label", lang),
    )


def day_banner(past: PastDay, lang: Language) -> html.Div:
    """Over everything on a past day: which one, what of it is not known, and the way back. Where a day was refused, why."""
    parts: list[Any] = []
    if past.refused:
        parts.append(html.Span(t(past.refused, lang)))
    if past.as_of is not None:
        parts.append(html.B(t("day.as_of", lang, time=past.as_of.strftime("%Y-%m-%d %H:%M:%S"))))
        if past.first:
            parts.append(html.Span(t("day.before_first", lang, day=past.first)))
        elif past.unknown:
            names = ("、" if lang == "zh" else ", ").join(t(f"lens.{lens}", lang) for lens in past.unknown)
            parts.append(html.Span(t("day.unknown", lang, lenses=names)))
        parts.append(
            html.Button(t("day.today", lang), className="plain", type="button", **shell.data(day_step=0))
        )
    return html.Div(
        parts,
        id="day-banner",
        className="day-banner" + (" refused" if past.refused else ""),
        role="status",
        hidden=not parts,
    )


def chosen_day(text: str | None, board: Board, zone: str) -> PastDay:
    """The day asked for, against what is on record; raises psycopg.Error or PoolTimeout when the database is away."""
    if not text:
        return PastDay()
    known = {row["lens"]: row["known_since"] for row in board.shared("known_since", kept_s=60)}
    return past_day(text, datetime.now(UTC), zone, known)
