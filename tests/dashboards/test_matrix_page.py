"""The page of duties: its counts are SQL's, a count leads to its list, a day is a day, decisions are the committee's."""

import csv
import io
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from screens import Site
from test_web import asked

from dashboards.matrix_asked import Asked

PAGE = {"matrix-page.data": {"lang": "en", "theme": "", "zone": "Asia/Shanghai"}}


def shown(client: httpx.Client, search: str = "") -> str:
    return json.dumps(
        asked(client, "matrix-found.children", {"address.search": search}, PAGE), ensure_ascii=False
    )


def sql_rows(site: Site, query: str, *values: Any) -> list[dict[str, Any]]:
    with site.connect() as owner:
        return owner.execute(query.encode(), values).fetchall()


def file_rows(client: httpx.Client, query: str) -> list[dict[str, str]]:
    answer = client.get(f"/export/duty.csv?{query}&reason=for+the+meeting")
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def test_the_matrix_and_its_file_are_what_sql_says(site: Site) -> None:
    committee = site.client("committee")
    expected = sql_rows(site, "SELECT * FROM analysis.duty_department ORDER BY 1, 2, 3")
    found = file_rows(committee, "level=town")
    assert [{k: "" if v is None else str(v) for k, v in row.items()} for row in expected] == found
    page = shown(committee)
    for unit in sql_rows(site, "SELECT * FROM analysis.duty_unit WHERE gap_count > 0"):
        link = Asked(unit=unit["unit_code"], listed="unsettled").link({"lang": "en"}, "list")
        assert link in page, unit["name_zh"]
    # Worst first: the order of the towns on the page is that of their unsettled sites.
    rows = sql_rows(
        site,
        "SELECT unit_code FROM analysis.duty_unit ORDER BY gap_count DESC, no_grid_worker_count DESC, site_count DESC, unit_code",
    )
    order = list(dict.fromkeys(re.findall(r"within=(\d{12})", page)))
    assert order[: len(rows)] == [r["unit_code"] for r in rows if r["unit_code"] is not None]


def test_a_count_leads_to_as_many_rows_and_they_to_map_and_chain(site: Site) -> None:
    committee = site.client("committee")
    entry = sql_rows(
        site,
        "SELECT * FROM analysis.duty_department WHERE proposed_count + disputed_count > 0 AND unit_code IS NOT NULL LIMIT 1",
    )[0]
    state = "proposed" if entry["proposed_count"] else "disputed"
    query = f"unit={entry['unit_code']}&department={entry['department_code']}&listed={state}"
    found = file_rows(committee, query)
    assert len(found) == entry[f"{state}_count"]
    assert {r["status"] for r in found} == {state}
    page = shown(committee, f"?lang=en&{query}")
    for row in found[:50]:
        assert f"selected=site:{row['site_id']}" in page
        assert f"site={row['site_id']}" in page
    cells = sql_rows(site, "SELECT sum(no_grid_worker_count) AS n FROM analysis.duty_unit")[0]["n"]
    assert len(file_rows(committee, "listed=no_grid_worker")) == cells


def test_the_chain_of_a_site_is_on_the_page_and_in_its_drawer(site: Site) -> None:
    people = site.people
    officer = site.client("duty_officer")
    chain = sql_rows(site, "SELECT * FROM analysis.duty_chain_at(now(), %s)", people.own_site)
    page = shown(officer, f"?lang=en&site={people.own_site}")
    drawer = json.dumps(
        officer.post(
            "/_dash-update-component",
            json={
                "output": "..drawer.children...fly-to.data..",
                "outputs": [{"id": "drawer", "property": "children"}, {"id": "fly-to", "property": "data"}],
                "inputs": [
                    {
                        "id": "selection",
                        "property": "data",
                        "value": {"kind": "site", "id": str(people.own_site)},
                    }
                ],
                "changedPropIds": ["selection.data"],
                "state": [
                    {"id": "page-state", "property": "data", "value": {"lang": "en", "zone": "Asia/Shanghai"}}
                ],
            },
        ).json(),
        ensure_ascii=False,
    )
    for text in (page, drawer):
        for row in chain:
            assert (row["person_name"] or "Vacant") in text, row["office"]
            assert (row["phone"] or "") in text
    assert "There was no such site" in shown(officer, f"?lang=en&site={people.other_site}")


def test_another_day_is_said_to_be_one(site: Site) -> None:
    committee = site.client("committee")
    today = datetime.now(UTC).date()
    assert "not today" in shown(committee, f"?lang=en&day={today - timedelta(days=400)}")
    assert "still to come" in shown(committee, f"?lang=en&day={today + timedelta(days=400)}")
    for odd in (
        "&day=2026-13-40&level=street&by=x",
        "&day='&page=99999999999999999&unit=%00&within=1' OR '1",
        "&within=310116999000",
    ):
        page = shown(committee, f"?lang=en{odd}")
        assert "not today" not in page
        assert "cannot be used" in page, odd
        assert "duty-mark" in page, odd
    assert "cannot be used" not in shown(committee, f"?lang=en&level=cell&day={today}&page=2")
    # Beyond the last page is not empty, and before the first record no zero stands.
    assert "duty-mark" in shown(committee, "?lang=en&page=999")
    before = shown(committee, "?lang=en&day=2001-01-01")
    assert "before the first record" in before
    assert "Unsettled" not in before
    refused = committee.get("/export/duty.csv?day=1999-01-01&level=town&reason=for+the+meeting")
    assert refused.status_code == 422, "no day of the register"
    assert "1999-01-01" in refused.json()["error"]


def test_a_communitys_reader_sees_the_own_cells_by_department(site: Site) -> None:
    client, own = site.client("community"), site.people.community_code
    with site.connect() as owner:
        rows = owner.execute(
            "SELECT unit_code, sum(site_count)::integer AS sites FROM analysis.duty_unit_at(now(), 'cell', %s) GROUP BY 1", (own,)
        ).fetchall()  # fmt: skip
        names = owner.execute("SELECT code, coalesce(nullif(name_en, ''), name_zh) AS name FROM territory.unit WHERE level = 'community'").fetchall()  # fmt: skip
    whole = shown(client, "?lang=en")
    assert f"within={own}" in whole, "its cells are one step away"
    assert str(sum(r["sites"] for r in rows)) in whole
    cells = shown(client, "?lang=en&level=cell")
    found = set(re.findall(r"cell(?:%3A|:)([0-9]{18})", cells))
    assert found == {r["unit_code"] for r in rows if r["unit_code"]}
    for page in (
        whole,
        cells,
        shown(client, "?lang=en&level=town"),
        shown(client, "?lang=en&level=district"),
    ):
        assert "duty-mark" in page
        for other in names:
            assert other["code"] == own or other["code"] not in page
    other = next(n["code"] for n in names if n["code"] != own)
    asked_for = shown(client, f"?lang=en&level=cell&within={other}")
    assert "cannot be used" in asked_for
    assert set(re.findall(r"cell(?:%3A|:)([0-9]{18})", asked_for)) == found


def test_a_towns_reader_sees_the_own_town(site: Site) -> None:
    officer, people = site.client("duty_officer"), site.people
    page = shown(officer, "?lang=en&level=district")
    assert people.town in page
    assert people.other_town not in page
    assert "Decide, on record" not in page
    page = shown(officer, f"?lang=en&level=cell&within={people.other_town}")
    assert page.count(people.other_town) == 1, "what was typed, in the note that it cannot be used"
    assert f'{people.other_town}\\" cannot be used' in page
    assert officer.get("/export/duty.csv?level=town").status_code == 403


FORM = {
    "place_type_zh": "无人机起降场",
    "place_type_en": "Drone port",
    "document_no": "金安委〔2026〕7号",
    "reason": "会议决定",
    "lang": "en",
}


def test_the_committee_decides_on_an_industry_and_it_is_on_record(site: Site) -> None:
    committee = site.client("committee")
    waiting = sql_rows(
        site,
        "SELECT * FROM analysis.duty_proposal WHERE place = 1 AND NOT is_covered ORDER BY site_count DESC, industry LIMIT 1",
    )[0]
    page = shown(committee)
    assert waiting["industry"] in page
    assert f"{waiting['similarity']:.2f}" in page
    form = FORM | {
        "industry": waiting["industry"],
        "decision": f"near:{waiting['rule_code']}",
        "valid_from": datetime.now(UTC).date().isoformat(),
    }
    said = committee.post("/matrix/decide", data=form)
    assert said.status_code == 200, said.text
    made = sql_rows(site, "SELECT * FROM duty.designation WHERE industry = %s", waiting["industry"])[0]
    assert (made["department_code"], made["near_rule_code"], made["decided_by"]) == (
        waiting["department_code"], waiting["rule_code"], "committee",
    )  # fmt: skip
    assert f"{waiting['site_count']} sites" in said.json()["message"]
    typed = sql_rows(site, "SELECT count(*) AS n FROM registry.site WHERE rule_code = %s", made["rule_code"])
    assert typed == [{"n": waiting["site_count"]}]
    kept = sql_rows(site, "SELECT reason, login FROM access.audit WHERE subject = 'duty.designation'")
    assert kept == [{"reason": "会议决定", "login": "committee"}]
    page = shown(committee)
    assert "Decided before" in page
    assert FORM["document_no"] in page
    assert committee.post("/matrix/decide", data=form).status_code == 409, "once"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"decision": ""}, "decision"), ({"decision": "near:R99"}, "decision"), ({"place_type_zh": " "}, "place_type_zh"),
        ({"document_no": ""}, "document_no"), ({"valid_from": "31.12.2026"}, "valid_from"), ({"valid_from": "1999-01-01"}, "valid_from"),
        ({"reason": ""}, "reason"), ({"industry": ""}, "industry"),
    ],
)  # fmt: skip
def test_a_form_that_lacks_something_says_what(site: Site, wrong: dict[str, str], field: str) -> None:
    day = datetime.now(UTC).date().isoformat()
    form = FORM | {"industry": "X1", "decision": "department:YJ", "valid_from": day} | wrong
    said = site.client("committee").post("/matrix/decide", data=form)
    assert said.status_code == 422
    assert field in said.json()["problems"]


def test_an_unknown_department_is_refused_in_words(site: Site) -> None:
    day = datetime.now(UTC).date().isoformat()
    form = FORM | {"industry": "X1", "decision": "department:NOPE", "valid_from": day}
    said = site.client("committee").post("/matrix/decide", data=form)
    assert (said.status_code, "No such department" in said.text) == (422, True)
    assert site.client("analyst").post("/matrix/decide", data=form).status_code == 403
