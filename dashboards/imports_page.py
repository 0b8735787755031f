"""The page of imports, for admins: what runs, what became of each file, feeds, sites that may be one, corrected workbooks.

Everything is read under the admin's own database role. The page loads nothing and takes nothing back: that writes
registers, which the web process may not; it says which command does it.
"""

import hashlib
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, quote

import psycopg
from dash import Dash, Input, Output, State, ctx, dcc, html, no_update
from psycopg_pool import PoolTimeout

from dashboards import import_batch, import_merges, shell
from dashboards.board import Board, Row, clock, number
from dashboards.import_bars import account_bar, counts_words, progress
from dashboards.imports_in import handed_in_section
from dashboards.own_account import row, table
from dashboards.state import ViewState
from dashboards.texts import Language, t, word
from geoapp.access.caller import current_caller

LISTED_RUNS = 40
LISTED_MERGES = 12
# How often the page asks by itself, ms: while something runs, and otherwise.
RUNNING_MS, QUIET_MS = 2_000, 15_000
TONES = {"running": "running", "done": "seen", "refused": "bad", "failed": "bad", "cut_off": "bad", "rolled_back": "blind"}  # fmt: skip
FEED_TONES = {"ok": "seen", "running": "running", "waiting": "blind", "paused": "blind", "never": "blind"}


def layout(state: ViewState, board: Board) -> html.Div:
    """The page; for others than admins a plain word that it is not theirs."""
    lang = state.lang
    city = board.city()
    if not shell.may_open("/imports", current_caller()):
        return shell.frame(state, "/imports", city, [shell.notice(t("access.forbidden", lang))])
    zone = str(city["timezone"]) if city else "Asia/Shanghai"
    body = html.Main(
        [
            html.H1(t("imports.title", lang)),
            html.P(t("imports.lead", lang), className="lead"),
            *[html.Div(id=f"imports-{part}") for part in ("now", "detail", "merges", "list", "more")],
            *import_merges.dialogs(lang),
            dcc.Interval(id="imports-poll", interval=RUNNING_MS),
            dcc.Store(id="imports-seen"),
            dcc.Store(id="imports-page", data={"lang": lang, "zone": zone, "kept": shell.keep(state)}),
        ],
        className="table-page imports-page",
    )
    return shell.frame(state, "/imports", city, [body])


def register(app: Dash, board: Board) -> None:
    """The callback of the page: what is shown follows the address, and what happens meanwhile."""

    @app.callback(
        Output("imports-now", "children"),
        Output("imports-detail", "children"),
        Output("imports-merges", "children"),
        Output("imports-list", "children"),
        Output("imports-more", "children"),
        Output("imports-poll", "interval"),
        Output("imports-seen", "data"),
        Input("address", "search"),
        Input("imports-poll", "n_intervals"),
        State("imports-seen", "data"),
        State("imports-page", "data"),
    )
    def show(query: str | None, _: Any, seen: str | None, page: dict[str, Any]) -> Any:
        lang: Language = page["lang"]
        if not shell.may_open("/imports", current_caller()):
            return (no_update,) * 7
        asked_anew = ctx.triggered_id != "imports-poll"
        try:
            return content(board, query, None if asked_anew else seen, page)
        except (psycopg.Error, PoolTimeout):
            away = shell.notice(t("app.no_database", lang)) if asked_anew else no_update
            return (*[no_update] * 3, away, *[no_update] * 3)


def content(board: Board, query: str | None, seen: str | None, page: dict[str, Any]) -> tuple[Any, ...]:
    """What is shown in the parts of the page, how soon it asks again, and what it has seen; what is as it was is left alone."""
    lang, zone = page["lang"], page["zone"]
    batch, before = asked(query)
    rows = board.rows("import_list", before=before, most=LISTED_RUNS)
    feeds = board.rows("import_feeds")
    merges = board.rows("import_merges", most=LISTED_MERGES)
    running = [r for r in rows if r["run_state"] == "running"]
    now = progress_cards(running, lang, zone)
    every = RUNNING_MS if running or any(f["state"] == "running" for f in feeds) else QUIET_MS
    sign = signature(rows, feeds, merges)
    if sign == seen:
        return (now, *[no_update] * 4, every, sign)
    detail: Any = no_update
    if seen is None:
        detail = None if batch is None else import_batch.detail(board, batch, lang, zone, page["kept"])
    return (
        now,
        detail,
        import_merges.section(merges, lang),
        [html.H2(t("imports.all", lang)), batch_list(rows, lang, zone, page["kept"], before)],
        [*feed_section(feeds, lang, zone), *handed_in_section(lang, zone)],
        every,
        sign,
    )


def asked(query: str | None) -> tuple[int | None, datetime | None]:
    """Which batch is looked at, and before when the list begins."""
    fields = {name: values[0] for name, values in parse_qs((query or "").lstrip("?")).items()}
    number_ = fields.get("batch", "")
    batch = int(number_) if number_.isascii() and number_.isdigit() and len(number_) < 19 else None
    try:
        before = datetime.fromisoformat(fields["before"]) if "before" in fields else None
    except ValueError:
        before = None
    return batch, before if before is None or before.tzinfo else None


def signature(rows: list[Row], feeds: list[Row], merges: list[Row]) -> str:
    """Of what the lists show: a page whose lists are as they were is not drawn again."""
    held = [
        [(r["run_id"], r["batch_id"], r["run_state"], r["state"]) for r in rows],
        [(f["name"], f["state"], f["last_tried_at"], f["next_due_at"]) for f in feeds],
        [(m["merge_id"], m["in_all"]) for m in merges],
    ]
    return hashlib.sha256(repr(held).encode()).hexdigest()[:16]


def progress_cards(running: list[Row], lang: Language, zone: str) -> list[html.Section]:
    """Each run that goes on: its step, and how far it is."""
    cards = []
    for r in running:
        done = "" if not r["rows_done"] else number(r["rows_done"])
        if r["rows_total"]:
            done += f" / {number(r['rows_total'])}"
        cards.append(
            html.Section(
                [
                    html.Div(
                        [
                            html.Span(t("imports.running", lang), className="tag state-running"),
                            html.B(r["manifest"]),
                            html.Span(
                                t("imports.run", lang, n=r["run_id"], who=r["started_by"]), className="quiet"
                            ),
                            html.Span(clock(r["started_at"], zone, seconds=True), className="total"),
                        ],
                        className="line",
                    ),
                    progress(r["share_done"]),
                    html.Div(
                        [
                            html.Span(r["step"] or t("imports.begins", lang)),
                            html.Span(done, className="total"),
                        ],
                        className="line",
                    ),
                ],
                className="card panel run-card",
                **shell.data(run=r["run_id"]),
            )
        )
    return cards


def batch_list(rows: list[Row], lang: Language, zone: str, kept: str, before: datetime | None) -> html.Div:
    """Runs, newest first, each with its files."""
    if not rows:
        return html.Div(html.P(t("imports.none", lang), className="empty"), className="table-card")
    names = [t(f"imports.{c}", lang) for c in ("batch", "section", "file", "rows", "outcome", "actions")]
    body: list[html.Tr] = []
    last: Any = object()
    for r in rows:
        if r["run_id"] is not None and r["run_id"] != last:
            body.append(_run_row(r, lang, zone, len(names)))
        last = r["run_id"]
        if r["batch_id"] is not None:
            body.append(_batch_row(names, r, lang, zone, kept))
    ways = []
    if before is not None:
        ways.append(html.A(t("imports.newest", lang), href=f"/imports{kept}", className="plain as-link"))
    if len({r["run_id"] or -r["batch_id"] for r in rows}) == LISTED_RUNS:
        older = quote(rows[-1]["started_at"].isoformat())
        ways.append(
            html.A(t("imports.older", lang), href=f"/imports{kept}&before={older}", className="plain as-link")
        )
    return html.Div([html.Div(table(names, body), className="table-card"), html.Div(ways, className="ways")])


def _run_row(r: Row, lang: Language, zone: str, width: int) -> html.Tr:
    said: list[Any] = [
        html.Div(
            [
                html.Span(
                    word("import_state", r["run_state"], lang), className=f"tag state-{TONES[r['run_state']]}"
                ),
                html.B(r["manifest"]),
                html.Span(t("imports.run", lang, n=r["run_id"], who=r["started_by"]), className="quiet"),
                html.Span(word("import_origin", r["origin"], lang), className="tag"),
                html.Time(clock(r["started_at"], zone), className="total"),
            ],
            className="line",
        )
    ]
    if r["run_state"] == "cut_off":
        said.append(html.P(t("imports.cut_off", lang), className="run-message"))
    elif r["message"]:
        said.append(html.P(r["message"], className="run-message"))
    return html.Tr(html.Td(said, colSpan=width), className="run-row", **shell.data(run=r["run_id"]))


def _batch_row(names: list[str], r: Row, lang: Language, zone: str, kept: str) -> html.Tr:
    address = f"/imports{kept}&batch={r['batch_id']}"
    taken_back = r["state"] == "rolled_back"
    outcome: list[Any] = [account_bar(r, lang), html.Small(counts_words(r, lang), className="counts")]
    if taken_back:
        outcome.insert(0, html.Span(word("import_state", "rolled_back", lang), className="tag state-blind"))
    actions = [html.A(t("imports.look", lang), href=address, className="plain as-link")]
    if r["rows_rejected"] and not taken_back:
        actions.append(
            html.A(t("imports.correct", lang), href=f"{address}#rejected", className="plain as-link")
        )
    return row(
        names,
        [
            html.A(f"{r['batch_id']}", href=address),
            word("section", r["section"], lang),
            html.Span(r["file"], className="file-name"),
            number(r["rows_in"]),
            outcome,
            html.Div(actions, className="row-actions"),
        ],
        className="off" if taken_back else "",
        **shell.data(batch=r["batch_id"]),
    )


def feed_section(feeds: list[Row], lang: Language, zone: str) -> list[Any]:
    """Scheduled imports with the age of what they brought; how to make one where there is none."""
    head: list[Any] = [html.H2(t("imports.feeds", lang))]
    if not feeds:
        return [
            *head,
            html.P([t("imports.no_feeds", lang), " ", html.Code("geoapp feed add --help")], className="lead"),
        ]
    names = [
        t(f"imports.{c}", lang) for c in ("feed", "feed_source", "feed_state", "feed_success", "feed_next")
    ]
    body = []
    for f in feeds:
        state: list[Any] = [
            html.Span(
                word("feed_state", f["state"], lang),
                className=f"tag state-{FEED_TONES.get(f['state'], 'bad')}",
            )
        ]
        if f["last_message"] and f["state"] not in ("ok", "running"):
            state.append(html.P(f["last_message"], className="run-message"))
        success = "—" if f["last_success_at"] is None else clock(f["last_success_at"], zone)
        body.append(
            row(
                names,
                [
                    html.B(f["name"]),
                    [html.Code(f["source"]), html.Br(), html.Small(f["every"], className="fine-code")],
                    state,
                    success,
                    "—" if f["next_due_at"] is None else clock(f["next_due_at"], zone),
                ],
                **shell.data(feed=f["name"]),
            )
        )
    return [*head, html.Div(table(names, body), className="table-card")]
