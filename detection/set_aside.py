"""Which boxes of a look concern incidents at all: modes of the camera, and masks over its picture. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shapely import Point, Polygon
from shapely import box as rectangle

from detection.config import Mode, ModesConfig
from detection.placing import foot_point
from detection.types import CLASSES, Box


@dataclass(frozen=True, slots=True)
class Mask:
    """A place in a picture that gave false alarms. polygon: corners in shares of the picture's width and height."""

    id: int
    class_name: str
    polygon: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class SetAside:
    """A box that concerns no incident. why: measure or mask; mask_id: of the mask."""

    box: Box
    why: str
    mask_id: int | None = None


def modes_of(config: ModesConfig, stored: Mapping[str, str], *, has_pose: bool) -> dict[str, Mode]:
    """Mode of each class at a camera. stored: what was set for it (class to mode; `default` is as if nothing were)."""
    modes: dict[str, Mode] = {}
    for name in CLASSES:
        mode = stored.get(name, "default")
        if mode in ("measure", "shadow", "alert"):
            modes[name] = mode  # type: ignore[assignment] # narrowed by the tuple
        elif not has_pose and config.classes.get(name, config.default) == "alert":  # type: ignore[call-overload]
            modes[name] = config.without_pose
        else:
            modes[name] = config.classes.get(name, config.default)  # type: ignore[call-overload]
    return modes


def split_boxes(
    boxes: Sequence[Box],
    modes: Mapping[str, Mode],
    masks: Sequence[Mask],
    *,
    width_px: int,
    height_px: int,
    share: float,
) -> tuple[list[Box], list[SetAside]]:
    """Boxes that concern incidents, and those that do not and why. Every box is in exactly one of the two lists.

    A box is masked where its foot lies in a mask of its class and at least `share` of its area does.
    """
    kept: list[Box] = []
    aside: list[SetAside] = []
    polygons = [
        (mask, Polygon([(x * width_px, y * height_px) for x, y in mask.polygon]).buffer(0)) for mask in masks
    ]
    for box in boxes:
        mask = next(
            (
                m
                for m, polygon in polygons
                if m.class_name == box.class_name and _lies_in(box, polygon, share)
            ),
            None,
        )
        if mask is not None:
            aside.append(SetAside(box, "mask", mask.id))
        elif modes[box.class_name] == "measure":
            aside.append(SetAside(box, "measure"))
        else:
            kept.append(box)
    return kept, aside


def _lies_in(box: Box, polygon: Polygon, share: float) -> bool:
    if box.area <= 0 or not polygon.covers(Point(*foot_point(box))):
        return False
    return bool(polygon.intersection(rectangle(*box.corners)).area >= share * box.area)
