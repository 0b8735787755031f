"""The duty matrix as a table: units down, departments across; or place types down, units across."""

from typing import Any

from dash import html

from dashboards.board import Row, number
from dashboards.matrix_asked import STATES, Asked
from dashboards.texts import Language, either, t, word

# Columns of analysis.duty_department beside lead_count, in the order of gravity.
ENTRY = ("missing", "two_leads", "disputed", "proposed", "no_person")
# Columns of units beside the place types.
UNITS_ACROSS = 12


def legend(lang: Language) -> html.Ul:
    """What the signs of an entry mean: the words of analysis.duty_state."""
    marks = [
        html.Li(
            [
                html.Span(word("duty_short", state, lang), className=f"duty-mark mark-{state}"),
                html.Span(word("duty_state", state, lang)),
            ],
            title=word("duty_meaning", state, lang),
        )
        for state in STATES[:-1]
    ]
    led = html.Li([html.B("12"), html.Span(t("matrix.led", lang))])
    return html.Ul([led, *marks], className="duty-legend")


def unit_name(row: Row, lang: Language) -> str:
    """What a unit is called; sites in no cell or no town have none."""
    if row["unit_code"] is None:
        return t("matrix.no_town" if row["town_code"] is None else "matrix.no_cell", lang)
    return either(row, lang) or str(row["unit_code"])


def place_of(row: Row, asked: Asked) -> dict[str, Any]:
    """The fields of the address that stand for a unit."""
    town = row["town_code"] or "" if asked.level != "town" else ""
    return {"unit": row["unit_code"] or "-", "town": town}


def departments(
    units: list[Row],
    entries: list[Row],
    asked: Asked,
    held: dict[str, str],
    lang: Language,
    towns: dict[str, str],
) -> html.Table:
    """Units (worst first, as given) by department: what each leads, and what is unsettled. towns: names by code."""
    by_place: dict[tuple[Any, Any, Any], Row] = {
        (e["unit_code"], e["town_code"], e["department_code"]): e for e in entries
    }
    weights: dict[str | None, tuple[int, int]] = {}
    names: dict[str | None, str] = {}
    for entry in entries:
        code = entry["department_code"]
        unsettled = sum(entry[f"{state}_count"] for state in ENTRY)
        old = weights.get(code, (0, 0))
        weights[code] = (old[0] + unsettled, old[1] + entry["lead_count"])
        names[code] = either(entry, lang, "department") or t("matrix.no_department", lang)
    # Sites that no department is known for come first, then the departments with most that is unsettled.
    columns = sorted(weights, key=lambda c: (c is not None, -weights[c][0], -weights[c][1], c or ""))
    head = [
        html.Th(t(f"level_name.{asked.level}", lang), scope="col", className="corner"),
        html.Th(t("matrix.sites", lang), scope="col", className="n"),
        html.Th(t("matrix.unsettled", lang), scope="col", className="n"),
        html.Th(t("matrix.without_worker", lang), scope="col", className="n"),
        *[html.Th(html.Span(names[c]), scope="col", className="department") for c in columns],
    ]
    body = []
    for unit in units:
        place = place_of(unit, asked)
        key = (unit["unit_code"], unit["town_code"])
        cells = [
            html.Td(
                _entry(by_place.get((*key, c)), asked.plain(**place, department=c or "-"), held, lang),
                title=names[c],
            )
            for c in columns
        ]
        body.append(html.Tr([*_unit_cells(unit, asked, held, lang, towns), *cells], className=_tone(unit)))
    return html.Table([html.Thead(html.Tr(head)), html.Tbody(body)], className="plain-table matrix-table")


def _tone(unit: Row) -> str:
    return f"worst-{unit['state']}" if unit["state"] != "confirmed" else ""


def _unit_cells(
    unit: Row, asked: Asked, held: dict[str, str], lang: Language, towns: dict[str, str]
) -> list[Any]:
    place = place_of(unit, asked)
    name: list[Any] = [unit_name(unit, lang)]
    finer = {"district": "town", "town": "community", "community": "cell"}.get(asked.level)
    if finer and unit["unit_code"]:
        within = "" if asked.level == "district" else unit["unit_code"]
        name = [html.A(name, href=asked.plain(level=finer, within=within, page=1).link(held))]
    if asked.level == "cell" and unit["unit_code"]:
        name = [html.A(name, href=on_map(f"cell:{unit['unit_code']}", held))]
    # A site near a border stands in a cell of one town and belongs to another.
    if (
        unit["town_code"]
        and asked.level in ("community", "cell")
        and (unit["unit_code"] is None or unit["unit_code"][:9] != unit["town_code"][:9] or not asked.within)
    ):
        name.append(html.Small(f" {towns.get(unit['town_code'], unit['town_code'])}"))
    listed = asked.plain(**place)
    return [
        html.Th(name, scope="row"),
        html.Td(number(unit["site_count"]), className="n"),
        html.Td(
            _count(unit["gap_count"], listed.link(held, "list", listed="unsettled")), className="n gap-n"
        ),
        html.Td(
            _count(unit["no_grid_worker_count"], listed.link(held, "list", listed="no_grid_worker")),
            className="n",
        ),
    ]


def _count(n: int, to: str) -> Any:
    return html.A(number(n), href=to) if n else html.Span("0", className="nought")


def _entry(entry: Row | None, asked: Asked, held: dict[str, str], lang: Language) -> Any:
    if entry is None:
        return ""
    parts: list[Any] = []
    if entry["lead_count"]:
        parts.append(
            html.A(number(entry["lead_count"]), href=asked.link(held, "list", listed="led"), className="led")
        )
    for state in ENTRY:
        n = entry[f"{state}_count"]
        if n:
            parts.append(
                html.A(
                    [word("duty_short", state, lang), html.B(number(n))],
                    href=asked.link(held, "list", listed=state),
                    className=f"duty-mark mark-{state}",
                    title=f"{word('duty_state', state, lang)} {number(n)}",
                )
            )
    return html.Div(parts, className="entry")


def types(
    units: list[Row], entries: list[Row], asked: Asked, held: dict[str, str], lang: Language
) -> html.Table:
    """Place types (most unsettled sites first) by unit; one unit alone shows lead and named person instead."""
    units = units[:UNITS_ACROSS]
    shown = {(u["unit_code"], u["town_code"]) for u in units}
    rows: dict[str | None, list[Row]] = {}
    for entry in entries:
        if (entry["unit_code"], entry["town_code"]) in shown:
            rows.setdefault(entry["rule_code"], []).append(entry)

    def unsettled(found: list[Row]) -> int:
        return sum(e["site_count"] for e in found if e["status"] != "confirmed")

    order = sorted(rows, key=lambda c: (-unsettled(rows[c]), -sum(e["site_count"] for e in rows[c]), c or ""))
    alone = len(units) == 1
    across = ["lead_department", "person", "status"] if alone else []
    head = [
        html.Th(t("matrix.place_type", lang), scope="col", className="corner"),
        html.Th(t("matrix.sites", lang), scope="col", className="n"),
        html.Th(t("matrix.unsettled", lang), scope="col", className="n"),
        *[html.Th(t(f"matrix.{name}", lang), scope="col") for name in across],
        *[
            html.Th(html.Span(unit_name(u, lang)), scope="col", className="department")
            for u in units
            if not alone
        ],
    ]
    body = []
    for code in order:
        found = rows[code]
        name = either(found[0], lang, "place_type") or t("matrix.no_rule", lang)
        by_unit = {(e["unit_code"], e["town_code"]): e for e in found}
        listed = asked.plain(rule=code or "-")
        cells: list[Any] = [
            html.Th([name, html.Small(f" {code}", className="fine-code") if code else ""], scope="row"),
            html.Td(number(sum(e["site_count"] for e in found)), className="n"),
            html.Td(
                _count(unsettled(found), listed.link(held, "list", listed="unsettled")), className="n gap-n"
            ),
        ]
        if alone:
            one = found[0]
            cells += [
                html.Td(either(one, lang, "lead") or "—"),
                html.Td(one["person_name"] or "—"),
                html.Td(
                    html.Span(
                        word("duty_state", one["status"], lang), className=f"status status-{one['status']}"
                    )
                ),
            ]
        else:
            cells += [
                html.Td(
                    _type_entry(by_unit.get((u["unit_code"], u["town_code"])), listed, u, asked, held, lang)
                )
                for u in units
            ]
        body.append(html.Tr(cells, className="" if not unsettled(found) else "gap"))
    return html.Table([html.Thead(html.Tr(head)), html.Tbody(body)], className="plain-table matrix-table")


def _type_entry(
    entry: Row | None, listed: Asked, unit: Row, asked: Asked, held: dict[str, str], lang: Language
) -> Any:
    if entry is None:
        return ""
    to = listed.link(held, "list", listed=entry["status"], **place_of(unit, asked))
    if entry["status"] == "confirmed":
        return html.Div(html.A(number(entry["site_count"]), href=to, className="led"), className="entry")
    mark = html.A(
        [word("duty_short", entry["status"], lang), html.B(number(entry["site_count"]))],
        href=to,
        className=f"duty-mark mark-{entry['status']}",
        title=word("duty_state", entry["status"], lang),
    )
    return html.Div(mark, className="entry")


def on_map(selected: str, held: dict[str, str]) -> str:
    """The address of the map with one thing chosen on the duty lens."""
    kept = "".join(f"&{k}={v}" for k, v in held.items())
    return f"/?lens=duty&selected={selected}{kept}"
