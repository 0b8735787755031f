"""Two sites that may be one, side by side: an admin says whether they are, and which is kept."""

import json
from hashlib import sha256
from typing import Any

from dash import html

from dashboards import forms, shell
from dashboards.audit_page import field_word
from dashboards.board import Row, number
from dashboards.texts import Language, either, t, word

# In this order; those that both sites leave blank are not shown.
FIELDS = (
    "uscc",
    "local_id",
    "rule_code",
    "gbt4754",
    "scale",
    "nine_small",
    "hazard_level",
    "people",
    "vulnerability",
    "contact_name",
    "contact_phone",
    "visit_cap_per_year",
    "active_from",
    "active_to",
    "cell_code",
    "batch_id",
)
# A decision, what its button says, and the question before it.
DECISIONS = {
    "left": ("imports.merge_left", "imports.merge_left_ask"),
    "right": ("imports.merge_right", "imports.merge_right_ask"),
    "apart": ("imports.merge_apart", "imports.merge_apart_ask"),
}
SIDES = {"left": "imports.merge_left_site", "right": "imports.merge_right_site"}


def seen(r: Row) -> str:
    """What the admin saw of the two: what has been changed since is not decided on."""
    return sha256(json.dumps([r["left_site"], r["right_site"]], sort_keys=True).encode()).hexdigest()[:16]


def section(merges: list[Row], lang: Language) -> list[Any]:
    """The open pairs; nothing where there are none."""
    if not merges:
        return []
    in_all = merges[0]["in_all"]
    more = (
        []
        if in_all == len(merges)
        else [html.P(t("imports.merges_more", lang, n=number(in_all - len(merges))), className="lead")]
    )
    return [
        html.H2(t("imports.merges", lang, n=number(in_all))),
        html.P(t("imports.merges_lead", lang), className="lead"),
        html.Div([_pair(r, lang) for r in merges], className="merge-list"),
        *more,
    ]


def _pair(r: Row, lang: Language) -> html.Section:
    left, right = r["left_site"], r["right_site"]
    shown = [f for f in FIELDS if not (blank(left[f]) and blank(right[f]))]
    lines = [
        html.Tr(
            [
                html.Th(field_word("registry.site", f, lang) or f, scope="row"),
                html.Td(_value(f, left[f], lang)),
                html.Td(_value(f, right[f], lang)),
            ],
            className="differs" if left[f] != right[f] else "",
        )
        for f in shown
    ]
    head = html.Tr(
        [
            html.Th(),
            *[
                html.Th(
                    [
                        f"{t(title, lang)} ",
                        html.Button(
                            t("imports.on_map", lang),
                            type="button",
                            className="link",
                            **shell.data(select=f"site:{r[f'{side}_id']}"),
                        ),
                    ],
                    scope="col",
                )
                for side, title in SIDES.items()
            ],
        ]
    )
    return html.Section(
        [
            html.Div(
                [
                    html.B(r["name_zh"]),
                    html.Span(r["address"], className="quiet"),
                    html.Span(either(r, lang, "town"), className="quiet"),
                    html.Span(t("imports.apart_m", lang, m=number(r["distance_m"], 1)), className="tag"),
                ],
                className="line",
            ),
            html.Table([html.Thead(head), html.Tbody(lines)], className="plain-table merge-table"),
            html.Div([_button(r, side, lang) for side in DECISIONS], className="row-actions"),
        ],
        className="card panel merge-card",
        **shell.data(merge=r["merge_id"]),
    )


def blank(value: Any) -> bool:
    """Whether a site says nothing here."""
    return value is None or value == ""


def _value(field: str, value: Any, lang: Language) -> str:
    if blank(value):
        return "—"
    return word("level", value, lang) if field == "hazard_level" else str(value)


def _button(r: Row, decision: str, lang: Language) -> html.Button:
    return forms.opener(
        t(DECISIONS[decision][0], lang),
        f"merge-{decision}",
        action=f"/imports/merges/{r['merge_id']}/{decision}?seen={seen(r)}",
        who=f"{r['name_zh']} · {r['address']}",
    )


def dialogs(lang: Language) -> list[html.Dialog]:
    """One for each decision: what will become of the two, and why."""
    return [
        forms.dialog(
            f"merge-{decision}",
            t(title, lang),
            t(question, lang),
            forms.form(
                [forms.reason(lang)],
                "",
                lang,
                t(title, lang),
                danger=decision != "apart",
                in_dialog=True,
            ),
            with_who=True,
        )
        for decision, (title, question) in DECISIONS.items()
    ]
