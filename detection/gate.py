"""Picture health, before anything is looked for: a black, covered, blurred or frozen picture is not an empty one.

The gate remembers nothing: what it needs of a camera's earlier pictures comes with the camera (Camera.picture) and goes
back with the look, so it does not matter which process or worker did the look before.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from detection.config import GateConfig
from detection.picture_health.judge import fault_of, learned, note_details, noted, seen_again
from detection.picture_health.measure import measure
from detection.picture_health.memory import PictureMemory
from detection.sources.picture import JPEG, size_in_header
from detection.types import Camera, Frame, Image, Picture, Reason, Unobserved

_SHARES = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


@dataclass(frozen=True, slots=True)
class Examined:
    """result: the decoded picture, or why it cannot be used. picture: to be kept until the camera's next look; None
    where nothing could be measured, and what is kept stays as it is. detail: the numbers behind new notes.
    """

    result: Picture | Unobserved
    picture: PictureMemory | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """Judges pictures by the rules of a configuration. detail_px: see decode_in_detail; 0: in full."""

    config: GateConfig
    detail_px: int = 0

    def examine(self, camera: Camera, frame: Frame) -> Examined:
        """The picture of a frame and what to keep of it, or why it cannot be used."""
        picture = decode_in_detail(frame.data, self.detail_px)
        if isinstance(picture, Unobserved):
            return Examined(picture)
        now = measure(picture.image, (picture.width_px, picture.height_px))
        before, rules = camera.picture, self.config
        kept = seen_again(before, now, frame.received_at, rules)
        fault = fault_of(camera, before, now, kept, rules)
        if fault is None:
            passed_s = 0.0 if before is None else (frame.received_at - before.seen_at).total_seconds()
            kept = learned(kept, now, passed_s, rules)
        kept = noted(kept, now, frame.clock_offset_s, rules, is_usable=fault is None)
        old_notes = frozenset() if before is None else before.notes
        detail = note_details(kept.notes, old_notes, now, frame.clock_offset_s)
        return Examined(picture if fault is None else fault, kept, detail)


def decode(data: bytes) -> Image | Unobserved:
    """The picture of a JPEG or PNG, blue-green-red. A half transmitted JPEG is damaged, not half a picture."""
    return _decoded(data, 1)


def decode_in_detail(data: bytes, detail_px: int) -> Picture | Unobserved:
    """The same, but a JPEG that is much larger than the model's input comes out at 1/2, 1/4 or 1/8 of its sides: the longest
    still of at least detail_px pixels (0: always in full).

    A JPEG's blocks can be decoded small at once: a third of the time for a camera of 8 megapixels, and what is left
    out is what the scaling to the model's input would have averaged away.
    """
    size = size_in_header(data) if data.startswith(JPEG) and detail_px else None
    share = 1 if size is None else max((n for n in _SHARES if max(size) >= n * detail_px), default=1)
    image = _decoded(data, share)
    if isinstance(image, Unobserved):
        return image
    height, width = image.shape[:2]
    if size is None or share == 1:
        return Picture(image, width, height)
    # A camera that hangs on its side says so in the header, and the picture is turned after it was decoded.
    long_px, short_px = max(size), min(size)
    return Picture(image, long_px, short_px) if width >= height else Picture(image, short_px, long_px)


def _decoded(data: bytes, share: int) -> Image | Unobserved:
    # OpenCV fills the missing half with grey and says nothing; the end marker is the proof that all came.
    if data.startswith(JPEG) and b"\xff\xd9" not in data[-256:]:
        return Unobserved(
            Reason.DAMAGED_IMAGE, f"JPEG 没有结尾，{len(data)} 字节 / JPEG without its end, {len(data)} bytes"
        )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), _SHARES[share])
    except cv2.error:
        image = None
    if image is None:
        return Unobserved(
            Reason.DAMAGED_IMAGE, f"无法解码，{len(data)} 字节 / cannot be decoded, {len(data)} bytes"
        )
    decoded: Image = image
    return decoded
