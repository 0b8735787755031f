"""The page where registers and map layers are taken out as files; what leaves, and to whom, layers/export_route.py decides."""

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import dash_mantine_components as dmc
from dash import html

from dashboards import forms, shell
from dashboards.board import Board, Row, clock
from dashboards.shell import data
from dashboards.state import ViewState
from dashboards.texts import Language, t, word
from geoapp.access.caller import current_caller
from layers.export import Register, registers_for
from layers.export_route import REASON_MAX, REASON_MIN

FORMATS = ("xlsx", "csv", "gpkg", "parquet", "shp.zip", "geojson", "fgb")
FRAMES = ("", "metric", "wgs84", "cgcs2000", "gcj02", "bd09")
ENCODINGS = ("utf-8", "gbk")


def layout(state: ViewState, board: Board) -> html.Div:
    """The page; for a role that may not export a plain word that it is not theirs."""
    lang, caller = state.lang, current_caller()
    city = board.city()
    if not shell.may_open("/exports", caller):
        return shell.frame(state, "/exports", city, [shell.notice(t("access.forbidden", lang))])
    body = html.Main(
        [
            html.H1(t("exports.title", lang)),
            html.P(
                t("exports.lead", lang, area=shell.area_words(caller, city, lang, longest=3)),
                className="lead",
            ),
            html.Div(
                [
                    html.Section(
                        export_form(registers_for(caller.roles), state, _zone(city)), className="card panel"
                    ),
                    html.Section([html.H2(t("exports.know", lang)), _notes(lang)], className="card panel"),
                ],
                className="card-pair",
            ),
        ],
        className="table-page exports-page",
    )
    return shell.frame(state, "/exports", city, [body])


def export_form(registers: dict[str, Register], state: ViewState, zone: str) -> html.Form:
    """Register, format, frame, encoding, reason; assets/75_exports.js asks for the file and says what came of it.

    What the address names is chosen beforehand, with the moment or window that it was seen of (sent for that layer alone).
    """
    lang = state.lang
    chosen = state.register if state.register in registers else "sites"
    when = state.when if chosen == state.register and registers[chosen].layer is not None else ()
    asked: list[Any] = [
        _choice(
            "register",
            [_group(registers, lang, of_layers=False), _group(registers, lang, of_layers=True)],
            chosen,
            lang,
        ),
        _choice("format", [_option("exports_format", one, lang) for one in FORMATS], "xlsx", lang),
        _choice("frame", [_option("exports_frame", one or "own", lang, one) for one in FRAMES], "", lang),
        _choice("encoding", [_option("exports_encoding", one, lang) for one in ENCODINGS], "utf-8", lang),
        forms.text(
            "reason",
            t("exports.reason", lang),
            t("exports.reason_hint", lang),
            autoComplete="off",
            attributes={"input": {"minLength": REASON_MIN, "maxLength": REASON_MAX}},
        ),
    ]
    return html.Form(
        [
            html.Div(asked, className="fields"),
            html.P(_when(when, lang, zone), className="fine export-when", hidden=not when, **data(when="1")),
            html.P(hidden=True, className="message", role="status", **data(message="1")),
            html.Div(
                html.Button(t("exports.do", lang), type="submit", className="primary"), className="buttons"
            ),
        ],
        action="/export/",
        method="get",
        className="form",
        **data(
            export="1",
            when_of=chosen if when else "",
            when_query=urlencode(when),
            busy=t("exports.busy", lang),
            done=t("exports.done", lang),
            failed=t("access.failed", lang),
        ),
    )


def _when(when: tuple[tuple[str, str], ...], lang: Language, zone: str) -> str:
    """The moment or window of the file in words, on the city's clock."""
    said = {name: clock(datetime.fromisoformat(text), zone, seconds=True) for name, text in when}
    if "as_of" in said:
        return t("exports.as_of", lang, time=said["as_of"])
    ends = {end: said.get(end, "…") for end in ("from", "to")}
    return t("exports.window", lang, since=ends["from"], until=ends["to"]) if said else ""


def _zone(city: Row | None) -> str:
    return city["timezone"] if city else "Asia/Shanghai"


def _choice(name: str, options: list[Any], value: str, lang: Language) -> html.Div:
    box = dmc.Select(
        name=name,
        label=t(f"exports.{name}", lang),
        data=options,
        value=value,
        searchable=name == "register",
        allowDeselect=False,
        size="sm",
        maxDropdownHeight=320,
        comboboxProps={"zIndex": 3000},
    )
    return forms.field(box, name)


def _group(registers: dict[str, Register], lang: Language, *, of_layers: bool) -> dict[str, Any]:
    found = [one for one in registers.values() if (one.layer is not None) == of_layers]
    items = [{"value": one.id, "label": one.name_en if lang == "en" else one.name_zh} for one in found]
    return {"group": t("exports.layers" if of_layers else "exports.registers", lang), "items": items}


def _option(group: str, name: str, lang: Language, value: str | None = None) -> dict[str, str]:
    return {"value": name if value is None else value, "label": word(group, name, lang)}


def _notes(lang: Language) -> html.Ul:
    keys = (
        "exports.note_scope",
        "exports.note_frames",
        "exports.note_tables",
        "exports.note_shapefile",
        "exports.note_record",
    )
    return html.Ul([html.Li(t(key, lang)) for key in keys], className="notes")
