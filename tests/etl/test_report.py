"""The quality report: one file that needs no network, whose account adds up, and in which nothing of a file is markup."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from district import District, fetch

from etl.report import problem_map
from etl.report.page import report, write_report
from etl.report.wrong_columns import wrong_columns
from geoapp.database.connection import connect
from geoapp.errors import Refused

CHROMIUM = "/usr/bin/chromium"
MOMENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
MARKERS = (
    "Object.keys(window).filter(k => k.startsWith('geo_json_')).map(k => window[k]).filter(v => v instanceof L.GeoJSON)"
    ".flatMap(v => v.getLayers()).filter(l => l instanceof L.CircleMarker)"
)
HOSTILE = "<script>window.stolen=1</script>"


@pytest.fixture
def loaded(empty_url, tmp_path):
    """A batch with rows kept aside (one of them without a place, one far outside) and one repaired."""
    rows = [
        ("S1", "甲厂", 100, 100, "", "13800000000"),
        ("S2", HOSTILE, 300, 100, "十二", "13800000001"),
        ("S3", f"丙厂{HOSTILE}", "", "", "1", "13800000002"),
        ("S4", "丁厂", 90_000, 100, "1", "13800000003"),
        ("S5", "戊厂", 500, 100, "1", "13800000004"),
    ]
    district = District(tmp_path).towns().sites(rows, 人数="people", 电话="contact_phone")
    _, sites = district.load(empty_url)
    return empty_url, sites.batch_id


def made(url, batch_id):
    with connect(url) as connection:
        return report(connection, batch_id, moment=MOMENT)


def test_the_account_adds_up_and_every_reason_is_there(loaded):
    url, batch_id = loaded
    page = made(url, batch_id)
    assert '5 = 2 + 0 + 0 + 3 <b class="ok">✓</b>' in re.sub(r"\s+", " ", page)
    for code in ("not_a_number", "coordinate_missing", "outside_district"):
        assert page.count(f'<code class="faint">{code}</code>') == 1
    (batch,) = fetch(url, "SELECT * FROM staging.batch WHERE id = %s", batch_id)
    for said in (batch["file_sha256"], "gb18030", "declared gbk", "bd09", "2026-03-01 20:00:00"):
        assert said in page, said
    assert "1 行没有位置" in page
    assert "1 行在图框之外" in page


def test_nothing_of_a_file_is_markup_and_what_is_not_wrong_is_not_shown(loaded):
    url, batch_id = loaded
    page = made(url, batch_id)
    assert HOSTILE not in page
    assert "&lt;script&gt;window.stolen" in page
    assert "1380000000" not in page  # a phone that nothing is wrong with


def test_what_is_too_much_for_the_map_is_said(loaded, monkeypatch):
    url, batch_id = loaded
    for module in ("problem_map.MOST_PLACES", "page.MOST_PLACES"):
        monkeypatch.setattr(f"etl.report.{module}", 1)
    assert "另有 1 行未画" in made(url, batch_id)


def test_a_batch_without_problems_has_no_map_and_a_city_without_ground_no_report_that_breaks(
    empty_url, tmp_path
):
    District(tmp_path).towns().load(empty_url)
    page = made(empty_url, 1)
    assert "没有发现问题" in page
    assert "<iframe" not in page
    with connect(empty_url) as connection:
        with pytest.raises(Refused, match="no import"):
            report(connection, 99)
        assert problem_map.problem_places(connection, 99) == []


def test_reasons_lead_to_columns():
    reasons = [
        {"field": "lon, lat", "zh": "错", "en": "wrong"},
        {"field": "local_id", "zh": "重复", "en": "twice"},
        {"field": "地址", "zh": "空", "en": "blank"},
        {"field": None, "zh": "x", "en": "x"},
        {"field": "geometry", "zh": "交叉", "en": "crossed"},
    ]
    used = {"lon": "经度", "lat": "纬度", "id": "编号"}
    found = wrong_columns(reasons, used, ["编号", "经度", "纬度", "地址", "geometry"])
    assert list(found) == ["经度", "纬度", "编号", "地址", "geometry"]
    assert found["编号"] == "重复 / twice"


def test_it_opens_without_a_network(loaded, tmp_path):
    if not Path(CHROMIUM).exists():
        pytest.skip(f"{CHROMIUM} is not installed")
    from playwright.sync_api import sync_playwright

    url, batch_id = loaded
    target = tmp_path / "report.html"
    with connect(url) as connection:
        write_report(connection, batch_id, target)
    assert list(tmp_path.glob(".*.part")) == []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(viewport={"width": 390, "height": 844})
        page = context.new_page()
        asked, faults = [], []
        context.route(
            "**/*",
            lambda route: route.continue_() if route.request.url.startswith("file:") else route.abort(),
        )
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda fault: faults.append(str(fault)))
        page.goto(target.as_uri())
        frame = page.query_selector("#map")
        frame.scroll_into_view_if_needed()
        inside = frame.content_frame()
        inside.wait_for_selector(".leaflet-control-layers-overlays label")
        assert "留置 kept aside" in inside.inner_text(".leaflet-control-layers-overlays")
        assert len(inside.evaluate(f"{MARKERS}.map(l => l.feature.properties.said)")) == 2  # one has no place
        # What a marker says is text.
        click = "(m => m.fire('click', { latlng: m.getLatLng() }, true))"
        inside.evaluate(f"void {click}({MARKERS}.find(m => m.feature.properties.said.includes('十二')))")
        assert "is not a number" in inside.inner_text(".leaflet-popup-content", timeout=5_000)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate("window.stolen === undefined")
        browser.close()
    assert not faults
    assert [one for one in asked if not one.startswith(("file:", "data:", "about:"))] == []
