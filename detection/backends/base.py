"""What an engine must offer."""

from collections.abc import Sequence
from typing import Protocol

from detection.types import Box, Image


class Detector(Protocol):
    """Looks at pictures. `detect` is called by one thread at a time, or by `at_once` of them where an engine has that
    attribute (see threads_at_once).

    model_hash: SHA-256 of the weights file, stored with every observation.
    thresholds: score from which a box of a class counts, by class name.
    floor: scores below it are not returned (by class name).
    """

    model_hash: str
    thresholds: dict[str, float]

    def detect(self, images: Sequence[Image]) -> list[tuple[Box, ...]]:
        """Boxes of each picture in pixels of that picture, best score first. Raises on any fault of the engine:
        an engine that cannot look must never answer with an empty list."""
        ...


def threads_at_once(detector: Detector) -> int:
    """How many threads may call `detect` at a time: one, unless the engine says that it takes more."""
    return int(getattr(detector, "at_once", 1))
