"""A shape as text, for keys of rows that have none."""

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from etl.readers import Table

__all__ = ["shape_text"]


def shape_text(table: Table) -> NDArray[Any]:
    """Hex WKB of the file's shapes, two-dimensional, to seven decimals of its own units; None where there is none."""
    assert table.geometry is not None
    flat = shapely.force_2d(table.geometry)
    rounded = shapely.transform(flat, lambda xy: np.round(xy, 7))
    return np.asarray(shapely.to_wkb(rounded, hex=True), dtype=object)
