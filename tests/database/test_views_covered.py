"""Who was blind at 03:00, and the yearly curve of onboarding: on a town whose right answers can be worked out on paper."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from clones import AS_OF
from small_town import COUNTY, TOWN_A, add_area, add_camera, add_site, box, small_town

from geoapp.database.cluster import PrivateCluster

HOUR = timedelta(hours=1)
THREE = AS_OF.replace(hour=19, minute=0) - timedelta(days=1)  # 03:00 in the city
Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture(scope="module")
def _database(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        yield connection


@pytest.fixture
def town(_database: Connection) -> Iterator[Connection]:
    """On record since two days before."""
    with _database.transaction(force_rollback=True):
        _database.execute("UPDATE watch.connection_record SET began_at = %s", (AS_OF - 48 * HOUR,))
        yield _database


def rows(connection: Connection, query: str, *values: Any) -> list[dict[str, Any]]:
    return connection.execute(query.encode(), values).fetchall()


def looked(connection: Connection, camera: int, hour: datetime, observed: int, due: int = 360) -> None:
    """A camera that was connected all the time, and what became of its looks in an hour."""
    connection.execute(
        "UPDATE watch.camera_connection SET since = %s WHERE camera_id = %s", (AS_OF - 48 * HOUR, camera)
    )
    connection.execute(
        "INSERT INTO watch.observation_hour (camera_id, hour, due, observed, unobserved, reasons)"
        " VALUES (%s, %s, %s, %s, %s, jsonb_build_object('timeout', %s::integer))",
        (camera, hour, due, observed, due - observed, due - observed),
    )


def add_town_camera(connection: Connection, sector: str) -> int:
    return add_camera(connection, 590, 90, sector, seen=AS_OF)


def area_of(connection: Connection) -> int:
    """A key risk area of 100 m by 100 m."""
    return add_area(connection, add_site(connection, 600, 100), 600, 100, 100, 100)


def verdict(connection: Connection, hour: datetime = THREE) -> dict[str, Any]:
    (found,) = rows(
        connection, "SELECT * FROM analysis.area_hours(%s, %s, %s)", hour, hour + HOUR, hour + 2 * HOUR
    )
    return found


@pytest.mark.parametrize(
    ("shares", "observed", "said"),
    [
        ((0.7,), (360,), "seen"),
        ((0.7,), (1,), "seen"),  # one picture in the hour
        ((0.7,), (0,), "blind"),
        ((0.59,), (360,), "not_covered"),
        ((0.5, 0.7), (360, 0), "blind"),  # what the one saw that looked is not enough
        ((0.5, 0.7), (0, 360), "seen"),
    ],
)
def test_an_area_is_seen_where_cameras_looked(
    town: Connection, shares: tuple[float, ...], observed: tuple[int, ...], said: str
) -> None:
    area_of(town)
    for share, seen in zip(shares, observed, strict=True):
        looked(town, add_town_camera(town, box(590, 90, 10 + 100 * share, 200)), THREE, seen)
    found = verdict(town)
    assert found["verdict"] == said
    assert found["drawn_fraction"] == pytest.approx(max(shares))
    assert found["observed_fraction"] == pytest.approx(
        max([s for s, n in zip(shares, observed, strict=True) if n], default=0)
    )
    assert found["not_known_fraction"] == 0
    blind = rows(town, "SELECT * FROM analysis.blind_area_at(%s, %s)", THREE + HOUR / 2, AS_OF)
    assert [r["verdict"] for r in blind] == ([] if said == "seen" else [said])
    for row in blind:
        assert len(row["why"]) == sum(n < 360 for n in observed)
        assert all(c["reasons"]["timeout"] for c in row["why"])


def test_before_the_record_nobody_knows(town: Connection) -> None:
    area_of(town)
    add_town_camera(town, box(590, 90, 200, 200))
    town.execute("UPDATE watch.connection_record SET began_at = %s", (AS_OF,))
    town.execute("UPDATE watch.camera_connection SET since = %s", (AS_OF,))
    found = verdict(town)
    assert (found["verdict"], found["observed_fraction"], found["not_known_fraction"]) == ("not_known", 0, 1)


def test_a_camera_that_was_turned_since_says_nothing_of_before(town: Connection) -> None:
    area_of(town)
    camera = add_town_camera(town, box(2000, 0, 50, 50))
    looked(town, camera, THREE, 360)
    assert verdict(town)["verdict"] == "not_covered"
    town.execute(
        "UPDATE registry.camera SET sector = ST_GeomFromText(%s, 4549) WHERE id = %s",
        (box(590, 90, 200, 200), camera),
    )
    assert verdict(town)["verdict"] == "not_known"
    # Drawn anew before the hour, it counts.
    town.execute("UPDATE registry.camera SET sector_since = %s", (THREE,))
    assert verdict(town)["verdict"] == "seen"


def test_an_area_counts_from_its_day_to_its_day(town: Connection) -> None:
    area = area_of(town)
    add_town_camera(town, box(590, 90, 200, 200))
    for dated, expected in [
        (("2026-11-22", None), 1),
        (("2026-11-23", None), 0),
        (("2020-01-01", "2026-11-23"), 1),
        (("2020-01-01", "2026-11-22"), 0),
    ]:
        town.execute(
            "UPDATE registry.key_risk_area SET onboarded_on = %s, retired_on = %s WHERE id = %s",
            (*dated, area),
        )
        # 03:00 on the 22nd in the city is still the 21st in UTC.
        assert len(
            rows(town, "SELECT * FROM analysis.area_hours(%s, %s, %s)", THREE, THREE + HOUR, AS_OF)
        ) == (expected)


def test_a_window_says_the_gravest_hour(town: Connection) -> None:
    area_of(town)
    camera = add_town_camera(town, box(590, 90, 200, 200))
    for n in range(4):
        looked(town, camera, THREE + n * HOUR, 0 if n == 2 else 360)
    (found,) = rows(town, "SELECT * FROM analysis.area_watched(%s, %s, %s)", THREE, THREE + 4 * HOUR, AS_OF)
    assert (found["hours"], found["seen_hours"], found["blind_hours"], found["verdict"]) == (4, 3, 1, "blind")
    assert (found["mean_observed_fraction"], found["least_observed_fraction"]) == (0.75, 0)
    (window,) = rows(
        town,
        "SELECT * FROM analysis.covered_window('key_risk_area', %s, %s, %s)",
        THREE,
        THREE + 4 * HOUR,
        AS_OF,
    )
    assert (window["observed_fraction"], window["least_at"]) == (0.75, THREE + 2 * HOUR)


def test_a_town_is_the_sum_of_its_cells(town: Connection) -> None:
    # One camera looks over three cells of town A and one of town B, another did not look.
    looked(town, add_town_camera(town, box(900, 400, 1200, 50)), THREE, 360)
    looked(town, add_town_camera(town, box(100, 100, 100, 100)), THREE, 0)
    found: dict[str, dict[str, dict[str, Any]]] = {
        kind: {
            r["place"]: r
            for r in rows(
                town, "SELECT * FROM analysis.covered(%s, %s, %s, %s)", kind, THREE, THREE + HOUR, AS_OF
            )
        }
        for kind in ("cell", "town", "district")
    }
    a = found["town"][TOWN_A]
    assert (a["observed_m2"], a["drawn_m2"]) == (pytest.approx(1100 * 50), pytest.approx(1100 * 50 + 10_000))
    assert (a["cameras"], a["observed_cameras"]) == (2, 1)
    for column in ("area_m2", "drawn_m2", "observed_m2", "not_known_m2"):
        total = sum(r[column] for r in found["cell"].values())
        assert total == pytest.approx(sum(r[column] for r in found["town"].values()))
        assert total == pytest.approx(found["district"][""][column])
    assert found["district"][""]["observed_fraction"] == pytest.approx(1200 * 50 / (10 * 250_000))
    drawn = {r["cell_code"]: r for r in rows(town, "SELECT * FROM analysis.drawn_cell_on('2026-11-22')")}
    assert {c: r["drawn_m2"] for c, r in drawn.items()} == {
        c: pytest.approx(r["drawn_m2"]) for c, r in found["cell"].items()
    }
    (few,) = rows(town, "SELECT count(*) AS n FROM analysis.drawn_cell_on('2026-11-22', %s)", list(drawn)[:3])
    assert few == {"n": 3}


@pytest.mark.parametrize(
    ("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 11, 21), 24)]
)
def test_a_day_on_which_the_clock_is_set_adds_up(town: Connection, day: date, hours: int) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    since, until = (
        datetime(d.year, d.month, d.day, tzinfo=berlin).astimezone(UTC)
        for d in (day, day + timedelta(days=1))
    )
    town.execute("UPDATE territory.city SET timezone = 'Europe/Berlin'")
    town.execute("UPDATE watch.connection_record SET began_at = %s", (since,))
    area_of(town)
    camera = add_town_camera(town, box(600, 100, 70, 100))
    # It looked in every second hour.
    for n in range(0, hours, 2):
        looked(town, camera, since + n * HOUR, 360)
    town.execute("UPDATE watch.camera_connection SET since = %s", (since,))
    counted = rows(
        town, "SELECT * FROM analysis.area_verdicts(%s, %s, %s) ORDER BY hour", since, until, AS_OF
    )
    assert [r["hour"].astimezone(UTC) for r in counted] == [since + n * HOUR for n in range(hours)]
    assert [r["seen"] for r in counted] == [1 - n % 2 for n in range(hours)]
    assert all(r["areas"] == 1 == r["seen"] + r["blind"] + r["not_known"] + r["not_covered"] for r in counted)
    (whole,) = rows(town, "SELECT * FROM analysis.area_watched(%s, %s, %s)", since, until, AS_OF)
    assert (whole["hours"], whole["seen_hours"], whole["blind_hours"]) == (
        hours,
        (hours + 1) // 2,
        hours // 2,
    )
    (district,) = rows(
        town, "SELECT * FROM analysis.covered_window('district', %s, %s, %s)", since, until, AS_OF
    )
    assert district["hours"] == hours
    # The next day begins where this one ends.
    (after,) = rows(
        town,
        "SELECT min(hour) AS h FROM analysis.area_verdicts(%s, %s, %s)",
        until,
        until + HOUR,
        AS_OF + 9 * HOUR,
    )
    assert after["h"] == until


def test_an_hour_that_has_not_come_has_no_verdict(town: Connection) -> None:
    area_of(town)
    assert (
        rows(town, "SELECT * FROM analysis.area_hours(%s, %s, %s)", AS_OF + HOUR, AS_OF + 2 * HOUR, AS_OF)
        == []
    )
    assert rows(town, "SELECT * FROM analysis.blind_area_at(%s, %s)", AS_OF + HOUR, AS_OF) == []


@pytest.mark.parametrize(
    ("kind", "hours", "said"),
    [
        ("street", 1, "key_risk_area, cell, town or district"),
        ("cell", 0, "no span"),
        ("cell", 800, "31 days"),
    ],
)
def test_what_cannot_be_asked_is_refused(town: Connection, kind: str, hours: int, said: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=said), town.transaction():
        rows(town, "SELECT * FROM analysis.covered(%s, %s, %s, %s)", kind, AS_OF, AS_OF + hours * HOUR, AS_OF)


def test_what_is_lacking_is_said(town: Connection) -> None:
    def lacking() -> dict[str, tuple[bool, float]]:
        found = rows(town, "SELECT * FROM analysis.coverage_basis_at(%s)", AS_OF)
        assert all(r["said_zh"] and r["said_en"] for r in found)
        return {r["name"]: (r["is_lacking"], r["value"]) for r in found}

    area = area_of(town)
    add_town_camera(town, box(590, 90, 200, 200))
    clear = lacking()
    assert {name: lacks for name, (lacks, _) in clear.items()} == {
        "buildings": True, "cameras_without_sector": False, "cameras_redrawn": False, "areas_without_day": False,
        "areas_retired_without_day": False, "record_began_at": False, "shapes_left_out": False,
    }  # fmt: skip
    add_camera(town, 590, 90, None)
    town.execute(
        "INSERT INTO territory.building (local_id, geom) VALUES ('b', ST_Multi(ST_GeomFromText(%s, 4549)))",
        (box(0, 0, 5, 5),),
    )
    town.execute("UPDATE registry.key_risk_area SET onboarded_on = NULL WHERE id = %s", (area,))
    assert lacking() == clear | {
        "buildings": (False, 1), "cameras_without_sector": (True, 1), "areas_without_day": (True, 1),
    }  # fmt: skip


# --- onboarding


def add_dated(connection: Connection, joined: list[str]) -> list[int]:
    site = add_site(connection, 600, 100)
    return [add_area(connection, site, 600 + n, 100, 5, 5, onboarded=day) for n, day in enumerate(joined)]


def target(connection: Connection, year: int, areas: int, set_on: str, town_code: str | None = None) -> None:
    connection.execute(
        "INSERT INTO registry.onboarding_target (town_code, year, areas, set_on) VALUES (%s, %s, %s, %s)",
        (town_code, year, areas, set_on),
    )


def test_the_curve_against_its_target(town: Connection) -> None:
    add_dated(town, ["2024-05-01", "2025-01-01", "2025-12-31", "2026-03-01", "2026-11-22"])
    target(town, 2025, 4, "2024-12-01")
    target(town, 2026, 3, "2026-01-01")
    found = rows(town, "SELECT * FROM analysis.onboarding_on('2026-11-21')")
    assert [(r["year"], r["year_joined"], r["target"], r["joined_to_date"]) for r in found] == [
        (2024, 1, None, 1),
        (2025, 2, 4, 3),
        (2026, 1, 3, 4),
    ]
    assert [r["share"] for r in found] == [None, 0.5, pytest.approx(1 / 3)]
    assert found[1]["due_by_day"] == 4
    # The 21st of November is day 325 of 365.
    assert found[2]["due_by_day"] == pytest.approx(3 * 325 / 365)
    assert found[2]["as_of"] == date(2026, 11, 21)


def test_a_past_day_stays_what_it_was(town: Connection) -> None:
    areas = add_dated(town, ["2025-02-01", "2025-06-01"])
    target(town, 2025, 2, "2025-01-01")
    question = "SELECT * FROM analysis.onboarding_days('2025-05-30', '2025-06-02')"
    before = rows(town, question)
    assert [(r["in_network"], r["year_joined"], r["target"]) for r in before] == [
        (1, 1, 2), (1, 1, 2), (2, 2, 2), (2, 2, 2),
    ]  # fmt: skip
    # All that comes later: more areas, one retired today, a raised target.
    add_area(town, add_site(town, 700, 100), 900, 100, 5, 5, onboarded="2025-06-03")
    town.execute("UPDATE registry.key_risk_area SET status = 'retired' WHERE id = %s", (areas[0],))
    target(town, 2025, 10, "2025-06-03")
    assert rows(town, question) == before
    (later,) = rows(town, "SELECT * FROM analysis.onboarding_days('2025-06-03', '2025-06-03')")
    assert (later["in_network"], later["target"]) == (3, 10)
    today = rows(town, "SELECT retired_on, analysis.city_date(now()) AS today FROM registry.key_risk_area")
    assert {r["retired_on"] for r in today} == {None, today[0]["today"]}
    (gone,) = rows(
        town, "SELECT * FROM analysis.onboarding_days(%s, %s)", today[0]["today"], today[0]["today"]
    )
    assert (gone["joined_to_date"], gone["left_to_date"], gone["in_network"]) == (3, 1, 2)


def test_one_that_left_nobody_knows_when_is_not_counted_as_there(town: Connection) -> None:
    add_dated(town, ["2025-02-01", "2025-06-01"])
    town.execute(
        "INSERT INTO registry.key_risk_area (code, site_id, name_zh, kind, level, geom, onboarded_on, status)"
        " SELECT 'old', a.site_id, '旧', 'yard', 'red', a.geom, '2020-01-01', 'retired' FROM registry.key_risk_area AS a LIMIT 1"
    )
    (row,) = rows(town, "SELECT * FROM analysis.onboarding_days('2025-07-01', '2025-07-01')")
    assert (row["joined_to_date"], row["left_day_not_known"], row["in_network"]) == (3, 1, 2)


def test_a_town_has_its_own_target(town: Connection) -> None:
    add_dated(town, ["2026-02-01"])
    target(town, 2026, 5, "2026-01-01")
    target(town, 2026, 2, "2026-01-01", TOWN_A)
    whole = rows(town, "SELECT target, share FROM analysis.onboarding_on('2026-06-30')")
    own = rows(town, "SELECT target, share FROM analysis.onboarding_on('2026-06-30', %s)", TOWN_A)
    assert (whole, own) == ([{"target": 5, "share": 0.2}], [{"target": 2, "share": 0.5}])
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="no town"), town.transaction():
        rows(town, "SELECT * FROM analysis.onboarding_days('2026-01-01', '2026-01-01', %s)", COUNTY)


def test_an_empty_district_has_an_empty_curve(town: Connection) -> None:
    assert rows(town, "SELECT * FROM analysis.onboarding_on('2026-06-30')") == []
    (row,) = rows(town, "SELECT * FROM analysis.onboarding_days('2026-06-30', '2026-06-30')")
    assert (row["in_network"], row["target"], row["share"]) == (0, None, None)
