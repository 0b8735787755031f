"""The keys of a file's rows so far, as fingerprints: five million of them take 60 MB, whatever their length."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["KeysSeen"]


class KeysSeen:
    """Which keys rows that were accepted hold already, with the number of the row.

    A fingerprint has 64 bits: that two different keys of five million share one has a chance of 1 in 1.5 million, and
    the later row would then be kept aside with the other row's number, not lost.
    """

    def __init__(self) -> None:
        self._prints = np.empty(0, dtype=np.uint64)
        self._row_no = np.empty(0, dtype=np.int32)

    def earlier(self, keys: NDArray[np.object_], row_no: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each key (text, None for none; shape (n,)) the row number that holds it already, else -1.

        A key that stands twice among `keys` belongs to the first of them.
        """
        out = np.full(len(keys), -1, dtype=np.int64)
        given = np.flatnonzero(~_blank(keys))
        if not len(given):
            return out
        prints = _fingerprints(keys[given])
        _, where, back = np.unique(prints, return_index=True, return_inverse=True)
        repeated = where[back] != np.arange(len(given))
        out[given[repeated]] = row_no[given[where[back[repeated]]]]
        if len(self._prints):
            place = np.searchsorted(self._prints, prints)
            place[place == len(self._prints)] = 0
            held = self._prints[place] == prints
            out[given[held]] = self._row_no[place[held]]
        return out

    def add(self, keys: NDArray[np.object_], row_no: NDArray[np.int64]) -> None:
        """Remembers the keys of rows that are accepted, none of which is held already."""
        given = np.flatnonzero(~_blank(keys))
        prints = _fingerprints(keys[given])
        order = np.argsort(prints)
        where = np.searchsorted(self._prints, prints[order])
        self._prints = np.insert(self._prints, where, prints[order])
        self._row_no = np.insert(self._row_no, where, row_no[given][order].astype(np.int32))


def _blank(keys: NDArray[np.object_]) -> NDArray[np.bool_]:
    return np.asarray(pd.isna(keys), dtype=bool)


def _fingerprints(keys: NDArray[np.object_]) -> NDArray[np.uint64]:
    return pd.util.hash_array(keys, categorize=False)
