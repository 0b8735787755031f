"""A manifest into PostGIS: every row counted, set aside with reasons, the same again changes nothing, all or nothing.

The city is made here: two square towns of 4 km in EPSG:4549, files in GBK and BD-09 as a district brings them.
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import psycopg
import pytest
import shapely
import yaml
from district import (
    CITY,
    SIDE,
    TOWN_A,
    TOWN_B,
    VILLAGE,
    X0,
    Y0,
    District,
    codes,
    counts,
    degrees,
    fetch,
    square,
)
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from etl.load import open_store
from etl.manifest import load_manifest
from geoapp.database.connection import connect
from geoapp.errors import Refused
from geoapp.registry.identifiers import camera_gb_id, generate_uscc


@pytest.fixture
def district(tmp_path):
    return District(tmp_path).towns()


def test_a_gbk_file_in_bd09_lands_where_it_is(empty_url, district):
    places = [(f"S{n}", f"加油站{n}", 300.0 * n + 50, 200.0 * n + 70) for n in range(19)]
    units, sites = district.sites(places).load(empty_url)
    assert counts(units) == (2, 2, 0, 0, 0)
    assert counts(sites) == (19, 19, 0, 0, 0)
    assert (sites.encoding, sites.frame) == ("gb18030", "bd09")
    rows = {
        r["local_id"]: r
        for r in fetch(
            empty_url,
            "SELECT *, ST_X(geom) AS x, ST_Y(geom) AS y, ST_SRID(geom) AS srid FROM registry.site",
        )
    }
    for key, name, x, y in places:
        stored = rows[key]
        assert stored["name_zh"] == name
        assert np.hypot(stored["x"] - X0 - x, stored["y"] - Y0 - y) < 0.05  # 7 decimals of a degree
        assert stored["srid"] == 4549
        assert stored["town_code"] == (TOWN_A if x < SIDE else TOWN_B)
        assert stored["source_frame"] == "bd09"
        assert (stored["source_x"], stored["source_y"]) == pytest.approx(degrees(x, y, "bd09"), abs=1e-7)
        assert not stored["is_generated"]


def test_the_county_is_the_union_of_its_towns(empty_url, district):
    district.load(empty_url)
    (county,) = fetch(empty_url, "SELECT *, ST_Area(geom) AS m2 FROM territory.unit WHERE level = 'county'")
    assert county["code"] == "310116000000"
    assert county["m2"] == pytest.approx(2 * SIDE**2, abs=1)


def test_a_county_outline_of_its_own_is_kept_and_compared(empty_url, district):
    county = gpd.GeoDataFrame(
        {"DM": ["310116"], "MC": ["试县"]}, geometry=[shapely.box(X0, Y0, X0 + 8000, Y0 + 5000)], crs=4549
    )
    county.to_file(district.folder / "county.gpkg")
    district.sections["units"] = [
        district.sections["units"],
        {"file": "county.gpkg", "columns": {"code": "DM", "name": "MC"}},
    ]
    results = district.load(empty_url)
    assert counts(results[1]) == (1, 0, 0, 1, 0)  # its six digits were filled up, and that is said
    assert results[1].repaired_rows[0]["before"] == "310116"
    said = " ".join(results[0].notices)
    assert "IoU 0.800" in said
    assert "8.0 km² of the outline is in no town" in said
    (row,) = fetch(empty_url, "SELECT ST_Area(geom) AS m2 FROM territory.unit WHERE level = 'county'")
    assert row["m2"] == pytest.approx(40e6, abs=1)


def test_the_same_manifest_twice_changes_nothing(empty_url, district):
    district.sites([("S1", "甲厂", 100, 100), ("S2", "乙厂", 200, 100), ("S2", "丙厂", 300, 100)])
    district.load(empty_url)
    tables = "SELECT 'u' AS t, u::text AS row FROM territory.unit AS u UNION ALL SELECT 's', s::text FROM registry.site AS s ORDER BY 1, 2"
    versions = "SELECT layer, version FROM territory.layer_version ORDER BY layer"
    before = fetch(empty_url, tables), fetch(empty_url, versions)
    again = district.load(empty_url)
    assert [counts(r) for r in again] == [(2, 0, 2, 0, 0), (3, 0, 2, 0, 1)]
    assert (fetch(empty_url, tables), fetch(empty_url, versions)) == before


def test_only_what_changed_is_written(empty_url, district):
    district.sites([("S1", "甲厂", 100, 100), ("S2", "乙厂", 200, 100)]).load(empty_url)
    district.sites([("S1", "甲厂", 100, 100), ("S2", "乙厂", 260, 100), ("S3", "丙厂", 300, 100)])
    _, sites = district.load(empty_url)
    assert counts(sites) == (3, 2, 1, 0, 0)
    batch = {
        r["local_id"]: r["batch_id"] for r in fetch(empty_url, "SELECT local_id, batch_id FROM registry.site")
    }
    assert batch["S1"] < batch["S2"] == batch["S3"] == sites.batch_id


def test_every_reason_is_found_and_kept_with_the_whole_row(empty_url, district):
    good = str(generate_uscc("310116", np.array([7]))[0])
    bad = good[:-1] + ("0" if good[-1] != "0" else "1")
    wanted = [
        (("A1", "好", 100, 100, good, TOWN_A), []),
        (("A2", "", 100, 100, "", ""), ["name_missing"]),
        (("", "无号", 100, 100, "", ""), ["key_missing"]),
        (("A1", "重号", 150, 100, "", ""), ["duplicate_in_file"]),
        (("A5", "重码", 150, 100, good, ""), ["duplicate_in_file"]),
        (("A6", "错码", 100, 100, bad, ""), ["uscc_invalid"]),
        (("A7", "无坐标", "", "", "", ""), ["coordinate_missing", "coordinate_missing"]),
        (("A8", "字母", "121.3E", "30.8", "", ""), ["coordinate_not_number"]),
        (("A9", "零", "0", "0", "", ""), ["coordinate_missing"]),
        (("A10", "颠倒", "30.8", "121.3", "", ""), ["coordinate_swapped"]),
        (("A11", "越界", "500", "30.8", "", ""), ["coordinate_out_of_range"]),
        (("A12", "远方", "116.4", "39.9", "", ""), ["outside_zone"]),
        (("A13", "邻县", 9000, 100, "", ""), ["outside_district"]),
        (("A14", "他镇", 100, 100, "", TOWN_B), ["outside_named_town"]),
        (("A15", "无此镇", 100, 100, "", "丙镇"), ["unknown_town"]),
        (("A16", "九位", 100, 100, "", TOWN_A[:9]), []),
    ]
    district.sites([row for row, _ in wanted], 信用代码="uscc", 所属镇="town_code")
    _, sites = district.load(empty_url)
    found = codes(sites)
    for row_no, (row, reasons) in enumerate(wanted, start=2):
        assert found.get(row_no, []) == reasons, row
    assert counts(sites) == (16, 2, 0, 0, 14)
    kept = fetch(empty_url, "SELECT * FROM staging.rejected WHERE batch_id = %s ORDER BY id", sites.batch_id)
    assert {r["row_no"] for r in kept} == set(found)
    assert all(r["reason_zh"] and r["reason_en"] for r in kept)
    lost = next(r for r in kept if r["reason_code"] == "outside_district")
    assert set(lost["columns"]) == {"编号", "名称", "经度", "纬度", "信用代码", "所属镇"}
    assert lost["columns"]["名称"] == "邻县"
    assert "1000 m" in lost["reason_en"]  # 9,000 m east in a county 8,000 m wide
    other = next(r for r in kept if r["reason_code"] == "duplicate_in_file")
    assert "row 2" in other["reason_en"]


@hypothesis_settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["", "K1", "K2", "K3", "K4", "K5"]),
            st.sampled_from(["", "厂", "店"]),
            st.one_of(st.floats(-3000, 11_000), st.sampled_from(["", "x", "200", "nan"])),
            st.floats(-3000, 7000),
        ),
        min_size=1,
        max_size=25,
    )
)
def test_no_row_is_lost_or_counted_twice(empty_url, tmp_path, rows):
    district = District(tmp_path).towns()
    district.sites([(k, n, x, y if isinstance(x, float) else "30.8") for k, n, x, y in rows])
    _, sites = district.load(empty_url)
    assert sites.rows_in == len(rows)
    assert sites.rows_in == sites.stored + sites.unchanged + sites.repaired + sites.rejected
    assert sites.rejected == len(sites.rejected_rows) == len({r["row_no"] for r in sites.rejected_rows})
    (batch,) = fetch(empty_url, "SELECT * FROM staging.batch WHERE id = %s", sites.batch_id)
    assert batch["finished_at"] is not None
    assert (batch["rows_in"], batch["rows_rejected"]) == (sites.rows_in, sites.rejected)
    (kept,) = fetch(
        empty_url,
        "SELECT count(DISTINCT row_no) AS n FROM staging.rejected WHERE batch_id = %s",
        sites.batch_id,
    )
    assert kept["n"] == sites.rejected
    assert all(
        k != "" for r in fetch(empty_url, "SELECT local_id AS k FROM registry.site") for k in r.values()
    )


def test_a_dry_run_counts_the_same_and_stores_nothing(empty_url, district):
    district.sites([("S1", "甲厂", 100, 100), ("S2", "", 200, 100)])
    dry = district.load(empty_url, dry_run=True)
    assert [counts(r) for r in dry] == [(2, 2, 0, 0, 0), (2, 1, 0, 0, 1)]
    for table in ("territory.city", "territory.unit", "registry.site", "staging.batch", "staging.rejected"):
        assert fetch(empty_url, f"SELECT FROM {table}") == []
    assert [counts(r) for r in district.load(empty_url)] == [counts(r) for r in dry]


@pytest.mark.parametrize("fault", ["missing file", "missing column", "no frame", "two frames", "other file"])
def test_a_failing_section_leaves_nothing_half_stored(empty_url, district, fault):
    district.sites([("S1", "甲厂", 100, 100)])
    sites = district.sections["sites"]
    if fault == "missing file":
        sites["file"], expected = "site.csv", r"did you mean sites\.csv"
    elif fault == "missing column":
        sites["columns"]["name"], expected = "名", "did you mean '名称'"
    elif fault == "no frame":
        del sites["frame"]
        expected = "does not guess"
    elif fault == "two frames":
        district.sections["units"]["frame"], expected = "gcj02", r"says epsg:4549.*gcj02"
    else:
        (district.folder / "sites.csv").write_bytes(b"")
        expected = "empty file"
    with pytest.raises(Refused, match=expected):
        district.load(empty_url)
    for table in ("territory.city", "territory.unit", "registry.site", "staging.batch"):
        assert fetch(empty_url, f"SELECT FROM {table}") == []


def test_a_broken_second_load_keeps_what_was_stored(empty_url, district):
    district.sites([("S1", "甲厂", 100, 100)]).load(empty_url)
    district.sections["sites"]["file"] = "gone.csv"
    with pytest.raises(Refused):
        district.load(empty_url)
    assert len(fetch(empty_url, "SELECT FROM registry.site")) == 1


def test_another_city_is_refused(empty_url, district):
    district.load(empty_url)
    district.sections["city"]["code"] = "310117"
    with pytest.raises(Refused, match="GEOAPP_HOME"):
        district.load(empty_url)


def test_an_empty_schema_of_another_zone_is_made_anew_but_a_filled_one_never(make_database, district):
    url = make_database()
    other = load_manifest_of(district, {"metric_srid": 4552, "code": "231004"})
    with open_store(url, other.city, dry_run=True) as scratch:
        assert scratch != url
    with open_store(url, other.city, dry_run=False) as same:
        assert same == url
    assert fetch(url, "SELECT Find_SRID('territory', 'unit', 'geom') AS srid") == [{"srid": 4552}]
    full = make_database()
    district.load(full)
    with pytest.raises(Refused, match="4549"), open_store(full, other.city, dry_run=False):
        pass
    assert len(fetch(full, "SELECT FROM territory.unit")) == 3


def load_manifest_of(district, city):
    path = district.folder / "other.yaml"
    path.write_text(yaml.safe_dump({"city": CITY | city}, allow_unicode=True), encoding="utf-8")
    return load_manifest(path)


def test_the_sample_city_keeps_its_mark(empty_url, district):
    with connect(empty_url) as connection:
        connection.execute(
            "INSERT INTO territory.city (name_zh, name_en, code, metric_srid, is_generated) VALUES ('示例', 'Sample', '310116', 4549, true)"
        )
        connection.execute(
            "INSERT INTO territory.unit (code, level, name_zh, is_generated) VALUES (%s, 'town', '生成的镇', true)",
            (TOWN_A,),
        )
    district.sites([("S1", "甲厂", SIDE + 100, 100)])
    with pytest.raises(Refused, match="--into-sample"):
        district.load(empty_url)
    units, sites = district.load(empty_url, into_sample=True)
    assert codes(units) == {1: ["held_by_sample"]}
    assert counts(sites) == (1, 1, 0, 0, 0)
    assert fetch(empty_url, "SELECT is_generated, name_zh FROM territory.city") == [
        {"is_generated": True, "name_zh": "示例"}
    ]
    (town,) = fetch(empty_url, "SELECT name_zh FROM territory.unit WHERE code = %s", TOWN_A)
    assert town["name_zh"] == "生成的镇"


def test_units_are_repaired_or_set_aside(empty_url, tmp_path):
    bow_tie = shapely.Polygon(
        [(X0, Y0 + 4000), (X0 + 3000, Y0 + 7000), (X0 + 3000, Y0 + 4000), (X0, Y0 + 7000)]
    )
    line = shapely.LineString([(X0, Y0), (X0 + 1, Y0)])
    district = District(tmp_path).towns(
        [
            ("310116103000", "丙镇", bow_tie),
            ("310116104", "丁镇", square(0, 8000, 1000)),
            ("31011610", "短码", square(0, 9000, 10)),
            ("310117101000", "邻镇", square(0, 9100, 10)),
            ("310116109001", "无上级", square(0, 9200, 10)),
            ("310116105000", "线", line),
            (None, "岛", square(0, 9300, 1000)),
            ("310116106000", "空", None),
        ]
    )
    (units,) = district.load(
        empty_url,
    )
    assert codes(units) == {
        5: ["unit_code_invalid"],
        6: ["unit_elsewhere"],
        7: ["parent_missing"],
        8: ["geometry_wrong_type"],
        9: ["key_missing"],
        10: ["geometry_missing"],
    }
    assert counts(units) == (10, 2, 0, 2, 6)
    assert {r["code"] for r in units.repaired_rows} == {"geometry_made_valid", "unit_code_padded"}
    kept = fetch(empty_url, "SELECT * FROM staging.repaired WHERE batch_id = %s", units.batch_id)
    before = next(row for row in kept if row["reason_code"] == "geometry_made_valid")
    assert not shapely.from_wkt(before["before"]).is_valid
    assert shapely.from_wkt(before["after"]).area == pytest.approx(4_500_000, rel=0.01)
    assert fetch(empty_url, "SELECT bool_and(ST_IsValid(geom)) AS ok FROM territory.unit") == [{"ok": True}]
    again = district.load(empty_url)
    assert counts(again[0]) == (10, 0, 4, 0, 6)


def _grid(district, rows):
    frame = gpd.GeoDataFrame({"BM": [r[0] for r in rows]}, geometry=[r[1] for r in rows], crs=4549)
    frame.to_file(district.folder / "grid.gpkg")
    district.sections["grid"] = {"file": "grid.gpkg", "columns": {"code": "BM"}}


def test_a_grid_is_checked_and_places_the_sites(empty_url, tmp_path):
    district = District(tmp_path).towns([(VILLAGE, "甲村", square(0, 0, SIDE))])
    parts = shapely.MultiPolygon([square(2100, 0, 100), square(2500, 0, 100)])
    _grid(
        district,
        [
            (VILLAGE + "000100", square(0, 0, 1000)),
            (VILLAGE + "-0-002-00", shapely.MultiPolygon([square(1000, 0, 1000)])),
            (VILLAGE + "0003", square(0, 1000, 100)),
            ("310116101009000400", square(0, 1100, 100)),
            (VILLAGE + "000500", parts),
            (VILLAGE + "000600", square(10, 10, 980)),
        ],
    )
    district.sites([("S1", "甲厂", 500, 500), ("S2", "乙厂", 1500, 500), ("S3", "丙厂", 3500, 500)])
    _, grid, sites = district.load(empty_url)
    assert codes(grid) == {
        3: ["cell_code_invalid"],
        4: ["parent_missing"],
        5: ["geometry_multi_part"],
        6: ["same_ground"],
    }
    assert counts(grid) == (6, 2, 0, 0, 4)
    # 32 km² of district, 2 km² in cells: said as an area, not as a row's fault
    assert any("ground in no cell and not declared" in n and "30,000,000 m²" in n for n in grid.notices)
    assert counts(sites)[1] == 3
    where = {
        r["local_id"]: r["cell_code"]
        for r in fetch(empty_url, "SELECT local_id, cell_code FROM registry.site")
    }
    assert where == {"S1": VILLAGE + "000100", "S2": VILLAGE + "000200", "S3": None}


def test_a_grid_is_compared_with_the_district(empty_url, tmp_path):
    other = TOWN_B[:9] + "001"
    district = District(tmp_path).towns(
        [(VILLAGE, "甲村", square(0, 0, SIDE)), (other, "乙村", square(SIDE, 0, SIDE))]
    )
    whole = [(VILLAGE + "000100", square(0, 0, SIDE)), (other + "000100", square(SIDE, 0, SIDE))]
    _grid(district, whole)
    _, grid = district.load(empty_url)
    assert any("the grid is valid" in n for n in grid.notices)
    _grid(district, [whole[0], (other + "000100", square(SIDE - 10, 0, SIDE))])
    _, grid = district.load(empty_url)
    assert counts(grid) == (2, 1, 1, 0, 0)
    assert any("cells overlap" in n and "40,000 m²" in n for n in grid.notices)
    assert any("not declared" in n and "40,000 m²" in n for n in grid.notices)


def test_a_wrong_frame_is_hinted_at_when_many_rows_are_out_of_place(empty_url, district):
    district.sites([(f"S{n}", "甲厂", 100.0 * n, 100) for n in range(20)])
    district.sections["sites"]["frame"] = "epsg:4549"
    _, sites = district.load(empty_url, dry_run=True)
    assert sites.stored == 0
    assert any("check `frame` (now epsg:4549)" in n for n in sites.notices)


def test_a_new_grid_places_sites_that_are_stored_already(empty_url, tmp_path):
    district = District(tmp_path).towns([(VILLAGE, "甲村", square(0, 0, SIDE))])
    district.sites([("S1", "甲厂", 500, 500)]).load(empty_url)
    del district.sections["sites"]
    _grid(district, [(VILLAGE + "000100", square(0, 0, 1000))])
    results = district.load(empty_url)
    assert any("1 site(s)" in notice for notice in results[0].notices)
    assert fetch(empty_url, "SELECT cell_code FROM registry.site") == [{"cell_code": VILLAGE + "000100"}]


def test_a_site_is_known_by_credit_code_then_by_local_id(empty_url, district):
    one, two = (str(c) for c in generate_uscc("310116", np.array([1, 2])))
    district.sites([("S1", "甲厂", 100, 100), ("S2", "乙厂", 200, 100)]).load(empty_url)
    rows = [
        ("S1", "甲厂", 100, 100, one),  # the stored site now has a credit code
        ("S9", "新厂", 300, 100, two),
        ("S2", "乙厂", 200, 100, ""),
    ]
    _, sites = district.sites(rows, 信用代码="uscc").load(empty_url)
    assert counts(sites) == (3, 2, 1, 0, 0)
    # A file that knows S1 by another credit code is not believed, one that leaves the code out does not remove it.
    rows = [("S1", "甲厂", 100, 100, two), ("S9", "新厂", 300, 100, "")]
    _, sites = district.sites(rows, 信用代码="uscc").load(empty_url)
    assert codes(sites) == {2: ["duplicate_in_store"]}
    assert counts(sites) == (2, 0, 1, 0, 1)
    held = {r["local_id"]: r["uscc"] for r in fetch(empty_url, "SELECT local_id, uscc FROM registry.site")}
    assert held == {"S1": one, "S2": None, "S9": two}


def test_rows_of_one_name_and_address_are_said_not_merged(empty_url, district):
    rows = [("S1", "甲厂", 100, 100, "一号路1号"), ("S2", "甲厂", 110, 100, "一号路1号")]
    _, sites = district.sites(rows, 地址="address").load(empty_url)
    assert counts(sites)[1] == 2
    assert any("30 m" in notice for notice in sites.notices)
    (pair,) = fetch(empty_url, "SELECT * FROM registry.site_merge")
    assert pair["distance_m"] == pytest.approx(10, abs=0.1)
    assert (pair["state"], pair["batch_id"]) == ("proposed", sites.batch_id)
    again = district.load(empty_url)
    assert not any("30 m" in notice for notice in again[1].notices)  # asked once


def test_border_tolerance_is_an_option_and_gives_the_nearest_town(empty_url, district):
    district.sites([("S1", "甲厂", -30, 100), ("S2", "乙厂", -300, 100)])
    _, sites = district.load(empty_url, dry_run=True)
    assert codes(sites) == {2: ["outside_district"], 3: ["outside_district"]}
    district.sections["sites"]["border_tolerance_m"] = 50
    _, sites = district.load(empty_url)
    assert codes(sites) == {3: ["outside_district"]}
    assert fetch(empty_url, "SELECT town_code FROM registry.site") == [{"town_code": TOWN_A}]


def test_cameras_key_risk_areas_and_duty_tables(empty_url, district):
    district.sites([("S1", "甲厂", 500, 500)])
    folder = district.folder
    good = camera_gb_id("310116", "04", 1)
    rows: list = [["国标编号", "名称", "经度", "纬度", "高度", "方位", "场所", "地址"]]
    for row in (
        (good, "一号", *degrees(510, 510, "gcj02"), 6.5, 359, "S1", "http://10.0.0.1/snap"),
        (good[:-1], "短号", *degrees(510, 510, "gcj02"), 6.5, 10, None, None),
        (
            camera_gb_id("310116", "04", 2),
            "三号",
            *degrees(510, 510, "gcj02"),
            "高",
            400,
            "S7",
            "http://me:p/w@10.0.0.1/",
        ),
    ):
        rows.append(["" if value is None else value for value in row])
    with (folder / "cameras.csv").open("w", encoding="gb18030", newline="") as stream:
        csv.writer(stream).writerows(rows)
    areas = gpd.GeoDataFrame(
        {
            "码": ["K1", "K2"],
            "名": ["罐区", "库房"],
            "场所": ["S1", "S1"],
            "类": ["tank", "store"],
            "级": ["重大", "紫"],
            "日": ["2026年3月1日"] * 2,
            "退": ["2027-01-31"] * 2,
        },
        geometry=[square(490, 490, 20), square(520, 490, 20)],
        crs=4549,
    )
    areas.to_file(folder / "areas.geojson")
    (folder / "departments.csv").write_text("code,name\nYJ,应急管理局\nXF,消防救援\n", encoding="utf-8")
    (folder / "rules.csv").write_text(
        "code,place,cat,lead,co\nR1,加油站,petrol,YJ,XF YJ\nR2,木材厂,wood,ZZ,\n", encoding="utf-8"
    )
    district.sections |= {
        "cameras": {
            "file": "cameras.csv",
            "frame": "gcj02",
            "columns": {
                "gb_id": "国标编号", "name": "名称", "lon": "经度", "lat": "纬度", "height_m": "高度",
                "azimuth_deg": "方位", "site": "场所", "snapshot_url": "地址",
            },
        },
        "key_risk_areas": {
            "file": "areas.geojson",
            "frame": "epsg:4549",
            "columns": {"code": "码", "name": "名", "site": "场所", "kind": "类", "level": "级", "onboarded_on": "日", "retired_on": "退"},
        },
        "departments": {"file": "departments.csv", "columns": {"code": "code", "name": "name"}},
        "duty_rules": {
            "file": "rules.csv",
            "columns": {"code": "code", "place_type": "place", "category": "cat", "lead": "lead", "co": "co"},
        },
    }  # fmt: skip
    results = {r.section: r for r in district.load(empty_url)}
    assert counts(results["departments"]) == (2, 2, 0, 0, 0)
    assert counts(results["duty_rules"]) == (2, 1, 0, 0, 1)
    assert counts(results["key_risk_areas"]) == (2, 1, 0, 0, 1)
    assert codes(results["key_risk_areas"]) == {2: ["not_allowed"]}
    assert counts(results["cameras"]) == (3, 1, 0, 0, 2)
    assert set(codes(results["cameras"])[4]) == {
        "unknown_site",
        "not_a_number",
        "out_of_range",
        "address_has_password",
    }
    kept = fetch(empty_url, "SELECT columns->>'地址' AS url FROM staging.rejected WHERE columns ? '地址'")
    assert {r["url"] for r in kept} == {None, "http://***@10.0.0.1/"}
    (camera,) = fetch(
        empty_url,
        "SELECT c.*, s.local_id, ST_X(c.geom) AS x FROM registry.camera AS c JOIN registry.site AS s ON s.id = c.site_id",
    )
    assert (camera["gb_id"], camera["local_id"], camera["height_m"]) == (good, "S1", 6.5)
    assert camera["x"] == pytest.approx(X0 + 510, abs=0.01)
    (area,) = fetch(
        empty_url,
        "SELECT level, onboarded_on::text AS day, retired_on::text AS left_on, ST_Area(geom) AS m2 FROM registry.key_risk_area",
    )
    assert (area["level"], area["day"], area["left_on"]) == ("red", "2026-03-01", "2027-01-31")
    assert area["m2"] == pytest.approx(400, abs=0.1)
    assert fetch(empty_url, "SELECT co_codes FROM duty.rule") == [{"co_codes": ["XF", "YJ"]}]
    assert all(r.unchanged == r.rows_in - r.rejected for r in district.load(empty_url))


def _run(url, *arguments):
    import os

    environment = os.environ | {
        "GEOAPP_DATABASE_URL": url,
        "GEOAPP_HOME": str(Path(arguments[1]).parent / "home"),
    }
    return subprocess.run(
        [sys.executable, "-m", "geoapp.cli", *arguments],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_the_command_prints_counts_and_json_and_refuses_without_a_traceback(empty_url, district):
    district.sites([("S1", "甲厂", 100, 100), ("S2", "", 200, 100)])
    path = district.folder / "manifest.yaml"
    path.write_text(yaml.safe_dump(district.sections, allow_unicode=True), encoding="utf-8")
    done = _run(empty_url, "load", str(path))
    assert done.returncode == 0, done.stderr
    assert "name_missing" in done.stdout
    assert "geoapp load rejected" in done.stdout
    done = _run(empty_url, "load", str(path), "--json", "--dry-run")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert [(s["section"], s["rows_in"], s["stored"], s["rejected"]) for s in said["sections"]] == [
        ("units", 2, 0, 0),
        ("sites", 2, 0, 1),
    ]
    path.write_text(path.read_text("utf-8").replace("sites:", "sties:"), encoding="utf-8")
    refused = _run(empty_url, "load", str(path))
    assert refused.returncode == 1
    assert "`sites`" in refused.stderr
    assert "Traceback" not in refused.stderr
    shown = _run(empty_url, "inspect", str(district.folder / "sites.csv"), "--json")
    assert json.loads(shown.stdout)["encoding"] == "gb18030"


def test_a_database_that_goes_away_stores_nothing(make_database, district):
    url = make_database()
    district.sites([(f"S{n}", "甲厂", 100 + n, 100) for n in range(50)])
    with connect(url) as other:
        name = other.execute("SELECT current_database() AS n").fetchone()["n"]

    def cut(text: str) -> None:
        if text.startswith("比较"):
            with connect(url, autocommit=True) as killer:
                killer.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()",
                    (name,),
                )

    with pytest.raises(psycopg.OperationalError):
        district.load(url, say=cut)
    assert fetch(url, "SELECT FROM territory.unit") == []
    assert district.load(url)[1].stored == 50


def test_an_empty_point_is_set_aside(empty_url, district):
    frame = gpd.GeoDataFrame(
        {"id": ["S1", "S2", "S3"], "name": ["甲", "乙", "丙"]},
        geometry=[shapely.Point(X0 + 10, Y0 + 10), shapely.from_wkt("POINT EMPTY"), None],
        crs=4549,
    )
    frame.to_file(district.folder / "sites.gpkg")
    district.sections["sites"] = {"file": "sites.gpkg", "columns": {"id": "id", "name": "name"}}
    _, sites = district.load(empty_url)
    assert counts(sites) == (3, 1, 0, 0, 2)
    assert set(codes(sites)) == {2, 3}


def test_retired_codes_are_not_used_again(empty_url, district):
    community = VILLAGE
    with (district.folder / "villages.csv").open("w", encoding="utf-8") as stream:
        stream.write(f"code,name\n{community},甲村\n")
    unit = {"code": "code", "name": "name"}
    district.sections["units"] = [district.sections["units"], {"file": "villages.csv", "columns": unit}]
    _grid(district, [(f"{community}000100", square(0, 0, 500)), (f"{community}000200", square(500, 0, 500))])
    district.load(empty_url)
    with connect(empty_url) as connection:
        connection.execute("DELETE FROM territory.grid_cell WHERE code LIKE '%000200'")
        connection.execute("UPDATE territory.unit SET valid_to = '2025-01-01' WHERE code = %s", (TOWN_B,))
    results = district.load(empty_url)
    assert codes(results[0]) == {2: ["unit_retired"]}
    assert codes(results[2]) == {2: ["cell_retired"]}
    # and nothing is placed in a town that has ended
    district.sites([("S1", "甲厂", SIDE + 500, 500)]).load(empty_url)
    assert fetch(empty_url, "SELECT town_code FROM registry.site") == [{"town_code": None}]
