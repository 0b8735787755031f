"""The page of telling, for admins: who is told, whether it arrives, what was told to whom; and the forms that change it.

Everything is read under the admin's own database role, which cannot read a secret; `telling_routes` does what the forms ask.
"""

import hashlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode

import dash_mantine_components as dmc
import psycopg
from dash import Dash, Input, Output, State, ctx, dcc, html, no_update
from psycopg_pool import PoolTimeout

from dashboards import forms, shell, telling_form
from dashboards.board import Board, Row, clock, number
from dashboards.own_account import row, table
from dashboards.state import ViewState
from dashboards.texts import Language, group, t, word
from geoapp.access.caller import current_caller
from geoapp.watch.telling.receiver import KINDS

LISTED = 50
# How often the page asks by itself, ms: while a message is on its way, and otherwise.
BUSY_MS, QUIET_MS = 2_000, 15_000
# Something due this long that nobody has taken up: perhaps nothing that tells is running.
LATE_S = 30.0
JOINS: dict[Language, str] = {"zh": "、", "en": ", "}
TONES = {"ok": "seen", "failing": "bad", "paused": "blind", "never": "blind"}
OUTCOME_TONES = {"delivered": "seen", "waiting": "running", "refused": "bad", "given_up": "bad"}
NOT_TAKEN = ("refused", "given_up")


def layout(state: ViewState, board: Board) -> html.Div:
    """The page; for others than admins a plain word that it is not theirs."""
    lang = state.lang
    city = board.city()
    if not shell.may_open("/telling", current_caller()):
        return shell.frame(state, "/telling", city, [shell.notice(t("access.forbidden", lang))])
    zone = str(city["timezone"]) if city else "Asia/Shanghai"
    towns = [u for u in board.rows("account_units") if u["level"] == "town"]
    body = html.Main(
        [
            html.H1(t("telling.title", lang)),
            html.P(t("telling.lead", lang), className="lead"),
            html.Div(
                [
                    html.Span(t("telling.add", lang), className="quiet"),
                    *[
                        forms.opener(
                            word("receiver_kind", kind, lang),
                            f"receiver-{kind}",
                            action="/telling/add",
                            who=t("telling.new", lang),
                            fill=telling_form.empty(kind, lang),
                        )
                        for kind in KINDS
                    ],
                ],
                className="tools",
                role="group",
                **{"aria-label": t("telling.add", lang)},
            ),
            html.Div(id="telling-list", **{"aria-live": "polite"}),
            html.H2(t("telling.log", lang)),
            html.P(t("telling.log_lead", lang), className="lead"),
            html.Div(id="telling-log"),
            *telling_form.dialogs(towns, lang),
            dcc.Interval(id="telling-poll", interval=BUSY_MS),
            dcc.Store(id="telling-seen"),
            dcc.Store(id="telling-page", data={"lang": lang, "theme": state.theme, "zone": zone}),
        ],
        className="table-page telling-page",
    )
    return shell.frame(state, "/telling", city, [body])


def register(app: Dash, board: Board) -> None:
    """The callback of the page: what is shown follows the address, and what happens meanwhile."""

    @app.callback(
        Output("telling-list", "children"),
        Output("telling-log", "children"),
        Output("telling-poll", "interval"),
        Output("telling-seen", "data"),
        Input("address", "search"),
        Input("telling-poll", "n_intervals"),
        State("telling-seen", "data"),
        State("telling-page", "data"),
    )
    def show(query: str | None, _: Any, seen: str | None, page: dict[str, Any]) -> Any:
        if not shell.may_open("/telling", current_caller()):
            return (no_update,) * 4
        asked_anew = ctx.triggered_id != "telling-poll"
        try:
            return content(board, query, None if asked_anew else seen, page, datetime.now(UTC))
        except (psycopg.Error, PoolTimeout):
            # Old figures do not stand as if they were new.
            return shell.notice(t("app.no_database", page["lang"])), no_update, no_update, None


def content(
    board: Board, query: str | None, seen: str | None, page: dict[str, Any], at: datetime
) -> tuple[Any, ...]:
    """Receivers, log, how soon to ask again, and a sign of what was drawn; what is as it was is not drawn again."""
    lang, zone = page["lang"], page["zone"]
    fields = asked(query)
    receivers = board.rows("receivers", at=at)
    log = board.rows("delivery_log", **parameters(fields), most=LISTED + 1)
    busy = any(r["test_state"] == "waiting" or (r["overdue_s"] or 0) > 0 for r in receivers)
    every = BUSY_MS if busy else QUIET_MS
    late = any((r["overdue_s"] or 0) > LATE_S for r in receivers)
    shown = [{k: v for k, v in r.items() if k != "overdue_s"} for r in receivers]
    sign = hashlib.sha256(repr((fields, late, shown, log)).encode()).hexdigest()[:16]
    if sign == seen:
        return no_update, no_update, every, sign
    told = [filters(fields, receivers, lang, page["theme"]), log_table(log[:LISTED], lang, zone)]
    return (
        receiver_list(receivers, lang, zone),
        [*told, ways(fields, log, lang, page["theme"])],
        every,
        sign,
    )


def asked(query: str | None) -> dict[str, str]:
    """The fields of the log's filter, as the address has them."""
    given = {k: v[-1].strip()[:60] for k, v in parse_qs((query or "").lstrip("?")).items()}
    return {name: given.get(name, "") for name in ("receiver", "state", "incident", "before")}


def parameters(fields: dict[str, str]) -> dict[str, Any]:
    """The same for sql/screens/delivery_log.sql; a number that is none finds nothing."""

    def whole(text: str) -> int | None:
        if not text:
            return None
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else -1

    before = whole(fields["before"])
    return {
        "receiver": fields["receiver"].replace("\0", "") or None,
        "state": fields["state"].replace("\0", "") or None,
        "incident_no": whole(fields["incident"].lstrip("#")),
        "before": before,
    }


def receiver_list(rows: list[Row], lang: Language, zone: str) -> list[Any]:
    """One card a receiver: where to, what it is told, whether it arrives, what can be done."""
    if not rows:
        return [html.P(t("telling.none", lang), className="empty")]
    out: list[Any] = []
    if any((r["overdue_s"] or 0) > LATE_S for r in rows):
        out.append(
            html.P(
                t("telling.nobody_tells", lang), className="message", role="alert", **shell.data(tone="bad")
            )
        )
    return [*out, html.Div([receiver_card(r, lang, zone) for r in rows], className="receivers")]


def receiver_card(r: Row, lang: Language, zone: str) -> html.Section:
    """One receiver."""
    facts = [
        ("telling.address", html.Code(r["address"])),
        *([("telling.recipients", JOINS[lang].join(r["recipients"]))] if r["recipients"] else []),
        *([("telling.sender", r["sender"])] if r["sender"] else []),
        ("telling.secrets", _secrets(r, lang)),
        ("telling.told_of", told_of(r, lang)),
        ("telling.when", when(r, lang)),
        ("telling.last_told", clock(r["last_told_at"], zone, seconds=True)),
        ("telling.waiting", _waiting(r, lang, zone)),
        (
            "telling.day",
            t(
                "telling.day_figures",
                lang,
                told=number(r["delivered_day"]),
                not_taken=number(r["not_taken_day"]),
            ),
        ),
        *([("telling.test", _test(r, lang, zone))] if r["test_state"] else []),
        ("telling.added", f"{clock(r['added_at'], zone)} · {r['added_by']}"),
    ]
    said: list[Any] = []
    if r["state"] == "failing":
        said.append(
            html.P(
                t(
                    "telling.failing",
                    lang,
                    since=clock(r["failing_since"], zone),
                    n=number(r["failures"]),
                    next=clock(r["next_try_at"], zone, seconds=True),
                    answer=r["last_answer"] or "—",
                ),
                className="message",
                **shell.data(tone="bad"),
            )
        )
    if r["state"] == "paused":
        said.append(
            html.P(
                t("telling.paused_since", lang, since=clock(r["paused_at"], zone), who=r["paused_by"]),
                className="run-message",
            )
        )
    return html.Section(
        [
            html.Div(
                [
                    html.H3(r["receiver"]),
                    html.Span(word("receiver_kind", r["kind"], lang), className="tag"),
                    html.Span(
                        word("receiver_state", r["state"], lang), className=f"tag state-{TONES[r['state']]}"
                    ),
                ],
                className="line",
            ),
            *said,
            html.Dl([part for key, value in facts for part in (html.Dt(t(key, lang)), html.Dd(value))]),
            html.Div(_buttons(r, lang), className="row-actions"),
        ],
        className="card panel receiver",
        **{"aria-label": r["receiver"], **shell.data(receiver=r["receiver"])},
    )


def _secrets(r: Row, lang: Language) -> str:
    known = [word("receiver_secret", name, lang) for name in r["secrets"]]
    return (
        t("telling.sealed", lang, names=JOINS[lang].join(known)) if known else t("telling.no_secrets", lang)
    )


def told_of(r: Row, lang: Language) -> str:
    """What a receiver hears of, in words."""
    join = JOINS[lang]

    def listed(kind: str, values: list[str] | None) -> str:
        return (
            t("telling.all", lang)
            if values is None
            else join.join(word(kind, value, lang) for value in values)
        )

    parts = [
        listed("telling_topic", r["topics"]),
        t("telling.of_class", lang, what=listed("class", r["classes"])),
        t("telling.of_step", lang, what=listed("telling_step", r["transitions"])),
        t(
            "telling.of_town",
            lang,
            what=join.join(r[f"towns_{lang}"]) if r["towns"] else t("telling.all", lang),
        ),
    ]
    if r["min_score"] > 0:
        parts.append(t("telling.from_score", lang, score=number(r["min_score"], 2)))
    if r["only_confirmed"]:
        parts.append(t("telling.only_confirmed_said", lang))
    return " · ".join(parts)


def when(r: Row, lang: Language) -> str:
    """Cooldown, quiet hours, pace and patience, in words."""
    parts = [t("telling.cooldown_said", lang, n=number(r["cooldown_s"]))]
    if r["quiet_from"] is not None:
        passing = JOINS[lang].join(word("class", c, lang) for c in r["quiet_passes"]) or t(
            "telling.nothing", lang
        )
        parts.append(
            t(
                "telling.quiet_said",
                lang,
                since=f"{r['quiet_from']:%H:%M}",
                until=f"{r['quiet_to']:%H:%M}",
                passing=passing,
            )
        )
    parts.append(t("telling.pace_said", lang, n=number(r["per_minute"])))
    parts.append(t("telling.give_up_said", lang, n=f"{r['give_up_after_s'] / 3600:g}"))
    parts.append(word("receiver_language", r["language"], lang))
    return " · ".join(parts)


def _waiting(r: Row, lang: Language, zone: str) -> str:
    if not r["waiting"]:
        return t("telling.nothing_waits", lang)
    return t(
        "telling.waits",
        lang,
        n=number(r["waiting"]),
        since=clock(r["waiting_since"], zone, seconds=True),
        next=clock(r["next_try_at"], zone, seconds=True),
    )


def _test(r: Row, lang: Language, zone: str) -> html.Span:
    at = clock(r["tested_at"], zone, seconds=True)
    outcome = html.Span(
        word("delivery_state", r["test_state"], lang), className=f"tag state-{OUTCOME_TONES[r['test_state']]}"
    )
    return html.Span([f"{at} ", outcome, f" {r['test_answer'] or ''}"])


def _buttons(r: Row, lang: Language) -> list[Any]:
    name, is_paused = r["receiver"], r["paused_at"] is not None
    out: list[Any] = []
    if is_paused:
        out.append(forms.at_once(t("telling.resume", lang), f"/telling/{name}/resume", lang))
    else:
        out.append(forms.at_once(t("telling.send_test", lang), f"/telling/{name}/test", lang))
        out.append(
            forms.opener(
                t("telling.pause", lang), "receiver-pause", action=f"/telling/{name}/pause", who=name
            )
        )
        if r["failures"]:
            out.append(forms.at_once(t("telling.try_now", lang), f"/telling/{name}/resume", lang))
    if r["not_taken_day"]:
        out.append(forms.at_once(t("telling.again_day", lang), f"/telling/{name}/again", lang))
    out.append(
        forms.opener(
            t("telling.change", lang),
            f"receiver-{r['kind']}",
            action=f"/telling/{name}/change",
            who=name,
            fill=telling_form.filled(r, lang),
        )
    )
    out.append(
        forms.opener(t("telling.remove", lang), "receiver-remove", action=f"/telling/{name}/remove", who=name)
    )
    return out


def filters(fields: dict[str, str], receivers: list[Row], lang: Language, theme: str) -> html.Form:
    """The form whose fields are the address: looking again is an ordinary GET."""

    def choice(name: str, label: str, options: list[dict[str, str]]) -> dmc.Select:
        value = fields[name]
        extra = (
            [{"value": value, "label": value}] if value and value not in {o["value"] for o in options} else []
        )
        return dmc.Select(
            name=name,
            label=t(label, lang),
            data=[{"value": "", "label": t("audit.any", lang)}, *options, *extra],
            value=value,
            allowDeselect=False,
            size="xs",
            comboboxProps={"zIndex": 3000},
        )

    states = group("delivery_state", lang)
    return html.Form(
        [
            choice(
                "receiver",
                "telling.by_receiver",
                [{"value": r["receiver"], "label": r["receiver"]} for r in receivers],
            ),
            choice(
                "state", "telling.outcome", [{"value": key, "label": words} for key, words in states.items()]
            ),
            dmc.TextInput(
                name="incident",
                label=t("telling.by_incident", lang),
                value=fields["incident"],
                placeholder="#41",
                size="xs",
                autoComplete="off",
            ),
            html.Button(t("audit.find", lang), type="submit", className="primary"),
            forms.hidden("lang", lang),
            *([forms.hidden("theme", theme)] if theme else []),
        ],
        action="/telling",
        method="get",
        className="filters panel",
        role="search",
    )


def log_table(rows: list[Row], lang: Language, zone: str) -> html.Div:
    """Messages, newest first."""
    if not rows:
        return html.Div(html.P(t("telling.log_none", lang), className="empty"), className="table-card")
    names = [t(f"telling.{c}", lang) for c in ("at", "by_receiver", "what", "outcome", "tries", "answer")]
    body = []
    for r in rows:
        outcome: list[Any] = [
            html.Span(
                word("delivery_state", r["state"], lang), className=f"tag state-{OUTCOME_TONES[r['state']]}"
            )
        ]
        if r["joined_into"] is not None:
            outcome.append(html.Small(t("telling.joined", lang), className="fine-code"))
        if r["waits_for"]:
            outcome.append(html.Small(word("waits_for", r["waits_for"], lang), className="fine-code"))
        if r["state"] in NOT_TAKEN and r["topic"] != "test" and r["joined_into"] is None:
            outcome.append(
                forms.at_once(t("telling.again", lang), f"/telling/deliveries/{r['id']}/again", lang)
            )
        took = "" if r["took_s"] is None else t("telling.took", lang, n=number(r["took_s"], 1))
        body.append(
            row(
                names,
                [
                    html.Time(clock(r["happened_at"], zone, seconds=True)),
                    r["receiver"],
                    _what(r, lang),
                    html.Div(outcome, className="tags-cell"),
                    [
                        number(r["attempts"]),
                        *([html.Br(), html.Small(took, className="fine-code")] if took else []),
                    ],
                    html.Span(r["last_answer"] or "—", className="run-message"),
                ],
                **shell.data(delivery=r["id"]),
            )
        )
    return html.Div(table(names, body), className="table-card delivery-log")


def _what(r: Row, lang: Language) -> Any:
    if r["topic"] == "test":
        return t("telling.test", lang)
    step = word("telling_step", r["transition"], lang)
    if r["incident_id"] is None:
        return f"{word('telling_topic', r['topic'], lang)} · {step}"
    said = [
        html.Button(
            f"#{r['incident_no'] or '?'} {word('class', r['class'], lang)}",
            type="button",
            className="link",
            **shell.data(select=f"incident:{r['incident_id']}"),
        ),
        f" · {step}",
    ]
    return [*said, html.Br(), html.Small(r["site_name_zh"])] if r["site_name_zh"] else said


def ways(fields: dict[str, str], log: list[Row], lang: Language, theme: str) -> html.Div:
    """To older messages, and back."""
    kept = {k: v for k, v in fields.items() if v and k != "before"} | {"lang": lang}
    kept |= {"theme": theme} if theme else {}
    links = []
    if fields["before"]:
        links.append(
            html.A(t("imports.newest", lang), href=f"/telling?{urlencode(kept)}", className="plain as-link")
        )
    if len(log) > LISTED:
        older = urlencode(kept | {"before": log[LISTED - 1]["id"]})
        links.append(html.A(t("telling.older", lang), href=f"/telling?{older}", className="plain as-link"))
    return html.Div(links, className="ways")
