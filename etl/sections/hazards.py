"""Hazards found at sites, with what became of them."""

import numpy as np
from numpy.typing import NDArray

from etl import checks, words
from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings
from etl.register_sections import Hazards
from etl.sections.own_keys import file_keys
from etl.sections.references import site_ids
from etl.sections.spans import refuse_reversed
from etl.sections.values import Values
from etl.store import Target

__all__ = ["TARGET", "prepare"]

TARGET = Target(
    "inspection.hazard",
    "local_id",
    types={
        "local_id": "text",
        "site_id": "int8",
        "class": "text",
        "is_unlicensed_work": "bool",
        "title_zh": "text",
        "title_en": "text",
        "found_at": "timestamptz",
        "found_by": "text",
        "deadline": "timestamptz",
        "state": "text",
        "closed_at": "timestamptz",
    },
    name="title_zh",
)


def prepare(
    table: Table, section: Hazards, frame: Frame | None, ground: Ground, findings: Findings
) -> Values:
    """Values of inspection.hazard. Where the file has no state, a hazard with a time of closing is closed, others are open."""
    columns, zone = section.columns, ground.city.timezone
    site = checks.required(checks.texts(table, columns.site), findings, columns.site)
    title = checks.required(checks.texts(table, columns.title), findings, columns.title, "name_missing")
    class_ = checks.required(checks.texts(table, columns.class_), findings, columns.class_)
    found = checks.required(checks.texts(table, columns.found_at), findings, columns.found_at)
    found_at = checks.times(found, findings, columns.found_at, zone)
    closed = checks.times(
        checks.texts(table, columns.closed_at), findings, columns.closed_at or "closed_at", zone
    )
    finder = checks.texts(table, columns.found_by, default=section.found_by)
    values: Values = {
        "local_id": file_keys(table, columns.id, "hazard", [site, title, found], ground, findings),
        "site_id": site_ids(site, ground, findings, columns.site),
        "class": checks.allowed(class_, findings, columns.class_, words.HAZARD_CLASSES),
        "title_zh": title,
        "found_at": found_at,
        "found_by": checks.allowed(finder, findings, columns.found_by or "found_by", words.HAZARD_FINDERS),
        "state": _states(table, columns.state, closed, findings),
        "closed_at": closed,
    }
    refuse_reversed(found_at, closed, findings, columns.closed_at or "closed_at")
    if columns.title_en:
        values["title_en"] = checks.texts(table, columns.title_en, default="")
    if columns.deadline:
        text = checks.texts(table, columns.deadline)
        values["deadline"] = checks.times(text, findings, columns.deadline, zone, day_ends=True)
        refuse_reversed(found_at, values["deadline"], findings, columns.deadline)
    if columns.unlicensed_work:
        text = checks.texts(table, columns.unlicensed_work)
        values["is_unlicensed_work"] = checks.flags(text, findings, columns.unlicensed_work, default=False)
    return values


def _states(
    table: Table, column: str | None, closed: NDArray[np.object_], findings: Findings
) -> NDArray[np.object_]:
    text = checks.texts(table, column)
    state = checks.allowed(text, findings, column or "state", words.HAZARD_STATES)
    is_closed = ~checks.blank(closed)
    state = np.where(checks.blank(text), np.where(is_closed, "verified_closed", "found"), state)
    disagree = ~checks.blank(state) & ((state == "verified_closed") != is_closed)
    shown = np.where(is_closed, closed, "空 / blank")
    findings.reject(disagree, "state_disagrees", column or "state", state=text, closed=shown)
    return state
