"""The review desk: the queue of leads by urgency, one lead with its frames, place and facts, and the handover of a shift.

The page is a frame of empty parts; assets/77_review_desk.js asks for values and fills them, because an officer works by
keys and must never wait for a page.
"""

import json
from typing import Any

from dash import ClientsideFunction, Dash, Input, Output, dcc, html

from dashboards import shell
from dashboards.board import Board
from dashboards.map_area import city_map
from dashboards.past_day import PastDay
from dashboards.state import ViewState
from dashboards.texts import Language, group, t, word
from geoapp.access.caller import Caller, current_caller

SHOWN = ("incident", "camera", "key_risk_area", "site", "unit")
# What a false alarm was, in the order of the keys 1 to 9 and 0.
CAUSES = (
    "steam",
    "dust",
    "fog_rain",
    "reflection",
    "lamp_sun",
    "vehicle",
    "lens",
    "cooking",
    "test",
    "other",
)
KEYS = (
    ("j / k", "move"),
    ("← / →", "frame"),
    ("1", "confirm"),
    ("2", "false"),
    ("3", "permitted"),
    ("4", "assign"),
    ("m", "map"),
    ("h", "handover"),
    ("Esc", "cancel"),
    ("?", "keys"),
)


def layout(state: ViewState, board: Board) -> html.Div:
    """The page; a plain word for roles that look at no frames."""
    lang, caller = state.lang, current_caller()
    city = board.city()
    if city is None or city["west"] is None:
        return shell.frame(state, "/review", city, [shell.notice(t("app.no_city", lang))])
    if not is_for(caller):
        return shell.frame(state, "/review", city, [shell.notice(t("access.forbidden", lang))])
    shown = ViewState(lang=lang, theme=state.theme, layers=SHOWN, selected=state.selected)
    body = [
        html.Main(
            [_head(lang), _stage(shown, board, lang), *_dialogs(lang)],
            id="review",
            className="review",
            **shell.data(
                may="1" if caller.may("review_incident") else "",
                selected=state.selected.removeprefix("incident:")
                if state.selected.startswith("incident:")
                else "",
                causes=json.dumps(
                    [[cause, word("cause", cause, lang)] for cause in CAUSES], ensure_ascii=False
                ),
                words=json.dumps(group("review", lang), ensure_ascii=False),
                texts=json.dumps(_texts(lang), ensure_ascii=False),
            ),
        ),
        # What the map tells; see overview.
        *[
            dcc.Store(id=name)
            for name in ("live-tick", "slow-tick", "selection", "lens-counts", "desk-ignored")
        ],
    ]
    return shell.frame(state, "/review", city, body)


def is_for(caller: Caller) -> bool:
    """Whether the desk is this caller's: one who looks at frames, and is no firm (a firm's own leads are on its map)."""
    return caller.may("look_at_evidence") and caller.scope != "site"


def _texts(lang: Language) -> dict[str, str]:
    """What the script says by itself."""
    looks = {f"look_{tone}": words for tone, words in group("look", lang).items()}
    by = {f"by_{kind}": words for kind, words in group("desk_by", lang).items()}
    return group("desk", lang) | looks | by | {"key_frame": t("desk_key.frame", lang)}


def _head(lang: Language) -> html.Div:
    return html.Div(
        [
            html.H1(t("desk.title", lang)),
            html.Div(id="review-figures", className="review-figures", **{"aria-live": "polite"}),
            html.Button(
                [t("desk.handover", lang), html.Kbd("h"), html.Span(id="review-unread", className="count")],
                className="plain",
                type="button",
                **shell.data(desk="handover"),
            ),
            html.Button(
                [t("desk.keys", lang), html.Kbd("?")],
                className="plain keys-button",
                type="button",
                **shell.data(desk="keys"),
            ),
        ],
        className="review-head",
    )


def _stage(state: ViewState, board: Board, lang: Language) -> html.Div:
    city = board.city()
    assert city is not None
    return html.Div(
        [
            html.Section(
                id="review-queue",
                className="review-queue",
                tabIndex="0",
                role="listbox",
                **{"aria-label": t("desk.queue", lang)},
            ),
            html.Section(id="review-lead", className="review-lead", **{"aria-label": t("desk.lead", lang)}),
            html.Aside(
                [
                    html.Div(
                        [
                            html.Div(
                                city_map(state, city, PastDay()),
                                className="map-frame",
                                role="application",
                                **{"aria-label": t("map.label", lang)},
                            ),
                            html.Div(
                                [html.B(), html.Span()],
                                id="hover-card",
                                className="hover-card panel",
                                hidden=True,
                            ),
                        ],
                        className="map-area review-map",
                    ),
                    html.Div(id="review-facts", className="review-facts"),
                ],
                className="review-side",
            ),
        ],
        className="review-stage",
    )


def _dialogs(lang: Language) -> list[Any]:
    keys = [html.Li([html.Kbd(key), html.Span(t(f"desk_key.{what}", lang))]) for key, what in KEYS]
    close = {"type": "button", "className": "plain", **shell.data(desk="close")}
    return [
        html.Dialog(
            [
                html.H2(t("desk.keys", lang)),
                html.Ul(keys, className="key-list"),
                html.Button(t("desk.close", lang), **close),
            ],
            id="review-keys",
            className="dialog panel",
            **{"aria-label": t("desk.keys", lang)},
        ),
        html.Dialog(
            [
                html.Div(
                    [
                        html.H2(t("desk.handover", lang)),
                        html.Button(
                            "×", **{**close, "className": "close", "aria-label": t("desk.close", lang)}
                        ),
                    ],
                    className="shift-head",
                ),
                html.Div(id="review-shift", className="review-shift"),
            ],
            id="review-handover",
            className="dialog panel wide-dialog",
            **{"aria-label": t("desk.handover", lang)},
        ),
    ]


def register(app: Dash) -> None:
    """What is chosen on the map is chosen on the desk."""
    app.clientside_callback(
        ClientsideFunction("geoapp", "deskChosen"),
        Output("desk-ignored", "data"),
        Input("selection", "data"),
        prevent_initial_call=True,
    )
