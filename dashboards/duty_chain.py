"""Who answers for a site, from the district to its own contact: the same list in the drawer and on the page of duties."""

from typing import Any

from dash import html

from dashboards.board import Row
from dashboards.texts import Language, either, t, word


def chain(rows: list[Row], lang: Language) -> html.Ol:
    """The rows of analysis.duty_chain_at in order; an empty office is said to be empty, with who answers meanwhile."""
    return html.Ol([_office(row, lang) for row in rows], className="duty-chain")


def _office(row: Row, lang: Language) -> html.Li:
    where = either(row, lang, "unit")
    head: list[Any] = [html.Span(word("duty_office", row["office"], lang), className="office")]
    if where and row["office"] != "site_contact":
        head.append(html.Small(where))
    body: list[Any] = []
    if row["state"] == "not_shown":
        body.append(html.Span(t("duty_chain.not_shown", lang), className="quiet"))
    elif row["is_vacant"]:
        body.append(html.B(t("duty_chain.vacant", lang), className="missing"))
        body.append(html.Span(_why(row, lang), className=f"status status-{row['state']}"))
    else:
        body.append(html.B(row["person_name"] or "—"))
        body.append(_phone(row["phone"]))
        if row["state"] == "two_leads":
            body.append(html.Span(word("duty_state", "two_leads", lang), className="status status-two_leads"))
    if row["since"] and not row["is_vacant"]:
        since = t("duty_chain.since", lang, day=row["since"])
        body.append(html.Small(f"{since} · {row['document_no']}" if row["document_no"] else since))
    lines: list[Any] = [html.Div(head, className="line"), html.Div(body, className="line")]
    if row["is_vacant"]:
        lines.append(html.Div(_meanwhile(row, lang), className="line meanwhile"))
    return html.Li(lines, className="vacant" if row["is_vacant"] else "")


def _why(row: Row, lang: Language) -> str:
    return word("duty_why", row["why"], lang) if row["why"] else word("duty_state", row["state"], lang)


def _meanwhile(row: Row, lang: Language) -> list[Any]:
    if not row["meanwhile_name"]:
        return [html.Small(t("duty_chain.nobody_meanwhile", lang))]
    office = word("duty_office", row["meanwhile_office"], lang).lower()
    return [
        html.Small(t("duty_chain.meanwhile", lang, office=office)),
        html.Span(row["meanwhile_name"]),
        _phone(row["meanwhile_phone"]),
    ]


def _phone(phone: str | None) -> Any:
    return html.A(phone, href=f"tel:{phone}", className="phone") if phone else html.Small("—")
