"""The event surface of the city itself: from its own events, kept for the map; honest where there are too few."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from access.signed_in import account, caller
from clones import AS_OF
from psycopg import sql
from small_town import TOWN_A, X0, Y0, small_town

from geoapp.database.cluster import PrivateCluster
from geoapp.database.sql_files import read_sql
from geoapp.errors import Refused
from layers.expected_events import ExpectedEvents, keep_expected_events
from layers.past_events import OnlyWhole, _days, past_rows

Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture
def town(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        yield connection


def happened(connection: Connection, x: float, y: float, days: list[int]) -> None:
    for day in days:
        connection.execute(
            "INSERT INTO watch.reported_event (local_id, kind, happened_at, geom) VALUES (%s, 'fire', %s, ST_SetSRID(ST_MakePoint(%s, %s), 4549))",
            (f"{x}-{y}-{day}", AS_OF - timedelta(days=day), X0 + x, Y0 + y),
        )  # fmt: skip


def test_the_surface_is_kept_and_adds_up(town: Connection) -> None:
    happened(town, 600, 200, list(range(5, 365, 5)))  # 72 at one place
    happened(town, 2600, 700, list(range(10, 360, 35)))  # 10 at another
    made = keep_expected_events(town, AS_OF)
    assert isinstance(made, ExpectedEvents)
    # 13 times 28 days: 82 events, of which none was before them.
    assert made.events == 82
    assert made.expected == pytest.approx(82 / (360.0 + 1e-9) * 28, rel=0.05)
    rows = town.execute("SELECT * FROM analysis.expected_event ORDER BY expected DESC").fetchall()
    assert len(rows) == len(made.numbers) == 48  # 3 km by 1 km
    assert sum(r["share"] for r in rows) == pytest.approx(1)
    assert sum(r["expected"] for r in rows) == pytest.approx(made.expected)
    top = town.execute(
        "SELECT ST_Contains(geom, ST_SetSRID(ST_MakePoint(%s, %s), 4549)) AS there, band, town_code, cell_code"
        " FROM analysis.expected_event ORDER BY expected DESC LIMIT 1",
        (X0 + 600, Y0 + 200),
    ).fetchone()
    assert top is not None
    assert (top["there"], top["band"], top["town_code"]) == (True, "first", TOWN_A)
    version = town.execute(
        "SELECT version FROM territory.layer_version WHERE layer = 'expected_event'"
    ).fetchone()
    keep_expected_events(town, AS_OF)
    again = town.execute(
        "SELECT version FROM territory.layer_version WHERE layer = 'expected_event'"
    ).fetchone()
    assert version is not None
    assert again is not None
    assert again["version"] > version["version"]
    # What the legend says beside it: which 28 days, and when they are over.
    note = f"SELECT * FROM ({read_sql('layers/note_expected_event')}) AS n"
    for day, is_over in (("analysis.city_date(now()) - 28", True), ("analysis.city_date(now()) - 27", False)):
        town.execute(f"UPDATE watch.expected_event_made SET cut_day = {day}".encode())
        told = town.execute(note.encode(), {"moment": None}).fetchone()
        assert told is not None
        assert "28 days from 20" in told["note_en"]
        assert ("over" in told["note_en"], "已过" in told["note_zh"]) == (is_over, is_over)
    made_a = account(town, "of-a", "committee", areas=[TOWN_A])
    role = town.execute("SELECT db_role FROM access.account WHERE id = %s", (made_a,)).fetchone()
    assert role is not None
    with town.transaction(force_rollback=True):
        town.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role["db_role"])))
        assert {
            r["town_code"] for r in town.execute("SELECT town_code FROM analysis.expected_event").fetchall()
        } == {TOWN_A}
        with pytest.raises(
            psycopg.errors.InsufficientPrivilege
        ):  # how many there were in the district is not a town's to know
            town.execute("SELECT events FROM watch.expected_event_made")


@pytest.mark.parametrize(
    ("days", "said"),
    [([], "no events"), (list(range(1, 40)), "fewer than 50"), ([1] * 60, "less than 56 days")],
)
def test_too_few_events_give_no_surface_and_say_so(town: Connection, days: list[int], said: str) -> None:
    for n, day in enumerate(days):
        happened(town, 600 + n, 200, [day])
    told = keep_expected_events(town, AS_OF)
    assert isinstance(told, str)
    assert said in told
    assert town.execute("SELECT * FROM analysis.expected_event").fetchall() == []
    made = town.execute("SELECT not_known_zh, not_known_en FROM analysis.expected_event_made").fetchone()
    assert made is not None
    assert said in made["not_known_en"]
    assert made["not_known_zh"]


def test_a_past_day_is_worked_out_as_it_would_have_been_kept(town: Connection) -> None:
    happened(town, 600, 200, list(range(5, 365, 5)))
    happened(town, 2600, 700, list(range(10, 360, 35)))
    then = AS_OF - timedelta(days=100)
    columns = "place, town_code, cell_code, share, expected, tenth, band, cut_day, ST_AsText(ST_Normalize(geom), 3) AS shape"
    with town.transaction():
        query = sql.SQL("SELECT {} FROM {} AS s ORDER BY place").format(
            sql.SQL(columns), past_rows(town, then)
        )
        past = town.execute(query).fetchall()
    keep_expected_events(town, then)
    kept = town.execute(f"SELECT {columns} FROM analysis.expected_event ORDER BY place").fetchall()
    assert len(past) == len(kept) == 48
    for one, other in zip(past, kept, strict=True):
        assert one == {k: pytest.approx(v) if isinstance(v, float) else v for k, v in other.items()}
    # What happened later was not known then.
    keep_expected_events(town, AS_OF)
    now = town.execute("SELECT sum(expected) AS n FROM analysis.expected_event").fetchone()
    assert now is not None
    assert sum(one["expected"] for one in past) != pytest.approx(now["n"])
    with pytest.raises(Refused, match=r"too short|so short|fewer than"):
        past_rows(town, AS_OF - timedelta(days=358))
    login = caller(town, "past.a", "analyst", areas=[TOWN_A])
    with town.transaction(force_rollback=True):
        town.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(login.db_role)))
        with pytest.raises(OnlyWhole, match="whole"):
            past_rows(town, then)
    whole = caller(town, "past.all", "analyst")
    with town.transaction(force_rollback=True):
        town.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(whole.db_role)))
        _days.clear()
        assert (
            len(town.execute(sql.SQL("SELECT place FROM {} AS s").format(past_rows(town, then))).fetchall())
            == 48
        )
