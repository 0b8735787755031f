"""The page of the ledger: a day as a grid, what is not known hatched, an hour told in full."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from screens import Site, until

from dashboards import ledger
from geoapp.database.connection import connect

HOUR = timedelta(hours=1)
ZONE = "Asia/Shanghai"


def row(place: str, starts: datetime, **over: Any) -> dict[str, Any]:
    plain = dict.fromkeys(("looked", "partly", "blind", "not_due", "not_connected", "not_known"), 0)
    due, observed = over.get("due"), over.get("observed")
    share = observed / due if due else None
    return plain | {
        "place": place, "starts": starts, "due": due, "observed": observed, "watched_share": share, "reasons": {},
        "name_zh": f"镇{place}", "name_en": f"Town {place}", "gb_id": None,
    } | over  # fmt: skip


AT = datetime(2026, 11, 22, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        ({"due": 400, "observed": 400}, "all", "100"),
        ({"due": 400, "observed": 399}, "most", "99"),
        ({"due": 400, "observed": 379}, "some", "94"),
        ({"due": 400, "observed": 199}, "few", "49"),
        ({"due": 400, "observed": 1}, "few", "0"),
        ({"due": 400, "observed": 0}, "none", "0"),
        ({"not_known": 1, "not_connected": 5}, "not_known", ""),
        ({"not_connected": 5}, "not_connected", ""),
        ({"not_due": 5}, "not_due", ""),
        ({}, "not_known", ""),
    ],
)
def test_a_field_says_no_more_than_is_known(answer: dict[str, int], kind: str, text: str) -> None:
    assert ledger.field(row("1", AT, **answer)) == (kind, text)
    assert (kind == "all") == (answer.get("observed") == 400), "only all is drawn as all"


def test_the_least_watched_place_comes_first_and_a_blind_camera_shows() -> None:
    rows = [
        row("1", AT, due=100, observed=99, blind=1),
        row("2", AT, due=100, observed=10),
        row("3", AT, not_connected=4),
    ]
    shown = ledger.grid(rows, "town", [AT, AT + HOUR], ZONE, "en")
    assert [line["place"] for line in shown["lines"]] == ["2", "1", "3"]
    assert [line["share"] for line in shown["lines"]] == ["10 %", "99 %", "—"]
    assert [line["connected"] for line in shown["lines"]] == ["0/0", "1/1", "0/4"]
    assert shown["hours"] == ["09", "10"]
    marked = {line["place"]: line["fields"][0]["blind"] for line in shown["lines"]}
    assert marked == {"1": True, "2": False, "3": False}
    assert shown["lines"][0]["fields"][1]["kind"] == "future"


def test_days_are_the_citys() -> None:
    since, to = ledger.span("2026-11-22", ZONE)
    assert since == datetime(2026, 11, 21, 16, tzinfo=UTC)
    assert len(ledger.hours_of(since, to)) == 24
    assert len(ledger.hours_of(*ledger.span("2026-10-25", "Europe/Berlin"))) == 25, "the clock goes back"
    with pytest.raises(ValueError, match="month"):
        ledger.span("2026-13-01", ZONE)


@pytest.fixture(scope="module")
def counted(site: Site) -> dict[str, Any]:
    """A day before today on record: each town's connected cameras looked, but for one that timed out at 03:00."""
    day = datetime.now(ZoneInfo(ZONE)).date() - timedelta(days=1)
    since, _ = ledger.span(day.isoformat(), ZONE)
    with connect(site.url, autocommit=True) as owner:
        owner.execute("UPDATE watch.connection_record SET began_at = %s", (since + HOUR,))
        owner.execute("UPDATE watch.camera_connection SET since = %s, period_s = 10", (since + HOUR,))
        rows = owner.execute(
            "SELECT c.id, c.town_code, c.name_zh FROM registry.camera AS c JOIN watch.camera_connection AS k"
            " ON k.camera_id = c.id WHERE k.until IS NULL AND c.town_code IS NOT NULL ORDER BY c.id"
        ).fetchall()
        bad = rows[0]
        for n in range(1, 23):
            for one in rows:
                is_bad = one["id"] == bad["id"] and n == 3
                put(
                    owner,
                    one["id"],
                    since + n * HOUR,
                    0 if is_bad else 360,
                    {"timeout": 360} if is_bad else {},
                )
    return {"day": day.isoformat(), "bad": bad, "towns": {one["town_code"] for one in rows}}


def put(owner: psycopg.Connection[Any], camera: int, hour: datetime, seen: int, why: dict[str, int]) -> None:
    missed = sum(why.values())
    owner.execute(
        "INSERT INTO watch.observation_hour (camera_id, hour, due, observed, unobserved, reasons)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (camera, hour, seen + missed, seen, missed, json.dumps(why)),
    )


FIELD = 'document.querySelector(`[data-ledger-place="%s"][data-ledger-hour^="%s"]`)'


@pytest.mark.parametrize(("lang", "theme", "width"), [("zh", "light", 1440), ("en", "dark", 390)])
def test_a_day_is_a_grid_and_an_hour_tells_why(
    open_page: Callable[..., Any], counted: dict[str, Any], lang: str, theme: str, width: int
) -> None:
    page = open_page(f"/ledger?lang={lang}&theme={theme}", width, 900, map_ready=False)
    until(page, "document.querySelectorAll('#ledger-grid tbody tr').length > 0")
    page.evaluate(f"window.dash_clientside.set_props('ledger-day', {{value: '{counted['day']}'}})")
    since, _ = ledger.span(counted["day"], ZONE)
    at_three, midnight, last = (since + n * HOUR for n in (3, 0, 23))
    town = counted["bad"]["town_code"]
    until(page, FIELD % (town, at_three.isoformat()[:13]))

    def look(hour: datetime) -> str:
        return str(page.evaluate((FIELD % (town, hour.isoformat()[:13])) + ".className"))

    assert "not_known" in look(midnight), "before the record began"
    assert "none" in look(last), "nobody looked at 23:00"
    assert "all" not in look(at_three).split()
    assert "all" in look(since + 4 * HOUR).split()
    page.evaluate((FIELD % (town, at_three.isoformat()[:13])) + ".click()")
    until(page, f"document.getElementById('ledger-cell').textContent.includes('{counted['bad']['name_zh']}')")
    told = page.inner_text("#ledger-cell")
    assert "360" in told
    assert ("超时" if lang == "zh" else "timed out") in told
    page.evaluate((FIELD % (town, last.isoformat()[:13])) + ".click()")
    words = "到点无人查看" if lang == "zh" else "due, and nobody looked"
    until(page, f"document.getElementById('ledger-cell').textContent.includes('{words}')")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (
        "the page does not scroll sideways"
    )


def test_a_town_account_sees_its_own_town_only(
    open_page: Callable[..., Any], site: Site, counted: dict[str, Any]
) -> None:
    page = open_page("/ledger?lang=en", map_ready=False, login="planner")
    until(page, "document.querySelectorAll('#ledger-grid tbody tr').length > 0")
    places = page.evaluate(
        "[...new Set([...document.querySelectorAll('[data-ledger-place]')].map(f => f.dataset.ledgerPlace))]"
    )
    assert site.people.town in places
    assert site.people.other_town not in places
