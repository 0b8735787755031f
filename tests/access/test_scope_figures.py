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
    MODEL,
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
    return {
        r[key]: {k: float(f"{v:.9g}") if isinstance(v, float) else v for k, v in r.items()} for r in rows
    }


def of_town(rows: list[Row], view: str, town: str) -> list[Row]:
    if view in ("risk_cell_at", "coverage_cell_at", "duty_cell_at"):
        return [r for r in rows if r["cell_code"][:9] + "000" == town]
    return [r for r in rows if r["town_code"] == town]


def assert_equal_to_owner(city: Connection, towns: list[str], *, but: tuple[str, ...] = ()) -> int:
    """Every row of every town under that town's reader equals the owner's; returns how many rows were compared."""
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
            for rows in (expected, found):
                for row in rows.values():
                    for column in but:
                        row.pop(column, None)
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
