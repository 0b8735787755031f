"""A database of the watch's own per run, emptied before each test (cloning one takes longer than emptying it)."""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from clones import clone, drop
from psycopg import sql
from watching import CameraServer

from geoapp.database.cluster import DATABASE, PrivateCluster
from geoapp.database.connection import connect


@pytest.fixture(scope="session")
def watch_database(cluster: PrivateCluster) -> Iterator[str]:
    name = f"watch_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(DATABASE))
        )
    yield cluster.url(name)
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def watch_url(watch_database: str) -> str:
    """URL of a database with the schema, without a city and without cameras."""
    with connect(watch_database, autocommit=True) as connection:
        connection.execute(
            "TRUNCATE registry.camera, registry.site, watch.outbox, watch.observation, watch.incident"
            " RESTART IDENTITY CASCADE"
        )
    return watch_database


@pytest.fixture
def ground(watch_url: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """An autocommit connection to `watch_url`."""
    with connect(watch_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def evidence_database(cluster: PrivateCluster) -> Iterator[str]:
    name = clone(cluster, DATABASE)
    yield cluster.url(name)
    drop(cluster, name)


@pytest.fixture
def evidence_url(evidence_database: str) -> Iterator[str]:
    """URL of a database for legal holds, emptied after each test by who owns it: nothing else removes a hold."""
    yield evidence_database
    guards = (
        ("watch.evidence", "evidence_held"), ("watch.evidence", "evidence_held_all"), ("watch.incident", "incident_held"),
        ("watch.legal_hold", "hold_written"), ("watch.legal_hold", "hold_kept"), ("access.audit", "audit_keep_rows"),
        ("access.audit", "audit_keep_all"),
    )  # fmt: skip
    with connect(evidence_database) as connection:
        for table, trigger in guards:
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}".encode())
        connection.execute(
            "TRUNCATE registry.camera, watch.outbox, watch.observation, watch.incident, watch.deletion, watch.legal_hold,"
            " watch.evidence_room, access.audit RESTART IDENTITY CASCADE"
        )
        connection.execute("DELETE FROM watch.retention_policy WHERE class <> 'any'")
        for table, trigger in guards:
            connection.execute(f"ALTER TABLE {table} ENABLE ALWAYS TRIGGER {trigger}".encode())


@pytest.fixture
def server() -> Iterator[CameraServer]:
    cameras = CameraServer()
    yield cameras
    cameras.close()
