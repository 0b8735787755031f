"""Every format that is read: the same rows out of each, whatever the file is."""

import json
import zipfile

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import pytest
import shapely

from etl.readers import SUFFIXES, open_source, read_table
from geoapp.errors import Refused

NAMES = ["金山区朱泾镇加油站", "张堰镇危险品仓库", "亭林镇木材加工厂"]
CODES = [310116101000, 310116102000, 2**53 + 1]
POINTS = shapely.points([[121.1, 30.8], [121.2, 30.85], [121.3, 30.9]])


def _frame(geometry=POINTS, **more):
    return gpd.GeoDataFrame({"name": NAMES, "code": CODES, **more}, geometry=geometry, crs=4326)


def _write(path, frame=None, **options):
    with pytest.warns() if options.pop("warns", False) else _quiet():
        pyogrio.write_dataframe(_frame() if frame is None else frame, path, **options)
    return path


def _quiet():
    import warnings

    return warnings.catch_warnings(action="ignore")


TOPOJSON = {
    "type": "Topology",
    "objects": {
        "sites": {
            "type": "GeometryCollection",
            "geometries": [
                {
                    "type": "Point",
                    "coordinates": list(point.coords[0]),
                    "properties": {"name": name, "code": code},
                }
                for point, name, code in zip(POINTS, NAMES, CODES, strict=True)
            ],
        }
    },
    "arcs": [],
}


def _make(folder, suffix):
    path = folder / f"点位{suffix}"
    if suffix == ".topojson":
        path.write_text(json.dumps(TOPOJSON), encoding="utf-8")
        return path
    if suffix in (".parquet", ".geoparquet"):
        _frame().to_parquet(path)
        return path
    if suffix == ".kmz":
        inner = _write(folder / "doc.kml", driver="KML")
        with zipfile.ZipFile(path, "w") as packed:
            packed.write(inner, "doc.kml")
        return path
    if suffix == ".zip":
        made = _write(folder / "点位.shp", encoding="GBK")
        with zipfile.ZipFile(path, "w") as packed:
            for part in folder.glob("点位.*"):
                if part.suffix != ".zip":
                    packed.write(part, f"数据/{part.name}")
        made.unlink()
        return path
    drivers = {
        ".kml": "KML",
        ".sqlite": "SQLite",
        ".db": "SQLite",
        ".json": "GeoJSON",
        ".geojsons": "GeoJSONSeq",
        ".ndjson": "GeoJSONSeq",
    }
    options = {
        ".shp": {"encoding": "UTF-8"},
        ".fgb": {"SPATIAL_INDEX": "NO"},
    }  # FlatGeobuf's index sorts the rows
    return _write(path, driver=drivers.get(suffix), **options.get(suffix, {}))


FORMATS = [
    ".shp", ".gpkg", ".sqlite", ".db", ".geojson", ".json", ".geojsonl", ".geojsons", ".ndjson", ".topojson", ".fgb",
    ".gml", ".kml", ".kmz", ".parquet", ".geoparquet", ".zip",
]  # fmt: skip


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_rows_come_out_of_every_format(tmp_path, suffix):
    path = _make(tmp_path, suffix)
    table = read_table(path)
    named = {name.lower(): values for name, values in table.columns.items()}
    assert named["name"].tolist() == NAMES
    if suffix not in (".kml", ".kmz"):  # they have no numbers
        assert named["code"].tolist() == [str(code) for code in CODES]
    assert shapely.equals(shapely.force_2d(table.geometry), POINTS).all()
    x, y = table.points()
    assert np.array_equal(x, shapely.get_x(POINTS))
    assert np.array_equal(y, shapely.get_y(POINTS))
    assert not table.damaged
    assert table.row_no.tolist() == [1, 2, 3]
    assert suffix in SUFFIXES


@pytest.mark.parametrize("suffix", [".tab", ".mif"])
def test_mapinfo_files_in_gbk_are_read(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    frame = gpd.GeoDataFrame({"MC": [name[:4] for name in NAMES]}, geometry=POINTS, crs=4326)
    _write(path, frame, driver="MapInfo File", encoding="GBK")
    table = read_table(path)
    assert table.columns["MC"].tolist() == [name[:4] for name in NAMES]
    assert shapely.equals_exact(table.geometry, POINTS, tolerance=1e-6).all()


@pytest.mark.parametrize("encoding", [None, "gbk"])
def test_a_mif_with_chinese_names_that_says_no_charset_is_read(tmp_path, encoding):
    path = tmp_path / "a.mif"
    head = 'Version 300\nCharset "Neutral"\nDelimiter ","\nCoordSys Earth Projection 1, 104\nColumns 2\n  名称 Char(254)\n  N Integer\nData\n\n'
    path.write_bytes((head + "Point 121 30\nPoint 121 31\n").encode("gbk"))
    path.with_suffix(".mid").write_bytes(f'"{NAMES[0]}",1\n"{NAMES[1]}",2\n'.encode("gbk"))
    with open_source(path, encoding=encoding) as source:
        first, second = source.chunks(1)
    assert first.columns["名称"].tolist() == NAMES[:1]
    assert second.columns["名称"].tolist() == NAMES[1:2]
    assert second.columns["N"].tolist() == ["2"]
    assert second.row_no.tolist() == [2]
    assert second.points()[1].tolist() == [31]


def test_gpx_takes_the_only_layer_that_holds_rows(tmp_path):
    path = tmp_path / "a.gpx"
    _write(path, gpd.GeoDataFrame({"name": NAMES}, geometry=POINTS, crs=4326), layer="waypoints")
    table = read_table(path)
    assert table.columns["name"].tolist() == NAMES
    assert any("waypoints" in notice for notice in table.notices)


def test_osm_layers_are_named_and_broken_references_marked(tmp_path):
    path = tmp_path / "a.osm"
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?><osm version="0.6">'
        '<node id="1" lat="30.8" lon="121.1"><tag k="name" v="甲"/></node>'
        '<node id="2" lat="30.9" lon="121.2"/>'
        '<way id="3"><nd ref="1"/><nd ref="2"/><nd ref="99"/><tag k="highway" v="road"/></way></osm>',
        encoding="utf-8",
    )
    with pytest.raises(Refused, match="points, lines"):
        read_table(path)
    assert read_table(path, layer="points").columns["name"].tolist() == ["甲"]
    assert shapely.get_num_points(read_table(path, layer="lines").geometry).tolist() == [2]


def test_a_table_without_shapes_is_read_from_dbf_and_database(tmp_path):
    frame = pd.DataFrame({"MC": NAMES[:2], "N": [1, 2]})
    for name, options in (("a.dbf", {"encoding": "GBK", "driver": "ESRI Shapefile"}), ("b.gpkg", {})):
        pyogrio.write_dataframe(frame, tmp_path / name, **options)
        with open_source(tmp_path / name) as source:
            assert not source.has_geometry
            assert source.rows == 2
            (table,) = source.chunks()
        assert table.geometry is None
        assert table.points() is None
        assert table.columns["MC"].tolist() == NAMES[:2]


_ODS_CELLS = (
    '<table:table-row><table:table-cell office:value-type="string"><text:p>编号</text:p></table:table-cell>'
    '<table:table-cell office:value-type="string"><text:p>经度</text:p></table:table-cell></table:table-row>'
    '<table:table-row><table:table-cell office:value-type="float" office:value="310116101000"/>'
    '<table:table-cell office:value-type="float" office:value="121.5"/></table:table-row>'
    "<table:table-row><table:table-cell/><table:table-cell/></table:table-row>"
    '<table:table-row><table:table-cell office:value-type="float" office:value="2"/><table:table-cell/></table:table-row>'
)


def _ods(path):
    spaces = " ".join(
        f'xmlns:{short}="urn:oasis:names:tc:opendocument:xmlns:{short}:1.0"'
        for short in ("office", "table", "text")
    )
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        packed.writestr("META-INF/manifest.xml", '<?xml version="1.0"?><manifest/>')
        packed.writestr(
            "content.xml",
            f'<?xml version="1.0" encoding="UTF-8"?><office:document-content {spaces}><office:body><office:spreadsheet>'
            f'<table:table table:name="表">{_ODS_CELLS}</table:table></office:spreadsheet></office:body>'
            "</office:document-content>",
        )
    return path


def test_spreadsheets_of_other_offices_are_read(tmp_path):
    path = _ods(tmp_path / "a.ods")
    table = read_table(path)
    assert table.columns["编号"].tolist() == ["310116101000", "2"]
    assert table.columns["经度"].tolist() == ["121.5", None]
    assert table.row_no.tolist() == [2, 4]
    with pytest.raises(Refused, match="表"):
        read_table(path, layer="没有")


def test_kinds_of_values_are_shown_as_a_person_writes_them(tmp_path):
    path = tmp_path / "a.gpkg"
    frame = _frame(
        whole=[1.0, 2.5, np.nan],
        flag=[True, False, True],
        day=pd.to_datetime(["2026-03-01", None, "2026-03-02 10:30:00"], format="ISO8601"),
        blank=["\u3000", " x\u00a0", ""],
    )
    _write(path, frame)
    table = read_table(path)
    assert table.columns["whole"].tolist() == ["1", "2.5", None]
    assert table.columns["flag"].tolist() == ["true", "false", "true"]
    assert [str(v)[:16] for v in table.columns["day"]] == ["2026-03-01", "None", "2026-03-02T10:30"]
    assert table.columns["blank"].tolist() == [None, "x", None]
    assert table.text("blank").to_pylist() == [None, "x", None]
    numbers = table.numbers("whole")
    assert numbers[:2].tolist() == [1.0, 2.5]
    assert np.isnan(numbers[2])
    assert table.numbers("name") is None
    assert table.numbers("flag") is None


def test_objects_in_properties_are_kept_as_json(tmp_path):
    path = tmp_path / "a.geojson"
    feature = {"type": "Feature", "properties": {"a": {"b": [1, "乙"]}, "l": [1, 2]}, "geometry": None}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), encoding="utf-8")
    table = read_table(path)
    assert json.loads(table.columns["a"][0]) == {"b": [1, "乙"]}
    assert json.loads(table.columns["l"][0]) == [1, 2]
    assert table.geometry.tolist() == [None]


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".shp", ".geojson", ".parquet", ".csv", ".xlsx"])
def test_an_empty_layer_has_no_rows_and_is_no_error(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    if suffix == ".csv":
        path.write_text("name,code\n", encoding="utf-8")
    elif suffix == ".xlsx":
        pd.DataFrame({"name": [], "code": []}).to_excel(path, index=False)
    elif suffix == ".parquet":
        _frame().iloc[:0].to_parquet(path)
    else:
        _write(path, _frame().iloc[:0], geometry_type="Point")
    with open_source(path) as source:
        (table,) = source.chunks()
    assert len(table) == 0
    assert suffix == ".geojson" or set(table.columns) == {"name", "code"}


@pytest.mark.parametrize("name", ["a.gpkg", "a.csv", "a.parquet", "a.xlsx", "a.geojson"])
def test_stretches_hold_all_rows_in_order_and_can_be_joined(tmp_path, name):
    path = tmp_path / name
    frame = gpd.GeoDataFrame(
        {"n": np.arange(25)}, geometry=shapely.points(np.arange(25), np.arange(25)), crs=4326
    )
    if name.endswith(("csv", "xlsx")):
        table = pd.DataFrame(frame[["n"]])
        table.to_csv(path, index=False) if name.endswith("csv") else table.to_excel(path, index=False)
    elif name.endswith("parquet"):
        frame.to_parquet(path, row_group_size=7)
    else:
        _write(path, frame)
    with open_source(path) as source:
        parts = list(source.chunks(10))
    assert max(len(part) for part in parts) <= 10
    assert [v for part in parts for v in part.columns["n"]] == [str(n) for n in range(25)]
    first = parts[0].row_no[0]
    assert np.concatenate([part.row_no for part in parts]).tolist() == list(range(first, first + 25))
    assert read_table(path).columns["n"].tolist() == [str(n) for n in range(25)]


@pytest.mark.parametrize("encoding", ["geoarrow", "WKB"])
@pytest.mark.parametrize(
    "shape",
    [
        "POINT (1 2)",
        "LINESTRING (0 0, 1 1)",
        "POLYGON ((0 0, 9 0, 9 9, 0 0), (2 1, 3 1, 3 2, 2 1))",
        "MULTIPOINT ((0 0), (1 1))",
        "MULTIPOLYGON (((0 0, 1 0, 1 1, 0 0)), ((5 5, 6 5, 6 6, 5 5)))",
    ],
)
def test_geoparquet_in_every_encoding(tmp_path, encoding, shape):
    path = tmp_path / "a.parquet"
    shapes = np.array([shapely.from_wkt(shape), None, shapely.from_wkt(shape)])
    frame = gpd.GeoDataFrame({"n": [1, 2, 3]}, geometry=shapes, crs=4549)
    frame.to_parquet(path, geometry_encoding=encoding)
    table = read_table(path)
    assert table.crs.to_epsg() == 4549
    assert table.geometry[1] is None
    assert shapely.equals(table.geometry[[0, 2]], shapes[[0, 2]]).all()
    assert list(table.columns) == ["n"]


def test_a_plain_parquet_is_a_table(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": [1, 2], "t": [{"a": 1}, None], "lon": [121.5, None]}), path)
    table = read_table(path)
    assert table.geometry is None
    assert table.columns["t"].tolist() == ['{"a": 1}', None]
    assert table.numbers("lon")[0] == 121.5


def test_a_geopackage_of_an_undefined_system_says_nothing(tmp_path):
    import sqlite3

    for srid in (0, -1, 99999):
        path = tmp_path / f"a{srid}.gpkg"
        _write(path)
        with sqlite3.connect(path) as database:
            if srid == 99999:
                database.execute(
                    "INSERT INTO gpkg_spatial_ref_sys VALUES ('Undefined geographic SRS', 99999, 'x', 99999, "
                    '\'GEOGCS["Undefined geographic SRS",DATUM["unknown",SPHEROID["unknown",6378137,298]],'
                    'PRIMEM["Greenwich",0],UNIT["degree",0.0174532925199433]]\', NULL)'
                )
            database.execute("UPDATE gpkg_geometry_columns SET srs_id = ?", (srid,))
            database.execute("UPDATE gpkg_contents SET srs_id = ?", (srid,))
        assert read_table(path).crs is None


def test_a_file_of_an_unknown_ending_is_tried_once(tmp_path):
    path = _write(tmp_path / "a.gpkg")
    path = path.rename(tmp_path / "a.dat")
    assert len(read_table(path)) == 3
    path.write_bytes(b"words " * 100)
    with pytest.raises(Refused, match=r"不认识 \.dat .*\.gpkg"):
        read_table(path)


@pytest.mark.parametrize(
    "content",
    [
        "<OGRVRTDataSource><OGRVRTLayer name='a'><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>",
        "<OGRWFSDataSource><URL>http://203.0.113.1/</URL></OGRWFSDataSource>",
        '{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline ! read /etc/passwd"}',
    ],
)
@pytest.mark.parametrize("suffix", [".vrt", ".gpkg", ".json", ".xml"])
def test_a_file_that_only_points_elsewhere_is_not_followed(tmp_path, content, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(Refused, match="points to other files"):
        read_table(path)


def test_a_table_of_too_many_columns_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(",".join(f"c{n}" for n in range(100_000)) + "\n", encoding="utf-8")
    with pytest.raises(Refused, match="100000 columns"):
        read_table(path)


def test_json_nested_without_end_is_refused(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text(
        '{"type":"FeatureCollection","features":[{"type":"Feature","properties":{"a":' + "[" * 100_000,
        encoding="utf-8",
    )
    with pytest.raises(Refused):
        read_table(path)


def test_gdal_says_nothing_on_the_terminal(tmp_path, capfd):
    path = _write(tmp_path / "a.gpkg")
    path.write_bytes(path.read_bytes()[:30_000])
    (tmp_path / "b.geojson").write_text('{"type": "FeatureCollection", "features": [{', encoding="utf-8")
    (tmp_path / "c.kml").write_text("<kml><Document><Placemark>", encoding="utf-8")
    for name in ("a.gpkg", "b.geojson", "c.kml"):
        with pytest.raises(Refused):
            read_table(tmp_path / name)
    assert capfd.readouterr() == ("", "")
