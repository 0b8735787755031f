"""The page of exports: who has it, what it offers, and that each choice of it is one that the route takes."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from screens import Site
from test_account_pages import body_of

from dashboards.exports_page import ENCODINGS, FORMATS, FRAMES, export_form
from dashboards.state import ViewState
from geoapp.territory.frames import parse_frame
from layers.export import registers_for
from layers.export.order import FORMATS as ENDINGS

EXPORTING = ("committee", "planner", "analyst", "enterprise")
HTML = {"Accept": "text/html"}


@pytest.mark.parametrize("role", [*EXPORTING, "duty_officer", "inspector", "admin"])
def test_the_page_is_for_those_who_may_export(site: Site, role: str) -> None:
    client = site.client(role)
    may = role in EXPORTING
    assert client.get("/exports", headers=HTML).status_code == (200 if may else 403)
    shown = body_of(client, "/exports", "?lang=en")
    assert ('"register"' in shown) == may
    assert ('href": "/exports' in body_of(client, "/account")) == may


def test_its_choices_are_taken_by_the_route(site: Site) -> None:
    client = site.client("analyst")
    for one in FORMATS:
        answer = client.get(f"/export/hazards.{one}", params={"reason": "页面测试"})
        assert answer.status_code == (422 if one == "fgb" else 200), (one, answer.text[:200])
    for frame in FRAMES:
        answer = client.get("/export/units.gpkg", params={"frame": frame})
        assert answer.status_code == 200, answer.text
        named = re.search(
            r"geoapp-units(-[a-z0-9]+)?-[0-9a-f]{12}\.gpkg", answer.headers["content-disposition"]
        )
        assert named
        assert (named[1] or "-").removeprefix("-") == ("" if frame in ("", "metric") else frame)


def test_choices_are_known_names() -> None:
    assert {f".{one}" for one in FORMATS} <= set(ENDINGS)
    assert [parse_frame(one).name for one in FRAMES[2:]] == list(FRAMES[2:])
    assert ENCODINGS == ("utf-8", "gbk")
    for lang in ("zh", "en"):
        form = str(export_form(registers_for(("planner",)), ViewState(lang=lang), "Asia/Shanghai"))  # type: ignore[arg-type]
        assert "grid_cells" in form


def test_the_layer_and_day_of_the_map_are_chosen_beforehand() -> None:
    def form(query: str) -> tuple[str, str, str]:
        """What is chosen, the moment or window that is sent with it, and what is said of it."""
        made = export_form(registers_for(("planner",)), ViewState.from_query(query), "Asia/Shanghai")
        chosen = next(one for one in made._traverse() if getattr(one, "name", "") == "register")
        (line,) = [
            one
            for one in made._traverse()
            if "data-when" in getattr(one, "_prop_names", ()) or getattr(one, "data-when", "")
        ]
        return chosen.value, getattr(made, "data-when-query"), str(line.children)

    assert form("?lang=en") == ("sites", "", "")
    value, sent, said = form("?register=risk_cell&as_of=2026-03-01T15:59:59Z")
    assert (value, sent) == ("risk_cell", "as_of=2026-03-01T15%3A59%3A59Z")
    assert "2026-03-01 23:59:59" in said, "on the city's clock"
    value, sent, said = form("?register=event_heat&from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z")
    assert (value, sent) == ("event_heat", "from=2026-03-01T00%3A00%3A00Z&to=2026-03-02T00%3A00%3A00Z")
    # A register has no past; a name that nobody has and a time that is none are left alone.
    assert form("?register=sites&as_of=2026-03-01T15:59:59Z")[:2] == ("sites", "")
    assert form("?register=changeset'--&as_of=x") == ("sites", "", "")
    assert form("?register=risk_cell&as_of=yesterday") == ("risk_cell", "", "")


# --- what other pages show, as CSV --------------------------------------------------------------------------------------


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 200, answer.text[:300]
    assert answer.content.startswith(b"\xef\xbb\xbf"), "a byte order mark, for spreadsheets"
    return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))


def newest_export(site: Site, login: str) -> dict[str, Any]:
    with site.connect() as owner:
        row = owner.execute(
            "SELECT subject_id, reason, (detail ->> 'rows')::int AS rows, detail FROM access.audit"
            " WHERE action = 'export' AND login = %s ORDER BY id DESC LIMIT 1",
            (login,),
        ).fetchone()
    assert row is not None
    return row


def test_the_blind_list_leaves_as_the_view_has_it_for_the_reader_and_on_record(site: Site) -> None:
    with site.connect() as owner:
        town = site.people.town
        camera = owner.execute(
            "SELECT id, gb_id FROM registry.camera WHERE is_connected AND enabled AND town_code = %s ORDER BY id LIMIT 1",
            (town,),
        ).fetchone()
        assert camera is not None
        owner.execute(
            "INSERT INTO watch.camera_health (camera_id, observed, reason, since, last_try_at, detail)"
            " VALUES (%(id)s, false, 'frozen', now(), now(), '=1+1') ON CONFLICT (camera_id) DO UPDATE SET observed = false,"
            " reason = 'frozen', detail = '=1+1', since = now(), last_try_at = now()",
            camera,
        )
        wanted = owner.execute("SELECT gb_id, town_code FROM analysis.camera_blind").fetchall()
    found = {row["gb_id"]: row for row in rows_of(site.client("committee").get("/export/blind_cameras.csv"))}
    assert set(found) == {row["gb_id"] for row in wanted}
    assert found[camera["gb_id"]]["reason"] == "frozen"
    assert found[camera["gb_id"]]["detail"] == "'=1+1", "no formula for a spreadsheet"
    record = newest_export(site, "committee")
    assert (record["subject_id"], record["rows"]) == ("blind_cameras", len(found))
    own = {row["gb_id"] for row in rows_of(site.client("planner").get("/export/blind_cameras.csv"))}
    assert own == {row["gb_id"] for row in wanted if row["town_code"] == town}


def test_the_ledger_leaves_with_its_filters_and_what_is_not_known_is_empty(site: Site) -> None:
    client, town = site.client("committee"), site.people.town
    day = (datetime.now(ZoneInfo("Asia/Shanghai")) - timedelta(days=1)).date()
    hour = datetime(day.year, day.month, day.day, 3, tzinfo=ZoneInfo("Asia/Shanghai"))
    with site.connect() as owner:
        owner.execute("UPDATE watch.connection_record SET began_at = %s", (hour,))
        owner.execute("UPDATE watch.camera_connection SET since = %s, period_s = 10", (hour,))
        camera = owner.execute(
            "SELECT c.id FROM registry.camera AS c JOIN watch.camera_connection AS k ON k.camera_id = c.id"
            " WHERE k.until IS NULL AND c.town_code = %s ORDER BY c.id LIMIT 1",
            (town,),
        ).fetchone()
        assert camera is not None
        owner.execute(
            "INSERT INTO watch.observation_hour (camera_id, hour, due, observed, unobserved, reasons)"
            " VALUES (%s, %s, 360, 350, 10, '{\"timeout\": 10}') ON CONFLICT (camera_id, hour) DO UPDATE SET due = 360,"
            " observed = 350, unobserved = 10, reasons = EXCLUDED.reasons",
            (camera["id"], hour.astimezone(UTC)),
        )
    asked = {"day": str(day), "kind": "camera", "town": town, "reason": "周报核对"}
    rows = rows_of(client.get("/export/ledger.csv", params=asked))
    of_camera = {r["starts"]: r for r in rows if r["place"] == str(camera["id"])}
    one = of_camera[hour.isoformat()]
    assert (one["due"], one["observed"], one["reasons"]) == ("360", "350", '{"timeout": 10}')
    before = of_camera[(hour - timedelta(hours=2)).isoformat()]
    assert (before["due"], before["watched_share"], before["not_known"]) == ("", "", "1"), "empty, never 0"
    record = newest_export(site, "committee")
    assert (record["subject_id"], record["reason"], record["rows"]) == ("ledger", "周报核对", len(rows))
    assert record["detail"]["town"] == town
    everywhere = rows_of(client.get("/export/ledger.csv", params={"day": str(day)}))
    assert {r["place"] for r in everywhere} > {town}
    own = rows_of(site.client("planner").get("/export/ledger.csv", params={"day": str(day)}))
    assert {r["place"] for r in own} == {town}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 422),
        ("day=2026-13-01", 422),
        ("day=9999-12-31", 422),
        ("day=0001-01-01", 422),
        ("day=2026-11-01&kind=street", 422),
        ("day=2026-11-01&town=' OR 1=1", 422),
        ("day=2026-11-01&kind=camera", 422),  # more than 1,000 rows, and no reason
    ],
)
def test_a_ledger_that_cannot_leave_says_why(site: Site, query: str, status: int) -> None:
    answer = site.client("analyst").get(f"/export/ledger.csv?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
    assert "/ " in answer.json()["error"]


@pytest.mark.parametrize("path", ["/ledger", "/cameras"])
def test_the_button_is_there_for_those_who_may_export(site: Site, path: str) -> None:
    for role in ("committee", "duty_officer"):
        shown = body_of(site.client(role), path, "?lang=en")
        assert ("Download CSV" in shown) == (role in EXPORTING)
