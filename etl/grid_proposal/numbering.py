"""Codes of new cells: numbered west to east and north to south in their community, never one that was used before."""

import numpy as np
from numpy.typing import NDArray

from geoapp.errors import Refused
from geoapp.registry.identifiers import cell_code

__all__ = ["MOST_CELLS", "numbered", "reading_order"]

MOST_CELLS = 999


def reading_order(xy: NDArray[np.float64]) -> NDArray[np.int64]:
    """Order of places (n, 2): in rows from north to south, each row from west to east."""
    rows = max(round(float(np.sqrt(len(xy)))), 1)
    north, south = xy[:, 1].max(), xy[:, 1].min()
    height = max((north - south) / rows, 1.0)
    band = np.minimum(np.floor((north - xy[:, 1]) / height), rows - 1)
    return np.lexsort((xy[:, 0], band))


def numbered(community: str, xy: NDArray[np.float64], used: set[str]) -> list[str]:
    """Codes for cells (of kind 0, basic; not split) with these middles (n, 2), in the cells' own order.

    used: codes that stand or stood for a cell. Raises Refused where the community has no numbers left.
    """
    taken = {int(code[13:16]) for code in used if code[:12] == community}
    free = [number for number in range(1, MOST_CELLS + 1) if number not in taken]
    if len(free) < len(xy):
        raise Refused(
            f"{community}: 需要 {len(xy)} 个网格号，只剩 {len(free)} 个 / {len(xy)} cells are wanted, but of the numbers 001 to 999 "
            f"only {len(free)} were never used.\n  Ask for larger cells (--area-per-cell, --sites-per-cell)."
        )
    codes = [""] * len(xy)
    for number, index in zip(free, reading_order(xy).tolist(), strict=False):
        codes[index] = cell_code(community, number)
    return codes
