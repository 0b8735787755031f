"""Awkward files of the real world, where GEOAPP_REAL_DATA has them: each is read, or refused with a reason."""

import csv
import re

import pytest

from etl.readers import open_source
from geoapp.errors import Refused

_COMPANIONS = (".shx", ".prj", ".cpg", ".md")


@pytest.fixture
def corpus(real_data):
    folder = real_data / "vector_corpus"
    if not (folder / "MANIFEST.csv").exists():
        pytest.skip("GEOAPP_REAL_DATA has no vector_corpus/")
    return folder


def _verdict(path, layer=None):
    """Rows that are read, or the sentence of the refusal."""
    try:
        with open_source(path, layer=layer) as source:
            rows = 0
            for table in source.chunks():
                rows += len(table)
                assert all(len(values) == len(table) for values in table.columns.values())
                assert (table.geometry is not None) == source.has_geometry
                assert len(table.damaged) <= len(table)
            return rows
    except Refused as refusal:
        return str(refusal)


def _layers(said):
    found = re.search(r"several layers \((.*?)\); name one", said)
    return found[1].split(", ") if found else []


def _check(path):
    said = _verdict(path)
    if isinstance(said, int):
        return said
    assert re.search(r"[\u4e00-\u9fff]", said), f"no Chinese in: {said}"
    assert " / " in said
    assert path.name in said
    return sum(_verdict(path, layer) for layer in _layers(said)) or said


# The rest are read; what is refused is so for a reason that a person can do something about.
_REFUSED = {
    "enc_dbf/big5.dbf": "Declare `encoding`",  # two characters are no evidence
    "postgis/Latin1.dbf": "Declare `encoding`",
    "invalid/384_sample1.json": "Unrecognized number",
    "fmt/zip-in-zip.zip": "another packed file",
}
_ROWS = {
    "postgis/PointZ.shp": 3,
    "zm_nodbf/PointM.shp": 3,
    "kart/shapefiles_shp-points-no-shx/nz_pa_points_topo_150k.shp": 2143,
    "kart/gpkg-polygons/nz-waca-adjustments.gpkg": 228,
    "gpkg/mixed_crs.gpkg": 2,
    "fmt/vermont_utm.parquet": 1,
    "fmt/six_counties_three_null.geojson": 6,
    "fmt/empty.fgb": 0,
    "kart/gpkg-types/types.gpkg": 0,
}


def test_every_case_is_read_or_refused_with_a_reason(corpus, capfd):
    with (corpus / "MANIFEST.csv").open(encoding="utf-8", newline="") as stream:
        names = [row["file"] for row in csv.DictReader(stream)]
    found = {name: _check(corpus / name) for name in names}
    refused = {name: said for name, said in found.items() if isinstance(said, str)}
    assert set(refused) == set(_REFUSED)
    assert all(_REFUSED[name] in said for name, said in refused.items())
    assert {name: found[name] for name in _ROWS} == _ROWS
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("folder", ["jinshan", "shanghai_sites", "osm_shanghai"])
def test_the_other_real_files_are_all_read(real_data, folder):
    if not (real_data / folder).exists():
        pytest.skip(f"GEOAPP_REAL_DATA has no {folder}/")
    files = [
        path for path in sorted((real_data / folder).rglob("*.*")) if path.suffix.lower() not in _COMPANIONS
    ]
    found = {path.name: _check(path) for path in files}
    assert {name: said for name, said in found.items() if not isinstance(said, int) or said == 0} == {}
    assert found.get("shanghai_sample.osm", 270) == 270
    assert found.get("shanghai_street.shp", 251) == 251
