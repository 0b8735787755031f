"""What was refused is counted and on record wherever it happens; whoever guesses ids waits, and nobody else."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from screens import Site

from geoapp.access.per_minute import KEPT, WINDOW_S, PerMinute
from geoapp.access.refusals import IN_A_MINUTE_ELSE
from geoapp.access.tokens import make_token
from layers.honest_route import MISSES_A_MINUTE


def refused(site: Site, login: str) -> list[dict[str, Any]]:
    """Refusals on record of an account, the oldest first."""
    with site.connect() as owner:
        return owner.execute(
            "SELECT subject_id, detail ->> 'why' AS why, (detail ->> 'not_recorded_since_the_last')::int AS unsaid"
            " FROM access.audit WHERE action = 'refused' AND login = %s ORDER BY id",
            (login,),
        ).fetchall()


def counted(site: Site, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} ([0-9.]+)$", site.client(None).get("/metrics").text, re.M)
    return float(found[1]) if found else 0.0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/accounts/add"),
        ("POST", "/accounts/1/disable"),
        ("POST", "/accounts/tokens/1/revoke"),
        ("GET", "/export/audit.csv?reason=想看看"),
        ("GET", "/accounts"),
        ("GET", "/export/site.gpkg?reason=想看看"),
        ("GET", "/export/blind_cameras.csv?reason=想看看"),
        ("GET", "/export/ledger.csv?day=2026-11-01&reason=想看看"),
    ],
)
def test_a_role_that_may_not_is_on_record_and_counted(site: Site, method: str, path: str) -> None:
    client, metric = site.client("duty_officer"), 'geoapp_refusals_total{why="role"}'
    before, known = counted(site, metric), len(refused(site, "duty_officer"))
    answer = client.request(method, path, data={"reason": "想看看"} if method == "POST" else None)
    assert answer.status_code == 403
    if "json" in answer.headers["content-type"]:
        assert answer.json() == {"error": "您的角色不能做这件事 / Your role does not do this."}
    [record] = refused(site, "duty_officer")[known:]
    assert (record["subject_id"], record["why"]) == (path.partition("?")[0], "role")
    assert counted(site, metric) == before + 1


def test_what_the_gate_refuses_to_the_signed_in_is_on_record_a_few_times_a_minute(site: Site) -> None:
    now = datetime.now(UTC)
    with site.connect() as owner:
        made = make_token(
            owner, site.people.ids["planner"], "test", ["read"], at=now, expires_at=now + timedelta(days=1)
        )
    held, page = {"Authorization": f"Bearer {made}"}, site.client("planner")
    metric = 'geoapp_refusals_total{why="token_scope"}'
    before, known = counted(site, metric), len(refused(site, "planner"))
    for _ in range(3 * IN_A_MINUTE_ELSE):
        assert site.client(None).get("/export/cell.geojson", headers=held).status_code == 403
    assert [r["why"] for r in refused(site, "planner")[known:]] == ["token_scope"] * IN_A_MINUTE_ELSE
    assert counted(site, metric) == before + 3 * IN_A_MINUTE_ELSE
    # Another reason has records of its own.
    assert page.post("/account/password", headers={"X-CSRFToken": "x"}).status_code == 403
    assert refused(site, "planner")[-1]["why"] == "csrf"


def test_of_what_has_no_record_the_next_one_says_how_many() -> None:
    from geoapp.access import refusals

    at = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)
    said = [refusals._to_say("geoapp_x_000000", "csrf", at + timedelta(seconds=n)) for n in range(59)]
    assert said == [0] * IN_A_MINUTE_ELSE + [None] * (59 - IN_A_MINUTE_ELSE)
    assert refusals._to_say("geoapp_y_000000", "csrf", at) == 0
    assert refusals._to_say("geoapp_x_000000", "csrf", at + timedelta(seconds=61)) == 59 - IN_A_MINUTE_ELSE


def test_whoever_has_to_change_the_password_is_on_record_where_they_try_on(site: Site) -> None:
    client = site.client("inspector")
    with site.connect() as owner:
        owner.execute("UPDATE access.account SET must_change_password = true WHERE login = 'inspector'")
    try:
        assert client.get("/headline.json").status_code == 403
    finally:
        with site.connect() as owner:
            owner.execute("UPDATE access.account SET must_change_password = false WHERE login = 'inspector'")
    assert refused(site, "inspector")[-1] == {
        "subject_id": "/headline.json",
        "why": "must_change_password",
        "unsaid": None,
    }


def test_whoever_guesses_ids_waits_and_nobody_else(site: Site) -> None:
    guesser, colleague = site.client("analyst"), site.client("committee")
    before = counted(site, "geoapp_not_found_total")
    kinds = ("/evidence/{}.jpg", "/cell/{}.json")
    for n in range(MISSES_A_MINUTE):
        answer = guesser.get(kinds[1].format(f"{n:018}"))
        assert answer.status_code == 404
    assert counted(site, "geoapp_not_found_total") == before + MISSES_A_MINUTE
    for path in (kinds[0].format(uuid.uuid4()), kinds[1].format("9" * 18)):
        answer = guesser.get(path)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= WINDOW_S
    with site.connect() as owner:
        cell = owner.execute("SELECT cell_code AS code FROM analysis.risk_cell LIMIT 1").fetchone()
    assert cell is not None
    there = f"/cell/{cell['code']}.json"
    assert guesser.get(there).status_code == 429, "what is there is not told from what is not"
    assert guesser.get("/headline.json").status_code == 200, "what has no id goes on"
    assert colleague.get(there).status_code == 200, "the same address, another account"
    assert refused(site, "analyst")[-1]["why"] == "guessing"


def test_a_minute_has_an_end_and_memory_has_one_too() -> None:
    misses = PerMinute(3)
    for _ in range(3):
        assert misses.wait_s("a", 100.0) == 0
        misses.note("a", 100.0)
    assert misses.wait_s("a", 100.5) == 60
    assert misses.wait_s("a", 159.5) == 1
    assert misses.wait_s("a", 160.0) == 0
    assert misses.wait_s("b", 100.5) == 0
    misses.note("a", 160.0)
    assert misses.wait_s("a", 160.0) == 0, "a new minute begins with one"
    for n in range(3 * KEPT):
        misses.note(f"x{n}", 200.0)
    assert len(misses._counts) <= KEPT


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Referer": "http://evil.example/page"},
        {"Referer": "http://[evil"},
    ],
)
@pytest.mark.parametrize("path", ["/export/site.gpkg", "/export/audit.csv"])
def test_a_link_on_another_page_takes_nothing_out(site: Site, path: str, headers: dict[str, str]) -> None:
    client = site.client("committee")
    exports = "SELECT count(*) AS n FROM access.audit WHERE action = 'export'"
    with site.connect() as owner:
        before = owner.execute(exports).fetchone()
        answer = client.get(path, params={"reason": "不是我要的"}, headers=headers)
        assert answer.status_code == 403
        assert owner.execute(exports).fetchone() == before
    assert refused(site, "committee")[-1]["why"] == "csrf"


def test_an_export_from_the_own_page_or_typed_goes_on(site: Site) -> None:
    client = site.client("committee")
    for headers in (
        {"Sec-Fetch-Site": "same-origin", "Referer": f"{site.base}/audit"},
        {"Sec-Fetch-Site": "none"},
    ):
        answer = client.get("/export/audit.csv", params={"reason": "核对记录"}, headers=headers)
        assert answer.status_code == 200
    # A program with a token has no page that could be a foreign one.
    now = datetime.now(UTC)
    with site.connect() as owner:
        made = make_token(
            owner, site.people.ids["committee"], "x", ["export"], at=now, expires_at=now + timedelta(days=1)
        )
    held = {"Authorization": f"Bearer {made}", "Sec-Fetch-Site": "cross-site"}
    with httpx.Client(base_url=site.base) as program:
        assert program.get("/export/audit.csv?reason=核对记录", headers=held).status_code == 200
