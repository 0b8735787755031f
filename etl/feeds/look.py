"""What a feed's source holds now, against what was loaded last."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from geoapp.errors import Refused

__all__ = ["Look", "Waiting"]


class Waiting(Refused):
    """The files are still being written: nothing is wrong, and nothing is taken yet."""


class Look(NamedTuple):
    """`is_changed`: whether there is something to load. `folder`: what the manifest's paths are relative to.

    `fingerprint`: to compare the next look with, where this one is stored. `is_still`: whether the files are as they
    were when they were looked at; asked after they were read. `said`: how it is known, in both languages.
    """

    is_changed: bool
    folder: Path
    fingerprint: dict[str, Any]
    is_still: Callable[[], bool] = lambda: True
    said: str = ""
