"""analysis.duty_department, duty_unit and duty_type: what is counted, and that the counts add up whatever the ground."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from clones import AS_OF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_town import COUNTY, TOWN_A, TOWN_B, add_person, add_site, assign, small_town

from geoapp.database.cluster import PrivateCluster

Connection = psycopg.Connection[dict[str, Any]]
COUNTS = (
    "lead_count",
    "no_person_count",
    "two_leads_count",
    "disputed_count",
    "proposed_count",
    "missing_count",
)
TOTALS = (
    "site_count", "gap_count", "missing_count", "no_rule_count", "two_leads_count", "disputed_count", "proposed_count",
    "no_person_count", "cell_count", "no_grid_worker_count",
)  # fmt: skip


@pytest.fixture(scope="module")
def database(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        connection.execute("INSERT INTO duty.department (code, name_zh) VALUES ('SC', '市场监管')")
        connection.execute("UPDATE duty.rule SET lead_code = 'YJ' WHERE code = 'R01'")
        add_person(connection, "科长")
        yield connection


@pytest.fixture
def town(database: Connection) -> Iterator[Connection]:
    with database.transaction(force_rollback=True):
        yield database


def rows(
    connection: Connection, view: str, level: str, within: str | None = None, at: datetime = AS_OF
) -> list[dict[str, Any]]:
    return connection.execute(
        f"SELECT * FROM analysis.{view}(%s, %s, %s)".encode(), (at, level, within)
    ).fetchall()


def summed(
    found: list[dict[str, Any]], by: tuple[str, ...], columns: tuple[str, ...]
) -> dict[Any, Counter[str]]:
    """Sums of columns by some keys; keys without any count are left out."""
    made: dict[Any, Counter[str]] = {}
    for row in found:
        made.setdefault(tuple(row[k] for k in by), Counter()).update({c: row[c] for c in columns if row[c]})
    return {key: counts for key, counts in made.items() if counts}


def by_hand(sites: list[dict[str, Any]], unit: str | None) -> dict[Any, Counter[str]]:
    """The entries of the matrix, counted one site at a time from analysis.duty_site."""
    made: dict[Any, Counter[str]] = {}
    for site in sites:
        for code in site["department_codes"] or [None]:
            place = (None if unit is None else site[unit], None if unit is None else site["town_code"], code)
            counts = made.setdefault(place, Counter())
            if site["status"] in ("confirmed", "no_person"):
                counts["lead_count"] += 1
            if site["status"] != "confirmed":
                counts[f"{site['status']}_count"] += 1
    return made


PLACES = st.tuples(
    st.integers(10, 2990), st.integers(10, 990), st.sampled_from(["R01", "R02", None]), st.booleans()
)
LEADS = st.tuples(
    st.sampled_from(["R01", "R02"]), st.sampled_from([COUNTY, TOWN_A, TOWN_B]), st.sampled_from(["YJ", "XF", "SC"]),
    st.sampled_from(["proposed", "confirmed", "disputed", "designated"]), st.booleans(),
)  # fmt: skip


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(places=st.lists(PLACES, max_size=14), leads=st.lists(LEADS, max_size=10, unique_by=lambda a: a[:3]))
def test_every_level_is_the_sum_of_the_finer_one(
    database: Connection,
    places: list[tuple[int, int, str | None, bool]],
    leads: list[tuple[str, str, str, str, bool]],
) -> None:
    """Sites in no cell, sites in a cell of another town than the one that answers for them, sites in no town included."""
    with database.transaction(force_rollback=True):
        person = database.execute("SELECT min(id) AS id FROM duty.person").fetchone()
        assert person is not None
        for rule, unit, department, status, has_person in leads:
            assign(database, rule, unit, department, status, person=person["id"] if has_person else None)
        for x, y, rule, is_booked_elsewhere in places:
            site = add_site(database, x, y, rule=rule)
            if is_booked_elsewhere:
                other = None if x % 3 == 0 else TOWN_A if x > 2000 else TOWN_B
                database.execute("UPDATE registry.site SET town_code = %s WHERE id = %s", (other, site))
        sites = database.execute("SELECT * FROM analysis.duty_site_at(%s)", (AS_OF,)).fetchall()
        assert len(sites) == len(places)
        entries = {
            level: rows(database, "duty_department_at", level)
            for level in ("district", "town", "community", "cell")
        }
        units = {
            level: rows(database, "duty_unit_at", level)
            for level in ("district", "town", "community", "cell")
        }

        for level, unit in (("town", "town_code"), ("community", "community_code"), ("cell", "cell_code")):
            by_place = summed(entries[level], ("unit_code", "town_code", "department_code"), COUNTS)
            assert by_place == by_hand(sites, unit), level
        for finer in ("community", "cell"):
            by_town = summed(entries[finer], ("town_code", "department_code"), COUNTS)
            assert by_town == summed(entries["town"], ("unit_code", "department_code"), COUNTS), finer
            assert summed(units[finer], ("town_code",), TOTALS) == summed(
                units["town"], ("unit_code",), TOTALS
            ), finer
        assert summed(entries["town"], ("department_code",), COUNTS) == summed(
            entries["district"], ("department_code",), COUNTS
        )
        assert summed(units["town"], (), TOTALS) == summed(units["district"], (), TOTALS)
        whole = units["district"][0]
        assert (whole["unit_code"], whole["site_count"], whole["cell_count"]) == (COUNTY, len(places), 10)
        assert whole["gap_count"] == sum(s["status"] != "confirmed" for s in sites)
        types = rows(database, "duty_type_at", "cell")
        assert sum(t["site_count"] for t in types) == len(places)
        assert sum(t["site_count"] for t in types if t["status"] != "confirmed") == whole["gap_count"]
        # What is asked within a town or a community is that part of the whole.
        for level in ("town", "community", "cell"):
            mine = [r for r in entries[level] if r["town_code"] == TOWN_A]
            found = rows(database, "duty_department_at", level, TOWN_A)
            assert sorted(map(str, found)) == sorted(map(str, mine)), level


def test_entries_say_who_is_named_and_how(town: Connection) -> None:
    person = add_person(town, "科长")
    add_site(town, 600, 100, rule="R01")  # nobody leads: the rule names YJ
    add_site(town, 2600, 100, rule="R02")
    add_site(town, 100, 900, rule=None)  # declared to be in no cell, of no type
    found = {(r["unit_code"], r["department_code"]): r for r in rows(town, "duty_department_at", "town")}
    assert found[TOWN_A, "YJ"]["missing_count"] == 1
    assert found[TOWN_B, None]["missing_count"] == 1, "the rule of R02 names nobody"
    assert found[TOWN_A, None]["missing_count"] == 1
    assign(town, "R01", COUNTY, "XF", "confirmed")
    assign(town, "R02", TOWN_B, "XF", "designated", person=person)
    assign(town, "R02", TOWN_B, "SC", "confirmed", person=person)
    found = {(r["unit_code"], r["department_code"]): r for r in rows(town, "duty_department_at", "town")}
    one = found[TOWN_A, "XF"]
    assert (one["lead_count"], one["no_person_count"], one["department_zh"]) == (1, 1, "消防")
    assert [found[TOWN_B, code]["two_leads_count"] for code in ("XF", "SC")] == [1, 1]
    in_no_cell = [r for r in rows(town, "duty_unit_at", "cell") if r["unit_code"] is None]
    assert [(r["town_code"], r["site_count"], r["no_rule_count"], r["state"]) for r in in_no_cell] == [
        (TOWN_A, 1, 1, "missing")
    ]


def test_a_past_day_has_its_own_sites_and_assignments_and_a_later_one_what_is_planned(
    town: Connection,
) -> None:
    person = add_person(town, "科长")
    old, new = add_site(town, 600, 100), add_site(town, 600, 200)
    town.execute("UPDATE registry.site SET active_to = '2025-01-01' WHERE id = %s", (old,))
    town.execute("UPDATE registry.site SET active_from = '2025-01-01' WHERE id = %s", (new,))
    first = assign(town, "R01", COUNTY, "YJ", "confirmed", person=person)
    town.execute(
        "UPDATE duty.assignment SET valid_from = '2024-06-01', valid_to = '2027-01-01' WHERE id = %s",
        (first,),
    )
    later = assign(town, "R01", COUNTY, "XF", "designated", person=person)
    town.execute(
        "UPDATE duty.assignment SET valid_from = '2027-01-01', document_no = '金安委〔2026〕9号' WHERE id = %s",
        (later,),
    )

    def on(day: datetime) -> dict[Any, int]:
        found = rows(town, "duty_department_at", "district", at=day)
        return {r["department_code"]: r["lead_count"] + 100 * r["missing_count"] for r in found}

    assert on(datetime(2024, 5, 1, tzinfo=UTC)) == {"YJ": 100}, (
        "before the assignment: missing, though there was a site"
    )
    assert on(datetime(2024, 7, 1, tzinfo=UTC)) == {"YJ": 1}
    assert on(AS_OF) == {"YJ": 1}
    assert on(datetime(2027, 2, 1, tzinfo=UTC)) == {"XF": 1}
    assert on(datetime(1999, 1, 1, tzinfo=UTC)) == {}
    planned = town.execute("SELECT * FROM analysis.duty_planned_at(%s)", (AS_OF,)).fetchall()
    assert [(p["department_code"], str(p["valid_from"]), p["document_no"]) for p in planned] == [
        ("XF", "2027-01-01", "金安委〔2026〕9号")
    ]
    assert town.execute("SELECT * FROM analysis.duty_planned_at('2027-01-01 12:00+08')").fetchall() == []


@pytest.mark.parametrize("view", ["duty_department_at", "duty_unit_at", "duty_type_at", "duty_ground_at"])
def test_a_level_that_there_is_not_is_said(town: Connection, view: str) -> None:
    with pytest.raises(
        psycopg.errors.InvalidParameterValue, match="没有这一级：street / there is no level street"
    ):
        rows(town, view, "street")
