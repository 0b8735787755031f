"""Figures are true for the area they are said to be of: a town's reader gets what the owner gets for that town."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from clones import AS_OF
from psycopg import sql
from signed_in import account
from small_town import (
    COMMUNITY_A,
    COMMUNITY_B,
    COUNTY,
    TOWN_A,
    TOWN_B,
    add_area,
    add_camera,
    add_incident,
    add_site,
    add_visit,
    assign,
    box,
    small_town,
)

from geoapp.database.cluster import PrivateCluster

Connection = psycopg.Connection[dict[str, Any]]
Row = dict[str, Any]

# Rows of a view that belong to a town: by their town, or by the town of their cell.
BY_TOWN = {
    "town_summary_at": "town_code",
    "risk_cell_at": "cell_code",
    "coverage_cell_at": "cell_code",
    "duty_cell_at": "cell_code",
    "key_risk_area_at": "id",
    "risk_site_at": "site_id",
    "site_at": "id",
}


def under(city: Connection, db_role: str, query: str, values: tuple[Any, ...] = ()) -> list[Row]:
    """Rows of a query as an account reads them; the owner's connection is itself again afterwards."""
    with city.transaction():
        city.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(db_role)))
        rows = city.execute(query.encode(), values).fetchall()
        city.execute("RESET ROLE")
    return rows


def reader(city: Connection, login: str, areas: list[str], *, role: str = "committee") -> str:
    """Database role of a new account for the areas."""
    made = account(city, login, role, areas=areas)
    row = city.execute("SELECT db_role FROM access.account WHERE id = %s", (made,)).fetchone()
    assert row is not None
    return str(row["db_role"])


def firm(city: Connection, login: str, sites: list[int]) -> str:
    """Database role of a new enterprise's account."""
    made = account(city, login, "enterprise", sites=sites)
    row = city.execute("SELECT db_role FROM access.account WHERE id = %s", (made,)).fetchone()
    assert row is not None
    return str(row["db_role"])


def rounded(rows: list[Row], key: str) -> dict[Any, Row]:
    """Rows by key; areas and scores to nine digits, because sums over sets differ in the last bits by order."""
    return {r[key]: {k: float(f"{v:.9g}") if isinstance(v, float) else v for k, v in r.items()} for r in rows}


def of_town(rows: list[Row], view: str, town: str) -> list[Row]:
    if view in ("risk_cell_at", "coverage_cell_at", "duty_cell_at"):
        return [r for r in rows if r["cell_code"][:9] + "000" == town]
    return [r for r in rows if r["town_code"] == town]


def assert_equal_to_owner(city: Connection, towns: list[str]) -> int:
    """Every row of every town under that town's reader equals the owner's; returns how many rows were compared.

    Of a key risk area whose site the reader does not see, the site's name and cell may be NULL: not known, never another.
    """
    compared = 0
    owner = {
        view: city.execute(f"SELECT * FROM analysis.{view}(%s)".encode(), (AS_OF,)).fetchall()
        for view in BY_TOWN
    }
    for number, town in enumerate(towns):
        role = reader(city, f"town{number}", [town])
        for view, key in BY_TOWN.items():
            mine = under(city, role, f"SELECT * FROM analysis.{view}(%s)", (AS_OF,))
            expected = rounded(of_town(owner[view], view, town), key)
            found = rounded(of_town(mine, view, town), key)
            if view == "key_risk_area_at":
                for area, row in found.items():
                    if row["site_name_zh"] is None:
                        expected[area] |= {"site_name_zh": None, "cell_code": None}
            assert found == expected, (town, view)
            compared += len(expected)
            # Cells and summaries of another town are not there at all, rather than in part.
            if view.endswith("cell_at") or view == "town_summary_at":
                assert len(mine) == len(found), (town, view)
    return compared


def headline(city: Connection, role: str | None) -> dict[str, Row]:
    query = "SELECT * FROM analysis.headline_at(%s)"
    rows = (
        city.execute(query.encode(), (AS_OF,)).fetchall()
        if role is None
        else under(city, role, query, (AS_OF,))
    )
    return {r["name"]: r for r in rows}


@pytest.fixture
def town_pair(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        yield connection


def codes(city: Connection, level: str) -> list[str]:
    rows = city.execute("SELECT code FROM territory.unit WHERE level = %s ORDER BY code", (level,)).fetchall()
    return [r["code"] for r in rows]


def test_every_town_of_the_sample_city_reads_what_is_true_of_it(city: Connection) -> None:
    towns = codes(city, "town")
    assert len(towns) > 1
    assert assert_equal_to_owner(city, towns) > 1000


def test_communities_of_the_sample_city_read_what_is_true_of_their_cells(city: Connection) -> None:
    owner = {
        view: city.execute(f"SELECT * FROM analysis.{view}(%s)".encode(), (AS_OF,)).fetchall()
        for view in ("risk_cell_at", "coverage_cell_at", "duty_cell_at")
    }
    chosen = codes(city, "community")[::4]
    assert len(chosen) > 1
    for number, community in enumerate(chosen):
        role = reader(city, f"community{number}", [community])
        for view, rows in owner.items():
            mine = under(city, role, f"SELECT * FROM analysis.{view}(%s)", (AS_OF,))
            expected = [r for r in rows if r["cell_code"].startswith(community)]
            assert rounded(mine, "cell_code") == rounded(expected, "cell_code"), (community, view)
        # Nothing is said of units of which it sees a part.
        assert under(city, role, "SELECT * FROM analysis.town_summary_at(%s)", (AS_OF,)) == []
        assert under(city, role, "SELECT * FROM analysis.duty_matrix_at(%s)", (AS_OF,)) == []


def border_case(town: Connection) -> dict[str, Any]:
    """Town A is west of x = 2000, town B east of it. What touches both sides:

    a camera in B that looks into A over A's key risk area; a key risk area of A's site whose ground is B's, seen by a
    camera of B alone; an incident in B put down to A's site; a site booked to A in a cell of B, with B's worker and A's
    lead; a person of B who is worker in a cell of A; an incident in A whose camera nobody in A sees.
    """
    site = add_site(town, 1900, 300, hazard="red", rule="R01")
    plain = add_site(town, 1300, 300, hazard="blue", rule="R02")
    add_area(town, site, 1800, 250, 100, 100)
    looks_in = add_camera(town, 2100, 300, box(1700, 200, 400, 200), seen=AS_OF)
    far = add_area(town, site, 2300, 700, 50, 50)
    town.execute("UPDATE registry.key_risk_area SET town_code = %s WHERE id = %s", (TOWN_B, far))
    only_b = add_camera(town, 2350, 600, box(2290, 690, 80, 80), seen=AS_OF)
    abroad = add_incident(town, only_b, site, AS_OF, review="confirmed", class_="fire", x=2200, y=300)
    unseen_eye = add_camera(town, 2900, 900, None, seen=AS_OF)
    at_home = add_incident(town, unseen_eye, plain, AS_OF, class_="smoke", x=1300, y=310)
    booked = add_site(town, 2010, 600, hazard="orange", rule="R01")
    town.execute("UPDATE registry.site SET town_code = %s WHERE id = %s", (TOWN_A, booked))
    add_visit(town, plain, "patrol", AS_OF)
    person = town.execute(
        "INSERT INTO duty.person (name_zh, unit_code) VALUES ('乙镇人', %s) RETURNING id", (TOWN_B,)
    ).fetchone()
    assert person is not None
    town.execute("UPDATE duty.grid_staff SET person_id = %s WHERE role = 'chief'", (person["id"],))
    assign(town, "R01", TOWN_A, "YJ", "confirmed", person=person["id"])
    assign(town, "R02", COUNTY, "XF", "confirmed", person=person["id"])
    return {
        "site": site,
        "plain": plain,
        "booked": booked,
        "far": far,
        "looks_in": looks_in,
        "only_b": only_b,
        "unseen_eye": unseen_eye,
        "abroad": abroad,
        "at_home": at_home,
    }


def test_figures_hold_over_a_border(town_pair: Connection) -> None:
    made = border_case(town_pair)
    assert assert_equal_to_owner(town_pair, [TOWN_A, TOWN_B]) > 20
    a = reader(town_pair, "of-a", [TOWN_A])
    seen = under(town_pair, a, "SELECT id FROM analysis.camera_at(%s)", (AS_OF,))
    assert {r["id"] for r in seen} == {made["looks_in"], made["only_b"]}
    risk = under(town_pair, a, "SELECT * FROM analysis.risk_site_at(%s)", (AS_OF,))
    assert {r["key"] for s in risk if s["site_id"] == made["site"] for r in s["reasons"]} >= {
        "incident_confirmed"
    }
    events = under(town_pair, a, "SELECT id, camera_id, gb_id FROM analysis.event")
    assert {r["id"] for r in events} == {made["abroad"], made["at_home"]}
    assert next(r for r in events if r["id"] == made["at_home"])["gb_id"] is None


def test_communities_hold_over_a_border(town_pair: Connection) -> None:
    border_case(town_pair)
    for login, community in (("com-a", COMMUNITY_A), ("com-b", COMMUNITY_B)):
        role = reader(town_pair, login, [community])
        for view in ("risk_cell_at", "coverage_cell_at", "duty_cell_at"):
            owner = town_pair.execute(f"SELECT * FROM analysis.{view}(%s)".encode(), (AS_OF,)).fetchall()
            mine = under(town_pair, role, f"SELECT * FROM analysis.{view}(%s)", (AS_OF,))
            expected = [r for r in owner if r["cell_code"].startswith(community)]
            assert rounded(mine, "cell_code") == rounded(expected, "cell_code"), (community, view)


def test_a_site_that_moves_takes_its_incidents_along(town_pair: Connection) -> None:
    made = border_case(town_pair)
    b = reader(town_pair, "of-b", [TOWN_B])
    hidden = "SELECT count(*) AS n FROM watch.incident WHERE id = %s"
    assert under(town_pair, b, hidden, (made["at_home"],)) == [{"n": 0}]
    town_pair.execute("UPDATE registry.site SET town_code = %s WHERE id = %s", (TOWN_B, made["plain"]))
    assert under(town_pair, b, hidden, (made["at_home"],)) == [{"n": 1}]
    town_pair.execute("UPDATE registry.site SET town_code = %s WHERE id = %s", (TOWN_A, made["plain"]))
    assert under(town_pair, b, hidden, (made["at_home"],)) == [{"n": 0}]


def test_headline_of_a_town_is_its_summary(city: Connection) -> None:
    towns = codes(city, "town")
    summary = {
        r["town_code"]: r
        for r in city.execute("SELECT * FROM analysis.town_summary_at(%s)", (AS_OF,)).fetchall()
    }
    km2 = {
        r["code"]: r["area_km2"] for r in city.execute("SELECT code, area_km2 FROM analysis.unit").fetchall()
    }
    bare = city.execute(
        "SELECT town_code, sum(area_m2) / 1e6 AS km2 FROM analysis.no_cell_ground() GROUP BY 1"
    ).fetchall()
    ground = {r["town_code"]: r["km2"] for r in bare}
    for number, town in enumerate(towns):
        found = headline(city, reader(city, f"head{number}", [town]))
        row = summary[town]
        for name, column in {
            "cells_total": "cells",
            "cells_red": "red_cells",
            "cells_orange": "orange_cells",
            "sites_total": "sites",
            "key_risk_area_total": "key_risk_areas",
            "key_risk_area_seen_under_60": "key_risk_areas_under_60",
            "cameras_total": "cameras",
            "cameras_online": "cameras_online",
            "incidents_open": "open_incidents",
        }.items():
            assert found[name]["value"] == row[column], (town, name)
        gaps = sum(r["value"] for name, r in found.items() if name.startswith("gaps_"))
        assert gaps == row["coverage_gaps"], town
        assert found["ground_in_no_cell_km2"]["value"] == pytest.approx(ground.get(town, 0.0))
        assert found["ground_in_no_cell_km2"]["denominator"] == pytest.approx(km2[town])
        types = city.execute(
            "SELECT count(*) FILTER (WHERE status IN ('confirmed', 'no_person')) AS clear, count(*) AS n"
            " FROM analysis.duty_matrix_at(%s) WHERE unit_code = %s AND site_count > 0",
            (AS_OF, town),
        ).fetchone()
        assert types is not None
        assert (found["duty_clear_rate"]["numerator"], found["duty_clear_rate"]["denominator"]) == (
            types["clear"],
            types["n"],
        )


def test_the_district_reads_what_the_owner_reads(city: Connection) -> None:
    role = reader(city, "whole", [])
    assert headline(city, role) == headline(city, None)
    for query in (
        "SELECT * FROM analysis.unit",
        "SELECT * FROM analysis.duty_matrix",
        "SELECT id, area_m2 FROM analysis.no_cell",
    ):
        count = (
            f"SELECT count(*) AS n, md5(string_agg(t::text, '' ORDER BY t::text)) AS all FROM ({query}) AS t"
        )
        assert under(city, role, count) == city.execute(count.encode()).fetchall()


def test_what_is_above_the_own_area_is_not_counted_in_part(town_pair: Connection) -> None:
    border_case(town_pair)
    a = reader(town_pair, "of-a", [TOWN_A])
    units = {r["code"]: r["cell_count"] for r in under(town_pair, a, "SELECT * FROM analysis.unit")}
    assert units == {COUNTY: None, TOWN_A: 6, COMMUNITY_A: 6}
    matrix = under(town_pair, a, "SELECT * FROM analysis.duty_matrix_at(%s)", (AS_OF,))
    assert {r["unit_code"] for r in matrix} == {TOWN_A}
    # The county's assignment is the fallback of the town that has none of its own.
    assert {r["rule_code"]: (r["status"], r["lead_code"]) for r in matrix} == {
        "R01": ("confirmed", "YJ"),
        "R02": ("confirmed", "XF"),
    }
    gaps = under(town_pair, a, "SELECT DISTINCT subject, town_code FROM analysis.duty_gap_at(%s)", (AS_OF,))
    assert all(r["town_code"] == TOWN_A and r["subject"] != "rule" for r in gaps)


def test_an_enterprise_is_told_nothing_that_it_cannot_know(town_pair: Connection) -> None:
    made = border_case(town_pair)
    add_site(town_pair, 1310, 310, hazard="red")  # the neighbour in its cell, whom it does not see
    role = firm(town_pair, "firm", [made["plain"]])
    found = headline(town_pair, role)
    assert found["sites_total"]["value"] == 1
    unknown = {name for name, row in found.items() if row["value"] is None}
    assert unknown >= {
        "cells_total",
        "cells_red",
        "cells_blue",
        "cells_without_worker",
        "ground_in_no_cell_km2",
        "duty_clear_rate",
        "gaps_no_cell",
        "gaps_no_camera",
    }
    # Its cell would look blue without the red neighbour: no colour at all.
    for view in ("risk_cell_at", "coverage_cell_at", "duty_cell_at", "town_summary_at", "duty_matrix_at"):
        assert under(town_pair, role, f"SELECT * FROM analysis.{view}(%s)", (AS_OF,)) == []
    assert [r["id"] for r in under(town_pair, role, "SELECT id FROM registry.site")] == [made["plain"]]
    risk = under(town_pair, role, "SELECT * FROM analysis.risk_site_at(%s)", (AS_OF,))
    owner = town_pair.execute(
        "SELECT * FROM analysis.risk_site_at(%s) WHERE site_id = %s", (AS_OF, made["plain"])
    ).fetchall()
    assert rounded(risk, "site_id") == rounded(owner, "site_id")


def test_a_role_without_an_account_counts_nothing(town_pair: Connection) -> None:
    border_case(town_pair)
    with pytest.raises(psycopg.errors.RaiseException, match="has no row"):
        headline(town_pair, "geoapp_analyst")
    assert under(town_pair, "geoapp_analyst", "SELECT cell_count FROM analysis.unit") == []


@pytest.mark.parametrize("copy_is_old", [False, True])
def test_ground_in_no_cell_is_the_callers_and_true(town_pair: Connection, copy_is_old: bool) -> None:
    query = "SELECT town_code, declared, round(area_m2) AS m2 FROM analysis.no_cell ORDER BY 1, 2, 3"
    truth = town_pair.execute(query.encode()).fetchall()
    assert [(r["town_code"], r["declared"], r["m2"]) for r in truth] == [
        (TOWN_A, False, 250_000),
        (TOWN_A, True, 250_000),
    ]
    if copy_is_old:
        town_pair.execute("UPDATE territory.no_cell_made_from SET versions = 'old'")
    assert town_pair.execute(query.encode()).fetchall() == truth
    assert under(town_pair, reader(town_pair, "na", [TOWN_A]), query) == truth
    # Town B sees none of A's cells; A's ground must not seem bare to it, and its own is all in cells.
    b = reader(town_pair, "nb", [TOWN_B])
    assert under(town_pair, b, query) == []
    assert under(town_pair, b, "SELECT * FROM analysis.no_cell_ground()") == []
    assert under(town_pair, reader(town_pair, "nc", [COMMUNITY_A]), query) == []
    assert under(town_pair, reader(town_pair, "nd", []), query) == truth
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        under(town_pair, b, "SELECT * FROM analysis.district_no_cell_ground()")


def test_the_copy_is_renewed_for_the_whole_district_by_a_towns_edit(town_pair: Connection) -> None:
    b = reader(town_pair, "edits", [TOWN_B], role="planner")
    truth = town_pair.execute("SELECT count(*) AS n FROM territory.no_cell_piece").fetchone()
    town_pair.execute("GRANT UPDATE (name_zh) ON territory.grid_cell TO geoapp_planner")
    with town_pair.transaction():
        town_pair.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(b)))
        done = town_pair.execute("UPDATE territory.grid_cell SET name_zh = '新' || name_zh")
        assert done.rowcount == 4  # its own cells, although it named no town
    assert town_pair.execute("SELECT count(*) AS n FROM territory.no_cell_piece").fetchone() == truth
    current = town_pair.execute(
        "SELECT versions = analysis.no_cell_versions() AS yes FROM territory.no_cell_made_from"
    ).fetchone()
    assert current == {"yes": True}
