"""The pieces that every drawer is made of."""

from typing import Any

from dash import html

from dashboards import shell
from dashboards.texts import Language, catalogue, t

# Where a thing is: lat and lon in degrees, the map zoom at which it is seen well.
Place = dict[str, Any]


def head(kind: str, title: str, lang: Language, *tags: Any, label: str = "") -> html.Div:
    """What kind of thing it is, its name, tags beside the kind, and the button that closes the drawer."""
    label = label or (t(f"drawer.{kind}", lang) if f"drawer.{kind}" in catalogue() else "")
    return html.Div(
        [
            html.Div([html.Span(label, className="kind"), *tags], className="kind-line"),
            html.H2(title),
            html.Button(
                "×",
                className="close",
                type="button",
                **{"aria-label": t("drawer.close", lang), **shell.data(close="1")},
            ),
        ],
        className="drawer-head",
    )


def facts(pairs: list[tuple[str, Any]]) -> html.Dl:
    """Names with their values."""
    return html.Dl([x for name, value in pairs for x in (html.Dt(name), html.Dd(value))], className="facts")


def part(title: str, children: Any, note: str = "") -> html.Section:
    """A titled part of a drawer; note: beside the title."""
    return html.Section(
        [html.H3([title, html.Small(note)] if note else title), html.Div(children)], className="part"
    )
