"""The page of imports: who has it, what it shows while and after files are loaded, what leaves, what is handed in, decided."""

import io
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import openpyxl
import pytest
from openpyxl import Workbook
from screens import Site
from test_matrix_http import callback

from dashboards import imports_in
from etl.run import running

HTML = {"Accept": "text/html"}
PARTS = "..imports-now.children...imports-detail.children...imports-merges.children...imports-list.children...imports-more.children...imports-poll.interval...imports-seen.data.."
PAGE = {"lang": "en", "zone": "Asia/Shanghai", "kept": "?lang=en"}


def shown(
    client: Any, search: str = "?lang=en", seen: str | None = None, *, by_itself: bool = False
) -> dict[str, Any]:
    """The parts of the page, by their names, as the callback gives them; parts that stay as they are are left out."""
    inputs = {"address.search": search, "imports-poll.n_intervals": 1}
    if by_itself:
        inputs = {"imports-poll.n_intervals": 1, "address.search": search}
    listed = [{"id": k.split(".")[0], "property": k.split(".")[1], "value": v} for k, v in inputs.items()]
    names = [
        dict(zip(("id", "property"), one.split("."), strict=True)) for one in PARTS.strip(".").split("...")
    ]
    body = {
        "output": PARTS, "outputs": names, "inputs": sorted(listed, key=lambda one: one["id"]),
        "changedPropIds": ["imports-poll.n_intervals" if by_itself else "address.search"],
        "state": [{"id": "imports-seen", "property": "data", "value": seen}, {"id": "imports-page", "property": "data", "value": PAGE}],
    }  # fmt: skip
    answer = client.post("/_dash-update-component", json=body)
    assert answer.status_code == 200, answer.text[:300]
    return {key: next(iter(value.values())) for key, value in answer.json()["response"].items()}


def text(part: Any) -> str:
    return json.dumps(part, ensure_ascii=False)


@pytest.fixture(scope="module")
def batch(site: Site) -> int:
    """A finished run with one file: three rows, one kept aside."""
    with site.connect() as owner:
        run = owner.execute(
            "INSERT INTO staging.load (manifest, manifest_sha256, origin, started_by, state, finished_at)"
            " VALUES ('city.yaml', 'x', 'command', 'li.wei', 'done', now()) RETURNING id"
        ).fetchone()
        row = owner.execute(
            "INSERT INTO staging.batch (load_id, section, file, file_sha256, encoding, frame, rows_in, rows_stored, rows_rejected, rows_new,"
            " file_columns, columns_used, notices, finished_at) VALUES (%s, 'sites', 'sites.csv', 'abc', 'gb18030', 'bd09', 3, 2, 1, 2,"
            """ '["编号", "名称"]', '{"id": "编号", "name": "名称"}', '["看一看 / look at it"]', now()) RETURNING id""",
            (run["id"],),
        ).fetchone()
        owner.execute(
            "INSERT INTO staging.rejected (batch_id, row_no, reason_code, field, reason_zh, reason_en, fix_zh, fix_en, columns)"
            """ VALUES (%s, 3, 'name_missing', '名称', '没有名称', 'has no name', '补填', 'fill it in', '{"编号": "S3", "名称": null}')""",
            (row["id"],),
        )
        owner.execute(
            "INSERT INTO staging.load (manifest, manifest_sha256, origin, started_by, state, message, finished_at)"
            " VALUES ('wrong.yaml', 'x', 'command', 'li.wei', 'refused', '没有列 / no such column', now())"
        )
        owner.execute(
            "INSERT INTO staging.load (manifest, manifest_sha256, origin, started_by) VALUES ('killed.yaml', 'x', 'feed', 'x')"
        )
    return int(row["id"])


@pytest.fixture
def pair(site: Site) -> Iterator[dict[str, Any]]:
    """Two sites that may be one."""
    with site.connect() as owner:
        ids = [
            owner.execute(
                "INSERT INTO registry.site (local_id, name_zh, address, people, geom, town_code) SELECT %s, '一厂', '路1号', %s, geom, town_code"
                " FROM registry.site WHERE id = %s RETURNING id",
                (f"double-{n}", people, site.people.own_site),
            ).fetchone()["id"]
            for n, people in ((1, None), (2, 30))
        ]
        row = owner.execute(
            "INSERT INTO registry.site_merge (site_id, other_id, distance_m) VALUES (%s, %s, 12) RETURNING id",
            ids,
        ).fetchone()
    yield {"id": row["id"], "left": ids[0], "right": ids[1]}
    with site.connect() as owner:
        owner.execute("DELETE FROM registry.site WHERE id = ANY (%s)", (ids,))


@pytest.mark.parametrize(
    "role", ["committee", "analyst", "planner", "duty_officer", "inspector", "enterprise", "admin"]
)
def test_the_page_is_for_admins(site: Site, batch: int, role: str) -> None:
    client, may = site.client(role), role == "admin"
    assert client.get("/imports", headers=HTML).status_code == (200 if may else 403)
    page = callback(client, "page.children", {"address.pathname": "/imports"}, {"address.search": "?lang=en"})
    assert ("imports-poll" in page) == may
    assert ('href": "/imports' in page) == may
    for path in (f"/export/import/{batch}.html", f"/export/import/{batch}.xlsx?reason=for+test"):
        assert client.get(path).status_code == (200 if may else 403), path
    if not may:
        assert client.post("/imports/corrected", content=b"x").status_code == 403
        assert client.post("/imports/merges/1/apart", data={"reason": "x"}).status_code == 403


def test_runs_and_files_are_listed_with_what_became_of_them(site: Site, batch: int) -> None:
    parts = shown(site.client("admin"))
    listed = text(parts["imports-list"])
    for said in (
        "city.yaml",
        "wrong.yaml",
        "Refused",
        "no such column",
        "killed.yaml",
        "Cut off",
        "kept aside 1",
        "scheduled",
    ):
        assert said in listed, said
    assert parts["imports-now"] == []
    assert parts["imports-poll"] == 15_000
    # Asked again by itself, nothing has to be drawn again.
    again = shown(site.client("admin"), seen=parts["imports-seen"], by_itself=True)
    assert set(again) == {"imports-now", "imports-poll", "imports-seen"}


def test_a_file_is_looked_at(site: Site, batch: int) -> None:
    detail = text(shown(site.client("admin"), f"?lang=en&batch={batch}")["imports-detail"])
    for said in (
        "Sites · sites.csv",
        "name_missing",
        "has no name",
        "fill it in",
        "look at it",
        f"geoapp load rollback {batch}",
        "gb18030",
    ):
        assert said in detail, said
    assert "There is no batch 999999." in text(shown(site.client("admin"), "?batch=999999")["imports-detail"])
    for nonsense in ("?batch=1e3", "?batch=", "?before=x", "?batch=" + "9" * 40, "?before=2020-01-01"):
        assert shown(site.client("admin"), nonsense)["imports-detail"] is None
    assert "No file has been imported" in text(
        shown(site.client("admin"), "?before=2001-01-01T00:00:00%2B00:00")["imports-list"]
    )


def test_a_run_is_followed_while_it_goes_on(site: Site, batch: int) -> None:
    client = site.client("admin")
    before = shown(client)
    with running(site.url, manifest="live.yaml", manifest_sha256="x", origin="command") as run:
        run.step("sites: sites.csv", 500, 2_000)
        parts = shown(client, seen=before["imports-seen"], by_itself=True)
        now = text(parts["imports-now"])
        assert "live.yaml" in now
        assert "500 / 2,000" in now
        assert '"data-percent": "25"' in now
        assert parts["imports-poll"] == 2_000
        assert "live.yaml" in text(parts["imports-list"])
    after = shown(client, seen=parts["imports-seen"], by_itself=True)
    assert after["imports-now"] == []
    assert after["imports-poll"] == 15_000


def test_what_leaves_is_on_record_and_the_report_can_do_nothing_here(site: Site, batch: int) -> None:
    client = site.client("admin")
    answer = client.get(f"/export/import/{batch}.html")
    policy = answer.headers.get_list("content-security-policy")
    assert len(policy) == 1
    assert policy[0].startswith("sandbox allow-scripts")
    assert "default-src 'none'" in policy[0]
    assert "name_missing" in answer.text
    assert client.get(f"/export/import/{batch}.xlsx").status_code == 422
    answer = client.get(f"/export/import/{batch}.xlsx", params={"reason": "请园区更正"})
    assert openpyxl.load_workbook(io.BytesIO(answer.content))["rows"]["A2"].value == "S3"
    assert client.get("/export/import/999999.html").status_code == 404
    with site.connect() as owner:
        records = owner.execute(
            "SELECT action, login, reason FROM access.audit WHERE subject = 'staging.batch' AND subject_id = %s AND action LIKE 'import%%'"
            " ORDER BY id DESC LIMIT 2",
            (str(batch),),
        ).fetchall()
    assert records == [
        {"action": "import_xlsx", "login": "admin", "reason": "请园区更正"},
        {"action": "import_html", "login": "admin", "reason": None},
    ]
    # A link on a foreign page takes nothing out.
    assert (
        client.get(f"/export/import/{batch}.html", headers={"Sec-Fetch-Site": "cross-site"}).status_code
        == 403
    )


def test_a_corrected_workbook_is_kept_for_the_operator(
    site: Site, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = site.client("admin")
    body = client.get(f"/export/import/{batch}.xlsx", params={"reason": "请园区更正"}).content
    answer = client.post("/imports/corrected?lang=en", content=body)
    assert answer.status_code == 200, answer.text
    (kept,) = imports_in.waiting()
    assert kept.path.read_bytes() == body
    assert kept.path.stat().st_mode & 0o077 == 0
    assert kept.path.name.startswith(f"{batch}-")
    assert answer.json()["command"] == f"geoapp load MANIFEST.yaml --corrected {kept.path}"
    assert str(kept.path) in text(shown(client)["imports-more"])
    other = io.BytesIO()
    Workbook().save(other)
    for content in (b"no zip", other.getvalue(), b""):
        answer = client.post("/imports/corrected", content=content)
        assert answer.status_code == 409, answer.text
        assert ".part" not in answer.text
    monkeypatch.setattr(imports_in, "MOST_UNPACKED", 10)
    assert (
        "太大" in client.post("/imports/corrected", content=body).text
        or "过大" in client.post("/imports/corrected", content=body).text
    )
    monkeypatch.setattr(imports_in, "MOST_WAITING", 1)
    assert client.post("/imports/corrected", content=body).status_code == 409
    assert [one.path for one in imports_in.waiting()] == [kept.path]
    assert list(imports_in.folder().glob(".*")) == []
    assert client.post("/imports/corrected", content=b"x" * 20_000_001).status_code == 413
    del client.headers["X-CSRFToken"]
    assert client.post("/imports/corrected", content=body).status_code == 403


def action(client: Any, decision: str, pair: dict[str, Any]) -> str:
    """The address that the button of a decision sends its form to."""
    found = re.search(
        rf'"(/imports/merges/{pair["id"]}/{decision}\?seen=\w+)"', text(shown(client)["imports-merges"])
    )
    assert found
    return found[1]


def test_an_admin_decides_that_two_sites_are_one(site: Site, pair: dict[str, Any]) -> None:
    client = site.client("admin")
    address = action(client, "left", pair)
    assert client.post(address, data={"reason": ""}).status_code == 422
    with site.connect() as owner:
        owner.execute("UPDATE registry.site SET people = 31 WHERE id = %s", (pair["right"],))
    assert (
        client.post(address, data={"reason": "同一家", "lang": "en"}).status_code == 409
    )  # not what the admin saw
    address = action(client, "left", pair)
    with site.connect() as owner, owner.transaction():
        owner.execute("SELECT pg_advisory_xact_lock(748116312)")
        answer = client.post(address, data={"reason": "同一家", "lang": "en"})
        assert answer.json() == {"error": "An import is running: decide when it has ended."}
    assert client.post(address, data={"reason": "同一家"}).status_code == 200
    with site.connect() as owner:
        held = owner.execute(
            "SELECT id, people FROM registry.site WHERE id IN (%s, %s)", (pair["left"], pair["right"])
        )
        assert held.fetchall() == [{"id": pair["left"], "people": 31}]
    assert client.post(address, data={"reason": "同一家"}).status_code == 404
    assert client.post("/imports/merges/1/burn", data={"reason": "x"}).status_code == 404


def test_an_admin_decides_that_two_sites_are_two(site: Site, pair: dict[str, Any]) -> None:
    client = site.client("admin")
    assert client.post(action(client, "apart", pair), data={"reason": "两家"}).status_code == 200
    assert shown(client)["imports-merges"] == []


def test_in_the_browser(site: Site, batch: int, pair: dict[str, Any], open_page: Any) -> None:
    page = open_page("/imports?lang=en", 390, 844, map_ready=False, login="admin")
    page.wait_for_selector(f'[data-merge="{pair["id"]}"]')
    assert page.evaluate("document.querySelector('.table-page').scrollWidth <= innerWidth")
    with running(site.url, manifest="live.yaml", manifest_sha256="x", origin="command") as run:
        run.step("sites: sites.csv", 500, 2_000)
        page.reload()
        page.wait_for_selector(".run-card .progress[data-percent='25']")
        time.sleep(0.6)  # a run tells of itself twice a second
        run.step("sites: sites.csv", 1_500, 2_000)
        with page.expect_request(lambda r: "_dash-update" in r.url and r.headers.get("x-by-itself") == "1"):
            page.wait_for_selector(".run-card .progress[data-percent='75']")
    page.wait_for_selector(".run-card", state="detached")
    page.click(f'[data-merge="{pair["id"]}"] button:has-text("Two sites")')
    page.fill("#merge-apart input[name=reason]", "two shops")
    page.click("#merge-apart [type=submit]")
    page.wait_for_selector(f'[data-merge="{pair["id"]}"]', state="detached")
    body = site.client("admin").get(f"/export/import/{batch}.xlsx", params={"reason": "for test"}).content
    for old in imports_in.waiting():
        old.path.unlink()
    page.set_input_files(
        "[data-hand-in] input[type=file]",
        {"name": "r.xlsx", "mimeType": "application/octet-stream", "buffer": body},
    )
    page.click("[data-hand-in] [type=submit]")
    page.wait_for_selector("[data-hand-in] [data-message]:has-text('geoapp load')")
    # The report opens beside the page, under its own policy, and draws its map.
    page.goto(f"{site.base}/imports?lang=en&batch={batch}")
    with page.context.expect_page() as opened:
        page.click("text=Quality report")
    report = opened.value
    report.wait_for_selector("#account")
    assert "✓" in report.inner_text("main")
