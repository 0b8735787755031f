"""From a file's rows to the values of a register table: one module for each section of the manifest."""

from collections.abc import Callable
from typing import Any

from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings
from etl.sections import cameras, departments, duty_rules, grid, key_risk_areas, sites, units
from etl.sections.values import Values
from etl.store import Target

__all__ = ["PREPARE", "TARGETS", "Values"]

Prepare = Callable[[Table, Any, Frame | None, Ground, Findings], Values]

_MODULES = {
    "units": units,
    "grid": grid,
    "departments": departments,
    "duty_rules": duty_rules,
    "sites": sites,
    "key_risk_areas": key_risk_areas,
    "cameras": cameras,
}
TARGETS: dict[str, Target] = {name: module.TARGET for name, module in _MODULES.items()}
PREPARE: dict[str, Prepare] = {name: module.prepare for name, module in _MODULES.items()}
