"""References of a row to what the register holds: rules, departments, units, cells, sites."""

import re
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from etl import checks
from etl.ground import Ground
from etl.reasons import Findings

__all__ = ["cells", "departments", "known", "refuse_unknown", "site_ids", "site_points", "units"]

Objects = NDArray[np.object_]


def known(ground: Ground, query: str) -> set[str]:
    """What a query of one column finds, as a set."""
    return {next(iter(row.values())) for row in ground.connection.execute(query).fetchall()}


def refuse_unknown(values: Objects, known: set[str], code: str, field: str, findings: Findings) -> None:
    """Sets aside the rows whose value (blank: none) is not among those known."""
    findings.reject(
        np.array([v is not None and v not in known for v in values], dtype=bool), code, field, found=values
    )


def _looked_up(
    names: Objects, found: dict[str, object], code: str, field: str, findings: Findings
) -> Objects:
    out = np.array([None if name is None else found.get(name) for name in names], dtype=object)
    findings.reject(checks.blank(out) & ~checks.blank(names), code, field, found=names)
    return out


def departments(names: Objects, ground: Ground, findings: Findings, field: str) -> Objects:
    """Code of the department that each row names by code or by name; rows that name none that is stored are set aside."""
    rows = ground.connection.execute("SELECT code, name_zh FROM duty.department").fetchall()
    times = Counter(r["name_zh"] for r in rows)
    found: dict[str, object] = {r["name_zh"]: r["code"] for r in rows if times[r["name_zh"]] == 1}
    found |= {r["code"]: r["code"] for r in rows}
    return _looked_up(names, found, "unknown_department", field, findings)


def units(names: Objects, ground: Ground, findings: Findings, field: str) -> Objects:
    """Code of the unit that each row names by code (6, 9 or 12 digits) or by a name that only one unit has."""
    times = Counter(u.name for u in ground.units.values())
    found: dict[str, object] = {u.name: u.code for u in ground.units.values() if times[u.name] == 1}
    found |= {code: code for code in ground.units}
    full = np.array(
        [
            name.ljust(12, "0") if name is not None and re.fullmatch(r"\d{6}|\d{9}", name) else name
            for name in names
        ],
        dtype=object,
    )
    return _looked_up(full, found, "unknown_unit", field, findings)


def cells(names: Objects, ground: Ground, findings: Findings, field: str) -> Objects:
    """Code of the grid cell that each row names, with or without hyphens; rows that name none that is stored are set aside."""
    codes = np.array([None if name is None else re.sub(r"[\s-]", "", name) for name in names], dtype=object)
    rows = ground.connection.execute(
        "SELECT code FROM territory.grid_cell WHERE code = ANY (%s)", ([c for c in codes if c is not None],)
    ).fetchall()
    return _looked_up(codes, {r["code"]: r["code"] for r in rows}, "unknown_cell", field, findings)


def site_ids(names: Objects, ground: Ground, findings: Findings, field: str) -> Objects:
    """The stored site's id for each credit code or local id; rows that name none that is stored are set aside.

    The key of a site that was merged into another one names that other one.
    """
    asked = list({name for name in names if name is not None})
    rows = ground.connection.execute(
        "SELECT id, uscc, local_id FROM registry.site WHERE uscc = ANY (%(keys)s) OR local_id = ANY (%(keys)s)"
        " UNION ALL SELECT site_id, uscc, local_id FROM registry.site_alias"
        " WHERE uscc = ANY (%(keys)s) OR local_id = ANY (%(keys)s)",
        {"keys": asked},
    ).fetchall()
    found: dict[str, object] = {r["local_id"]: r["id"] for r in reversed(rows)}
    found |= {r["uscc"]: r["id"] for r in reversed(rows)}
    found.pop(None, None)  # type: ignore[call-overload]
    return _looked_up(names, found, "unknown_site", field, findings)


def site_points(ids: Objects, ground: Ground) -> dict[int, tuple[float, float]]:
    """Where the sites with these ids stand, metres of the city's zone."""
    rows = ground.connection.execute(
        "SELECT id, ST_X(geom) AS x, ST_Y(geom) AS y FROM registry.site WHERE id = ANY (%s)",
        ([one for one in ids if one is not None],),
    ).fetchall()
    return {r["id"]: (r["x"], r["y"]) for r in rows}
