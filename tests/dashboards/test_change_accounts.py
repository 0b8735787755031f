"""Accounts changed and tokens issued on /accounts, over real requests: what follows at once, what is refused, what is on record."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from screens import Site, until
from test_account_pages import body_of

from geoapp.access.accounts import add_account
from geoapp.database.connection import connect


def new_account(site: Site, login: str, roles: list[str], **place: Any) -> int:
    with connect(site.url) as owner:
        made = add_account(owner, login, f"{login} 号", roles, **place)
    site.people.ids[login] = made
    return made


def filled_by(part: Any, action: str) -> dict[str, Any] | None:
    """What the button for this action fills its dialog with, in a page as Dash sends it."""
    if isinstance(part, dict) and part.get("data-action") == action:
        fill: dict[str, Any] = json.loads(part["data-fill"])
        return fill
    inner = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return next((found for one in inner if (found := filled_by(one, action)) is not None), None)


def dialog_of(admin: httpx.Client, account: int) -> dict[str, Any]:
    """What the edit dialog of an account is filled with, as the form would send it back."""
    fill = filled_by(json.loads(body_of(admin, "/accounts")), f"/accounts/{account}/change")
    assert fill is not None
    return {
        "name_zh": fill["edit-name-zh"]["value"],
        "name_en": fill["edit-name-en"]["value"],
        "roles": ",".join(fill["edit-role-choice"]["value"]),
        "areas": ",".join(fill["edit-area-choice"]["value"]),
        "sites": ",".join(fill["edit-site-choice"]["value"]),
        "oidc_subject": fill["edit-oidc"]["value"],
        "seen": fill["edit-seen"]["value"],
        "reason": "调整",
    }


def sites_of(site: Site, town: str) -> int:
    """A site that lies in the town by every account."""
    with site.connect() as owner:
        row = owner.execute(
            "SELECT id FROM registry.site WHERE town_code = %s AND left(cell_code, 9) || '000' = %s ORDER BY id LIMIT 1",
            (town, town),
        ).fetchone()
    assert row is not None
    return int(row["id"])


def visited(client: httpx.Client, number: int, kind: str) -> int:
    """Status of writing down a visit of a site."""
    visit = {"site_id": number, "kind": kind, "outcome": "ok", "done_at": datetime.now(UTC).isoformat()}
    return client.post("/visits", json=visit).status_code


def test_a_town_duty_officer_becomes_inspector_of_another_town(site: Site) -> None:
    people, admin = site.people, site.client("admin")
    made = new_account(site, "mover", ["duty_officer"], areas=[people.town])
    mover = site.client("mover")
    here, there = sites_of(site, people.town), sites_of(site, people.other_town)

    first = mover.get("/lens/risk.json")
    assert visited(mover, here, "patrol") == visited(mover, there, "patrol") == 403
    form = dialog_of(admin, made)
    assert (form["roles"], form["areas"]) == ("duty_officer", people.town)
    form |= {"roles": "inspector", "areas": people.other_town, "name_en": "Mover"}
    assert admin.post(f"/accounts/{made}/change", data=form).json() == {"done": True}

    # The same cookie, the next request: another town, other rights, and nothing from a cache of before.
    second = mover.get("/lens/risk.json", headers={"if-none-match": first.headers["etag"]})
    assert second.status_code == 200
    assert second.headers["etag"] != first.headers["etag"]
    with site.connect() as owner:
        cells = {
            r["cell_no"]: r["town_code"]
            for r in owner.execute("SELECT cell_no, town_code FROM territory.grid_cell").fetchall()
        }
    assert {cells[int(n)] for n in first.json()["classes"]} == {people.town}
    assert {cells[int(n)] for n in second.json()["classes"]} == {people.other_town}
    assert visited(mover, here, "patrol") == 404
    assert visited(mover, there, "patrol") == 201

    with site.connect() as owner:
        rows = owner.execute(
            "SELECT subject, action, before, after FROM access.audit WHERE login = 'admin' AND reason = '调整'"
            " AND subject_id = %s ORDER BY id",
            (str(made),),
        ).fetchall()
    assert [(r["subject"], r["action"]) for r in rows] == [
        ("access.account", "update"),
        ("access.account_area", "delete"),
        ("access.account_area", "insert"),
    ]
    assert rows[0]["before"] == {"roles": ["duty_officer"], "name_en": ""}
    assert rows[0]["after"] == {"roles": ["inspector"], "name_en": "Mover"}


def test_an_enterprises_site_is_changed_and_the_old_one_is_gone(site: Site) -> None:
    people, admin = site.people, site.client("admin")
    made = new_account(site, "firm", ["enterprise"], sites=[people.own_site])
    firm = site.client("firm")
    with site.connect() as owner:
        rows = owner.execute("SELECT id, cell_code FROM registry.site").fetchall()
    cell = {row["id"]: f"/cell/{row['cell_code']}.json" for row in rows}

    def reached() -> list[int]:
        return [
            status
            for number in (people.own_site, people.other_site)
            for status in (firm.get(cell[number]).status_code, visited(firm, number, "self_check"))
        ]

    assert reached() == [200, 201, 404, 404]
    form = dialog_of(admin, made)
    assert form["sites"] == str(people.own_site)
    answer = admin.post(f"/accounts/{made}/change", data=form | {"sites": str(people.other_site)})
    assert answer.status_code == 200, answer.text
    assert reached() == [404, 404, 200, 201]


def test_what_was_changed_since_is_not_overwritten(site: Site) -> None:
    admin = site.client("admin")
    made = new_account(site, "twice", ["planner"], areas=[site.people.town])
    stale = dialog_of(admin, made)
    assert (
        admin.post(
            f"/accounts/{made}/change", data=stale | {"roles": "analyst", "areas": site.people.other_town}
        ).status_code
        == 200
    )
    answer = admin.post(f"/accounts/{made}/change", data=stale | {"name_zh": "改名", "lang": "en"})
    assert answer.status_code == 409
    assert "Somebody has changed" in answer.json()["error"]
    # Nor does a form that was filled for one account reach another.
    other = new_account(site, "bystander", ["planner"], areas=[site.people.town])
    assert admin.post(f"/accounts/{other}/change", data=dialog_of(admin, made)).status_code == 409
    with site.connect() as owner:
        rows = owner.execute(
            "SELECT name_zh, roles FROM access.account WHERE id = ANY (%s) ORDER BY id", ([made, other],)
        ).fetchall()
    assert rows == [
        {"name_zh": "twice 号", "roles": ["analyst"]},
        {"name_zh": "bystander 号", "roles": ["planner"]},
    ]


def test_what_cannot_be_changed_is_refused_where_it_stands(site: Site) -> None:
    admin = site.client("admin")
    made = new_account(site, "fixed", ["inspector"], areas=[site.people.town])
    form = dialog_of(admin, made)
    wrong = admin.post(f"/accounts/{made}/change", data={"lang": "en"})
    assert wrong.status_code == 422
    assert set(wrong.json()["problems"]) == {"name_zh", "roles", "reason"}
    for change, why in (
        ({"roles": "admin"}, "whole district"),
        ({"roles": "enterprise"}, "names its sites"),
        ({"roles": "inspector,enterprise"}, "no other role"),
        ({"areas": "310116999000"}, "no such unit"),
        ({"sites": str(site.people.own_site)}, "only an enterprise"),
    ):
        answer = admin.post(f"/accounts/{made}/change", data=form | change)
        assert answer.status_code == 409, change
        assert why in answer.json()["error"]
    assert admin.post("/accounts/987654/change", data=form).status_code == 404
    assert dialog_of(admin, made) == form
    for login in ("committee", "planner", "enterprise"):
        assert site.client(login).post(f"/accounts/{made}/change", data=form).status_code == 403
    forged = site.client("admin")
    del forged.headers["X-CSRFToken"]
    assert forged.post(f"/accounts/{made}/change", data=form).status_code == 403


def test_the_last_admin_and_the_own_rights_stay(site: Site) -> None:
    admin, own = site.client("admin"), site.people.ids["admin"]
    form = dialog_of(admin, own)
    for roles in ("committee", "admin,committee"):
        answer = admin.post(f"/accounts/{own}/change", data=form | {"roles": roles})
        assert answer.status_code == 409
        assert "nobody changes the own roles" in answer.json()["error"]
    # The own name may be changed.
    assert admin.post(f"/accounts/{own}/change", data=form | {"name_en": "Admin"}).status_code == 200
    deputy = new_account(site, "deputy", ["admin"])
    second = site.client("deputy")
    assert second.post(f"/accounts/{own}/disable", data={"reason": "x"}).status_code == 200
    assert admin.get("/tiles/cell.json").status_code == 401
    assert second.post(f"/accounts/{deputy}/disable", data={"reason": "x"}).status_code == 409
    with connect(site.url) as owner, pytest.raises(Exception, match="deputy is the last enabled admin"):
        owner.execute("UPDATE access.account SET disabled_at = now() WHERE login = 'deputy'")
    assert second.post(f"/accounts/{own}/enable", data={"reason": "x"}).status_code == 200
    admin = site.client("admin")
    assert admin.post(f"/accounts/{deputy}/disable", data={"reason": "x"}).status_code == 200


def test_a_token_is_issued_shown_once_listed_and_revoked(site: Site) -> None:
    admin, planner = site.client("admin"), site.people.ids["planner"]
    form = {"name": "月报", "scopes": "read", "days": "30", "reason": "新报表", "lang": "en"}
    for change, field in (
        ({"name": " "}, "name"),
        ({"scopes": ""}, "scopes"),
        ({"days": "0"}, "days"),
        ({"days": "367"}, "days"),
        ({"days": "１２"}, "days"),
        ({"reason": ""}, "reason"),
    ):
        wrong = admin.post(f"/accounts/{planner}/token", data=form | change)
        assert wrong.status_code == 422, change
        assert set(wrong.json()["problems"]) == {field}
    assert admin.post(f"/accounts/{planner}/token", data=form | {"scopes": "all"}).status_code == 409
    assert admin.post("/accounts/987654/token", data=form).status_code == 404
    assert site.client("planner").post(f"/accounts/{planner}/token", data=form).status_code == 403

    token = admin.post(f"/accounts/{planner}/token", data=form).json()["once"]
    bearer = {"authorization": f"Bearer {token}"}
    cells = httpx.get(f"{site.base}/lens/risk.json", headers=bearer)
    assert cells.status_code == 200
    assert cells.json()["classes"] == site.client("planner").get("/lens/risk.json").json()["classes"]
    # It does what it is for, and not with a token of the admin's power.
    assert httpx.post(f"{site.base}/accounts/{planner}/token", data=form, headers=bearer).status_code == 403
    for client, path in ((admin, "/accounts"), (site.client("planner"), "/account")):
        shown = body_of(client, path)
        assert "月报" in shown
        assert token not in shown
    assert "月报" not in body_of(site.client("neighbour"), "/account")
    with site.connect() as owner:
        row = owner.execute(
            "SELECT t.id, t.created_by, t.expires_at - now() AS lasts, (SELECT string_agg(a::text, ' ') FROM access.audit AS a) AS audit"
            " FROM access.token AS t WHERE t.name = '月报'"
        ).fetchone()
        made = owner.execute(
            "SELECT login, reason FROM access.audit WHERE subject = 'access.token' ORDER BY id DESC LIMIT 1"
        ).fetchone()
    assert row is not None
    assert token not in row["audit"]
    assert row["created_by"].startswith("geoapp_admin_")
    assert 29.9 < row["lasts"].total_seconds() / 86_400 <= 30
    assert made == {"login": "admin", "reason": "新报表"}

    asked = f"/accounts/tokens/{row['id']}/revoke"
    assert site.client("neighbour").post(asked, data={"reason": "x"}).status_code == 403
    assert admin.post(asked, data={"reason": ""}).status_code == 422
    assert admin.post(asked, data={"reason": "报表停用"}).status_code == 200
    assert httpx.get(f"{site.base}/lens/risk.json", headers=bearer).status_code == 401
    assert admin.post(asked, data={"reason": "再来"}).status_code == 404
    assert admin.post("/accounts/tokens/987654/revoke", data={"reason": "x"}).status_code == 404


def test_a_disabled_account_gets_no_token(site: Site) -> None:
    admin = site.client("admin")
    made = new_account(site, "gone", ["analyst"])
    assert admin.post(f"/accounts/{made}/disable", data={"reason": "离岗"}).status_code == 200
    form = {"name": "x", "scopes": "read", "days": "1", "reason": "x", "lang": "en"}
    answer = admin.post(f"/accounts/{made}/token", data=form)
    assert answer.status_code == 409
    assert "disabled" in answer.json()["error"]


@pytest.mark.browser
def test_in_a_browser_the_dialog_holds_the_account_and_saves_it(
    open_page: Callable[..., Any], site: Site
) -> None:
    people = site.people
    new_account(site, "paper", ["duty_officer"], areas=[people.town])
    new_account(site, "paperfirm", ["enterprise"], sites=[people.own_site])
    page = open_page("/accounts?lang=en", map_ready=False, login="admin")
    until(page, "document.querySelector('[data-dialog=edit-account]')", 20)
    dialog = page.locator("#edit-account")

    def edit(login: str) -> dict[str, str]:
        """Opens the dialog for an account; what its form would send."""
        page.locator("tr", has=page.locator(f"code:text-is('{login}')")).get_by_role(
            "button", name="Edit"
        ).press("Enter")
        until(page, "document.getElementById('edit-account').open")
        until(page, f"document.querySelector('#edit-account [name=name_zh]').value === '{login} 号'")
        sent: dict[str, str] = page.evaluate(
            "Object.fromEntries(new FormData(document.querySelector('#edit-account form')))"
        )
        return sent

    sent = edit("paper")
    assert (sent["roles"], sent["areas"], sent["sites"]) == ("duty_officer", people.town, "")
    dialog.get_by_label("Name", exact=True).fill("typed and given up")
    page.keyboard.press("Escape")
    sent = edit("paperfirm")
    assert (sent["roles"], sent["areas"], sent["sites"]) == ("enterprise", "", str(people.own_site))
    page.keyboard.press("Escape")
    sent = edit("paper")
    assert (sent["name_zh"], sent["roles"], sent["sites"]) == ("paper 号", "duty_officer", "")

    roles = dialog.locator("#edit-role-choice")
    roles.press("Backspace")
    roles.type("Inspector")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    dialog.locator("[type=submit]").press("Enter")
    until(page, "!document.querySelector('#edit-account [data-problem=reason]').hidden")
    dialog.get_by_label("Reason").fill("moved")
    dialog.locator("[type=submit]").press("Enter")
    page.locator("tr", has_text="Inspector").filter(has_text="paper 号").wait_for(timeout=20_000)
    with site.connect() as owner:
        row = owner.execute("SELECT roles, scope FROM access.account WHERE login = 'paper'").fetchone()
    assert row == {"roles": ["inspector"], "scope": "town"}


@pytest.mark.browser
def test_in_a_browser_a_token_is_issued_shown_once_and_revoked(
    open_page: Callable[..., Any], site: Site
) -> None:
    new_account(site, "screen", ["duty_officer"], areas=[site.people.town])
    page = open_page("/accounts?lang=en", map_ready=False, login="admin")
    until(page, "document.querySelector('[data-dialog=issue-token]')", 20)
    page.locator("tr", has=page.locator("code:text-is('screen')")).get_by_role(
        "button", name="Issue token"
    ).press("Enter")
    until(page, "document.getElementById('issue-token').open")
    token = page.locator("#issue-token")
    token.get_by_label("Name").fill("wall screen")
    token.get_by_label("Reason").fill("new screen")
    token.locator("[type=submit]").press("Enter")
    until(page, "document.querySelector('#issue-token output').textContent.startsWith('ga_')")
    once = page.locator("#issue-token output").inner_text()
    page.locator("#issue-token .once .primary").press("Enter")
    page.locator("tr", has_text="wall screen").wait_for(timeout=20_000)
    assert once not in page.content()
    bearer = {"authorization": f"Bearer {once}"}
    assert httpx.get(f"{site.base}/tiles/cell.json", headers=bearer).status_code == 200
    page.locator("tr", has_text="wall screen").get_by_role("button", name="Revoke").press("Enter")
    page.locator("#revoke-token").get_by_label("Reason").fill("gone")
    page.locator("#revoke-token [type=submit]").press("Enter")
    page.locator("tr.off", has_text="wall screen").wait_for(timeout=20_000)
    assert httpx.get(f"{site.base}/tiles/cell.json", headers=bearer).status_code == 401


@pytest.mark.browser
@pytest.mark.long
def test_a_page_asks_for_nothing_that_is_refused_to_it(open_page: Callable[..., Any], site: Site) -> None:
    """Else everybody's visits would stand in the audit as refusals."""
    with site.connect() as owner:
        last = owner.execute("SELECT coalesce(max(id), 0) AS id FROM access.audit").fetchone()
    for path, login in (
        ("/accounts?lang=en", "admin"),
        ("/account?lang=en", "planner"),
        ("/audit?lang=en", "admin"),
    ):
        page = open_page(path, map_ready=False, login=login)
        until(page, "document.querySelector('main h1')", 20)
        page.wait_for_timeout(2500)
        assert page.evaluate("geoapp.lang") == "en"
    assert last is not None
    with site.connect() as owner:
        rows = owner.execute(
            "SELECT login, subject_id, detail FROM access.audit WHERE id > %s AND NOT ok", (last["id"],)
        ).fetchall()
    assert rows == []
