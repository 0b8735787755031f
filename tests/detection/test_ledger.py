"""The ledger: for any camera and hour whether anybody looked; looked, could not look, and not known are three answers."""

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from clones import AS_OF
from small_town import TOWN_A, TOWN_B, add_area, add_camera, add_site, box, small_town
from typer.testing import CliRunner
from watching import T0, look
from watching import add_camera as add_watched_camera

from detection.lease import claim_due, sync_cameras
from detection.types import Reason
from geoapp.access.accounts import add_account
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
NOON = AS_OF.replace(hour=12, minute=0)
BEGAN = NOON - 30 * HOUR
Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture(scope="module")
def _database(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        connection.execute("UPDATE watch.connection_record SET began_at = %s", (BEGAN,))
        yield connection


@pytest.fixture
def town(_database: Connection) -> Iterator[Connection]:
    with _database.transaction(force_rollback=True):
        yield _database


def value(connection: Connection, query: str, *parameters: Any) -> Any:
    row = connection.execute(query.encode(), parameters).fetchone()
    assert row is not None
    return next(iter(row.values()))


def camera(
    connection: Connection,
    x: float = 100,
    *,
    since: datetime | None = BEGAN,
    until: datetime | None = None,
    sector: str | None = None,
) -> int:
    """A camera due every 10 s, on record as connected in [since, until); None: never."""
    number = add_camera(connection, x, 100, sector)
    connection.execute("DELETE FROM watch.camera_connection WHERE camera_id = %s", (number,))
    if since is not None:
        connection.execute(
            "INSERT INTO watch.camera_connection (camera_id, since, until, period_s) VALUES (%s, %s, %s, 10)",
            (number, since, until),
        )
    return number


def count(
    connection: Connection, number: int, hour: datetime, observed: int, reasons: dict[str, int] | None = None
) -> None:
    unobserved = sum((reasons or {}).values())
    connection.execute(
        "INSERT INTO watch.observation_hour (camera_id, hour, due, observed, unobserved, reasons)"
        " VALUES (%s, %s, %s, %s, %s, %s)",
        (number, hour, observed + unobserved, observed, unobserved, json.dumps(reasons or {})),
    )


def answers(
    connection: Connection, since: datetime, until: datetime, moment: datetime | None = None
) -> dict[tuple[int, datetime], dict[str, Any]]:
    rows = connection.execute(
        "SELECT * FROM analysis.observation_hours(%s, %s, %s)", (since, until, moment or until)
    ).fetchall()
    return {(row["camera_id"], row["hour"]): row for row in rows}


def answer(connection: Connection, number: int, hour: datetime, moment: datetime | None = None) -> Any:
    row = answers(connection, hour, hour + HOUR, moment or NOON + HOUR)[number, hour]
    return row["state"], row["due"], row["observed"], row["unobserved"], row["reasons"]


# -- one camera, one hour -------------------------------------------------------------------------------------------


def test_each_hour_has_the_answer_that_it_has(town: Connection) -> None:
    hour = NOON - 3 * HOUR
    healthy, failing, half, silent = (camera(town) for _ in range(4))
    count(town, healthy, hour, 360)
    count(town, failing, hour, 0, {"timeout": 300, "frozen": 60})
    count(town, half, hour, 180)
    assert answer(town, healthy, hour) == ("looked", 360, 360, 0, {})
    assert answer(town, failing, hour) == ("blind", 360, 0, 360, {"timeout": 300, "frozen": 60})
    assert answer(town, half, hour) == ("partly", 360, 180, 180, {"not_scanned": 180}), (
        "the watch ended halfway"
    )
    assert answer(town, silent, hour) == ("blind", 360, 0, 360, {"not_scanned": 360}), "no watch ran at all"


def test_not_connected_and_not_known_are_no_zeros(town: Connection) -> None:
    never = camera(town, since=None)
    later = camera(town, since=NOON - 2 * HOUR)
    gone = camera(town, until=NOON - 4 * HOUR)
    nothing = (None, None, None, {})
    assert answer(town, never, NOON - 3 * HOUR) == ("not_connected", *nothing)
    assert answer(town, later, NOON - 3 * HOUR) == ("not_connected", *nothing)
    assert answer(town, later, NOON - 2 * HOUR)[0] == "blind"
    assert answer(town, gone, NOON - 4 * HOUR) == ("not_connected", *nothing)
    assert answer(town, gone, NOON - 5 * HOUR)[0] == "blind"
    before = BEGAN - HOUR
    assert answer(town, gone, before) == ("not_known", *nothing)
    count(town, gone, before, 10)
    assert answer(town, gone, before)[0] == "looked", "what was counted is known all the same"
    town.execute("DELETE FROM watch.connection_record")
    assert answer(town, never, NOON - 3 * HOUR)[0] == "not_known"


def test_what_the_watch_counted_as_not_scanned_is_added_to_what_it_could_not_count(town: Connection) -> None:
    one = camera(town)
    count(town, one, NOON - HOUR, 100, {"not_scanned": 60, "timeout": 20})
    assert answer(town, one, NOON - HOUR) == (
        "partly", 360, 100, 260, {"not_scanned": 240, "timeout": 20},
    )  # fmt: skip


def test_the_running_hour_counts_up_to_the_moment(town: Connection) -> None:
    one, slow = camera(town), camera(town)
    town.execute("UPDATE watch.camera_connection SET period_s = 1800 WHERE camera_id = %s", (slow,))
    moment = NOON + 30 * MINUTE
    count(town, one, NOON, 120)
    assert answer(town, one, NOON, moment) == ("partly", 179, 120, 59, {"not_scanned": 59})
    assert answer(town, slow, NOON, moment)[0] == "not_due", "its first look may be on its way"
    assert answer(town, slow, NOON, moment + 29 * MINUTE)[0] == "not_due"
    assert answer(town, slow, NOON, moment + 30 * MINUTE)[:2] == ("blind", 1)
    assert (one, NOON + HOUR) not in answers(town, NOON, NOON + 5 * HOUR, moment), "the future has no answer"


def test_a_look_just_after_the_full_hour_is_no_gap_but_two_are(town: Connection) -> None:
    one = camera(town)
    for n, looks in enumerate((359, 358)):
        count(town, one, NOON - (n + 1) * HOUR, looks)
    assert answer(town, one, NOON - HOUR)[0] == "looked"
    assert answer(town, one, NOON - 2 * HOUR)[0] == "partly"
    slow = camera(town)
    town.execute("UPDATE watch.camera_connection SET period_s = 1800 WHERE camera_id = %s", (slow,))
    count(town, slow, NOON - HOUR, 1)
    assert answer(town, slow, NOON - HOUR)[0] == "partly", "of two looks one is missing"


def test_at_night_the_least_that_may_have_been_due_is_asked_for(town: Connection) -> None:
    one = camera(town)
    town.execute("UPDATE watch.camera_connection SET night_period_s = 60")
    assert answer(town, one, NOON - HOUR) == ("blind", 60, 0, 60, {"not_scanned": 60})


@pytest.fixture
def city_of(ground: Connection) -> Iterator[Callable[[str], None]]:
    """Makes the watch's database that of a city in a time zone, until the test ends."""

    def made(zone: str) -> None:
        ground.execute(
            "INSERT INTO territory.city (code, name_zh, name_en, metric_srid, timezone) VALUES ('310116', '市', 'City', 4549, %s)", (zone,)
        )  # fmt: skip

    yield made
    ground.execute("DELETE FROM territory.city")


@pytest.mark.parametrize(("zone", "minute"), [("Asia/Kolkata", 30), ("Asia/Shanghai", 0)])
@pytest.mark.parametrize("session", ["UTC", "Asia/Kathmandu"])
def test_hours_are_those_of_the_citys_clock_whatever_the_sessions(
    ground: Connection, city_of: Callable[[str], None], tmp_path: Path, zone: str, minute: int, session: str
) -> None:
    city_of(zone)
    ground.execute(f"SET TIME ZONE '{session}'".encode())
    ground.execute("SELECT watch.make_partitions(%s)", (T0,))
    seen = add_watched_camera(ground, 1, "http://127.0.0.1:1/a.jpg")
    ground.execute("UPDATE watch.connection_record SET began_at = %s", (T0 - 2 * HOUR,))
    ground.execute("UPDATE watch.camera_connection SET since = %s", (T0 - 2 * HOUR,))
    sync_cameras(ground, at=T0)
    for n in range(8):
        look(ground, T0 + n * 10 * MINUTE, [], tmp_path)
    kept = [(r["hour"], r["observed"]) for r in hours(ground)]
    assert sum(n for _, n in kept) == 8
    asked = "SELECT * FROM analysis.observation_hours(%s, %s, %s) WHERE observed > 0 ORDER BY hour"
    found = ground.execute(asked, (T0, T0 + 2 * HOUR, T0 + 3 * HOUR)).fetchall()
    assert [(r["hour"], r["observed"]) for r in found] == kept
    recount(ground, T0 - 2 * HOUR, T0 + 5 * HOUR)
    assert [(r["hour"], r["observed"]) for r in hours(ground)] == kept
    blind = ground.execute("SELECT * FROM analysis.unwatched_at(%s, %s)", (T0 - HOUR, T0)).fetchall()
    assert [r["camera_id"] for r in blind] == [seen]
    last = ground.execute("SELECT hour FROM analysis.observation_hour").fetchall()
    assert len(last) == 24
    assert {at.astimezone(UTC).minute for at in [*(at for at, _ in kept), *(r["hour"] for r in last)]} == {
        minute
    }


def test_on_a_past_day_who_was_connected_then_counts(town: Connection) -> None:
    """Before the record begins only who is connected today is known."""
    gone = camera(town, since=NOON - 10 * HOUR, until=NOON - 5 * HOUR, sector=box(50, 50, 100, 100))
    came = camera(town, x=200, since=NOON - 5 * HOUR, sector=box(150, 50, 100, 100))
    town.execute("UPDATE registry.camera SET snapshot_url = NULL WHERE id = %s", (gone,))
    town.execute(
        "UPDATE watch.camera_connection SET until = %s WHERE camera_id = %s", (NOON - 5 * HOUR, gone)
    )
    for number in (gone, came):
        town.execute(
            "INSERT INTO watch.camera_health (camera_id, observed, since, last_try_at, last_observed_at) VALUES (%s, true, %s, %s, %s)",
            (number, NOON - 10 * HOUR, NOON, NOON),
        )
        for hours_ago in (7, 2):
            town.execute(
                "INSERT INTO watch.observation (id, camera_id, captured_at, received_at, observed, model_hash, boxes)"
                " VALUES (gen_random_uuid(), %s, %s, %s, true, '', '[]')",
                (number, NOON - hours_ago * HOUR, NOON - hours_ago * HOUR),
            )

    def connected(at: datetime) -> dict[int, tuple[bool, bool]]:
        rows = town.execute(
            "SELECT id, is_connected, is_online FROM analysis.camera_at(%s)", (at,)
        ).fetchall()
        return {r["id"]: (r["is_connected"], r["is_online"]) for r in rows}

    assert connected(NOON - 7 * HOUR) == {gone: (True, True), came: (False, False)}
    assert connected(NOON - 2 * HOUR) == {gone: (False, False), came: (True, True)}
    before = connected(BEGAN - HOUR)
    assert (before[gone][0], before[came][0]) == (False, True)
    blind = {
        r["camera_id"]
        for r in town.execute(
            "SELECT camera_id FROM analysis.camera_blind_at(%s)", (NOON - 9 * HOUR,)
        ).fetchall()
    }
    assert came not in blind


def test_the_view_is_the_last_24_hours(town: Connection) -> None:
    camera(town)
    rows = town.execute(
        "SELECT hour, state FROM analysis.observation_hour_at(%s)", (NOON + MINUTE,)
    ).fetchall()
    assert len(rows) == 24
    assert max(row["hour"] for row in rows) == NOON
    assert value(town, "SELECT count(*) FROM analysis.observation_hour") == 24


# -- the record of connections --------------------------------------------------------------------------------------


def spans(connection: Connection, number: int) -> list[tuple[Any, ...]]:
    rows = connection.execute(
        "SELECT since, until, period_s, night_period_s FROM watch.camera_connection WHERE camera_id = %s"
        " ORDER BY since",
        (number,),
    ).fetchall()
    return [tuple(row.values()) for row in rows]


def test_the_register_says_at_once_what_is_connected(empty_url: str) -> None:
    with connect(empty_url, autocommit=True) as connection:
        one = add_watched_camera(connection, 1, "http://127.0.0.1:1/a.jpg")
        none = add_watched_camera(connection, 2, None)
        assert spans(connection, none) == []
        ((began, until, period, night),) = spans(connection, one)
        assert (until, period, night) == (None, 10, None)
        connection.execute("UPDATE registry.camera SET night_period_s = 60 WHERE id = %s", (one,))
        connection.execute(
            "UPDATE registry.camera SET night_period_s = 60, name_zh = 'x' WHERE id = %s", (one,)
        )
        connection.execute("UPDATE registry.camera SET enabled = false WHERE id = %s", (one,))
        first, second = spans(connection, one)
        assert first[:3] == (began, second[0], 10)
        assert second[1] is not None
        assert second[1] > second[0]
        assert second[3] == 60
        connection.execute(
            "UPDATE registry.camera SET enabled = true, retired_on = 'tomorrow' WHERE id = %s", (one,)
        )
        assert spans(connection, one)[2][1] is None
        in_three_days = datetime.now(UTC) + timedelta(days=3)
        assert value(connection, "SELECT watch.record_connections(%s)", in_three_days) == 1
        assert spans(connection, one)[2][1] == in_three_days, "retired by the calendar"
        assert value(connection, "SELECT watch.record_connections(%s)", in_three_days) == 0
        connection.execute("DELETE FROM registry.camera WHERE id = %s", (one,))
        assert spans(connection, one) == []


def test_a_change_in_the_same_instant_leaves_no_empty_span(town: Connection) -> None:
    one = add_camera(town, 100, 100, None)
    ((since, _, _, _),) = spans(town, one)
    town.execute("UPDATE registry.camera SET period_s = 30 WHERE id = %s", (one,))
    town.execute("UPDATE registry.camera SET period_s = 20 WHERE id = %s", (one,))
    assert spans(town, one) == [(since, None, 20, None)], "one transaction is one instant"
    town.execute("UPDATE registry.camera SET snapshot_url = NULL WHERE id = %s", (one,))
    assert spans(town, one) == []


# -- roll-ups -------------------------------------------------------------------------------------------------------

SUMS = ("due", "observed", "unobserved", "looked", "partly", "blind", "not_due", "not_connected", "not_known")


def random_day(connection: Connection, chance: random.Random) -> tuple[datetime, datetime]:
    """Cameras in both towns, of sites and of none, connected or not, with random counters over BEGAN."""
    since, until = BEGAN - 4 * HOUR, BEGAN + 26 * HOUR
    sites = [add_site(connection, 100, 100), add_site(connection, 2500, 100)]
    for n in range(24):
        began = None if chance.random() < 0.2 else BEGAN + chance.randint(0, 20) * HOUR
        ended = None if began is None or chance.random() < 0.7 else began + chance.randint(1, 9) * HOUR
        number = camera(connection, 100 + 120 * n, since=began, until=ended)
        if chance.random() < 0.7:
            connection.execute(
                "UPDATE registry.camera SET site_id = %s WHERE id = %s", (chance.choice(sites), number)
            )
        for h in range(30):
            if chance.random() < 0.6:
                why = {
                    w: chance.randint(1, 90)
                    for w in ("timeout", "black", "not_scanned")
                    if chance.random() < 0.3
                }
                count(connection, number, since + h * HOUR, chance.choice([0, 60, 360]), why)
    return since, until


def rolled(
    connection: Connection, kind: str, step: str, since: datetime, until: datetime
) -> list[dict[str, Any]]:
    return connection.execute(
        "SELECT * FROM analysis.watched(%s, %s, %s, %s, %s)", (kind, step, since, until, until)
    ).fetchall()


def added(rows: list[dict[str, Any]], *keys: str) -> dict[tuple[Any, ...], Counter[str]]:
    """Sums over rows with the same keys; reasons as `why:…`."""
    sums: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for row in rows:
        total = sums[tuple(row[key] for key in keys)]
        total.update({name: int(row[name] or 0) for name in SUMS})
        total.update({f"why:{name}": n for name, n in row["reasons"].items()})
    return {key: +total for key, total in sums.items()}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_roll_ups_add_up(town: Connection, seed: int) -> None:
    since, until = random_day(town, random.Random(seed))
    by_hour = {
        kind: rolled(town, kind, "hour", since, until) for kind in ("camera", "site", "town", "district")
    }
    district = added(by_hour["district"], "starts")
    assert len(district) == 30
    for kind in ("camera", "site", "town"):
        assert added(by_hour[kind], "starts") == district, kind
    # The same from the hours themselves, added up here.
    own: dict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for row in answers(town, since, until).values():
        own[(row["hour"],)].update({row["state"]: 1})
        own[(row["hour"],)].update({name: int(row[name] or 0) for name in ("due", "observed", "unobserved")})
        own[(row["hour"],)].update({f"why:{name}": n for name, n in row["reasons"].items()})
    assert {key: +total for key, total in own.items()} == district
    # Days of the city, which begin at 16:00 UTC.
    days = rolled(town, "town", "day", since, until)
    assert {row["starts"].astimezone(UTC).hour for row in days} == {16}
    assert added(days, "place") == added(by_hour["town"], "place")
    assert {row["place"] for row in days} == {TOWN_A, TOWN_B}
    for row in days:
        assert row["due"] is None or row["due"] == row["observed"] + row["unobserved"]
        assert row["watched_share"] == (row["observed"] / row["due"] if row["due"] else None)


def test_a_share_that_nobody_knows_is_no_number(town: Connection) -> None:
    camera(town)
    (row,) = rolled(town, "town", "hour", BEGAN - 2 * HOUR, BEGAN - HOUR)
    assert (row["watched_share"], row["due"], row["not_known"]) == (None, None, 1)


def test_a_key_risk_area_has_the_cameras_that_see_it(town: Connection) -> None:
    site = add_site(town, 100, 100)
    area = add_area(town, site, 80, 80, 40, 40)
    sees = camera(town, 50, sector=box(60, 60, 100, 100))
    camera(town, 900, sector=box(910, 60, 100, 100))
    count(town, sees, NOON - HOUR, 270, {"timeout": 90})
    (row,) = rolled(town, "key_risk_area", "hour", NOON - HOUR, NOON)
    assert (row["place"], row["watched_share"], row["reasons"]) == (str(area), 0.75, {"timeout": 90})


def test_who_was_blind_at_an_hour(town: Connection) -> None:
    three = NOON - 9 * HOUR
    saw, failed, silent = (camera(town, x) for x in (100, 200, 2500))
    never = camera(town, since=None)
    count(town, saw, three, 1, {"timeout": 359})
    count(town, failed, three, 0, {"covered": 360})
    rows = town.execute(
        "SELECT * FROM analysis.unwatched_at(%s, %s) ORDER BY camera_id", (three + 17 * MINUTE, NOON)
    ).fetchall()
    assert [(r["camera_id"], r["state"], r["reasons"], r["town_code"]) for r in rows] == [
        (failed, "blind", {"covered": 360}, TOWN_A),
        (silent, "blind", {"not_scanned": 360}, TOWN_B),
        (never, "not_connected", {}, TOWN_A),
    ]


@pytest.mark.parametrize(("kind", "step"), [("street", "hour"), ("town", "minute")])
def test_an_unknown_roll_up_is_refused(town: Connection, kind: str, step: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue, match=f"{kind} per {step}"):
        rolled(town, kind, step, NOON, NOON + HOUR)


def test_a_town_sees_its_own_hours_only(town: Connection) -> None:
    own, other = camera(town, 100), camera(town, 2500)
    for number in (own, other):
        count(town, number, NOON - HOUR, 360)
    add_account(town, "ledger.planner", "编制员", ["planner"], areas=[TOWN_A])
    role = value(town, "SELECT db_role FROM access.account WHERE login = 'ledger.planner'")
    town.execute(psycopg.sql.SQL("SET LOCAL SESSION AUTHORIZATION {}").format(psycopg.sql.Identifier(role)))
    try:
        assert {key[0] for key in answers(town, NOON - HOUR, NOON)} == {own}
        (row,) = rolled(town, "district", "hour", NOON - HOUR, NOON)
        assert (row["due"], row["looked"]) == (360, 1)
        assert value(town, "SELECT count(*) FROM watch.camera_connection") == 1
        with pytest.raises(psycopg.errors.InsufficientPrivilege), town.transaction():
            town.execute("SELECT * FROM watch.recount_hours(%s, %s)", (NOON - HOUR, NOON))
    finally:
        town.execute("RESET SESSION AUTHORIZATION")


# -- counters and looks ---------------------------------------------------------------------------------------------


def recount(connection: Connection, since: datetime, until: datetime) -> list[dict[str, Any]]:
    return connection.execute("SELECT * FROM watch.recount_hours(%s, %s)", (since, until)).fetchall()


def full_hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def hours(connection: Connection) -> list[dict[str, Any]]:
    return connection.execute("SELECT * FROM watch.observation_hour ORDER BY camera_id, hour").fetchall()


def test_counters_are_a_hand_count_and_a_recount_changes_nothing(ground: Connection, tmp_path: Path) -> None:
    chance = random.Random(5)
    ground.execute("SELECT watch.make_partitions(%s)", (T0,))
    one = add_watched_camera(ground, 1, "http://127.0.0.1:1/a.jpg")
    since, until = T0.replace(minute=0), T0.replace(minute=0) + 4 * HOUR
    by_hand: dict[datetime, Counter[str]] = defaultdict(Counter)
    sync_cameras(ground, at=T0)
    due = at = value(ground, "SELECT next_due_at FROM watch.scan_due")
    while at < until - 10 * MINUTE:
        for n in range(int((at - due).total_seconds() // 10)):
            by_hand[full_hour(due + n * timedelta(seconds=10))]["not_scanned"] += 1
        seen: Any = chance.choice([[], [], Reason.TIMEOUT, Reason.FROZEN])
        (claim,) = claim_due(ground, owner="test", batch=1, lease_s=30, at=at)
        look(ground, at, seen, tmp_path, claim=claim)
        by_hand[full_hour(at)][seen.value if isinstance(seen, Reason) else "observed"] += 1
        due = value(ground, "SELECT next_due_at FROM watch.scan_due")
        (late,) = chance.choices([0, 1, 25, 400, 2400], [60, 5, 3, 1, 1])
        at = due + timedelta(seconds=late)
    rows = hours(ground)
    assert sum(row["due"] for row in rows) > 100
    counted = {row["hour"]: Counter({"observed": row["observed"]} | row["reasons"]) for row in rows}
    assert {hour: +total for hour, total in counted.items()} == {h: +total for h, total in by_hand.items()}
    told = recount(ground, since, until)
    assert [(r["is_known"], r["changed"], r["changes"]) for r in told] == [(True, 0, [])] * 4
    assert hours(ground) == rows
    # A counter that went wrong is found, told and put right; not_scanned left no look and stays.
    damaged = rows[0]["hour"]
    ground.execute(
        "UPDATE watch.observation_hour SET observed = observed + 7, due = due + 7 WHERE hour = %s", (damaged,)
    )
    (changed,) = [r for r in recount(ground, since, until) if r["changed"]]
    assert changed["hour"] == damaged
    assert changed["changes"][0]["camera_id"] == one
    assert changed["changes"][0]["was"]["observed"] == changed["changes"][0]["is"]["observed"] + 7
    assert hours(ground) == rows
    ground.execute(
        "DELETE FROM watch.observation_hour WHERE hour = %s AND NOT reasons ? 'not_scanned'", (damaged,)
    )
    recount(ground, since, until)
    assert [r["hour"] for r in hours(ground)] == [r["hour"] for r in rows]


def test_what_is_no_longer_kept_is_not_recounted(ground: Connection, tmp_path: Path) -> None:
    ground.execute("SELECT watch.make_partitions(%s)", (T0,))
    add_watched_camera(ground, 1, "http://127.0.0.1:1/a.jpg")
    look(ground, T0, [], tmp_path)
    hour = T0.replace(minute=0)
    before = hours(ground)
    ground.execute("SELECT watch.drop_observations(%s)", (T0 + timedelta(days=2),))
    (told,) = recount(ground, hour, hour + HOUR)
    assert (told["is_known"], told["cameras"], told["changed"]) == (False, 1, 0)
    assert hours(ground) == before, "a count whose looks are gone is the only one there is"
    assert recount(ground, hour, hour + HOUR - MINUTE) == [], "whole hours only"
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="no span of time"):
        recount(ground, hour, hour - HOUR)


# -- partitions and retention ---------------------------------------------------------------------------------------


def parts(connection: Connection) -> set[str]:
    rows = connection.execute(
        "SELECT c.relname FROM pg_inherits AS h JOIN pg_class AS c ON c.oid = h.inhrelid"
        " WHERE h.inhparent = 'watch.observation_hour'::regclass"
    ).fetchall()
    return {row["relname"] for row in rows}


def test_months_are_made_ahead_and_take_what_came_before_them(town: Connection) -> None:
    one = camera(town)
    hour = datetime(2031, 5, 31, 23, tzinfo=UTC)
    for h in (hour, hour + HOUR):
        count(town, one, h, 1)
    assert value(town, "SELECT count(*) FROM watch.observation_hour_default") == 2
    assert value(town, "SELECT watch.make_hour_partitions(%s)", hour) == 2
    assert {"observation_hour_203105", "observation_hour_203106"} <= parts(town)
    assert value(town, "SELECT count(*) FROM watch.observation_hour_default") == 0
    assert value(town, "SELECT count(*) FROM watch.observation_hour_203105") == 1
    assert value(town, "SELECT count(*) FROM watch.observation_hour WHERE camera_id = %s", one) == 2
    assert value(town, "SELECT watch.make_hour_partitions(%s)", hour) == 0


def test_old_months_go_by_policy_and_leave_a_record(town: Connection) -> None:
    one = camera(town, since=datetime(2031, 1, 1, tzinfo=UTC))
    for month in (1, 3, 5):
        town.execute("SELECT watch.make_hour_partitions(%s)", (datetime(2031, month, 15, tzinfo=UTC),))
        count(town, one, datetime(2031, month, 15, 3, tzinfo=UTC), 5)
    moment = datetime(2036, 4, 2, tzinfo=UTC)
    old = {name for name in parts(town) if name[-6:].isdigit() and name < "observation_hour_203104"}
    assert value(town, "SELECT watch.forget_hours(%s)", moment) == len(old)
    assert parts(town) & old == set()
    left = town.execute("SELECT hour FROM watch.observation_hour").fetchall()
    assert [row["hour"].month for row in left] == [5]
    records = town.execute(
        "SELECT subject_id, detail FROM access.audit WHERE subject = 'watch.observation_hour' AND action = 'delete'"
    ).fetchall()
    assert {f"observation_hour_{r['subject_id']}" for r in records} == old
    assert {r["subject_id"]: r["detail"]["rows"] for r in records}["203103"] == 1
    assert answer(town, one, datetime(2031, 2, 15, 3, tzinfo=UTC), moment)[0] == "blind"
    forgotten = camera(town, since=None)
    assert answer(town, forgotten, datetime(2031, 2, 15, 3, tzinfo=UTC), moment)[0] == "not_known"
    assert value(town, "SELECT watch.forget_hours(%s)", moment) == 0
    town.execute("UPDATE analysis.parameter SET value = 0 WHERE name = 'ledger_years'")
    with pytest.raises(psycopg.errors.RaiseException, match="nothing was dropped"):
        town.execute("SELECT watch.forget_hours(%s)", (moment,))


# -- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture
def command(ground: Connection, watch_url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    from detection import commands

    monkeypatch.setattr(commands, "_database", lambda: watch_url)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(commands.app, ["ledger", *arguments])

    return run


def test_the_command_tells_a_day_and_recounts_it(
    ground: Connection, command: Callable[..., Any], tmp_path: Path
) -> None:
    ground.execute("SELECT watch.make_partitions(%s)", (T0,))
    add_watched_camera(ground, 1, "http://127.0.0.1:1/a.jpg")
    look(ground, T0, [], tmp_path)
    look(ground, T0 + timedelta(seconds=10), Reason.BLACK, tmp_path)
    day = "2026-11-22"
    told = json.loads(command("--day", day, "--by", "district", "--json").stdout)
    (hour,) = [row for row in told if row["due"]]
    assert (hour["due"], hour["observed"], hour["reasons"]) == (2, 1, {"black": 1})
    assert hour["starts"] == "2026-11-22T09:00:00+08:00"
    shown = command("--day", day, "--by", "district").stdout
    assert "50 %" in shown
    assert "not_known" in shown
    recounted = json.loads(command("--day", day, "--recount", "--json").stdout)
    assert [row["hour"] for row in recounted if row["cameras"]] == ["2026-11-22T09:00:00+08:00"]
    assert not any(row["changed"] for row in recounted)
    wrong = command("--day", "2026-13-01")
    assert wrong.exit_code == 2
