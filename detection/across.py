"""Which incident of other cameras a hit is of: by where both lie on the ground. Pure.

A wrong merge shows a fire in the wrong place, a duplicate costs one check: whatever is not clear begins an incident.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from detection.association import FAMILY
from detection.config import AcrossConfig
from detection.pose import Ellipse
from detection.types import GroundFix

# Squared distance in units of the joint error within which 95 % of looks at one spot lie (chi-square, two degrees).
CHI2_95 = 5.991
SQUARE_M = 100.0
# Places whose error is one of bearing and range from a known camera, or of several.
RAYS = ("pose_ray", "triangulated")
# Worth it from here on: together known to this share of the better one's long axis.
SHARPER = 0.8


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A live incident that other cameras see and this one does not. x, y, axes: metres; rotation_deg from grid north."""

    id: UUID
    class_name: str
    x: float
    y: float
    method: str
    semi_major_m: float | None
    semi_minor_m: float | None
    rotation_deg: float | None
    last_seen_at: datetime


def ground_score(
    fix: GroundFix, class_name: str, other: Elsewhere, at: datetime, config: AcrossConfig
) -> float:
    """How well a hit at `fix` agrees with an incident of other cameras; 0..1, 0 where it cannot be said.

    Distance in units of the joint error (both 95 % ellipses), and the time since it was last seen.
    """
    if FAMILY[class_name] != FAMILY[other.class_name]:
        return 0.0
    if fix.method != "pose_ray" or other.method not in RAYS:
        return 0.0
    if not (_is_sharp(fix.semi_major_m, config) and _is_sharp(other.semi_major_m, config)):
        return 0.0
    gap_s = abs((at - other.last_seen_at).total_seconds())
    if gap_s > config.gap_s:
        return 0.0
    joint = _covariance(fix) + _covariance(other)
    apart = np.array([fix.x - other.x, fix.y - other.y])
    squared = float(apart @ np.linalg.solve(joint, apart))
    if squared > CHI2_95:
        return 0.0
    return (1.0 - squared / CHI2_95) * (1.0 - 0.5 * gap_s / config.gap_s)


def find_across(
    hits: Sequence[tuple[GroundFix, str]], elsewhere: Sequence[Elsewhere], at: datetime, config: AcrossConfig
) -> list[Elsewhere | None]:
    """For each hit (place, class) the incident that it is of, None where there is none or where it is not clear.

    Not clear: another incident, or another hit of the same picture, agrees nearly as well.
    """
    scores = np.array(
        [[ground_score(fix, name, other, at, config) for other in elsewhere] for fix, name in hits]
    ).reshape(len(hits), len(elsewhere))
    found: list[Elsewhere | None] = []
    for i in range(len(hits)):
        if not elsewhere:
            found.append(None)
            continue
        j = int(scores[i].argmax())
        best = scores[i, j]
        rivals = max(_second(scores[i], j), _second(scores[:, j], i))
        is_clear = best >= config.min_score and rivals < config.clear * best
        found.append(elsewhere[j] if is_clear else None)
    return found


def crossed(fix: GroundFix, other: Elsewhere) -> GroundFix | None:
    """The place of one spot from a hit and from an incident that only other cameras have seen so far; None where it is not
    clearly sharper than the better of the two.

    Each weighs with the inverse of its error (the minimum-variance mean of two independent Gaussian estimates): a camera
    knows the bearing well and the range badly, so that two from different sides know both (in one line with it they only
    average two ranges). Independent: errors of two
    cameras' poses are; those of two looks of one camera are not, so this is for a camera's first look only. Ground that is
    not flat moves both and is in neither's error.
    """
    if fix.method != "pose_ray" or other.method not in RAYS:
        return None
    mine, theirs = np.linalg.inv(_covariance(fix)), np.linalg.inv(_covariance(other))
    joint = np.linalg.inv(mine + theirs)
    x, y = joint @ (mine @ [fix.x, fix.y] + theirs @ [other.x, other.y])
    squares, axes = np.linalg.eigh(joint * CHI2_95)
    minor_m, major_m = (float(m) for m in np.sqrt(squares))
    if major_m > SHARPER * min(fix.semi_major_m or math.inf, other.semi_major_m or math.inf):
        return None
    turn = math.degrees(math.atan2(axes[0, 1], axes[1, 1])) % 180.0
    ring = Ellipse(float(x), float(y), major_m, minor_m, turn).ring()
    outline = tuple((float(east), float(north)) for east, north in ring)
    return GroundFix("triangulated", float(x), float(y), major_m, minor_m, turn, outline)


def ground_keys(fixes: Sequence[GroundFix], config: AcrossConfig) -> list[int]:
    """Numbers of the ground squares that a hit may share with a hit of another camera that agrees with it; sorted.

    Two that agree are no further apart than the sum of their errors, so that their surroundings share a square. Who
    takes the locks of all its squares, in this order, waits for nobody who waits for it. 32 bits.
    """
    keys = set()
    for fix in fixes:
        if fix.method != "pose_ray" or not _is_sharp(fix.semi_major_m, config):
            continue
        reach = fix.semi_major_m or 0.0
        for east in range(_square(fix.x - reach), _square(fix.x + reach) + 1):
            for north in range(_square(fix.y - reach), _square(fix.y + reach) + 1):
                keys.add(((east * 73_856_093) ^ (north * 19_349_663)) % 2**32)
    return sorted(keys)


def _square(metres: float) -> int:
    return math.floor(metres / SQUARE_M)


def _second(scores: NDArray[np.float64], best: int) -> float:
    others = np.delete(scores, best)
    return float(others.max()) if others.size else 0.0


def _is_sharp(semi_major_m: float | None, config: AcrossConfig) -> bool:
    return semi_major_m is not None and semi_major_m <= config.max_error_m


def _covariance(place: GroundFix | Elsewhere) -> NDArray[np.float64]:
    """Of an ellipse that holds 95 %: m², east and north."""
    turn = math.radians(place.rotation_deg or 0.0)
    major, minor = place.semi_major_m or 0.0, place.semi_minor_m or place.semi_major_m or 0.0
    along = np.array([math.sin(turn), math.cos(turn)])
    across = np.array([along[1], -along[0]])
    # A survey is never better than a decimetre: two perfect places still have an error.
    major, minor = max(major, 0.1), max(minor, 0.1)
    spread: NDArray[np.float64] = (
        major**2 * np.outer(along, along) + minor**2 * np.outer(across, across)
    ) / CHI2_95
    return spread
