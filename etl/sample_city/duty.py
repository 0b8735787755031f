"""Who answers in the sample city: departments, rules, assignments, people, grid staff, with gaps that are meant.

Gaps: rules in every unhappy state (see the constants), a town without a named person, cells without a worker or
with one whose time is over.
"""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from etl.sample_city import facts, names
from etl.sample_city.planar import Ints
from etl.sample_city.sites import duty_rows
from etl.sample_city.terrain import Terrain

PROPOSED = {"R30", "R39", "R63"}
DISPUTED = {"R60": ("SC", "GA"), "R59": ("FG", "GX")}
MISSING = {"R41", "R52", "R54", "R68"}
TWO_LEADS = {"R13": ("RQ", "SC")}
NO_PERSON = {"R25", "R61"}
DESIGNATED = {"R24"}
EXPIRED = {"R46"}
TOWN_LEADS = {("R20", "310116102000"): "JZ"}
"""A town that differs: Fengjing leads its homestays itself."""
TOWN_WITHOUT_PERSON = "310116107000"
WITHOUT_WORKER = 0.045
EXPIRED_WORKER = 0.015


@dataclass(frozen=True)
class Duty:
    """Rows by table; `worker_of_cell` and `officers` hold person ids (0 = none)."""

    departments: list[tuple[object, ...]]
    rules: list[tuple[object, ...]]
    people: list[tuple[object, ...]]
    assignments: list[tuple[object, ...]]
    unit_staff: list[tuple[object, ...]]
    grid_staff: list[tuple[object, ...]]
    worker_of_cell: Ints
    officers: Ints


DEPARTMENT_COLUMNS = "code:text name_zh:text name_en:text phone:text"
RULE_COLUMNS = (
    "code:text place_type_zh:text place_type_en:text category:text gbt4754:text nine_small:bool lead_code:text co_codes:text[]"
    " legal_basis_zh:text legal_basis_en:text basis_status:text lead_named_in_basis:text note_zh:text note_en:text"
)
PERSON_COLUMNS = "id:int8 name_zh:text phone:text department_code:text unit_code:text can_admin_inspect:bool is_generated:bool"
ASSIGNMENT_COLUMNS = (
    "id:int8 rule_code:text unit_code:text department_code:text role:text status:text person_id:int8 valid_from:date"
    " valid_to:date document_no:text is_generated:bool"
)
UNIT_STAFF_COLUMNS = "id:int8 unit_code:text person_id:int8 role:text assigned_from:date is_generated:bool"
GRID_STAFF_COLUMNS = "id:int8 cell_code:text person_id:int8 role:text assigned_from:date assigned_to:date trained_at:date is_generated:bool"


class _People:
    """Numbers people as they are taken on."""

    def __init__(self, pool: list[str]) -> None:
        self.pool = pool
        self.rows: list[tuple[object, ...]] = []

    def take(self, department: str | None = None, unit: str | None = None, *, officer: bool = False) -> int:
        number = len(self.rows) + 1
        phone = names.duty_phone(number)
        self.rows.append((number, self.pool[number % len(self.pool)], phone, department, unit, officer, True))
        return number


def build_duty(terrain: Terrain, as_of: date, rng: np.random.Generator) -> Duty:
    """All of schema duty. Rules and departments come from the table that ships with this package."""
    table = duty_rows()
    named: dict[str, tuple[str, str]] = {}
    for row in table:
        named.setdefault(row["lead_code"], (row["lead_dept_zh"], row["lead_dept_en"]))
        helpers = zip(
            row["co_codes"].split(), _split(row["co_depts_zh"]), row["co_depts_en"].split("; "), strict=True
        )
        for code, zh, en in helpers:
            named.setdefault(code, (zh, en))
    people = _People(names.people(len(terrain.cell_codes) + 4000, rng))
    departments: list[tuple[object, ...]] = []
    heads: dict[str, int] = {}
    officers: list[int] = []
    for number, (code, (zh, en)) in enumerate(sorted(named.items())):
        departments.append((code, zh, en, names.duty_phone(9_000_000 + number)))
        heads[code] = people.take(code)
        # An inspection needs two certified officers.
        officers += [people.take(code, officer=True) for _ in range(2)]
    rules: list[tuple[object, ...]] = [
        (
            r["code"], r["place_type_zh"], r["place_type_en"], r["category"], r["gbt4754"], r["nine_small"] == "Y",
            r["lead_code"], r["co_codes"].split(), r["legal_basis_zh"], r["legal_basis_en"], r["basis_status"],
            r["lead_named_in_basis"], r["note_zh"], r["note_en"],
        )
        for r in table
    ]  # fmt: skip
    unit_staff, grid_staff, worker = _staff(terrain, people, as_of, rng)
    return Duty(
        departments,
        rules,
        people.rows,
        _assignments(table, heads, as_of),
        unit_staff,
        grid_staff,
        worker,
        np.array(officers),
    )


def _split(text: str) -> list[str]:
    """Splits at 、 outside brackets (燃气主管部门(住建/城管,按本地确定) is one)."""
    parts, depth, current = [], 0, ""
    for letter in text:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "、" and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += letter
    return [*parts, current]


def _assignments(table: list[dict[str, str]], heads: dict[str, int], as_of: date) -> list[tuple[object, ...]]:
    county, start = facts.COUNTY_ROW[0], as_of - timedelta(days=510)
    rows: list[tuple[object, ...]] = []

    def add(
        rule: str,
        department: str,
        role: str,
        status: str,
        *,
        unit: str = county,
        person: bool = True,
        until: date | None = None,
    ) -> None:
        known = status in ("confirmed", "designated")
        document = f"金安委〔{start.year}〕{len(rows) % 40 + 1}号" if known else None
        head = heads[department] if person and known else None
        rows.append((len(rows) + 1, rule, unit, department, role, status, head, start, until, document))

    for row in table:
        code, lead = row["code"], row["lead_code"]
        if code in DISPUTED:
            for department in DISPUTED[code]:
                add(code, department, "lead", "disputed")
        elif code in TWO_LEADS:
            for department in TWO_LEADS[code]:
                add(code, department, "lead", "confirmed")
        elif code in PROPOSED:
            add(code, lead, "lead", "proposed")
        elif code in EXPIRED:
            add(code, lead, "lead", "confirmed", until=as_of - timedelta(days=40))
        elif code not in MISSING:
            add(
                code,
                lead,
                "lead",
                "designated" if code in DESIGNATED else "confirmed",
                person=code not in NO_PERSON,
            )
        leads = {lead, *DISPUTED.get(code, ()), *TWO_LEADS.get(code, ())}
        for department in row["co_codes"].split():
            if department not in leads:
                add(code, department, "co", "confirmed")
    for (code, town), department in TOWN_LEADS.items():
        add(code, department, "lead", "confirmed", unit=town)
    return rows


def _staff(
    terrain: Terrain, people: _People, as_of: date, rng: np.random.Generator
) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]], Ints]:
    start = as_of - timedelta(days=420)
    unit_staff: list[tuple[object, ...]] = []
    for unit in terrain.units:
        if unit.level not in ("county", "town", "community") or unit.code == TOWN_WITHOUT_PERSON:
            continue
        for role in ("leader", "safety_officer") if unit.level != "community" else ("leader",):
            # A few communities have nobody yet.
            if unit.level == "community" and rng.random() < 0.03:
                continue
            unit_staff.append((len(unit_staff) + 1, unit.code, people.take(unit=unit.code), role, start))

    grid_staff: list[tuple[object, ...]] = []
    worker_of_cell = np.zeros(len(terrain.cell_codes), dtype=np.int64)
    fate = rng.random(len(terrain.cell_codes))
    no_chief = rng.random(len(terrain.cell_codes)) < 0.02
    trained = rng.random(len(terrain.cell_codes)) < 0.93
    # Some of each, however small the city.
    unlucky = rng.permutation(len(fate))
    fate[unlucky[:2]], fate[unlucky[2:4]], no_chief[unlucky[4:5]] = (
        0.0,
        WITHOUT_WORKER + EXPIRED_WORKER / 2,
        True,
    )
    chief, community, served = 0, "", 0
    for i, code in enumerate(terrain.cell_codes.tolist()):
        if code[:12] != community or served == 6:
            chief, community, served = people.take(unit=code[:12]), code[:12], 0
        served += 1
        if not no_chief[i]:
            grid_staff.append((len(grid_staff) + 1, code, chief, "chief", start, None, start))
        if fate[i] < WITHOUT_WORKER:
            continue
        over = fate[i] < WITHOUT_WORKER + EXPIRED_WORKER
        person = people.take(unit=code[:12])
        grid_staff.append(
            (len(grid_staff) + 1, code, person, "worker", start, as_of - timedelta(days=25) if over else None,
             start + timedelta(days=12) if trained[i] else None)
        )  # fmt: skip
        worker_of_cell[i] = 0 if over else person
    return unit_staff, grid_staff, worker_of_cell
