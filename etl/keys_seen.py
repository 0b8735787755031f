"""The keys of a file's rows so far, as fingerprints: five million of them take 60 MB, whatever their length."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["KeysSeen"]

# Each drawer is kept sorted by itself: putting a chunk's keys in copies a drawer at a time, never all of them at once.
_DRAWER_BITS = 6


class KeysSeen:
    """Which keys rows that were accepted hold already, with the number of the row.

    A fingerprint has 64 bits: that two different keys of five million share one has a chance of 1 in 1.5 million, and
    the later row would then be kept aside with the other row's number, not lost.
    """

    def __init__(self) -> None:
        self._prints = [np.empty(0, dtype=np.uint64) for _ in range(1 << _DRAWER_BITS)]
        self._row_no = [np.empty(0, dtype=np.int32) for _ in range(1 << _DRAWER_BITS)]

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
        for drawer, rows in _by_drawer(prints):
            held = self._prints[drawer]
            if not len(held):
                continue
            place = np.searchsorted(held, prints[rows])
            place[place == len(held)] = 0
            hit = held[place] == prints[rows]
            out[given[rows[hit]]] = self._row_no[drawer][place[hit]]
        return out

    def add(self, keys: NDArray[np.object_], row_no: NDArray[np.int64]) -> None:
        """Remembers the keys of rows that are accepted, none of which is held already."""
        given = np.flatnonzero(~_blank(keys))
        prints, numbers = _fingerprints(keys[given]), row_no[given].astype(np.int32)
        for drawer, rows in _by_drawer(prints):
            where = np.searchsorted(self._prints[drawer], prints[rows])
            self._prints[drawer] = np.insert(self._prints[drawer], where, prints[rows])
            self._row_no[drawer] = np.insert(self._row_no[drawer], where, numbers[rows])


def _by_drawer(prints: NDArray[np.uint64]) -> list[tuple[int, NDArray[np.int64]]]:
    """Each drawer that some of the fingerprints belong to, with their indices in ascending order of fingerprint."""
    if not len(prints):
        return []
    order = np.argsort(prints)
    drawers = (prints[order] >> np.uint64(64 - _DRAWER_BITS)).astype(np.int64)
    found, starts = np.unique(drawers, return_index=True)
    return list(zip(found.tolist(), np.split(order, starts[1:]), strict=True))


def _blank(keys: NDArray[np.object_]) -> NDArray[np.bool_]:
    return np.asarray(pd.isna(keys), dtype=bool)


def _fingerprints(keys: NDArray[np.object_]) -> NDArray[np.uint64]:
    return pd.util.hash_array(keys, categorize=False)
