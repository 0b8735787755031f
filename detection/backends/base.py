"""What an engine must offer."""

from collections.abc import Sequence
from typing import Protocol

from detection.types import Box, Image, Picture


class Detector(Protocol):
    """Looks at pictures. `detect` is called by one thread at a time, or by `at_once` of them where an engine has that
    attribute (see threads_at_once).

    model_hash: SHA-256 of the weights file, stored with every observation.
    thresholds: score from which a box of a class counts, by class name.
    floor: scores below it are not returned (by class name).
    input_px: longest side of what the network sees; 0 where a picture in full is wanted.
    """

    model_hash: str
    thresholds: dict[str, float]
    input_px: int

    def detect(self, images: Sequence[Image]) -> list[tuple[Box, ...]]:
        """Boxes of each picture in pixels of that picture, best score first. Raises on any fault of the engine:
        an engine that cannot look must never answer with an empty list."""
        ...


def boxes_in(detector: Detector, picture: Picture) -> tuple[Box, ...]:
    """What the engine sees in a picture, in pixels of the picture as the camera sent it."""
    (boxes,) = detector.detect([picture.image])
    scale = picture.width_px / picture.image.shape[1]
    return tuple(box.scaled(scale) for box in boxes)


def threads_at_once(detector: Detector) -> int:
    """How many threads may call `detect` at a time: one, unless the engine says that it takes more."""
    return int(getattr(detector, "at_once", 1))
