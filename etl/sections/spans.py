"""From when to when."""

from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etl import checks
from etl.readers import Table
from etl.reasons import Findings

__all__ = ["ALWAYS", "refuse_reversed", "since"]

ALWAYS = date(2000, 1, 1)
"""The first day of what a file does not date: as long as the register reaches."""


def since(table: Table, column: str | None, findings: Findings) -> NDArray[np.object_]:
    """The first days, shape (n,); ALWAYS where the manifest names no column. A blank in a column sets its row aside."""
    if column is None:
        return np.full(len(table), ALWAYS, dtype=object)
    return checks.dates(checks.required(checks.texts(table, column), findings, column), findings, column)


def refuse_reversed(
    start: NDArray[Any], end: NDArray[Any], findings: Findings, field: str, *, or_equal: bool = False
) -> None:
    """Sets aside rows that end before they start (`or_equal`: or at that moment); a blank is never wrong."""
    wrong = [
        a is not None and b is not None and (b < a or (or_equal and b == a))
        for a, b in zip(start, end, strict=True)
    ]
    findings.reject(np.array(wrong, dtype=bool), "ends_before_it_starts", field, start=start, end=end)
