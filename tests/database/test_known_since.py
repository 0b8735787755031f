"""analysis.known_since: before the first record a lens is not known."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest
from clones import AS_OF
from small_town import TOWN_A, add_hazard, add_site, add_visit, small_town

from geoapp.database.cluster import PrivateCluster

Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture(scope="module")
def _database(cluster: PrivateCluster) -> Iterator[Connection]:
    with small_town(cluster, AS_OF) as connection:
        yield connection


@pytest.fixture
def town(_database: Connection) -> Iterator[Connection]:
    with _database.transaction(force_rollback=True):
        yield _database


def known(connection: Connection) -> dict[str, datetime | None]:
    rows = connection.execute("SELECT * FROM analysis.known_since").fetchall()
    return {row["lens"]: row["known_since"] for row in rows}


def test_nothing_on_record_is_nothing_known(town: Connection) -> None:
    for table in ("duty.assignment", "duty.grid_staff", "watch.camera_connection", "watch.camera_health"):
        town.execute(f"DELETE FROM {table}".encode())
    assert known(town) == {"risk": None, "coverage": None, "duty": None}


def test_the_first_record_of_each_lens_counts(town: Connection) -> None:
    site = add_site(town, 600, 100)
    early, late = datetime(2024, 1, 2, 3, tzinfo=UTC), datetime(2025, 1, 2, 3, tzinfo=UTC)
    add_visit(town, site, "patrol", late)
    assert known(town)["risk"] == late
    add_hazard(town, site, "general", early)
    assert known(town)["risk"] == early
    town.execute("DELETE FROM duty.grid_staff")
    town.execute("DELETE FROM duty.assignment")
    town.execute(
        "INSERT INTO duty.assignment (rule_code, unit_code, department_code, role, status, valid_from)"
        " SELECT r.code, %s, d.code, 'lead', 'proposed', %s FROM duty.rule AS r CROSS JOIN duty.department AS d LIMIT 1",
        (TOWN_A, date(2023, 5, 1)),
    )
    # Midnight in Shanghai.
    assert known(town)["duty"] == datetime(2023, 4, 30, 16, tzinfo=UTC)
