"""The map's page on a past day, and the drawer of any layer, over HTTP as a browser asks."""

import json
from datetime import UTC, datetime, time, timedelta
from typing import Any

import httpx
import pytest
from screens import Site
from test_web import PAGE, asked

from dashboards.map_layers import named
from dashboards.texts import t
from layers.registry import LAYERS

OWN_DRAWER = {"incident", "cell", "site", "camera", "key_risk_area", "no_cell"}
DECLARED = [name for name, layer in LAYERS.items() if layer.switched and name not in OWN_DRAWER]


def answer(
    client: httpx.Client, outputs: str, inputs: dict[str, Any], page: dict[str, Any]
) -> dict[str, Any]:
    """What a callback with several outputs answers, by component and property."""
    names = [one.split(".") for one in outputs.split(" ")]

    def listed(values: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"id": k.split(".")[0], "property": k.split(".")[1], "value": v} for k, v in values.items()]

    body = {
        "output": f"..{'...'.join('.'.join(one) for one in names)}..",
        "outputs": [{"id": i, "property": p} for i, p in names],
        "inputs": listed(inputs),
        "changedPropIds": list(inputs),
        "state": listed({"page-state.data": page}),
    }
    sent = client.post("/_dash-update-component", json=body)
    assert sent.status_code == 200, sent.text
    told: dict[str, Any] = sent.json()["response"]
    return told


def chosen(client: httpx.Client, day: str) -> tuple[dict[str, Any], str, bool]:
    """The page's state after a day was chosen, the banner's text, whether it is hidden."""
    told = answer(
        client,
        "page-state.data day-banner.children day-banner.className day-banner.hidden",
        {"day.value": day},
        PAGE["page-state.data"],
    )
    banner = json.dumps(told["day-banner"]["children"], ensure_ascii=False)
    return told["page-state"]["data"], banner, told["day-banner"]["hidden"]


def drawer(
    client: httpx.Client, kind: str, key: object, page: dict[str, Any] | None = None, **more: Any
) -> str:
    told = answer(
        client,
        "drawer.children fly-to.data",
        {"selection.data": {"kind": kind, "id": str(key), **more}},
        page or PAGE["page-state.data"],
    )
    return json.dumps(told["drawer"]["children"], ensure_ascii=False)


def test_of_a_day_before_the_first_record_no_figure_is_a_number(site: Site) -> None:
    client = site.client("committee")
    page, banner, hidden = chosen(client, "2001-01-01")
    assert page["as_of"] == "2001-01-01T23:59:59+08:00"
    assert set(page["unknown"]) == {"risk", "coverage", "duty"}
    assert not hidden
    assert "2001-01-01 23:59:59" in banner
    made = asked(client, "figures.children", {"slow-tick.data": {}}, {"page-state.data": page})
    values = {
        one["props"]["data-figure"]: one["props"]["data-value"]
        for one in made
        if "data-figure" in one["props"]
    }
    for name in (
        "incidents_open",
        "cells_red",
        "key_risk_area_seen_under_60",
        "sites_without_confirmed_lead",
    ):
        assert values[name] == "", f"{name}: not known is no number"
    towns = json.dumps(asked(client, "town-list.children", {"slow-tick.data": {}}, {"page-state.data": page}))
    assert "\\u2014" in towns


def test_a_past_day_has_the_figures_of_sql_at_that_moment(site: Site) -> None:
    client = site.client("committee")
    with site.connect() as owner:
        row = owner.execute(
            "SELECT to_char(max(k.known_since) AT TIME ZONE 'Asia/Shanghai' + interval '1 day', 'YYYY-MM-DD') AS day,"
            " max(k.known_since) < now() - interval '2 days' AS is_past FROM analysis.known_since AS k WHERE k.lens <> 'coverage'"
        ).fetchone()
    assert row is not None
    assert row["is_past"], "the sample city has a past"
    page, _, _ = chosen(client, row["day"])
    assert not {"risk", "duty"} & set(page["unknown"])
    made = asked(client, "figures.children", {"slow-tick.data": {}}, {"page-state.data": page})
    values = {
        one["props"]["data-figure"]: one["props"]["data-value"]
        for one in made
        if "data-figure" in one["props"]
    }
    with site.connect() as owner:
        rows = owner.execute("SELECT name, value FROM analysis.headline_at(%s)", (page["as_of"],)).fetchall()
        now = owner.execute("SELECT name, value FROM analysis.headline").fetchall()
    then = {r["name"]: r["value"] for r in rows}
    assert float(values["sites_without_confirmed_lead"]) == then["sites_without_confirmed_lead"]
    assert float(values["cells_red"]) == then["cells_red"]
    assert then != {r["name"]: r["value"] for r in now}, "another day, other figures"


@pytest.mark.parametrize(("day", "why"), [("2999-01-01", "day.future"), ("2026-02-31", "day.no_day")])
def test_what_is_no_past_day_leaves_the_present_and_says_so(site: Site, day: str, why: str) -> None:
    page, banner, hidden = chosen(site.client("committee"), day)
    assert (page["as_of"], page["day"], page["unknown"], hidden) == (None, "", [], False)
    assert t(why, "zh") in banner


def test_the_address_opens_the_same_past(site: Site) -> None:
    query = "?lang=en&day=2001-01-01&by=site:category&window=7d&layers=site.risk_cell"
    made = json.dumps(
        asked(site.client("committee"), "page.children", {"address.pathname": "/"}, {"address.search": query})
    )
    assert '"day": "2001-01-01"' in made
    assert '"by": {"site": "category"}' in made
    assert '"window": "7d"' in made
    assert "Before the first record" in made


@pytest.mark.parametrize("name", DECLARED)
def test_any_layer_has_a_drawer_with_the_view_behind_it(site: Site, name: str) -> None:
    client, layer = site.client("committee"), LAYERS[name]
    found = client.get(f"/features/{name}.geojson?limit=1").json()["features"]
    if not found:
        assert t("drawer.gone", "zh") in drawer(client, name, 1)
        return
    shown = drawer(client, name, found[0]["id"])
    assert named(layer, "zh") in shown
    rows = f"{layer.source}_between(NULL, NULL, {found[0]['id']})" if layer.between else layer.source
    assert f"SELECT * FROM {rows} WHERE {layer.key} = " in shown
    assert t("drawer.today_only", "zh") not in shown
    # What is no id of it is said, and is no fault.
    assert drawer(client, name, "x'; DROP TABLE y")


def test_a_town_opens_no_gap_of_another_and_says_nothing_of_it(site: Site) -> None:
    with site.connect() as owner:
        gaps = owner.execute(
            "SELECT DISTINCT ON (g.town_code) g.gap_no, g.town_code, g.name_zh FROM analysis.coverage_gap_place AS g"
            " WHERE g.town_code = ANY (%s) AND g.subject = 'cell' ORDER BY g.town_code, g.gap_no",
            ([site.people.town, site.people.other_town],),
        ).fetchall()
    assert len(gaps) == 2
    for login, own in (("duty_officer", site.people.town), ("neighbour", site.people.other_town)):
        for gap in gaps:
            shown = drawer(site.client(login), "coverage_gap", gap["gap_no"])
            assert (t("drawer.gone", "zh") in shown) is (gap["town_code"] != own)


def test_what_lies_below_is_one_click_away(site: Site) -> None:
    also = [{"kind": "cell", "id": "310116103001100100", "name": "网格 103001"}]
    shown = drawer(site.client("committee"), "unit", site.people.town, also=also)
    assert t("drawer.also", "zh") in shown
    assert '"data-select": "cell:310116103001100100"' in shown


def test_a_drawer_that_cannot_go_back_says_so(site: Site) -> None:
    client = site.client("committee")
    page, _, _ = chosen(client, "2001-01-01")
    assert t("drawer.today_only", "zh") in drawer(client, "unit", site.people.town, page)


def test_a_red_site_says_what_would_make_it_orange(site: Site) -> None:
    with site.connect() as owner:
        found = owner.execute(
            "SELECT r.site_id, r.cell_code FROM analysis.risk_site AS r WHERE r.level IN ('red', 'orange') AND r.cell_code IS NOT NULL"
            " AND EXISTS (SELECT FROM analysis.risk_measures_at(now(), r.site_id) AS m WHERE m.is_needed) ORDER BY r.site_id LIMIT 1"
        ).fetchone()
        assert found is not None
        measures = owner.execute(
            "SELECT m.zh, m.score_then, m.target FROM analysis.risk_measures_at(now(), %s) AS m WHERE m.is_needed",
            (found["site_id"],),
        ).fetchall()
        terms = owner.execute(
            "SELECT e.zh, e.points FROM analysis.risk_explained_at(now(), %s) AS e", (found["site_id"],)
        ).fetchall()
    client = site.client("committee")
    shown = drawer(client, "site", found["site_id"])
    for measure in measures:
        assert measure["zh"] in shown
        assert f"{measure['score_then']:.1f}" in shown
    assert t(f"level.{measures[0]['target']}", "zh") in shown
    assert [term["zh"] for term in terms if term["zh"] not in shown] == []
    assert [term["points"] for term in terms if f"{term['points']:+.1f}" not in shown] == []
    # Under the cell of a colour stand its sites, and what each would have to do.
    whole = drawer(client, "cell", found["cell_code"])
    assert f'"data-select": "site:{found["site_id"]}"' in whole
    assert t("why.cell_lower", "zh") in whole


def test_things_are_shown_as_they_stood(site: Site) -> None:
    client = site.client("committee")
    with site.connect() as owner:
        lead = owner.execute(
            "SELECT id, first_seen_at, review FROM analysis.event WHERE state = 'closed' AND review <> 'unreviewed'"
            " AND least(closed_at, reviewed_at) > first_seen_at + interval '10 seconds' ORDER BY incident_no LIMIT 1"
        ).fetchone()
        camera = owner.execute(
            "SELECT c.id, h.since FROM registry.camera AS c JOIN watch.camera_health AS h ON h.camera_id = c.id ORDER BY c.id LIMIT 1"
        ).fetchone()
        area = owner.execute(
            "SELECT id, onboarded_on FROM analysis.key_risk_area WHERE onboarded_on IS NOT NULL ORDER BY onboarded_on DESC, id LIMIT 1"
        ).fetchone()
    assert lead is not None
    assert area is not None

    def at(moment: Any) -> dict[str, Any]:
        return PAGE["page-state.data"] | {"as_of": moment.isoformat()}

    then = drawer(client, "incident", lead["id"], at(lead["first_seen_at"] + timedelta(seconds=5)))
    now = drawer(client, "incident", lead["id"])
    assert "tag state-open" in then
    assert "tag review-unreviewed" in then
    assert "data-review" not in then, "what was then is looked at, not acted upon"
    assert "tag state-closed" in now
    assert f"tag review-{lead['review']}" in now
    assert "data-as-of" in then
    assert "data-as-of" not in now
    before = at(lead["first_seen_at"] - timedelta(seconds=5))
    assert t("drawer.not_then", "zh") in drawer(client, "incident", lead["id"], before)
    joined = datetime.combine(area["onboarded_on"], time(12), UTC)
    assert t("drawer.seen", "zh") in drawer(client, "key_risk_area", area["id"], at(joined))
    assert t("drawer.not_then", "zh") in drawer(
        client, "key_risk_area", area["id"], at(joined - timedelta(days=2))
    )
    # Before any camera was on record the share that was seen is not known, which is not 0 %.
    blank = drawer(client, "key_risk_area", area["id"], at(joined) | {"unknown": ["coverage"]})
    assert t("legend.lens_unknown", "zh") in blank
    assert " %" not in blank
    if camera is not None:
        early = drawer(client, "camera", camera["id"], at(camera["since"] - timedelta(days=3)))
        assert "tag blind" in early or t("drawer.not_then", "zh") in early


def test_the_list_of_leads_is_of_the_day(site: Site) -> None:
    client = site.client("committee")
    with site.connect() as owner:
        row = owner.execute(
            "SELECT max(closed_at) - interval '1 second' AS at FROM analysis.event WHERE state = 'closed'"
        ).fetchone()
        assert row is not None
        then = owner.execute("SELECT id, state FROM analysis.event_at(%s)", (row["at"],)).fetchall()
        head = owner.execute(
            "SELECT value FROM analysis.headline_at(%s) WHERE name = 'incidents_open'", (row["at"],)
        ).fetchone()
    page = PAGE["page-state.data"] | {"as_of": row["at"].isoformat()}
    told = answer(
        client,
        "incident-list.children incident-count.children",
        {"live-tick.data": {}, "slow-tick.data": {}},
        page,
    )
    shown = json.dumps(told["incident-list"]["children"], ensure_ascii=False)
    live = [one for one in then if one["state"] != "closed"]
    assert live
    assert told["incident-count"]["children"] == str(min(len(live), 80))
    assert sum(f"incident:{one['id']}" in shown for one in live) == min(len(live), 80)
    assert head is not None
    assert head["value"] in (None, len(live)), "the strip's number is the list's"
    # Before anything was recorded the list says so.
    page, _, _ = chosen(client, "2001-01-01")
    told = answer(
        client,
        "incident-list.children incident-count.children",
        {"live-tick.data": {}, "slow-tick.data": {}},
        page,
    )
    assert t("rail.not_known", "zh") in json.dumps(told["incident-list"]["children"], ensure_ascii=False)


def test_without_the_database_a_day_is_not_chosen_and_that_is_said(site: Site) -> None:
    client = site.client("committee")
    # Whoever has just been let in asks; the gate itself is tried elsewhere (test_gate.py).
    assert client.get("/headline.json").status_code == 200
    body = {
        "output": "..page-state.data...day-banner.children...day-banner.className...day-banner.hidden..",
        "outputs": [
            {"id": i, "property": p}
            for i, p in (
                ("page-state", "data"),
                ("day-banner", "children"),
                ("day-banner", "className"),
                ("day-banner", "hidden"),
            )
        ],
        "inputs": [{"id": "day", "property": "value", "value": "2024-01-01"}],
        "changedPropIds": ["day.value"],
        "state": [{"id": "page-state", "property": "data", "value": PAGE["page-state.data"]}],
    }
    with site.database_away():
        sent = client.post("/_dash-update-component", json=body)
    if sent.status_code == 200:
        told = sent.json()["response"]
        assert "page-state" not in told
        assert t("day.away", "zh") in json.dumps(told["day-banner"]["children"], ensure_ascii=False)
    else:
        assert sent.status_code == 503, "the gate cannot ask either, and says so"
