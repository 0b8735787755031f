"""Industries that no rule covers: the nearest business as a proposal, and the form by which the committee decides."""

from datetime import date
from itertools import groupby
from typing import Any

from dash import html

from dashboards import forms
from dashboards.board import Row, number
from dashboards.matrix_asked import Asked
from dashboards.texts import Language, either, t
from geoapp.access.caller import current_caller


def may_decide() -> bool:
    """Whether the caller is of the district's own committee: the county's government decides (安全生产法 Art. 10)."""
    caller = current_caller()
    return caller.may("assign_duty") and caller.scope == "district"


def panel(
    found: list[Row],
    decided: list[Row],
    departments: list[Row],
    asked: Asked,
    held: dict[str, str],
    lang: Language,
    today: date,
) -> html.Section:
    """Each industry with its sites, its nearest rules and why; then what was decided before."""
    parts: list[Any] = [
        html.H2(t("proposal.title", lang), id="proposals"),
        html.P(t("proposal.lead", lang), className="lead"),
    ]
    cards = [
        _industry(list(rows), departments, asked, held, lang, today)
        for _, rows in groupby(found, key=lambda r: r["industry"])
    ]
    if not cards:
        parts.append(html.P(t("proposal.none", lang), className="quiet"))
    parts.append(html.Div(cards, className="proposals"))
    left = (found[0]["in_all"] if found else 0) - len(cards)
    if left > 0:
        parts.append(html.P(t("proposal.more", lang, n=number(left)), className="quiet"))
    if decided:
        parts.append(html.H3(t("proposal.decided_before", lang)))
        parts.append(
            html.Ul(
                [
                    html.Li(
                        [
                            html.B(industry_words(one["industry"], "", lang)),
                            html.Span(f"→ {either(one, lang, 'place_type')} ({one['rule_code']})"),
                            html.Span(either(one, lang, "department") or "—"),
                            html.Small(
                                t(
                                    "proposal.decided",
                                    lang,
                                    document=one["document_no"],
                                    day=one["valid_from"],
                                    who=one["decided_by"],
                                )
                            ),
                        ]
                    )
                    for one in decided
                ],
                className="decisions",
            )
        )
    return html.Section(parts, className="proposal-panel")


def industry_words(industry: str, name: str, lang: Language) -> str:
    """`C33 金属制品业`, or that the names of its sites end so."""
    is_code = industry[:1].isascii() and industry[1:].isdigit()
    return f"{industry} {name}".strip() if is_code else t("proposal.ending", lang, ending=industry)


def _industry(
    rows: list[Row], departments: list[Row], asked: Asked, held: dict[str, str], lang: Language, today: date
) -> html.Article:
    first = rows[0]
    name = either(first, lang, "industry")
    listed = asked.plain().link(held, "list", industry=first["industry"])
    parts: list[Any] = [
        html.Div(
            [
                html.H3(industry_words(first["industry"], name, lang)),
                html.A(t("proposal.sites", lang, n=number(first["site_count"])), href=listed),
            ],
            className="line",
        ),
        html.P("、".join(first["sample_names"]), className="quiet names"),
    ]
    candidates = [r for r in rows if r["place"] is not None]
    if not candidates:
        parts.append(html.P(t("proposal.nothing_near", lang), className="missing"))
    parts.append(html.Ol([_candidate(r, lang) for r in candidates], className="candidates"))
    if may_decide():
        parts.append(
            html.Details(
                [
                    html.Summary(t("proposal.decide", lang)),
                    _form(first, candidates, departments, asked, held, lang, today),
                ],
                className="decide",
            )
        )
    return html.Article(parts, className="card panel proposal")


def _candidate(row: Row, lang: Language) -> html.Li:
    similarity = f"{row['similarity']:.2f}"
    tags: list[Any] = []
    if row["is_decided"]:
        tags.append(
            html.Span(
                t("proposal.was_decided", lang, document=row["decided_document_no"], day=row["decided_on"]),
                className="tag state-seen",
            )
        )
    if row["is_covered"]:
        tags.append(html.Span(t("proposal.covered", lang), className="tag state-running"))
    return html.Li(
        [
            html.Div(
                [
                    html.B(either(row, lang, "department")),
                    html.Span(f"{either(row, lang, 'place_type')} ({row['rule_code']})"),
                    *tags,
                    html.Span(similarity, className="n", title=t("proposal.similarity", lang)),
                ],
                className="line",
            ),
            html.I(style={"width": f"{100 * row['similarity']:.0f}%"}, className="bar"),
            html.Small(why(row, lang)),
        ]
    )


def why(row: Row, lang: Language) -> str:
    """The terms of a similarity in words, each with its score."""
    said = []
    if row["code_score"] is not None:
        key = "proposal.why_code" if row["shared_part"] else "proposal.why_no_code"
        said.append(t(key, lang, part=row["shared_part"] or "", score=f"{row['code_score']:.1f}"))
    if row["words_score"]:
        words = "、".join(row["shared_words"]) if lang == "zh" else ", ".join(row["shared_words"])
        said.append(t("proposal.why_words", lang, words=words, score=f"{row['words_score']:.2f}"))
    if row["kin_score"]:
        said.append(t("proposal.why_kin", lang, share=f"{100 * row['kin_score']:.0f}"))
    return ("；" if lang == "zh" else "; ").join(said)


def _form(
    first: Row,
    candidates: list[Row],
    departments: list[Row],
    asked: Asked,
    held: dict[str, str],
    lang: Language,
    today: date,
) -> html.Form:
    options = [
        {
            "value": f"rule:{r['rule_code']}" if r["is_covered"] else f"near:{r['rule_code']}",
            "label": t(
                "proposal.as_rule" if r["is_covered"] else "proposal.as_near",
                lang,
                rule=r["rule_code"],
                type=either(r, lang, "place_type"),
                department=either(r, lang, "department"),
            ),
        }
        for r in candidates
    ]
    options += [
        {
            "value": f"department:{d['code']}",
            "label": t("proposal.as_other", lang, department=either(d, lang)),
        }
        for d in departments
    ]
    name_zh = str(first["industry_zh"] or first["industry"])
    return forms.form(
        [
            forms.choice(
                "decision",
                t("proposal.decision", lang),
                options,
                options[0]["value"] if candidates else "",
                searchable=True,
            ),
            forms.text(
                "place_type_zh",
                t("proposal.name_zh", lang),
                t("proposal.name_hint", lang),
                value=name_zh,
            ),
            forms.text(
                "place_type_en",
                t("proposal.name_en", lang),
                value=str(first["industry_en"] or ""),
            ),
            forms.text("document_no", t("proposal.document", lang), autoComplete="off"),
            forms.text(
                "valid_from",
                t("proposal.valid_from", lang),
                value=today.isoformat(),
                placeholder="YYYY-MM-DD",
            ),
            forms.reason(lang),
            forms.hidden("industry", first["industry"]),
            *[
                forms.hidden(name, value)
                for name, value in (asked.plain().fields | held).items()
                if name not in ("industry", "lang")
            ],
        ],
        "/matrix/decide",
        lang,
        t("proposal.submit", lang),
    )


def decided_words(row: Row, lang: Language) -> str:
    """What is said when it is done."""
    return t("proposal.done", lang, rule=row["used_rule"], n=number(row["site_count"]))
