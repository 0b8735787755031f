"""From a box to the ground: the best method that the camera's data allow, never a better one. Pure.

Ladder, best first: pose_ray (foot point through the pose onto flat ground, with its 95 % ellipse), bearing_sector
(only the direction is known), camera_point (only the camera's place is known).
"""

from __future__ import annotations

import math

from detection.config import PlacingConfig
from detection.pose import Ellipse, Pose, ground_ellipse, pixel_to_ground
from detection.types import Box, Camera, GroundFix

# A box that touches the lower edge may go on below it: its foot is not in the picture.
EDGE_PX = 2.0
TWO_SIGMA = 2.0


def place(camera: Camera, box: Box, width_px: int, height_px: int, config: PlacingConfig) -> GroundFix:
    """Ground position of a box in a picture of width_px x height_px pixels; metres in the camera's CRS.

    The foot point is the bottom centre of the box (for smoke: the base of the plume, known less well).
    """
    reach = camera.max_range_m or config.default_range_m
    pose = _pose_for(camera.pose, width_px, height_px)
    if pose is None:
        return _fix(camera, "camera_point", Ellipse(0.0, 0.0, reach, reach, 0.0))
    u, v = foot_point(box)
    if v < height_px - EDGE_PX:
        sigma = config.sigma(
            math.sqrt(box.area) if box.class_name == "smoke" else box.y2 - box.y1,
            is_smoke=box.class_name == "smoke",
        )
        ellipse = ground_ellipse(pose, u, v, pose_sigma=sigma)
        # Past the range first-order errors mean nothing: only the direction is left.
        if ellipse is not None and math.hypot(ellipse.east_m, ellipse.north_m) <= reach:
            return _fix(camera, "pose_ray", ellipse)
    return _fix(camera, "bearing_sector", _sector_ellipse(pose, box, reach, config))


def foot_point(box: Box) -> tuple[float, float]:
    """Pixel where the thing meets the ground: bottom centre."""
    return (box.x1 + box.x2) / 2, box.y2


def _pose_for(pose: Pose | None, width_px: int, height_px: int) -> Pose | None:
    if pose is None:
        return None
    try:
        return pose.resized(width_px, height_px)
    except ValueError:
        return None  # cropped or stretched: the pose does not describe this picture


def _sector_ellipse(pose: Pose, box: Box, reach_m: float, config: PlacingConfig) -> Ellipse:
    """An ellipse over the strip of ground between the picture's lower edge and the range, as wide as the box."""
    middle = (box.x1 + box.x2) / 2
    bearing = pose.azimuth_deg + math.degrees(math.atan((middle - pose.width_px / 2) / pose.focal_px))
    half_width = math.atan((box.x2 - box.x1) / 2 / pose.focal_px) + TWO_SIGMA * math.radians(
        config.azimuth_deg
    )
    near = pixel_to_ground(pose, pose.width_px / 2, pose.height_px)
    near_m = 0.0 if near is None else min(math.hypot(*near), reach_m)
    centre_m = (near_m + reach_m) / 2
    along_m = max((reach_m - near_m) / 2, 1.0)
    across_m = max(centre_m * math.tan(min(half_width, math.radians(80))), 1.0)
    east, north = math.sin(math.radians(bearing)), math.cos(math.radians(bearing))
    major, minor, turn = (
        (along_m, across_m, bearing) if along_m >= across_m else (across_m, along_m, bearing + 90)
    )
    return Ellipse(centre_m * east, centre_m * north, major, minor, turn % 180.0)


def _fix(camera: Camera, method: str, ellipse: Ellipse) -> GroundFix:
    ring = tuple((camera.x + float(e), camera.y + float(n)) for e, n in ellipse.ring())
    return GroundFix(
        method,
        camera.x + ellipse.east_m,
        camera.y + ellipse.north_m,
        ellipse.semi_major_m,
        ellipse.semi_minor_m,
        ellipse.rotation_deg,
        ring,
    )
