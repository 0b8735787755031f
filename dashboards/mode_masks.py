"""Masks on the page of modes: those that wait, each over the last kept frame of its camera, and those in force."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any
from urllib.parse import quote

from dash import html

from dashboards import forms, shell
from dashboards.board import Row, clock, number
from dashboards.own_account import row, table
from dashboards.texts import Language, either, t, word
from detection.config import MasksConfig
from geoapp.access.caller import Caller

DAYS_MOST = 366
# What is in the audit as the reason of these looks.
LOOKED_FOR = "遮罩核对 / mask"


def dialogs(lang: Language) -> list[html.Dialog]:
    """Accept (and extend), decline, end: each with its reason."""
    days = round(MasksConfig().days)
    fields: dict[str, list[Any]] = {
        "accept": [forms.number("days", t("modes.days", lang), days, 1, DAYS_MOST), forms.reason(lang)],
        "refuse": [forms.reason(lang)],
        "end": [forms.reason(lang)],
    }
    return [
        forms.dialog(
            f"mask-{name}",
            t(f"modes.{name}", lang),
            word("mask_note", name, lang),
            forms.form(held, "", lang, t(f"modes.{name}", lang), in_dialog=True),
            with_who=True,
        )
        for name, held in fields.items()
    ]


def waiting_section(rows: list[Row], caller: Caller, lang: Language, zone: str) -> html.Section:
    """Masks that nobody has decided."""
    cards: Any = html.P(t("modes.no_masks_waiting", lang), className="empty-line")
    if rows:
        cards = html.Div([_card(r, caller, lang, zone) for r in rows], className="masks")
    count = f" {number(rows[0]['in_all'])}" if rows else ""
    return html.Section(
        [
            html.H2([t("modes.masks_waiting", lang), html.Span(count, className="total")]),
            html.P(t("modes.masks_lead", lang), className="lead"),
            cards,
        ],
        id="masks-waiting",
    )


def _card(r: Row, caller: Caller, lang: Language, zone: str) -> html.Article:
    who = f"{r['camera_name_zh']} · {word('class', r['class'], lang)}"
    facts = [
        ("modes.cause", word("cause", r["cause"], lang)),
        ("modes.same", number(r["same_reviews"])),
    ]
    if r["incident_id"] is not None:
        link = html.Button(
            f"#{r['incident_no']}",
            type="button",
            className="link",
            **shell.data(select=f"incident:{r['incident_id']}"),
        )
        facts.append(("modes.incident", link))
    if r["review_reason"]:
        facts.append(("modes.review_said", r["review_reason"]))
    actions: list[Any] = []
    if caller.may("decide_mask"):
        actions = [
            forms.opener(
                t("modes.accept", lang),
                "mask-accept",
                action=f"/modes/masks/{r['id']}/accept",
                who=who,
                className="primary",
            ),
            forms.opener(
                t("modes.refuse", lang), "mask-refuse", action=f"/modes/masks/{r['id']}/refuse", who=who
            ),
        ]
    return html.Article(
        [
            _picture(r, caller, lang, zone),
            html.Div(
                [
                    html.H3(r["camera_name_zh"]),
                    html.Div(
                        [
                            html.Span(word("class", r["class"], lang), className="tag"),
                            html.Span(
                                t("modes.covers", lang, n=number(100 * area(r["polygon"]), 1)),
                                className="quiet",
                            ),
                            html.Span(either(r, lang, "town"), className="quiet"),
                        ],
                        className="line",
                    ),
                    html.P(
                        t(
                            "modes.proposed",
                            lang,
                            who=r["proposed_by"] or "—",
                            at=clock(r["proposed_at"], zone),
                        ),
                        className="quiet",
                    ),
                    html.Dl(
                        [part for key, value in facts for part in (html.Dt(t(key, lang)), html.Dd(value))]
                    ),
                    html.Div(actions, className="row-actions"),
                ],
                className="mask-said",
            ),
        ],
        className="card panel mask",
        **shell.data(mask=r["id"]),
    )


def _picture(r: Row, caller: Caller, lang: Language, zone: str) -> html.Figure:
    """The camera's last kept frame with the mask over it; without a frame the mask to scale, and why."""
    shape = html.Div(html.Div(style={"clipPath": outline(r["polygon"])}), className="mask-over")
    if r["evidence_id"] is None:
        held, said = html.Div(className="no-frame"), t("modes.frame_none", lang)
    elif not caller.may("look_at_evidence"):
        held, said = html.Div(className="no-frame"), t("modes.frame_not_yours", lang)
    else:
        at = clock(r["captured_at"], zone, seconds=True)
        held = html.Img(
            src=f"/evidence/{r['evidence_id']}.jpg?why={quote(LOOKED_FOR)}",
            alt=t("modes.frame_alt", lang, camera=r["camera_name_zh"], at=at),
        )
        said = t("modes.frame_at", lang, at=at)
    ratio = f"{r['width_px'] or 16} / {r['height_px'] or 9}"
    return html.Figure(
        [html.Div([held, shape], className="mask-frame", style={"aspectRatio": ratio}), html.Figcaption(said)]
    )


def outline(polygon: Sequence[Sequence[float]]) -> str:
    """A mask as a CSS polygon, in per cent of the picture."""
    points = ", ".join(f"{100 * float(x):.2f}% {100 * float(y):.2f}%" for x, y in polygon)
    return f"polygon({points})"


def area(polygon: Sequence[Sequence[float]]) -> float:
    """The share of the picture that a mask covers, 0 to 1."""
    ring = [*polygon, polygon[0]]
    crossed = (a[0] * b[1] - b[0] * a[1] for a, b in pairwise(ring))
    return abs(sum(crossed)) / 2


def active_section(rows: list[Row], caller: Caller, lang: Language, zone: str) -> html.Section:
    """Masks in force, the first to end first, with what they suppressed."""
    shown: Any = html.P(t("modes.no_masks_active", lang), className="empty-line")
    if rows:
        columns = ["modes.camera", "modes.class", "modes.cause", "modes.until", "modes.suppressed"]
        names = [t(key, lang) for key in [*columns, "account.actions"]]
        shown = html.Div(
            table(names, [row(names, _active(r, caller, lang, zone)) for r in rows]), className="table-card"
        )
    return html.Section([html.H2(t("modes.masks_active", lang)), shown], id="masks-active")


def _active(r: Row, caller: Caller, lang: Language, zone: str) -> list[Any]:
    who = f"{r['camera_name_zh']} · {word('class', r['class'], lang)}"
    suppressed = t("modes.suppressed_none", lang)
    if r["suppressed"]:
        suppressed = t(
            "modes.suppressed_said",
            lang,
            n=number(r["suppressed"]),
            at=clock(r["last_suppressed_at"], zone),
        )
    actions: list[Any] = []
    if caller.may("decide_mask"):
        address = f"/modes/masks/{r['id']}"
        actions = [
            forms.opener(t("modes.extend", lang), "mask-accept", action=f"{address}/accept", who=who),
            forms.opener(t("modes.end", lang), "mask-end", action=f"{address}/end", who=who),
        ]
    decided = t("modes.decided", lang, at=clock(r["decided_at"], zone), who=r["decided_by"])
    return [
        [html.B(r["camera_name_zh"]), html.Br(), html.Small(either(r, lang, "town"))],
        [word("class", r["class"], lang), html.Br(), html.Small(t("modes.covers", lang, n=number(100 * area(r["polygon"]), 1)))],
        [word("cause", r["cause"], lang), html.Br(), html.Small(decided)],
        clock(r["until"], zone),
        suppressed,
        html.Div(actions, className="row-actions"),
    ]  # fmt: skip
