"""The forms of receivers: one dialog a kind, with the fields that the kind has, to add one and to change one."""

import hashlib
import json
from typing import Any

from dash import html

from dashboards import forms
from dashboards.board import Row
from dashboards.texts import Language, either, t, word
from geoapp.watch.telling.receiver import KINDS, SECRETS, Kind
from geoapp.watch.telling.register import PER_MINUTE, TOPICS
from geoapp.watch.telling.words import CLASSES, TRANSITIONS

EXAMPLES: dict[Kind, str] = {
    "webhook": "https://example.org/geoapp",
    "wecom": "https://example.org/cgi-bin/webhook/send",
    "dingtalk": "https://example.org/robot/send",
    "mqtt": "mqtts://example.org:8883/geoapp/incidents",
    "email": "smtp://example.org:587",
}
DEFAULTS: dict[str, Any] = {
    "recipients": "", "sender": "", "language": "zh", "topics": ["incident"], "classes": [], "transitions": [],
    "towns": [], "min_score": "0", "cooldown_s": 300, "quiet": "", "quiet_passes": ["fire"], "give_up_h": "6",
}  # fmt: skip
# The longest waits that a form takes: a day between two messages, a week of trying.
COOLDOWN_MOST_S, PER_MINUTE_MOST = 86_400, 6_000


def dialogs(towns: list[Row], lang: Language) -> list[html.Dialog]:
    """A dialog for each kind; and those that ask before a receiver is paused or removed."""
    asking = [
        forms.dialog(
            f"receiver-{name}",
            t(f"telling.{name}", lang),
            word("receiver_note", name, lang),
            forms.form(
                [forms.reason(lang)],
                "",
                lang,
                t(f"telling.{name}", lang),
                danger=name == "remove",
                in_dialog=True,
            ),
            with_who=True,
        )
        for name in ("pause", "remove")
    ]
    return [*[_dialog(kind, towns, lang) for kind in KINDS], *asking]


def _dialog(kind: Kind, towns: list[Row], lang: Language) -> html.Dialog:
    title = t("telling.receiver_of", lang, kind=word("receiver_kind", kind, lang))
    return forms.dialog(
        f"receiver-{kind}",
        title,
        t("telling.form_note", lang),
        forms.form(_fields(kind, towns, lang), "", lang, t("telling.save", lang), in_dialog=True),
        with_who=True,
    )


def _fields(kind: Kind, towns: list[Row], lang: Language) -> list[Any]:
    def named(name: str) -> str:
        return field_id(kind, name)

    def options(kind_of: str, values: Any) -> list[dict[str, str]]:
        return [{"value": v, "label": word(kind_of, v, lang)} for v in values]

    mail = [
        forms.text(
            "recipients", t("telling.recipients", lang), t("telling.recipients_hint", lang), id=named("recipients"), autoComplete="off"
        ),
        forms.text("sender", t("telling.sender", lang), id=named("sender"), autoComplete="off"),
    ]  # fmt: skip
    secrets = [
        forms.password(name, word("receiver_secret", name, lang), "off", "—", id=named(name))
        for name in SECRETS[kind]
    ]
    town_options = [{"value": u["code"], "label": either(u, lang)} for u in towns]
    every = t("telling.empty_is_all", lang)
    more = [
        forms.choice(
            "language",
            t("telling.language", lang),
            [{"value": v, "label": word("receiver_language", v, lang)} for v in ("zh", "en")],
            "zh",
            id=named("language"),
        ),
        forms.several(
            "transitions",
            t("telling.transitions", lang),
            options("telling_step", TRANSITIONS),
            lang,
            every,
            id=named("transitions"),
        ),
        forms.text("min_score", t("telling.min_score", lang), "0 – 1", id=named("min_score"), attributes={"input": {"inputMode": "decimal"}}),
        forms.number(
            "per_minute", t("telling.per_minute", lang), PER_MINUTE[kind], 1, PER_MINUTE_MOST, id=named("per_minute")
        ),
        forms.text("give_up_h", t("telling.give_up_h", lang), id=named("give_up_h"), attributes={"input": {"inputMode": "decimal"}}),
    ]  # fmt: skip
    return [
        forms.text("name", t("telling.name", lang), t("telling.name_hint", lang), id=named("name"), autoComplete="off"),
        forms.text(
            "address", t("telling.address", lang), word("receiver_address", kind, lang), id=named("address"),
            placeholder=EXAMPLES[kind], autoComplete="off", attributes={"input": {"inputMode": "url"}},
        ),
        *(mail if kind == "email" else []),
        *secrets,
        forms.several("topics", t("telling.topics", lang), options("telling_topic", TOPICS), lang, id=named("topics")),
        forms.several("classes", t("telling.classes", lang), options("class", CLASSES), lang, every, id=named("classes")),
        forms.several("towns", t("telling.towns", lang), town_options, lang, every, id=named("towns")),
        forms.check("only_confirmed", t("telling.only_confirmed", lang), id=named("only_confirmed")),
        forms.number("cooldown_s", t("telling.cooldown_s", lang), 300, 0, COOLDOWN_MOST_S, id=named("cooldown_s")),
        forms.text("quiet", t("telling.quiet", lang), t("telling.quiet_hint", lang), id=named("quiet"), autoComplete="off"),
        forms.several(
            "quiet_passes", t("telling.quiet_passes", lang), options("class", CLASSES), lang, id=named("quiet_passes")
        ),
        html.Details([html.Summary(t("telling.more", lang)), html.Div(more, className="fields")], className="more-fields"),
        forms.reason(lang),
        forms.hidden("kind", kind),
        forms.hidden("seen", "", id=named("seen")),
    ]  # fmt: skip


def field_id(kind: str, name: str) -> str:
    """The id of a field in the dialog of a kind."""
    return f"receiver-{kind}-{name}"


def empty(kind: Kind, lang: Language) -> dict[str, dict[str, Any]]:
    """What the fields of a dialog hold for a new receiver."""
    values = {name: {"value": value} for name, value in DEFAULTS.items()}
    return _by_id(
        kind,
        values
        | {"name": {"value": "", "readOnly": False}, "address": {"value": ""}, "seen": {"value": ""}}
        | {"per_minute": {"value": PER_MINUTE[kind]}, "only_confirmed": {"checked": False}}
        | {
            name: {"value": "", "description": t("telling.secret_optional" if optional else "telling.secret_needed", lang)}
            for name, optional in SECRETS[kind].items()
        },
    )  # fmt: skip


def filled(r: Row, lang: Language) -> dict[str, dict[str, Any]]:
    """What they hold for one that is there; secrets only whether there is one."""
    kind = r["kind"]
    quiet = "" if r["quiet_from"] is None else f"{r['quiet_from']:%H:%M}-{r['quiet_to']:%H:%M}"
    values = {
        "recipients": ", ".join(r["recipients"]), "sender": r["sender"] or "", "language": r["language"], "topics": r["topics"],
        "classes": r["classes"] or [], "transitions": r["transitions"] or [], "towns": r["towns"] or [],
        "min_score": f"{r['min_score']:g}", "cooldown_s": round(r["cooldown_s"]), "quiet": quiet,
        "quiet_passes": r["quiet_passes"], "per_minute": r["per_minute"], "give_up_h": f"{r['give_up_after_s'] / 3600:g}",
        "address": r["address"], "seen": seen(r),
    }  # fmt: skip
    return _by_id(
        kind,
        {name: {"value": value} for name, value in values.items()}
        | {"name": {"value": r["receiver"], "readOnly": True}, "only_confirmed": {"checked": r["only_confirmed"]}}
        | {
            name: {"value": "", "description": t("telling.secret_kept" if name in r["secrets"] else "telling.secret_none", lang)}
            for name in SECRETS[kind]
        },
    )  # fmt: skip


def _by_id(kind: str, fields: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    known = {
        name: held for name, held in fields.items() if kind == "email" or name not in ("recipients", "sender")
    }
    return {field_id(kind, name): held for name, held in known.items()}


def seen(r: Row) -> str:
    """What the admin saw of a receiver when the dialog was filled: what was changed since is not overwritten."""
    parts = (
        "receiver_id", "address", "recipients", "sender", "language", "topics", "classes", "transitions", "towns", "min_score",
        "only_confirmed", "cooldown_s", "quiet_from", "quiet_to", "quiet_passes", "per_minute", "give_up_after_s", "secrets",
    )  # fmt: skip
    told = json.dumps([r[part] for part in parts], default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:16]
