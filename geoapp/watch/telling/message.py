"""What a message says, in words: what happened, where, when by the city's clock, state, permit, who answers. No picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from geoapp.watch.telling import words
from geoapp.watch.telling.receiver import Language
from geoapp.watch.telling.words import said

SHOWN = 20
HOT_WORK = frozenset({"welding_arc", "sparks"})


@dataclass(frozen=True, slots=True)
class Change:
    """One change that a message tells of."""

    topic: str
    transition: str
    class_name: str | None
    payload: dict[str, Any]
    happened_at: datetime
    camera_zh: str | None = None
    gb_id: str | None = None

    @classmethod
    def of(cls, row: dict[str, Any]) -> Change:
        """From a row of sql/watch/delivery_changes.sql."""
        return cls(
            row["topic"],
            row["transition"],
            row["class"],
            row["payload"],
            row["happened_at"],
            row["camera_zh"],
            row["gb_id"],
        )


@dataclass(frozen=True, slots=True)
class Message:
    """key: the same however often it is sent. incident: watch.told_incident's, None where it is about none. Times with zone."""

    key: UUID
    receiver: str
    topic: str
    changes: tuple[Change, ...]
    incident: dict[str, Any] | None
    made_at: datetime
    zone: ZoneInfo
    link: str | None = None

    @property
    def last(self) -> Change:
        return self.changes[-1]


def title(message: Message, lang: Language) -> str:
    """One line: what, and where."""
    if message.topic == "test":
        return said(words.SENTENCES, "test", lang)
    if message.incident is None:
        return _cameras_title(message.changes, lang)
    incident, join = message.incident, "：" if lang == "zh" else ": "
    sample = said(words.SENTENCES, "generated", lang) if incident.get("is_generated") else ""
    step = _step(message.last, lang)
    if lang == "zh":
        what = f"{said(words.CLASSES, incident['class'], lang)}{step}"
    else:
        what = f"{said(words.CLASSES, incident['class'], lang)} {step}"
    return f"{sample}{what}{join}{_place(incident, lang)}"


def lines(message: Message, lang: Language) -> list[tuple[str, str]]:
    """Label and text of each line after the title."""
    if message.topic == "test":
        return [
            ("", said(words.SENTENCES, "test_body", lang)),
            (_label("when", lang), _moment(message.made_at, message)),
        ]
    if message.incident is None:
        return _camera_lines(message, lang)
    incident = message.incident
    rows = [
        (_label("what", lang), f"#{incident['incident_no']} {said(words.CLASSES, incident['class'], lang)}"),
        (_label("where", lang), _place(incident, lang)),
        (_label("cell", lang), _cell(incident, lang)),
        (_label("when", lang), _span(incident, message)),
        (
            _label("state", lang),
            f"{said(words.STATES, incident['state'], lang)} · {said(words.REVIEWS, incident['review'], lang)}",
        ),
        (_label("score", lang), f"{incident['peak_score']:.2f}"),
        (_label("camera", lang), str(incident.get("camera_zh") or "–")),
    ]
    if incident["class"] in HOT_WORK:
        rows.append((_label("permit", lang), _permit(incident, message, lang)))
    rows += _answering(incident, lang)
    if len(message.changes) > 1:
        rows += [
            (_label("changes", lang), f"{_moment(c.happened_at, message)} {_step(c, lang)}")
            for c in message.changes[-SHOWN:]
        ]
    if incident["review"] == "unreviewed":
        rows.append(("", said(words.SENTENCES, "lead", lang)))
    return rows


def _step(change: Change, lang: Language) -> str:
    if change.transition == "reviewed":
        return said(words.REVIEWS, change.payload.get("review"), lang)
    return said(words.TRANSITIONS, change.transition, lang)


def _label(name: str, lang: Language) -> str:
    return words.LABELS[name][lang]


def _either(incident: dict[str, Any], name: str, lang: Language) -> str | None:
    """A name in the language, in Chinese where it has no English one."""
    return incident.get(f"{name}_{lang}") or incident.get(f"{name}_zh")


def _place(incident: dict[str, Any], lang: Language) -> str:
    parts = [_either(incident, name, lang) for name in ("town", "site", "key_risk_area")]
    named = [part for part in parts if part]
    return (" · ".join(named)) if named else _coordinates(incident)


def _coordinates(incident: dict[str, Any]) -> str:
    error = f" ±{incident['error_m']} m" if incident.get("error_m") is not None else ""
    return f"{incident['lon']}, {incident['lat']} (WGS84){error}"


def _cell(incident: dict[str, Any], lang: Language) -> str:
    if incident.get("cell_code") is None:
        return said(words.SENTENCES, "no_place", lang)
    code = incident["cell_code"]
    dashed = f"{code[:12]}-{code[12]}-{code[13:16]}-{code[16:]}"
    named = [part for part in (_either(incident, "community", lang), incident.get("cell_zh")) if part]
    return " · ".join([*named, dashed])


def _moment(at: datetime, message: Message) -> str:
    return f"{at.astimezone(message.zone):%Y-%m-%d %H:%M:%S}"


def _span(incident: dict[str, Any], message: Message) -> str:
    first, last = (datetime.fromisoformat(incident[k]) for k in ("first_seen_at", "last_seen_at"))
    zone = f" ({message.zone.key})"
    return (
        _moment(first, message) + zone
        if last <= first
        else f"{_moment(first, message)} – {_moment(last, message)}{zone}"
    )


def _permit(incident: dict[str, Any], message: Message, lang: Language) -> str:
    if incident.get("permit_no") is None:
        return said(words.SENTENCES, "no_permit", lang)
    ends = datetime.fromisoformat(incident["permit_ends_at"])
    has_ended = ends <= datetime.fromisoformat(incident["last_seen_at"])
    sentence = words.SENTENCES["permit_ended" if has_ended else "permit_until"][lang]
    return sentence.format(no=incident["permit_no"], until=_moment(ends, message))


def _answering(incident: dict[str, Any], lang: Language) -> list[tuple[str, str]]:
    label, people = _label("who", lang), incident["answering"]
    if not people:
        return [(label, said(words.SENTENCES, "nobody", lang))]
    return [(label, _person(person, lang)) for person in people[:SHOWN]]


def _person(person: dict[str, Any], lang: Language) -> str:
    where = person["where_en"] if lang == "en" and person["where_en"] else person["where_zh"]
    phone = person["phone"] or said(words.SENTENCES, "no_phone", lang)
    return " ".join(
        p for p in (where, said(words.ROLES, person["role"], lang), person["name_zh"], phone) if p
    )


def _cameras_title(changes: Sequence[Change], lang: Language) -> str:
    """Of cameras, by how each stands after the last change."""
    latest = {c.gb_id or i: c.transition for i, c in enumerate(changes)}
    parts = []
    for name in ("unobserved", "observed"):
        count = sum(1 for transition in latest.values() if transition == name)
        if count:
            parts.append(words.SENTENCES[f"cameras_{name}"][lang].format(n=count))
    return ("，" if lang == "zh" else ", ").join(parts) or said(
        words.TRANSITIONS, changes[-1].transition, lang
    )


def _camera_lines(message: Message, lang: Language) -> list[tuple[str, str]]:
    rows = []
    for change in message.changes[:SHOWN]:
        reason = change.payload.get("reason")
        why = f" ({said(words.REASONS, reason, lang)})" if reason else ""
        rows.append(
            (
                _label("camera", lang),
                f"{_moment(change.happened_at, message)} {change.camera_zh or change.gb_id or '?'} {_step(change, lang)}{why}",
            )
        )
    if len(message.changes) > SHOWN:
        rows.append(("", words.SENTENCES["more"][lang].format(n=len(message.changes) - SHOWN)))
    if any(c.transition == "unobserved" for c in message.changes):
        rows.append(("", said(words.SENTENCES, "blind", lang)))
    return rows
