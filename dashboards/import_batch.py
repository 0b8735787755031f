"""One imported file, on the page of imports: its account, what was found, its report, its workbook, the way back."""

from typing import Any

import dash_mantine_components as dmc
from dash import html

from dashboards import shell
from dashboards.board import Board, Row, clock, number
from dashboards.import_bars import ACCOUNT, DIFFERENCE, account_bar
from dashboards.own_account import row, table
from dashboards.texts import Language, t, word
from layers.export_route import REASON_MAX, REASON_MIN


def detail(board: Board, batch: int, lang: Language, zone: str, kept: str) -> Any:
    """The file with this number, or a word that there is none."""
    found = board.row("import_batch", batch=batch)
    close = html.A(t("imports.close", lang), href=f"/imports{kept}", className="plain as-link")
    if found is None:
        return html.Section(
            [html.P(t("imports.no_batch", lang, n=batch)), close], className="card panel", role="alert"
        )
    reasons = board.rows("import_reasons", batch=batch)
    return html.Section(
        [
            html.Div(
                [
                    html.H2(f"{word('section', found['section'], lang)} · {found['file']}"),
                    html.Span(t("imports.batch_no", lang, n=batch), className="quiet"),
                    *_taken_back(found, lang, zone),
                    html.Div([_report_link(found, lang), close], className="row-actions total"),
                ],
                className="line batch-head",
            ),
            html.Div([_account(found, lang), _facts(found, lang, zone)], className="card-pair"),
            *_notices(found["notices"], lang),
            html.H3(t("imports.found", lang)),
            reason_table(reasons, lang),
            *_correction(found, lang),
            *_way_back(found, lang),
        ],
        className="card panel batch-card",
        **shell.data(detail=batch),
    )


def _taken_back(found: Row, lang: Language, zone: str) -> list[Any]:
    if found["state"] != "rolled_back":
        return []
    when = clock(found["rolled_back_at"], zone)
    return [
        html.Span(
            t("imports.taken_back", lang, who=found["rolled_back_by"] or "—", at=when),
            className="tag state-blind",
        )
    ]


def _report_link(found: Row, lang: Language) -> html.A:
    return html.A(
        t("imports.report", lang),
        href=f"/export/import/{found['batch_id']}.html",
        target="_blank",
        rel="noopener",
        className="primary as-link",
    )


def _account(found: Row, lang: Language) -> html.Div:
    """Rows in = stored + unchanged + repaired + kept aside; and what is different from before."""
    lines = [
        html.Div(
            [html.I(className=f"key part-{name.removeprefix('rows_')}"), t(f"imports.{name}", lang), html.B(number(found[name]))],
            className="account-line",
        )
        for name in ACCOUNT
    ]  # fmt: skip
    total = html.Div(
        [html.I(className="key"), t("imports.rows_in", lang), html.B(number(found["rows_in"]))],
        className="account-line sum",
    )
    changes = [
        html.Span([t(f"imports.{name}", lang), html.B(number(found[name]))], className="change")
        for name in (*DIFFERENCE, "rows_warned")
    ]
    return html.Div(
        [account_bar(found, lang), *lines, total, html.Div(changes, className="changes")], className="account"
    )


def _facts(found: Row, lang: Language, zone: str) -> html.Dl:
    digest = found["file_sha256"]
    pairs = [
        ("imports.manifest", found["manifest"] or "—"),
        ("imports.who", found["started_by"] or "—"),
        (
            "imports.when",
            f"{clock(found['started_at'], zone)} – {clock(found['finished_at'], zone, day=False)}",
        ),
        ("imports.encoding", found["encoding"] or "—"),
        ("imports.frame", found["frame"] or "—"),
        ("imports.sha256", html.Code(f"{digest[:16]}…", title=digest) if digest else "—"),
    ]
    parts = [part for key, value in pairs for part in (html.Dt(t(key, lang)), html.Dd(value))]
    return html.Dl(parts, className="facts")


def _notices(notices: list[str], lang: Language) -> list[Any]:
    if not notices:
        return []
    return [
        html.H3(t("imports.notices", lang)),
        html.Ul([html.Li(one) for one in notices], className="notes"),
    ]


def reason_table(reasons: list[Row], lang: Language) -> Any:
    """What was found in the rows, by reason: how many rows, an example, what to do."""
    if not reasons:
        return html.P(t("imports.nothing_found", lang), className="quiet")
    names = [t(f"imports.{c}", lang) for c in ("kind", "reason", "rows", "first_rows", "fix")]
    body = []
    for r in reasons:
        numbers = ", ".join(number(n) for n in r["first_rows"]) + (
            " …" if r["rows"] > len(r["first_rows"]) else ""
        )
        field = [html.Code(r["field"]), " "] if r["field"] else []
        body.append(
            row(
                names,
                [
                    html.Span(word("import_kind", r["kind"], lang), className=f"tag kind-{r['kind']}"),
                    [
                        *field,
                        r[f"example_{lang}"],
                        html.Br(),
                        html.Small(r["reason_code"], className="fine-code"),
                    ],
                    number(r["rows"]),
                    numbers,
                    r[f"fix_{lang}"] or "—",
                ],
            )
        )
    return html.Div(table(names, body), className="table-card")


def _correction(found: Row, lang: Language) -> list[Any]:
    """The rows that were kept aside, as a workbook to correct; personal data leave with a reason."""
    if not found["rows_rejected"]:
        return []
    return [
        html.H3(t("imports.rejected", lang, n=number(found["rows_rejected"])), id="rejected"),
        html.P(t("imports.rejected_lead", lang), className="quiet"),
        html.Form(
            [
                dmc.TextInput(
                    name="reason",
                    size="xs",
                    required=True,
                    placeholder=t("imports.export_reason", lang),
                    autoComplete="off",
                    attributes={
                        "input": {
                            "minLength": REASON_MIN,
                            "maxLength": REASON_MAX,
                            "aria-label": t("imports.export_reason", lang),
                        }
                    },
                ),
                html.Button(t("imports.workbook", lang), type="submit", className="primary"),
            ],
            action=f"/export/import/{found['batch_id']}.xlsx",
            method="get",
            className="export-form",
        ),
    ]


def _way_back(found: Row, lang: Language) -> list[Any]:
    if found["state"] == "rolled_back":
        return []
    return [
        html.H3(t("imports.way_back", lang)),
        html.P(t("imports.way_back_lead", lang), className="quiet"),
        command(f"geoapp load rollback {found['batch_id']}", lang),
    ]


def command(text: str, lang: Language) -> html.Div:
    """A command for the operator, with a button that copies it."""
    button = html.Button(
        t("access.copy", lang),
        type="button",
        className="plain",
        **shell.data(copy="1", copied=t("access.copied", lang)),
    )
    return html.Div([html.Output(text), button], className="command")
