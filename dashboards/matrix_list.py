"""What lies behind a count of the duty matrix: its sites or cells; and the search of a site for its chain."""

from typing import Any

import dash_mantine_components as dmc
from dash import html

from dashboards import duty_chain, forms
from dashboards.board import Row, cell_code, number
from dashboards.matrix_asked import Asked
from dashboards.matrix_table import on_map
from dashboards.own_account import row, table
from dashboards.texts import Language, either, t, word


def sites(found: list[Row], asked: Asked, held: dict[str, str], lang: Language) -> html.Div:
    """Sites with the standing of their lead, and the ways to the map and to the chain."""
    if not found:
        return html.Div(html.P(t("table.empty", lang), className="empty"), className="table-card")
    names = [t(f"matrix.{n}", lang) for n in ("site", "place_type", "status", "department", "cell", "ways")]
    body = []
    for one in found:
        departments = one["departments_en" if lang == "en" else "departments_zh"] or []
        named = "、".join(departments) if lang == "zh" else ", ".join(departments)
        body.append(
            row(
                names,
                [
                    one["name_zh"],
                    either(one, lang, "place_type")
                    or t("matrix.no_rule_of", lang, industry=one["industry"] or "—"),
                    html.Span(
                        word("duty_state", one["status"], lang), className=f"status status-{one['status']}"
                    ),
                    [
                        named or "—",
                        *(
                            [html.Small(t("matrix.usual", lang))]
                            if named and one["status"] == "missing"
                            else []
                        ),
                    ],
                    [
                        html.Span(
                            cell_code(one["cell_code"]) if one["cell_code"] else t("matrix.no_cell", lang)
                        ),
                        html.Br(),
                        html.Small(either(one, lang, "town") or "—"),
                    ],
                    html.Div(
                        [
                            html.A(
                                t("matrix.chain", lang), href=asked.link(held, "chain", site=one["site_id"])
                            ),
                            html.A(t("matrix.map", lang), href=on_map(f"site:{one['site_id']}", held)),
                        ],
                        className="tags-cell",
                    ),
                ],
            )
        )
    return html.Div(table(names, body), className="table-card")


def cells(found: list[Row], held: dict[str, str], lang: Language) -> html.Div:
    """Cells without a grid worker."""
    if not found:
        return html.Div(html.P(t("table.empty", lang), className="empty"), className="table-card")
    names = [t(f"matrix.{n}", lang) for n in ("cell", "community", "town", "grid_chief", "ways")]
    body = [
        row(
            names,
            [
                [one["name_zh"] or "", html.Br(), html.Small(cell_code(one["code"]))],
                one["community_zh"] or "—",
                either(one, lang, "town") or "—",
                one["chief_name"] or html.B(t("duty_chain.vacant", lang), className="missing"),
                html.A(t("matrix.map", lang), href=on_map(f"cell:{one['code']}", held)),
            ],
        )
        for one in found
    ]
    return html.Div(table(names, body), className="table-card")


def chain_card(
    asked: Asked, chain: list[Row], found: list[Row], held: dict[str, str], lang: Language
) -> html.Section:
    """A box for a site's name, what it finds, and the chain of the site that is chosen."""
    parts: list[Any] = [
        html.H2(t("matrix.chain_title", lang)),
        html.Form(
            [
                dmc.TextInput(
                    name="text",
                    value=asked.text,
                    size="xs",
                    placeholder=t("matrix.chain_search", lang),
                    autoComplete="off",
                    **{"aria-label": t("matrix.chain_search", lang)},
                ),
                html.Button(t("audit.find", lang), type="submit", className="plain"),
                *[
                    forms.hidden(name, value)
                    for name, value in (asked.fields | held).items()
                    if name not in ("text", "site")
                ],
            ],
            action="/matrix#chain",
            method="get",
            className="find-site",
            role="search",
        ),
    ]
    if asked.text and not found:
        parts.append(html.P(t("search.none", lang), className="quiet"))
    if found:
        parts.append(
            html.Ul(
                [
                    html.Li(
                        [
                            html.A(one["name_zh"], href=asked.link(held, "chain", site=one["id"])),
                            html.Small(f"{either(one, lang, 'town') or '—'} · {one['address'] or '—'}"),
                        ]
                    )
                    for one in found
                ],
                className="found-sites",
            )
        )
    if chain:
        one = chain[0]
        kind = either(one, lang, "place_type") or t("matrix.no_rule", lang)
        parts += [
            html.H3(
                [
                    html.A(one["site_zh"], href=on_map(f"site:{asked.site}", held)),
                    html.Small(kind),
                    html.Span(
                        word("duty_state", one["site_status"], lang),
                        className=f"status status-{one['site_status']}",
                    ),
                ]
            ),
            duty_chain.chain(chain, lang),
        ]
    elif asked.site is not None:
        parts.append(html.P(t("matrix.chain_none", lang), className="quiet"))
    elif not asked.text:
        parts.append(html.P(t("matrix.chain_lead", lang), className="quiet"))
    return html.Section(parts, className="card panel chain-card", id="chain")


def planned(found: list[Row], lang: Language) -> html.Section | None:
    """Leads that begin later: said to be planned, of no effect on the figures shown."""
    if not found:
        return None
    items = [
        html.Li(
            [
                html.B(str(one["valid_from"])),
                html.Span(
                    f"{either(one, lang, 'unit')} · {either(one, lang, 'place_type')} → {either(one, lang, 'department')}"
                ),
                html.Small(
                    " · ".join(filter(None, [word("assignment", one["status"], lang), one["document_no"]]))
                ),
            ]
        )
        for one in found
    ]
    more = found[0]["in_all"] - len(found)
    if more > 0:
        items.append(html.Li(t("matrix.more", lang, n=number(more)), className="quiet"))
    return html.Section(
        [
            html.H2(t("matrix.planned", lang)),
            html.P(t("matrix.planned_lead", lang), className="lead"),
            html.Ul(items),
        ],
        className="card panel planned-card",
    )
