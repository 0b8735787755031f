"""Geometry: points straight from WKB, curves, and geometry that stands in a column."""

import json
import struct

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from etl.readers import open_source, read_table
from etl.readers.points import curved_rows, points_of
from geoapp.errors import Refused

_floats = st.floats(-1e7, 1e7)
_point = st.one_of(
    st.none(),
    st.builds(shapely.Point, _floats, _floats),
    st.builds(shapely.Point, _floats, _floats, _floats),
    st.just(shapely.Point()),
)


@given(st.lists(_point, max_size=12), st.sampled_from(["iso", "extended"]), st.integers(0, 3))
def test_points_are_those_that_shapely_reads(points, flavor, start):
    wkb = [
        None if point is None else shapely.to_wkb(point, flavor=flavor, output_dimension=3)
        for point in points
    ]
    column = pa.array([*([b"\x01\x02"] * start), *wkb], type=pa.binary())[start:]
    x, y = points_of(column)
    places = [(np.nan, np.nan) if point is None or point.is_empty else (point.x, point.y) for point in points]
    assert np.array_equal(np.column_stack([x, y]), np.reshape(places, (-1, 2)), equal_nan=True)


def test_points_are_none_where_anything_else_is_among_them():
    assert points_of(pa.array([shapely.Point(1, 2).wkb, shapely.LineString([(0, 0), (1, 1)]).wkb])) is None
    assert points_of(pa.array([shapely.Point(1, 2).wkb, b"\x01"])) is None
    assert points_of(pa.array([shapely.MultiPoint([(1, 2)]).wkb])) is None
    big = shapely.to_wkb(shapely.Point(1, 2), byte_order=0)
    assert points_of(pa.array([big])) is None
    assert len(points_of(pa.array([], type=pa.binary()))[0]) == 0


def test_curves_are_made_into_lines_and_said(tmp_path):
    import sqlite3

    path = tmp_path / "a.gpkg"
    frame = gpd.GeoDataFrame({"n": [1, 2]}, geometry=shapely.box([0, 5], 0, [1, 6], 1), crs=4549)
    pyogrio.write_dataframe(frame, path)
    with sqlite3.connect(path) as database:
        for (trigger,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        (blob,) = database.execute("SELECT geom FROM a WHERE fid = 1").fetchone()
        arc = struct.pack("<BII6d", 1, 8, 3, 0, 0, 1, 1, 2, 0)  # CIRCULARSTRING (0 0, 1 1, 2 0)
        database.execute("UPDATE a SET geom = ? WHERE fid = 1", (blob[: len(blob) - 93] + arc,))
    table = read_table(path)
    assert any("curves" in notice for notice in table.notices)
    assert table.geometry[0].geom_type == "LineString"
    assert table.geometry[0].length == pytest.approx(np.pi, abs=0.01)
    assert table.geometry[1].geom_type == "Polygon"
    assert curved_rows(pa.array([arc, None, shapely.Point(0, 0).wkb])).tolist() == [0]


def test_heights_are_kept_in_the_shapes(tmp_path):
    path = tmp_path / "a.gpkg"
    frame = gpd.GeoDataFrame({"n": [1]}, geometry=[shapely.Point(1, 2, 3)], crs=4549)
    pyogrio.write_dataframe(frame, path)
    table = read_table(path)
    assert shapely.get_z(table.geometry).tolist() == [3]
    assert [values.tolist() for values in table.points()] == [[1], [2]]


POINT = shapely.Point(121.5, 30.75)
SPELLINGS = [
    POINT.wkt,
    "point(121.5 30.75)",
    "SRID=4490;POINT(121.5 30.75)",
    "srid = 4490 ; POINT (121.5 30.75)",
    POINT.wkb_hex,
    POINT.wkb_hex.lower(),
    shapely.to_wkb(shapely.set_srid(POINT, 4490), hex=True, include_srid=True),
    shapely.to_wkb(POINT, hex=True, byte_order=0),
    json.dumps(POINT.__geo_interface__),
    json.dumps({"type": "Feature", "properties": {}, "geometry": POINT.__geo_interface__}),
]
BAD = [
    "POINT (1",
    "121.5, 30.75",
    "0101",
    "{}",
    '{"type": "Point"}',
    "CIRCULARSTRING (0 0, 1 1, 2 0)",
    "没有",
    "SRID=4490;",
]


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".parquet"])
def test_geometry_in_a_column_is_told_by_each_value(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    frame = pd.DataFrame({"n": range(len(SPELLINGS) + len(BAD) + 1), "图形": [*SPELLINGS, *BAD, None]})
    if suffix == ".csv":
        frame.to_csv(path, index=False)
    elif suffix == ".xlsx":
        frame.to_excel(path, index=False)
    else:
        frame.to_parquet(path)
    table = read_table(path, geometry_column="图形")
    good = len(SPELLINGS)
    assert all(shapely.equals(shapely.force_2d(shape), POINT) for shape in table.geometry[:good])
    assert table.geometry[good:].tolist() == [None] * (len(BAD) + 1)
    assert {row: code for row, (code, _) in table.damaged.items()} == dict.fromkeys(
        range(good, good + len(BAD)), "geometry_unreadable"
    )
    assert table.crs.to_epsg() == 4490
    assert "SRID=4490" in table.crs_from
    x, _ = table.points()
    assert x[:good].tolist() == [121.5] * good


def test_bytes_in_parquet_are_geometry_too(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"g": pa.array([POINT.wkb, None, b"\x00"], type=pa.binary())}), path)
    table = read_table(path, geometry_column="g")
    assert table.geometry[0] == POINT
    assert list(table.damaged) == [2]
    assert table.crs is None


def test_values_in_two_systems_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("g\nSRID=4490;POINT(1 2)\nSRID=4549;POINT(1 2)\n", encoding="utf-8")
    with pytest.raises(Refused, match="SRID 4490, 4549"):
        open_source(path, geometry_column="g")


def test_a_wrong_geometry_column_is_refused_with_the_nearest(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("n,geometry\n1,POINT(1 2)\n", encoding="utf-8")
    with pytest.raises(Refused, match="did you mean 'geometry'"):
        open_source(path, geometry_column="geometri")
    with open_source(path, geometry_column="geometry") as source:
        assert source.has_geometry
        assert source.column_names == ["n", "geometry"]
