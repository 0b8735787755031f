"""What is known about one thing on the map: a lead, a cell, a site, a camera, a key risk area, ground in no cell."""

import json
import uuid
from collections.abc import Collection
from datetime import datetime
from typing import Any

from dash import dcc, html

from dashboards import declared_drawer, duty_chain, shell, square_drawer, why
from dashboards.board import Board, Row, cell_code, clock, number
from dashboards.drawer_parts import Place, facts, head, part
from dashboards.evidence import sees_it_whole
from dashboards.texts import Language, either, group, t, word
from geoapp.access.caller import acting, caller_or_none
from layers import answers
from layers.event_heat import NAME as EVENT_HEAT
from layers.rows_query import NOW, Span

# Longer lists say how many more there are.
SHOWN = 8


def content(
    board: Board,
    kind: str,
    key: str,
    lang: Language,
    zone: str,
    as_of: datetime | None = None,
    window: Span = NOW,
    unknown: Collection[str] = (),
) -> tuple[list[Any], Place | None]:
    """The drawer's children for `kind:key`, and where the thing is ({lat, lon, zoom} in degrees) or None.

    as_of: a past moment (aware), None = now; what cannot go back is shown as it is now, and said to be. window: of a square of
    counted events, the map's. unknown: lenses of which nothing had been recorded by `as_of`. kind: one with a drawer of its own, or any layer (declared_drawer.py). Raises psycopg.Error or PoolTimeout when the database is away.
    """
    then = {
        "cell": _cell,
        "site": _site,
        "incident": _incident,
        "camera": _camera,
        "key_risk_area": _key_risk_area,
    }.get(kind)
    if kind == "key_risk_area" and "coverage" in unknown:
        then = _key_risk_area_unseen
    if then is not None:
        found = then(board, key, lang, zone, as_of)
        if found is not None and as_of is not None and kind != "cell":
            said = t("legend.as_of", lang, time=clock(as_of, zone, seconds=True))
            found[0].insert(1, html.P(said, className="lead-note", **shell.data(as_of="1")))
            if "coverage" in unknown and kind in ("camera", "key_risk_area"):
                found[0].insert(2, html.P(t("legend.lens_unknown", lang), className="lead-note"))
    elif kind == "no_cell":
        found = _no_cell(board, key, lang, zone)
        if found is not None and as_of is not None:
            found[0].insert(1, html.P(t("drawer.today_only", lang), className="lead-note"))
    elif kind == EVENT_HEAT:
        found = square_drawer.content(board, kind, key, lang, zone, window)
    else:
        found = declared_drawer.content(board, kind, key, lang, zone, as_of)
    if found is None:
        gone = "drawer.not_then" if then is not None and as_of is not None else "drawer.gone"
        return [head(kind, "", lang), html.P(t(gone, lang), className="empty")], None
    return found


def also(below: list[dict[str, Any]], lang: Language) -> list[Any]:
    """Links to what else lies at the place that was clicked: [{kind, id, name}], the topmost first."""
    links = [_link(str(one["kind"]), str(one["id"]), str(one["name"])) for one in below[:SHOWN]]
    return [html.Div([t("drawer.also", lang), *links], className="also")] if links else []


def failed(lang: Language) -> list[Any]:
    """Said in place of content that could not be read."""
    return [head("", "", lang), html.P(t("drawer.failed", lang), className="empty", role="alert")]


def _place(row: Row, zoom: int = 15) -> Place | None:
    return None if row.get("lat") is None else {"lat": row["lat"], "lon": row["lon"], "zoom": zoom}


def _level(level: str | None, lang: Language) -> html.Span:
    return html.Span(t(f"level.{level or 'none'}", lang), className=f"level level-{level or 'none'}")


def _link(kind: str, key: object, text: str) -> html.Button:
    return html.Button(text, type="button", className="link", **shell.data(select=f"{kind}:{key}"))


# --- a lead ----------------------------------------------------------------------------------------------------------


def boxes_of(raw: Any, width: int, height: int) -> list[dict[str, Any]]:
    """Boxes of an evidence row in per cent of the frame: [{name, score, left, top, width, height}].

    Each box is {"class", "score", "box": [x1, y1, x2, y2]} in pixels.
    """
    out = []
    for one in json.loads(raw) if isinstance(raw, str) else raw or []:
        corners = one.get("box") or one.get("xyxy") or [one.get(k) for k in ("x1", "y1", "x2", "y2")]
        if not corners or any(c is None for c in corners):
            continue
        x1, y1, x2, y2 = (float(c) for c in corners)
        out.append(
            {
                "name": str(one.get("class") or one.get("name") or ""),
                "score": one.get("score"),
                "left": 100 * x1 / width,
                "top": 100 * y1 / height,
                "width": 100 * (x2 - x1) / width,
                "height": 100 * (y2 - y1) / height,
            }
        )
    return out


def _frame(row: Row, lang: Language) -> html.Div:
    if not row["evidence_id"] or not row["width_px"]:
        gone = row["frames_deleted"]
        text = t("drawer.evidence_deleted", lang, n=number(gone)) if gone else t("drawer.evidence_none", lang)
        return html.Div(text, className="frame none")
    if not may("look_at_evidence"):
        return html.Div(t("drawer.evidence_not_for_role", lang), className="frame none")
    if row["evidence_not_kept"]:
        return html.Div(word("not_kept", row["evidence_not_kept"], lang), className="frame none")
    marks = [
        html.Div(
            html.Span(
                word("class", b["name"], lang) + (f" {b['score']:.2f}" if b["score"] is not None else "")
            ),
            className=f"box {b['name']}" + (" low" if b["top"] < 8 else ""),
            style={k: f"{b[k]:.2f}%" for k in ("left", "top", "width", "height")},
        )
        for b in boxes_of(row["boxes"], row["width_px"], row["height_px"])
    ]
    return html.Div(
        [
            html.Img(src=f"/evidence/{row['evidence_id']}.jpg", alt=t("drawer.frame_alt", lang)),
            *marks,
        ],
        className="frame",
        style={"aspectRatio": f"{row['width_px']} / {row['height_px']}"},
    )


def _frame_note(row: Row, lang: Language, zone: str) -> html.P | None:
    """What the frame is, when it was taken, whether it is held, and the way to take it out (blurred)."""
    if not row["evidence_id"] or row["evidence_not_kept"]:
        return None
    caller = caller_or_none()
    is_whole = caller is not None and sees_it_whole(caller)
    note = "drawer.evidence_note" if is_whole else "drawer.evidence_blurred"
    parts: list[Any] = [
        t(note, lang, sha=(row["evidence_sha256"] or "")[:12]),
        f" · {clock(row['captured_at'], zone, seconds=True)}",
    ]
    if row["is_held"]:
        parts.append(f" · {t('drawer.evidence_held', lang)}")
    if may("look_at_evidence"):
        link = html.A(
            t("drawer.evidence_download", lang), href=f"/evidence/{row['evidence_id']}.jpg?download=1"
        )
        parts += [" · ", link]
    return html.P(parts, className="fine")


def may(action: str) -> bool:
    """Whether the caller's role does this (a name of access.actions_of); whether it may here, the database says."""
    caller = caller_or_none()
    return caller is not None and caller.may(action)


def _review_desk(row: Row, lang: Language) -> html.Section | None:
    """What an officer says of a lead; the script 55_review.js sends it. Nothing for other roles."""
    if not may("review_incident"):
        return None
    buttons = [
        html.Button(
            t(f"review_desk.{review}", lang),
            className=f"plain review-{review}",
            type="button",
            disabled=row["review"] == review,
            **shell.data(review=review),
        )
        for review in ("confirmed", "false", "permitted")
    ]
    desk = html.Div(
        [
            dcc.Input(
                id=f"review-reason-{row['id']}",
                type="text",
                maxLength=500,
                placeholder=t("review_desk.reason", lang),
                autoComplete="off",
                debounce=True,
            ),
            html.Div(buttons, className="review-buttons"),
            html.P("", className="fine", role="status"),
        ],
        className="review-desk",
        **shell.data(
            incident=row["id"],
            was=row["review"],
            texts=json.dumps(group("review_desk", lang), ensure_ascii=False),
        ),
    )
    return part(t("review_desk.title", lang), desk)


def _incident(
    board: Board, key: str, lang: Language, zone: str, as_of: datetime | None
) -> tuple[list[Any], Place | None] | None:
    at_moment = {"as_of": as_of} if as_of else {}
    try:
        row = board.row("incident_at" if as_of else "incident", id=uuid.UUID(key), **at_moment)
    except ValueError:
        return None
    if row is None:
        return None
    title = f"{word('class', row['class'], lang)} #{row['incident_no']}"
    error = t("drawer.error_unknown", lang)
    if row["semi_major_m"] is not None:
        error = t(
            "drawer.error_value", lang, a=number(row["semi_major_m"], 1), b=number(row["semi_minor_m"], 1)
        )
    permit = (
        t("drawer.permit_yes", lang, no=row["permit_no"])
        if row["permit_no"]
        else t("drawer.permit_none", lang)
    )
    places = [
        (t("drawer.key_risk_area", lang), row["key_risk_area_id"], "key_risk_area", row["key_risk_area_zh"]),
        (t("drawer.site", lang), row["site_id"], "site", row["site_name_zh"]),
        (t("drawer.cell", lang), row["cell_code"], "cell", cell_code(row["cell_code"])),
        (t("drawer.camera_name", lang), row["camera_id"], "camera", row["camera_name_zh"]),
    ]
    review = word("review", row["review"], lang) + (
        f"：{row['review_reason']}" if row["review_reason"] else ""
    )
    body = [
        head(
            "incident",
            title,
            lang,
            html.Span(word("state", row["state"], lang), className=f"tag state-{row['state']}"),
            html.Span(word("review", row["review"], lang), className=f"tag review-{row['review']}"),
        ),
        html.P(t("drawer.lead_not_evidence", lang), className="lead-note"),
        _frame(row, lang),
        _frame_note(row, lang, zone),
        # What was then is looked at, not acted upon.
        None if as_of else _review_desk(row, lang),
        facts(
            [
                (t("drawer.score", lang), "—" if row["peak_score"] is None else f"{row['peak_score']:.2f}"),
                (t("drawer.first_seen", lang), clock(row["first_seen_at"], zone, seconds=True)),
                (
                    t("drawer.last_seen", lang),
                    clock(row["last_seen_at"], zone, seconds=True) if row["last_seen_at"] else "—",
                ),
                (t("drawer.observations", lang), number(row["observation_count"])),
                *[(name, _link(kind, i, str(text))) for name, i, kind, text in places if i is not None],
                (t("drawer.town", lang), either(row, lang, "town") or "—"),
                (t("drawer.placing", lang), word("placing", row["placing_method"], lang)),
                (t("drawer.error", lang), error),
                (t("drawer.permit", lang), permit),
                (t("drawer.review", lang), review),
            ]
        ),
    ]
    return [x for x in body if x is not None], _place(row, 16)


# --- what stands on the ground -----------------------------------------------------------------------------------------


def _reasons(reasons: Any, lang: Language) -> html.Ul | html.P:
    rows = reasons or []
    top = max((abs(float(r["points"])) for r in rows), default=1.0) or 1.0
    return html.Ul(
        [
            html.Li(
                [
                    html.Span(str(r.get(lang) or r.get("zh"))),
                    html.B(t("drawer.points", lang, n=f"{float(r['points']):+.1f}")),
                    html.I(style={"width": f"{100 * abs(float(r['points'])) / top:.0f}%"}),
                ]
            )
            for r in rows
        ],
        className="reasons",
    )


def _site(
    board: Board, key: str, lang: Language, zone: str, as_of: datetime | None
) -> tuple[list[Any], Place | None] | None:
    if not key.isdigit():
        return None
    at_moment = {"as_of": as_of} if as_of else {}
    row = board.row("site_at" if as_of else "site", id=int(key), **at_moment)
    if row is None:
        return None
    checks = ("last_patrol", "last_self_check", "last_remote_check", "last_admin_inspection")
    body = [
        head("site", row["name_zh"], lang, _level(row["level"], lang)),
        part(
            t("drawer.risk", lang),
            [
                html.P(t("drawer.score_value", lang, score=number(row["score"], 1)), className="score"),
                *(why.of_site(board, int(key), lang, as_of) or [_reasons(row["reasons"], lang)]),
                _unknown(row["unknown_parts"], lang),
            ],
        ),
        part(
            t("drawer.who", lang), duty_chain.chain(board.rows("duty_chain", id=row["id"], as_of=as_of), lang)
        ),
        facts(
            [
                (t("drawer.type", lang), either(row, lang, "place_type") or "—"),
                (t("drawer.address", lang), row["address"] or "—"),
                (t("drawer.uscc", lang), row["uscc"] or "—"),
                (
                    t("drawer.inherent", lang),
                    _level(row["hazard_level"], lang)
                    if row["hazard_level"]
                    else t("drawer.not_graded", lang),
                ),
                (t("drawer.people", lang), number(row["people"])),
                (t("drawer.hazards", lang), number(row["open_hazard_count"])),
                *[
                    (
                        t(f"drawer.{c}", lang),
                        clock(row[f"{c}_at"], zone) if row[f"{c}_at"] else t("drawer.never", lang),
                    )
                    for c in checks
                ],
                (t("drawer.town", lang), either(row, lang, "town") or "—"),
                (
                    t("drawer.cell", lang),
                    _link("cell", row["cell_code"], cell_code(row["cell_code"]))
                    if row["cell_code"]
                    else t("gap.no_cell", lang),
                ),
            ]
        ),
    ]
    return body, _place(row, 16)


def _unknown(parts: Any, lang: Language) -> html.P | None:
    if not parts:
        return None
    names = (
        "、".join(word("unknown", p, lang) for p in parts)
        if lang == "zh"
        else ", ".join(word("unknown", p, lang) for p in parts)
    )
    return html.P(f"{t('drawer.unknown_parts', lang)}: {names}", className="fine")


def _observed(row: Row, lang: Language) -> html.Span:
    if row["observed"]:
        return html.Span(t("drawer.observed", lang), className="tag seen")
    reason = f" · {word('reason', row['reason'], lang)}" if row["reason"] else ""
    return html.Span(t("drawer.unobserved", lang) + reason, className="tag blind")


def _camera(
    board: Board, key: str, lang: Language, zone: str, as_of: datetime | None
) -> tuple[list[Any], Place | None] | None:
    row = board.row("camera", id=int(key), as_of=as_of) if key.isdigit() else None
    if row is None:
        return None
    body = [
        head("camera", row["name_zh"], lang, _observed(row, lang)),
        facts(
            [
                (t("drawer.gb_id", lang), html.Code(row["gb_id"])),
                (
                    t("drawer.last_observed", lang),
                    clock(row["last_observed_at"], zone, seconds=True)
                    if row["last_observed_at"]
                    else t("drawer.never", lang),
                ),
                (t("drawer.since", lang), clock(row["since"], zone)),
                (
                    t("drawer.sectors", lang),
                    "—" if row["sector_m2"] is None else f"{number(row['sector_m2'])} m²",
                ),
                (
                    t("drawer.site", lang),
                    _link("site", row["site_id"], row["site_name_zh"]) if row["site_id"] else "—",
                ),
                (
                    t("drawer.cell", lang),
                    _link("cell", row["cell_code"], cell_code(row["cell_code"])) if row["cell_code"] else "—",
                ),
                (t("drawer.town", lang), either(row, lang, "town") or "—"),
            ]
        ),
    ]
    return body, _place(row, 16)


def _share(fraction: float | None) -> html.Div:
    known = 0 if fraction is None else 100 * fraction
    return html.Div(
        [html.I(style={"width": f"{known:.0f}%"}), html.Span("—" if fraction is None else f"{known:.0f} %")],
        className="share" + (" under" if fraction is None or fraction < 0.6 else ""),
    )


def _key_risk_area_unseen(
    board: Board, key: str, lang: Language, zone: str, as_of: datetime | None
) -> tuple[list[Any], Place | None] | None:
    """Of a day before any camera was on record: how much was seen is not known, which is not nothing."""
    return _key_risk_area(board, key, lang, zone, as_of, is_known=False)


def _key_risk_area(
    board: Board, key: str, lang: Language, zone: str, as_of: datetime | None, *, is_known: bool = True
) -> tuple[list[Any], Place | None] | None:
    row = board.row("key_risk_area", id=int(key), as_of=as_of) if key.isdigit() else None
    if row is None:
        return None
    if not is_known:
        row |= {"seen_fraction": None, "online_camera_count": None}
    body = [
        head("key_risk_area", either(row, lang), lang, _level(row["level"], lang)),
        part(t("drawer.seen", lang), _share(row["seen_fraction"])),
        facts(
            [
                (
                    t("drawer.online_cameras", lang),
                    f"{number(row['online_camera_count'])} / {number(row['camera_count'])}",
                ),
                (t("drawer.area", lang), f"{number(row['area_m2'])} m²"),
                (t("drawer.onboarded", lang), str(row["onboarded_on"] or "—")),
                (t("drawer.site", lang), _link("site", row["site_id"], row["site_name_zh"])),
                (t("drawer.town", lang), either(row, lang, "town") or "—"),
            ]
        ),
    ]
    return body, _place(row, 16)


def _no_cell(board: Board, key: str, lang: Language, zone: str) -> tuple[list[Any], Place | None] | None:
    row = board.row("no_cell", id=int(key)) if key.lstrip("-").isdigit() else None
    if row is None:
        return None
    declared = t("drawer.declared", lang) if row["declared"] else t("drawer.undeclared", lang)
    body = [
        head("no_cell", either(row, lang) or t("drawer.no_cell", lang), lang),
        html.P(declared, className="lead-note" if not row["declared"] else "fine"),
        facts(
            [
                (t("drawer.area", lang), f"{number(row['area_m2'] / 1e6, 3)} km²"),
                (t("drawer.reason", lang), row["reason"] or "—"),
                (t("drawer.town", lang), either(row, lang, "town") or "—"),
            ]
        ),
    ]
    return body, _place(row, 14)


def _cell(
    board: Board, key: str, lang: Language, zone: str, as_of: datetime | None
) -> tuple[list[Any], Place | None] | None:
    with acting(board.pool) as connection:
        found = answers.cell_details(connection, key, as_of)
    if found is None:
        return None
    # No row at all: the caller sees some sites of the cell only (a firm), so its grade is not known to it.
    cell, risk = found["cell"], found["risk"]
    level = "unknown" if risk is None else risk.get("level")
    body = [
        head("cell", str(cell["name_zh"] or cell_code(key)), lang, _level(level, lang)),
        html.P(t("drawer.own_only", lang), className="lead-note") if risk is None else None,
        facts(
            [
                (t("drawer.cell_code", lang), html.Code(cell_code(key))),
                (t("drawer.town", lang), f"{either(cell, lang, 'town')} · {cell['community_zh']}"),
                (t("drawer.area", lang), f"{number(cell['area_m2'] / 1e6, 3)} km²"),
            ]
        ),
        _cell_risk(risk, lang),
        *(why.of_cell(board, key, lang, as_of) if risk is not None and risk.get("score") is not None else []),
        _cell_gaps(found["gaps"], lang),
        _cell_cameras(found["cameras"], lang),
        _answering(found["answering"], lang),
        _cell_sites(found["sites"], lang),
        _cell_incidents(found["incidents"], lang, zone),
        html.P(t("legend.as_of", lang, time=clock(found["as_of"], zone, seconds=True)), className="fine"),
    ]
    body = [one for one in body if one is not None]
    west, south, east, north = cell["bounds"]
    return body, {"lat": (south + north) / 2, "lon": (west + east) / 2, "zoom": 14}


def _cell_risk(risk: Row | None, lang: Language) -> html.Section:
    if risk is None:
        return part(t("drawer.risk", lang), html.P(t("drawer.risk_unknown", lang), className="empty-line"))
    if risk.get("score") is None:
        return part(t("drawer.risk", lang), html.P(t("drawer.no_site", lang), className="empty-line"))
    override = either(risk, lang, "override")
    return part(
        t("drawer.why", lang),
        [
            html.P(
                t("drawer.score_value", lang, score=number(risk["score"], 1)),
                className="score",
                **shell.data(score=f"{risk['score']:.4f}"),
            ),
            html.P(override, className="lead-note inner") if override else None,
            html.P(
                [f"{t('drawer.why_site', lang)}: ", _link("site", risk["top_site_id"], risk["top_site_zh"])]
            ),
            _reasons(risk["reasons"], lang),
            html.P(t("drawer.stale", lang), className="missing") if risk.get("is_stale") else None,
        ],
    )


def _cell_gaps(gaps: list[Row], lang: Language) -> html.Section:
    if not gaps:
        return part(t("drawer.gaps", lang), html.P(t("drawer.gaps_none", lang), className="empty-line"))
    rows = []
    for gap in gaps[:SHOWN]:
        kind = {"key_risk_area": "key_risk_area", "camera": "camera", "site": "site"}.get(gap["subject"])
        name = either(gap, lang) or str(gap["name_zh"])
        rows.append(
            html.Li(
                [
                    html.Span(word("gap", gap["kind"], lang), className="tag gap-tag"),
                    _link(kind, gap["subject_id"], name) if kind else html.Span(name, className="grow"),
                    html.Small(either(gap, lang, "detail"), className="wide"),
                ],
                className="gap-item",
            )
        )
    return part(t("drawer.gaps", lang), [html.Ul(rows, className="items"), _more(gaps, lang)], str(len(gaps)))


def _cell_cameras(cameras: list[Row], lang: Language) -> html.Section:
    if not cameras:
        return part(t("drawer.cameras", lang), html.P(t("drawer.cameras_none", lang), className="missing"))
    rows = [html.Li([_link("camera", c["id"], c["name_zh"]), _observed(c, lang)]) for c in cameras[:SHOWN]]
    return part(
        t("drawer.cameras", lang), [html.Ul(rows, className="items"), _more(cameras, lang)], str(len(cameras))
    )


def _answering(people: list[Row], lang: Language) -> html.Section:
    rows = []
    for role in ("chief", "worker"):
        if not any(p["role"] == role and not p["unit_zh"] for p in people):
            rows.append(
                html.Li(
                    [
                        html.Small(t(f"drawer.{role}", lang)),
                        html.B(t("drawer.nobody", lang), className="missing"),
                    ]
                )
            )
    for person in people:
        where = either(person, lang, "unit")
        role = word("role", person["role"], lang)
        rows.append(
            html.Li(
                [
                    html.Small(f"{where} {role}".strip()),
                    html.Span(str(person["name_zh"]), className="grow"),
                    html.A(str(person["phone"]), href=f"tel:{person['phone']}")
                    if person["phone"]
                    else html.Small("—"),
                ]
            )
        )
    return part(t("drawer.who", lang), html.Ul(rows, className="items who"))


def _cell_sites(sites: list[Row], lang: Language) -> html.Section | None:
    if not sites:
        return None
    rows = []
    for site in sites[:SHOWN]:
        lead = either(site, lang, "lead")
        rows.append(
            html.Li(
                [
                    _level(site["level"], lang),
                    _link("site", site["id"], site["name_zh"]),
                    html.Small(number(site["score"], 1)),
                    html.Small(lead or t("gap.no_lead", lang), className="wide" if lead else "wide missing"),
                ],
                className="gap-item",
            )
        )
    return part(
        t("drawer.sites", lang), [html.Ul(rows, className="items"), _more(sites, lang)], str(len(sites))
    )


def _cell_incidents(incidents: list[Row], lang: Language, zone: str) -> html.Section | None:
    if not incidents:
        return None
    rows = [
        html.Li(
            [
                _link("incident", i["id"], f"{word('class', i['class'], lang)} #{i['incident_no']}"),
                html.Span(word("review", i["review"], lang), className=f"tag review-{i['review']}"),
                html.Small(clock(datetime.fromisoformat(str(i["first_seen_at"])), zone)),
            ]
        )
        for i in incidents[:SHOWN]
    ]
    return part(t("drawer.incidents", lang), html.Ul(rows, className="items"), str(len(incidents)))


def _more(rows: list[Row], lang: Language) -> html.P | None:
    left = len(rows) - SHOWN
    return html.P(t("drawer.more", lang, n=left), className="fine") if left > 0 else None
