"""The legend of the lens: class, numeral, meaning, count. Of the other layers, assets/46_legend.js writes it from the declaration."""

from datetime import UTC, datetime
from typing import Any

from dash import html

from dashboards import shell
from dashboards.board import Row, clock, number
from dashboards.lenses import OVERLAYS, hatch_name, lens_classes, lens_ways, no_cell_class
from dashboards.past_day import today
from dashboards.texts import Language, t


def firm_legend(lang: Language) -> list[Any]:
    """What a firm's map shows: no cells, so no lens, and no count of what is not known to it."""
    blind = {"color": "#c2185b", "hatch": {}}
    seen = {"color": "#0b7f6b", "hatch": None}
    return [
        html.Ul(
            [
                _legend_row(blind, "under_60", t("legend.area_under", lang), ""),
                _legend_row(seen, "seen", t("legend.area_seen", lang), ""),
                _legend_row({"color": "", "hatch": None}, "site", t("legend.site", lang), ""),
                _legend_row({"color": "#8a95a0", "hatch": {}}, "cell", t("legend.cell_unknown", lang), ""),
            ]
        ),
        html.P(t("legend.firm", lang), className="legend-note own"),
    ]


def legend(
    counts: dict[str, Any] | None,
    lens: str,
    lang: Language,
    zone: str,
    head: dict[str, Row] | None = None,
    *,
    part: bool = False,
) -> list[Any]:
    """Class, numeral, meaning and number of cells; of coverage also the ground in no cell, as the strip of figures has it.

    part: of a part of the district only, which is said.
    """
    told = counts if counts and counts.get("lens") == lens else {}
    given = told.get("counts") or {}
    ways = lens_ways(lens, lang)
    missing = "?" if told.get("unknown") else "—"
    by = str(told.get("classing") or "")
    rows = []
    for entry in lens_classes(lens, by):
        n = given.get(str(entry["value"]))
        rows.append(
            _legend_row(
                entry,
                entry["value"],
                entry["zh"] if lang == "zh" else entry["en"],
                missing if n is None and not given else number(n or 0),
            )
        )
    over = [
        html.Li(
            [
                html.I(className=f"chip over {why}"),
                html.Span(t(f"legend.over_{why}", lang)),
                html.B(number(told["hatched"].get(why, 0)) if given and "hatched" in told else missing),
            ],
            className="over-row",
        )
        for why in (OVERLAYS.get(lens, ()) if by in ("", *(one["id"] for one in ways[:1])) else ())
    ]
    if lens == "coverage":
        ground, declared = (
            ((head or {}).get(name) or {}).get("value")
            for name in ("ground_in_no_cell_km2", "ground_declared_no_cell_km2")
        )
        # The map paints declared ground calmly: only where all of it is (to a square metre) may the legend do so too.
        calm = ground is not None and declared is not None and ground - declared < 1e-6
        shown = number(ground, 2) if ground is None else f"{number(ground, 2)} km²"
        rows.append(_legend_row(no_cell_class(declared=calm), "no_cell", t("figures.ground", lang), shown))
    as_of = told.get("as_of")
    moment = datetime.fromisoformat(as_of) if as_of else None
    # Of another day than today the day is said too.
    is_past = moment is not None and today(moment, zone) != today(datetime.now(UTC), zone)
    note = t("legend.as_of", lang, time=clock(moment, zone, day=is_past, seconds=True))
    return [
        *([_ways(ways, by or str(ways[0]["id"]), lang)] if ways else []),
        html.Ul([*rows, *over]),
        *(
            [html.P(t("legend.lens_unknown", lang), className="legend-note own")]
            if told.get("unknown")
            else []
        ),
        *([html.P(t("legend.coverage_hatch", lang), className="legend-note")] if lens == "coverage" else []),
        # What the colours do not know, from analysis.coverage_basis.
        *(
            html.P(
                _sentence(str(one.get(f"said_{lang}") or "")),
                className="legend-note own",
                **shell.data(lacks="1"),
            )
            for one in told.get("lacks") or ()
        ),
        html.P(note, className="legend-note"),
        *([html.P(t("legend.own_area", lang), className="legend-note own")] if part else []),
    ]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ways(ways: list[dict[str, Any]], chosen: str, lang: Language) -> html.Div:
    """The ways to class the cells; assets/60_screen.js switches."""
    buttons = [
        html.Button(
            one["name"],
            type="button",
            className="plain" + (" chosen" if one["id"] == chosen else ""),
            **{"aria-pressed": str(one["id"] == chosen).lower(), **shell.data(lens_by=one["id"])},
        )
        for one in ways
    ]
    return html.Div(buttons, className="lens-ways", role="group", **{"aria-label": t("legend.ways", lang)})


def _legend_row(entry: dict[str, Any], key: str, name: str, shown: str) -> html.Li:
    return html.Li(
        [
            html.I(
                entry.get("numeral", ""),
                className="chip" + hatch_name(entry) + ("" if entry["color"] else " void"),
                style={"--chip": entry["color"] or "transparent", "color": entry.get("ink", "#fff")},
            ),
            html.Span(name),
            html.B(shown),
        ],
        className="legend-row",
        **shell.data(legend=key),
    )
