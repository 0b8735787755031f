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
from detection.types import Camera, Frame, Image, Reason, Unobserved


@dataclass(frozen=True, slots=True)
class Examined:
    """result: the decoded picture, or why it cannot be used. picture: to be kept until the camera's next look; None
    where nothing could be measured, and what is kept stays as it is. detail: the numbers behind new notes.
    """

    result: Image | Unobserved
    picture: PictureMemory | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """Judges pictures by the rules of a configuration."""

    config: GateConfig

    def examine(self, camera: Camera, frame: Frame) -> Examined:
        """The picture of a frame and what to keep of it, or why it cannot be used."""
        image = decode(frame.data)
        if isinstance(image, Unobserved):
            return Examined(image)
        before, now, rules = camera.picture, measure(image), self.config
        kept = seen_again(before, now, frame.received_at, rules)
        fault = fault_of(camera, before, now, kept, rules)
        if fault is None:
            passed_s = 0.0 if before is None else (frame.received_at - before.seen_at).total_seconds()
            kept = learned(kept, now, passed_s, rules)
        kept = noted(kept, now, frame.clock_offset_s, rules, is_usable=fault is None)
        old_notes = frozenset() if before is None else before.notes
        detail = note_details(kept.notes, old_notes, now, frame.clock_offset_s)
        return Examined(image if fault is None else fault, kept, detail)


def decode(data: bytes) -> Image | Unobserved:
    """The picture of a JPEG or PNG, blue-green-red. A half transmitted JPEG is damaged, not half a picture."""
    # OpenCV fills the missing half with grey and says nothing; the end marker is the proof that all came.
    if data.startswith(b"\xff\xd8") and b"\xff\xd9" not in data[-256:]:
        return Unobserved(
            Reason.DAMAGED_IMAGE, f"JPEG 没有结尾，{len(data)} 字节 / JPEG without its end, {len(data)} bytes"
        )
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        return Unobserved(
            Reason.DAMAGED_IMAGE, f"无法解码，{len(data)} 字节 / cannot be decoded, {len(data)} bytes"
        )
    decoded: Image = image
    return decoded
