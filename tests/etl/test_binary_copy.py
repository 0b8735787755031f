"""Arrays come back from PostgreSQL as they went in, whatever they hold."""

from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.binary_copy import HEADER, TRAILER, Places, encode
from geoapp.database.connection import connect

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=12)
KINDS = {
    "text": TEXT,
    "int4": st.integers(-(2**31), 2**31 - 1),
    "int8": st.integers(-(2**63), 2**63 - 1),
    "float8": st.floats(allow_nan=False, width=64),
    "bool": st.booleans(),
    "date": st.dates(date(1900, 1, 1), date(2200, 1, 1)),
    "timestamptz": st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),
    "text[]": st.lists(TEXT, max_size=3),
}


@pytest.fixture(scope="module")
def connection(cluster):
    with connect(cluster.url(), autocommit=True) as opened:
        types = ", ".join(f'"{kind}" {kind}' for kind in KINDS)
        opened.execute(f"CREATE TEMP TABLE t (n int4, {types})")
        yield opened


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(st.fixed_dictionaries({k: st.none() | v for k, v in KINDS.items()}), max_size=6))
def test_values_come_back(connection, rows):
    columns = {"n": np.arange(len(rows), dtype=np.int32)}
    for kind in KINDS:
        column = np.empty(len(rows), dtype=object)
        column[:] = [row[kind] for row in rows]
        columns[kind] = column
    connection.execute("TRUNCATE t")
    with connection.cursor().copy("COPY t FROM STDIN (FORMAT binary)") as copy:
        copy.write(HEADER)
        copy.write(encode(columns, {"n": "int4"} | {k: k for k in KINDS}, srid=4549))
        copy.write(TRAILER)
    stored = connection.execute("SELECT * FROM t ORDER BY n").fetchall()
    assert [{k: row[k] for k in KINDS} for row in stored] == rows


def test_slices_of_arrow_arrays_and_places(connection):
    connection.execute(
        "CREATE TEMP TABLE p (name text, geom geometry(Point, 4549), shape geometry(Polygon, 4549))"
    )
    names = pa.array(["no", "一", None, "三", "no"]).slice(1, 3)
    places = Places(np.array([1.5, np.nan, 3.0]), np.array([2.5, 2.0, 4.0]))
    shapes = np.array([shapely.box(0, 0, 1, 2), None, shapely.box(0, 0, 3, 3)], dtype=object)
    types = {"name": "text", "geom": "geometry", "shape": "geometry"}
    with connection.cursor().copy("COPY p FROM STDIN (FORMAT binary)") as copy:
        copy.write(HEADER)
        copy.write(encode({"name": names, "geom": places, "shape": shapes}, types, srid=4549))
        copy.write(
            encode(
                {"name": names[:0], "geom": places.take(slice(0, 0)), "shape": shapes[:0]}, types, srid=4549
            )
        )
        copy.write(TRAILER)
    rows = connection.execute(
        "SELECT name, ST_X(geom) AS x, ST_SRID(geom) AS srid, ST_Area(shape) AS m2 FROM p"
    ).fetchall()
    assert [tuple(r.values()) for r in rows] == [
        ("一", 1.5, 4549, 2.0),
        (None, None, None, None),
        ("三", 3.0, 4549, 9.0),
    ]
