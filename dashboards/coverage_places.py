"""Where the next cameras would close most: what is asked for, each place with its gain and what it would see, on a map."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import dash_mantine_components as dmc
from dash import html

from dashboards import csv_download, forms, shell
from dashboards.board import Board, cell_code, number
from dashboards.coverage_asked import Asked
from dashboards.texts import Language, t, word
from geoapp.access.caller import Caller, acting
from layers.camera_places import CameraPlaces, as_geojson, next_places


def section(board: Board, asked: Asked, caller: Caller, now: datetime, lang: Language) -> list[Any]:
    """The part of the page for the placement helper; it reckons only when asked to."""
    parts: list[Any] = [
        html.H2(t("coverage.places", lang)),
        html.P(t("coverage.places_lead", lang), className="lead"),
        _form(asked, lang),
    ]
    if not asked.place:
        return parts
    with acting(board.pool) as connection:
        found = next_places(
            connection,
            asked.wanted,
            now,
            town=asked.town or None,
            reach_m=asked.reach_m,
            hfov_deg=asked.hfov_deg,
        )
    lacks = [
        html.P(row["said_en" if lang == "en" else "said_zh"], className="lead-note") for row in found.lacks
    ]
    if not found.places:
        key = "coverage.no_gap" if not found.gaps else "coverage.no_place"
        return [*parts, *lacks, html.P(t(key, lang, n=number(found.gaps)), className="empty")]
    first, last = found.places[0], found.places[-1]
    said = t(
        "coverage.places_said",
        lang,
        n=number(len(found.places)),
        before=number(first["gap_before"]),
        after=number(last["gap_after"]),
        share=f"{100 * (1 - last['gap_after'] / first['gap_before']):.1f} %",
        gaps=number(found.gaps),
    )
    query = urlencode(
        {"wanted": asked.wanted, "reach": asked.reach_m, "hfov": asked.hfov_deg}
        | ({"town": asked.town} if asked.town else {})
    )
    download = csv_download.form("coverage-places-file", "/export/camera-places.geojson", lang, query=query, words="coverage.geojson")  # fmt: skip
    return [
        *parts,
        *lacks,
        html.P(said, className="coverage-sentence"),
        html.Div(
            [
                html.Div(
                    className="coverage-map panel",
                    role="img",
                    **{"aria-label": t("coverage.map", lang)},
                    **shell.data(places=json.dumps(as_geojson(found), ensure_ascii=False)),
                ),
                html.Ol([_place(row, lang) for row in found.places], className="coverage-places"),
            ],
            className="coverage-place-pair",
        ),
        html.Div(download, className="tools"),
    ]


def _form(asked: Asked, lang: Language) -> html.Form:
    def box(name: str, value: float, least: int, most: int) -> dmc.NumberInput:
        return dmc.NumberInput(
            name=name, label=t(f"coverage.{name}", lang), value=value, min=least, max=most, size="xs"
        )

    return html.Form(
        [
            box("wanted", asked.wanted, 1, 20),
            box("reach", asked.reach_m, 5, 2000),
            box("hfov", asked.hfov_deg, 5, 360),
            html.Button(t("coverage.reckon", lang), type="submit", className="primary"),
            forms.hidden("place", "1"),
            *[forms.hidden(name, value) for name, value in asked.kept(but=("place", "wanted", "reach", "hfov")).items()],
        ],
        action="/coverage#coverage-places",
        method="get",
        className="filters panel",
    )  # fmt: skip


def _place(row: Mapping[str, Any], lang: Language) -> html.Li:
    fall = 100 * (1 - row["gap_after"] / row["gap_before"])
    sees: list[dict[str, Any]] = row["sees"]
    facts = " · ".join(
        (
            word("place_origin", row["origin"], lang),
            t("coverage.azimuth", lang, deg=f"{row['azimuth_deg']:.0f}"),
            f"{row['lat']:.6f}, {row['lon']:.6f}",
            t("coverage.in_cell", lang, code=cell_code(row["cell_code"])),
        )
    )
    gain = t(
        "coverage.gain",
        lang,
        gain=number(row["gain"]),
        m2=number(row["closed_m2"]),
        before=number(row["gap_before"]),
        after=number(row["gap_after"]),
        share=f"{fall:.1f} %",
    )
    return html.Li(
        [html.B(gain), html.Small(facts), html.Ul([_subject(s, lang) for s in sees])],
        **shell.data(place=row["place_no"]),
    )


def _subject(seen: dict[str, Any], lang: Language) -> html.Li:
    what = t(
        "coverage.sees", lang, m2=number(seen["new_m2"]), after=f"{100 * seen['seen_fraction_after']:.0f} %"
    )
    level = word("level", seen["level"], lang)
    link = html.A(
        seen["name"] or seen["id"],
        href=f"/?lang={lang}&selected={seen['kind']}:{seen['id']}",
        className="link",
    )
    closed = [html.Span(t("coverage.closed", lang), className="tag seen")] if seen["is_closed"] else []
    return html.Li([link, " ", html.Small(f"{level} · {what}"), " ", *closed])


def places_of(found: CameraPlaces) -> int:
    """How many rows a file of these places has: a point and its ground each."""
    return 2 * len(found.places)
