"""The drawer of a square of counted events: how many in the map's window, of each kind, the first and the last, which incidents."""

from typing import Any

from dash import html

from dashboards import declared_drawer, shell
from dashboards.board import Board, Row, clock, number
from dashboards.drawer_parts import Place, facts, head, part
from dashboards.texts import Language, t, word
from layers.rows_query import Span

# Longer lists say how many more there are.
SHOWN = 12


def content(
    board: Board, kind: str, key: str, lang: Language, zone: str, window: Span
) -> tuple[list[Any], Place | None] | None:
    """The drawer's children for the square `key`, and where it is; None for what is no square.

    Raises psycopg.Error or PoolTimeout when the database is away.
    """
    found = declared_drawer.content(board, kind, key, lang, zone, window=window)
    if not key.isdigit() or int(key) >= 2**63:
        return found
    if found is None:
        # A square without an event in the window has no row.
        none = html.P(t("square.none", lang), className="empty")
        return [head(kind, t("square.title", lang), lang), _line(window, lang, zone), none], None
    rows = board.rows("event_square", bin_no=int(key), since=window.since, until=window.until, most=SHOWN)
    body, place = found
    # Under the head and its tags: what a duty officer asks first.
    body[1:1] = [_incidents(rows, _line(window, lang, zone), lang, zone)]
    return body, place


def _line(window: Span, lang: Language, zone: str) -> html.P:
    """The window in words; without an end it goes to now."""
    since = t("square.from_first", lang) if window.since is None else clock(window.since, zone)
    until = t("square.to_now", lang) if window.until is None else clock(window.until, zone)
    return html.P(t("square.window", lang, since=since, until=until), className="fine")


def _incidents(rows: list[Row], line: html.P, lang: Language, zone: str) -> html.Section:
    """The window, the first and the last, the newest by name."""
    if not rows:
        none = html.P(t("square.none", lang), className="empty-line")
        return part(t("square.incidents", lang), [line, none], number(0))
    first = rows[0]
    items = [
        html.Li(
            [
                html.Button(
                    f"{word('class', one['class'], lang)} #{one['incident_no']}",
                    type="button",
                    className="link",
                    **shell.data(select=f"incident:{one['id']}"),
                ),
                html.Span(word("review", one["review"], lang), className=f"tag review-{one['review']}"),
                html.Small(clock(one["first_seen_at"], zone)),
            ]
        )
        for one in rows
    ]
    left = first["n"] - len(rows)
    return part(
        t("square.incidents", lang),
        [
            line,
            facts(
                [
                    (t("square.first", lang), clock(first["first_at"], zone, seconds=True)),
                    (t("square.last", lang), clock(first["last_at"], zone, seconds=True)),
                ]
            ),
            html.Ul(items, className="items"),
            html.P(t("drawer.more", lang, n=number(left)), className="fine") if left > 0 else None,
        ],
        number(first["n"]),
    )
