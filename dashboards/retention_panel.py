"""How long frames are kept, what is held, what was deleted and how much room is left, for the committee and the admin."""

from datetime import UTC, datetime

from dash import html

from dashboards.board import Board, Row, clock, number
from dashboards.own_account import row as table_row
from dashboards.own_account import table
from dashboards.texts import Language, t, word
from geoapp.access.caller import Caller

ROLES = {"committee", "admin"}
GB, MB, KB = 1e9, 1e6, 1e3
ROOM = {"enough": "retention.room_enough", "low": "retention.room_low", "full": "retention.room_full"}


def section(board: Board, caller: Caller, lang: Language, zone: str) -> html.Section | None:
    """The panel with the figures that this caller may see; None for other roles. Times in the city's zone."""
    if not ROLES & set(caller.roles):
        return None
    figures = board.row("retention_figures", at=datetime.now(UTC))
    assert figures is not None
    return html.Section(
        [
            html.H2(t("retention.title", lang)),
            html.P(t("retention.lead", lang), className="lead"),
            _figures(figures, lang, zone),
            html.Div(_policy(board.rows("retention"), lang, zone), className="table-card"),
            html.H3(t("retention.holds", lang)),
            html.Div(_holds(board.rows("legal_holds"), lang, zone), className="table-card"),
        ],
        id="retention",
        **{"aria-label": t("retention.title", lang)},
    )


def size(count: float) -> str:
    """Bytes as people read them: what is there is never 0 MB."""
    if count == 0:
        return "0 MB"
    if count < MB:
        return f"{number(max(count / KB, 1))} KB"
    return f"{number(count / MB, 1)} MB" if count < GB else f"{number(count / GB, 1)} GB"


def _figures(row: Row, lang: Language, zone: str) -> html.Ul:
    """A list of figures; what somebody should see to is marked."""
    lines = [
        t("retention.kept", lang, n=number(row["frames"]), size=size(row["bytes"])),
        t("retention.deleted", lang, n=number(row["deleted"]), size=size(row["deleted_bytes"])),
        t("retention.held", lang, n=number(row["held"])),
    ]
    bad = []
    if row["not_kept"]:
        bad.append(t("retention.not_kept", lang, n=number(row["not_kept"])))
    if row["unfinished"]:
        bad.append(t("retention.unfinished", lang, n=number(row["unfinished"])))
    if row["state"] is None:
        lines.append(t("retention.room_unknown", lang))
    else:
        (lines if row["state"] == "enough" else bad).append(
            t(
                ROOM[row["state"]],
                lang,
                free=number(row["free_bytes"] / GB, 1),
                total=number(row["total_bytes"] / GB, 1),
                host=row["host"],
                at=clock(row["measured_at"], zone),
            )
        )
    return html.Ul(
        [html.Li(line) for line in lines] + [html.Li(line, className="bad") for line in bad],
        id="retention-figures",
    )


def _policy(rows: list[Row], lang: Language, zone: str) -> html.Table:
    names = [t(f"retention.{c}", lang) for c in ("what", "days", "frames", "next", "basis")]
    body = [
        table_row(
            names,
            [
                word("review", r["review"], lang)
                + ("" if r["class"] == "any" else f" · {word('class', r['class'], lang)}"),
                number(r["days"]),
                f"{number(r['frames'])} · {size(r['bytes'])}",
                clock(r["next_until"], zone) if r["next_until"] else "—",
                r[f"basis_{lang}"],
            ],
        )
        for r in rows
    ]
    return table(names, body)


def _holds(rows: list[Row], lang: Language, zone: str) -> html.Table | html.P:
    if not rows:
        return html.P(t("retention.no_holds", lang), className="empty-line")
    names = [t(f"retention.{c}", lang) for c in ("incident", "why", "since", "by")]
    return table(
        names,
        [
            table_row(names, [f"#{r['incident_no']}", r["reason"], clock(r["since"], zone), r["held_by"]])
            for r in rows
        ],
    )
