"""The blind list on the page of cameras: what it says is what analysis.camera_blind says, for whoever reads it."""

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from screens import Site, until
from test_panels import words

from dashboards import camera_blind

FAULTS = [
    ("frozen", "同一画面 7200 秒 / same picture for 7200 s"),
    ("blurred", "清晰度 0.31，平时 0.62 / sharpness 0.31, usually 0.62"),
    ("timeout", "5 秒内没有画面 / no picture within 5 s"),
    ("covered", "48 格中 2 格有轮廓，平时 41 / outlines in 2 of 48 fields, usually 41"),
    ("frozen", "同一画面 300 秒 / same picture for 300 s"),
]


@pytest.fixture(scope="module")
def blind_cameras(site: Site) -> list[int]:
    """Of the sample city's connected cameras some are blind, each in its way, one is not scanned, the others see."""
    now = datetime.now(UTC)
    with site.connect() as owner:
        owner.execute("DELETE FROM watch.camera_health")
        owner.execute("DELETE FROM watch.scan_due")
        rows = owner.execute(
            "SELECT c.id FROM registry.camera AS c WHERE c.is_connected AND c.enabled"
            " ORDER BY NOT EXISTS (SELECT FROM registry.key_risk_area AS a WHERE ST_Intersects(a.geom, c.sector)), c.id"
        ).fetchall()
        ids = [int(row["id"]) for row in rows]
        assert len(ids) >= 10
        for place, camera in enumerate(ids):
            # The first few see key risk areas; every other one of the faults is on the rest.
            fault = FAULTS[place // 2] if place % 2 == 0 and place // 2 < len(FAULTS) else None
            begun = now - timedelta(hours=3 * place + 1)
            owner.execute(
                "INSERT INTO watch.camera_health (camera_id, observed, reason, since, last_try_at, last_observed_at, detail,"
                " notes, clock_offset_s) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    camera,
                    fault is None,
                    fault[0] if fault else None,
                    begun,
                    now,
                    begun if fault else now,
                    fault[1] if fault else None,
                    ["night_mode"] if place % 3 == 0 else ["clock_off"] if place == 1 else [],
                    7200.0 if place == 1 else 0.1,
                ),
            )
            owner.execute(
                "INSERT INTO watch.scan_due (camera_id, next_due_at) VALUES (%s, %s)",
                (camera, now + timedelta(hours=1) if place != 3 else now - timedelta(hours=1)),
            )
        owner.execute("DELETE FROM watch.camera_health WHERE camera_id = %s", (ids[9],))
    return [*ids[0:10:2], ids[3], ids[9]]


def listed(page: Any) -> list[str]:
    until(page, "document.querySelector('#blind-table tbody tr')", 25)
    found: list[str] = page.evaluate(
        "[...document.querySelectorAll('#blind-table tbody tr')].map(r => r.innerText)"
    )
    return found


def shoot(page: Any, name: str) -> None:
    """For whoever looks at them: GEOAPP_TEST_SHOTS names a folder."""
    folder = os.environ.get("GEOAPP_TEST_SHOTS")
    if folder:
        page.wait_for_timeout(400)
        page.screenshot(path=f"{folder}/{name}.png")


def test_the_list_says_what_the_view_says(
    open_page: Callable[..., Any], site: Site, blind_cameras: list[int]
) -> None:
    page = open_page("/cameras?lang=en", map_ready=False)
    rows = listed(page)
    with site.connect() as owner:
        view = owner.execute("SELECT * FROM analysis.camera_blind").fetchall()
    assert {row["camera_id"] for row in view} == set(blind_cameras)
    assert len(rows) == len(view)
    assert {row["gb_id"] for row in view} == {r.split("\n")[1] for r in rows}
    figures = page.locator(".blind-figure b").all_inner_texts()
    unwatched = sum(1 for row in view if row["unwatched_area_count"])
    assert figures == [str(len(view)), str(unwatched), "1"]
    assert unwatched > 0
    text = page.locator(".blind-list").inner_text()
    assert "sharpness 0.31, usually 0.62" in text
    assert "清晰度" not in text
    assert "due, and nobody looked" in text
    assert "1 with a wrong clock, by up to 2 h" in text
    has_unwatched = [bool(r.count(" unwatched (")) for r in rows]
    assert has_unwatched == sorted(has_unwatched, reverse=True), "what nobody sees comes first"
    shoot(page, "cameras-en-light")


def test_a_reason_is_chosen_and_the_place_is_on_the_map(
    open_page: Callable[..., Any], site: Site, blind_cameras: list[int]
) -> None:
    page = open_page("/cameras?theme=dark", map_ready=False)
    listed(page)
    shoot(page, "cameras-zh-dark")
    page.locator(".blind-filter label", has_text="画面冻结 2").click()
    until(page, "document.querySelectorAll('#blind-table tbody tr').length === 2")
    assert all("画面冻结" in row for row in listed(page))
    assert "同一画面 7200 秒" in page.locator("#blind-table").inner_text()
    page.locator("#blind-table button.link").first.click()
    until(page, "location.pathname === '/' && location.search.includes('camera')", 25)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_on_a_phone_rows_are_cards_and_nothing_is_cut_off(
    open_page: Callable[..., Any], blind_cameras: list[int], lang: str
) -> None:
    page = open_page(f"/cameras?lang={lang}", 390, 844, map_ready=False)
    listed(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("document.querySelector('.table-page').scrollWidth") <= 390
    assert page.evaluate(
        "document.querySelector('#blind-table').scrollWidth <= document.querySelector('#blind-table').clientWidth"
    )
    shoot(page, f"cameras-{lang}-phone")
    if lang == "zh":
        page.evaluate("document.querySelector('#blind-table').scrollIntoView()")
        shoot(page, "cameras-zh-phone-list")


def test_a_town_reads_its_own_cameras_only(
    open_page: Callable[..., Any], site: Site, blind_cameras: list[int]
) -> None:
    page = open_page("/cameras", map_ready=False, login="duty_officer")
    until(page, "document.querySelector('#blind-table tbody tr, #blind-table .empty')", 25)
    codes = page.evaluate("[...document.querySelectorAll('#blind-table code')].map(c => c.textContent)")
    with site.connect() as owner:
        reach = owner.execute(
            "SELECT b.gb_id FROM analysis.camera_blind AS b"
            " WHERE b.town_code = %s OR EXISTS (SELECT FROM registry.camera_reach AS r"
            " WHERE r.camera_id = b.camera_id AND r.town_code = %s)",
            (site.people.town, site.people.town),
        ).fetchall()
    assert set(codes) == {row["gb_id"] for row in reach}
    assert len(codes) < len(blind_cameras)


# -- words ------------------------------------------------------------------------------------------------------


def test_nobody_blind_is_said_in_words_and_not_by_an_empty_table() -> None:
    about = {"connected": 40, "not_connected": 3, "night_mode": 0, "clock_off": 0, "clock_off_most_s": None}
    told = words(camera_blind.figures([], about, "en"))
    assert "of 40 connected" in told
    assert "3 not connected, not listed here" in told
    assert "by up to" not in told
    assert camera_blind.table([], "zh", "Asia/Shanghai")["empty"] == "已接入的摄像机都看得到画面。"


@pytest.mark.parametrize(
    ("seconds", "says"),
    [(59, "0 min"), (-7199, "119 min"), (7200, "2 h"), (172_799, "47 h"), (172_800, "2 d")],
)
def test_durations_in_words(seconds: float, says: str) -> None:
    assert camera_blind.duration(seconds, "en") == says


def test_the_readers_half_of_a_detail() -> None:
    both = "清晰度 0.31 / sharpness 0.31; 时钟 +90 秒 / clock +90 s"
    assert camera_blind.said(both, "zh") == "清晰度 0.31; 时钟 +90 秒"
    assert camera_blind.said(both, "en") == "sharpness 0.31; clock +90 s"
    assert camera_blind.said("HTTP 503", "zh") == "HTTP 503"
