"""The audit, searched: who did, looked at, took out or was refused what. The database gives each reader what is theirs to see."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode
from zoneinfo import ZoneInfo

import dash_mantine_components as dmc
import psycopg
from dash import Dash, Input, Output, State, dcc, html
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from psycopg_pool import PoolTimeout

from dashboards import forms, retention_panel, shell
from dashboards.board import Board, Row, clock, number
from dashboards.own_account import row as table_row
from dashboards.own_account import table
from dashboards.state import ViewState
from dashboards.texts import Language, catalogue, either, group, t, word
from geoapp.access.audit import EXPORT_LIMIT, Search, differences, exported, page
from geoapp.access.caller import NO_RIGHT, Caller, Forbidden, acting, current_caller
from geoapp.database.sql_files import read_sql
from layers.export_route import REASON_MAX, REASON_MIN, REASON_WANTED
from layers.honest_route import client_ip, honest_route, message

# At first the page looks back this far; the form shows it.
FIRST_LOOK = timedelta(days=7)
SHOWN_FIELDS = 3
LONGEST_VALUE = 120
# Fields whose values have words of their own: group of the catalogue.
WORDS = {
    ("access.account", "roles"): "role",
    ("access.account", "scope"): "scope",
    ("access.token", "scopes"): "token_scope",
    ("watch.incident", "class"): "class",
    ("watch.incident", "state"): "state",
    ("watch.incident", "review"): "review",
    ("watch.camera_mode", "class"): "class",
    ("watch.camera_mode", "mode"): "mode",
    ("watch.mask", "class"): "class",
    ("watch.mask", "state"): "mask_state",
    ("watch.mask", "cause"): "cause",
    ("watch.receiver", "kind"): "receiver_kind",
    ("watch.receiver", "topics"): "telling_topic",
    ("watch.receiver", "classes"): "class",
    ("watch.receiver", "transitions"): "telling_step",
    ("watch.receiver", "quiet_passes"): "class",
    ("watch.evidence", "mode"): "blur_mode",
    ("watch.evidence", "blurred"): "blur_mode",
    ("staging.feed", "kind"): "feed_kind",
    ("staging.batch", "section"): "section",
    ("layer", "format"): "exports_format",
    ("layer", "frame"): "exports_frame",
    ("layer", "encoding"): "exports_encoding",
    ("layer", "scope"): "scope",
    ("", "method"): "sign_in_method",
}
# As to_jsonb writes a timestamptz.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d")


def layout(state: ViewState, board: Board) -> html.Div:
    """The page: its content follows the address (callback `show`)."""
    city = board.city()
    zone = str(city["timezone"]) if city else "Asia/Shanghai"
    body = [
        html.Main(
            [
                html.H1(t("audit.title", state.lang)),
                html.P(whose(current_caller(), city, state.lang), className="lead", id="audit-whose"),
                html.Div(id="audit-found"),
                retention_panel.section(board, current_caller(), state.lang, zone),
            ],
            className="table-page audit-page",
        ),
        dcc.Store(id="audit-page", data={"lang": state.lang, "theme": state.theme, "zone": zone}),
    ]
    return shell.frame(state, "/audit", city, body)


def whose(caller: Caller, city: Row | None, lang: Language) -> str:
    """Whose records the page holds for this caller (the policies of access.audit say the same)."""
    if "admin" in caller.roles or ("committee" in caller.roles and caller.scope == "district"):
        return t("audit.lead_all", lang)
    if "committee" in caller.roles:
        return t("audit.lead_area", lang, area=shell.area_words(caller, city, lang, longest=6))
    return t("audit.lead_own", lang)


def asked(query: str | None, zone: str, now: datetime) -> tuple[Search, dict[str, str], list[str]]:
    """The search that an address asks for, the fields of its form, and times that could not be read.

    Times are in the city's zone. An address without `since` looks back FIRST_LOOK; an empty one (`since=`) has no limit.
    """
    given = {
        k: v[-1].strip()[:100] for k, v in parse_qs((query or "").lstrip("?"), keep_blank_values=True).items()
    }
    start = (now - FIRST_LOOK).astimezone(ZoneInfo(zone)).replace(hour=0, minute=0)
    fields = {
        name: given.get(name, "")
        for name in ("until", "login", "action", "subject", "town", "text", "refused", "before")
    }
    fields["since"] = given.get("since", start.strftime("%Y-%m-%dT%H:%M"))
    unread = []
    moments: dict[str, datetime | None] = {}
    for name in ("since", "until"):
        moments[name] = None
        if fields[name]:
            try:
                read = datetime.fromisoformat(fields[name])
                moments[name] = read if read.tzinfo else read.replace(tzinfo=ZoneInfo(zone))
            except ValueError:
                unread.append(fields[name])
    search = Search(
        since=moments["since"],
        until=moments["until"],
        login=fields["login"],
        action=fields["action"],
        subject=fields["subject"],
        town=fields["town"],
        text=fields["text"].replace("\0", ""),
        refused_only=fields["refused"] == "1",
        before_id=int(fields["before"])
        if fields["before"].isascii() and fields["before"].isdigit() and len(fields["before"]) < 19
        else None,
    )
    return search, fields, unread


def filters(
    fields: dict[str, str], towns: list[Row], lang: Language, theme: str, zone: str, *, by_person: bool
) -> html.Form:
    """The form whose fields are the address: looking again is an ordinary GET."""
    any_ = {"value": "", "label": t("audit.any", lang)}

    def choice(name: str, options: list[dict[str, str]], label: str = "") -> dmc.Select:
        known = {o["value"] for o in options}
        extra = (
            [{"value": fields[name], "label": fields[name]}]
            if fields[name] and fields[name] not in known
            else []
        )
        return dmc.Select(
            name=name,
            label=t(label or f"audit.{name}", lang),
            data=[any_, *options, *extra],
            value=fields[name],
            searchable=True,
            allowDeselect=False,
            size="xs",
            comboboxProps={"zIndex": 3000},
        )

    def moment(name: str, **words: str) -> dmc.TextInput:
        return dmc.TextInput(
            name=name,
            label=t(f"audit.{name}", lang, **words),
            value=fields[name],
            size="xs",
            attributes={"input": {"type": "datetime-local"}},
        )

    boxes: list[Any] = [moment("since", zone=zone), moment("until")]
    if by_person:
        boxes.append(
            dmc.TextInput(
                name="login",
                label=t("audit.person", lang),
                value=fields["login"],
                size="xs",
                placeholder=t("audit.person_hint", lang),
                autoComplete="off",
            )
        )
    boxes += [
        choice("action", words_of("audit_action", lang)),
        choice("subject", words_of("audit_subject", lang)),
    ]
    if len(towns) > 1:
        boxes.append(choice("town", [{"value": u["code"], "label": either(u, lang)} for u in towns]))
    boxes += [
        dmc.TextInput(
            name="text",
            label=t("audit.text", lang),
            value=fields["text"],
            size="xs",
            placeholder=t("audit.text_hint", lang),
            autoComplete="off",
        ),
        choice("refused", [{"value": "1", "label": t("audit.refused_only", lang)}], "audit.result"),
        html.Button(t("audit.find", lang), type="submit", className="primary"),
        forms.hidden("lang", lang),
        *([forms.hidden("theme", theme)] if theme else []),
    ]
    return html.Form(boxes, action="/audit", method="get", className="filters panel", role="search")


def words_of(kind: str, lang: Language) -> list[dict[str, str]]:
    """Options of a filter: the actions or subjects that the catalogue knows (a table's name has a dot where it has `_`)."""
    table_names = kind == "audit_subject"
    return [
        {"value": key.replace("_", ".", 1) if table_names else key, "label": words}
        for key, words in group(kind, lang).items()
    ]


def subject_word(subject: str, lang: Language) -> str:
    """A table or other subject in words; as it is where the catalogue does not know it."""
    known = f"audit_subject.{subject.replace('.', '_', 1)}"
    return t(known, lang) if known in catalogue() else subject


def record_table(rows: list[Row], lang: Language, zone: str) -> html.Table:
    """One row a record, refusals marked."""
    names = [t(f"audit.{c}", lang) for c in ("at", "who", "what", "change")]
    return table(
        names,
        [
            table_row(
                names,
                [
                    html.Time(clock(r["at"], zone, seconds=True)),
                    [
                        html.B(who_word(r, lang)),
                        *([html.Br(), html.Small(r["ip"], className="fine-code")] if r["ip"] else []),
                    ],
                    _what(r, lang),
                    _change(r, lang, zone),
                ],
                className="" if r["ok"] else "refused-row",
                **shell.data(record=r["id"]),
            )
            for r in rows
        ],
    )


def who_word(r: Row, lang: Language) -> str:
    """The login; for what no account did, what did it."""
    if r["login"]:
        return str(r["login"])
    is_web = str(r["db_role"]).startswith("geoapp_web")
    return t("audit.unknown_person", lang) if is_web else f"{t('audit.system', lang)} · {r['db_role']}"


def _what(r: Row, lang: Language) -> html.Div:
    parts: list[Any] = [html.Span(word("audit_action", r["deed"], lang), className="action-word")]
    if not r["ok"]:
        parts.append(html.Span(t("audit.refused", lang), className="tag refused-tag"))
    about = [subject_word(r["subject"], lang)] if r["subject"] else []
    lines: list[Any] = [html.Div(parts, className="line")]
    if about or r["subject_id"]:
        lines.append(
            html.Div(
                [" ".join([*about, r["subject_name"] or ""]), html.Code(f" {r['subject_id'] or ''}")],
                className="subject-line",
            )
        )
    if r["town_code"]:
        lines.append(html.Small(either(r, lang, "town") or r["town_code"], className="fine-code"))
    return html.Div(lines)


def _change(r: Row, lang: Language, zone: str) -> html.Div:
    fields = differences(r)
    if r["subject"] in ("access.account_area", "access.account_site"):  # whose it is stands in the subject
        fields = [part for part in fields if part[0] != "account_id"]
    lines: list[Any] = [_difference(r, *part, lang, zone) for part in fields[:SHOWN_FIELDS]]
    if len(fields) > SHOWN_FIELDS:
        more = [_difference(r, *part, lang, zone) for part in fields[SHOWN_FIELDS:]]
        lines.append(
            html.Details(
                [html.Summary(f"+ {t('audit.fields', lang, n=len(fields) - SHOWN_FIELDS)}"), html.Div(more)],
                className="more-fields",
            )
        )
    if r["reason"]:
        lines.append(
            html.P([html.Small(t("audit.reason", lang)), f" {r['reason']}"], className="given-reason")
        )
    return html.Div(lines or "—", className="differences")


def _difference(r: Row, name: str, before: Any, after: Any, lang: Language, zone: str) -> html.Div:
    """One field: what it was, what it is."""
    known = field_word(r["subject"], name, lang)
    shown: list[Any] = [
        html.Code(name, className="field-name")
        if known is None
        else html.Span(known, className="field-name", title=name)
    ]

    def words(value: Any) -> str:
        kind = WORDS.get((r["subject"], name))
        if kind is not None and value is not None:
            return " · ".join(word(kind, v, lang) for v in (value if isinstance(value, list) else [value]))
        told = value_words(value, lang, zone)
        is_place = r["place_zh"] and name in ("area_code", "site_id") and value is not None
        return f"{either(r, lang, 'place')} {told}" if is_place else told

    if before is not None:
        shown.append(html.Del(words(before)))
    if before is not None or after is None:
        shown.append(html.Span("→", **{"aria-hidden": "true"}))
    shown.append(html.Ins(words(after)))
    return html.Div(shown, className="difference")


def field_word(subject: str, name: str, lang: Language) -> str | None:
    """A column in words, of this table where it means another thing there; None where the catalogue does not know it."""
    keys = (f"field.{subject.replace('.', '_', 1)}_{name}", f"field.{name}")
    return next((t(key, lang) for key in keys if key in catalogue()), None)


def value_words(value: Any, lang: Language, zone: str) -> str:
    """A value of a record, shortened; an outline only by its kind, a moment in the city's zone."""
    if value is None:
        return "—"
    if isinstance(value, dict) and "coordinates" in value:
        return f"{t('audit.geometry', lang)} {value.get('type', '')}"
    if (
        isinstance(value, dict) and value and all(isinstance(n, int) for n in value.values())
    ):  # how many of each table
        return " · ".join(f"{subject_word(name, lang)} {n:,}" for name, n in value.items())
    if isinstance(value, bool):
        return t("audit.yes" if value else "audit.no", lang)
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        value = " · ".join(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if _MOMENT.fullmatch(text):
        return clock(datetime.fromisoformat(text), zone, seconds=True)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def content(query: str | None, board: Board, lang: Language, theme: str, zone: str) -> list[Any]:
    """Form, records and the way on, for an address."""
    now, caller = datetime.now(UTC), current_caller()
    search, fields, unread = asked(query, zone, now)
    with acting(board.pool) as connection:
        rows, older = page(connection, search)
        units = connection.execute(read_sql("screens/account_units").encode()).fetchall()
    by_person = bool({"admin", "committee"} & set(caller.roles))
    towns = [u for u in units if u["level"] == "town"] if by_person else []
    kept = {k: v for k, v in fields.items() if (v or k == "since") and k != "before"}
    kept |= {"lang": lang} | ({"theme": theme} if theme else {})
    tools: list[Any] = [html.Span(t("audit.shown", lang, n=number(len(rows))), className="total")]
    if caller.may("export") and rows:
        tools.insert(
            0,
            export_form(kept, lang),
        )
    ways: list[Any] = []
    if search.before_id is not None:
        ways.append(
            html.A(t("audit.newest", lang), href=f"/audit?{urlencode(kept)}", className="plain as-link")
        )
    if older is not None:
        ways.append(
            html.A(
                t("audit.older", lang),
                href=f"/audit?{urlencode(kept | {'before': older})}",
                className="plain as-link",
                id="older",
            )
        )
    found: Any = record_table(rows, lang, zone) if rows else html.P(t("audit.none", lang), className="empty")
    return [
        filters(fields, towns, lang, theme, zone, by_person=by_person),
        *[
            html.P(
                t("audit.bad_time", lang, text=text),
                className="message",
                role="alert",
                **shell.data(tone="bad"),
            )
            for text in unread
        ],
        html.Div(tools, className="tools"),
        html.Div(found, className="table-card audit-card"),
        html.Div(ways, className="ways"),
    ]


def export_form(kept: dict[str, str], lang: Language) -> html.Form:
    """Takes out what the address finds, with what it is for."""
    return html.Form(
        [
            *[forms.hidden(name, value) for name, value in kept.items()],
            dmc.TextInput(
                name="reason",
                size="xs",
                required=True,
                placeholder=t("audit.export_reason", lang),
                autoComplete="off",
                attributes={
                    "input": {
                        "minLength": REASON_MIN,
                        "maxLength": REASON_MAX,
                        "aria-label": t("audit.export_reason", lang),
                    }
                },
            ),
            html.Button(
                t("audit.export", lang),
                type="submit",
                className="plain",
                title=t("audit.export_hint", lang, n=number(EXPORT_LIMIT)),
            ),
        ],
        action="/export/audit.csv",
        method="get",
        className="export-form",
    )


def register(app: Dash, board: Board) -> None:
    """The callback of the page: what is found follows the address."""

    @app.callback(Output("audit-found", "children"), Input("address", "search"), State("audit-page", "data"))
    def show(query: str | None, held: dict[str, Any]) -> Any:
        lang: Language = held["lang"]
        try:
            return content(query, board, lang, held["theme"], held["zone"])
        except (psycopg.OperationalError, PoolTimeout):
            return shell.notice(t("app.no_database", lang))


def router(board: Board) -> APIRouter:
    """`GET /export/audit.csv`: what an address of /audit finds, at most EXPORT_LIMIT records, times in the city's zone.

    403 for a role that may not export; 422 without `reason`, since the audit is about persons in every row; the export itself
    is on record in the same transaction.
    """
    routes = APIRouter(route_class=honest_route(board.pool))

    @routes.get("/export/audit.csv")
    def audit_file(request: Request, reason: str = Query(default="", max_length=REASON_MAX)) -> Response:
        if not current_caller().may("export"):
            raise Forbidden(NO_RIGHT)
        if len(reason.strip()) < REASON_MIN:
            return message(422, REASON_WANTED)
        city = board.city()
        zone = str(city["timezone"]) if city else "Asia/Shanghai"
        search, _, _ = asked(request.url.query, zone, datetime.now(UTC))
        with acting(board.pool) as connection:
            rows = exported(connection, replace(search, before_id=None), reason.strip(), client_ip(request))
        return Response(
            as_csv(rows, zone),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": 'attachment; filename="audit.csv"', "Cache-Control": "no-store"},
        )

    return routes


def as_csv(rows: list[Row], zone: str) -> bytes:
    """UTF-8 with a byte order mark, as spreadsheets expect; a text that a spreadsheet would run as a formula is quoted."""
    out = io.StringIO()
    names = (
        "id",
        "at",
        "login",
        "db_role",
        "action",
        "ok",
        "subject",
        "subject_id",
        "town_code",
        "before",
        "after",
        "reason",
        "detail",
        "ip",
    )
    writer = csv.writer(out)
    writer.writerow(names)
    for r in rows:
        plain = r | {"at": r["at"].astimezone(ZoneInfo(zone)).isoformat(timespec="seconds")}
        writer.writerow([_cell(plain[name]) for name in names])
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _cell(value: Any) -> str:
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text
