"""What a section gives to the store: one array for each column of its table, all of the file's length."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from etl.readers import Table

__all__ = ["Values", "constant"]

Values = dict[str, NDArray[np.object_]]


def constant(table: Table, value: Any) -> NDArray[np.object_]:
    """The same value for every row of the table, shape (n,)."""
    return np.full(len(table), value, dtype=object)
