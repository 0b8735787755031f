"""A real private PostGIS for the run: one cluster per worker, one cloned database per test."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from argon2 import PasswordHasher
from clones import AS_OF, CITY_TEMPLATE, SRID, clone, drop
from psycopg import sql

from geoapp.access import passwords
from geoapp.database.cluster import DATABASE, PrivateCluster
from geoapp.database.connection import connect
from geoapp.database.migrations import migrate

# A file runs in one worker, where its city and its browser are made once: the long files go first, or the last one would
# keep everybody waiting.
LONG_FILES = (
    "test_demo.py", "test_browser.py", "test_matrix_http.py", "test_attacks.py", "test_no_secret_leaks.py",
    "test_review_desk_browser.py", "test_rows_never_lost.py", "test_health_events.py", "test_load.py", "test_watch.py",
    "test_models.py", "test_cluster.py", "test_user_command.py", "test_sign_in.py", "test_sign_in_page.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, the others in their order."""
    items.sort(
        key=lambda item: LONG_FILES.index(item.path.name) if item.path.name in LONG_FILES else len(LONG_FILES)
    )


@pytest.fixture(scope="session", autouse=True)
def quick_hashes() -> Iterator[PasswordHasher]:
    """Passwords are hashed with argon2id at its least cost: a thousand accounts would take minutes. Gives the real hasher."""
    real, passwords._hasher = passwords._hasher, PasswordHasher(1, 8, 1)
    yield real
    passwords._hasher = real


@pytest.fixture
def real_hashes(quick_hashes: PasswordHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes as an installation makes them."""
    passwords._nobodys_hash.cache_clear()
    monkeypatch.setattr(passwords, "_hasher", quick_hashes)


@pytest.fixture(scope="session", autouse=True)
def certificates_read_once() -> Iterator[None]:
    """Every httpx client reads all certificates anew, a tenth of a second each, and no test needs one of them."""
    from httpx._transports import default

    made = httpx.create_ssl_context()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            default,
            "create_ssl_context",
            lambda verify=True, cert=None, trust_env=True: (
                made if verify is True and cert is None else httpx.create_ssl_context(verify, cert, trust_env)
            ),
        )
        yield


def _in_memory() -> str | None:
    """A folder in memory, where a database is cloned in two thirds of the time; None where there is no room for one."""
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 8 << 30
    return str(memory) if has_room else None


@pytest.fixture(scope="session")
def cluster() -> Iterator[PrivateCluster]:
    """A throw-away server of this run. A guard destroys it when the run ends, even by kill -9."""
    home = Path(tempfile.mkdtemp(prefix="geoapp-test-", dir=_in_memory()))
    if os.geteuid() == 0:
        home.chmod(0o755)  # the server's account must pass
    guard = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("server_guard.py")), str(home)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    private = PrivateCluster(home, throwaway=True)
    private.up()
    migrate(private.url(), srid=SRID)
    yield private
    assert guard.stdin is not None
    guard.stdin.close()
    guard.wait(60)


@pytest.fixture
def empty_url(cluster: PrivateCluster) -> Iterator[str]:
    """URL of a database with the schema and no city."""
    name = clone(cluster, DATABASE)
    yield cluster.url(name)
    drop(cluster, name)


@pytest.fixture(scope="session")
def city_template(cluster: PrivateCluster) -> str:
    """Name of a database that holds a small sample city, built once a run; clone it, do not write into it."""
    from etl.sample_city.build import SMALL, build_sample_city

    name = clone(cluster, DATABASE)
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                sql.Identifier(name), sql.Identifier(CITY_TEMPLATE)
            )
        )
    with connect(cluster.url(CITY_TEMPLATE)) as connection:
        build_sample_city(connection, size=SMALL, seed=116, as_of=AS_OF)
    return CITY_TEMPLATE


@pytest.fixture
def city_url(cluster: PrivateCluster, city_template: str) -> Iterator[str]:
    """URL of a database of one's own that holds the small sample city as of AS_OF."""
    name = clone(cluster, city_template)
    yield cluster.url(name)
    drop(cluster, name)


@pytest.fixture
def city(city_url: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """An autocommit connection to `city_url`."""
    with connect(city_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def make_database(cluster: PrivateCluster) -> Iterator[Callable[[str], str]]:
    """A function that clones a template by name and gives the clone's URL; all are dropped at the end."""
    names: list[str] = []

    def make(template: str = DATABASE) -> str:
        names.append(clone(cluster, template))
        return cluster.url(names[-1])

    yield make
    for name in names:
        drop(cluster, name)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of real data (GEOAPP_REAL_DATA); skips where it is absent."""
    value = os.environ.get("GEOAPP_REAL_DATA")
    if not value or not Path(value).is_dir():
        pytest.skip("GEOAPP_REAL_DATA names no folder of real data")
    return Path(value)
