"""Installations and cities that several tests of access use."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from clones import clone, drop

from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.settings import settings

Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installation of its own, without a key file yet."""
    monkeypatch.setenv("GEOAPP_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("GEOAPP_KEY_FILE", raising=False)
    settings.cache_clear()
    yield tmp_path / "home"
    settings.cache_clear()


@pytest.fixture(scope="module")
def url(cluster: PrivateCluster, city_template: str) -> Iterator[str]:
    """URL of the owner to a city of the module's own."""
    name = clone(cluster, city_template)
    yield cluster.url(name)
    drop(cluster, name)


@pytest.fixture(scope="module")
def owner(url: str) -> Iterator[Connection]:
    """The owner's autocommit connection to the module's city."""
    with connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def towns(owner: Connection) -> list[str]:
    """Codes of its towns, in order."""
    rows = owner.execute("SELECT code FROM territory.unit WHERE level = 'town' ORDER BY code").fetchall()
    return [r["code"] for r in rows]
