"""Why a site is red, and what would make it orange: each claim is tried by doing what it says."""

import itertools
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from clones import AS_OF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_town import (
    COUNTY,
    X0,
    Y0,
    add_camera,
    add_certificate,
    add_hazard,
    add_incident,
    add_person,
    add_site,
    add_visit,
    assign,
    box,
    small_town,
)

from geoapp.database.cluster import PrivateCluster

DAY = timedelta(days=1)
COLOURS = ("red", "orange", "yellow", "blue")
Connection = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]


@pytest.fixture(scope="module")
def _database(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        assign(connection, "R01", COUNTY, "YJ", "confirmed", person=add_person(connection, "科长"))
        yield connection


@pytest.fixture
def town(_database: Connection) -> Iterator[Connection]:
    with _database.transaction(force_rollback=True):
        yield _database


def score(connection: Connection, site: int, moment: Any = AS_OF) -> tuple[float, str]:
    row = connection.execute(
        "SELECT score, level FROM analysis.risk_site_of(%s, ARRAY[%s]::bigint[])", (moment, site)
    ).fetchone()
    assert row is not None
    return row["score"], row["level"]


def explained(connection: Connection, site: int) -> list[Row]:
    return connection.execute("SELECT * FROM analysis.risk_explained_at(%s, %s)", (AS_OF, site)).fetchall()


def measures(connection: Connection, site: int) -> list[Row]:
    return connection.execute("SELECT * FROM analysis.risk_measures_at(%s, %s)", (AS_OF, site)).fetchall()


def taken(connection: Connection, site: int, done: list[Row]) -> None:
    """Does what the measures say."""
    for one in done:
        match one["measure"]:
            case "close_hazard":
                connection.execute(
                    "UPDATE inspection.hazard SET state = 'verified_closed', closed_at = %s WHERE id = %s",
                    (AS_OF, int(one["subject_id"])),
                )
            case "accept_work":
                add_visit(connection, site, "admin_inspection", AS_OF)
            case "review_lead":
                connection.execute(
                    "UPDATE watch.incident SET review = 'false', reviewed_at = %s WHERE incident_no = %s",
                    (AS_OF, int(one["subject_id"])),
                )
            case "check":
                add_visit(connection, site, "patrol", AS_OF)
            case "self_check":
                add_visit(connection, site, "self_check", AS_OF)
            case "certificates":
                connection.execute("DELETE FROM registry.certificate WHERE site_id = %s", (site,))
                add_certificate(connection, site, AS_OF)
            case "camera":
                at = connection.execute(
                    "SELECT ST_X(geom) AS x, ST_Y(geom) AS y FROM registry.site WHERE id = %s", (site,)
                ).fetchone()
                assert at is not None
                x, y = at["x"] - X0, at["y"] - Y0
                add_camera(connection, x, y, box(x - 5, y - 5, 10, 10), seen=AS_OF)
            case "worker":
                connection.execute("UPDATE duty.grid_staff SET assigned_to = NULL")
            case other:
                raise AssertionError(other)


def troubled(connection: Connection, hazards: list[Any], leads: int = 0, *, seen: bool = False) -> int:
    """A site in a cell whose worker has left, with hazards (class, days overdue, unlicensed) and leads."""
    site = add_site(connection, 700, 100, hazard="orange", people=300)
    connection.execute("UPDATE duty.grid_staff SET assigned_to = '2021-01-01' WHERE role = 'worker'")
    camera = add_camera(connection, 2700, 90, None, url=None)
    if seen:
        add_camera(connection, 700, 80, box(650, 50, 100, 100), seen=AS_OF)
    for hazard_class, late, unlicensed in hazards:
        add_hazard(
            connection,
            site,
            hazard_class,
            AS_OF - 70 * DAY,
            deadline=AS_OF - late * DAY,
            unlicensed=unlicensed,
        )
    for n in range(leads):
        add_incident(connection, camera, site, AS_OF, class_="smoke", score=0.4 + n / 10)
    return site


def test_terms_add_up_to_the_score(town: Connection) -> None:
    site = troubled(town, [("general", 10, False), ("serious", -5, False), ("major", 0, False)])
    town.execute("UPDATE registry.site SET hazard_level = 'blue', people = 5")
    add_hazard(town, site, "general", AS_OF - 60 * DAY, closed_at=AS_OF - 20 * DAY)
    rows = explained(town, site)
    assert sum(r["points"] for r in rows) == pytest.approx(score(town, site)[0])
    assert sum(r["share"] for r in rows) == pytest.approx(1)
    assert [r["points"] for r in rows] == sorted((r["points"] for r in rows), reverse=True)
    assert all(r["zh"] and r["en"] for r in rows)
    by = {r["term"]: r for r in rows}
    assert by["inherent"]["score_without"] is None
    assert by["hazard_major"]["level_without"] != "red"
    assert by["hazard_general"]["level_without"] == "red"  # the major one stays
    for term, action in (("hazard_general", "DELETE FROM inspection.hazard WHERE class = 'general' AND closed_at IS NULL"),
                         ("hazard_major", "DELETE FROM inspection.hazard WHERE class = 'major'"),
                         ("hazard_closed", "DELETE FROM inspection.hazard WHERE closed_at IS NOT NULL"),
                         ("no_worker", "UPDATE duty.grid_staff SET assigned_to = NULL")):  # fmt: skip
        with town.transaction(force_rollback=True):
            town.execute(action.encode())
            assert (by[term]["score_without"], by[term]["level_without"]) == (
                pytest.approx(score(town, site)[0]),
                score(town, site)[1],
            )


HAZARDS = st.lists(
    st.tuples(st.sampled_from(["general", "serious", "major"]), st.integers(-20, 50), st.booleans()),
    max_size=4,
)


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hazards=HAZARDS, leads=st.integers(0, 2), seen=st.booleans())
def test_the_smallest_set_is_enough_and_no_smaller_one_is(
    town: Connection, hazards: list[Any], leads: int, seen: bool
) -> None:
    with town.transaction(force_rollback=True):
        site = troubled(town, hazards, leads, seen=seen)
        before = score(town, site)
        found = measures(town, site)
        assert len({(m["measure"], m["subject_id"]) for m in found}) == len(found)
        for one in found[:4]:
            with town.transaction(force_rollback=True):
                taken(town, site, [one])
                assert (one["score_after"], one["level_after"]) == (
                    pytest.approx(score(town, site)[0], abs=1e-6),
                    score(town, site)[1],
                )
                assert score(town, site)[0] <= before[0] + 1e-9, "no measure raises a score"
        needed = [m for m in found if m["is_needed"]]
        target = found[0]["target"]
        assert target == (None if before[1] == "blue" else COLOURS[COLOURS.index(before[1]) + 1])
        if not needed:
            return
        with town.transaction(force_rollback=True):
            taken(town, site, needed)
            then = AS_OF + needed[0]["after_days"] * DAY
            if needed[0]["after_days"] == 0:
                assert score(town, site, then) == (
                    pytest.approx(needed[0]["score_then"], abs=1e-6),
                    needed[0]["level_then"],
                )
            assert COLOURS.index(needed[0]["level_then"]) >= COLOURS.index(target)
        if needed[0]["after_days"] == 0 and len(needed) > 1 and len(found) <= 9:
            for fewer in itertools.combinations(found, len(needed) - 1):
                with town.transaction(force_rollback=True):
                    taken(town, site, list(fewer))
                    assert COLOURS.index(score(town, site)[1]) < COLOURS.index(target)


def test_confirmed_work_is_to_be_accepted_first(town: Connection) -> None:
    site = troubled(town, [])
    camera = add_camera(town, 700, 90, None, url=None)
    add_incident(town, camera, site, AS_OF - DAY, review="confirmed", reviewed_at=AS_OF - DAY)
    needed = [m["measure"] for m in measures(town, site) if m["is_needed"]]
    assert "accept_work" in needed


def test_a_closed_hazard_fades_and_says_when_it_is_enough(town: Connection) -> None:
    site = add_site(town, 100, 100, hazard="red", people=2000, vulnerability="both")
    for kind in ("patrol", "self_check"):
        add_visit(town, site, kind, AS_OF)
    add_certificate(town, site, AS_OF)
    add_camera(town, 100, 90, box(50, 50, 100, 100), seen=AS_OF)
    for _ in range(4):
        add_hazard(town, site, "major", AS_OF - DAY)
    found = measures(town, site)
    assert found[0]["target"] == "orange"
    assert {m["measure"] for m in found} == {"close_hazard"}
    assert sum(m["is_needed"] for m in found) == 4
    days = found[0]["after_days"]
    taken(town, site, found)
    assert score(town, site, AS_OF + days * DAY)[0] == pytest.approx(found[0]["score_then"], abs=0.01)


def test_confidence_falls_with_what_is_unknown_and_old(town: Connection) -> None:
    def confidence(site: int, moment: Any = AS_OF) -> float:
        row = town.execute(
            "SELECT confidence FROM analysis.risk_site_at(%s) WHERE site_id = %s", (moment, site)
        ).fetchone()
        assert row is not None
        return float(row["confidence"])

    site = add_site(town, 600, 100)
    bare = confidence(site)
    assert bare == pytest.approx(0.6 * 0.5)  # graded, people, vulnerability, cell; no data at all
    add_visit(town, site, "patrol", AS_OF - DAY)
    add_visit(town, site, "self_check", AS_OF - DAY)
    assert confidence(site) == pytest.approx(0.9)
    add_certificate(town, site, AS_OF)
    assert confidence(site) == pytest.approx(1)
    assert confidence(site, AS_OF + 119 * DAY) == pytest.approx(0.75)
    assert confidence(add_site(town, 610, 100, hazard=None, people=None, vulnerability=None)) < bare


def test_a_cell_is_explained_by_its_sites(town: Connection) -> None:
    high = add_site(town, 100, 100, hazard="red", people=2000)
    low = add_site(town, 110, 100, hazard="blue", people=5)
    code = town.execute("SELECT cell_code AS c FROM registry.site WHERE id = %s", (high,)).fetchone()["c"]  # type: ignore[index]
    rows = town.execute("SELECT * FROM analysis.risk_cell_explained_at(%s, %s)", (AS_OF, code)).fetchall()
    assert [r["site_id"] for r in rows] == [high, low]
    assert sum(r["points"] for r in rows) == pytest.approx(rows[0]["cell_score"])
    assert rows[0]["measures_en"]
    needed = [m for m in measures(town, high) if m["is_needed"]]
    assert needed[0]["after_days"] == 0
    taken(town, high, needed)
    cell = town.execute("SELECT score, level FROM analysis.risk_cell_at(%s, %s)", (AS_OF, code)).fetchone()
    assert cell is not None
    assert (rows[0]["score_without"], rows[0]["level_without"]) == (
        pytest.approx(cell["score"], abs=0.01),
        cell["level"],
    )


def test_looks_of_missing_data_are_never_calm(town: Connection) -> None:
    def look(site: int) -> str:
        row = town.execute(
            "SELECT look FROM analysis.risk_site_at(%s) WHERE site_id = %s", (AS_OF, site)
        ).fetchone()
        assert row is not None
        return str(row["look"])

    quiet = add_site(town, 600, 100, hazard="blue", people=5)
    assert look(quiet) == "no_data"  # nobody has ever been there
    add_visit(town, quiet, "patrol", AS_OF - DAY)
    assert look(quiet) == "blue"
    nobody = add_site(town, 2600, 600, hazard="blue", people=5)  # the cell without a worker
    add_visit(town, nobody, "patrol", AS_OF - DAY)
    assert look(nobody) == "no_owner"
    grave = add_site(town, 610, 100, hazard="red", people=2000)
    assert look(grave) in ("red", "orange")  # what is bad stays bad, however little is known
    cells = town.execute("SELECT look, site_count FROM analysis.risk_cell_at(%s)", (AS_OF,)).fetchall()
    assert {c["look"] for c in cells if not c["site_count"]} == {"none"}
    assert "no_owner" in {c["look"] for c in cells}
