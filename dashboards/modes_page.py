"""How the boxes of each camera and class count, what was found with it, and the masks that reviews proposed.

Who may only read sees the same without the forms; `modes_routes` does what they ask.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode

import dash_mantine_components as dmc
import psycopg
from dash import Dash, Input, Output, State, dcc, html
from psycopg_pool import PoolTimeout

from dashboards import forms, mode_masks, shell
from dashboards.board import Board, Row, clock, number
from dashboards.own_account import row, table
from dashboards.state import ViewState
from dashboards.texts import Language, either, t, word
from detection.modes import MODES
from detection.types import CLASSES
from geoapp.access.caller import current_caller

# What is looked back on.
LOOK_BACK = timedelta(days=30)
# A page that a slow machine draws in a second.
CAMERAS_A_PAGE, MASKS_A_PAGE = 25, 6
ALL = 1_000_000
TONES = {"alert": "bad", "shadow": "running", "measure": "blind", "default": ""}


@dataclass(frozen=True)
class Filter:
    """What the address asks for; "" does not limit. page, masks: pages of cameras and of masks, from 1."""

    town: str = ""
    class_: str = ""
    mode: str = ""
    text: str = ""
    page: int = 1
    masks: int = 1

    @classmethod
    def of(cls, given: dict[str, str]) -> "Filter":
        """From fields of an address or a form; what cannot be is left out."""

        def whole(name: str) -> int:
            text = given.get(name, "")
            return max(int(text), 1) if text.isascii() and text.isdigit() and len(text) < 7 else 1

        class_, mode, town = given.get("class", ""), given.get("mode", ""), given.get("town", "")
        return cls(
            town=town if town.isascii() and town.isdigit() and len(town) == 12 else "",
            class_=class_ if class_ in CLASSES else "",
            mode=mode if mode in MODES else "",
            text=given.get("text", "").replace("\0", "").strip()[:60],
            page=whole("page"),
            masks=whole("masks"),
        )

    @property
    def fields(self) -> dict[str, str]:
        """The fields that limit, as an address has them."""
        held = {"town": self.town, "class": self.class_, "mode": self.mode, "text": self.text}
        return {name: value for name, value in held.items() if value}

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters of sql/screens/mode_cameras.sql and mode_masks.sql; wildcards in the text are taken literally."""
        text = self.text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return {
            "town": self.town or None,
            "class": self.class_ or None,
            "mode": self.mode or None,
            "like": f"%{text}%" if text else None,
        }


def layout(state: ViewState, board: Board) -> html.Div:
    """The page: its content follows the address (callback `show`)."""
    lang = state.lang
    city = board.city()
    if not shell.may_open("/modes", current_caller()):
        return shell.frame(state, "/modes", city, [shell.notice(t("access.forbidden", lang))])
    zone = str(city["timezone"]) if city else "Asia/Shanghai"
    body = [
        html.Main(
            [
                html.H1(t("modes.title", lang)),
                html.P(t("modes.lead", lang), className="lead"),
                html.Div(id="modes-found"),
                *mode_masks.dialogs(lang),
            ],
            className="table-page modes-page",
        ),
        dcc.Store(id="modes-page", data={"lang": lang, "theme": state.theme, "zone": zone}),
    ]
    return shell.frame(state, "/modes", city, body)


def register(app: Dash, board: Board) -> None:
    """The callback of the page: what is found follows the address."""

    @app.callback(Output("modes-found", "children"), Input("address", "search"), State("modes-page", "data"))
    def show(query: str | None, page: dict[str, Any]) -> Any:
        if not shell.may_open("/modes", current_caller()):
            return None
        try:
            return content(query, board, page, datetime.now(UTC))
        except (psycopg.OperationalError, PoolTimeout):
            return shell.notice(t("app.no_database", page["lang"]))


def content(query: str | None, board: Board, page: dict[str, Any], at: datetime) -> list[Any]:
    """Filter, masks that wait, cameras with their modes, masks in force; for an address."""
    lang, zone, theme = page["lang"], page["zone"], page["theme"]
    given = {k: v[-1] for k, v in parse_qs((query or "").lstrip("?")).items()}
    asked = Filter.of(given)
    towns = board.shared("ledger_towns")
    skip = (asked.page - 1) * CAMERAS_A_PAGE
    cameras = found(board, asked, at, most=CAMERAS_A_PAGE, skip=skip)
    in_all = cameras[0]["in_all"] if cameras else 0
    held = {"lang": lang} | ({"theme": theme} if theme else {})
    kept = asked.fields | held
    masks = asked.parameters | {"at": at, "most": MASKS_A_PAGE, "skip": (asked.masks - 1) * MASKS_A_PAGE}
    waiting = board.rows("mode_masks", **masks, states=["proposed"])
    active = board.rows("mode_masks", **asked.parameters, at=at, most=ALL, skip=0, states=["active"])
    caller = current_caller()
    sets = caller.may("set_mode")
    listed: Any = html.Div(html.P(t("modes.none", lang), className="empty"), className="table-card")
    if cameras:
        ids = [r["camera_id"] for r in cameras]
        by_class = board.rows("mode_classes", cameras=ids, since=at - LOOK_BACK, at=at)
        listed = camera_table(cameras, by_class, lang, zone, ticks=sets)
    pages = pager(asked.page, in_all, CAMERAS_A_PAGE, kept, "page", lang)
    masks_in_all = waiting[0]["in_all"] if waiting else 0
    cameras_part: list[Any] = [
        html.H2(
            [
                t("modes.cameras", lang),
                " ",
                html.Span(t("modes.count", lang, n=number(in_all)), className="total"),
            ],
            id="cameras",
        )
    ]
    if sets and cameras:
        cameras_part.append(setting_form(listed, pages, asked, cameras[0]["own_in_all"], lang))
    else:
        cameras_part += [listed, pages]
    return [
        filters(asked, towns, held, lang),
        html.Nav(
            [
                html.A(f"{t(key, lang)} {number(n)}", href=to)
                for key, to, n in (
                    ("modes.masks_waiting", "#masks-waiting", masks_in_all),
                    ("modes.cameras", "#cameras", in_all),
                    ("modes.masks_active", "#masks-active", len(active)),
                )
            ],
            className="page-links",
            **{"aria-label": t("modes.on_this_page", lang)},
        ),
        mode_masks.waiting_section(waiting, caller, lang, zone),
        pager(asked.masks, masks_in_all, MASKS_A_PAGE, kept, "masks", lang),
        *cameras_part,
        mode_masks.active_section(active, caller, lang, zone),
    ]


def found(board: Board, asked: Filter, at: datetime, *, most: int, skip: int) -> list[Row]:
    """The cameras that a filter finds, each with how many there are in all."""
    return board.rows("mode_cameras", **asked.parameters, since=at - LOOK_BACK, at=at, most=most, skip=skip)


def filters(asked: Filter, towns: list[Row], held: dict[str, str], lang: Language) -> html.Form:
    """The form whose fields are the address: looking again is an ordinary GET."""
    any_ = {"value": "", "label": t("audit.any", lang)}

    def choice(name: str, label: str, options: list[dict[str, str]], value: str) -> dmc.Select:
        return dmc.Select(
            name=name,
            label=t(label, lang),
            data=[any_, *options],
            value=value,
            searchable=True,
            allowDeselect=False,
            size="xs",
            comboboxProps={"zIndex": 3000},
        )

    return html.Form(
        [
            choice(
                "town", "modes.town", [{"value": u["code"], "label": either(u, lang)} for u in towns], asked.town
            ),
            choice(
                "class", "modes.class", [{"value": c, "label": word("class", c, lang)} for c in CLASSES], asked.class_
            ),
            choice("mode", "modes.mode", [{"value": m, "label": word("mode", m, lang)} for m in MODES], asked.mode),
            dmc.TextInput(
                name="text", label=t("modes.text", lang), value=asked.text, size="xs", autoComplete="off"
            ),
            html.Button(t("audit.find", lang), type="submit", className="primary"),
            *[forms.hidden(name, value) for name, value in held.items()],
        ],
        action="/modes",
        method="get",
        className="filters panel",
        role="search",
    )  # fmt: skip


def camera_table(
    cameras: list[Row], by_class: list[Row], lang: Language, zone: str, *, ticks: bool
) -> html.Div:
    """One row a camera: how well it was looked through, and each class with its mode and what was found."""
    held: dict[int, dict[str, Row]] = {}
    for r in by_class:
        held.setdefault(r["camera_id"], {})[r["class"]] = r
    names = [
        t("modes.camera", lang),
        t("modes.looked", lang),
        *[word("class", c, lang) for c in CLASSES],
    ]
    body = [
        row(
            names,
            [
                _camera(r, lang, ticks=ticks),
                _looked(held[r["camera_id"]], lang),
                *[_class(held[r["camera_id"]][c], lang, zone) for c in CLASSES],
            ],
            **shell.data(camera=r["camera_id"]),
        )
        for r in cameras
    ]
    return html.Div(table(names, body), className="table-card mode-table")


def _camera(r: Row, lang: Language, *, ticks: bool) -> Any:
    name: list[Any] = [
        html.B(r["camera_name_zh"]),
        html.Br(),
        html.Small(r["gb_id"], className="fine-code"),
        html.Br(),
        html.Small(either(r, lang, "town") or "—"),
    ]
    if not r["has_pose"]:
        name.append(html.Span(t("modes.no_pose", lang), className="tag state-blind"))
    if not r["is_own"]:
        name.append(html.Span(t("modes.next_door", lang), className="tag"))
    if not ticks or not r["is_own"]:
        return html.Div(name)
    box = dmc.Checkbox(
        size="sm",
        attributes={"input": {"name": "camera", "value": str(r["camera_id"])}},
        **{"aria-label": t("modes.tick", lang, name=r["camera_name_zh"])},
    )
    return html.Div([box, html.Div(name)], className="ticked")


def _looked(classes: dict[str, Row], lang: Language) -> Any:
    any_row = next(iter(classes.values()))
    if not any_row["due"]:
        return html.Span(t("modes.never_looked", lang), className="not-known")
    share = math.floor(100 * any_row["observed"] / any_row["due"])
    return t("modes.looked_share", lang, due=number(any_row["due"]), share=share)


def _class(r: Row, lang: Language, zone: str) -> html.Div:
    said: list[Any] = [
        html.Span(
            word("mode", r["mode"], lang),
            className=f"tag state-{TONES[r['mode']]}",
            **shell.data(mode=r["mode"]),
        )
    ]
    lines = list(_found(r["found"], lang))
    if not lines and not r["due"]:
        # Nobody looked: that nothing was found says nothing.
        lines = [t("modes.not_known", lang)]
    said += [html.Div(line, className="found") for line in lines or [t("modes.found_nothing", lang)]]
    if r["set_at"] is not None:
        told = t("modes.set_by", lang, at=clock(r["set_at"], zone), who=r["set_by"], reason=r["reason"])
        said.append(html.Small(told, className="fine-code"))
    return html.Div(said)


def _found(by_mode: dict[str, dict[str, Any]], lang: Language) -> Any:
    for mode in ("alert", "shadow"):
        if mode in by_mode:
            n = by_mode[mode]
            line = t(
                "modes.found",
                lang,
                mode=word("mode", mode, lang),
                n=number(n["found"]),
                confirmed=number(n["confirmed"]),
                false=number(n["false"]),
                unreviewed=number(n["unreviewed"]),
            )
            yield line + (t("modes.permitted", lang, n=number(n["permitted"])) if n["permitted"] else "")
    for why in ("measure", "mask"):
        if why in by_mode:
            yield t(f"mode_boxes.{why}", lang, n=number(by_mode[why]["found"]))


def setting_form(listed: Any, pages: Any, asked: Filter, own: int, lang: Language) -> html.Form:
    """The table with its ticks, and what is set for those ticked or for all that the filter finds."""
    every = {"value": "", "label": t("modes.every_class", lang)}
    which = [
        {"value": "chosen", "label": t("modes.which_chosen", lang)},
        {"value": "filtered", "label": t("modes.which_filtered", lang, n=number(own))},
    ]
    return html.Form(
        [
            html.Div(
                [
                    forms.choice("which", t("modes.which", lang), which, "chosen"),
                    forms.choice(
                        "set_class",
                        t("modes.set_class", lang),
                        [every, *[{"value": c, "label": word("class", c, lang)} for c in CLASSES]],
                        asked.class_,
                    ),
                    forms.choice(
                        "set_mode",
                        t("modes.set_mode", lang),
                        [{"value": m, "label": word("mode", m, lang)} for m in MODES],
                        "",
                        placeholder="—",
                    ),
                    forms.reason(lang),
                    html.Button(t("modes.set_do", lang), type="submit", className="primary"),
                    html.P(hidden=True, className="message", role="alert", **shell.data(message="1")),
                ],
                className="setting panel",
                role="group",
                **{"aria-label": t("modes.set", lang)},
            ),
            html.Button(
                t("modes.tick_all", lang), type="button", className="plain", **shell.data(tick_all="camera")
            ),
            listed,
            pages,
            *[forms.hidden(name, value) for name, value in asked.fields.items()],
            forms.hidden("in_all", str(own)),
        ],
        action="/modes/set",
        method="post",
        noValidate=True,
        className="form mode-form",
        **shell.data(ask="1", failed=t("access.failed", lang)),
    )


def pager(page: int, in_all: int, size: int, kept: dict[str, str], name: str, lang: Language) -> html.Nav:
    """To the pages before and after; nothing where there is one page."""
    last = max(1, math.ceil(in_all / size))
    links: list[Any] = []
    if page > 1:
        before = urlencode(kept | {name: min(page - 1, last)})
        links.append(html.A(t("modes.prev", lang), href=f"/modes?{before}", className="plain as-link"))
    if last > 1:
        links.append(html.Span(t("modes.page", lang, n=page, all=last), className="quiet"))
    if page < last:
        after = urlencode(kept | {name: page + 1})
        links.append(html.A(t("modes.next", lang), href=f"/modes?{after}", className="plain as-link"))
    return html.Nav(links, className="ways")
