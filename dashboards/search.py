"""One box that finds sites, cells, cameras and towns by name or code, and goes there."""

from typing import Any

import dash_mantine_components as dmc
import psycopg
from dash import ClientsideFunction, Dash, Input, Output, State, html, no_update
from psycopg_pool import PoolTimeout

from dashboards import shell
from dashboards.board import Board, Row, cell_code
from dashboards.texts import Language, either, t


def box(lang: Language) -> dmc.Select:
    """The search box of the top bar."""
    return dmc.Select(
        id="search",
        data=[],
        value=None,
        searchable=True,
        clearable=True,
        placeholder=t("search.placeholder", lang),
        nothingFoundMessage=t("search.none", lang),
        leftSection=shell.icon("search"),
        rightSection=html.Span(),
        size="xs",
        comboboxProps={"shadow": "md", "width": 320, "position": "bottom-end", "zIndex": 3000},
        **{"aria-label": t("search.placeholder", lang)},
    )


def wanted(text: str) -> dict[str, str]:
    """Parameters of sql/screens/search.sql for what was typed; wildcards of LIKE in it are taken literally."""
    # Half a character (a lone surrogate) and NUL are in no name, and the database takes neither.
    clean = text.encode(errors="ignore").decode().replace("\0", "").strip()[:60]
    safe = clean.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    digits = "".join(c for c in clean if c.isdigit())
    # The written form of a cell code leaves out the county's six digits; digits alone are a code, words are not.
    is_code = len(digits) >= 3 and not clean.replace("-", "").strip("0123456789")
    return {"text": clean, "like": f"%{safe}%", "digits": f"%{digits}%" if is_code else ""}


def option(row: Row, lang: Language) -> dict[str, Any]:
    """One line of the list: what it is, its name; the value is what the map must do. Without an outline: not to be chosen."""
    name = either(row, lang) or (cell_code(row["code"]) if row["kind"] == "cell" else row["code"])
    key = row["id"]
    if row["kind"] == "town":
        if row["west"] is None:
            label = f"{name}　{t('search.town_no_outline', lang)}"
            return {"value": f"town:{key}", "label": label, "disabled": True}
        key = ",".join(f"{row[side]:.5f}" for side in ("west", "south", "east", "north"))
    return {"value": f"{row['kind']}:{key}", "label": f"{name}　{t('search.' + row['kind'], lang)}"}


def register(app: Dash, board: Board) -> None:
    """Callbacks of the box."""

    @app.callback(
        Output("search", "data"),
        Input("search", "searchValue"),
        State("page-state", "data"),
        prevent_initial_call=True,
    )
    def find(text: str | None, page: dict[str, Any]) -> Any:
        if not text or not text.strip():
            return []
        if "　" in text:  # the label of the line that was just chosen
            return no_update
        try:
            return [option(row, page["lang"]) for row in board.rows("search", **wanted(text))]
        except (psycopg.Error, PoolTimeout):
            return no_update

    app.clientside_callback(
        ClientsideFunction("geoapp", "search"),
        Output("search", "value"),
        Input("search", "value"),
        prevent_initial_call=True,
    )
