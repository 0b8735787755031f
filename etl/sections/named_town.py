"""The town of a point, compared with the town that its row names."""

import numpy as np
from numpy.typing import NDArray

from etl import checks
from etl.binary_copy import Places
from etl.ground import Ground
from etl.manifest import Cameras, Sites
from etl.readers import Table
from etl.reasons import Findings
from etl.register_sections import Events, Resources

__all__ = ["within_named_town"]


def within_named_town(
    table: Table,
    code_column: str | None,
    name_column: str | None,
    geom: Places | NDArray[np.object_],
    ground: Ground,
    findings: Findings,
    section: Sites | Cameras | Events | Resources,
) -> NDArray[np.object_]:
    """Town of each row by its location, checked against the town it names by code, else by name."""
    named = checks.texts(table, name_column)
    if code_column:
        by_code = checks.texts(table, code_column)
        named = np.where(checks.blank(by_code), named, by_code)
    return checks.within_district(geom, named, ground, findings, section.border_tolerance_m)
