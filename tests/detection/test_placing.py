"""From a box to the ground: the truth lies within the ellipse, and no method claims more than the data allow."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from shapely.geometry import Point, Polygon
from watching import EAST, NORTH, POSE, SRID, fire_at

from detection.config import PlacingConfig
from detection.placing import place
from detection.pose import Pose, ground_to_pixel
from detection.types import Box, Camera, GroundFix

CONFIG = PlacingConfig()
W, H = POSE.width_px, POSE.height_px


def camera(pose: Pose | None = POSE, max_range_m: float | None = 80.0) -> Camera:
    return Camera(1, "1" * 20, "测试", "", 10, EAST, NORTH, SRID, pose, max_range_m, W, H)


def area(fix: GroundFix) -> Polygon:
    assert fix.ring is not None
    return Polygon(fix.ring)


visible = st.tuples(st.floats(12, 70), st.floats(-0.45, 0.45)).map(
    lambda p: (
        p[0] * math.sin(math.radians(POSE.azimuth_deg + p[1] * POSE.hfov_deg)),
        p[0] * math.cos(math.radians(POSE.azimuth_deg + p[1] * POSE.hfov_deg)),
    )
)


@given(visible)
def test_truth_is_at_the_centre_and_within_the_ellipse(truth: tuple[float, float]) -> None:
    fix = place(camera(), fire_at(*truth), W, H, CONFIG)
    assert fix.method == "pose_ray"
    assert math.hypot(fix.x - EAST - truth[0], fix.y - NORTH - truth[1]) < 1e-6
    assert area(fix).contains(Point(EAST + truth[0], NORTH + truth[1]))


@given(visible)
def test_a_smaller_picture_of_the_same_camera_gives_the_same_place(truth: tuple[float, float]) -> None:
    box = fire_at(*truth)
    half = Box("fire", box.score, *(v / 2 for v in box.corners))
    a, b = place(camera(), box, W, H, CONFIG), place(camera(), half, W // 2, H // 2, CONFIG)
    assert math.hypot(a.x - b.x, a.y - b.y) < 1e-6


def test_ellipse_holds_the_truth_about_as_often_as_it_says() -> None:
    """Surveys drawn from the assumed errors: the 95 % ellipse holds the truth in 92 to 99 % of them."""
    rng = np.random.default_rng(3)
    truth, count, inside = (10.0, 24.0), 1500, 0
    for _ in range(count):
        real = replace(
            POSE,
            tilt_deg=POSE.tilt_deg + rng.normal(0, CONFIG.tilt_deg),
            azimuth_deg=POSE.azimuth_deg + rng.normal(0, CONFIG.azimuth_deg),
            height_m=POSE.height_m + rng.normal(0, CONFIG.height_m),
        )
        foot = ground_to_pixel(real, *truth)
        assert foot is not None
        u, v = foot[0] + rng.normal(0, CONFIG.foot_px), foot[1] + rng.normal(0, CONFIG.foot_px)
        fix = place(camera(), Box("fire", 0.9, u - 5, v - 20, u + 5, v), W, H, CONFIG)
        inside += area(fix).contains(Point(EAST + truth[0], NORTH + truth[1]))
    assert 0.92 <= inside / count <= 0.99


def test_smoke_is_placed_less_surely_than_flame() -> None:
    box = Box("fire", 0.8, 300, 100, 380, 240)
    flame = place(camera(), box, W, H, CONFIG)
    smoke = place(camera(), replace(box, class_name="smoke"), W, H, CONFIG)
    assert (smoke.x, smoke.y) == (flame.x, flame.y)
    assert smoke.semi_major_m is not None
    assert flame.semi_major_m is not None
    assert smoke.semi_major_m > 1.5 * flame.semi_major_m


@pytest.mark.parametrize(
    ("box", "why"),
    [
        (Box("fire", 0.8, 300, 10, 340, 20), "above the horizon"),
        (Box("fire", 0.8, 300, 30, 340, 60), "past the range"),
        (Box("fire", 0.8, 300, 200, 340, 360), "its foot is below the picture"),
    ],
)
def test_only_the_bearing_where_the_foot_says_nothing(box: Box, why: str) -> None:
    fix = place(camera(max_range_m=60.0), box, W, H, CONFIG)
    assert fix.method == "bearing_sector", why
    east, north = fix.x - EAST, fix.y - NORTH
    assert math.hypot(east, north) <= 60.0
    bearing = math.degrees(math.atan2(east, north))
    assert bearing == pytest.approx(POSE.azimuth_deg, abs=2)
    assert fix.semi_major_m is not None
    assert fix.semi_major_m > 15, "it may be anywhere along the bearing"


@given(st.floats(0, W - 40), st.floats(0, 359.9))
def test_bearing_turns_with_camera_and_column(column: float, azimuth: float) -> None:
    pose = replace(POSE, azimuth_deg=azimuth)
    fix = place(camera(pose), Box("smoke", 0.8, column, 2, column + 40, 12), W, H, CONFIG)
    bearing = math.degrees(math.atan2(fix.x - EAST, fix.y - NORTH))
    off = (bearing - azimuth + 180) % 360 - 180
    expected = math.degrees(math.atan((column + 20 - W / 2) / pose.focal_px))
    assert off == pytest.approx(expected, abs=1e-6)


def test_without_a_pose_the_camera_itself_and_all_its_range() -> None:
    for cam in (camera(pose=None), camera()):
        size = (W, H) if cam.pose is None else (W, 480)  # another aspect ratio: the pose does not hold
        fix = place(cam, fire_at(10, 20), *size, CONFIG)
        assert (fix.method, fix.x, fix.y) == ("camera_point", EAST, NORTH)
        assert fix.semi_major_m == fix.semi_minor_m == 80.0
        assert area(fix).contains(Point(EAST + 10, NORTH + 20))
    assert place(camera(None, None), fire_at(10, 20), W, H, CONFIG).semi_major_m == CONFIG.default_range_m
