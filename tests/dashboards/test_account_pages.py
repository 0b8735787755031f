"""Own account, accounts and audit over real requests: who sees and does what, and what is on record."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from screens import Site, until

from geoapp.access.accounts import add_account
from geoapp.access.sessions import COOKIE, CSRF_COOKIE, CSRF_HEADER
from geoapp.access.sign_in import SignedIn, sign_in
from geoapp.access.tokens import make_token
from geoapp.database.connection import connect
from geoapp.settings import settings

ORDINARY = ("committee", "planner", "analyst", "duty_officer", "inspector", "enterprise", "community")
ACTIONS = ("disable", "enable", "reset-password", "end-sessions")


def body_of(client: httpx.Client, path: str, query: str = "?lang=zh") -> str:
    """What the page holds, as Dash sends it."""
    answer = client.post(
        "/_dash-update-component",
        json={
            "output": "page.children",
            "outputs": {"id": "page", "property": "children"},
            "inputs": [{"id": "address", "property": "pathname", "value": path}],
            "changedPropIds": ["address.pathname"],
            "state": [{"id": "address", "property": "search", "value": query}],
        },
    )
    assert answer.status_code == 200, answer.text
    return json.dumps(answer.json(), ensure_ascii=False)


def records_of(client: httpx.Client, query: str = "") -> str:
    """What /audit shows for an address."""
    answer = client.post(
        "/_dash-update-component",
        json={
            "output": "audit-found.children",
            "outputs": {"id": "audit-found", "property": "children"},
            "inputs": [{"id": "address", "property": "search", "value": query}],
            "changedPropIds": ["address.search"],
            "state": [
                {
                    "id": "audit-page",
                    "property": "data",
                    "value": {"lang": "en", "theme": "", "zone": "Asia/Shanghai"},
                }
            ],
        },
    )
    assert answer.status_code == 200, answer.text
    return json.dumps(answer.json(), ensure_ascii=False)


def numbers(shown: str) -> list[int]:
    """Ids of the records shown, in their order."""
    return [int(n) for n in re.findall(r'"data-record": "(\d+)"', shown)]


def signed_in(site: Site, login: str, password: str) -> httpx.Client | None:
    """A client that signed in by password as the sign-in page does it; None where it was refused."""
    with connect(site.url, autocommit=True) as connection:
        found = sign_in(
            connection, login, password, ip="10.9.8.7", user_agent="test", device=None, at=datetime.now(UTC)
        )
    if not isinstance(found, SignedIn):
        return None
    client = site.client(None)
    client.cookies.set(COOKIE, found.token, domain="127.0.0.1")
    client.cookies.set(CSRF_COOKIE, found.csrf, domain="127.0.0.1")
    client.headers[CSRF_HEADER] = found.csrf
    return client


@pytest.fixture(scope="module")
def town_committee(site: Site) -> str:
    """A safety committee of `town` only."""
    with connect(site.url) as owner:
        made = add_account(owner, "town_committee", "镇安委会", ["committee"], areas=[site.people.town])
    site.people.ids["town_committee"] = made
    return "town_committee"


@pytest.mark.parametrize("login", ORDINARY)
def test_only_an_admin_reaches_the_accounts(site: Site, login: str) -> None:
    client, other = site.client(login), site.people.ids["neighbour"]
    page = client.get("/accounts", headers={"accept": "text/html"})
    assert page.status_code == 403
    shown = body_of(client, "/accounts")
    assert "您的角色不使用这个页面" in shown
    assert "neighbour" not in shown
    form = {"login": "intruder", "name_zh": "某人", "roles": "admin", "reason": "x"}
    assert client.post("/accounts/add", data=form).status_code == 403
    for action in ACTIONS:
        answer = client.post(f"/accounts/{other}/{action}", data={"reason": "x"})
        assert answer.status_code == 403, action
        assert "once" not in answer.json()
    with site.connect() as owner:
        row = owner.execute(
            "SELECT count(*) FILTER (WHERE login = 'intruder') AS made,"
            " count(*) FILTER (WHERE disabled_at IS NOT NULL OR password_hash IS NOT NULL) AS changed FROM access.account"
            " WHERE id = %s OR login = 'intruder'",
            (other,),
        ).fetchone()
    assert row == {"made": 0, "changed": 0}


def test_a_stranger_and_a_forged_form_change_nothing(site: Site) -> None:
    form = {"login": "intruder", "name_zh": "某人", "roles": "admin", "reason": "x"}
    assert site.client(None).post("/accounts/add", data=form).status_code == 401
    admin = site.client("admin")
    del admin.headers[CSRF_HEADER]
    assert admin.post("/accounts/add", data=form).status_code == 403
    assert admin.post("/account/password", data={"old": "a", "new": "b", "again": "b"}).status_code == 403
    with site.connect() as owner:
        assert owner.execute("SELECT FROM access.account WHERE login = 'intruder'").fetchone() is None


def test_an_admin_adds_a_town_officer_who_then_sees_only_the_town(site: Site) -> None:
    admin, town = site.client("admin"), site.people.town
    wrong = admin.post("/accounts/add", data={"login": "张三", "lang": "en"})
    assert wrong.status_code == 422
    assert set(wrong.json()["problems"]) == {"login", "name_zh", "roles", "reason"}
    form = {
        "login": "night.shift",
        "name_zh": "夜班值班员",
        "roles": "duty_officer",
        "areas": town,
        "reason": "新到岗",
    }
    answer = admin.post("/accounts/add", data=form)
    assert answer.status_code == 200, answer.text
    once = answer.json()["once"]
    assert admin.post("/accounts/add", data=form).json()["problems"].keys() == {"login"}
    with site.connect() as owner:
        account = owner.execute("SELECT * FROM access.account WHERE login = 'night.shift'").fetchone()
        audit = owner.execute(
            "SELECT * FROM access.audit WHERE login = 'admin' AND reason = '新到岗'"
        ).fetchall()
        everything = owner.execute("SELECT string_agg(a::text, ' ') AS all FROM access.audit AS a").fetchone()
    assert account is not None
    assert account["must_change_password"]
    assert once not in account["password_hash"]
    assert {r["subject"] for r in audit} == {"access.account", "access.account_area"}
    assert everything is not None
    assert once not in everything["all"]

    officer = signed_in(site, "night.shift", once)
    assert officer is not None
    # First the password, then the map.
    assert officer.get("/", headers={"accept": "text/html"}).headers["location"].startswith("/account")
    assert officer.get("/lens/risk.json").status_code == 403
    page = officer.get("/account?lang=en", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert 'autocomplete="new-password"' in page.text
    assert "At least 10 characters" in page.text
    good = "Herbst!Regen 71 Boote"
    for sent, field in (
        ({"old": once, "new": good, "again": good + "x"}, "again"),
        ({"old": "not it", "new": good, "again": good}, "old"),
        ({"old": once, "new": "short", "again": "short"}, "new"),
    ):
        refused = officer.post("/account/password", data=sent)
        assert refused.status_code == 422
        assert refused.json()["problems"].keys() == {field}
    assert (
        officer.post("/account/password", data={"old": once, "new": good, "again": good}).status_code == 200
    )
    assert signed_in(site, "night.shift", once) is None
    officer = signed_in(site, "night.shift", good)
    assert officer is not None

    shown = set(map(int, officer.get("/lens/risk.json").json()["classes"]))
    with site.connect() as owner:
        cells = owner.execute("SELECT cell_no, town_code FROM territory.grid_cell").fetchall()
    assert shown
    assert shown <= {c["cell_no"] for c in cells if c["town_code"] == town}
    everywhere = set(map(int, site.client("committee").get("/lens/risk.json").json()["classes"]))
    assert shown < everywhere


def test_what_an_admin_does_to_an_account_works_at_once_and_is_on_record(site: Site) -> None:
    admin, account = site.client("admin"), site.people.ids["inspector"]
    asked = "/tiles/cell.json"
    inspector = site.client("inspector")
    assert inspector.get(asked).status_code == 200
    assert admin.post(f"/accounts/{account}/end-sessions", data={"reason": "设备遗失"}).status_code == 200
    assert inspector.get(asked).status_code == 401

    inspector = site.client("inspector")
    once = admin.post(f"/accounts/{account}/reset-password", data={"reason": "忘记密码"}).json()["once"]
    assert inspector.get(asked).status_code == 401
    assert signed_in(site, "inspector", once) is not None

    assert admin.post(f"/accounts/{account}/disable", data={"reason": "离岗"}).status_code == 200
    assert signed_in(site, "inspector", once) is None
    assert "已停用" in body_of(admin, "/accounts")
    assert admin.post(f"/accounts/{account}/enable", data={"reason": "返岗"}).status_code == 200
    assert signed_in(site, "inspector", once) is not None

    with site.connect() as owner:
        rows = owner.execute(
            "SELECT action, reason FROM access.audit WHERE login = 'admin' AND subject = 'access.account'"
            " AND subject_id = %s ORDER BY id",
            (str(account),),
        ).fetchall()
    found = {(r["action"], r["reason"]) for r in rows}
    assert {
        ("sessions_ended", "设备遗失"),
        ("reset_password", "忘记密码"),
        ("update", "离岗"),
        ("update", "返岗"),
    } <= found


def test_what_cannot_be_done_to_an_account_is_refused_plainly(site: Site) -> None:
    admin, own = site.client("admin"), site.people.ids["admin"]
    someone = site.people.ids["planner"]
    for path, data, status in (
        (f"/accounts/{own}/disable", {"reason": "x"}, 409),
        (f"/accounts/{someone}/disable", {"reason": " "}, 422),
        ("/accounts/987654/disable", {"reason": "x"}, 404),
        ("/accounts/987654/reset-password", {"reason": "x"}, 404),
        (f"/accounts/{someone}/promote", {"reason": "x"}, 404),
        ("/accounts/99999999999999999999/disable", {"reason": "x"}, 422),
    ):
        assert admin.post(path, data=data).status_code == status, path
    mixed = {"login": "mixed", "name_zh": "某", "roles": "admin", "areas": site.people.town, "reason": "x"}
    assert admin.post("/accounts/add", data=mixed).status_code == 409
    firm = {"login": "firm", "name_zh": "某厂", "roles": "enterprise,inspector", "sites": "1", "reason": "x"}
    assert admin.post("/accounts/add", data=firm).status_code == 409
    with site.connect() as owner:
        made = owner.execute("SELECT FROM access.account WHERE login IN ('mixed', 'firm')").fetchone()
    assert made is None


def test_the_audit_shows_a_town_committee_its_town_and_nobody_elses(site: Site, town_committee: str) -> None:
    people = site.people
    with site.connect() as owner:
        for code, mark in ((people.town, "甲镇改动"), (people.other_town, "乙镇改动")):
            with owner.transaction():
                owner.execute("SELECT set_config('geoapp.reason', %s, true)", (mark,))
                owner.execute(
                    "UPDATE registry.site SET address = address || ' 旁' WHERE id ="
                    " (SELECT min(s.id) FROM registry.site AS s WHERE s.town_code = %s)",
                    (code,),
                )
    query = "?since="
    for login, sees in (
        ("committee", {"甲镇改动", "乙镇改动"}),
        ("admin", {"甲镇改动", "乙镇改动"}),
        (town_committee, {"甲镇改动"}),
        ("duty_officer", set()),
        ("enterprise", set()),
    ):
        shown = records_of(site.client(login), query)
        assert {mark for mark in ("甲镇改动", "乙镇改动") if mark in shown} == sees, login
    # The same where the other town is asked for by name, and in the file.
    member = site.client(town_committee)
    assert numbers(records_of(member, f"?since=&town={people.other_town}")) == []
    file = member.get("/export/audit.csv?since=&reason=年度检查")
    assert file.status_code == 200
    assert "甲镇改动" in file.text
    assert "乙镇改动" not in file.text
    assert "What was done in" in body_of(member, "/audit", "?lang=en")
    assert "Your own actions only" in body_of(site.client("duty_officer"), "/audit", "?lang=en")


def test_an_export_of_the_audit_is_on_record_and_not_for_everybody(site: Site) -> None:
    officer, analyst = site.client("duty_officer"), site.client("analyst")
    assert officer.get("/export/audit.csv").status_code == 403
    assert "export-form" not in records_of(officer, "?since=")
    with site.connect() as owner:
        owner.execute(
            "SELECT access.record('look', 'path', '=HYPERLINK(1)', detail => '{}') FROM"
            " (SELECT set_config('role', (SELECT db_role FROM access.account WHERE login = 'analyst'), false)) AS r"
        )
        owner.execute("RESET ROLE")
    for reason in ("", "&reason=", "&reason=%20%20%20%20%20", "&reason=abc"):
        assert analyst.get(f"/export/audit.csv?since=&action=look{reason}").status_code == 422, reason
    file = analyst.get("/export/audit.csv?since=&action=look&reason=核对本人操作")
    assert file.status_code == 200
    assert file.content.startswith(b"\xef\xbb\xbfid,at,login")
    assert "'=HYPERLINK(1)" in file.text
    assert "export-form" in records_of(analyst, "?since=")
    with site.connect() as owner:
        row = owner.execute(
            "SELECT login, detail, reason FROM access.audit WHERE action = 'export' AND subject_id = 'audit' ORDER BY id DESC"
        ).fetchone()
    assert row is not None
    assert (row["login"], row["reason"]) == ("analyst", "核对本人操作")
    assert row["detail"]["rows"] == 1
    assert row["detail"]["action"] == "look"


def test_pages_of_the_audit_follow_one_another_without_gap_or_repeat(site: Site) -> None:
    with site.connect() as owner:
        for n in range(230):
            owner.execute("SELECT access.record('counted', 'number', %s)", (str(n),))
    admin, query, seen = site.client("admin"), "?since=&action=counted", []
    while query:
        shown = records_of(admin, query)
        page = numbers(shown)
        assert len(page) <= 100
        seen += page
        further = re.search(r'"href": "/audit(\?[^"]*before=\d+[^"]*)"', shown)
        query = further.group(1) if further else ""
    assert len(seen) == 230
    assert seen == sorted(set(seen), reverse=True)
    assert "Not a time" in records_of(admin, "?since=yesterday&action=counted")


def test_own_sessions_and_tokens_are_ended_by_their_owner_only(site: Site) -> None:
    mine, elsewhere, other = site.client("planner"), site.client("planner"), site.client("neighbour")
    now = datetime.now(UTC)
    with connect(site.url) as owner:
        rows = owner.execute(
            "SELECT id, account_id FROM access.session WHERE account_id = ANY (%s) AND ended_at IS NULL ORDER BY created_at DESC",
            ([site.people.ids["planner"], site.people.ids["neighbour"]],),
        ).fetchall()
        token = make_token(
            owner, site.people.ids["planner"], "报表", ["read"], at=now, expires_at=now + timedelta(days=30)
        )
        token_row = owner.execute("SELECT id FROM access.token WHERE name = '报表'").fetchone()
    assert token_row is not None
    second = next(r["id"] for r in rows if r["account_id"] == site.people.ids["planner"])
    foreign = next(r["id"] for r in rows if r["account_id"] == site.people.ids["neighbour"])
    assert mine.post(f"/account/sessions/{foreign}/end").status_code == 404
    assert other.get("/tiles/cell.json").status_code == 200
    assert mine.post(f"/account/sessions/{second}/end").status_code == 200
    assert elsewhere.get("/tiles/cell.json").status_code == 401
    assert mine.get("/tiles/cell.json").status_code == 200

    bearer = {"authorization": f"Bearer {token}"}
    assert httpx.get(f"{site.base}/tiles/cell.json", headers=bearer).status_code == 200
    assert other.post(f"/account/tokens/{token_row['id']}/revoke").status_code == 404
    assert httpx.get(f"{site.base}/tiles/cell.json", headers=bearer).status_code == 200
    assert "报表" in body_of(mine, "/account")
    assert mine.post(f"/account/tokens/{token_row['id']}/revoke").status_code == 200
    assert httpx.get(f"{site.base}/tiles/cell.json", headers=bearer).status_code == 401


def test_the_top_bar_says_who_and_that_figures_are_not_the_districts(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site.connect() as owner:
        names = owner.execute(
            "SELECT name_zh, name_en FROM territory.unit WHERE code = %s", (site.people.town,)
        ).fetchone()
        firm = owner.execute(
            "SELECT name_zh FROM registry.site WHERE id = %s", (site.people.own_site,)
        ).fetchone()
        owner.execute("UPDATE access.account SET is_demo = true WHERE login = 'other_enterprise'")
    assert names is not None
    assert firm is not None
    officer = site.client("duty_officer")
    for path in ("/", "/matrix", "/cameras", "/account", "/audit"):
        shown = body_of(officer, path, "?lang=zh")
        assert f"值班员 · {names['name_zh']}" in shown, path
        assert f"以下数字只含 {names['name_zh']}，不是全区。" in shown, path
    assert f"Duty officer · {names['name_en']}" in body_of(officer, "/", "?lang=en")
    district = body_of(site.client("committee"), "/", "?lang=en")
    assert "Safety committee · Whole district" in district
    assert "Figures cover" not in district
    assert '"/accounts' not in district
    enterprise = body_of(site.client("enterprise"), "/", "?lang=zh")
    assert f"以下数字只含 {firm['name_zh']}" in enterprise
    assert '"/matrix' not in enterprise
    assert '"/cameras' not in enterprise
    assert "演示账号" not in enterprise
    monkeypatch.setattr(settings(), "demo", True)
    demo = body_of(site.client("other_enterprise"), "/", "?lang=zh")
    assert "演示账号" in demo
    assert '"/signin' in demo


@pytest.mark.browser
def test_in_a_browser_an_admin_adds_and_disables_with_the_keyboard(
    open_page: Callable[..., Any], site: Site
) -> None:
    page = open_page("/accounts?lang=en", map_ready=False, login="admin")
    until(page, "document.querySelector('[data-dialog=add-account]')", 20)
    page.locator("#user-menu summary").focus()
    page.keyboard.press("Enter")
    until(page, "document.getElementById('user-menu').open")
    page.keyboard.press("Escape")
    until(page, "!document.getElementById('user-menu').open")

    page.locator("[data-dialog=add-account]").focus()
    page.keyboard.press("Enter")
    until(page, "document.getElementById('add-account').open")
    dialog = page.locator("#add-account")
    dialog.get_by_label("Login").fill("x")
    dialog.locator("[type=submit]").press("Enter")
    until(
        page, "document.querySelector('#add-account [data-problem=login]').textContent.includes('cannot be')"
    )
    dialog.get_by_label("Login").fill("clerk")
    dialog.get_by_label("Name").fill("文书")
    page.locator("#add-account [name=roles]").evaluate(
        "box => box.closest('.field').querySelector('input:not([type=hidden])').focus()"
    )
    page.keyboard.type("Analyst")
    # A busy machine shows the choice later than a person would press the next key.
    page.get_by_role("option", name="Analyst").wait_for(timeout=20_000)
    page.keyboard.press("ArrowDown")
    page.locator("[role=option][data-combobox-selected]").wait_for(timeout=20_000)
    page.keyboard.press("Enter")
    until(page, "document.querySelector('#add-account [name=roles]').value.includes('analyst')")
    dialog.get_by_label("Reason").fill("new clerk")
    dialog.locator("[type=submit]").press("Enter")
    until(page, "document.querySelector('#add-account output').textContent.length > 10")
    once = page.locator("#add-account output").inner_text()
    assert signed_in(site, "clerk", once) is not None
    page.locator("#add-account .once .primary").press("Enter")
    # The page loads anew: a locator waits through that, an evaluation would not.
    page.locator(".stacking", has_text="clerk").wait_for(timeout=20_000)
    assert once not in page.content()

    page.locator("tr", has_text="clerk").get_by_role("button", name="Disable").press("Enter")
    until(page, "document.getElementById('ask-disable').open")
    assert "clerk" in page.locator("#ask-disable").inner_text()
    page.locator("#ask-disable").get_by_label("Reason").fill("left")
    page.locator("#ask-disable [type=submit]").press("Enter")
    page.locator("tr.off", has_text="clerk").wait_for(timeout=20_000)
    assert signed_in(site, "clerk", once) is None


@pytest.mark.browser
@pytest.mark.long
def test_on_a_phone_the_account_pages_are_not_wider_than_the_screen(open_page: Callable[..., Any]) -> None:
    for path, login, mark in (
        ("/account?lang=en", "duty_officer", ".account-page table"),
        ("/accounts?lang=zh", "admin", ".accounts-page table"),
        ("/audit?lang=en&since=", "admin", ".audit-page .filters"),
    ):
        page = open_page(path, 390, 844, map_ready=False, login=login)
        until(page, f"document.querySelector('{mark}')", 20)
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
        assert (
            page.evaluate(
                "Math.max(...[...document.querySelectorAll('main *')].map(e => e.getBoundingClientRect().right))"
            )
            <= 391
        ), path
        unnamed = page.evaluate(
            "[...document.querySelectorAll('main input:not([type=hidden])')].filter(i => !i.labels?.length && !i.getAttribute('aria-label')).length"
        )
        assert unnamed == 0, path
