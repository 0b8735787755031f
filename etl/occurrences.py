"""How often rows that are known by their content alone have come so far in a file."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Occurrences"]


class Occurrences:
    """Counts fingerprints (uint64): 8 bytes for each row, so that five million rows take 40 MB."""

    def __init__(self) -> None:
        self._seen = np.empty(0, dtype=np.uint64)

    def count(self, fingerprints: NDArray[np.uint64]) -> NDArray[np.int64]:
        """For each fingerprint, shape (n,), how many of the same came before it: in earlier calls, and in this one."""
        before = np.searchsorted(self._seen, fingerprints, "right") - np.searchsorted(
            self._seen, fingerprints, "left"
        )
        order = np.argsort(fingerprints, kind="stable")
        ordered = fingerprints[order]
        here = np.arange(len(ordered)) - np.searchsorted(ordered, ordered, "left")
        out = before.astype(np.int64)
        out[order] += here
        # Two sorted runs: a stable sort merges them in one pass.
        self._seen = np.sort(np.concatenate((self._seen, ordered)), kind="stable")
        return out
