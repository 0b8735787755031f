"""From a picture to the model's input, and from the model's output to boxes. Pure numpy and OpenCV."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.types import Box, Image

PAD_GREY = 114
# Two classes on the same flame are one thing seen twice: above this overlap the better score stays.
CROSS_CLASS_IOU = 0.7


@dataclass(frozen=True, slots=True)
class Fit:
    """How a picture of width x height pixels lies in the input: input = picture * scale + (left, top)."""

    scale: float
    left: float
    top: float
    width: int
    height: int


def letterbox(image: Image, width: int, height: int) -> tuple[Image, Fit]:
    """The picture scaled into (1, height, width, 3), blue-green-red, 0..255, grey where it does not reach."""
    h, w = image.shape[:2]
    scale = min(width / w, height / h)
    inner_w, inner_h = max(1, round(w * scale)), max(1, round(h * scale))
    left, top = (width - inner_w) // 2, (height - inner_h) // 2
    canvas = np.full((height, width, 3), PAD_GREY, np.uint8)
    canvas[top : top + inner_h, left : left + inner_w] = cv2.resize(
        image, (inner_w, inner_h), interpolation=cv2.INTER_LINEAR
    )
    return canvas[None], Fit(scale, left, top, w, h)


def decode_yolo(
    raw: NDArray[np.floating], fit: Fit, names: dict[int, str], floors: dict[int, float], nms_iou: float
) -> tuple[Box, ...]:
    """Boxes of one picture from YOLO11's output.

    raw: (4 + classes, anchors): centre x, centre y, width, height in input pixels, then class scores 0..1.
    names: class number to name, only those are kept. floors: least score by class number.
    """
    # The best of all classes, also of those that the watch does not use: a lamp is not the fire it is second best as.
    scores = raw[4:]
    best = scores.argmax(axis=0)
    score = scores[best, np.arange(scores.shape[1])]
    floor_of_class = np.array([floors[n] if n in names else np.inf for n in range(len(scores))])
    keep = score >= floor_of_class[best]
    if not keep.any():
        return ()
    cx, cy, w, h = raw[:4, keep]
    best, score = best[keep], score[keep]
    corners = np.column_stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2])
    corners = (corners - [fit.left, fit.top, fit.left, fit.top]) / fit.scale
    corners = np.clip(corners, 0, [fit.width, fit.height, fit.width, fit.height])
    kept = [
        Box(names[int(best[i])], float(score[i]), *(float(v) for v in corners[i]))
        for i in np.argsort(-score, kind="stable")[:300]
    ]
    return suppress([box for box in kept if box.area > 0], nms_iou)


def suppress(boxes: list[Box], nms_iou: float) -> tuple[Box, ...]:
    """Greedy non-maximum suppression of boxes in falling order of score, within a class and, nearly congruent, across."""
    kept: list[Box] = []
    for box in boxes:
        limits = (
            (other, nms_iou if other.class_name == box.class_name else CROSS_CLASS_IOU) for other in kept
        )
        if all(iou(box, other) <= limit for other, limit in limits):
            kept.append(box)
    return tuple(kept)


def intersection(a: Box, b: Box) -> float:
    """Common area, square pixels."""
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    return max(0.0, width) * max(0.0, height)


def iou(a: Box, b: Box) -> float:
    """Intersection over union, 0..1."""
    common = intersection(a, b)
    joint = a.area + b.area - common
    return common / joint if joint > 0 else 0.0
