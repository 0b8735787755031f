"""Damaged files: refused with a sentence, or read as far as whole; never a traceback, never fewer rows in silence."""

import zipfile

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.readers import open_source, read_table
from geoapp.errors import Refused

ROWS = 60
_KINDS = [
    ".shp",
    ".dbf",
    ".shx",
    ".gpkg",
    ".fgb",
    ".geojson",
    ".geojsonl",
    ".kml",
    ".gml",
    ".csv",
    ".xlsx",
    ".parquet",
    ".zip",
    ".tab",
    ".mif",
]


def _frame():
    numbers = np.arange(ROWS)
    shapes = shapely.box(numbers, 0, numbers + 1, 1)
    return gpd.GeoDataFrame(
        {"n": numbers, "name": [f"金山区{n}号" for n in numbers]}, geometry=shapes, crs=4549
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder with a sound file of each kind."""
    folder = tmp_path_factory.mktemp("whole")
    frame = _frame()
    pyogrio.write_dataframe(frame, folder / "a.shp", encoding="GBK")
    for suffix in (".gpkg", ".fgb", ".geojson", ".geojsonl", ".gml", ".tab", ".mif"):
        pyogrio.write_dataframe(frame, folder / f"b{suffix}")
    pyogrio.write_dataframe(frame.to_crs(4326), folder / "b.kml", driver="KML")
    table = pd.DataFrame(frame[["n", "name"]])
    table.to_csv(folder / "b.csv", index=False, encoding="gbk")
    table.to_excel(folder / "b.xlsx", index=False)
    frame.to_parquet(folder / "b.parquet")
    with zipfile.ZipFile(folder / "b.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for part in folder.glob("a.*"):
            packed.write(part, part.name)
    return folder


def _try(path, expected=ROWS):
    """The rows that are read; None for a refusal, which must be a sentence in two languages that names the file."""
    try:
        with open_source(path) as source:
            rows = 0
            for table in source.chunks(16):
                rows += len(table)
                assert len(table.geometry) == len(table) if source.has_geometry else table.geometry is None
                assert all(len(values) == len(table) for values in table.columns.values())
                assert all(0 <= row < len(table) for row in table.damaged)
    except Refused as refusal:
        said = str(refusal)
        rows = None
    if rows is None:
        assert " / " in said
        assert path.stem in said
        return None
    assert rows <= expected
    return rows


def _copy(whole, folder, suffix):
    """A copy of a file and its companions; the part that is to be damaged, and the file to open."""
    stem = "a" if suffix in (".shp", ".dbf", ".shx") else "b"
    family = {".tab": (".tab", ".dat", ".map", ".id"), ".mif": (".mif", ".mid"), ".gml": (".gml", ".xsd")}
    parts = (".shp", ".dbf", ".shx", ".prj", ".cpg") if stem == "a" else family.get(suffix, (suffix,))
    for part in parts:
        (folder / f"{stem}{part}").write_bytes((whole / f"{stem}{part}").read_bytes())
    return folder / f"{stem}{suffix}", folder / (f"{stem}.shp" if stem == "a" else f"{stem}{suffix}")


@pytest.mark.parametrize("suffix", _KINDS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1))
def test_a_file_cut_off_anywhere_is_refused_or_read(whole, tmp_path_factory, suffix, share):
    folder = tmp_path_factory.mktemp("cut")
    part, opened = _copy(whole, folder, suffix)
    content = part.read_bytes()
    part.write_bytes(content[: int(share * len(content))])
    rows = _try(opened)
    if rows is None or suffix in (".csv", ".mif"):
        return  # a text that ends early may look whole
    lines = [line for line in part.read_bytes().split(b"\n") if line.strip()]
    assert rows == (len(lines) if suffix == ".geojsonl" else ROWS)


@pytest.mark.parametrize("suffix", _KINDS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_wrong_bytes_anywhere_are_refused_or_read(whole, tmp_path_factory, suffix, data):
    folder = tmp_path_factory.mktemp("bytes")
    part, opened = _copy(whole, folder, suffix)
    content = bytearray(part.read_bytes())
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        content[place] = data.draw(st.integers(0, 255))
    part.write_bytes(content)
    _try(opened, expected=10 * ROWS)


def test_a_cut_off_shapefile_says_how_many_of_how_many(whole, tmp_path):
    for suffix, said in (
        (".dbf", f"{ROWS} rows, but only"),
        (".shp", f"hold {ROWS} shapes, but only"),
        (".shx", f"{ROWS} shapes, but only"),
    ):
        part, opened = _copy(whole, tmp_path, suffix)
        part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
        with pytest.raises(Refused, match=said):
            read_table(opened)


def test_a_cut_off_shapefile_without_index_says_it_too(whole, tmp_path):
    part, opened = _copy(whole, tmp_path, ".shp")
    part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    part.with_suffix(".shx").unlink()
    with pytest.raises(Refused, match="cut off: only"):
        read_table(opened)


def test_a_table_with_its_header_only_leaves_the_shapes(whole, tmp_path):
    part, opened = _copy(whole, tmp_path, ".dbf")
    content = bytearray(part.read_bytes())
    start = int.from_bytes(content[8:10], "little")
    content[4:8] = bytes(4)
    part.write_bytes(content[:start] + b"\x1a")
    table = read_table(opened)
    assert len(table) == ROWS
    assert not table.columns
    assert any("header only" in notice for notice in table.notices)


def test_a_geopackage_that_promises_more_rows_is_refused(whole, tmp_path):
    import sqlite3

    _, opened = _copy(whole, tmp_path, ".gpkg")
    with sqlite3.connect(opened) as database:
        database.execute("UPDATE gpkg_ogr_contents SET feature_count = ?", (ROWS + 5,))
    with pytest.raises(Refused, match=f"{ROWS + 5} rows, but only {ROWS}"):
        read_table(opened)


def test_text_that_is_not_utf8_in_a_geopackage_marks_its_row(tmp_path):
    import sqlite3

    path = tmp_path / "a.gpkg"
    pyogrio.write_dataframe(_frame(), path)
    with sqlite3.connect(path) as database:
        for (trigger,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall():
            database.execute(f"DROP TRIGGER {trigger}")
        database.execute("UPDATE a SET name = CAST(x'b1ff' AS TEXT) WHERE fid = 3")
    table = read_table(path)
    assert {int(table.row_no[row]): code for row, (code, _) in table.damaged.items()} == {3: "undecodable"}


def _nested(depth):
    return b"\x01\x07\x00\x00\x00\x01\x00\x00\x00" * depth + b"\x01\x01\x00\x00\x00" + bytes(16)


def test_geometry_nested_without_end_damages_its_row_and_does_not_end_the_process(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    deep = [_nested(3), _nested(400_000), None]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"shape": pa.array(deep, type=pa.binary())}), path)
    table = read_table(path, geometry_column="shape")
    assert {row: code for row, (code, _) in table.damaged.items()} == {1: "geometry_unreadable"}
    frame = _frame().iloc[:1]
    frame.to_parquet(tmp_path / "b.parquet")
    metadata = pq.read_schema(tmp_path / "b.parquet").metadata
    made = pa.table({"geometry": pa.array(deep, type=pa.binary())}).replace_schema_metadata(metadata)
    pq.write_table(made, tmp_path / "c.parquet")
    assert {row: code for row, (code, _) in read_table(tmp_path / "c.parquet").damaged.items()} == {
        1: "geometry_unreadable"
    }


@pytest.mark.parametrize(
    "text",
    [
        "GEOMETRYCOLLECTION(" * 300_000 + "POINT(1 1)" + ")" * 300_000,
        '{"type":"GeometryCollection","geometries":[' * 200_000 + "]}" * 200_000,
        '{"type":"Point","coordinates":' + "[" * 300_000 + "]" * 300_000 + "}",
        _nested(300_000).hex(),
    ],
)
def test_so_does_geometry_as_text(tmp_path, text):
    path = tmp_path / "a.csv"
    quoted = text.replace('"', '""')
    path.write_text(f'n,shape\n1,"{quoted}"\n2,POINT (1 2)\n', encoding="utf-8")
    table = read_table(path, geometry_column="shape")
    assert {row: code for row, (code, _) in table.damaged.items()} == {0: "geometry_unreadable"}
    assert table.geometry[1] == shapely.Point(1, 2)
