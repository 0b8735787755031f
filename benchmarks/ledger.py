"""The ledger at size: a day of many cameras added up by place, and what a camera's year of counters takes on disk.

Run: .venv/bin/python -m benchmarks.ledger [--cameras 20000 --rounds 5 --json FILE]
Prints JSON. Every roll-up reads cameras x 24 hours on one core (no parallel workers), a third of the hours with reasons;
seconds, the quickest round and the median. `peer` is a bare GROUP BY over the counters alone, which knows neither what was due and
not written nor what was not connected: the least that any roll-up costs. Storage: each row is written as the watch writes
it, as an insert and `updates` updates in batches, the hours of one month for 1,000 cameras with a vacuum now and then;
bytes per row, index included, times 8,760 hours.
"""

import argparse
import json
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.database.migrations import migrate

SRID = 4549
DAY = datetime(2026, 11, 21, 16, tzinfo=UTC)  # midnight in the city
HOURS_A_YEAR = 8760
Connection = psycopg.Connection[dict[str, Any]]


def main() -> None:
    """Reads the options, runs, prints JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cameras", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--storage-cameras", type=int, default=1000)
    parser.add_argument("--storage-hours", type=int, default=240)
    parser.add_argument("--updates", type=int, default=20)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="geoapp-ledger-"))
    home.chmod(0o755)
    cluster = PrivateCluster(home, throwaway=True)
    cluster.up()
    try:
        migrate(cluster.url(), srid=SRID)
        with connect(cluster.url(), autocommit=True) as connection:
            result = day_added_up(connection, asked.cameras, asked.rounds)
            result |= storage(connection, asked.storage_cameras, asked.storage_hours, asked.updates)
    finally:
        cluster.destroy()
    text = json.dumps(result, indent=1)
    print(text)
    if asked.json:
        asked.json.write_text(text, encoding="utf-8")


def add_cameras(connection: Connection, cameras: int) -> None:
    """Twelve towns, cameras of five to a site, all connected since two days before DAY, due every 30 s."""
    connection.execute(
        "INSERT INTO territory.city (name_zh, name_en, code, metric_srid) VALUES ('大城', 'Big', '310116', 4549)"
    )
    connection.execute(
        "INSERT INTO territory.unit (code, level, name_zh) VALUES ('310116000000', 'county', '大城区')"
    )
    connection.execute(
        "INSERT INTO territory.unit (code, level, parent_code, name_zh)"
        " SELECT '3101161' || lpad(n::text, 2, '0') || '000', 'town', '310116000000', '镇' || n"
        " FROM generate_series(1, 12) AS n"
    )
    connection.execute(
        "INSERT INTO registry.site (name_zh, geom) SELECT '店' || n, ST_SetSRID(ST_MakePoint(620000 + n, 3400000), 4549)"
        " FROM generate_series(1, %s) AS n",
        (cameras // 5,),
    )
    connection.execute("UPDATE watch.connection_record SET began_at = %s", (DAY - timedelta(days=2),))
    connection.execute(
        "INSERT INTO registry.camera (gb_id, name_zh, site_id, geom, town_code, snapshot_url, period_s)"
        " SELECT '31011601421320' || lpad(n::text, 6, '0'), 'c' || n, s.id, s.geom,"
        "  '3101161' || lpad((1 + n %% 12)::text, 2, '0') || '000', 'http://127.0.0.1:1/' || n, 30"
        " FROM generate_series(1, %s) AS n JOIN registry.site AS s ON s.id = 1 + n / 5 %% %s",
        (cameras, cameras // 5),
    )
    connection.execute("UPDATE watch.camera_connection SET since = %s", (DAY - timedelta(days=2),))


def day_added_up(connection: Connection, cameras: int, rounds: int) -> dict[str, Any]:
    """Seconds of each roll-up over one day of `cameras`, and of the peer."""
    add_cameras(connection, cameras)
    connection.execute("SELECT watch.make_hour_partitions(%s)", (DAY,))
    connection.execute(
        "INSERT INTO watch.observation_hour (camera_id, hour, due, observed, unobserved, reasons)"
        " SELECT c.id, h, 120, CASE WHEN (c.id + n) %% 3 = 0 THEN 100 ELSE 120 END,"
        "  CASE WHEN (c.id + n) %% 3 = 0 THEN 20 ELSE 0 END,"
        "  CASE WHEN (c.id + n) %% 3 = 0 THEN '{\"timeout\": 15, \"not_scanned\": 5}' ELSE '{}' END::jsonb"
        " FROM registry.camera AS c CROSS JOIN generate_series(0, 23) AS n"
        " CROSS JOIN LATERAL (SELECT %s::timestamptz + make_interval(hours => n) AS h) AS at"
        " WHERE (c.id + n) %% 50 <> 0",
        (DAY,),
    )
    connection.execute("VACUUM ANALYZE")
    connection.execute("SET max_parallel_workers_per_gather = 0")
    until = DAY + timedelta(days=1)
    asked = {
        f"{kind}_{step}_s": (kind, step) for kind in ("district", "town", "site") for step in ("hour", "day")
    }
    figures: dict[str, Any] = {"cameras": cameras, "camera_hours": cameras * 24}
    for name, (kind, step) in asked.items():
        figures[name] = timed(
            connection,
            rounds,
            "SELECT * FROM analysis.watched(%s, %s, %s, %s, %s)",
            kind,
            step,
            DAY,
            until,
            until,
        )
    figures["unwatched_at_03_s"] = timed(
        connection, rounds, "SELECT * FROM analysis.unwatched_at(%s, %s)", DAY + timedelta(hours=3), until
    )
    figures["hours_s"] = timed(
        connection,
        rounds,
        "SELECT count(*), sum(due) FROM analysis.observation_hours(%s, %s, %s)",
        DAY,
        until,
        until,
    )
    figures["peer_town_hour_s"] = timed(
        connection,
        rounds,
        "SELECT c.town_code, o.hour, sum(o.due), sum(o.observed) FROM watch.observation_hour AS o"
        " JOIN registry.camera AS c ON c.id = o.camera_id WHERE o.hour >= %s AND o.hour < %s GROUP BY 1, 2",
        DAY,
        until,
    )
    return figures


def timed(connection: Connection, rounds: int, query: str, *parameters: Any) -> list[float]:
    """Seconds of a query with its rows fetched: the quickest round, and the median."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        connection.execute(query.encode(), parameters).fetchall()
        took.append(time.perf_counter() - began)
    return [round(min(took), 3), round(statistics.median(took), 3)]


def storage(connection: Connection, cameras: int, hours: int, updates: int) -> dict[str, Any]:
    """Bytes of a camera-hour as the watch leaves it behind, and of a year."""
    month = datetime(2027, 3, 1, tzinfo=UTC)
    connection.execute("SELECT watch.make_hour_partitions(%s)", (month,))
    for n in range(hours):
        hour = month + timedelta(hours=n)
        for update in range(updates + 1):
            connection.execute(
                "INSERT INTO watch.observation_hour AS o (camera_id, hour, due, observed, unobserved, reasons)"
                " SELECT c.id, %(hour)s, 1, 1 - bad.n, bad.n, CASE bad.n WHEN 1 THEN '{\"timeout\": 1}' ELSE '{}' END::jsonb"
                " FROM (SELECT id FROM registry.camera ORDER BY id LIMIT %(cameras)s) AS c"
                " CROSS JOIN LATERAL (SELECT CASE WHEN c.id %% 10 = 0 THEN 1 ELSE 0 END AS n) AS bad"
                " ON CONFLICT (camera_id, hour) DO UPDATE SET due = o.due + 1, observed = o.observed + EXCLUDED.observed,"
                " unobserved = o.unobserved + EXCLUDED.unobserved",
                {"hour": hour, "cameras": cameras},
            )
            if update % 5 == 4:
                connection.execute("VACUUM watch.observation_hour_202703")
    row = connection.execute(
        "SELECT pg_table_size('watch.observation_hour_202703') AS heap, pg_indexes_size('watch.observation_hour_202703') AS index,"
        " (SELECT count(*) FROM watch.observation_hour_202703) AS rows"
    ).fetchone()
    assert row is not None
    bytes_a_row = (row["heap"] + row["index"]) / row["rows"]
    return {
        "rows": row["rows"],
        "heap_bytes_a_row": round(row["heap"] / row["rows"], 1),
        "index_bytes_a_row": round(row["index"] / row["rows"], 1),
        "mb_a_camera_year": round(bytes_a_row * HOURS_A_YEAR / 1e6, 3),
        "gb_1000_cameras_year": round(bytes_a_row * HOURS_A_YEAR * 1000 / 1e9, 3),
    }


if __name__ == "__main__":
    main()
