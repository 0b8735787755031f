"""The page of coverage: hours and why, the rule, onboarding against a target that is set there, the next cameras as a file."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import pytest
from screens import Site
from test_web import asked

from dashboards.coverage_asked import Asked, clock_span
from dashboards.coverage_hours import strip
from dashboards.ledger import span
from geoapp.access.caller import Caller
from geoapp.database.connection import connect

HTML = {"Accept": "text/html"}
PAGE = {"coverage-page.data": {"lang": "en", "theme": "", "zone": "Asia/Shanghai"}}
WHO = Caller(1, "a", "甲", ("analyst",), "district", "x")


def shown(client: httpx.Client, part: str, search: str = "?lang=en") -> str:
    return json.dumps(
        asked(client, f"coverage-{part}.children", {"address.search": search}, PAGE), ensure_ascii=False
    )


def one(site: Site, query: str, *values: Any) -> dict[str, Any]:
    with connect(site.url) as owner:
        row = owner.execute(query.encode(), values).fetchone()
    assert row is not None
    return row


def test_the_hours_of_a_day_say_what_sql_says(site: Site) -> None:
    day = (datetime.now(UTC) + timedelta(hours=8)).date() - timedelta(days=1)
    since, _ = span(day.isoformat(), "Asia/Shanghai")
    with connect(site.url, autocommit=True) as owner:
        owner.execute("UPDATE watch.connection_record SET began_at = %s", (since - timedelta(days=1),))
    text = shown(site.client("committee"), "hours", f"?lang=en&day={day}")
    assert f"Who was blind, {day} 03:00–04:00" in text
    counted = one(
        site,
        "SELECT * FROM analysis.area_verdicts(%s, %s, now())",
        since + timedelta(hours=3),
        since + timedelta(hours=4),
    )
    parts = ("blind", "not_covered", "not_known", "seen")
    assert counted["areas"] == sum(counted[p] for p in parts)
    assert f"Of {counted['areas']} key risk areas:" in text
    numbers = re.findall(r'"children": "([\d,]+)"\}, "type": "B"', text)
    assert numbers[:4] == [f"{counted[p]:,}" for p in parts]
    assert text.count('"className": "hour"') + text.count('"className": "hour here"') == 24
    assert "no building layer" in text, "what is lacking is said"
    # One hour is chosen by its link, and the district stands beside its towns.
    assert f"at={(since + timedelta(hours=5)).isoformat()}".replace("+", "%2B").replace(":", "%3A") in text
    assert "The whole district" in text or "district" in text


def test_what_cannot_be_asked_is_said_and_not_guessed(site: Site) -> None:
    client = site.client("committee")
    for search in ("?day=2999-01-01", "?day=x", "?day=1999-12-31", "?at=2999-01-01T00:00:00%2B00:00"):
        assert "cannot be used" in shown(client, "hours", search)
    assert "cannot be used" not in shown(client, "hours", "?day=2026-01-01")
    before = shown(client, "hours", "?day=2001-01-01")
    assert "not known" in before, "before the record nobody knows"
    assert "No area was unseen" not in before, "there was none to see"


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_every_hour_of_a_day_has_a_link_of_its_own(day: str, hours: int) -> None:
    now, page = datetime(2026, 11, 22, tzinfo=UTC), {"lang": "en", "theme": "", "zone": "Europe/Berlin"}
    wanted = Asked.of(f"?day={day}", WHO, page, now)
    since, until = wanted.span
    starts = [since + timedelta(hours=n) for n in range(int((until - since) / timedelta(hours=1)))]
    row = {"areas": 2, "seen": 1, "blind": 1, "not_known": 0, "not_covered": 0}
    drawn = strip(starts, dict.fromkeys(starts, row), wanted, now, "en")
    assert len({a.href for a in drawn.children}) == len(drawn.children) == hours
    again = [Asked.of(a.href.removeprefix("/coverage"), WHO, page, now) for a in drawn.children]
    assert [a.at for a in again] == starts
    assert not any(a.unread for a in again)
    # Hours that the clock calls the same are told apart.
    assert len({clock_span(s, "Europe/Berlin") for s in starts}) == hours


def test_the_rule_lists_the_worst_first(site: Site) -> None:
    text = shown(site.client("committee"), "rule")
    under = one(
        site,
        "SELECT count(*) AS n, (SELECT count(*) FROM analysis.key_risk_area) AS all FROM analysis.key_risk_area"
        " WHERE seen_fraction < analysis.parameter_value('seen_fraction_min')",
    )
    assert f"of {under['all']} areas, {under['n']} are seen too little" in text


def test_a_target_is_set_by_the_committee_and_is_on_record(site: Site) -> None:
    client = site.client("committee")
    form = {"town": "", "year": str(date.today().year), "areas": "4321", "document_no": "金安委〔2026〕9号"}
    bad = client.post("/coverage/targets", data=form | {"areas": "-1", "year": "1066", "document_no": ""})
    assert (bad.status_code, set(bad.json()["problems"])) == (422, {"areas", "year", "document_no"})
    assert client.post("/coverage/targets", data=form | {"town": "310116999000"}).status_code == 404
    assert "4,321" not in shown(client, "onboarding")
    assert client.post("/coverage/targets", data=form).status_code == 200
    text = shown(client, "onboarding")
    assert "4,321" in text
    assert "金安委〔2026〕9号" in text
    assert "behind" in text
    record = one(site, "SELECT login FROM access.audit WHERE reason = %s", form["document_no"])
    assert record["login"] == "committee"
    # As it stood on a day before, it was not there.
    assert "4,321" not in shown(client, "onboarding", f"?on={date.today() - timedelta(days=2)}")
    for login in ("analyst", "admin", "planner"):
        assert site.client(login).post("/coverage/targets", data=form).status_code == 403
        assert "/coverage/targets" not in shown(site.client(login), "onboarding")


def test_a_town_is_shown_its_own_figures(site: Site) -> None:
    client, town = site.client("planner"), site.people.town
    mine = one(
        site,
        "SELECT count(*) AS n FROM registry.key_risk_area WHERE town_code = %s AND onboarded_on <= now()",
        town,
    )
    joined = one(site, "SELECT sum(year_joined) AS n FROM analysis.onboarding_on(now()::date, %s)", town)
    assert joined == mine
    text = shown(client, "onboarding")
    assert "By " in text
    other = shown(client, "hours", f"?lang=en&town={site.people.other_town}")
    assert f"There is no town {site.people.other_town}, or it is not in your area." in other
    assert "No key risk area" not in other
    # Said once, and no other part speaks of a town that is not there.
    nowhere = "?lang=en&town=999999999999"
    assert "no town 999999999999" in shown(site.client("committee"), "hours", nowhere)
    assert shown(site.client("committee"), "rule", nowhere) == "null"


def test_the_next_cameras_are_reckoned_when_asked_for_and_taken_out_on_record(site: Site) -> None:
    client = site.client("analyst")
    assert "data-places" not in shown(client, "places")
    search = f"?lang=en&place=1&wanted=1&town={site.people.town}"
    text = shown(client, "places", search)
    drawn = json.loads(re.search(r'"data-places": ("(?:[^"\\]|\\.)*")', text)[1])  # type: ignore[index]
    found = json.loads(drawn)
    assert [f["properties"]["part"] for f in found["features"]] == ["place", "ground"]
    file = client.get(f"/export/camera-places.geojson?wanted=1&town={site.people.town}")
    assert file.status_code == 200
    assert file.json()["features"] == found["features"]
    assert one(
        site,
        "SELECT count(*) AS n FROM access.audit WHERE action = 'export' AND subject_id = 'camera_places'",
    ) == {"n": 1}
    assert site.client("inspector").get("/export/camera-places.geojson").status_code == 403
    assert client.get("/export/camera-places.geojson?wanted=0").status_code in (400, 422)
    assert client.get("/export/camera-places.geojson?town=310116999000").status_code == 404


def test_a_firm_has_no_page_of_coverage(site: Site) -> None:
    firm = site.client("enterprise")
    assert firm.get("/coverage", headers=HTML).status_code == 403
    for part in ("filter", "hours", "rule", "onboarding", "places"):
        assert shown(firm, part, "?place=1") == "null"
