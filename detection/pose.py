"""Camera pose: a pinhole camera over flat ground. Pure numpy, no clock, no database.

Frame of reference: every ground position is an offset (east, north) in metres from the
camera's foot point, along the axes of the city's metric CRS (a CGCS2000 Gauss-Kruger zone,
for example EPSG:4549). Azimuths are degrees clockwise from *grid* north. Pixels have their
origin at the top left corner of the picture, u to the right, v downward, and are square; the
principal point is the middle of the picture and the lens has no distortion.

The model is the usual one (Hartley & Zisserman, "Multiple View Geometry", ch. 6) with the
rotation written out for a camera without roll.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

CHI2_95_TWO_DIMENSIONS = 5.991
"""95 % quantile of the chi-square distribution with two degrees of freedom."""

_MIN_DEPTH_M = 1e-6
# Rays closer to the horizon than this meet the ground so far out that the answer is noise.
_MIN_DOWN = 1e-6


@dataclass(frozen=True, slots=True)
class Pose:
    """How a camera stands and looks.

    height_m: lens above the ground, metres, > 0.
    azimuth_deg: optical axis, degrees clockwise from grid north; stored in 0 <= a < 360.
    tilt_deg: optical axis below the horizontal, degrees, positive downward, -90..90.
    hfov_deg: full horizontal field of view of the picture's whole width, degrees, 0..180.
    width_px, height_px: size of the picture that pixels refer to.

    Raises ValueError where a value is not finite or out of range.
    """

    height_m: float
    azimuth_deg: float
    tilt_deg: float
    hfov_deg: float
    width_px: int
    height_px: int

    def __post_init__(self) -> None:
        angles = (self.height_m, self.azimuth_deg, self.tilt_deg, self.hfov_deg)
        if not all(math.isfinite(value) for value in angles):
            raise ValueError(f"pose has a value that is not finite: {self}")
        if self.height_m <= 0:
            raise ValueError(f"pose height_m must be above 0, got {self.height_m}")
        if not -90 <= self.tilt_deg <= 90:
            raise ValueError(f"pose tilt_deg must be within -90..90, got {self.tilt_deg}")
        if not 0 < self.hfov_deg < 180:
            raise ValueError(f"pose hfov_deg must be within 0..180, got {self.hfov_deg}")
        if self.width_px <= 0 or self.height_px <= 0:
            raise ValueError(f"pose picture size must be positive: {self}")
        wrapped = self.azimuth_deg % 360.0
        # -1e-20 % 360 is 360.0 in floating point.
        object.__setattr__(self, "azimuth_deg", 0.0 if wrapped >= 360.0 else wrapped)

    @property
    def focal_px(self) -> float:
        """Focal length in pixels: (width / 2) / tan(hfov / 2)."""
        return self.width_px / 2 / math.tan(math.radians(self.hfov_deg) / 2)

    def resized(self, width_px: int, height_px: int) -> Pose:
        """The same camera delivering a picture of another size (same aspect ratio).

        Raises ValueError where the aspect ratio differs by more than 2 %: the picture was
        cropped or stretched, and this pose does not describe it.
        """
        before, after = self.width_px / self.height_px, width_px / height_px
        if abs(before / after - 1) > 0.02:
            raise ValueError(
                f"pose is for {self.width_px}x{self.height_px}, the picture is "
                f"{width_px}x{height_px}: another aspect ratio"
            )
        return replace(self, width_px=width_px, height_px=height_px)


@dataclass(frozen=True, slots=True)
class PoseSigma:
    """Standard deviations of what is not known exactly.

    tilt_deg, azimuth_deg, height_m: of the pose (the defaults are a careful phone survey).
    foot_px: of the foot point in each of u and v, pixels.
    """

    tilt_deg: float = 0.5
    azimuth_deg: float = 2.0
    height_m: float = 0.2
    foot_px: float = 3.0


@dataclass(frozen=True, slots=True)
class Ellipse:
    """A 95 % error ellipse on the ground.

    east_m, north_m: centre, offset from the camera, metres in the city's CRS.
    semi_major_m, semi_minor_m: half axes, metres.
    rotation_deg: direction of the major axis, degrees clockwise from grid north, 0 <= r < 180.
    """

    east_m: float
    north_m: float
    semi_major_m: float
    semi_minor_m: float
    rotation_deg: float

    def ring(self, points: int = 36) -> FloatArray:
        """Outline as (points, 2) offsets (east, north) in metres, counter-clockwise, open."""
        t = np.linspace(0.0, 2 * np.pi, points, endpoint=False)
        along, across = self.semi_major_m * np.cos(t), self.semi_minor_m * np.sin(t)
        s, c = math.sin(math.radians(self.rotation_deg)), math.cos(math.radians(self.rotation_deg))
        # Major axis points to (s, c); (-c, s) is that direction turned left by 90 degrees.
        return np.column_stack([self.east_m + along * s - across * c, self.north_m + along * c + across * s])


def camera_axes(azimuth_deg: float, tilt_deg: float) -> FloatArray:
    """Rows right, down, forward of the camera as unit vectors (east, north, up), shape (3, 3)."""
    a, t = math.radians(azimuth_deg), math.radians(tilt_deg)
    sa, ca, st, ct = math.sin(a), math.cos(a), math.sin(t), math.cos(t)
    return np.array(
        [
            [ca, -sa, 0.0],
            [-sa * st, -ca * st, -ct],
            [sa * ct, ca * ct, -st],
        ]
    )


def ground_to_pixel(
    pose: Pose, east_m: float, north_m: float, up_m: float = 0.0
) -> tuple[float, float] | None:
    """Pixel (u, v) of a point at offset (east_m, north_m) metres, up_m metres above the ground.

    None where the point is not in front of the camera. The pixel may lie outside the picture:
    see `in_picture`.
    """
    x, y, depth = camera_axes(pose.azimuth_deg, pose.tilt_deg) @ np.array(
        [east_m, north_m, up_m - pose.height_m]
    )
    if depth <= _MIN_DEPTH_M:
        return None
    f = pose.focal_px
    return float(pose.width_px / 2 + f * x / depth), float(pose.height_px / 2 + f * y / depth)


def in_picture(pose: Pose, u: float, v: float) -> bool:
    """Whether the pixel lies inside the picture."""
    return 0 <= u <= pose.width_px and 0 <= v <= pose.height_px


def pixel_to_ground(pose: Pose, u: float, v: float) -> tuple[float, float] | None:
    """Offset (east, north) in metres of the flat ground seen at pixel (u, v).

    None at or above the horizon.
    """
    known = (pose.tilt_deg, pose.azimuth_deg, pose.height_m, u, v)
    return _intersect(known, pose.focal_px, pose.width_px, pose.height_px)


def ground_ellipse(
    pose: Pose,
    u: float,
    v: float,
    *,
    pose_sigma: PoseSigma = PoseSigma(),
) -> Ellipse | None:
    """95 % error ellipse of the ground position seen at pixel (u, v); None at or above the horizon.

    First-order propagation of independent normal errors of tilt, azimuth, height and foot point
    (covariance J S J^T, axes scaled by sqrt(5.991)).

    Where first order fails: range grows as height / tan(depression), so its error is not normal
    once the error of the depression angle is more than about a tenth of the angle itself. With
    the default sigmas that is beyond some 12 heights (8 m pole: 100 m). There the true region is
    an arc with a long tail away from the camera, the ellipse is too short at its far end, and
    close to the horizon it means nothing: limit by the camera's max_range_m.
    """
    known = np.array([pose.tilt_deg, pose.azimuth_deg, pose.height_m, u, v])
    sigma = (
        pose_sigma.tilt_deg,
        pose_sigma.azimuth_deg,
        pose_sigma.height_m,
        pose_sigma.foot_px,
        pose_sigma.foot_px,
    )
    centre = pixel_to_ground(pose, u, v)
    if centre is None:
        return None
    columns = []
    for i, one_sigma in enumerate(sigma):
        step = np.zeros(5)
        step[i] = 1e-4
        ahead = _intersect(known + step, pose.focal_px, pose.width_px, pose.height_px)
        behind = _intersect(known - step, pose.focal_px, pose.width_px, pose.height_px)
        if ahead is None or behind is None:
            return None
        columns.append((np.array(ahead) - np.array(behind)) / 2e-4 * one_sigma)
    spread = np.column_stack(columns)
    values, vectors = np.linalg.eigh(spread @ spread.T)
    minor, major = np.sqrt(np.maximum(values, 0.0) * CHI2_95_TWO_DIMENSIONS)
    direction = vectors[:, 1]
    rotation = math.degrees(math.atan2(direction[0], direction[1])) % 180.0
    return Ellipse(centre[0], centre[1], float(major), float(minor), 0.0 if rotation >= 180.0 else rotation)


def sector(pose: Pose, max_range_m: float) -> FloatArray:
    """Ground that the camera can see, as an (n, 2) ring of offsets (east, north) in metres.

    Convex, counter-clockwise, open (first point not repeated). Near edge by the bottom of the
    picture, far edge by max_range_m (metres from the foot point, an arc in chords of 2 degrees)
    or by the top of the picture where that is nearer. Shape (0, 2) where no ground is in view.
    """
    if max_range_m <= 0:
        return np.empty((0, 2))
    # The chords' corners lie on the circle, so the polygon never reaches past max_range_m.
    turn = np.radians(np.arange(0.0, 360.0, 2.0) - pose.azimuth_deg)
    ring = max_range_m * np.column_stack([np.cos(turn), np.sin(turn)])
    f, w, h = pose.focal_px, pose.width_px / 2, pose.height_px / 2
    axes = camera_axes(pose.azimuth_deg, pose.tilt_deg)
    # Inward normals of the four sides of the viewing pyramid, in camera axes.
    for normal in ([f, 0.0, w], [-f, 0.0, w], [0.0, f, h], [0.0, -f, h]):
        east, north, up = np.array(normal) @ axes
        ring = _clip(ring, np.array([east, north]), -up * pose.height_m)
    return ring


def _intersect(
    known: Sequence[float] | FloatArray, focal_px: float, width_px: int, height_px: int
) -> tuple[float, float] | None:
    """Ground met by the ray of (tilt_deg, azimuth_deg, height_m, u, v); None above the horizon.

    Apart from `pixel_to_ground` so that the propagation may step past a tilt of 90 degrees,
    which a Pose refuses.
    """
    tilt_deg, azimuth_deg, height_m, u, v = known
    ray = np.array([(u - width_px / 2) / focal_px, (v - height_px / 2) / focal_px, 1.0])
    east, north, up = ray @ camera_axes(azimuth_deg, tilt_deg)
    if -up <= _MIN_DOWN * float(np.linalg.norm(ray)):
        return None
    reach = height_m / -up
    return float(reach * east), float(reach * north)


def _clip(ring: FloatArray, normal: FloatArray, offset: float) -> FloatArray:
    """Sutherland-Hodgman: the part of a convex ring where normal . p + offset >= 0."""
    if len(ring) == 0:
        return ring
    side = ring @ normal + offset
    kept: list[FloatArray] = []
    for i in range(len(ring)):
        p, q = ring[i - 1], ring[i]
        a, b = side[i - 1], side[i]
        if (a >= 0) != (b >= 0):
            kept.append(p + (q - p) * (a / (a - b)))
        if b >= 0:
            kept.append(q)
    return np.array(kept) if len(kept) >= 3 else np.empty((0, 2))
