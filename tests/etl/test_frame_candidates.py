"""Frames told from points: known frames are recovered or left open, and a wrong one is never sure."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.frame_candidates import candidates, verdict
from etl.frames import geometries_to_metric, parse_frame
from etl.readers import read_table
from geoapp.territory.frames import points_from_metric

# Zone of the city, and the lower left corner of its towns in metres: near Shanghai, Mudanjiang, Kashgar, Guangzhou.
CITIES = [
    (4549, 620_000.0, 3_400_000.0),
    (4552, 470_000.0, 4_940_000.0),
    (4534, 560_000.0, 4_360_000.0),
    (4547, 430_000.0, 2_550_000.0),
]
TOWN_M = 4_000.0


def towns(left, low):
    """Twelve square towns, by name."""
    return {
        f"T{i}{j}": shapely.box(
            left + i * TOWN_M, low + j * TOWN_M, left + (i + 1) * TOWN_M, low + (j + 1) * TOWN_M
        )
        for i in range(4)
        for j in range(3)
    }


def lookalike(city, frame, count, seed, *, wrong=0.0):
    """A file's numbers in `frame`, the town that each row names (a share of them wrong), and the outlines."""
    srid, left, low = city
    rng = np.random.default_rng(seed)
    east, north = left + rng.uniform(1, 4 * TOWN_M - 1, count), low + rng.uniform(1, 3 * TOWN_M - 1, count)
    named = np.array(
        [f"T{int(i)}{int(j)}" for i, j in zip((east - left) // TOWN_M, (north - low) // TOWN_M, strict=True)],
        dtype=object,
    )
    places = towns(left, low)
    mistaken = rng.random(count) < wrong
    named[mistaken] = rng.choice(list(places), int(mistaken.sum()))
    name, swapped = frame.removesuffix(" swapped"), frame.endswith(" swapped")
    x, y = points_from_metric(east, north, parse_frame(name), srid)
    return (y, x, named, places) if swapped else (x, y, named, places)


def numbered(srid):
    """The zone with its number in front of the easting."""
    return f"epsg:{srid - 4534 + 4513}"


FRAMES = ["wgs84", "gcj02", "bd09", "own", "numbered", "epsg:3857", "gcj02 swapped", "own swapped"]


@settings(max_examples=30, deadline=None)
@given(
    city=st.sampled_from(CITIES),
    frame=st.sampled_from(FRAMES),
    count=st.integers(5, 500),
    seed=st.integers(0, 10_000),
    wrong=st.sampled_from([0.0, 0.02, 0.08]),
    knows_towns=st.booleans(),
)
def test_a_wrong_frame_is_never_sure(city, frame, count, seed, wrong, knows_towns):
    frame = frame.replace("own", f"epsg:{city[0]}").replace("numbered", numbered(city[0]))
    x, y, named, places = lookalike(city, frame, count, seed, wrong=wrong)
    district = shapely.union_all(list(places.values()))
    found = candidates(
        x, y, srid=city[0], district=district, places=places, named=named if knows_towns else None
    )
    said = verdict(found)
    # Where every row names the right town, no wrong frame is even likely: it cannot place more rows right.
    if said.is_sure or (said.frame is not None and wrong == 0.0):
        assert not frame.endswith("swapped")
        assert frame in [reading.name for reading in found[0].readings]
        assert said.frame in found[0].label.split(" / ")


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("city", CITIES[:2])
def test_three_hundred_points_with_their_towns_suffice(city, frame):
    frame = frame.replace("own", f"epsg:{city[0]}").replace("numbered", numbered(city[0]))
    x, y, named, places = lookalike(city, frame, 300, 5, wrong=0.02)
    found = candidates(x, y, srid=city[0], district=None, places=places, named=named)
    said = verdict(found)
    if frame.endswith("swapped"):
        assert not said.is_sure
        assert frame.removesuffix(" swapped") + " (x ↔ y)" in found[0].label
        assert "lon" in said.zh
    else:
        assert said.is_sure, said.en
        assert frame in [reading.name for reading in found[0].readings]


def test_frames_that_read_the_numbers_alike_stand_on_one_line():
    x, y, named, places = lookalike(CITIES[0], "wgs84", 100, 1)
    found = candidates(x, y, srid=4549, district=None, places=places, named=named)
    assert found[0].label == "wgs84 / cgcs2000"
    assert len({c.label for c in found}) == len(found)
    assert verdict(found).frame == "wgs84"


def test_in_a_foreign_city_gcj02_is_wgs84():
    x, y, named, places = lookalike((32632, 690_000.0, 5_330_000.0), "wgs84", 300, 1)
    found = candidates(x, y, srid=32632, district=None, places=places, named=named)
    assert found[0].label == "wgs84 / cgcs2000 / gcj02"
    assert verdict(found).frame == "wgs84"
    x, y, named, places = lookalike((32632, 690_000.0, 5_330_000.0), "epsg:32632", 300, 1)
    found = candidates(x, y, srid=32632, district=None, places=places, named=named)
    assert verdict(found).frame == "epsg:32632"


def test_five_points_prove_nothing():
    x, y, named, places = lookalike(CITIES[0], "bd09", 5, 3)
    said = verdict(candidates(x, y, srid=4549, district=None, places=places, named=named))
    assert not said.is_sure
    assert "边界" in said.zh


def test_points_of_one_spot_count_once():
    places = towns(*CITIES[0][1:])
    # All of them 100 m from the border that GCJ-02 and BD-09 push them over.
    x, y = points_from_metric(
        np.full(300, CITIES[0][1] + TOWN_M + 100.0),
        np.full(300, CITIES[0][2] + 2_000.0),
        parse_frame("bd09"),
        4549,
    )
    found = candidates(x, y, srid=4549, district=None, places=places, named=np.full(300, "T10", dtype=object))
    assert found[0].share == 1.0
    assert not verdict(found).is_sure


def test_points_of_another_place_are_none_of_ours():
    x, y, named, places = lookalike(CITIES[1], "gcj02", 200, 1)
    elsewhere = towns(*CITIES[0][1:])
    found = candidates(
        x, y, srid=4549, district=shapely.union_all(list(elsewhere.values())), places=elsewhere
    )
    assert found == []
    assert not verdict(found).is_sure
    assert candidates(x, y, srid=4549, district=None, places={}, named=named) == []
    assert candidates(np.full(3, np.nan), np.zeros(3), srid=4549, district=None, places=places) == []


def test_names_that_are_mostly_wrong_make_nothing_sure():
    x, y, named, places = lookalike(CITIES[0], "wgs84", 500, 1, wrong=0.5)
    said = verdict(candidates(x, y, srid=4549, district=None, places=places, named=named))
    assert not said.is_sure
    assert "90%" in said.zh


def test_web_mercator_over_gcj02_is_seen_and_not_taken_for_another():
    srid, *_ = CITIES[0]
    x, y, named, places = lookalike(CITIES[0], "gcj02", 400, 2)
    import pyproj

    x, y = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(x, y)
    found = candidates(x, y, srid=srid, district=None, places=places, named=named)
    assert found[0].label == "gcj02 in epsg:3857"
    assert not verdict(found).is_sure


def _outlines(path, key):
    table = read_table(path)
    shapes = geometries_to_metric(table.geometry, parse_frame("wgs84"), 4549)
    return {name: shape for name, shape in zip(table.columns[key], shapes, strict=True) if name is not None}


def test_the_real_sites_of_shanghai_are_bd09(real_data):
    file = real_data / "shanghai_sites" / "shanghai_energy_sites_wgs84.csv"
    if not file.exists():
        pytest.skip("GEOAPP_REAL_DATA has no shanghai_sites/")
    counties = _outlines(real_data / "jinshan" / "counties_wgs84.geojson", "name")
    columns = read_table(file).columns
    x, y = (columns[name].astype(float) for name in ("lon_bd09", "lat_bd09"))
    found = candidates(x, y, srid=4549, district=None, places=counties, named=columns["county"])
    # The figures that the data's own notes give.
    assert {c.label: round(100 * c.in_named, 1) for c in found} == {
        "bd09": 97.8,
        "gcj02": 89.3,
        "wgs84 / cgcs2000": 87.5,
    }
    assert all(c.named == 1603 for c in found)
    said = verdict(found)
    assert said.is_sure
    assert said.frame == "bd09"


def test_the_real_sites_of_jinshan_are_too_few_to_be_sure(real_data):
    file = real_data / "jinshan" / "jinshan_sites_gbk_bd09.csv"
    if not file.exists():
        pytest.skip("GEOAPP_REAL_DATA has no jinshan/")
    places = _outlines(real_data / "jinshan" / "jinshan_towns_wgs84.geojson", "town")
    columns = read_table(file, encoding="gbk").columns
    x, y = (columns[name].astype(float) for name in ("lon_bd09", "lat_bd09"))
    found = candidates(x, y, srid=4549, district=None, places=places, named=columns["town"])
    assert {c.label: round(98 * c.in_named) for c in found} == {
        "bd09": 98,
        "gcj02": 91,
        "wgs84 / cgcs2000": 91,
    }
    # Seven sites near a border speak for BD-09 and none against: p = 1/128.
    said = verdict(found)
    assert (said.is_sure, said.frame) == (False, "bd09")
    assert "7" in said.zh
    assert "0.8%" in said.zh
