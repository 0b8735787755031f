"""A damaged manifest gets one clear message: where, what was expected, what to do."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl.manifest import LOADABLE, Manifest, load_manifest
from geoapp.errors import Refused

GOOD = """\
city: {name_zh: 试县, name_en: Test, code: "310116", metric_srid: 4549}
units:
  file: towns.geojson
  frame: wgs84
  columns: {code: town_code, name: town}
sites:
  - file: a.csv
    encoding: gbk
    frame: bd09
    columns: {id: 编号, name: 名称, lon: 经度, lat: 纬度}
  - file: b.csv
    frame: gcj02
    columns: {uscc: 信用代码, name: 名称, lon: 经度, lat: 纬度}
"""


def _write(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "manifest.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_a_good_manifest_gives_its_files_in_the_order_of_loading(tmp_path):
    manifest = load_manifest(_write(tmp_path, GOOD))
    assert [(s.name, s.file) for s in manifest.in_order()] == [
        ("units", "towns.geojson"),
        ("sites", "a.csv"),
        ("sites", "b.csv"),
    ]
    assert manifest.city.timezone == "Asia/Shanghai"


def test_a_manifest_saved_in_gbk_is_read(tmp_path):
    assert load_manifest(_write(tmp_path, GOOD.encode("gbk"))).city.name_zh == "试县"


def test_every_section_of_the_contract_is_known():
    contract = set(Manifest.model_fields)
    assert contract == {
        *(
            "city",
            "units",
            "grid",
            "sites",
            "key_risk_areas",
            "cameras",
            "departments",
            "duty_rules",
            "assignments",
        ),
        *(
            "staff",
            "certificates",
            "permits",
            "hazards",
            "checks",
            "events",
            "buildings",
            "roads",
            "water",
            "resources",
        ),
    }
    assert {kind.name for kind in LOADABLE} | {"city"} == contract


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("sites:", "site:", ["line 6", "site", "`sites`"]),
        ("encoding: gbk", "encodng: gbk", ["line 8", "`encoding`"]),
        ("name: town}", "nmae: town}", ["line 5", "`name`"]),
        ("frame: bd09", "frame: bd9", ["line 9", "frame", "bd09"]),
        ("encoding: gbk", "encoding: gkb", ["line 8", "gkb", "utf-8"]),
        ('code: "310116"', 'code: "3101"', ["line 1", "city.code", "six digits"]),
        ("metric_srid: 4549", "metric_srid: 4326", ["line 1", "metric_srid", "metres"]),
        ("metric_srid: 4549", "metric_srid: many", ["line 1", "metric_srid", "integer"]),
        (", metric_srid: 4549", "", ["city.metric_srid", "missing"]),
        ("  file: towns.geojson\n", "", ["units.file", "missing"]),
        (
            "columns: {code: town_code, name: town}",
            "columns: town",
            ["line 5", "units.columns", "key: value"],
        ),
        ("id: 编号, ", "", ["line 10", "uscc", "id"]),
        ("units:\n", "units:\n\t- x\n", ["line 3", "YAML"]),
        ("frame: wgs84", "frame: [wgs84", ["YAML"]),
        ("units:", "sites: {}\nunits:", ["sites", "twice"]),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path, old, new, expected):
    assert old in GOOD
    path = _write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(Refused) as refusal:
        load_manifest(path)
    for words in ["manifest.yaml", *expected]:
        assert words in str(refusal.value)


def test_all_that_is_wrong_is_said_at_once(tmp_path):
    text = (
        GOOD.replace("encoding:", "encodng:")
        .replace("frame: gcj02", "frame: gjc02")
        .replace("nits:", "nitz:")
    )
    with pytest.raises(Refused, match="3 thing") as refusal:
        load_manifest(_write(tmp_path, text))
    assert str(refusal.value).count("\n") == 3


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"- a\n- b\n", b"\x00\x01\x02", b"\xff\xfe\xff", b"city: null"]
)
def test_what_is_no_manifest_at_all_is_refused(tmp_path, content):
    with pytest.raises(Refused):
        load_manifest(_write(tmp_path, content))


def test_a_missing_manifest_is_refused(tmp_path):
    with pytest.raises(Refused, match="no manifest"):
        load_manifest(tmp_path / "nothing.yaml")


@given(cut=st.integers(0, len(GOOD.encode())), junk=st.binary(max_size=4))
def test_a_manifest_damaged_anywhere_is_read_or_refused(tmp_path_factory, cut, junk):
    content = GOOD.encode()
    path = tmp_path_factory.mktemp("m") / "manifest.yaml"
    path.write_bytes(content[:cut] + junk + content[cut + len(junk) :])
    with contextlib.suppress(Refused):  # anything else fails the test
        assert isinstance(load_manifest(path), Manifest)
