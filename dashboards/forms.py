"""Forms of the account pages: their fields and dialogs, what was sent, and the answers that assets/70_forms.js shows."""

import json
from typing import Any
from urllib.parse import parse_qs

import dash_mantine_components as dmc
from dash import dcc, html
from fastapi import Request
from fastapi.responses import JSONResponse

from dashboards.shell import data
from dashboards.texts import LANGUAGES, Language, t

# The hidden input of a choice of several holds the values with this between them.
BETWEEN = ","


def field(box: Any, name: str) -> html.Div:
    """An input (with its own label) and the place where a problem with it is said."""
    return html.Div(
        [box, html.P(hidden=True, className="problem", role="alert", **data(problem=name))], className="field"
    )


def text(name: str, label: str, hint: str = "", **more: Any) -> html.Div:
    """One line of text."""
    return field(dmc.TextInput(name=name, label=label, description=hint or None, size="sm", **more), name)


def password(name: str, label: str, purpose: str, hint: str = "", **more: Any) -> html.Div:
    """A password with a switch to see it; purpose: the browser's word, current-password or new-password."""
    return field(
        dmc.PasswordInput(
            name=name, label=label, description=hint or None, autoComplete=purpose, size="sm", **more
        ),
        name,
    )


def several(
    name: str, label: str, options: list[Any], lang: Language, hint: str = "", **more: Any
) -> html.Div:
    """A choice of several, searchable."""
    return field(
        dmc.MultiSelect(
            name=name,
            label=label,
            description=hint or None,
            data=options,
            searchable=True,
            size="sm",
            hiddenInputValuesDivider=BETWEEN,
            nothingFoundMessage=t("account.none_found", lang),
            comboboxProps={"zIndex": 3000, "withinPortal": False},
            **more,
        ),
        name,
    )


def number(name: str, label: str, value: int, least: int, most: int, hint: str = "", **more: Any) -> html.Div:
    """A whole number."""
    box = dmc.NumberInput(
        name=name,
        label=label,
        description=hint or None,
        value=value,
        min=least,
        max=most,
        allowDecimal=False,
        allowNegative=False,
        size="sm",
        **more,
    )
    return field(box, name)


def choice(name: str, label: str, options: list[Any], value: str, hint: str = "", **more: Any) -> html.Div:
    """A choice of one."""
    box = dmc.Select(
        name=name,
        label=label,
        description=hint or None,
        data=options,
        value=value,
        allowDeselect=False,
        size="sm",
        comboboxProps={"zIndex": 3000, "withinPortal": False},
        **more,
    )
    return field(box, name)


def check(name: str, label: str, hint: str = "", **more: Any) -> html.Div:
    """A yes or no; sent as "on" where it is yes."""
    box = dmc.Checkbox(
        label=label, description=hint or None, size="sm", attributes={"input": {"name": name}}, **more
    )
    return field(box, name)


def reason(lang: Language) -> html.Div:
    """Why: it goes into the audit."""
    return text("reason", t("access.reason", lang), t("access.reason_hint", lang), autoComplete="off")


def form(
    children: list[Any],
    action: str,
    lang: Language,
    submit: str,
    *,
    danger: bool = False,
    in_dialog: bool = False,
    once: str = "access.once",
) -> html.Form:
    """A form that 70_forms.js sends; its answer is said above the buttons. once: key of the text above a secret in it."""
    buttons: list[Any] = [
        html.Button(submit, type="submit", className="primary danger" if danger else "primary"),
    ]
    if in_dialog:
        cancel = html.Button(
            t("access.cancel", lang), type="button", className="plain", **data(dialog_close="1")
        )
        buttons.insert(0, cancel)
    return html.Form(
        [
            html.Div(children, className="fields"),
            html.P(hidden=True, className="message", role="alert", **data(message="1")),
            html.Div(buttons, className="buttons"),
            *([_once(once, lang)] if in_dialog else []),
        ],
        action=action,
        method="post",
        noValidate=True,
        className="form",
        **data(ask="1", failed=t("access.failed", lang)),
    )


def dialog(name: str, title: str, note: str, content: html.Form, *, with_who: bool = False) -> html.Dialog:
    """A dialog that a button with data-dialog opens; with_who: whom it is about stands in its head."""
    head: list[Any] = [html.H2(title)]
    if with_who:
        head.append(html.P(className="dialog-who", **data(who="")))
    if note:
        head.append(html.P(note, className="dialog-note"))
    return html.Dialog([*head, content], id=name, className="dialog panel", **{"aria-label": title})


def opener(
    words: str,
    dialog_id: str,
    *,
    action: str = "",
    who: str = "",
    fill: dict[str, dict[str, Any]] | None = None,
    className: str = "plain",
) -> html.Button:
    """A button that opens a dialog for one subject. fill: properties of the dialog's fields, by their id."""
    more = {} if fill is None else data(fill=json.dumps(fill, ensure_ascii=False))
    return html.Button(
        words, type="button", className=className, **data(dialog=dialog_id, action=action, who=who), **more
    )


def at_once(words: str, action: str, lang: Language, className: str = "plain") -> html.Form:
    """A button that does its deed at once, and what came of it where it is refused."""
    return html.Form(
        [
            html.Button(words, type="submit", className=className),
            html.P(hidden=True, className="message", role="alert", **data(message="1")),
        ],
        action=action,
        method="post",
        className="at-once",
        **data(ask="1", failed=t("access.failed", lang)),
    )


def _once(words: str, lang: Language) -> html.Div:
    """Where a secret is shown that is shown once."""
    return html.Div(
        [
            html.P(t(words, lang)),
            html.Div(
                [
                    html.Output(),
                    html.Button(
                        t("access.copy", lang),
                        type="button",
                        className="plain",
                        **data(copy="1", copied=t("access.copied", lang)),
                    ),
                ],
                className="once-line",
            ),
            html.Button(t("access.done", lang), type="button", className="primary", **data(dialog_close="1")),
        ],
        hidden=True,
        className="once",
        role="status",
        **data(once="1"),
    )


def hidden(name: str, value: str, **more: Any) -> dcc.Input:
    """A field that is sent along unseen."""
    return dcc.Input(type="hidden", name=name, value=value, **more)


class Sent:
    """What a form sent (application/x-www-form-urlencoded, UTF-8)."""

    def __init__(self, body: bytes) -> None:
        try:
            found = parse_qs(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=100)
        except ValueError:  # more fields than any form here has
            found = {}
        self._found = found

    @classmethod
    async def of(cls, request: Request) -> "Sent":
        """The body; the gate has limited its size."""
        return cls(await request.body())

    def text(self, name: str) -> str:
        """The field without blanks around it, "" where it was not sent."""
        return self.secret(name).strip()

    def secret(self, name: str) -> str:
        """The field exactly as typed."""
        return self._found.get(name, [""])[0]

    def several(self, name: str) -> list[str]:
        """The values of a choice of several."""
        return [part for value in self._found.get(name, []) for part in value.split(BETWEEN) if part]

    @property
    def lang(self) -> Language:
        """The page's language, for the answer."""
        asked = self.text("lang")
        return next((lang for lang in LANGUAGES if lang == asked), "zh")


def problems(found: dict[str, str]) -> JSONResponse:
    """422: what is wrong, by field."""
    return JSONResponse({"problems": found}, 422, {"Cache-Control": "no-store"})


def refused(text_: str, status: int = 409) -> JSONResponse:
    """What was understood and is not done."""
    return JSONResponse({"error": text_}, status, {"Cache-Control": "no-store"})


def done(**answer: str) -> JSONResponse:
    """200; `once` is a secret that the page shows this once, `message` is said, `then` is where the page goes on."""
    return JSONResponse({"done": True, **answer}, 200, {"Cache-Control": "no-store"})
