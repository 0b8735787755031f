"""Checks of lines, and of shapes that may be lines or areas: roads, rivers and lakes."""

import numpy as np
import shapely

from etl.checks.polygons import make_valid
from etl.checks.shapes import in_metres, refuse_outside, unwrapped, usable, without_repeats
from etl.checks.values import Objects
from etl.frames import Frame
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings

__all__ = ["lines"]

_LEAST_M, _LEAST_M2 = 0.1, 1.0


def lines(
    table: Table, frame: Frame, ground: Ground, findings: Findings, *, or_areas: bool = False
) -> Objects:
    """Lines (with `or_areas` also polygons), single or multi, in metres of the city's zone; None for rows set aside.

    What lies wholly outside the district is set aside; what crosses its border is kept whole. Areas that cross
    themselves are made valid, and noted with their form before and after, as are vertices that stand twice.
    """
    assert table.geometry is not None
    geometry = unwrapped(table.geometry)
    expected = "LineString or Polygon" if or_areas else "LineString"
    out = in_metres(geometry, usable(table, geometry, findings, expected), frame, ground, findings)
    without_repeats(out, findings)
    make_valid(out, findings)
    dimensions = shapely.get_dimensions(out)
    short = (dimensions == 1) & (shapely.length(out) < _LEAST_M)
    findings.reject(short, "length_tiny", "geometry", metres=np.round(shapely.length(out), 3))
    tiny = (dimensions == 2) & (shapely.area(out) < _LEAST_M2)
    findings.reject(tiny, "area_tiny", "geometry", m2=np.round(shapely.area(out), 3))
    out[short | tiny] = None
    refuse_outside(out, ground, findings)
    return out
