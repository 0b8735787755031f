"""The pinhole camera over flat ground: round trips, wrap, sector and the error ellipse."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from detection.pose import (
    Pose,
    PoseSigma,
    ground_ellipse,
    ground_to_pixel,
    in_picture,
    pixel_to_ground,
    sector,
)

poses = st.builds(
    Pose,
    height_m=st.floats(2.0, 40.0),
    azimuth_deg=st.floats(-720.0, 720.0),
    tilt_deg=st.floats(-10.0, 90.0),
    hfov_deg=st.floats(20.0, 120.0),
    width_px=st.sampled_from([640, 960, 1280, 1920]),
    height_px=st.sampled_from([360, 480, 540, 1080]),
)

POLE = Pose(8.0, 30.0, 12.0, 60.0, 1920, 1080)


def off_axis(ring: np.ndarray, east: float, north: float) -> np.ndarray:
    """Signed distances of a point from a counter-clockwise convex ring's edges (inside > 0)."""
    ahead = np.roll(ring, -1, axis=0) - ring
    length = np.hypot(ahead[:, 0], ahead[:, 1])
    to_point = np.array([east, north]) - ring
    cross = ahead[:, 0] * to_point[:, 1] - ahead[:, 1] * to_point[:, 0]
    return cross[length > 1e-9] / length[length > 1e-9]


@given(poses, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_pixel_to_ground_and_back_is_the_same_pixel(pose: Pose, x: float, y: float) -> None:
    u, v = x * pose.width_px, y * pose.height_px
    ground = pixel_to_ground(pose, u, v)
    assume(ground is not None and math.hypot(*ground) < 5000)
    assert ground is not None
    back = ground_to_pixel(pose, *ground)
    assert back == pytest.approx((u, v), abs=1e-3)


@given(poses, st.floats(1.0, 300.0), st.floats(-40.0, 40.0))
def test_ground_to_pixel_and_back_is_the_same_place(pose: Pose, away: float, turn: float) -> None:
    bearing = math.radians(pose.azimuth_deg + turn)
    place = (away * math.sin(bearing), away * math.cos(bearing))
    pixel = ground_to_pixel(pose, *place)
    assume(pixel is not None)
    assert pixel is not None
    assert pixel_to_ground(pose, *pixel) == pytest.approx(place, abs=1e-4 * away**2 + 1e-4)


@given(poses, st.floats(0.0, 1.0), st.integers(-3, 3))
def test_whole_turns_of_the_azimuth_change_nothing(pose: Pose, x: float, turns: int) -> None:
    turned = replace(pose, azimuth_deg=pose.azimuth_deg + 360.0 * turns)
    assert 0.0 <= turned.azimuth_deg < 360.0
    u, v = x * pose.width_px, pose.height_px
    here, there = pixel_to_ground(pose, u, v), pixel_to_ground(turned, u, v)
    assert (here is None) == (there is None)
    if here is not None and there is not None:
        assert there == pytest.approx(here, rel=1e-6, abs=1e-6)


def test_359_and_1_degree_are_two_degrees_apart() -> None:
    west, east = replace(POLE, azimuth_deg=359.0), replace(POLE, azimuth_deg=1.0)
    a, b = pixel_to_ground(west, 960, 700), pixel_to_ground(east, 960, 700)
    assert a is not None
    assert b is not None
    assert a[1] == pytest.approx(b[1])
    assert a[0] == pytest.approx(-b[0])
    assert math.degrees(2 * math.asin(b[0] / math.hypot(*b))) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("azimuth", "direction"), [(0, (0, 1)), (90, (1, 0)), (180, (0, -1)), (270, (-1, 0))]
)
def test_azimuth_is_clockwise_from_north(azimuth: float, direction: tuple[int, int]) -> None:
    pose = Pose(10.0, azimuth, 45.0, 60.0, 960, 540)
    # At 45 degrees the axis meets the ground as far out as the lens is high.
    expected = (10.0 * direction[0], 10.0 * direction[1])
    assert pixel_to_ground(pose, 480, 270) == pytest.approx(expected)


def test_right_in_the_picture_is_clockwise_and_up_is_farther() -> None:
    middle, right = pixel_to_ground(POLE, 960, 700), pixel_to_ground(POLE, 1500, 700)
    higher = pixel_to_ground(POLE, 960, 600)
    assert middle
    assert right
    assert higher
    assert math.atan2(*right) > math.atan2(*middle)
    assert math.hypot(*higher) > math.hypot(*middle)


def test_edge_of_the_picture_is_half_the_field_of_view() -> None:
    level = Pose(5.0, 0.0, 0.0, 80.0, 960, 540)
    at_edge = ground_to_pixel(level, math.tan(math.radians(40)) * 100, 100.0, up_m=5.0)
    assert at_edge == pytest.approx((960.0, 270.0))


def test_no_ground_at_or_above_the_horizon_nor_pixel_behind() -> None:
    level = replace(POLE, tilt_deg=0.0)
    assert pixel_to_ground(level, 960, 540) is None
    assert pixel_to_ground(level, 960, 100) is None
    assert ground_ellipse(level, 960, 100) is None
    behind = math.radians(POLE.azimuth_deg + 180)
    assert ground_to_pixel(POLE, 50 * math.sin(behind), 50 * math.cos(behind)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"height_m": 0.0},
        {"height_m": float("nan")},
        {"tilt_deg": 91.0},
        {"hfov_deg": 180.0},
        {"width_px": 0},
    ],
)
def test_impossible_poses_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="pose"):
        replace(POLE, **change)  # type: ignore[arg-type]


def test_resized_sees_the_same_ground_and_refuses_another_shape() -> None:
    small = POLE.resized(960, 540)
    assert pixel_to_ground(small, 300, 400) == pytest.approx(pixel_to_ground(POLE, 600, 800))
    with pytest.raises(ValueError, match="aspect"):
        POLE.resized(640, 480)


@given(poses, st.floats(0.02, 0.98), st.floats(0.02, 0.98), st.floats(5.0, 400.0))
def test_sector_holds_exactly_the_ground_in_the_picture(pose: Pose, x: float, y: float, reach: float) -> None:
    ring = sector(pose, reach)
    ground = pixel_to_ground(pose, x * pose.width_px, y * pose.height_px)
    if ground is None:
        return
    away = math.hypot(*ground)
    # The far arc is drawn in chords of 2 degrees, which lose 0.02 % of the range at most.
    if away < reach * 0.999:
        assert len(ring) >= 3
        assert off_axis(ring, *ground).min() > -1e-6 * max(1.0, away)
    elif away > reach * 1.001 and len(ring):
        assert off_axis(ring, *ground).min() < 0
    if len(ring):
        assert np.hypot(ring[:, 0], ring[:, 1]).max() <= reach * (1 + 1e-9)
        for corner in ring:
            pixel = ground_to_pixel(pose, *corner)
            assert pixel is None or (-1 < pixel[0] < pose.width_px + 1 and -1 < pixel[1] < pose.height_px + 1)


def test_sector_edges() -> None:
    ring = sector(POLE, 80.0)
    away = np.hypot(ring[:, 0], ring[:, 1])
    bottom = pixel_to_ground(POLE, 960, 1080)
    assert bottom is not None
    assert abs(off_axis(ring, *bottom)).min() < 1e-6, "the bottom of the picture is the near edge"
    assert away.min() > math.hypot(*bottom)
    assert away.max() == pytest.approx(80.0)
    assert len(sector(replace(POLE, tilt_deg=-60.0), 80.0)) == 0
    # Straight down the sector is the picture's rectangle around the foot point.
    down = sector(replace(POLE, tilt_deg=90.0), 80.0)
    assert off_axis(down, 0.0, 0.0).min() > 0


def test_near_edge_is_in_picture() -> None:
    pixel = ground_to_pixel(POLE, 20 * math.sin(math.radians(30)), 20 * math.cos(math.radians(30)))
    assert pixel is not None
    assert in_picture(POLE, *pixel)
    assert not in_picture(POLE, -1, 5)


def coverage(pose: Pose, u: float, v: float, sigma: PoseSigma, n: int = 4000) -> float:
    """Share of n true positions, drawn by the sigmas, that fall into the ellipse."""
    ellipse = ground_ellipse(pose, u, v, pose_sigma=sigma)
    assert ellipse is not None
    rng = np.random.default_rng(7)
    turn = math.radians(ellipse.rotation_deg)
    inside = 0
    for dt, da, dh, du, dv in rng.normal(size=(n, 5)):
        true_pose = replace(
            pose,
            tilt_deg=pose.tilt_deg + dt * sigma.tilt_deg,
            azimuth_deg=pose.azimuth_deg + da * sigma.azimuth_deg,
            height_m=pose.height_m + dh * sigma.height_m,
        )
        true = pixel_to_ground(true_pose, u + du * sigma.foot_px, v + dv * sigma.foot_px)
        if true is None:
            continue
        e, n_ = true[0] - ellipse.east_m, true[1] - ellipse.north_m
        along = e * math.sin(turn) + n_ * math.cos(turn)
        across = e * math.cos(turn) - n_ * math.sin(turn)
        inside += (along / ellipse.semi_major_m) ** 2 + (across / ellipse.semi_minor_m) ** 2 <= 1
    return inside / n


@pytest.mark.parametrize("range_m", [12.0, 30.0, 55.0])
def test_ellipse_holds_95_percent_at_moderate_range(range_m: float) -> None:
    bearing = math.radians(POLE.azimuth_deg + 8)
    pixel = ground_to_pixel(POLE, range_m * math.sin(bearing), range_m * math.cos(bearing))
    assert pixel is not None
    assert 0.93 <= coverage(POLE, *pixel, PoseSigma()) <= 0.97


def test_ellipse_direction_and_ring() -> None:
    # Far out the range is what is uncertain: the major axis points along the line of sight.
    pixel = ground_to_pixel(POLE, 60 * math.sin(math.radians(30)), 60 * math.cos(math.radians(30)))
    assert pixel is not None
    ellipse = ground_ellipse(POLE, *pixel)
    assert ellipse is not None
    assert ellipse.rotation_deg == pytest.approx(30.0, abs=0.5)
    assert ellipse.semi_major_m > ellipse.semi_minor_m > 0
    ring = ellipse.ring(360)
    away = ring - np.array([ellipse.east_m, ellipse.north_m])
    far = away[np.argmax(np.hypot(*away.T))]
    assert math.degrees(math.atan2(*far)) % 180 == pytest.approx(ellipse.rotation_deg, abs=1.0)
    assert np.hypot(*away.T).min() == pytest.approx(ellipse.semi_minor_m, rel=1e-3)


@settings(max_examples=50)
@given(poses, st.floats(0.1, 0.9))
def test_ellipse_grows_with_every_sigma(pose: Pose, x: float) -> None:
    u, v = x * pose.width_px, pose.height_px * 0.9
    base = ground_ellipse(pose, u, v)
    assume(base is not None and base.semi_major_m < 500)
    assert base is not None
    for name in ("tilt_deg", "azimuth_deg", "height_m", "foot_px"):
        wider = replace(PoseSigma(), **{name: getattr(PoseSigma(), name) * 3})
        larger = ground_ellipse(pose, u, v, pose_sigma=wider)
        assert larger is not None
        assert larger.semi_major_m >= base.semi_major_m * (1 - 1e-6)
