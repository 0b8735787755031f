"""Databases cloned from a template on the run's server, and the city and moment that tests agree on.

A module of its own, because `conftest` names another file in each folder that has one.
"""

import uuid
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from geoapp.database.cluster import PrivateCluster

SRID = 4549
# Every test's "now": a Sunday morning in the city, after the sample city's 90 days of history.
AS_OF = datetime(2026, 11, 22, 1, 30, tzinfo=UTC)
CITY_TEMPLATE = "geoapp_city"


def clone(cluster: PrivateCluster, template: str) -> str:
    """Name of a new database with the template's content."""
    name = f"t_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template))
        )
    return name


def drop(cluster: PrivateCluster, name: str) -> None:
    """Removes a database, whoever is connected to it."""
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
