"""`geoapp sample-city` as a person uses it: on an empty server, twice, with sizes, with JSON."""

import json
from typing import Any

import psycopg
import pytest
from clones import SRID, drop
from typer.testing import CliRunner

from geoapp.cli import build
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.errors import Refused
from geoapp.settings import settings

RUNNER = CliRunner()


@pytest.fixture
def bare_url(cluster: PrivateCluster, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A database without any schema, named by GEOAPP_DATABASE_URL."""
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE t_bare_city")
    monkeypatch.setenv("GEOAPP_DATABASE_URL", cluster.url("t_bare_city"))
    settings.cache_clear()
    yield cluster.url("t_bare_city")
    settings.cache_clear()
    drop(cluster, "t_bare_city")


def test_it_migrates_fills_and_says_what_it_made_then_refuses_a_second_city(bare_url: str) -> None:
    command = build({"sample-city"})
    arguments = [
        "--small",
        "--json",
        "--seed",
        "9",
        "--days",
        "7",
        "--sites",
        "200",
        "--as-of",
        "2026-11-22T01:30:00",
    ]
    # With one command mounted, Typer leaves its name out.
    result = RUNNER.invoke(command, ["sample-city", *arguments])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["seed"], said["is_generated"], said["as_of"]) == (9, True, "2026-11-22T01:30:00+00:00")
    with connect(bare_url) as connection:
        city = connection.execute("SELECT * FROM territory.city").fetchone()
        assert city is not None
        assert (city["metric_srid"], city["seed"], city["is_generated"]) == (SRID, 9, True)
        for table, rows in said["rows"].items():
            stored = connection.execute(f"SELECT count(*) AS n FROM {table}".encode()).fetchone()
            assert stored == {"n": rows}, table
        assert said["rows"]["registry.site"] == 200

    again = RUNNER.invoke(command, ["sample-city", *arguments])
    assert again.exit_code == 1
    assert isinstance(again.exception, Refused)
    assert "金山区" in str(again.exception)


def test_sizes_out_of_range_are_wrong_usage(bare_url: str) -> None:
    result = RUNNER.invoke(build({"sample-city"}), ["sample-city", "--small", "--key-risk-areas", "5"])
    assert result.exit_code == 2
