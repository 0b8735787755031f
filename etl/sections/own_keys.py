"""Keys of rows whose file has none: a digest of what the row says, the same whenever the file comes again."""

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etl import checks
from etl.ground import Ground
from etl.readers import Table
from etl.reasons import Findings

__all__ = ["file_keys"]


def file_keys(
    table: Table,
    column: str | None,
    prefix: str,
    said: list[NDArray[Any]],
    ground: Ground,
    findings: Findings,
) -> NDArray[np.object_]:
    """The key of each row, shape (n,): "prefix/id" by the file's own id, else "prefix/#digest" of the columns `said`.

    Of rows that say exactly the same, the second, third … get "-2", "-3" …: a list of events may hold two alike. Rows
    without an id, where a column is named for it, are set aside.
    """
    if column is not None:
        ids = checks.required(checks.texts(table, column), findings, column, "key_missing")
        return np.array([None if one is None else f"{prefix}/{one}" for one in ids], dtype=object)
    digests = [
        hashlib.sha256("\x1f".join("" if v is None else str(v) for v in row).encode()).digest()[:16]
        for row in zip(*said, strict=True)
    ]
    marks = np.frombuffer(b"".join(one[:8] for one in digests), dtype=np.uint64)
    again = ground.occurrences.count(marks)
    return np.array(
        [
            f"{prefix}/#{one.hex()}" + (f"-{n + 1}" if n else "")
            for one, n in zip(digests, again, strict=True)
        ],
        dtype=object,
    )
