"""Rows that were kept aside go out as a workbook, are corrected there, and come in again; nothing of it is lost."""

import json

import geopandas as gpd
import openpyxl
import pytest
import shapely
from district import X0, Y0, District, codes, counts, fetch, square
from stdnum.cn import uscc
from typer.testing import CliRunner

from etl.commands import app
from etl.correction import correction
from etl.load import load
from etl.manifest import load_manifest
from etl.report.long_shapes import write_long_shapes
from etl.report.workbook import write_workbook
from geoapp.database.connection import connect
from geoapp.errors import Refused

GOOD = "91310116MA1K0000" + "1"
GOOD += uscc.calc_check_digit(GOOD)
FORMULA = '=HYPERLINK("http://evil.test","x")'


@pytest.fixture
def district(tmp_path):
    return District(tmp_path).towns()


def faulty(district):
    """Nine rows; all but the first have to be corrected."""
    rows = [
        ("S1", "甲厂", 100, 100, "工业路1号", "", "一般", "12"),
        ("S2", "", 200, 100, FORMULA, "", "一般", "3"),
        ("S3", "丙厂", "", "", "", "", "低", "3"),
        ("S4", "丁厂", 300, 100, "", GOOD[:-1] + "0", "低", "3"),
        ("S5", "戊厂", 400, 100, "", "", "很大", "3"),
        ("S6", "己厂", 500, 100, "", "", "低", "十二"),
        ("S7", "庚厂", 90_000, 100, "", "", "低", "1"),
        ("S1", "辛厂", 600, 100, "", "", "低", "1"),
        ("", "壬厂", 700, 100, "-1+2", "", "低", "007"),
    ]
    return district.sites(rows, 地址="address", 代码="uscc", 风险="hazard_level", 人数="people")


def written(url, batch_id, target):
    with connect(url) as connection:
        return write_workbook(connection, batch_id, target)


def corrected(path, changes):
    """Writes cells of the sheet `rows` by row number of the file and column name; None deletes the row."""
    book = openpyxl.load_workbook(path)
    sheet = book["rows"]
    names = [cell.value for cell in sheet[1]]
    at = {sheet.cell(n, names.index("GeoApp 行号 row") + 1).value: n for n in range(2, sheet.max_row + 1)}
    for (row, column), value in changes.items():
        sheet.cell(at[str(row)], names.index(column) + 1).value = value
    book.save(path)


def load_again(district, url, path, **options):
    manifest = correction(load_manifest(district.manifest), path)
    return load(url, manifest, folder=path.parent, corrected=True, **options)


REPAIRS = {
    (3, "名称"): "乙厂",
    (4, "经度"): "121.3000000",
    (4, "纬度"): "30.8000000",
    (5, "代码"): GOOD,
    (6, "风险"): "低",
    (7, "人数"): "12",
    (9, "编号"): "S8",
    (10, "编号"): "S9",
}


def test_what_was_kept_aside_comes_in_when_it_is_corrected(empty_url, district, tmp_path):
    _, sites = faulty(district).load(empty_url)
    assert counts(sites) == (9, 1, 0, 0, 8)
    path = tmp_path / "rejected.xlsx"
    assert written(empty_url, sites.batch_id, path) == (8, 0)
    place = fetch(
        empty_url,
        "SELECT source_x AS x, source_y AS y FROM registry.site WHERE local_id = 'S1'",
    )[0]
    near = {(4, "经度"): f"{place['x'] + 0.001:.7f}", (4, "纬度"): f"{place['y']:.7f}"}
    moved = {(8, "经度"): f"{place['x'] + 0.002:.7f}", (8, "纬度"): f"{place['y']:.7f}"}
    corrected(path, REPAIRS | near | moved)
    (again,) = load_again(district, empty_url, path)
    assert codes(again) == {}
    assert counts(again) == (8, 8, 0, 0, 0)
    assert again.gone == 0
    stored = {
        row["local_id"]: row
        for row in fetch(empty_url, "SELECT local_id, name_zh, address, uscc, people FROM registry.site")
    }
    assert set(stored) == {f"S{n}" for n in range(1, 10)}
    # what nobody changed came back as it was, a formula's text and leading zeros included
    assert stored["S2"]["address"] == FORMULA
    assert (stored["S9"]["address"], stored["S9"]["people"]) == ("-1+2", 7)
    assert stored["S4"]["uscc"] == GOOD
    # the original again: nothing changes, and what was corrected is not gone
    before = fetch(empty_url, "SELECT to_jsonb(s)::text AS row FROM registry.site AS s ORDER BY id")
    _, third = district.load(empty_url)
    assert (counts(third), third.gone) == ((9, 0, 1, 0, 8), 0)
    assert fetch(empty_url, "SELECT to_jsonb(s)::text AS row FROM registry.site AS s ORDER BY id") == before
    # and the corrected workbook again: nothing to do
    (fourth,) = load_again(district, empty_url, path)
    assert counts(fourth) == (8, 0, 8, 0, 0)


def test_the_workbook_says_what_is_wrong_where_it_is(empty_url, district, tmp_path):
    _, sites = faulty(district).load(empty_url)
    path = tmp_path / "rejected.xlsx"
    written(empty_url, sites.batch_id, path)
    book = openpyxl.load_workbook(path)
    assert book.sheetnames == ["rows", "geoapp", "说明"]
    sheet = book["rows"]
    names = [cell.value for cell in sheet[1]]
    assert names[:8] == ["编号", "名称", "经度", "纬度", "地址", "代码", "风险", "人数"]
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref == "A1:K9"
    red = {
        (row[8].value, names[n])
        for row in sheet.iter_rows(min_row=2)
        for n, cell in enumerate(row[:8])
        if cell.fill.fgColor.rgb == "FFF4CCCC"
    }
    assert red == {
        ("3", "名称"),
        ("4", "经度"),
        ("4", "纬度"),
        ("5", "代码"),
        ("6", "风险"),
        ("7", "人数"),
        ("8", "经度"),
        ("8", "纬度"),
        ("9", "编号"),
        ("10", "代码"),
    }
    assert {cell.data_type for row in sheet.iter_rows() for cell in row if cell.value is not None} == {"s"}
    assert "没有名称" in sheet["B2"].comment.text
    assert "fill in the name" in sheet["K2"].value
    about = {row[0].value: row[1].value for row in book["geoapp"].iter_rows()}
    assert about == {"batch": str(sites.batch_id), "section": "sites", "file": "sites.csv", "frame": "bd09"}


def test_a_mask_is_not_stored(empty_url, district, tmp_path):
    rows = [("S1", "甲厂", 100, 100, "13800000000", "十二", "张三 310116199001011239")]
    district.sites(rows, 电话="contact_phone", 人数="people", 联系人="contact_name")
    _, sites = district.load(empty_url)
    path = tmp_path / "rejected.xlsx"
    written(empty_url, sites.batch_id, path)
    corrected(path, {(2, "人数"): "12", (2, "电话"): "***"})
    (again,) = load_again(district, empty_url, path)
    (found,) = codes(again).values()
    assert set(found) == {"masked_value"}
    assert fetch(empty_url, "SELECT FROM registry.site") == []
    text = json.dumps(fetch(empty_url, "SELECT columns FROM staging.rejected"), ensure_ascii=False)
    assert "310116199001011239" not in text
    corrected(path, {(2, "联系人"): "张三", (2, "电话"): None})
    (again,) = load_again(district, empty_url, path)
    assert counts(again) == (1, 1, 0, 0, 0)


def areas(district, shapes):
    frame = gpd.GeoDataFrame(
        {
            "编号": [f"A{n}" for n in range(len(shapes))],
            "名称": "区",
            "类型": "tank",
            "级": "red",
            "厂": "S1",
        },
        geometry=shapes,
        crs=4549,
    )
    frame.to_file(district.folder / "areas.gpkg")
    district.sections["key_risk_areas"] = {
        "file": "areas.gpkg",
        "columns": {"code": "编号", "name": "名称", "kind": "类型", "level": "级", "site": "厂"},
    }


def test_shapes_come_back_in_the_files_own_frame(empty_url, district, tmp_path):
    district.sites([("S1", "甲厂", 100, 100)])
    outside = square(-9_000, 0, 50)
    long_ring = shapely.Point(X0 - 9_000, Y0).buffer(40, quad_segs=500)
    areas(district, [square(200, 200, 50), outside, long_ring])
    *_, found = district.load(empty_url)
    assert counts(found) == (3, 1, 0, 0, 2)
    path, package = tmp_path / "r.xlsx", tmp_path / "r.gpkg"
    assert written(empty_url, found.batch_id, path) == (1, 1)
    assert "GeoPackage" in str([row[0].value for row in openpyxl.load_workbook(path)["说明"].iter_rows()])
    with connect(empty_url) as connection:
        assert write_long_shapes(connection, found.batch_id, package) == 1
    corrected(
        path, {(3 if found.rejected_rows[0]["row_no"] == 3 else 2, "geometry"): square(300, 200, 50).wkt}
    )
    (again,) = load_again(district, empty_url, path)
    assert counts(again) == (1, 1, 0, 0, 0)
    held = gpd.read_file(package, layer="rows")
    assert held.crs.to_epsg() == 4549
    assert held.geometry[0].equals_exact(long_ring, 1e-6)
    # corrected in a GIS
    about = gpd.read_file(package, layer="geoapp")
    held["geometry"] = held.geometry.translate(9_500, 400)
    package.unlink()
    held.to_file(package, layer="rows")
    about.drop(columns="geometry", errors="ignore").pipe(
        lambda t: __import__("pyogrio").write_dataframe(t, package, layer="geoapp", append=True)
    )
    (again,) = load_again(district, empty_url, package)
    assert counts(again) == (1, 1, 0, 0, 0)
    (area,) = fetch(empty_url, "SELECT ST_NPoints(geom) AS n FROM registry.key_risk_area WHERE code = 'A2'")
    assert area["n"] == 2_001


def test_what_is_no_workbook_of_ours_is_refused(empty_url, district, tmp_path):
    manifest = load_manifest(faulty(district).manifest)
    for name, content in (("x.xlsx", b"no zip"), ("x.gpkg", b"no package")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(Refused, match="sound"):
            correction(manifest, tmp_path / name)
    with pytest.raises(Refused, match="no file"):
        correction(manifest, tmp_path / "none.xlsx")
    book = openpyxl.Workbook()
    book.active.title = "rows"
    book.save(tmp_path / "x.xlsx")
    with pytest.raises(Refused, match="更正表"):
        correction(manifest, tmp_path / "x.xlsx")
    book.create_sheet("geoapp").append(["batch", "1"])
    book.save(tmp_path / "x.xlsx")
    with pytest.raises(Refused, match="不全"):
        correction(manifest, tmp_path / "x.xlsx")
    with connect(empty_url) as connection, pytest.raises(Refused, match="no import"):
        write_workbook(connection, 999, tmp_path / "y.xlsx")
    district.load(empty_url)
    with connect(empty_url) as connection, pytest.raises(Refused, match="kept no row"):
        write_workbook(connection, 1, tmp_path / "y.xlsx")


def test_the_commands_write_both_files(empty_url, district, tmp_path, monkeypatch):
    _, sites = faulty(district).load(empty_url)
    monkeypatch.setattr("etl.report_commands.database_url", lambda: empty_url)
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    assert run(app, ["report", str(sites.batch_id)]).output.strip() == f"report-{sites.batch_id}.html"
    assert "8 行" in run(app, ["rejected", str(sites.batch_id), "-o", "out.xlsx"]).output
    assert (tmp_path / "out.xlsx").stat().st_size > 5_000
    assert (tmp_path / f"report-{sites.batch_id}.html").read_text("utf-8").startswith("<!doctype html>")
