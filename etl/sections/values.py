"""What a section gives to the store: one array for each column of its table, all of the file's length."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from etl.readers import Table

__all__ = ["Values", "constant", "only"]

Values = dict[str, Any]
"""Arrays of shape (n,): numpy (objects or numbers), Arrow, or Places for points; None or null where there is no value."""


def constant(table: Table, value: Any) -> NDArray[np.object_]:
    """The same value for every row of the table, shape (n,)."""
    return np.full(len(table), value, dtype=object)


def only(rows: NDArray[np.bool_], values: NDArray[np.object_]) -> NDArray[np.object_]:
    """The values of a mask's rows, None elsewhere."""
    out = np.full(len(values), None, dtype=object)
    out[rows] = values[rows]
    return out
