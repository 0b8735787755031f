"""Which box belongs to which incident. Pure; scores instead of "touches", so that a large box steals nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from detection.backends.decode import intersection, iou
from detection.types import Box, GroundFix

# Smoke belongs to its fire and sparks to their arc: one event in the world, whichever of the two is seen.
FAMILY = {"fire": "fire", "smoke": "fire", "welding_arc": "hot_work", "sparks": "hot_work"}
SEVERITY = {"smoke": 0, "fire": 1, "sparks": 0, "welding_arc": 1}
# Boxes of one family nearer to each other than this share of the larger diagonal are one event in one picture:
# an engine often sees one fire as several pieces, and other pieces in the next picture.
GROUP_GAP = 0.5
# An incident's extent follows its newest boxes outward at once, inward by this share a look.
SHRINK = 0.3
OVERLAP_WEIGHT, NEAR_WEIGHT, GROUND_WEIGHT = 0.5, 0.35, 0.15


@dataclass(frozen=True, slots=True)
class Group:
    """What one picture shows of one event. lead: the box that names and places it."""

    lead: Box
    boxes: tuple[Box, ...]

    @property
    def extent(self) -> Box:
        """The smallest box around all of it."""
        corners = [
            pick(values)
            for pick, values in zip(
                (min, min, max, max), zip(*(b.corners for b in self.boxes), strict=True), strict=True
            )
        ]
        return Box(self.lead.class_name, self.lead.score, *corners)


def group_boxes(boxes: Sequence[Box], thresholds: dict[str, float]) -> list[Group]:
    """Boxes of one family that overlap or nearly touch, together. Every box is in exactly one group.

    The lead is the most severe class among the boxes above their threshold, then the best score.
    """
    left = list(boxes)
    groups = []
    while left:
        members = [left.pop(0)]
        grown = True
        while grown:
            near = [b for b in left if any(_belong_together(b, m) for m in members)]
            left = [b for b in left if b not in near]
            members += near
            grown = bool(near)
        groups.append(Group(_lead(members, thresholds), tuple(members)))
    return groups


def match_score(
    group: Group, fix: GroundFix, box: Box, x: float, y: float, method: str, semi_major_m: float | None
) -> float:
    """How well a group (placed at `fix`) continues an incident of extent `box` that is placed at x, y; 0..1.

    0 for another family. Overlap in the picture, nearness of the boxes' centres in units of their size, and, where
    both are placed by rays, distance on the ground in units of the error.
    """
    if FAMILY[group.lead.class_name] != FAMILY[box.class_name]:
        return 0.0
    overlap = max(_overlap(member, box) for member in group.boxes)
    near = max(_nearness(member, box) for member in group.boxes)
    score = (OVERLAP_WEIGHT * overlap + NEAR_WEIGHT * near) / (OVERLAP_WEIGHT + NEAR_WEIGHT)
    if fix.method == "pose_ray" and method in ("pose_ray", "triangulated"):
        error_m = max(fix.semi_major_m or 0.0, semi_major_m or 0.0, 1.0)
        ground = math.exp(-0.5 * (2.45 * math.hypot(fix.x - x, fix.y - y) / error_m) ** 2)
        score = score * (1 - GROUND_WEIGHT) + GROUND_WEIGHT * ground
    return score


def carry_extent(before: Box, now: Box) -> Box:
    """An incident's extent after a look that saw `now`: a piece of it seen alone does not make it small at once."""

    def follow(old: float, new: float, outward: bool) -> float:
        return new if outward else old + (new - old) * SHRINK

    return Box(
        now.class_name,
        now.score,
        follow(before.x1, now.x1, now.x1 < before.x1),
        follow(before.y1, now.y1, now.y1 < before.y1),
        follow(before.x2, now.x2, now.x2 > before.x2),
        follow(before.y2, now.y2, now.y2 > before.y2),
    )


def _overlap(seen: Box, extent: Box) -> float:
    common = intersection(seen, extent)
    if seen.class_name == extent.class_name:
        # A piece of the known extent continues it; a box far larger than it does not.
        return max(iou(seen, extent), common / seen.area if seen.area > 0 else 0.0)
    # A flame lies within its smoke: what counts is how much of the smaller one is shared.
    smaller = min(seen.area, extent.area)
    return common / smaller if smaller > 0 else 0.0


def _nearness(a: Box, b: Box) -> float:
    distance = math.dist(_centre(a), _centre(b))
    size = (_diagonal(a) + _diagonal(b)) / 2
    return math.exp(-distance / size) if size > 0 else 0.0


def _belong_together(a: Box, b: Box) -> bool:
    if FAMILY[a.class_name] != FAMILY[b.class_name]:
        return False
    gap = math.hypot(max(0.0, max(a.x1, b.x1) - min(a.x2, b.x2)), max(0.0, max(a.y1, b.y1) - min(a.y2, b.y2)))
    size = max(_diagonal(a), _diagonal(b))
    return gap <= GROUP_GAP * size


def _lead(members: Sequence[Box], thresholds: dict[str, float]) -> Box:
    strong = [b for b in members if b.score >= thresholds[b.class_name]]
    return max(strong or members, key=lambda b: (SEVERITY[b.class_name] if strong else 0, b.score))


def _centre(box: Box) -> tuple[float, float]:
    return (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2


def _diagonal(box: Box) -> float:
    return math.hypot(box.x2 - box.x1, box.y2 - box.y1)
