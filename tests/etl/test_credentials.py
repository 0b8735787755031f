"""Cameras' accounts and passwords: taken out of the files, sealed, and in no table, listing or message."""

import csv
import json
from pathlib import Path
from urllib.parse import quote

import geopandas as gpd
import pytest
import shapely
import yaml
from hypothesis import given
from hypothesis import strategies as st

from etl.addresses import split_address, star_address
from etl.inspection import describe
from etl.load import load
from etl.manifest import load_manifest
from geoapp.access import sealing
from geoapp.database.connection import connect
from geoapp.registry.identifiers import camera_gb_id
from geoapp.settings import settings

X0, Y0 = 620_000.0, 3_410_000.0
ID_NUMBER = "310116199001011239"  # its check digit is computed below


def with_check_digit(first: str) -> str:
    total = sum(int(d) * pow(2, 17 - i, 11) for i, d in enumerate(first))
    return first + "10X98765432"[total % 11]


ID_NUMBER = with_check_digit(ID_NUMBER[:17])


@pytest.fixture(autouse=True)
def installation(tmp_path, monkeypatch):
    monkeypatch.setenv("GEOAPP_HOME", str(tmp_path / "home"))
    settings.cache_clear()
    yield
    settings.cache_clear()


# -- addresses --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "stored", "username", "password"),
    [
        ("http://10.0.0.1/snap.jpg", "http://10.0.0.1/snap.jpg", None, None),
        ("http://admin:pw@10.0.0.1:8000/snap?ch=1", "http://10.0.0.1:8000/snap?ch=1", "admin", "pw"),
        ("rtsp://admin:p%40ss@cam.local:554/h264", "rtsp://cam.local:554/h264", "admin", "p@ss"),
        ("rtsp://admin:p@ss@10.0.0.1/ch1/main?sub=1", "rtsp://10.0.0.1/ch1/main?sub=1", "admin", "p@ss"),
        ("isapi://admin:pw@10.0.0.1:8000/7", "isapi://10.0.0.1:8000/7", "admin", "pw"),
        ("onvif://admin:pw@10.0.0.1/Profile_1", "onvif://10.0.0.1/Profile_1", "admin", "pw"),
        ("gb28181://31011600001180000001", "gb28181://31011600001180000001", None, None),
        ("file:///srv/回放/a%401.jpg", "file:///srv/回放/a%401.jpg", None, None),
        ("http://admin:p@ss:w@10.0.0.1/", "http://10.0.0.1/", "admin", "p@ss:w"),
        ("http://admin@10.0.0.1/", "http://10.0.0.1/", "admin", None),
        ("http://admin:pw@[fd00::1]:80/", "http://[fd00::1]:80/", "admin", "pw"),
        (
            "http://h/a?usr=admin&pwd=x%26y&n=1",
            "http://h/a?usr={username}&pwd={password}&n=1",
            "admin",
            "x&y",
        ),
        ("http://h/a?user=all", "http://h/a?user=all", None, None),
        ("http://h/a?pwd={password}", "http://h/a?pwd={password}", None, None),
        ("in-process", "in-process", None, None),
    ],
)
def test_an_address_is_stored_without_its_password(text, stored, username, password):
    assert split_address(text) == (stored, username, password)


@pytest.mark.parametrize(
    "text",
    [
        "http://admin:p/w@10.0.0.1/snap",
        "http://admin:12345/6@10.0.0.1/snap",
        "http://admin:p?w@10.0.0.1/snap",
        "http://10.0.0.1/a@2x.jpg",
        "http://admin:pw@/snap",
        "http://a:one@h/?pwd=two",
        "http://h/?password=one&token=two",
        "http://h/?api_key=S3cret!",
        "http://h/#password=S3cret!",
        "admin:pw 10.0.0.1",
    ],
)
def test_an_address_that_cannot_be_taken_apart_is_not_guessed(text):
    with pytest.raises(ValueError, match="address") as fault:
        split_address(text)
    assert "S3cret" not in str(fault.value)
    assert text not in str(fault.value)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=5, max_size=30))
def test_no_password_stays_in_an_address(password):
    for text in (
        f"http://admin:{quote(password, safe='')}@10.9.8.7/snap.jpg",
        f"http://10.9.8.7/snap.cgi?user=admin&pwd={quote(password, safe='')}",
    ):
        address = split_address(text)
        assert (address.username, address.password) == ("admin", password)
        assert quote(password, safe="") not in address.text
    raw = f"http://admin:{password}@10.9.8.7/snap.jpg"
    try:
        stored = split_address(raw).text
    except ValueError:
        stored = star_address(raw)
    assert password not in stored or password in "http://***@10.9.8.7/snap.jpg"


# -- a load -----------------------------------------------------------------------------------------------------


class Folder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        towns = gpd.GeoDataFrame(
            {"DM": ["310116101000"], "MC": ["甲镇"]},
            geometry=[shapely.box(X0, Y0, X0 + 4000, Y0 + 4000)],
            crs=4549,
        )
        towns.to_file(folder / "towns.gpkg")
        self.lon, self.lat = (
            gpd.GeoSeries([shapely.Point(X0 + 500, Y0 + 500)], crs=4549).to_crs(4326).iloc[0].coords[0]
        )

    def load(self, url, rows, **options):
        """rows: (gb_id, name, address, account, password, note)."""
        with (self.folder / "cameras.csv").open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["id", "name", "lon", "lat", "url", "账号", "密码", "备注"])
            for row in rows:
                writer.writerow([*row[:2], self.lon, self.lat, *row[2:]])
        sections = {
            "city": {"name_zh": "试县", "name_en": "Test", "code": "310116", "metric_srid": 4549},
            "units": {"file": "towns.gpkg", "columns": {"code": "DM", "name": "MC"}},
            "cameras": {
                "file": "cameras.csv",
                "frame": "wgs84",
                "columns": {
                    "gb_id": "id", "name": "name", "lon": "lon", "lat": "lat",
                    "snapshot_url": "url", "username": "账号", "password": "密码",
                },
            },
        }  # fmt: skip
        path = self.folder / "manifest.yaml"
        path.write_text(yaml.safe_dump(sections, allow_unicode=True), encoding="utf-8")
        results = load(url, load_manifest(path), folder=self.folder, **options)
        return next(r for r in results if r.section == "cameras")


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


def gb(number):
    return camera_gb_id("310116", "04", number)


def stored(url, number):
    with connect(url) as connection:
        found = sealing.secrets_of(connection, "camera", gb(number), ["username", "password"])
    return {field: value.get_secret_value() for field, value in found.items()}


def test_credentials_are_sealed_from_columns_and_from_addresses(empty_url, folder):
    result = folder.load(
        empty_url,
        [
            (gb(1), "一", "http://10.0.0.1/a.jpg", "viewer", "col-S3cret", ""),
            (gb(2), "二", "http://viewer:url-S3cret@10.0.0.2/a.jpg", "", "", ""),
            (gb(3), "三", "http://10.0.0.3/a?usr=viewer&pwd=par-S3cret", "", "", ""),
            (gb(4), "四", "http://viewer:url-S3cret@10.0.0.4/a.jpg", "viewer2", "col-S3cret", ""),
            (gb(5), "五", "http://10.0.0.5/a.jpg", "", "", ""),
        ],
    )
    assert (result.stored, result.rejected) == (5, 0)
    assert stored(empty_url, 1) == {"username": "viewer", "password": "col-S3cret"}
    assert stored(empty_url, 2) == {"username": "viewer", "password": "url-S3cret"}
    assert stored(empty_url, 3) == {"username": "viewer", "password": "par-S3cret"}
    assert stored(empty_url, 4) == {"username": "viewer2", "password": "col-S3cret"}
    assert stored(empty_url, 5) == {}
    with connect(empty_url) as connection:
        rows = connection.execute("SELECT snapshot_url FROM registry.camera ORDER BY gb_id").fetchall()
    assert [r["snapshot_url"] for r in rows] == [
        "http://10.0.0.1/a.jpg",
        "http://10.0.0.2/a.jpg",
        "http://10.0.0.3/a?usr={username}&pwd={password}",
        "http://10.0.0.4/a.jpg",
        "http://10.0.0.5/a.jpg",
    ]
    said = " ".join(result.notices)
    assert "3 行的地址里有账号口令" in said
    assert "rows 3, 4, 5" in said
    assert "credentials of 4 camera(s) sealed, 4 of them new" in said


def test_every_kind_of_address_is_taken_and_an_unknown_one_is_told_the_right_ones(empty_url, folder):
    known = [
        "http://10.0.0.1/a.jpg",
        "HTTPS://10.0.0.2/a.jpg",
        "isapi://viewer:url-S3cret@10.0.0.3/7",
        "onvif://10.0.0.4",
        "rtsp://viewer:url-S3cret@10.0.0.5/live",
        "file:///srv/a.jpg",
        "gb28181://31011600001180000001",
    ]
    unknown = ["ftp://viewer:url-S3cret@10.0.0.8/a.jpg", "10.0.0.9/a.jpg", "rtsps://10.0.0.10/live"]
    rows = [(gb(n), f"机{n}", url, "", "", "") for n, url in enumerate([*known, *unknown], 1)]
    result = folder.load(empty_url, rows)
    assert (result.stored, result.rejected) == (7, 3)
    with connect(empty_url) as connection:
        stored_urls = connection.execute("SELECT snapshot_url FROM registry.camera ORDER BY gb_id").fetchall()
        kept = connection.execute("SELECT * FROM staging.rejected ORDER BY row_no, id").fetchall()
    assert [r["snapshot_url"] for r in stored_urls] == [u.replace("viewer:url-S3cret@", "") for u in known]
    assert stored(empty_url, 5) == {"username": "viewer", "password": "url-S3cret"}
    assert [r["reason_code"] for r in kept] == ["address_scheme"] * 3
    said = json.dumps([kept, result.as_json()], ensure_ascii=False, default=str)
    assert "url-S3cret" not in said
    for form in ("http://, https://, isapi://", "gb28181://)", "ftp://", "rtsps://"):
        assert form in said


def test_the_same_again_changes_nothing_and_a_blank_takes_nothing_away(empty_url, folder):
    rows = [(gb(1), "一", "http://10.0.0.1/a.jpg", "viewer", "S3cret-one", "")]
    folder.load(empty_url, rows)
    again = folder.load(empty_url, rows)
    assert again.unchanged == 1
    assert any("0 of them new or changed" in n for n in again.notices)
    folder.load(empty_url, [(gb(1), "一", "http://10.0.0.1/a.jpg", "", "", "")])
    assert stored(empty_url, 1) == {"username": "viewer", "password": "S3cret-one"}
    changed = folder.load(empty_url, [(gb(1), "一", "http://10.0.0.1/a.jpg", "viewer", "S3cret-two", "")])
    assert changed.unchanged == 1  # the register's row is the same; the notice says the rest
    assert any("1 of them new or changed" in n for n in changed.notices)
    assert stored(empty_url, 1)["password"] == "S3cret-two"


def test_a_dry_run_seals_nothing(empty_url, folder):
    folder.load(empty_url, [(gb(1), "一", "", "viewer", "S3cret-one", "")], dry_run=True)
    assert stored(empty_url, 1) == {}


def test_a_row_kept_aside_shows_no_secret_and_no_id_number(empty_url, folder):
    result = folder.load(
        empty_url,
        [
            (
                "123",
                "短",
                "http://viewer:url-S3cret@10.0.0.1/",
                "viewer99",
                "col-S3cret",
                "口令同 col-S3cret",
            ),
            (gb(2), "二", "http://viewer:p/url-S3cret@10.0.0.1/", "", "", f"联系人 {ID_NUMBER}"),
            (gb(3), "三", "http://10.0.0.1/?secret_key=url-S3cret", "", "bad\x07col-S3cret", ""),
            (ID_NUMBER, "号码填错列", "", "", "", ""),
        ],
    )
    assert result.rejected == 4
    assert stored(empty_url, 2) == {}
    with connect(empty_url) as connection:
        kept = connection.execute("SELECT * FROM staging.rejected ORDER BY row_no, id").fetchall()
    said = json.dumps([kept, result.as_json()], ensure_ascii=False, default=str)
    for planted in ("url-S3cret", "col-S3cret", "viewer99", ID_NUMBER):
        assert planted not in said
    first = kept[0]["columns"]
    assert (first["账号"], first["密码"], first["备注"], first["name"]) == ("***", "***", "口令同 ***", "短")
    assert first["url"] == "http://***@10.0.0.1/"
    assert f"{ID_NUMBER[:3]}***********{ID_NUMBER[14:]}" in said
    assert {r["reason_code"] for r in kept} >= {
        "address_has_password",
        "credential_invalid",
        "camera_id_invalid",
    }


def test_a_row_with_a_column_too_many_is_starred_as_a_whole(empty_url, folder, monkeypatch):
    """One stray separator moves the password into another column."""
    result = folder.load(
        empty_url, [(gb(1), "一", "http://10.0.0.1/", "extra", "viewer99", "col-S3cret", "备")]
    )
    assert result.rejected == 1
    with connect(empty_url) as connection:
        (kept,) = connection.execute("SELECT columns FROM staging.rejected").fetchall()
    assert set(kept["columns"].values()) <= {"***", None}


def test_inspect_shows_no_password(folder, empty_url):
    folder.load(
        empty_url,
        [(gb(1), ID_NUMBER, "http://viewer:url-S3cret@10.0.0.1/", "viewer99", "col-S3cret", "= col-S3cret")],
    )
    said = json.dumps(describe(folder.folder / "cameras.csv"), ensure_ascii=False)
    for planted in ("url-S3cret", "col-S3cret", "viewer99", ID_NUMBER):
        assert planted not in said
