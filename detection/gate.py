"""Picture health, before anything is looked for: a black, covered or frozen picture is not an empty one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.config import GateConfig
from detection.types import Camera, Frame, Image, Reason, Unobserved

# Small enough to be cheap (0.3 ms), large enough that sensor noise survives the shrinking.
THUMBNAIL = (160, 90)
MAX_ASPECT_CHANGE = 0.02


@dataclass(slots=True)
class _Memory:
    thumbnail: NDArray[np.uint8]
    size: tuple[int, int]
    same_looks: int
    same_since: datetime


@dataclass(slots=True)
class Gate:
    """Remembers each camera's last picture. The memory is this process's own and rebuilds itself in three scans."""

    config: GateConfig
    _memory: dict[int, _Memory] = field(default_factory=dict)

    def examine(self, camera: Camera, frame: Frame) -> Image | Unobserved:
        """The decoded picture, or why it cannot be used."""
        image = decode(frame.data)
        if isinstance(image, Unobserved):
            return image
        height, width = image.shape[:2]
        # Nearest-neighbour on purpose: averaging would hide the noise that tells a live picture from a frozen one.
        thumbnail = cv2.cvtColor(
            cv2.resize(image, THUMBNAIL, interpolation=cv2.INTER_NEAREST), cv2.COLOR_BGR2GRAY
        )
        before = self._memory.get(camera.id)
        same = before is not None and self._same(before, thumbnail, (width, height))
        now = _Memory(
            thumbnail,
            (width, height),
            before.same_looks + 1 if same and before else 1,
            before.same_since if same and before else frame.received_at,
        )
        self._memory[camera.id] = now
        return self._fault(camera, before, now, frame) or image

    def _same(self, before: _Memory, thumbnail: NDArray[np.uint8], size: tuple[int, int]) -> bool:
        if before.size != size:
            return False
        return float(cv2.absdiff(before.thumbnail, thumbnail).mean()) <= self.config.frozen_difference

    def _fault(self, camera: Camera, before: _Memory | None, now: _Memory, frame: Frame) -> Unobserved | None:
        p99, std = float(np.percentile(now.thumbnail, 99)), float(now.thumbnail.std())
        if p99 <= self.config.black_p99:
            return Unobserved(Reason.BLACK, f"brightest 1% at grey {p99:.0f}")
        if std <= self.config.covered_std:
            return Unobserved(Reason.COVERED, f"grey values spread by {std:.1f} only")
        if _size_changed(camera, before, now):
            # For one scan: the next one is compared with the new size, and placed with what still holds.
            return Unobserved(Reason.RESOLUTION_CHANGED, f"now {now.size[0]}x{now.size[1]}")
        frozen_s = (frame.received_at - now.same_since).total_seconds()
        if now.same_looks >= self.config.frozen_looks and frozen_s >= self.config.frozen_s:
            return Unobserved(Reason.FROZEN, f"same picture for {frozen_s:.0f} s")
        return None


def decode(data: bytes) -> Image | Unobserved:
    """The picture of a JPEG or PNG, blue-green-red. A half transmitted JPEG is damaged, not half a picture."""
    # OpenCV fills the missing half with grey and says nothing; the end marker is the proof that all came.
    if data.startswith(b"\xff\xd8") and b"\xff\xd9" not in data[-256:]:
        return Unobserved(Reason.DAMAGED_IMAGE, f"JPEG without its end, {len(data)} bytes")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        return Unobserved(Reason.DAMAGED_IMAGE, f"cannot be decoded, {len(data)} bytes")
    decoded: Image = image
    return decoded


def _size_changed(camera: Camera, before: _Memory | None, now: _Memory) -> bool:
    if before is not None:
        return before.size != now.size
    if camera.width_px is None or camera.height_px is None:
        return False
    return abs((now.size[0] / now.size[1]) / (camera.width_px / camera.height_px) - 1) > MAX_ASPECT_CHANGE
