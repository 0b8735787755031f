"""Coverage, onboarding and places for cameras: each reader gets the own area, whole, or nothing."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from clones import AS_OF
from psycopg import sql
from signed_in import caller
from small_town import (
    COMMUNITY_A,
    TOWN_A,
    TOWN_B,
    add_area,
    add_camera,
    add_site,
    box,
    small_town,
)

from geoapp.database.cluster import PrivateCluster

Connection = psycopg.Connection[dict[str, Any]]
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def towns(cluster: PrivateCluster) -> Iterator[Connection]:
    """A key risk area in each town, half of one seen; a target of the district and of each town."""
    with small_town(cluster, AS_OF) as connection:
        for x, share in ((600, 50), (2600, 10)):
            add_area(connection, add_site(connection, x, 100, hazard="blue", people=5), x, 100, 100, 100)
            add_camera(connection, x, 100, box(x, 100, share, 100), seen=AS_OF)
        for town in (None, TOWN_A, TOWN_B):
            connection.execute(
                "INSERT INTO registry.onboarding_target (town_code, year, areas, set_on) VALUES (%s, 2025, 4, '2025-01-01')",
                (town,),
            )
        yield connection


ASKED = {
    "cells": "SELECT count(*) FROM analysis.drawn_cell_on('2026-11-22')",
    "town": "SELECT array_agg(DISTINCT place ORDER BY place) FROM analysis.covered('town', %(since)s, %(at)s, %(at)s)",
    "district": "SELECT count(*) FROM analysis.covered('district', %(since)s, %(at)s, %(at)s)",
    "areas": "SELECT count(DISTINCT area_id) FROM analysis.area_hours(%(since)s, %(at)s, %(at)s)",
    "curve": "SELECT array_agg(target) FROM analysis.onboarding_on('2025-12-31')",
    "own_curve": "SELECT array_agg(year_joined) FROM analysis.onboarding_on('2025-12-31', '310116101000')",
    "other_curve": "SELECT array_agg(year_joined) FROM analysis.onboarding_on('2025-12-31', '310116102000')",
    "gaps": "SELECT count(*) FROM analysis.unseen_ground(%(at)s)",
    "places": "SELECT count(DISTINCT s ->> 'id') FROM analysis.next_cameras(9, %(at)s) AS n, jsonb_array_elements(n.sees) AS s",
}
# The span holds two hours, one of them still running. What each sees: all, its town, its community (cells, no town), its firm (neither).
EXPECTED = {
    "all": (10, [TOWN_A, TOWN_B], 2, 2, [4], [1], [1], 2, 2),
    "town": (6, [TOWN_A], 0, 1, None, [1], None, 1, 1),
    "community": (6, None, 0, 1, None, None, None, 1, 1),
    "firm": (0, None, 0, 1, None, None, None, 1, None),
}


@pytest.mark.parametrize("scope", list(EXPECTED))
def test_each_reader_gets_the_own_area(towns: Connection, scope: str) -> None:
    with towns.transaction(force_rollback=True):
        site = towns.execute("SELECT min(id) AS id FROM registry.site").fetchone()
        assert site is not None
        who = {
            "all": lambda: caller(towns, "cov.all", "analyst"),
            "town": lambda: caller(towns, "cov.town", "analyst", areas=[TOWN_A]),
            "community": lambda: caller(towns, "cov.village", "planner", areas=[COMMUNITY_A]),
            "firm": lambda: caller(towns, "cov.firm", "enterprise", sites=[site["id"]]),
        }[scope]()
        towns.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(who.db_role)))
        found = {}
        for name, question in ASKED.items():
            row = towns.execute(question.encode(), {"at": AS_OF, "since": AS_OF - HOUR}).fetchone()
            assert row is not None
            found[name] = next(iter(row.values()))
    expected = dict(zip(ASKED, EXPECTED[scope], strict=True))
    if scope == "firm":
        # A firm sees one cell, that of its site, and may be told of places there or of none.
        del expected["places"], found["places"]
    assert found == expected
