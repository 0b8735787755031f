"""No row is ever lost or counted twice: files of any content, cut off at any byte, and a process killed at any moment."""

import csv
import os
import random
import signal
import subprocess
import sys
import time

import geopandas as gpd
import pytest
import shapely
import yaml
from district import CITY, TOWN_A, TOWN_B, District, degrees, fetch, square
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl.load import load
from etl.manifest import load_manifest
from geoapp.database.connection import connect
from geoapp.errors import Refused
from geoapp.registry.identifiers import generate_uscc

ROWS = 400
CUTS = 3
MANY_CUTS = 60


@pytest.fixture
def district(tmp_path):
    return District(tmp_path).towns()


def account(url, result, file_rows):
    """What the result says, what staging holds and what the register holds must be one account of the file's rows."""
    counted = result.stored + result.unchanged + result.repaired + result.rejected
    assert result.rows_in == counted
    assert result.rows_in + result.not_selected == file_rows
    aside = fetch(
        url,
        "SELECT count(DISTINCT row_no) AS n FROM staging.rejected WHERE batch_id = %s",
        result.batch_id,
    )[0]["n"]
    assert aside == result.rejected
    (batch,) = fetch(url, "SELECT * FROM staging.batch WHERE id = %s", result.batch_id)
    assert (batch["rows_in"], batch["rows_rejected"]) == (result.rows_in, result.rejected)


ROW = st.tuples(
    st.sampled_from(["S1", "S2", "S3", "S4", "", " ", "长编号" * 9]),
    st.sampled_from(["甲厂", "乙厂", "", "=1+1", "'; DROP", "名\n字"]),
    st.sampled_from(["121.3", "121.35", "", "0", "x", "999", "NaN", "１２１.３"]),
    st.sampled_from(["30.8", "30.81", "", "0", "-95", "inf"]),
    st.sampled_from(["", "9131011600000000XX", "91310116MA1FL1234", "91310116ma000000"]),
)


BATCHES = st.lists(st.lists(ROW, min_size=1, max_size=12), min_size=1, max_size=3)
ANY = {"deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=4, **ANY)
@given(batches=BATCHES)
def test_any_rows_in_any_order_again_and_again(make_database, tmp_path, batches):
    any_rows_again_and_again(make_database, tmp_path, batches)


@pytest.mark.long
@settings(max_examples=300, **ANY)
@given(batches=BATCHES)
def test_any_rows_in_any_order_many_times(make_database, tmp_path, batches):
    any_rows_again_and_again(make_database, tmp_path, batches)


def any_rows_again_and_again(make_database, tmp_path, batches):
    district = District(tmp_path).towns()
    url = make_database()
    total = 0
    for rows in batches:
        district.sites(rows, USCC="uscc")
        _, sites = district.load(url)
        account(url, sites, len(rows))
        total += sites.new
        assert fetch(url, "SELECT count(*) AS n FROM registry.site")[0]["n"] == total
        _, again = district.load(url)
        account(url, again, len(rows))
        assert (again.new, again.changed, again.rejected) == (0, 0, sites.rejected)


def write_sites(path):
    uscc = generate_uscc("310116", range(ROWS))
    if path.suffix == ".csv":
        with path.open("w", encoding="gbk", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["编号", "名称", "码", "经度", "纬度"])
            for n in range(ROWS):
                writer.writerow(
                    [f"S{n}", f"工厂{n}", uscc[n], *(f"{v:.7f}" for v in degrees(10 * n + 5, 50))]
                )
        return
    frame = gpd.GeoDataFrame(
        {"编号": [f"S{n}" for n in range(ROWS)], "名称": [f"工厂{n}" for n in range(ROWS)], "码": list(uscc)},
        geometry=[shapely.Point(*degrees(10 * n + 5, 50)) for n in range(ROWS)],
        crs=4326,
    )
    frame.to_file(path)


SUFFIXES = [".csv", ".gpkg", ".geojson", ".fgb", ".shp", ".xlsx"]


@pytest.mark.parametrize(
    "suffix", [s if s in (".csv", ".geojson") else pytest.param(s, marks=pytest.mark.long) for s in SUFFIXES]
)
def test_a_file_cut_off_anywhere_is_refused_or_counted(make_database, tmp_path, suffix):
    cut_off_anywhere(make_database, tmp_path, suffix, CUTS)


@pytest.mark.long
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_off_at_many_places(make_database, tmp_path, suffix):
    cut_off_anywhere(make_database, tmp_path, suffix, MANY_CUTS)


def cut_off_anywhere(make_database, tmp_path, suffix, cuts):
    district = District(tmp_path).towns()
    whole = tmp_path / f"sites{suffix}"
    if suffix == ".xlsx":
        from openpyxl import Workbook

        book = Workbook()
        sheet = book.active
        sheet.append(["编号", "名称", "码", "经度", "纬度"])
        for n, code in enumerate(generate_uscc("310116", range(ROWS))):
            sheet.append([f"S{n}", f"工厂{n}", str(code), *degrees(10 * n + 5, 50)])
        book.save(whole)
    else:
        write_sites(whole)
    columns = {"id": "编号", "name": "名称", "uscc": "码"}
    if suffix in (".csv", ".xlsx"):
        columns |= {"lon": "经度", "lat": "纬度"}
    district.sections["sites"] = {"file": whole.name, "frame": "wgs84", "columns": columns}
    content = whole.read_bytes()
    url = make_database()
    district.load(url, dry_run=True)
    rng = random.Random(suffix)
    for cut in sorted({0, 1, len(content) - 1, *(rng.randrange(len(content)) for _ in range(cuts))}):
        whole.write_bytes(content[:cut])
        before = fetch(url, "SELECT count(*) AS n FROM registry.site")[0]["n"]
        try:
            _, sites = district.load(url)
        except Refused as refusal:
            said = str(refusal)
            assert len(said) > 10, said
            assert fetch(url, "SELECT count(*) AS n FROM registry.site")[0]["n"] == before
            continue
        assert sites.rows_in <= ROWS
        account(url, sites, sites.rows_in)
        assert fetch(url, "SELECT count(*) AS n FROM registry.site")[0]["n"] == before + sites.new


@pytest.mark.parametrize(
    "after",
    [pytest.param("0.05", marks=pytest.mark.long), pytest.param("0.6", marks=pytest.mark.long), "commit"],
)
def test_a_killed_import_leaves_nothing_and_comes_whole_the_next_time(make_database, tmp_path, after):
    """kill -9 of the loading process; what it had written is gone, and its run says that it was cut off."""
    url = make_database()
    towns = gpd.GeoDataFrame(
        {"DM": [TOWN_A, TOWN_B], "MC": ["甲镇", "乙镇"]},
        geometry=[square(0, 0, 4000), square(4000, 0, 4000)],
        crs=4549,
    )
    towns.to_file(tmp_path / "towns.gpkg")
    count = 20_000
    uscc = generate_uscc("310116", range(count))
    lines = ["id,name,uscc,lon,lat"]
    lon, lat = degrees(100, 100)
    lines += [f"S{n},工厂{n},{uscc[n]},{lon + n * 1e-6:.7f},{lat:.7f}" for n in range(count)]
    (tmp_path / "sites.csv").write_text("\n".join(lines), encoding="utf-8")
    manifest = tmp_path / "m.yaml"
    named = {"id": "id", "name": "name", "uscc": "uscc", "lon": "lon", "lat": "lat"}
    manifest.write_text(
        yaml.safe_dump(
            {
                "city": CITY,
                "units": {"file": "towns.gpkg", "columns": {"code": "DM", "name": "MC"}},
                "sites": {"file": "sites.csv", "frame": "wgs84", "columns": named},
            },
            allow_unicode=True,
        ),
        encoding="utf-8",
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "geoapp.cli", "load", str(manifest)],
        env=os.environ | {"GEOAPP_DATABASE_URL": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _wait_for_the_run(url, process)
    if after != "commit":
        time.sleep(float(after))
        process.send_signal(signal.SIGKILL)
    process.wait(60)
    if after != "commit" and process.returncode == -signal.SIGKILL:
        for table in (
            "registry.site",
            "territory.unit",
            "territory.city",
            "staging.batch",
            "staging.rejected",
        ):
            assert fetch(url, f"SELECT FROM {table}") == [], table
        _wait_until_nobody_holds(url)
    results = load(url, load_manifest(manifest), folder=tmp_path)
    account(url, results[1], count)
    assert fetch(url, "SELECT count(*) AS n, count(DISTINCT uscc) AS d FROM registry.site") == [
        {"n": count, "d": count}
    ]
    assert (
        len(fetch(url, "SELECT FROM pg_indexes WHERE schemaname = 'registry' AND tablename = 'site'")) == 11
    )


def _wait_for_the_run(url, process):
    """Until the process has begun its run."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with connect(url) as connection:
            if connection.execute("SELECT FROM staging.load").fetchone() is not None:
                return
        time.sleep(0.02)
    assert process.poll() is not None, "the run did not begin"


def _wait_until_nobody_holds(url):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        (run,) = fetch(url, "SELECT state, staging.is_held(id) AS held FROM staging.load")
        if not run["held"]:
            assert run["state"] == "running"  # and nobody holds it: cut off
            return
        time.sleep(0.05)
    raise AssertionError("the dead process's run is still held")
