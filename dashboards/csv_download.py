"""A button that takes out what a page shows as CSV; what it is for is asked where the server wants to know."""

import dash_mantine_components as dmc
from dash import html

from dashboards.shell import data, may_open
from dashboards.texts import Language, t
from geoapp.access.caller import caller_or_none
from layers.export_route import REASON_MAX


def form(
    name: str, path: str, lang: Language, *, query: str = "", words: str = "exports.csv"
) -> html.Form | None:
    """The button as a form with the id `name` for the file at `path`; None for a role that may not export.

    query: what the file is asked for with; words: key of the button's text. A callback may set the form's data-query to what
    the page's filters ask for; assets/75_exports.js sends it along.
    """
    if not may_open("/exports", caller_or_none()):
        return None
    hint = t("exports.reason_hint", lang)
    box = dmc.TextInput(
        name="reason",
        size="xs",
        placeholder=hint,
        autoComplete="off",
        attributes={"input": {"maxLength": REASON_MAX, "aria-label": hint}},
    )
    return html.Form(
        [
            html.Div(box, hidden=True, className="why", **data(why="1")),
            html.Button(
                t(words, lang),
                type="submit",
                className="plain",
                title=t("exports.note_record", lang),
            ),
            html.Div(hidden=True, className="message", role="status", **data(message="1")),
        ],
        id=name,
        action=path,
        method="get",
        className="csv-download",
        **data(
            export="1",
            query=query,
            busy=t("exports.busy", lang),
            done=t("exports.done", lang),
            failed=t("access.failed", lang),
        ),
    )
