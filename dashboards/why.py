"""Why it is red, and what would make it orange: the terms of a score, and the measures that lower a colour."""

from datetime import datetime
from typing import Any

from dash import html

from dashboards import shell
from dashboards.board import Board, Row, number
from dashboards.drawer_parts import part
from dashboards.texts import Language, t

# Longer lists say how many more there are.
SHOWN = 6


def of_site(board: Board, site_id: int, lang: Language, as_of: datetime | None) -> list[Any]:
    """The terms of a site's score, and what would lower its colour. as_of: aware, None = now. Raises psycopg.Error."""
    terms = board.rows("risk_explained", id=site_id, as_of=as_of)
    measures = board.rows("risk_measures", id=site_id, as_of=as_of)
    return [*_terms(terms, lang), *_measures(measures, lang)]


def of_cell(board: Board, code: str, lang: Language, as_of: datetime | None) -> list[Any]:
    """The sites behind a cell's colour, and what the cell would be once one of them is lowered. Raises psycopg.Error."""
    rows = board.rows("risk_cell_explained", code=code, as_of=as_of)
    lowered = [row for row in rows if row["level_without"] is not None]
    if not lowered:
        return []
    items = [
        html.Li(
            [
                html.Button(
                    str(row["name_zh"]),
                    type="button",
                    className="link",
                    **shell.data(select=f"site:{row['site_id']}"),
                ),
                html.Span(str(row["measures_en" if lang == "en" else "measures_zh"] or "—")),
                _then(row["score_without"], row["level_without"], row["after_days"], lang),
            ]
        )
        for row in lowered[:SHOWN]
    ]
    return [part(t("why.cell_lower", lang), html.Ul(items, className="measures"))]


def _terms(rows: list[Row], lang: Language) -> list[Any]:
    if not rows:
        return []
    top = max(abs(float(row["points"])) for row in rows) or 1.0
    items = [
        html.Li(
            [
                html.Span(str(row[lang])),
                html.B(t("drawer.points", lang, n=f"{row['points']:+.1f}")),
                html.I(style={"width": f"{100 * abs(row['points']) / top:.0f}%"}),
                html.Small(
                    t(
                        "why.without",
                        lang,
                        score=number(row["score_without"], 1),
                        level=t(f"level.{row['level_without']}", lang),
                    )
                    if row["level_without"]
                    else t("why.stays", lang)
                ),
            ],
            className="lowers" if row["points"] < 0 else "",
        )
        for row in rows
    ]
    return [html.Ul(items, className="reasons")]


def _measures(rows: list[Row], lang: Language) -> list[Any]:
    """What would lower the colour; where it is the lowest, or nothing is enough, that is said."""
    if not rows:
        return [html.P(t("why.nothing", lang), className="fine")]
    first = rows[0]
    if first["target"] is None:
        return []
    colour, target = (t(f"level.{first[name]}", lang) for name in ("level", "target"))
    needed = [row for row in rows if row["is_needed"]]
    other = [row for row in rows if not row["is_needed"]]
    title = html.H4(t("why.lower", lang, level=colour, target=target))
    if not needed:
        head = html.P(t("why.not_enough", lang, target=target), className="missing")
    else:
        head = html.P(
            [
                t("why.together", lang, n=number(len(needed))),
                _then(first["score_then"], first["level_then"], first["after_days"], lang),
            ]
        )
    return [
        html.Div(
            [
                title,
                head,
                html.Ul([_measure(row, lang) for row in needed], className="measures") if needed else None,
                html.P(t("why.also", lang), className="fine") if other else None,
                html.Ul([_measure(row, lang) for row in other[:SHOWN]], className="measures other")
                if other
                else None,
            ],
            className="lower",
        )
    ]


def _measure(row: Row, lang: Language) -> html.Li:
    return html.Li(
        [html.Span(str(row[lang])), _then(row["score_after"], row["level_after"], 0, lang, alone=True)]
    )


def _then(score: Any, level: Any, after_days: Any, lang: Language, *, alone: bool = False) -> html.Small:
    """→ score and colour afterwards; a closed hazard fades, so that it may take days."""
    days = f" · {t('why.after_days', lang, n=after_days)}" if after_days else ""
    words = t("why.alone" if alone else "why.then", lang, score=number(score, 1))
    return html.Small(
        [
            f"{words} ",
            html.Span(t(f"level.{level or 'none'}", lang), className=f"level level-{level or 'none'}"),
            days,
        ]
    )
