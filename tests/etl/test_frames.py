"""Coordinate frames: published reference points, round trips, zones, and names."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from etl.frames import (
    bd09_to_gcj02,
    bd09_to_wgs84,
    gcj02_to_bd09,
    gcj02_to_wgs84,
    geometries_to_metric,
    parse_frame,
    points_to_metric,
    wgs84_to_bd09,
    wgs84_to_gcj02,
)
from geoapp.errors import Refused

METRES_PER_DEGREE = 111_320.0


def _metres(lon_a, lat_a, lon_b, lat_b):
    east = (lon_a - lon_b) * METRES_PER_DEGREE * np.cos(np.radians(lat_a))
    return np.hypot(east, (lat_a - lat_b) * METRES_PER_DEGREE)


# Reference values that the public libraries share (eviltransform; coordtransform).
@pytest.mark.parametrize(
    ("wgs", "gcj"),
    [
        ((121.5272106, 31.1774276), (121.531541859215, 31.17530398364597)),  # Shanghai
        ((113.912316, 22.543847), (113.9171764808363, 22.540796131694766)),  # Shenzhen
        ((116.377817, 39.911954), (116.38404722455657, 39.91334545536069)),  # Beijing
    ],
)
def test_gcj02_agrees_with_published_points(wgs, gcj):
    lon, lat = wgs84_to_gcj02(np.array([wgs[0]]), np.array([wgs[1]]))
    assert (lon[0], lat[0]) == pytest.approx(gcj, abs=1e-9)


def test_bd09_agrees_with_published_point():
    lon, lat = gcj02_to_bd09(np.array([116.404]), np.array([39.915]))
    assert (lon[0], lat[0]) == pytest.approx((116.41036949371029, 39.92133699351021), abs=1e-9)


# A kilometre inside the box's edge, where the offset jumps and no inverse is unique.
inside = st.tuples(st.floats(72.02, 137.81), st.floats(0.85, 55.81))


@given(st.lists(inside, min_size=1, max_size=20))
def test_round_trips_return_within_a_millimetre(places):
    lon, lat = np.array(places).T
    for there, back in (
        (wgs84_to_gcj02, gcj02_to_wgs84),
        (gcj02_to_bd09, bd09_to_gcj02),
        (wgs84_to_bd09, bd09_to_wgs84),
    ):
        lon_2, lat_2 = back(*there(lon, lat))
        assert _metres(lon, lat, lon_2, lat_2).max() < 1e-3


@given(st.tuples(st.floats(105 - 1e-6, 105 + 1e-6), st.floats(20.0, 45.0)))
def test_round_trip_where_the_formula_has_a_cusp(place):
    lon, lat = np.array([place[0]]), np.array([place[1]])
    assert _metres(lon, lat, *gcj02_to_wgs84(*wgs84_to_gcj02(lon, lat))).max() < 1e-3


@given(st.tuples(st.floats(75.0, 134.0), st.floats(4.0, 53.0)))
def test_offset_is_of_the_size_that_is_known(place):
    lon, lat = np.array([place[0]]), np.array([place[1]])
    assert 20 < _metres(lon, lat, *wgs84_to_gcj02(lon, lat))[0] < 1_200


def test_outside_china_gcj02_is_wgs84():
    lon, lat = np.array([2.35, 139.7, -70.0]), np.array([48.85, 35.7, -33.0])
    moved_lon, moved_lat = wgs84_to_gcj02(lon, lat)
    assert np.array_equal(moved_lon, lon)
    assert np.array_equal(moved_lat, lat)


def test_zones_keep_easting_first_and_agree():
    # On the central meridian the easting is the false easting; a degree of latitude is about 111 km.
    frame = parse_frame("cgcs2000")
    east, north = points_to_metric(np.array([120.0, 120.0]), np.array([30.0, 31.0]), frame, 4549)
    assert east == pytest.approx([500_000, 500_000], abs=1e-6)
    assert north[1] - north[0] == pytest.approx(110_860, abs=30)
    # The same zone with its number in front (EPSG:4528) differs by 40 million metres of easting only.
    numbered = parse_frame("epsg:4528")
    east_2, north_2 = points_to_metric(east + 40_000_000, north, numbered, 4549)
    assert east_2 == pytest.approx(east, abs=1e-4)
    assert north_2 == pytest.approx(north, abs=1e-4)


def test_gcj02_read_as_wgs84_is_hundreds_of_metres_off():
    lon, lat = np.array([121.3368]), np.array([30.7257])
    right = np.array(points_to_metric(lon, lat, parse_frame("gcj02"), 4549))
    wrong = np.array(points_to_metric(lon, lat, parse_frame("wgs84"), 4549))
    assert 300 < np.hypot(*(right - wrong))[0] < 700


def test_geometries_keep_shape_and_lose_height():
    square = shapely.from_wkt(
        "POLYGON Z ((121.3 30.8 5, 121.31 30.8 5, 121.31 30.81 5, 121.3 30.81 5, 121.3 30.8 5))"
    )
    shapes = np.array([square, None], dtype=object)
    moved = geometries_to_metric(shapes, parse_frame("bd09"), 4549)
    assert moved[1] is None
    assert not moved[0].has_z
    assert moved[0].area == pytest.approx(
        0.01 * 0.01 * METRES_PER_DEGREE**2 * np.cos(np.radians(30.8)), rel=0.01
    )


@pytest.mark.parametrize("said", ["BD-09", "bd09", " Bd09 ", "bd_09"])
def test_names_are_forgiving_about_case_and_hyphens(said):
    assert parse_frame(said).name == "bd09"


@pytest.mark.parametrize(
    ("said", "hint"), [("bd9", "bd09"), ("wsg84", "wgs84"), ("epsg:99999", "99999"), ("火星", "gcj02")]
)
def test_unknown_frames_are_refused_with_what_is_expected(said, hint):
    with pytest.raises(Refused, match=hint):
        parse_frame(said)
