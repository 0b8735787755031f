"""Registers and layers as files: what comes back is what the database holds; and the two commands."""

import csv
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import openpyxl
import pandas as pd
import psycopg
import pyarrow.parquet as pq
import pytest
import shapely
from access.signed_in import caller
from clones import AS_OF
from small_town import (
    COUNTY,
    TOWN_A,
    TOWN_B,
    add_area,
    add_camera,
    add_certificate,
    add_hazard,
    add_incident,
    add_person,
    add_site,
    add_visit,
    assign,
    box,
    small_town,
)
from typer.testing import CliRunner

from geoapp.access.caller import Forbidden
from geoapp.database.cluster import PrivateCluster
from geoapp.errors import Refused
from geoapp.territory.frames import geometries_to_metric, parse_frame
from layers import commands
from layers.export import FORMATS, REGISTERS, export_all, export_layer, exportable
from layers.export.shapefile import short_names
from layers.registry import LAYERS

Connection = psycopg.Connection[dict[str, Any]]
FRAMES = ("metric", "wgs84", "cgcs2000", "gcj02", "bd09", "epsg:4550")
NASTY = '=HYPERLINK("http://x")'
USCC = "91310116MA1J8A0B1X"
LONG = "化工厂" * 120


@pytest.fixture(scope="module")
def town(cluster: PrivateCluster) -> Iterator[Connection]:
    """Two towns with one of everything each."""
    with small_town(cluster, AS_OF) as connection:
        run = connection.execute
        for town, x in ((TOWN_A, 600.12345678), (TOWN_B, 2600.5)):
            site = add_site(connection, x, 100.25)
            area = add_area(connection, site, x, 100, 100, 100)
            assert area
            camera = add_camera(connection, x - 10, 100, box(x, 100, 90, 100), seen=AS_OF)
            add_incident(connection, camera, site, AS_OF, x=x, y=100)
            add_certificate(connection, site, AS_OF)
            add_hazard(connection, site, "major", AS_OF)
            add_visit(connection, site, "patrol", AS_OF)
            run(
                "INSERT INTO registry.hot_work_permit (permit_no, site_id, level, geom, starts_at, ends_at, watcher, status)"
                " VALUES (%s, %s, 'first', ST_GeomFromText(%s, 4549), %s, %s::timestamptz + interval '2 h', '王监护', 'approved')",
                (f"P-{town}", site, box(x, 100, 10, 10), AS_OF, AS_OF),
            )
            run(
                "UPDATE registry.site SET uscc = %s, name_zh = %s, address = %s, contact_name = '张三', contact_phone = '+8613800000000'"
                " WHERE id = %s",
                (USCC[:-1] + town[8], NASTY, LONG, site),
            )
            assign(connection, "R01", town, "YJ", "confirmed", person=add_person(connection, "李四"))
        run(
            "INSERT INTO territory.base_feature (kind, geom) SELECT 'sea', geom FROM territory.grid_cell LIMIT 1"
        )
        for kind, wkt in (
            ("road", "LINESTRING(620000 3400000, 621000 3400500)"),
            ("river", "MULTILINESTRING((620000 3400000, 621000 3400700), (620100 3400000, 621000 3400800))"),
            ("green", "POINT(620500 3400100)"),
        ):
            run(
                "INSERT INTO territory.base_feature (kind, name_zh, geom) VALUES (%s, '要素', ST_GeomFromText(%s, 4549))",
                (kind, wkt),
            )
        run(
            "INSERT INTO territory.building (local_id, geom, height_m) VALUES ('B1', ST_Multi(ST_GeomFromText(%s, 4549)), 12)",
            (box(600, 100, 20, 20),),
        )
        at = "ST_SetSRID(ST_MakePoint(620600, 3400100), 4549)"
        run(f"INSERT INTO registry.resource (local_id, kind, geom) VALUES ('H1', 'hydrant', {at})".encode())
        run(
            "INSERT INTO watch.reported_event (local_id, kind, happened_at, geom, town_code)"
            f" VALUES ('E1', 'fire', '2025-01-01T00:00Z', {at}, '{TOWN_A}')".encode()
        )
        run(
            "INSERT INTO territory.changeset (title, town_code, proposal) SELECT '改', %s,"
            " ST_AsGeoJSON(ST_Transform(geom, 4326))::jsonb FROM territory.grid_cell ORDER BY code LIMIT 1",
            (TOWN_A,),
        )
        run("SELECT analysis.refresh_no_cell()")
        run("SELECT analysis.keep_risk()")
        run("SELECT analysis.keep_risk_surface()")
        caller(connection, "planner.a", "planner", areas=[TOWN_A])
        caller(connection, "officer.a", "duty_officer", areas=[TOWN_A])
        row = run(
            "SELECT id FROM registry.site WHERE town_code = %s ORDER BY id LIMIT 1", (TOWN_B,)
        ).fetchone()
        assert row is not None
        caller(connection, "firm.b", "enterprise", sites=[row["id"]])
        yield connection


@pytest.mark.parametrize("name", exportable())
def test_everything_is_written_and_read_back(town: Connection, tmp_path: Path, name: str) -> None:
    target = tmp_path / f"{name}.gpkg"
    count = export_layer(town, name, target)
    frame = gpd.read_file(target)
    assert len(frame) == count
    # Too few events to foretell from: tests/layers/test_expected_events.py has enough.
    assert count > 0 or name == "event_surface"
    if "geometry" in frame:
        assert frame.crs.to_epsg() == 4549
    assert list(tmp_path.iterdir()) == [target]
    secret = {"snapshot_url", "holder_hash", "certificate_hash", "batch_id", "geom_3857", "sector_3857"}
    assert not secret & set(frame.columns)


def test_names_of_registers_and_layers_are_apart() -> None:
    assert not set(REGISTERS) & set(LAYERS)


# --- round trips -----------------------------------------------------------------------------------------------


def read_back(target: Path) -> tuple[pd.DataFrame, np.ndarray]:
    """Values and shapes of a file, by whatever reads that format."""
    name = target.name
    if name.endswith((".xlsx", ".csv")):
        if name.endswith(".xlsx"):
            frame = pd.read_excel(target, dtype=object, keep_default_na=False, na_values=[""])
        else:
            frame = pd.read_csv(target, dtype=object, keep_default_na=False, na_values=[""])
        for x, y in (("lon", "lat"), ("x", "y")):
            if x in frame:
                return frame, shapely.points(frame[x].astype(float), frame[y].astype(float))
        return frame, shapely.from_wkt([None if pd.isna(one) else one for one in frame["wkt"]])
    got = gpd.read_parquet(target) if name.endswith(".parquet") else gpd.read_file(target)
    return pd.DataFrame(got.drop(columns=got.geometry.name)), got.geometry.to_numpy()


@pytest.mark.parametrize("frame", FRAMES)
@pytest.mark.parametrize("ending", [one for one in FORMATS if one != ".json"])
@pytest.mark.parametrize("name", ["sites", "key_risk_areas"])
def test_a_round_trip_in_every_format_and_frame(
    town: Connection, tmp_path: Path, name: str, ending: str, frame: str
) -> None:
    target = tmp_path / f"a{ending}"
    if ending == ".geojson" and frame in ("metric", "epsg:4550"):
        with pytest.raises(Refused, match="RFC 7946"):
            export_layer(town, name, target, frame=frame)
        return
    export_layer(town, name, target, frame=frame)
    values, shapes = read_back(target)
    key = REGISTERS[name].key
    stored = town.execute(
        f"SELECT {key} AS key, town_code, name_zh, ST_AsBinary(geom) AS geom FROM {REGISTERS[name].source}".encode()
    ).fetchall()
    by_key = {str(row["key"]): row for row in stored}
    assert len(values) == len(by_key) == 2
    metric = geometries_to_metric(shapes, parse_frame("epsg:4549" if frame == "metric" else frame), 4549)
    for row, shape in zip(values.to_dict("records"), metric, strict=True):
        kept = by_key[str(row[key])]
        assert shapely.hausdorff_distance(shape, shapely.from_wkb(kept["geom"])) < 0.001, "1 mm"
        assert row["town_code"] == kept["town_code"], "codes stay text"
        assert row["name_zh"].lstrip("'") == kept["name_zh"]
    if ending in (".gpkg", ".parquet", ".shp.zip", ".fgb", ".geojson"):
        crs = (gpd.read_parquet if ending == ".parquet" else gpd.read_file)(target).crs
        if frame in ("gcj02", "bd09") and ending == ".geojson":
            assert (crs.name, crs.is_geographic, crs.to_epsg()) == (
                f"{frame[:-2].upper()}-{frame[-2:]}",
                False,
                None,
            )
        elif frame in ("gcj02", "bd09"):
            assert crs is None, "no reader may take it for WGS 84"
        elif ending != ".geojson":
            wanted = {"metric": 4549, "wgs84": 4326, "cgcs2000": 4490, "epsg:4550": 4550}[frame]
            assert crs.to_epsg() == wanted or crs.to_epsg(min_confidence=20) == wanted


def test_every_value_of_a_site_comes_back(town: Connection, tmp_path: Path) -> None:
    export_layer(town, "sites", tmp_path / "s.parquet")
    got = pq.read_table(tmp_path / "s.parquet").to_pylist()
    stored = town.execute("SELECT * FROM registry.site ORDER BY id").fetchall()
    for row, kept in zip(got, stored, strict=True):
        for name in set(kept) - {"geom", "geom_3857", "batch_id"}:
            assert row[name] == kept[name], name


# --- what each format promises -----------------------------------------------------------------------------------


def test_a_geoparquet_has_its_boxes(town: Connection, tmp_path: Path) -> None:
    export_layer(town, "units", tmp_path / "u.parquet", frame="wgs84")
    told = pq.read_metadata(tmp_path / "u.parquet").metadata
    geo = json.loads(told[b"geo"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geom"]["geometry_types"] == ["MultiPolygon"]
    assert geo["columns"]["geom"]["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    assert json.loads(told[b"geoapp"])["frame"] == "WGS 84, EPSG:4326"
    # Communities without an outline have no box; a box of the east finds the two that reach it.
    east = gpd.read_parquet(tmp_path / "u.parquet").total_bounds[2]
    found = gpd.read_parquet(tmp_path / "u.parquet", bbox=(east - 0.001, 0, 180, 90))
    assert set(found["code"]) == {COUNTY, TOWN_B}


def test_a_geojson_says_its_frame(town: Connection, tmp_path: Path) -> None:
    for frame, wanted in (("", None), ("gcj02", "gcj02"), ("cgcs2000", "cgcs2000")):
        export_layer(town, "sites", tmp_path / "s.geojson", frame=frame)
        said = json.loads((tmp_path / "s.geojson").read_text())
        assert said.get("frame") == wanted
        assert ("warning" in said) == bool(wanted)
        assert ("crs" in said) == (frame == "gcj02")
    export_layer(town, "grid_cells", tmp_path / "g.geojson")
    ring = shapely.from_geojson(
        json.dumps(json.loads((tmp_path / "g.geojson").read_text())["features"][0]["geometry"])
    ).exterior
    assert ring.is_ccw


def test_a_geopackage_says_its_frame(town: Connection, tmp_path: Path) -> None:
    import sqlite3

    export_layer(town, "sites", tmp_path / "s.gpkg", frame="bd09")
    with sqlite3.connect(tmp_path / "s.gpkg") as file:
        identifier, description = file.execute("SELECT identifier, description FROM gpkg_contents").fetchone()
    assert identifier == "sites [bd09]"
    assert "BD-09" in description


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_a_shapefile_tells_what_it_could_not_hold(town: Connection, tmp_path: Path, encoding: str) -> None:
    target = tmp_path / "s.shp.zip"
    export_layer(town, "sites", target, encoding=encoding)
    with zipfile.ZipFile(target) as packed:
        assert set(packed.namelist()) == {
            "sites.shp", "sites.shx", "sites.dbf", "sites.prj", "sites.cpg", "fields.csv", "notes.txt",
        }  # fmt: skip
        assert packed.read("sites.cpg").decode() == encoding.upper()
        legend = {
            r["name"]: r["short"]
            for r in csv.DictReader(packed.read("fields.csv").decode("utf-8-sig").splitlines())
        }
        notes = packed.read("notes.txt").decode("utf-8-sig")
        assert "张三".encode(encoding) in packed.read("sites.dbf")
    assert len(set(legend.values())) == len(legend)
    assert max(map(len, legend.values())) <= 10
    assert legend["hazard_level"] == "hazard_lev"
    assert "row 1, address (address): 从" in notes
    got = gpd.read_file(target)
    kept = got["address"][0]
    assert LONG.startswith(kept)
    assert 250 < len(kept.encode(encoding)) <= 254
    assert got[legend["contact_phone"]][0] == "+8613800000000"


def test_a_shapefile_splits_by_kind_of_shape(town: Connection, tmp_path: Path) -> None:
    export_layer(town, "base_features", tmp_path / "b.shp.zip")
    with zipfile.ZipFile(tmp_path / "b.shp.zip") as packed:
        shapes = [one for one in packed.namelist() if one.endswith(".shp")]
    assert shapes == [f"base_features_{kind}.shp" for kind in ("lines", "points", "polygons")]
    counts = {one: len(gpd.read_file(f"{tmp_path / 'b.shp.zip'}!{one}")) for one in shapes}
    assert list(counts.values()) == [2, 1, 1]
    export_layer(town, "departments", tmp_path / "d.shp.zip")
    assert len(gpd.read_file(f"{tmp_path / 'd.shp.zip'}!departments.dbf")) == 2


def test_short_names_are_apart() -> None:
    long = ["last_patrol_at", "last_patrol_by", "LAST_PATROL", "last_patro", "名称"]
    assert short_names(long) == ["last_patro", "last_pat_1", "LAST_PAT_2", "last_pat_3", "__"]


def test_a_workbook_holds_texts_and_no_formula(town: Connection, tmp_path: Path) -> None:
    export_layer(town, "sites", tmp_path / "s.xlsx", frame="gcj02")
    book = openpyxl.load_workbook(tmp_path / "s.xlsx")
    sheet, about = book.worksheets
    head = [cell.value for cell in sheet[1]]
    first = dict(zip(head, sheet[2], strict=True))
    assert (first["name_zh"].value, first["name_zh"].data_type) == (NASTY, "s")
    assert (first["contact_phone"].value, first["contact_phone"].data_type) == ("+8613800000000", "s")
    assert first["cell_code"].data_type == "s"
    assert len(first["cell_code"].value) == 18
    assert isinstance(first["lon"].value, float)
    assert sheet.freeze_panes == "A2"
    assert sheet.auto_filter.ref.endswith("3")
    said = {row[0].value: row[1].value for row in about.iter_rows() if row[0].value}
    assert "GCJ-02" in said["frame"]
    assert (said["rows"], said["scope"]) == ("2", "全部 / everything")
    assert said["uscc"].startswith("统一社会信用代码")


def test_a_shape_too_long_for_a_cell_is_a_note_with_its_box(town: Connection, tmp_path: Path) -> None:
    with town.transaction(force_rollback=True):
        town.execute(
            "INSERT INTO territory.base_feature (kind, geom) SELECT 'road', ST_Segmentize(ST_GeomFromText("
            "'LINESTRING(620000 3400000, 623000 3401000)', 4549), 1)"
        )
        export_layer(town, "roads", tmp_path / "r.xlsx", frame="metric")
    sheet = openpyxl.load_workbook(tmp_path / "r.xlsx").worksheets[0]
    texts = [row[-1].value for row in sheet.iter_rows(min_row=2)]
    assert texts[0] == "LINESTRING (620000 3400000, 621000 3400500)"
    assert texts[1].endswith("bbox: 620000.0000, 3400000.0000, 623000.0000, 3401000.0000")


def test_a_csv_is_for_spreadsheets(town: Connection, tmp_path: Path) -> None:
    export_layer(town, "sites", tmp_path / "s.csv")
    raw = (tmp_path / "s.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    [first, _] = csv.DictReader(raw.decode("utf-8-sig").splitlines())
    assert first["name_zh"] == "'" + NASTY
    export_layer(town, "sites", tmp_path / "s.csv", encoding="gbk")
    assert "张三".encode("gbk") in (tmp_path / "s.csv").read_bytes()


def test_cells_carry_the_three_lenses(town: Connection, tmp_path: Path) -> None:
    export_layer(town, "cell", tmp_path / "c.geojson")
    frame = gpd.read_file(tmp_path / "c.geojson")
    assert frame.crs.to_epsg() == 4326
    assert 121 < frame.total_bounds[0] < frame.total_bounds[2] < 121.5
    levels = {
        r["code"]: r["level"]
        for r in town.execute("SELECT cell_code AS code, level::text FROM analysis.duty_cell").fetchall()
    }
    assert dict(zip(frame["code"], frame["duty_class"].astype(str), strict=True)) == levels
    assert set(frame["risk_class"]) >= {"none"}
    assert "coverage_class" in frame


# --- out and in again --------------------------------------------------------------------------------------------


def test_sites_out_in_bd09_and_in_again_are_unchanged(cluster: PrivateCluster, tmp_path: Path) -> None:
    from etl.load import load
    from etl.manifest import load_manifest

    rows = [
        "编号,名称,地址,经度,纬度",
        "S1,一号厂,=甲路 1 号,121.26123456789012,30.7301",
        "007,二号厂,甲路 2 号,121.2713,30.7311",
    ]
    (tmp_path / "sites.csv").write_text("\n".join(rows), encoding="utf-8")
    city = (
        'city: {name_zh: 小城, name_en: Small, code: "310116", metric_srid: 4549, timezone: Asia/Shanghai}\n'
    )
    columns = "{id: 编号, name: 名称, address: 地址, lon: 经度, lat: 纬度}"
    (tmp_path / "in.yaml").write_text(
        city + f"sites: {{file: sites.csv, encoding: utf-8, frame: bd09, columns: {columns}}}\n",
        encoding="utf-8",
    )
    columns = (
        "{id: local_id, uscc: uscc, name: name_zh, address: address, lon: lon, lat: lat, people: people}"
    )
    (tmp_path / "again.yaml").write_text(
        city + f"sites: {{file: out.xlsx, layer: sites, frame: bd09, columns: {columns}}}\n", encoding="utf-8"
    )
    with small_town(cluster, AS_OF) as connection:
        connection.execute(
            "UPDATE territory.unit SET geom = ST_Multi(ST_Expand(ST_Transform(ST_SetSRID(ST_MakePoint(121.26, 30.73), 4326), 4549), 9000))"
            " WHERE code IN (%s, %s)",
            (COUNTY, TOWN_A),
        )
        info = connection.info
        url = f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
        [first] = load(url, load_manifest(tmp_path / "in.yaml"), folder=tmp_path)
        assert (first.rows_in, first.stored) == (2, 2)
        export_layer(connection, "sites", tmp_path / "out.xlsx", frame="bd09")
        [again] = load(url, load_manifest(tmp_path / "again.yaml"), folder=tmp_path)
    assert (again.rows_in, again.unchanged, again.stored) == (2, 2, 0)


# --- whose rows --------------------------------------------------------------------------------------------------


def test_an_account_gets_its_own_rows_and_columns(town: Connection, tmp_path: Path) -> None:
    counts = {}
    for login in ("", "planner.a", "officer.a", "firm.b"):
        export_layer(town, "sites", tmp_path / "s.gpkg", login=login)
        frame = gpd.read_file(tmp_path / "s.gpkg")
        counts[login] = sorted(frame["town_code"])
        assert ("contact_name" in frame) == (login != "planner.a")
    assert counts == {"": [TOWN_A, TOWN_B], "planner.a": [TOWN_A], "officer.a": [TOWN_A], "firm.b": [TOWN_B]}
    export_layer(town, "certificates", tmp_path / "c.csv", login="planner.a")
    head = (tmp_path / "c.csv").read_text("utf-8-sig").splitlines()[0].split(",")
    assert "holder_name" not in head
    assert "site_name" in head
    row = town.execute(
        "SELECT login, detail FROM access.audit WHERE action = 'export' ORDER BY id DESC LIMIT 1"
    ).fetchone()
    assert row is not None
    assert (row["detail"]["as"], row["detail"]["format"], row["detail"]["rows"]) == ("planner.a", "csv", 1)
    with pytest.raises(Refused, match="no enabled account"):
        export_layer(town, "sites", tmp_path / "x.gpkg", login="nobody")


def test_a_role_without_the_right_is_refused(town: Connection, tmp_path: Path) -> None:
    with town.transaction(force_rollback=True):
        town.execute("REVOKE SELECT ON duty.department FROM geoapp_planner")
        with pytest.raises(Forbidden):
            export_layer(town, "departments", tmp_path / "d.csv", login="planner.a")
    assert list(tmp_path.iterdir()) == []


def test_everything_at_once(town: Connection, tmp_path: Path) -> None:
    found = export_all(town, tmp_path / "all.gpkg", frame="gcj02", login="planner.a")
    assert set(found) == set(REGISTERS)
    assert all(isinstance(rows, int) for rows in found.values())
    assert set(gpd.list_layers(tmp_path / "all.gpkg")["name"]) == set(REGISTERS)
    assert len(gpd.read_file(tmp_path / "all.gpkg", layer="sites")) == 1
    export_all(town, tmp_path / "folder", ending=".fgb", frame="bd09")
    made = {path.name for path in (tmp_path / "folder").iterdir()}
    assert "sites-bd09.fgb" in made
    assert "departments.fgb" not in made, "no geometry"
    assert {path.name for path in tmp_path.iterdir()} == {"all.gpkg", "folder"}


# --- what is refused -----------------------------------------------------------------------------------------------


def test_refusals_say_what_to_do(town: Connection, tmp_path: Path) -> None:
    for name, file, options, said in (
        ("grid", "a.gpkg", {}, "grid_cells"),
        ("cell", "a.shp", {}, r"\.gpkg"),
        ("cell", "missing/a.gpkg", {}, "no folder"),
        ("unit_label", "a.gpkg", {}, "not exported"),
        ("sites", "a.gpkg", {"frame": "gcj-20"}, "did you mean gcj02"),
        ("sites", "a.gpkg", {"encoding": "gbk"}, "always UTF-8"),
        ("sites", "a.csv", {"encoding": "latin1"}, "unknown encoding"),
        ("departments", "a.fgb", {}, "no geometry"),
    ):
        with pytest.raises(Refused, match=said):
            export_layer(town, name, tmp_path / file, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".gpkg", ".parquet", ".shp.zip", ".xlsx", ".csv", ".geojson"])
def test_a_failed_export_leaves_the_old_file(
    town: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    from layers.export.content import Content

    target = tmp_path / f"a{ending}"
    export_layer(town, "grid_cells", target)
    before = target.read_bytes()

    def broken(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(Content, "_piece", broken)
    with pytest.raises((OSError, RuntimeError), match=r"disk full|Error"):
        export_layer(town, "grid_cells", target)
    assert target.read_bytes() == before
    assert list(tmp_path.iterdir()) == [target]


def test_a_failed_workbook_leaves_no_rows_behind(
    town: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("layers.export.workbook._about_sheet", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_layer(town, "sites", tmp_path / "s.xlsx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", list(FORMATS))
def test_rows_without_a_shape_and_no_rows_at_all(town: Connection, tmp_path: Path, ending: str) -> None:
    """Two communities have no outline; nothing reported is a firm's."""
    target = tmp_path / f"a{ending}"
    assert export_layer(town, "units", target, frame="gcj02") == 5
    values, shapes = read_back(target)
    assert len(values) == 5
    assert int(shapely.is_missing(shapes).sum()) == 2
    assert export_layer(town, "reported_events", target, login="firm.b") == 0
    if ending == ".xlsx":
        assert openpyxl.load_workbook(target).worksheets[0].max_row == 1
    elif ending == ".csv":
        assert len(target.read_text("utf-8-sig").splitlines()) == 1
    else:
        got = gpd.read_parquet(target) if ending == ".parquet" else gpd.read_file(target)
        assert len(got) == 0


def test_many_rows_come_piece_by_piece(
    town: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("layers.export.content.PIECE", 3)
    seen: list[tuple[str, int, int]] = []
    for ending in FORMATS:
        target = tmp_path / f"a{ending}"
        export_layer(town, "grid_cells", target, progress=lambda *told: seen.append(told))
        values, _ = read_back(target)
        assert sorted(values["code"]) == sorted(
            r["code"] for r in town.execute("SELECT code FROM territory.grid_cell").fetchall()
        )
    assert seen[:4] == [("grid_cells", n, 10) for n in (3, 6, 9, 10)]


def test_commands(town: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = town.info
    url = f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
    from geoapp.database import connection as database

    monkeypatch.setattr(commands, "connect", lambda **how: database.connect(url, **how))
    run = CliRunner().invoke
    said = json.loads(run(commands.app, ["refresh", "--json"]).stdout)
    assert said["no_cell_renewed"] is False
    assert (said["no_cell_pieces"], said["no_cell_km2"]) == (2, 0.5)
    town.execute("DELETE FROM territory.no_cell_made_from")
    assert "renewed" in run(commands.app, ["refresh"]).stdout
    target = tmp_path / "sites.gpkg"
    answer = json.loads(run(commands.app, ["export", "site", str(target), "--json"]).stdout)
    assert (answer["features"], target.exists()) == (2, True)
    target = tmp_path / "sites.xlsx"
    args = ["export", "sites", "-o", str(target), "--frame", "bd09", "--as", "planner.a", "--json"]
    answer = json.loads(run(commands.app, args).stdout)
    assert (answer["features"], target.exists()) == (1, True)
    assert "no_cell_grounds" in run(commands.app, ["export", "--list"]).stdout
    answer = json.loads(
        run(commands.app, ["export", "all", "-o", str(tmp_path / "f"), "--format", "csv", "--json"]).stdout
    )
    assert answer["registers"]["sites"] == 2
    assert (tmp_path / "f" / "sites.csv").exists()
    assert run(commands.app, ["export", "sites"]).exit_code == 2
