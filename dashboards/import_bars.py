"""What became of an import's rows, as a bar and in words; how far a run is."""

from typing import Any

from dash import html

from dashboards import shell
from dashboards.board import Row, number
from dashboards.texts import Language, t

# Every row that came in is in exactly one of these.
ACCOUNT = ("rows_stored", "rows_unchanged", "rows_repaired", "rows_rejected")
DIFFERENCE = ("rows_new", "rows_changed", "rows_moved", "rows_gone")


def account_bar(r: Row, lang: Language) -> html.Div:
    """The rows of a file by what became of them."""
    parts: list[Any] = [
        html.I(
            style={"flexGrow": r[name]},
            className=f"part-{name.removeprefix('rows_')}",
            title=f"{t(f'imports.{name}', lang)} {number(r[name])}",
        )
        for name in ACCOUNT
        if r[name]
    ]
    return html.Div(parts, className="account-bar", role="img", **{"aria-label": counts_words(r, lang)})


def counts_words(r: Row, lang: Language) -> str:
    """What became of the rows, without the kinds that have none."""
    names = (*ACCOUNT, "rows_warned", "rows_gone")
    found = [f"{t(f'imports.{name}', lang)} {number(r[name])}" for name in names if r[name]]
    return " · ".join(found) or t("imports.no_rows", lang)


def progress(share: float | None) -> html.Div:
    """A bar that is filled as far as a run is; None: nobody knows how far."""
    if share is None:
        return html.Div(html.I(), className="progress unknown", role="progressbar")
    percent = round(100 * share)
    return html.Div(
        html.I(style={"width": f"{percent}%"}),
        className="progress",
        role="progressbar",
        **{"aria-valuenow": str(percent), "aria-valuemin": "0", "aria-valuemax": "100"},
        **shell.data(percent=percent),
    )
