"""Readers: encodings with evidence, companions of a shapefile, damaged files, and no row lost on the way."""

import csv
import io
import json

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from etl.encoding import detect
from etl.inspection import describe
from etl.readers import read_table
from geoapp.errors import Refused

NAMES = ["金山区朱泾镇加油站", "张堰镇危险品仓库", "亭林镇木材加工厂", "漕泾镇化工装置区"]


def _csv(encoding, rows=None):
    rows = rows or [["编号", "名称"], *([str(n), name] for n, name in enumerate(NAMES))]
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    return text.getvalue().encode(encoding)


@pytest.mark.parametrize(
    ("encoding", "found", "evidence"),
    [
        ("gbk", "gb18030", "common"),
        ("utf-8", "utf-8", "valid UTF-8"),
        ("utf-8-sig", "utf-8-sig", "byte order mark"),
        ("utf-16", "utf-16", "byte order mark"),
    ],
)
def test_encoding_is_found_and_said_why(tmp_path, encoding, found, evidence):
    path = tmp_path / "a.csv"
    path.write_bytes(_csv(encoding))
    table = read_table(path)
    assert table.encoding == found
    assert evidence in table.evidence
    assert list(table.columns) == ["编号", "名称"]
    assert table.columns["名称"].tolist() == NAMES


def test_rare_characters_of_names_are_read_where_gbk_was_declared(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("名称\n张堰镇\U00020087厂\n".encode("gb18030"))  # beyond GBK proper
    assert read_table(path, encoding="gbk").columns["名称"].tolist() == ["张堰镇\U00020087厂"]


def test_an_encoding_that_cannot_be_told_is_not_guessed():
    with pytest.raises(Refused, match="Declare `encoding`"):
        detect("Größe; Straße; Façade; señor; è à ù".encode("latin-1") * 20, what="x.csv")


def test_a_wrongly_declared_encoding_is_refused_with_the_right_one(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(_csv("gbk", [["名称"], *[[name] for name in NAMES * 5]]))
    with pytest.raises(Refused, match="gb18030"):
        read_table(path, encoding="utf-8")


def test_single_bad_bytes_mark_their_row_only(tmp_path):
    path = tmp_path / "a.csv"
    rows = _csv("utf-8").split(b"\r\n")
    rows[2] = rows[2][:-1]  # half a character
    path.write_bytes(b"\r\n".join(rows))
    table = read_table(path, encoding="utf-8")
    assert len(table) == len(NAMES)
    assert {int(table.row_no[r]): code for r, (code, _) in table.damaged.items()} == {3: "undecodable"}


def test_rows_of_a_wrong_width_are_marked_and_counted(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b,c\n1,2,3\n1,2\n1,2,3,4\n1,2,3,,\n\n4,5,6\n", encoding="utf-8")
    table = read_table(path)
    assert table.row_no.tolist() == [2, 3, 4, 5, 7]
    assert {int(table.row_no[r]) for r in table.damaged} == {3, 4}


def test_an_open_quotation_mark_does_not_swallow_the_rest(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b\n" + '1,"open\n' + "2,x\n" * 500, encoding="utf-8")
    with pytest.raises(Refused, match="line 2"):
        read_table(path)


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators(tmp_path, separator):
    path = tmp_path / "a.txt"
    path.write_text(f"a{separator}b\n1{separator}x, y\n", encoding="utf-8")
    assert read_table(path).columns["b"].tolist() == ["x, y"]


@given(cut=st.integers(0, 400))
def test_a_file_cut_off_anywhere_loses_no_whole_row(tmp_path_factory, cut):
    rows = [["编号", "名称"], *([str(n), NAMES[n % 4]] for n in range(12))]
    content = _csv("gbk", rows)[:cut]
    path = tmp_path_factory.mktemp("c") / "a.csv"
    path.write_bytes(content)
    whole = max(content.count(b"\r\n") - 1, 0)
    try:
        table = read_table(path, encoding="gbk")
    except Refused:
        assert cut < len(_csv("gbk", rows[:1]))  # nothing but a part of the header, or nothing at all
        return
    assert len(table) in (whole, whole + 1)
    names = table.columns.get("名称", np.array([]))
    assert list(names[:whole]) == [row[1] for row in rows[1 : whole + 1]]


def _shapefile(folder, **options):
    frame = gpd.GeoDataFrame(
        {"MC": NAMES[:2], "DM": [310116101000, 310116102000]},
        geometry=[shapely.box(0, 0, 1, 1), shapely.box(1, 0, 2, 1)],
        crs=4549,
    )
    path = folder / "zhen.shp"
    frame.to_file(path, encoding=options.get("encoding", "utf-8"), engine="pyogrio")
    return path


def test_a_shapefile_in_gbk_without_cpg_is_read(tmp_path):
    path = _shapefile(tmp_path, encoding="gbk")
    path.with_suffix(".cpg").unlink(missing_ok=True)
    dbf = bytearray(path.with_suffix(".dbf").read_bytes())
    dbf[29] = 0  # no language driver either
    path.with_suffix(".dbf").write_bytes(dbf)
    table = read_table(path)
    assert table.columns["MC"].tolist() == NAMES[:2]
    assert table.columns["DM"].tolist() == ["310116101000", "310116102000"]
    assert "common" in table.evidence
    assert table.crs is not None
    assert table.crs.to_epsg() == 4549


def test_missing_companions_of_a_shapefile_are_said(tmp_path):
    path = _shapefile(tmp_path)
    path.with_suffix(".prj").unlink()
    path.with_suffix(".dbf").unlink()
    table = read_table(path)
    assert len(table) == 2
    assert table.crs is None
    assert not table.columns
    assert len([n for n in table.notices if ".prj" in n or ".dbf" in n]) == 2
    path.with_suffix(".shx").unlink()
    again = read_table(path)
    assert len(again) == 2
    assert shapely.equals(again.geometry, table.geometry).all()
    assert any("no .shx" in notice for notice in again.notices)


def test_a_table_that_does_not_match_its_shapes_is_refused(tmp_path):
    path = _shapefile(tmp_path)
    dbf = bytearray(path.with_suffix(".dbf").read_bytes())
    dbf[4:8] = (1).to_bytes(4, "little")
    path.with_suffix(".dbf").write_bytes(dbf)
    with pytest.raises(Refused, match="2 shapes"):
        read_table(path)


def test_geojson_states_its_system_only_by_a_crs_member(tmp_path):
    feature = {
        "type": "Feature",
        "properties": {"n": 1},
        "geometry": {"type": "Point", "coordinates": [121, 31]},
    }
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    assert read_table(path).crs is None
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4490"}}
    path.write_text(json.dumps({"type": "FeatureCollection", "crs": crs, "features": [feature]}))
    found = read_table(path).crs
    assert found is not None
    assert found.to_epsg() == 4490


def test_geopackage_layers_are_named(tmp_path):
    path = tmp_path / "a.gpkg"
    for layer in ("one", "two"):
        gpd.GeoDataFrame({"n": [1.0]}, geometry=[shapely.Point(0, 0)], crs=4549).to_file(path, layer=layer)
    with pytest.raises(Refused, match="one, two"):
        read_table(path)
    assert read_table(path, layer="two").columns["n"].tolist() == ["1"]
    with pytest.raises(Refused, match="three"):
        read_table(path, layer="three")


def test_a_workbook_keeps_codes_whole_and_dates_plain(tmp_path):
    openpyxl = pytest.importorskip("openpyxl", reason="openpyxl is not installed")
    from datetime import datetime

    book = openpyxl.Workbook()
    book.active.append(["编号", "日期", "经度"])
    book.active.append([310116101000, datetime(2026, 3, 1), 121.25])
    book.active.append([None, None, None])
    book.active.append([310116102000.0, None, "x"])
    path = tmp_path / "a.xlsx"
    book.save(path)
    table = read_table(path)
    assert table.columns["编号"].tolist() == ["310116101000", "310116102000"]
    assert table.columns["日期"].tolist() == ["2026-03-01", None]
    assert table.row_no.tolist() == [2, 4]
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(Refused, match="xlsx"):
        read_table(path)


@pytest.mark.parametrize("name", ["a.geojson", "a.gpkg", "a.shp", "a.csv", "a.xlsx", "a.docx", "a.zip"])
@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe rubbish \x80" * 40])
def test_rubbish_is_refused_by_name_without_a_traceback(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(Refused, match=r"^a\."):
        read_table(path)


def test_a_missing_file_names_the_nearest(tmp_path):
    (tmp_path / "sites.csv").write_text("a\n1\n")
    with pytest.raises(Refused, match=r"did you mean sites\.csv"):
        read_table(tmp_path / "site.csv")


def test_inspect_names_every_possible_frame_and_guesses_none(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("名称,经度,纬度\n甲,121.3,30.8\n乙,121.4,30.9\n", encoding="gbk")
    found = describe(path)
    assert found["rows"] == 2
    line = " ".join(found["coordinates"])
    assert all(frame in line for frame in ("wgs84", "cgcs2000", "gcj02", "bd09"))
    path.write_text("名称,经度,纬度\n甲,30.8,121.3\n乙,30.9,121.4\n", encoding="gbk")
    assert "swapped" in " ".join(describe(path)["coordinates"])
    path.write_text("名称,x,y\n甲,624000,3410000\n乙,625000,3411000\n", encoding="gbk")
    assert "epsg:4549" in " ".join(describe(path)["coordinates"])
