"""The map in a browser: what is drawn, what is asked, what a click says, what a new lead does."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from screens import Site, drawn, open_incident, until

from layers.registry import LENSES

pytestmark = pytest.mark.browser

# RGBA of the cell layer's canvas at a place: what the lens painted there.
PIXEL = """([lat, lon]) => {
  const city = geoapp.city, layer = city.tiles.cell, zoom = layer._tileZoom;
  const at = city.map.project([lat, lon], zoom), x = Math.floor(at.x / 512), y = Math.floor(at.y / 512);
  const tile = layer._tiles[`${x}:${y}:${zoom}`];
  if (!tile) return null;
  const ratio = tile.el.width / 512;
  return [...tile.el.getContext('2d').getImageData((at.x - x * 512) * ratio, (at.y - y * 512) * ratio, 1, 1).data];
}"""


def hex_of(pixel: list[int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*pixel[:3])


def near(pixel: list[int], colour: str) -> bool:
    """Same colour but for the rounding of premultiplied alpha."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return all(abs(a - b) <= 4 for a, b in zip(pixel[:3], wanted, strict=True))


def places(site: Site, level: str, limit: int = 12) -> list[dict[str, Any]]:
    """Large cells of a level with a point well inside them (degrees)."""
    with site.connect() as connection:
        return connection.execute(
            "SELECT r.cell_code, r.score, ST_Y(p.at) AS lat, ST_X(p.at) AS lon FROM analysis.risk_cell AS r"
            " JOIN territory.grid_cell AS g ON g.code = r.cell_code"
            " CROSS JOIN LATERAL (SELECT ST_Transform((ST_MaximumInscribedCircle(g.geom)).center, 4326) AS at) AS p"
            " WHERE r.look = %s AND NOT r.is_stale AND r.unknown_site_count = 0 AND NOT r.top_has_duty_gap"
            " ORDER BY ST_Area(g.geom) DESC LIMIT %s",
            (level, limit),
        ).fetchall()


def test_cells_are_painted_in_the_colour_of_their_class(open_page: Callable[..., Any], site: Site) -> None:
    page = open_page("/?lens=risk&theme=light&layers=")
    colours = {c.id: c.colour.lower() for c in LENSES[0].classes}
    checked = 0
    for level in ("orange", "yellow", "blue"):
        for place in places(site, level, 6):
            pixel = page.evaluate(PIXEL, [place["lat"], place["lon"]])
            if pixel is None:
                continue
            assert near(pixel, colours[level]), (level, hex_of(pixel), place["cell_code"])
            checked += 1
    assert checked >= 6
    stats = page.evaluate("geoapp.city.stats()")
    assert stats["layers"]["base"]["features"] > 0
    assert stats["labels"] >= 5


@pytest.mark.long
def test_a_lens_is_switched_without_fetching_a_tile(open_page: Callable[..., Any], site: Site) -> None:
    page = open_page("/?lens=risk&theme=light&layers=")
    place = places(site, "yellow", 1)[0]
    before = page.evaluate(PIXEL, [place["lat"], place["lon"]])
    page.wait_for_timeout(400)
    fetched = page.evaluate("geoapp.city.stats().layers.cell.fetched")
    page.seen.clear()
    page.locator("#lens label", has_text="责任").click()
    until(page, "document.documentElement.dataset.lens === 'duty'")
    after = page.evaluate(PIXEL, [place["lat"], place["lon"]])
    assert after != before
    assert page.evaluate("geoapp.city.stats().layers.cell.fetched") == fetched
    assert [u for u in page.seen if "/tiles/cell/" in u] == []
    assert any("/lens/duty.json" in u for u in page.seen)
    until(page, "location.search.includes('lens=duty')")


def test_a_clicked_cell_says_what_sql_says(open_page: Callable[..., Any], site: Site) -> None:
    page = open_page("/?lens=risk&layers=&lang=en")
    place = places(site, "orange", 1)[0]
    spot = page.evaluate(
        "([lat, lon]) => { const p = geoapp.city.map.latLngToContainerPoint([lat, lon]);"
        " const box = geoapp.city.map.getContainer().getBoundingClientRect(); return [p.x + box.left, p.y + box.top]; }",
        [place["lat"], place["lon"]],
    )
    page.mouse.click(*spot)
    until(page, "document.querySelector('#drawer [data-score]')")
    with site.connect() as connection:
        row = connection.execute(
            "SELECT r.score, r.top_site_zh, (SELECT count(*) FROM analysis.coverage_gap AS g WHERE g.cell_code = r.cell_code) AS gaps"
            " FROM analysis.risk_cell AS r WHERE r.cell_code = %s",
            (place["cell_code"],),
        ).fetchone()
    assert row is not None
    shown = page.locator("#drawer").inner_text()
    assert abs(float(page.locator("#drawer [data-score]").get_attribute("data-score")) - row["score"]) < 0.05
    assert f"score {row['score']:.1f}" in shown
    assert row["top_site_zh"] in shown
    code = place["cell_code"]
    assert f"{code[6:12]}-{code[12]}-{code[13:16]}-{code[16:]}" in shown
    if row["gaps"]:
        assert f"Coverage gaps\n{row['gaps']}" in shown or f"Coverage gaps {row['gaps']}" in shown
    page.keyboard.press("Escape")
    until(page, "!document.body.classList.contains('drawer-open')")


def test_figures_on_screen_are_the_views_figures(open_page: Callable[..., Any], site: Site) -> None:
    page = open_page("/")
    until(page, "document.querySelectorAll('[data-figure]').length === 6")
    with site.connect() as connection:
        rows = connection.execute("SELECT name, value FROM analysis.headline").fetchall()
    head = {row["name"]: row["value"] for row in rows}
    for name in (
        "key_risk_area_seen_under_60",
        "sites_without_confirmed_lead",
        "ground_in_no_cell_km2",
        "cells_red",
    ):
        shown = float(page.locator(f"[data-figure={name}]").get_attribute("data-value"))
        assert shown == pytest.approx(head[name]), name
    until(page, "document.querySelector('.legend-row b').textContent !== '—'")
    counts = page.locator(".legend-row b").all_inner_texts()
    assert sum(int(n.replace(",", "")) for n in counts) == head["cells_total"]


@pytest.mark.parametrize(
    ("lang", "says", "title"),
    [
        ("zh", "样例城市：数据为生成", "哪里要出事"),
        pytest.param("en", "Sample city: generated data", "burn", marks=pytest.mark.long),
    ],
)
def test_both_languages(open_page: Callable[..., Any], lang: str, says: str, title: str) -> None:
    page = open_page(f"/?lang={lang}")
    assert page.locator("html").get_attribute("lang") == ("zh-CN" if lang == "zh" else "en")
    until(page, "document.querySelector('.lens-question').textContent.length > 3")
    text = page.locator("body").inner_text()
    assert says in text
    assert title in text
    assert "Asia/Shanghai" in text
    for path in ("/matrix", "/cameras"):
        other = open_page(f"{path}?lang={lang}", map_ready=False)
        until(other, "document.querySelector('.table-card table')", 20)
        assert says in other.locator("body").inner_text()


@pytest.mark.long
def test_on_a_phone_nothing_is_wider_than_the_screen(open_page: Callable[..., Any]) -> None:
    for path, ready in (("/", True), ("/?lang=en", True), ("/matrix", False), ("/cameras?lang=en", False)):
        page = open_page(path, 390, 844, map_ready=ready)
        if not ready:
            until(page, "document.querySelector('.table-card table')", 20)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        assert page.evaluate("document.querySelector('.top-bar').scrollWidth") <= 390, path
    page = open_page("/", 390, 844)
    map_box = page.locator(".map-area").bounding_box()
    assert map_box["height"] > 250


def test_a_lead_is_on_the_open_map_at_once(open_page: Callable[..., Any], site: Site) -> None:
    page = open_page("/?layers=incident")
    until(page, "document.querySelector('#live-pill').dataset.state === 'fresh'")
    page.wait_for_timeout(300)
    with site.connect() as connection:
        made = open_incident(connection, site.home, kind="welding_arc")
    started = time.monotonic()
    until(page, f"geoapp.city.markers.has('{made['id']}')", 4)
    on_map = time.monotonic() - started
    until(page, "document.querySelector('.toast')", 2)
    # The goal is two seconds; a machine that runs three tests at once is given twice that.
    assert on_map < 4.0
    until(page, f"document.querySelector('.incident-row[data-select=\"incident:{made['id']}\"]')", 4)
    assert time.monotonic() - started < 4
    assert page.locator(".incident-mark.open.new").count() == 1
    # No watch has run over this city: the screen says that nobody looks, beside the fresh data.
    assert "巡查还没有开始" in page.locator("#watch-banner").inner_text()
    assert "焊接弧光" in page.locator(".toast").first.inner_text()

    # Its frame, with the box where the detection was, and that it is a lead.
    page.locator(f".incident-row[data-select='incident:{made['id']}']").click()
    until(page, "document.querySelector('#drawer .frame img')?.naturalWidth === 640")
    shown = page.locator("#drawer").inner_text()
    assert f"#{made['no']}" in shown
    assert "须人工核实" in shown
    assert "±12.5 m × ±3.2 m" in shown
    # Both in one look: the drawer may still be sliding in.
    frame, box = page.evaluate(
        "['.frame', '.frame .box'].map(s => document.querySelector('#drawer ' + s).getBoundingClientRect().toJSON())"
    )
    assert (box["x"] - frame["x"]) / frame["width"] == pytest.approx(300 / 640, abs=0.01)
    assert (box["y"] - frame["y"]) / frame["height"] == pytest.approx(160 / 360, abs=0.02)


def test_an_old_screen_says_so_and_catches_up(open_page: Callable[..., Any], site: Site) -> None:
    page = open_page("/?layers=incident&lang=en")
    until(page, "document.querySelector('#live-pill').dataset.state === 'fresh'")
    with site.database_away():
        until(page, "!document.querySelector('#stale-banner').hidden", 10)
        assert "as of" in page.locator("#stale-banner").inner_text()
        assert page.locator("#live-pill").get_attribute("data-state") == "stale"
        assert page.locator("[data-figure]").count() == 6, "what was shown stays, under the banner"
    until(page, "document.querySelector('#stale-banner').hidden", 25)
    with site.connect() as connection:
        made = open_incident(connection, site.home)
    until(page, f"geoapp.city.markers.has('{made['id']}')", 10)


@pytest.mark.long
def test_the_address_brings_back_the_view(open_page: Callable[..., Any], site: Site) -> None:
    place = places(site, "yellow", 1)[0]
    page = open_page(
        f"/?lang=en&theme=dark&lens=coverage&layers=site.unit&z=13.5&lat={place['lat']:.5f}&lon={place['lon']:.5f}"
        f"&selected=cell:{place['cell_code']}"
    )
    until(page, "document.querySelector('#drawer h2')")
    assert page.evaluate("geoapp.city.map.getZoom()") == 13.5
    assert page.evaluate("document.documentElement.dataset.lens") == "coverage"
    assert page.evaluate("geoapp.city.map.hasLayer(geoapp.city.tiles.camera)") is False
    assert page.evaluate("document.documentElement.getAttribute('data-mantine-color-scheme')") == "dark"
    page.evaluate("geoapp.city.map.panBy([120, 0], {animate: false})")
    page.wait_for_timeout(500)
    address = page.evaluate("location.search")
    assert "z=13.5" in address
    assert f"lon={place['lon']:.5f}" not in address
    again = open_page("/" + address)
    drawn(again)
    centres = [p.evaluate("geoapp.city.map.getCenter()") for p in (page, again)]
    assert centres[0]["lng"] == pytest.approx(centres[1]["lng"], abs=1e-4)


@pytest.mark.long
def test_told_to_reload_the_map_asks_for_incidents_cells_and_figures_anew(
    open_page: Callable[..., Any], site: Site
) -> None:
    page = open_page("/?lens=coverage&lang=en")
    until(page, "document.querySelector('[data-legend=no_cell] b')?.textContent.includes('km²')")
    strip = page.locator("[data-figure=ground_in_no_cell_km2] b").inner_text()
    assert page.locator("[data-legend=no_cell] b").inner_text() == f"{strip} km²"

    page.wait_for_timeout(1500)
    page.seen.clear()
    page.wait_for_timeout(500)
    assert not page.seen, "nothing is asked on a quiet map"
    page.evaluate("geoapp.live.socket.onmessage({ data: JSON.stringify({ type: 'reload' }) })")
    deadline = time.monotonic() + 10
    wanted = ("/features/incident.geojson", "/lens/coverage.json", "/_dash-update-component")
    while not all(any(part in url for url in page.seen) for part in wanted):
        assert time.monotonic() < deadline, page.seen
        page.wait_for_timeout(100)


def test_an_unknown_address_says_so_on_the_page(open_page: Callable[..., Any]) -> None:
    page = open_page("/nope?lang=en", map_ready=False)
    until(page, "document.querySelector('.notice')?.textContent.includes('There is no such page')")
