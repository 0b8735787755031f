"""Builds the city of benchmarks/access.py: millions of rows made inside the database, then the installation's own settings."""

import dataclasses
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from geoapp.access.accounts import add_account
from geoapp.access.caller import Caller, Connection
from geoapp.access.sessions import caller_of_session, open_session
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.database.migrations import migrate

RULE = Path(__file__).with_suffix(".sql")
SRID = 4549
LOADED = ("registry.site", "watch.incident", "watch.observation", "watch.evidence", "inspection.visit")


@dataclasses.dataclass(frozen=True)
class Size:
    """Numbers of rows."""

    towns: int = 11
    communities: int = 200
    sites: int = 1_000_000
    incidents: int = 10_000_000
    cameras: int = 5_000
    areas: int = 2_000
    frames: int = 100_000
    visits: int = 1_000_000
    hazards: int = 200_000


def city_at(home: Path, size: Size) -> PrivateCluster:
    """The city under `home`, running with the installation's own settings (fsync on); built first where it is not there.

    Raises ValueError where `home` holds one of another size, or one so old that its newest incidents are of another day.
    """
    home.mkdir(parents=True, exist_ok=True)
    home.chmod(0o755)
    os.environ["GEOAPP_HOME"] = str(home)
    cluster = PrivateCluster(home)
    built = home / "built"
    if not built.exists():
        build(PrivateCluster(home, throwaway=True), size)
        built.write_text(f"{size}\n", encoding="utf-8")
    elif built.read_text(encoding="utf-8").strip() != str(size):
        raise ValueError(f"{home} holds {built.read_text(encoding='utf-8').strip()}: take another --home.")
    cluster.up()
    migrate(cluster.url(), srid=SRID)  # views, policies and rights as they are now
    with connect(cluster.url()) as connection:
        row = connection.execute("SELECT max(last_seen_at) AS at FROM watch.incident").fetchone()
    assert row is not None
    if datetime.now(UTC) - row["at"] > timedelta(hours=12):
        raise ValueError(
            f"{home} is of {row['at']:%F}: lists of the last day would be empty; take another --home."
        )
    return cluster


def build(cluster: PrivateCluster, size: Size) -> None:
    """Makes the rows. Indexes are dropped and made again, triggers and foreign keys are off meanwhile."""
    start = time.perf_counter()
    cluster.destroy()  # a build that was cut off
    cluster.up()
    migrate(cluster.url(), srid=SRID)
    with connect(cluster.url(), autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET shared_buffers = '2GB'")
        connection.execute("ALTER SYSTEM SET max_wal_size = '20GB'")
    cluster.down()
    cluster.up()
    values = {**dataclasses.asdict(size), "as_of": f"'{datetime.now(UTC):%F %T%z}'::timestamptz"}
    rule = RULE.read_text(encoding="utf-8")
    for name, value in values.items():
        rule = rule.replace(f":{name}", str(value))
    with connect(cluster.url(), autocommit=True) as connection:
        connection.execute("SET geoapp.batch = 'benchmark'")
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET maintenance_work_mem = '1GB'")
        connection.execute("SET work_mem = '256MB'")
        indexes = dropped_indexes(connection)
        connection.execute(rule.encode())
        print(f"rows {time.perf_counter() - start:.0f} s", flush=True)
        for index in indexes:
            connection.execute(index.encode())
        print(f"indexes {time.perf_counter() - start:.0f} s", flush=True)
        # What triggers would have kept.
        for made_by in (
            "registry.rebuild_sights()",
            "watch.rebuild_events()",
            "registry.rebuild_site_bin(true)",
        ):
            connection.execute(f"SELECT {made_by}".encode())
            print(f"{made_by} {time.perf_counter() - start:.0f} s", flush=True)
        connection.execute("ALTER SYSTEM RESET ALL")
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
    cluster.down()
    print(f"built in {time.perf_counter() - start:.0f} s", flush=True)


def dropped_indexes(connection: Connection) -> list[str]:
    """Drops the indexes of the large tables (those of constraints stay) and returns the statements that make them again."""
    rows = connection.execute(
        """
        SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS made_by
        FROM pg_index AS i
        WHERE i.indrelid = ANY (%s::regclass[])
            AND NOT EXISTS (SELECT 1 FROM pg_constraint AS c WHERE c.conindid = i.indexrelid)
        """,
        (list(LOADED),),
    ).fetchall()
    for row in rows:
        connection.execute(f"DROP INDEX {row['name']}")
    return [row["made_by"] for row in rows]


def caller_of(owner: Connection, login: str, role: str, areas: list[str], sites: list[int]) -> Caller:
    """The account of this name, made where it is not there, as a caller with a session."""
    now = datetime.now(UTC)
    row = owner.execute("SELECT id FROM access.account WHERE login = %s", (login,)).fetchone()
    account = row["id"] if row else add_account(owner, login, login, [role], areas=areas, sites=sites)
    token = open_session(owner, account, method="password", at=now)
    found = caller_of_session(owner, token, now)
    if found is None:
        raise psycopg.DataError(f"the account {login} has no session")
    return found
