"""Reported events, resources and buildings: who sees which rows."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from asking import web_pool
from psycopg_pool import ConnectionPool
from signed_in import caller

from geoapp.access.caller import acting

Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture(scope="module")
def web(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConnectionPool[Connection]]:
    with web_pool(url, tmp_path_factory.mktemp("home"), size=1) as pool:
        yield pool


@pytest.fixture(scope="module")
def cells(owner: Connection) -> list[dict[str, Any]]:
    """A cell of each of two towns, with an event, a resource and a building in it."""
    found = owner.execute(
        "SELECT DISTINCT ON (town_code) town_code, community_code, code FROM territory.grid_cell ORDER BY town_code, code LIMIT 2"
    ).fetchall()
    for cell in found:
        place = "(SELECT ST_PointOnSurface(geom) FROM territory.grid_cell WHERE code = %(code)s)"
        for statement in (
            "INSERT INTO watch.reported_event (local_id, kind, happened_at, geom, town_code, cell_code)"
            f" VALUES ('e' || %(code)s, 'fire', '2017-01-01Z', {place}, %(town_code)s, %(code)s)",
            "INSERT INTO registry.resource (local_id, kind, phone, geom, town_code, cell_code)"
            f" VALUES ('r' || %(code)s, 'hydrant', '12345', {place}, %(town_code)s, %(code)s)",
            "INSERT INTO territory.building (local_id, geom, town_code, cell_code)"
            f" VALUES ('b' || %(code)s, ST_Multi(ST_Buffer({place}, 5)), %(town_code)s, %(code)s)",
        ):
            owner.execute(statement.encode(), cell)
    return found


def test_each_sees_the_events_of_its_area_and_help_from_everywhere(
    owner: Connection, web: ConnectionPool[Connection], cells: list[dict[str, Any]]
) -> None:
    mine, other = cells
    site = owner.execute(
        "SELECT id FROM registry.site WHERE town_code = %s LIMIT 1", (mine["town_code"],)
    ).fetchone()
    assert site is not None
    asked = (
        "SELECT (SELECT array_agg(local_id ORDER BY 1) FROM analysis.reported_event) AS events,"
        " (SELECT count(*) FROM analysis.resource) AS resources, (SELECT count(*) FROM territory.building) AS buildings"
    )
    own, all_of_them = [f"e{mine['code']}"], sorted(f"e{c['code']}" for c in (mine, other))
    for who, events, resources in (
        (caller(owner, "more.all", "analyst"), all_of_them, 2),
        (caller(owner, "more.town", "duty_officer", areas=[mine["town_code"]]), own, 2),
        (caller(owner, "more.village", "inspector", areas=[mine["community_code"]]), own, 2),
        (caller(owner, "more.firm", "enterprise", sites=[site["id"]]), None, 0),
    ):
        with acting(web, who) as connection:
            seen = connection.execute(asked.encode()).fetchone()
        assert seen == {"events": events, "resources": resources, "buildings": 2}, who


def test_nobody_writes_them_by_hand_and_the_owner_is_recorded(
    owner: Connection, web: ConnectionPool[Connection], cells: list[dict[str, Any]]
) -> None:
    admin = caller(owner, "more.admin", "admin")
    for table in ("watch.reported_event", "registry.resource", "territory.building"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), acting(web, admin) as connection:
            connection.execute(f"DELETE FROM {table}".encode())
        kept = owner.execute(
            "SELECT count(*) AS n FROM access.audit WHERE subject = %s AND action = 'insert'", (table,)
        ).fetchone()
        assert kept == {"n": 2}
