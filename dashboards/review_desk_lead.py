"""The queue and one lead of the review desk as values in words: what is known, what is not, and why it comes first."""

import uuid
from datetime import datetime
from typing import Any

from dashboards.board import Board, Row, cell_code, clock, number
from dashboards.drawer import boxes_of
from dashboards.texts import Language, catalogue, either, t, word

Fact = dict[str, Any]


def queue(board: Board, lang: Language, now: datetime, most: int) -> dict[str, Any]:
    """Rows of the queue, at most `most`, how many there are in all, and how long verifying takes.

    Raises psycopg.Error or PoolTimeout when the database is away.
    """
    city = board.city()
    zone = str(city["timezone"]) if city else "Asia/Shanghai"
    rows = board.rows("review_queue", now=now, most=most)
    times = board.rows("review_time", now=now)
    head = board.headline()
    counted = rows[0]
    leads = [_queue_row(r, lang, zone) for r in rows if r["incident_id"] is not None]
    return {
        "as_of": clock(now, zone, day=False, seconds=True),
        "rows": leads,
        "in_all": counted["in_all"],
        "unreviewed": counted["unreviewed_in_all"],
        "longest": span(counted["longest_s"], lang),
        "times": [_time_row(r, lang) for r in times],
        "cameras": {
            name: number((head.get(name) or {}).get("value")) for name in ("cameras_online", "cameras_total")
        },
    }


def _queue_row(r: Row, lang: Language, zone: str) -> dict[str, Any]:
    return {
        "id": r["incident_id"],
        "no": r["incident_no"],
        "class": r["class"],
        "class_word": word("class", r["class"], lang),
        "state": r["state"],
        "state_word": word("state", r["state"], lang),
        "review": r["review"],
        "review_word": word("review", r["review"], lang),
        "place": r["key_risk_area_zh"] or r["site_name_zh"] or r["camera_name_zh"] or "—",
        "town": either(r, lang, "town"),
        "score": f"{r['peak_score']:.2f}",
        "urgency": round(r["urgency"]),
        "reasons": [f"{x[lang]} +{float(x['points']):g}" for x in r["reasons"]],
        "marks": [x[lang] for x in r["reasons"] if x["code"] in ("unpermitted", "key_risk_area")],
        "opened": clock(r["opened_at"], zone, year=False),
        "waiting": span(r["waiting_s"], lang),
        "held": held_words(r, lang),
        "is_mine": bool(r["is_mine"]),
        "given": given_words(r, lang),
    }


def _time_row(r: Row, lang: Language) -> dict[str, Any]:
    name = word("class", r["class"], lang) if r["class"] else r["reviewed_by"] or t("desk.nobody_named", lang)
    return {
        "kind": "class" if r["class"] else "officer" if r["reviewed_by"] is not None else "all",
        "name": name if r["class"] or r["reviewed_by"] is not None else t("desk.all", lang),
        "n": r["reviewed"],
        "median": span(r["median_s"], lang),
        "p90": span(r["p90_s"], lang),
    }


def span(seconds: float | None, lang: Language) -> str:
    """A length of time in words; `—` for None."""
    if seconds is None:
        return "—"
    if seconds < 90:
        return t("desk.seconds", lang, n=round(seconds))
    if seconds < 90 * 60:
        return t("desk.minutes", lang, n=round(seconds / 60))
    if seconds < 48 * 3600:
        return t("desk.hours", lang, n=round(seconds / 3600))
    return t("desk.days", lang, n=round(seconds / 86400))


def held_words(r: Row, lang: Language) -> str:
    """Who has it in hand, "" where nobody has."""
    if not r["held_by"] and not r.get("is_mine"):
        return ""
    return (r["holder_en"] if lang == "en" else "") or r["holder_zh"] or r["held_by"]


def given_words(r: Row, lang: Language) -> str:
    """To whom it was given, "" where to nobody."""
    department = (r["department_en"] if lang == "en" else "") or r["department_zh"] or ""
    return " · ".join(x for x in (department, r["person_zh"]) if x)


def lead(board: Board, incident: uuid.UUID, lang: Language, now: datetime) -> dict[str, Any] | None:
    """One lead with its frames, the camera's looks around it, its place and the facts beside it; None where the caller sees none."""
    row = board.row("review_incident", id=incident, now=now)
    if row is None:
        return None
    city = board.city()
    zone = str(city["timezone"]) if city else "Asia/Shanghai"
    about: dict[str, Any] = {"id": incident, "now": now}
    cameras = board.rows("review_cameras", **about)
    return {
        "id": incident,
        "no": row["incident_no"],
        "class": row["class"],
        "title": f"{word('class', row['class'], lang)} #{row['incident_no']}",
        "place": row["key_risk_area_zh"] or row["site_name_zh"] or row["camera_name_zh"] or "—",
        "state": row["state"],
        "state_word": word("state", row["state"], lang),
        "review": row["review"],
        "review_word": word("review", row["review"], lang),
        "reviewed": _reviewed(row, lang, zone),
        "has_permit": row["permit_id"] is not None,
        "held": held_words(row, lang),
        "is_mine": bool(row["is_mine"]),
        "at": {"lat": row["lat"], "lon": row["lon"]},
        "newest": row["evidence_id"],
        "frames": _frames(board.rows("review_frames", id=incident), lang, zone),
        "no_frames": t("drawer.evidence_deleted", lang, n=number(row["frames_deleted"]))
        if row["frames_deleted"]
        else t("desk.frame_none", lang),
        "looks": _looks(board.rows("review_looks", id=incident), lang, zone),
        "notes": _camera_notes(cameras, row, lang, zone),
        "sections": [
            _basics(row, lang, zone),
            _permits(board.rows("review_permits", id=incident), row, lang, zone),
            _answering(board.rows("review_answering", **about), lang),
            _site(row, lang, zone),
            _hazards(board.rows("review_hazards", **about), row, lang, zone),
            _cameras(cameras, lang, zone),
            _given(board.rows("review_assignments", id=incident), lang, zone),
        ],
    }


def _reviewed(row: Row, lang: Language, zone: str) -> str:
    if row["review"] == "unreviewed":
        return ""
    why = " · ".join(
        x
        for x in (
            word("cause", row["false_cause"], lang) if row["false_cause"] else "",
            row["review_reason"] or "",
        )
        if x
    )
    said = t(
        "desk.reviewed",
        lang,
        who=row["reviewed_by"] or t("desk.nobody_named", lang),
        at=clock(row["reviewed_at"], zone),
        review=word("review", row["review"], lang),
    )
    return said + (f"：{why}" if why and lang == "zh" else f": {why}" if why else "")


def _frames(rows: list[Row], lang: Language, zone: str) -> list[dict[str, Any]]:
    """Frames in the order of time; the camera is named where several took them."""
    several = len({f["camera_id"] for f in rows}) > 1
    return [_frame(f, lang, zone, names_camera=several) for f in rows]


def _frame(f: Row, lang: Language, zone: str, *, names_camera: bool) -> dict[str, Any]:
    boxes = boxes_of(f["boxes"], f["width_px"], f["height_px"]) if f["width_px"] and f["height_px"] else []
    for box in boxes:
        score = "" if box["score"] is None else f" {box['score']:.2f}"
        box["label"] = word("class", box["name"], lang) + score
    return {
        "id": f["id"],
        "at": clock(f["captured_at"], zone, day=False, seconds=True),
        "day": clock(f["captured_at"], zone, seconds=True),
        "width": f["width_px"],
        "height": f["height_px"],
        "is_own": f["is_own"],
        "camera": camera_name(f["camera_zh"], lang) if names_camera else "",
        "note": "" if f["is_own"] else t("desk.other_lead", lang, no=f["incident_no"]),
        "not_kept": word("not_kept", f["not_kept"], lang) if f["not_kept"] else "",
        "boxes": boxes,
    }


def camera_name(name_zh: str | None, lang: Language) -> str:
    """A camera's name; a plain word for one that the reader does not see."""
    return name_zh or t("desk.camera_beyond", lang)


def _looks(rows: list[Row], lang: Language, zone: str) -> list[dict[str, Any]]:
    """The looks of each camera that saw the lead, the camera that saw it first at the top."""
    cameras: dict[int, dict[str, Any]] = {}
    for x in rows:
        one = cameras.setdefault(x["camera_id"], {"camera": camera_name(x["camera_zh"], lang), "looks": []})
        one["looks"].append(_look(x, lang, zone))
    return list(cameras.values())


def _look(x: Row, lang: Language, zone: str) -> dict[str, str]:
    at = clock(x["captured_at"], zone, day=False, seconds=True)
    if not x["observed"]:
        return {
            "tone": "blind",
            "words": f"{at} · {t('drawer.unobserved', lang)} · {word('reason', x['reason'], lang)}",
        }
    if x["boxes"]:
        return {"tone": "hit", "words": f"{at} · {t('look.hit', lang)}"}
    return {"tone": "clear", "words": f"{at} · {t('look.clear', lang)}"}


def _camera_notes(cameras: list[Row], row: Row, lang: Language, zone: str) -> list[str]:
    """What stands against the cameras that saw it: blind now, no pose. Named where there are several."""
    own = [c for c in cameras if c["is_its_own"]]
    notes = [
        t(
            "desk.camera_blind",
            lang,
            camera=_which(c, own, lang),
            reason=word("reason", c["reason"], lang),
            at=clock(c["last_observed_at"], zone) if c["last_observed_at"] else t("drawer.never", lang),
        )
        for c in own
        if c["observed"] is False
    ]
    # Placed by another camera, it lies where that one saw it.
    if row["placing_method"] == "camera_point":
        notes += [
            t("desk.camera_no_pose", lang, camera=_which(c, own, lang)) for c in own if c["has_pose"] is False
        ]
    return notes


def _which(camera: Row, own: list[Row], lang: Language) -> str:
    if len(own) == 1:
        return t("desk.the_camera", lang)
    return t("desk.camera_named", lang, name=camera_name(camera["name_zh"], lang))


def _section(key: str, rows: list[Fact], lang: Language, empty: str = "", tone: str = "") -> dict[str, Any]:
    return {"key": key, "title": t(f"desk.{key}", lang), "rows": rows, "empty": empty, "tone": tone}


def _basics(row: Row, lang: Language, zone: str) -> dict[str, Any]:
    error = t("drawer.error_unknown", lang)
    if row["semi_major_m"] is not None:
        error = t(
            "drawer.error_value", lang, a=number(row["semi_major_m"], 1), b=number(row["semi_minor_m"], 1)
        )
    return _section(
        "basics",
        [
            {"name": t("drawer.first_seen", lang), "value": clock(row["first_seen_at"], zone, seconds=True)},
            {"name": t("drawer.last_seen", lang), "value": clock(row["last_seen_at"], zone, seconds=True)},
            {
                "name": t("drawer.score", lang),
                "value": f"{row['peak_score']:.2f} · {t('desk.times_seen', lang, n=row['observation_count'])}",
            },
            {
                "name": t("drawer.placing", lang),
                "value": f"{word('placing', row['placing_method'], lang)} · {error}",
            },
            {
                "name": t("drawer.key_risk_area", lang),
                "value": row["key_risk_area_zh"] or t("desk.not_in_one", lang),
                "tone": "strong" if row["key_risk_area_zh"] else "",
            },
            {
                "name": t("drawer.town", lang),
                "value": " · ".join(x for x in (either(row, lang, "town"), cell_code(row["cell_code"])) if x),
            },
        ],
        lang,
    )


def _permits(rows: list[Row], row: Row, lang: Language, zone: str) -> dict[str, Any]:
    is_hot_work = row["class"] in ("welding_arc", "sparks")
    missing = is_hot_work and row["permit_id"] is None
    out = [
        {
            "name": r["permit_no"],
            "value": f"{clock(r['starts_at'], zone, year=False)} – {clock(r['ends_at'], zone, year=False)} · "
            + t(
                "desk.permit_valid" if r["is_valid"] else "desk.permit_not_valid",
                lang,
                m=number(r["distance_m"]),
            ),
            "tone": "good" if r["is_valid"] else "bad",
            "small": r["watcher"] and t("desk.watcher", lang, name=r["watcher"]),
        }
        for r in rows
    ]
    empty = t("desk.permits_none" if missing else "desk.permits_none_calm", lang)
    return _section("permits", out, lang, empty, "bad" if missing else "")


def _answering(rows: list[Row], lang: Language) -> dict[str, Any]:
    out = []
    for r in rows:
        unit = (r["unit_en"] if lang == "en" else "") or r["unit_zh"] or ""
        role = word("role", r["role"], lang) if f"role.{r['role']}" in catalogue() else ""
        out.append(
            {
                "name": f"{unit} {role}".strip() or t("desk.answers", lang),
                "value": r["name_zh"] or t("drawer.nobody", lang),
                "tel": r["phone"],
                "tone": "" if r["name_zh"] else "bad",
            }
        )
    return _section("answering", out, lang, t("drawer.nobody", lang), "" if out else "bad")


def _site(row: Row, lang: Language, zone: str) -> dict[str, Any]:
    if row["site_name_zh"] is None:
        return _section(
            "site", [], lang, t("desk.site_none" if row["site_id"] is None else "desk.site_beyond", lang)
        )
    return _section(
        "site",
        [
            {
                "name": t("drawer.site", lang),
                "value": row["site_name_zh"],
                "tone": "strong",
                "link": f"site:{row['site_id']}",
            },
            {"name": t("drawer.type", lang), "value": either(row, lang, "place_type") or "—"},
            {"name": t("drawer.address", lang), "value": row["address"] or "—"},
            {
                "name": t("drawer.inherent", lang),
                "value": t(f"level.{row['hazard_level']}", lang)
                if row["hazard_level"]
                else t("drawer.not_graded", lang),
            },
            {"name": t("drawer.people", lang), "value": number(row["people"])},
            {
                "name": t("desk.last_check", lang),
                "value": clock(row["last_check_at"], zone)
                if row["last_check_at"]
                else t("drawer.never", lang),
                "tone": "" if row["last_check_at"] else "bad",
            },
        ],
        lang,
    )


def _hazards(rows: list[Row], row: Row, lang: Language, zone: str) -> dict[str, Any]:
    out = [
        {
            "name": word("hazard_class", r["class"], lang),
            "value": either(r, lang, "title"),
            "small": t(
                "desk.overdue" if r["is_overdue"] else "desk.until",
                lang,
                at=clock(r["deadline"], zone, year=False),
            )
            if r["deadline"]
            else "",
            "tone": "bad" if r["class"] == "major" or r["is_overdue"] else "",
        }
        for r in rows
    ]
    empty = t("desk.hazards_none" if row["site_id"] is not None else "desk.hazards_no_site", lang)
    return _section("hazards", out, lang, empty)


def _cameras(rows: list[Row], lang: Language, zone: str) -> dict[str, Any]:
    out = [
        {
            "name": t("desk.its_own", lang) if r["is_its_own"] else t("desk.also_sees", lang),
            "value": camera_name(r["name_zh"], lang),
            "small": " · ".join(x for x in (_when_seen(r, lang, zone), _camera_now(r, lang, zone)) if x),
            "tone": "" if r["observed"] else "blind",
            "link": f"camera:{r['id']}" if r["is_in_use"] else "",
        }
        for r in rows
    ]
    return _section("cameras", out, lang, t("drawer.cameras_none", lang))


def _when_seen(r: Row, lang: Language, zone: str) -> str:
    if not r["is_its_own"]:
        return ""
    first, last = (clock(r[at], zone, day=False, seconds=True) for at in ("first_seen_at", "last_seen_at"))
    return t("desk.seen_from_to", lang, first=first, last=last, score=f"{r['peak_score']:.2f}")


def _camera_now(r: Row, lang: Language, zone: str) -> str:
    """Whether it can be looked through now; "" for a camera of another area, of which nothing is known."""
    if r["name_zh"] is None:
        return ""
    if not r["is_in_use"]:
        return t("desk.camera_taken_down", lang)
    if r["observed"]:
        return t("drawer.observed", lang)
    at = clock(r["last_observed_at"], zone, year=False) if r["last_observed_at"] else t("drawer.never", lang)
    return f"{t('drawer.unobserved', lang)} · {word('reason', r['reason'], lang)} · {at}"


def _given(rows: list[Row], lang: Language, zone: str) -> dict[str, Any]:
    out = [
        {
            "name": clock(r["assigned_at"], zone, year=False),
            "value": given_words(r, lang),
            "small": " · ".join(x for x in (t("desk.given_by", lang, who=r["assigned_by"]), r["note"]) if x),
            "tel": r["phone"],
        }
        for r in rows
    ]
    return _section("given", out, lang, t("desk.given_none", lang))
