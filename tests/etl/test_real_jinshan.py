"""The real Jinshan, where GEOAPP_REAL_DATA has it: counts, and the truth of the converted sites within a metre."""

import csv
from pathlib import Path

import numpy as np
import pyproj
import pytest

from etl.frames import parse_frame, points_to_metric
from etl.load import load
from etl.manifest import load_manifest
from etl.readers import read_table
from geoapp.database.connection import connect
from geoapp.errors import Refused

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "jinshan" / "manifest.yaml"


@pytest.fixture
def jinshan(real_data):
    """The folder, when it holds Jinshan's files."""
    if not (real_data / "jinshan" / "jinshan_towns_wgs84.geojson").exists():
        pytest.skip("GEOAPP_REAL_DATA has no jinshan/")
    return real_data


def _truth(real_data):
    """Site id to (easting, northing), metres of EPSG:4549, as the data's publisher converted them."""
    with (real_data / "shanghai_sites" / "shanghai_energy_sites_wgs84.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    lon, lat = np.array([[float(r["lon"]), float(r["lat"])] for r in rows]).T
    east, north = pyproj.Transformer.from_crs(4326, 4549, always_xy=True).transform(lon, lat)
    return {r["site_id"]: place for r, place in zip(rows, zip(east, north, strict=True), strict=True)}


def test_the_example_loads_the_towns_and_the_sites(empty_url, jinshan):
    manifest = load_manifest(EXAMPLE)
    units, sites = load(empty_url, manifest, folder=jinshan)
    # 11 towns; six islets off the coast have neither code nor name in the file.
    assert (units.rows_in, units.stored, units.rejected) == (17, 11, 6)
    assert units.reasons == {"key_missing": 6, "name_missing": 6}
    assert (sites.rows_in, sites.stored, sites.rejected) == (98, 98, 0)
    truth = _truth(jinshan)
    with connect(empty_url) as connection:
        stored = connection.execute(
            "SELECT local_id, town_code, ST_X(geom) AS x, ST_Y(geom) AS y FROM registry.site"
        ).fetchall()
        areas = {
            r["code"]: r["km2"]
            for r in connection.execute(
                "SELECT code, ST_Area(geom) / 1e6 AS km2 FROM territory.unit"
            ).fetchall()
        }
    assert (
        max(np.hypot(r["x"] - truth[r["local_id"]][0], r["y"] - truth[r["local_id"]][1]) for r in stored)
        < 1.0
    )
    named = read_table(jinshan / "jinshan" / "jinshan_sites_gbk_bd09.csv", encoding="gbk").columns
    town_of = dict(zip(named["site_id"], named["town_code"], strict=True))
    assert all(r["town_code"] == town_of[r["local_id"]] for r in stored)
    # Official areas, km²: Zhangyan 35, Fengjing 92, Zhujing 76, Tinglin 76, Langxia 48 (projected, as printed).
    for code, km2 in (("103", 35.0), ("102", 92.1), ("101", 75.5), ("104", 76.1), ("107", 47.5)):
        assert areas[f"310116{code}000"] == pytest.approx(km2, abs=0.2)
    assert areas["310116000000"] == pytest.approx(608.0, abs=0.5)
    again = load(empty_url, manifest, folder=jinshan)
    assert [(r.stored, r.unchanged) for r in again] == [(0, 11), (0, 98)]


def test_read_as_another_frame_the_same_sites_are_elsewhere(jinshan):
    table = read_table(jinshan / "jinshan" / "jinshan_sites_gbk_bd09.csv")
    assert "common" in table.evidence
    lon, lat = (table.columns[c].astype(float) for c in ("lon_bd09", "lat_bd09"))
    known = _truth(jinshan)
    truth = np.array([known[key] for key in table.columns["site_id"]]).T
    for frame, low, high in (("bd09", 0, 1), ("gcj02", 500, 1500), ("wgs84", 500, 1500)):
        away = np.hypot(*(np.array(points_to_metric(lon, lat, parse_frame(frame), 4549)) - truth))
        assert low <= away.min()
        assert away.max() < high


def test_all_shanghai_leaves_only_jinshan_in(empty_url, jinshan, tmp_path):
    manifest = load_manifest(EXAMPLE)
    section = manifest.sites[0]
    section.file, section.encoding = "shanghai_sites/shanghai_energy_sites_wgs84.csv", None
    section.columns.town_code = None
    _, sites = load(empty_url, manifest, folder=jinshan)
    assert (sites.rows_in, sites.stored, sites.rejected) == (1603, 98, 1505)
    assert set(sites.reasons) == {"outside_district"}


def test_a_county_outline_of_another_source_is_compared(empty_url, jinshan, tmp_path):
    text = EXAMPLE.read_text("utf-8").replace(
        "units:\n  file:",
        'units:\n- file: jinshan/counties_gcj02.geojson\n  frame: gcj02\n  where: {adcode: "310116"}\n'
        "  columns: {code: adcode, name: name}\n- file:",
    )
    path = tmp_path / "manifest.yaml"
    path.write_text(text, encoding="utf-8")
    results = load(empty_url, load_manifest(path), folder=jinshan)
    assert results[0].not_selected == 27
    assert any("IoU 0.9" in notice for notice in results[0].notices)


def test_shapes_without_a_table_are_refused_with_what_is_missing(empty_url, jinshan, tmp_path):
    text = EXAMPLE.read_text("utf-8").replace(
        "jinshan/jinshan_towns_wgs84.geojson", "jinshan/raw_shanghai_street_no_dbf_no_prj/shanghai_street.shp"
    )
    path = tmp_path / "manifest.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Refused, match=r"no \.dbf"):
        load(empty_url, load_manifest(path), folder=jinshan)
