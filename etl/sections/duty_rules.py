"""Duty rules: which department usually leads for a place type, and which help."""

import re

from etl import checks
from etl.frames import Frame
from etl.ground import Ground
from etl.manifest import DutyRules
from etl.readers import Table
from etl.reasons import Findings
from etl.sections.references import known, refuse_unknown
from etl.sections.values import Values, constant
from etl.store import Target

__all__ = ["TARGET", "prepare"]

TARGET = Target(
    "duty.rule",
    "code",
    row_id="code",
    types={
        "code": "text",
        "place_type_zh": "text",
        "place_type_en": "text",
        "category": "text",
        "gbt4754": "text",
        "lead_code": "text",
        "co_codes": "text[]",
        "legal_basis_zh": "text",
        "legal_basis_en": "text",
    },
    has_generated=False,
    name="place_type_zh",
)


def prepare(
    table: Table, section: DutyRules, frame: Frame | None, ground: Ground, findings: Findings
) -> Values:
    """Values of duty.rule."""
    columns = section.columns
    departments = known(ground, "SELECT code FROM duty.department")
    place = checks.required(
        checks.texts(table, columns.place_type), findings, columns.place_type, "name_missing"
    )
    values: Values = {
        "code": checks.required(checks.texts(table, columns.code), findings, columns.code, "key_missing"),
        "place_type_zh": place,
        "place_type_en": checks.texts(table, columns.place_type_en, default=""),
        "category": checks.required(checks.texts(table, columns.category), findings, columns.category),
    }
    if columns.lead:
        lead = checks.texts(table, columns.lead)
        refuse_unknown(lead, departments, "unknown_department", columns.lead, findings)
        values["lead_code"] = lead
    if columns.co:
        co = constant(table, None)
        for row, text in enumerate(checks.texts(table, columns.co, default="")):
            co[row] = re.split(r"[\s,;，；、]+", text) if text else []
            for code in co[row]:
                if code not in departments:
                    findings.reject_row(row, "unknown_department", columns.co, found=code)
        values["co_codes"] = co
    for field, column in (
        ("gbt4754", columns.gbt4754),
        ("legal_basis_zh", columns.legal_basis),
        ("legal_basis_en", columns.legal_basis_en),
    ):
        if column:
            values[field] = checks.texts(table, column, default="")
    return values
