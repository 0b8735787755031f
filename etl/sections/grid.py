"""Grid cells: polygons of one community each, known by their 18-digit code."""

import numpy as np
from numpy.typing import NDArray

from etl import checks
from etl.frames import Frame
from etl.ground import Ground
from etl.manifest import Grid
from etl.readers import Table
from etl.reasons import Findings
from etl.sections.overlaps import overlaps
from etl.sections.values import Values, constant
from etl.store import Target
from geoapp.registry.identifiers import read_cell_code

__all__ = ["TARGET", "prepare"]

TARGET = Target(
    "territory.grid_cell",
    "code",
    row_id="code",
    types={"code": "text", "community_code": "text", "name_zh": "text", "geom": "geometry"},
)


def prepare(table: Table, section: Grid, frame: Frame | None, ground: Ground, findings: Findings) -> Values:
    """Values of territory.grid_cell; polygons in metres of the zone."""
    columns = section.columns
    text = checks.texts(table, columns.code)
    findings.reject(checks.blank(text), "key_missing", columns.code)
    code = constant(table, None)
    for row in np.flatnonzero(~checks.blank(text)):
        try:
            code[row] = read_cell_code(text[row])
        except ValueError:
            findings.reject_row(int(row), "cell_code_invalid", columns.code, found=text[row])
    community = np.array([c[:12] if c else None for c in code], dtype=object)
    findings.reject(
        np.array([c is not None and c not in ground.units for c in community], dtype=bool),
        "parent_missing",
        columns.code,
        found=community,
    )
    for retired, of, reason in (
        (ground.retired_cells, code, "cell_retired"),
        (ground.retired_units, community, "unit_retired"),
    ):
        ended = np.array([c in retired for c in of], dtype=bool)
        findings.reject(ended, reason, columns.code, found=of)
    if columns.community:
        named = checks.texts(table, columns.community)
        differs = ~checks.blank(named) & ~checks.blank(community) & np.not_equal(named, community)
        findings.reject(differs, "parent_mismatch", columns.community, found=named)
    assert frame is not None
    geom = checks.polygons(table, frame, ground, findings, multi=False)
    _refuse_same_ground(table, geom, text, findings)
    values: Values = {"code": code, "community_code": community, "geom": geom}
    if columns.name:
        values["name_zh"] = checks.texts(table, columns.name, default="")
    return values


def _refuse_same_ground(
    table: Table, geom: NDArray[np.object_], code: NDArray[np.object_], findings: Findings
) -> None:
    """A cell that is mostly another one's ground is set aside (the later row); smaller overlaps make no row wrong."""
    kept = np.flatnonzero(findings.accepted & ~checks.blank(geom))
    gone: set[int] = set()
    for i, j, m2 in overlaps(geom[kept]):
        first, later = int(kept[i]), int(kept[j])
        share = m2 / min(geom[first].area, geom[later].area)
        if share > 0.5 and first not in gone and later not in gone:
            gone.add(later)
            other = f"{code[first]} (row {table.row_no[first]})"
            findings.reject_row(later, "same_ground", "geometry", other=other, percent=f"{100 * share:.0f}")
