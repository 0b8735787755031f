"""The handover of a shift as values in words: what changed since the reader's last one, its figures, the notes of others."""

from datetime import datetime
from typing import Any

from dashboards.board import Board, Row, clock, number
from dashboards.texts import Language, t, word

FIGURES = (
    "opened",
    "confirmed",
    "false_alarms",
    "permitted",
    "still_open",
    "unreviewed",
    "blind_cameras",
)


def shift(board: Board, lang: Language, now: datetime, since: datetime | None) -> dict[str, Any]:
    """What changed since the reader's last shift (or since `since`), its figures now, and the handovers of two weeks.

    Raises psycopg.Error or PoolTimeout when the database is away.
    """
    city = board.city()
    zone = str(city["timezone"]) if city else "Asia/Shanghai"
    start = board.row("review_shift_start", now=now)
    assert start is not None
    begin = min(since or start["since"], now)
    changes = board.rows("review_changes", since=begin, now=now)
    figures = board.row("review_figures", since=begin, now=now) or {}
    totals: dict[str, int] = {c["change"]: c["in_all"] for c in changes}
    handovers = board.rows("review_handovers", now=now)
    return {
        "since": clock(begin, zone),
        "mine": clock(start["since"], zone),
        "since_iso": begin.isoformat(),
        "basis": t(f"shift_basis.{'given' if since else start['basis']}", lang),
        "figures": figure_list(figures, lang),
        "totals": [
            {"change": change, "words": t(f"change.{change}", lang), "n": totals[change]}
            for change in ("opened", "reviewed", "closed", "blind", "back")
            if change in totals
        ],
        "changes": [_change(c, lang, zone) for c in changes],
        "handovers": [_handover(h, lang, zone) for h in handovers],
        "unread": sum(not h["is_received"] and not h["is_mine"] for h in handovers),
    }


def figure_list(figures: Row, lang: Language) -> list[dict[str, str]]:
    """Figures of a shift in words, in their order; a missing one is `—`, never 0."""
    return [
        {"name": t(f"shift_figure.{name}", lang), "value": number(figures.get(name)), "key": name}
        for name in FIGURES
    ]


def _change(c: Row, lang: Language, zone: str) -> dict[str, str]:
    detail = ""
    if c["change"] == "reviewed":
        detail = " · ".join(x for x in (word("review", c["detail"], lang), c["who"] or "") if x)
    elif c["change"] == "blind" and c["detail"]:
        detail = word("reason", c["detail"], lang)
    subject = c["name_zh"] or "—"
    if c["subject"] == "incident":
        subject = f"{word('class', c['class'], lang)} #{c['incident_no']} · {subject}"
    return {
        "at": clock(c["at"], zone, year=False),
        "change": c["change"],
        "words": t(f"change.{c['change']}", lang),
        "subject": subject,
        "detail": detail,
        "select": f"{c['subject']}:{c['subject_id']}",
    }


def _handover(h: Row, lang: Language, zone: str) -> dict[str, Any]:
    receipts = [
        f"{(r['name_en'] if lang == 'en' else '') or r['name_zh'] or r['login']} {clock(datetime.fromisoformat(r['at']), zone, year=False)}"
        for r in h["receipts"]
    ]
    return {
        "id": h["id"],
        "note": h["note"],
        "who": (h["writer_en"] if lang == "en" else "") or h["writer_zh"] or h["written_by"],
        "at": clock(h["written_at"], zone),
        "span": f"{clock(h['shift_from'], zone, year=False)} – {clock(h['written_at'], zone, year=False)}",
        "figures": figure_list(h["figures"], lang),
        "receipts": receipts,
        "is_mine": h["is_mine"],
        "is_received": h["is_received"],
    }
