"""What a town, a community and a firm see on the map: their own, said to be no more than that; what is not known is no 0."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from screens import Site, until
from test_web import PAGE, asked

from dashboards import overview, shell
from dashboards.texts import t
from geoapp.access.caller import Caller, calling

UNKNOWN = t("scope.unknown", "zh")
LEGEND = {"lens.value": "risk", "slow-tick.data": {}}


def listed(values: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"id": k.split(".")[0], "property": k.split(".")[1], "value": v} for k, v in values.items()]


def words_of(site: Site, login: str, outputs: tuple[str, ...], inputs: dict[str, Any]) -> str:
    """All that a callback with several outputs shows to this account, as JSON text."""
    body = {
        "output": f"..{'...'.join(outputs)}..",
        "outputs": [{"id": o.split(".")[0], "property": o.split(".")[1]} for o in outputs],
        "inputs": listed(inputs),
        "changedPropIds": list(inputs),
        "state": listed(PAGE),
    }
    answer = site.client(login).post("/_dash-update-component", json=body)
    assert answer.status_code == 200, answer.text
    return json.dumps(answer.json()["response"], ensure_ascii=False)


def legend_of(site: Site, login: str) -> str:
    client = site.client(login)
    counted = client.get("/lens/risk.json").json()
    counts = {"lens": "risk", "counts": counted["counts"], "as_of": counted["as_of"]}
    return words_of(
        site, login, ("legend.children", "lens-question.children"), {"lens-counts.data": counts, **LEGEND}
    )


def tiles_of(site: Site, login: str) -> dict[str, str]:
    """The strip: text of each figure by name."""
    made = asked(site.client(login), "figures.children", {"slow-tick.data": {}}, PAGE)
    return {
        one["props"]["data-figure"]: json.dumps(one, ensure_ascii=False)
        for one in made
        if "data-figure" in one["props"]
    }


def test_what_an_account_cannot_know_is_said_and_is_no_number(site: Site) -> None:
    for login, unknown in (
        ("committee", set()),
        ("duty_officer", set()),
        ("community", {"ground_in_no_cell_km2"}),
        ("enterprise", {"cells_red", "ground_in_no_cell_km2"}),
    ):
        tiles = tiles_of(site, login)
        assert len(tiles) == 6
        assert {name for name, text in tiles.items() if UNKNOWN in text} == unknown, login
        for name in unknown:
            assert t("scope.unknown_why", "zh") in tiles[name], "why, for whoever points at it"
            assert not re.search(r'"children": "[^"]*\d', tiles[name]), f"{login} {name}: no number at all"
        own = t("figures.incidents_own", "zh")
        assert (own in tiles["incidents_open"]) is (login != "committee"), login


def test_the_legend_counts_cells_only_for_whoever_sees_whole_cells(site: Site) -> None:
    assert t("legend.own_area", "zh") not in legend_of(site, "committee")
    for login in ("duty_officer", "community"):
        shown = legend_of(site, login)
        assert t("legend.own_area", "zh") in shown
        assert '"data-legend": "red"' in shown
    firm = legend_of(site, "enterprise")
    assert '"data-legend": "red"' not in firm
    assert '"children": "0"' not in firm
    assert t("legend.cell_unknown", "zh") in firm
    assert t("legend.firm", "zh") in firm


@pytest.mark.parametrize("login", ["duty_officer", "community", "enterprise"])
def test_no_open_lead_says_whose(site: Site, login: str) -> None:
    with site.connect() as owner:
        open_now = owner.execute(
            "SELECT count(*) AS n FROM watch.incident WHERE state <> 'closed'"
        ).fetchone()
    assert open_now is not None
    assert open_now["n"] == 0, "nothing is open in this city"
    shown = words_of(
        site,
        login,
        ("incident-list.children", "incident-count.children"),
        {"live-tick.data": {}, "slow-tick.data": {}},
    )
    assert "也不说明全区" in shown
    with site.connect() as owner:
        names = owner.execute(
            "SELECT coalesce(u.name_zh, s.name_zh) AS name FROM access.account AS a"
            " LEFT JOIN access.account_area AS r ON r.account_id = a.id LEFT JOIN territory.unit AS u ON u.code = r.area_code"
            " LEFT JOIN access.account_site AS o ON o.account_id = a.id LEFT JOIN registry.site AS s ON s.id = o.site_id"
            " WHERE a.login = %s",
            (login,),
        ).fetchall()
    assert [row["name"] for row in names if row["name"] not in shown] == []


def test_a_firms_cell_is_not_said_to_be_without_sites(site: Site) -> None:
    """The firm's own site stands in it; of what else does, and so of its grade, the firm knows nothing."""
    with site.connect() as owner:
        row = owner.execute(
            "SELECT cell_code FROM registry.site WHERE id = %s", (site.people.own_site,)
        ).fetchone()
    assert row is not None
    selection = {"selection.data": {"kind": "cell", "id": row["cell_code"]}}
    outputs = ("drawer.children", "fly-to.data")
    firm = words_of(site, "enterprise", outputs, selection)
    assert t("drawer.no_site", "zh") not in firm
    assert t("drawer.risk_unknown", "zh") in firm
    assert t("level.unknown", "zh") in firm
    assert t("drawer.own_only", "zh") in firm
    assert f"site:{site.people.own_site}" in firm
    whole = words_of(site, "duty_officer", outputs, selection)
    assert t("drawer.risk_unknown", "zh") not in whole
    assert t("drawer.own_only", "zh") not in whole


def test_nobody_is_led_to_an_empty_page() -> None:
    def led(role: str, scope: str) -> tuple[bool, bool]:
        with calling(Caller(1, "x", "x", (role,), scope, "x")):
            tabs = str(overview._rail(overview.ViewState()))
            return "value='towns'" in tabs.split("TabsPanel", maxsplit=1)[0], shell.is_used(
                "/matrix", overview.caller_or_none()
            )

    assert led("committee", "district") == (True, True)
    assert led("inspector", "town") == (True, True)
    assert led("inspector", "community") == (False, True)
    assert led("enterprise", "site") == (False, False)


def test_in_a_browser_a_firm_sees_its_sites_and_areas(open_page: Callable[..., Any], site: Site) -> None:
    page = open_page("/", login="enterprise")
    page.wait_for_selector("#legend [data-legend=cell]")
    assert page.locator("#lens").is_hidden()
    sites = until(
        page,
        "Object.values(geoapp.city.tiles.site._tiles).every(t => t.loaded) &&"
        " (() => { const ids = []; geoapp.city.tiles.site.eachInView(f => ids.push(f.id)); return ids.length && ids; })()",
    )
    assert set(sites) == {site.people.own_site}
    assert until(
        page, "(() => { let n = 0; geoapp.city.tiles.key_risk_area.eachInView(() => n++); return n; })()"
    )
    look = page.evaluate(
        "(() => { const styles = []; geoapp.city.tiles.cell.eachInView(f => styles.push("
        "geoapp.city.tiles.cell.options.style(f, 15))); return styles.map(s => [Boolean(s.hatch), Boolean(s.fill)]); })()"
    )
    assert look, "the cell of its site is drawn"
    assert all(hatch and not fill for hatch, fill in look), "hatched as not known, not calm"
    assert page.locator("[role=tab]").count() == 1


def test_in_a_browser_a_community_sees_only_its_cells(open_page: Callable[..., Any], site: Site) -> None:
    page = open_page("/", login="community", width=390, height=844)
    codes = until(
        page,
        "(() => { const c = new Set(); geoapp.city.tiles.cell.eachInView(f => c.add(f.properties.code)); return [...c]; })()",
    )
    assert codes
    assert {code[:12] for code in codes} == {site.people.community_code}
    assert page.locator(".legend-note.own").is_visible(), "on a phone too"
