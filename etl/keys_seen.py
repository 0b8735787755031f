"""The keys of a file's rows so far, as fingerprints: five million of them take 100 MB, whatever their length."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["KeysSeen"]

# Two independent 64-bit hashes: that two different keys of ten million share both has a chance of about 1 in 10^24.
_SALTS = ("0123456789123456", "6543219876543210")


class KeysSeen:
    """Which keys rows that were accepted hold already, with the number of the row."""

    def __init__(self) -> None:
        self._first = np.empty(0, dtype=np.uint64)
        self._second = np.empty(0, dtype=np.uint64)
        self._row_no = np.empty(0, dtype=np.int32)

    def earlier(self, keys: NDArray[np.object_], row_no: NDArray[np.int64]) -> NDArray[np.int64]:
        """For each key (text, None for none; shape (n,)) the row number that holds it already, else -1.

        A key that stands twice among `keys` belongs to the first of them.
        """
        out = np.full(len(keys), -1, dtype=np.int64)
        given = np.flatnonzero(~_blank(keys))
        if not len(given):
            return out
        first, second = _fingerprints(keys[given])
        _, where, back = np.unique(first, return_index=True, return_inverse=True)
        repeated = where[back] != np.arange(len(given))
        out[given[repeated]] = row_no[given[where[back[repeated]]]]
        place = np.searchsorted(self._first, first)
        place[place == len(self._first)] = 0
        if len(self._first):
            held = (self._first[place] == first) & (self._second[place] == second)
            out[given[held]] = self._row_no[place[held]]
        return out

    def add(self, keys: NDArray[np.object_], row_no: NDArray[np.int64]) -> None:
        """Remembers the keys of rows that are accepted, none of which is held already."""
        given = np.flatnonzero(~_blank(keys))
        first, second = _fingerprints(keys[given])
        order = np.argsort(first)
        where = np.searchsorted(self._first, first[order])
        self._first = np.insert(self._first, where, first[order])
        self._second = np.insert(self._second, where, second[order])
        self._row_no = np.insert(self._row_no, where, row_no[given][order].astype(np.int32))


def _blank(keys: NDArray[np.object_]) -> NDArray[np.bool_]:
    return np.asarray(pd.isna(keys), dtype=bool)


def _fingerprints(keys: NDArray[np.object_]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    one, two = (_hash(keys, salt) for salt in _SALTS)
    return one, two


def _hash(keys: NDArray[np.object_], salt: str) -> NDArray[Any]:
    return pd.util.hash_array(keys, hash_key=salt, categorize=False)
