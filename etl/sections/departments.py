"""Departments of the safety committee."""

from etl import checks
from etl.frames import Frame
from etl.ground import Ground
from etl.manifest import Departments
from etl.readers import Table
from etl.reasons import Findings
from etl.sections.values import Values
from etl.store import Target

__all__ = ["TARGET", "prepare"]

TARGET = Target(
    "duty.department",
    "code",
    row_id="code",
    types={"code": "text", "name_zh": "text", "name_en": "text", "phone": "text"},
    has_generated=False,
)


def prepare(
    table: Table, section: Departments, frame: Frame | None, ground: Ground, findings: Findings
) -> Values:
    """Values of duty.department."""
    columns = section.columns
    values: Values = {
        "code": checks.required(checks.texts(table, columns.code), findings, columns.code, "key_missing"),
        "name_zh": checks.required(checks.texts(table, columns.name), findings, columns.name, "name_missing"),
    }
    if columns.name_en:
        values["name_en"] = checks.texts(table, columns.name_en, default="")
    if columns.phone:
        values["phone"] = checks.texts(table, columns.phone)
    return values
