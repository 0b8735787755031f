"""References of a row to what the register holds: rules, departments, sites."""

import numpy as np
from numpy.typing import NDArray

from etl import checks
from etl.ground import Ground
from etl.reasons import Findings

__all__ = ["known", "refuse_unknown", "site_ids"]


def known(ground: Ground, query: str) -> set[str]:
    """What a query of one column finds, as a set."""
    return {next(iter(row.values())) for row in ground.connection.execute(query).fetchall()}


def refuse_unknown(
    values: NDArray[np.object_], known: set[str], code: str, field: str, findings: Findings
) -> None:
    """Sets aside the rows whose value (blank: none) is not among those known."""
    findings.reject(
        np.array([v is not None and v not in known for v in values], dtype=bool), code, field, found=values
    )


def site_ids(
    names: NDArray[np.object_], ground: Ground, findings: Findings, field: str
) -> NDArray[np.object_]:
    """The stored site's id for each credit code or local id; rows that name none that is stored are set aside."""
    rows = ground.connection.execute("SELECT id, uscc, local_id FROM registry.site").fetchall()
    ids = {r["local_id"]: r["id"] for r in rows} | {r["uscc"]: r["id"] for r in rows}
    ids.pop(None, None)
    found = np.array([ids.get(name) if name is not None else None for name in names], dtype=object)
    findings.reject(checks.blank(found) & ~checks.blank(names), "unknown_site", field, found=names)
    return found
