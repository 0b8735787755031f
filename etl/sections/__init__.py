"""From a file's rows to the values of a register table: one module for each section of the manifest."""

from collections.abc import Callable
from typing import Any

import psycopg

from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings
from etl.sections import (
    assignments,
    buildings,
    cameras,
    certificates,
    departments,
    duty_rules,
    events,
    grid,
    hazards,
    key_risk_areas,
    permits,
    resources,
    roads,
    sites,
    staff,
    units,
    visits,
    water,
)
from etl.sections.values import Values
from etl.store import Receiver, Target, receiver

__all__ = ["AFTER", "PREPARE", "RECEIVERS", "TARGETS", "Values"]

Prepare = Callable[[Table, Any, Frame | None, Ground, Findings], Values]

_MODULES = {
    "units": units,
    "grid": grid,
    "departments": departments,
    "duty_rules": duty_rules,
    "sites": sites,
    "key_risk_areas": key_risk_areas,
    "cameras": cameras,
    "assignments": assignments,
    "staff": staff,
    "certificates": certificates,
    "permits": permits,
    "hazards": hazards,
    "checks": visits,
    "events": events,
    "buildings": buildings,
    "roads": roads,
    "water": water,
    "resources": resources,
}
TARGETS: dict[str, Target] = {name: module.TARGET for name, module in _MODULES.items()}
PREPARE: dict[str, Prepare] = {name: module.prepare for name, module in _MODULES.items()}
# What a section does with its accepted rows before they are written, on the load's connection: (values, batch id).
AFTER: dict[str, Callable[[psycopg.Connection[dict[str, Any]], Values, int], None]] = {
    name: module.resolve for name, module in _MODULES.items() if hasattr(module, "resolve")
}
# Sections whose rows go to more than one register have a way of their own into them.
RECEIVERS: dict[str, Callable[..., Receiver]] = dict.fromkeys(_MODULES, receiver) | {
    "staff": staff.StaffReceiver
}
