"""Coverage at size: 20,000 cells against the sectors of 20,000 cameras.

Run: .venv/bin/python -m benchmarks.coverage [--cells 20000 --cameras 20000 --rounds 5 --json FILE]
Prints JSON; seconds. A private cluster with the installation's own settings, fsync on. Cells are squares of 250 m; cameras stand
at random places, reach 60 to 250 m, see 40 to 110 degrees (as in the study of this question).
rebuild: registry.rebuild_sights(), every cell's ground by the cameras that see it, reckoned anew and stored. drawn: all cells from
the kept rows (analysis.drawn_cell_on). shapely: the same areas by an index of trees, clipped and united per cell, one thread: the
peer. lens: /lens/coverage.json's query. hour: analysis.covered by cell for one hour of the ledger, where a third of the cameras did
not look. day: all cells and 24 hours; areas_hour: analysis.area_hours of one hour. moved: a camera turned somewhere else and
committed, with all triggers and the kept rows of its cells, and their figures read; offline: a camera drops out, and its cells'
figures are read. At the end the kept rows are compared with a rebuild.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import shapely

from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.database.migrations import migrate
from geoapp.database.sql_files import read_sql

SRID = 4549
X0, Y0, SIDE = 620_000, 3_400_000, 250
DAY = datetime(2026, 11, 21, 16, tzinfo=UTC)  # midnight in the city
Connection = psycopg.Connection[dict[str, Any]]
DRAWN = "SELECT * FROM analysis.drawn_cell_on('2026-11-22')"
KEPT = "SELECT cell_code, camera_ids, sum(m2) AS m2 FROM registry.cell_sight GROUP BY cell_code, camera_ids"
AREAS = 1_000


def main() -> None:
    """Reads the options, runs, prints JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--cameras", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--moves", type=int, default=50)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="geoapp-coverage-"))
    home.chmod(0o755)
    cluster = PrivateCluster(home, throwaway=True)
    cluster.up()
    try:
        migrate(cluster.url(), srid=SRID)
        with connect(cluster.url(), autocommit=True) as connection:
            made = time.perf_counter()
            make_city(connection, asked.cells, asked.cameras)
            result = {
                "cells": asked.cells,
                "cameras": asked.cameras,
                "made_s": round(time.perf_counter() - made, 2),
            }
            result |= full(connection, asked.rounds) | peer(connection)
            result |= moved(connection, cluster.url(), asked.moves)
            result |= hours(connection, asked.rounds)
    finally:
        cluster.destroy()
    text = json.dumps(result, indent=1)
    print(text)
    if asked.json:
        asked.json.write_text(text, encoding="utf-8")


def make_city(connection: Connection, cells: int, cameras: int) -> None:
    """One town of square cells; cameras with sectors at random, the same each time, connected for two days."""
    columns = int(np.ceil(np.sqrt(cells)))
    run = connection.execute
    run(
        "INSERT INTO territory.city (name_zh, name_en, code, metric_srid) VALUES ('大城', 'Big', '310116', 4549)"
    )
    for code, level, parent in (
        ("310116000000", "county", None),
        ("310116101000", "town", "310116000000"),
    ):
        run(
            "INSERT INTO territory.unit (code, level, parent_code, name_zh) VALUES (%s, %s, %s, '大城')",
            (code, level, parent),
        )
    run(
        "INSERT INTO territory.unit (code, level, parent_code, name_zh)"
        " SELECT '310116101' || lpad(n::text, 3, '0'), 'community', '310116101000', '村' || n"
        " FROM generate_series(1, %s) AS n",
        (cells // 999 + 1,),
    )
    run("SET session_replication_role = replica")
    run(
        "INSERT INTO territory.grid_cell (code, community_code, geom)"
        " SELECT '310116101' || lpad((n / 999 + 1)::text, 3, '0') || '1' || lpad((n %% 999 + 1)::text, 3, '0') || '00',"
        "  '310116101' || lpad((n / 999 + 1)::text, 3, '0'),"
        "  ST_MakeEnvelope(%(x)s + n %% %(c)s * %(s)s, %(y)s + n / %(c)s * %(s)s,"
        "   %(x)s + (n %% %(c)s + 1) * %(s)s, %(y)s + (n / %(c)s + 1) * %(s)s, 4549)"
        " FROM generate_series(0, %(n)s - 1) AS n",
        {"x": X0, "y": Y0, "s": SIDE, "c": columns, "n": cells},
    )
    run("SET session_replication_role = origin")
    run("UPDATE watch.connection_record SET began_at = %s", (DAY - timedelta(days=2),))
    run("SELECT setseed(0.5)")
    run("SELECT set_config('geoapp.batch', 'benchmark', false)")
    run(
        "INSERT INTO registry.camera (gb_id, name_zh, geom, sector, snapshot_url, period_s)"
        " SELECT '31011601421320' || lpad(n::text, 6, '0'), 'c' || n, p.at,"
        "  registry.wedge(p.at, p.azimuth, p.hfov, p.reach), 'http://127.0.0.1:1/' || n, 30"
        " FROM (SELECT n, ST_SetSRID(ST_MakePoint(%(x)s + random() * %(w)s, %(y)s + random() * %(w)s), 4549) AS at,"
        "  random() * 360 AS azimuth, 40 + random() * 70 AS hfov, 60 + random() * 190 AS reach"
        "  FROM generate_series(1, %(n)s) AS n) AS p",
        {"x": X0, "y": Y0, "w": columns * SIDE, "n": cameras},
    )
    run(
        "INSERT INTO watch.camera_health (camera_id, observed, since, last_try_at, last_observed_at)"
        " SELECT c.id, true, now(), now(), now() FROM registry.camera AS c"
    )
    # However long this takes: what was seen at the beginning counts as online.
    run("UPDATE analysis.parameter SET value = 100000 WHERE name = 'camera_online_minutes'")
    run(
        "INSERT INTO registry.site (name_zh, geom, town_code) SELECT '场所', c.geom, '310116101000' FROM registry.camera AS c ORDER BY c.id LIMIT 1"
    )
    run(
        "INSERT INTO registry.key_risk_area (code, site_id, name_zh, kind, level, geom, town_code)"
        " SELECT 'K' || c.id, s.id, '区', 'yard', 'red', ST_Expand(c.geom, 40), '310116101000'"
        " FROM registry.camera AS c CROSS JOIN registry.site AS s WHERE c.id <= %s",
        (AREAS,),
    )
    run("UPDATE watch.camera_connection SET since = %s", (DAY - timedelta(days=2),))
    run("SELECT watch.make_hour_partitions(%s)", (DAY,))
    run(
        "INSERT INTO watch.observation_hour (camera_id, hour, due, observed, unobserved, reasons)"
        " SELECT c.id, %s::timestamptz + make_interval(hours => n), 120, CASE WHEN (c.id + n) %% 3 = 0 THEN 0 ELSE 120 END,"
        "  CASE WHEN (c.id + n) %% 3 = 0 THEN 120 ELSE 0 END, '{}' FROM registry.camera AS c CROSS JOIN generate_series(0, 23) AS n",
        (DAY,),
    )
    run("VACUUM ANALYZE")


def full(connection: Connection, rounds: int) -> dict[str, Any]:
    """Seconds of all cells, made and read, and how much is covered."""
    figures: dict[str, Any] = {
        "rebuild_s": timed(connection, rounds, "SELECT registry.rebuild_sights()"),
        "drawn_s": timed(connection, rounds, DRAWN),
        "lens_s": timed(connection, rounds, read_sql("layers/lens_coverage"), {"as_of": None}),
    }
    row = connection.execute(f"SELECT sum(drawn_m2) / 1e6 AS km2, sum(camera_count) AS pairs FROM ({DRAWN}) AS d".encode()).fetchone()  # fmt: skip
    kept = connection.execute("SELECT count(*) AS n, pg_total_relation_size('registry.cell_sight') / 1e6 AS mb FROM registry.cell_sight").fetchone()  # fmt: skip
    assert row is not None
    assert kept is not None
    return figures | {"covered_km2": round(row["km2"], 4), "pairs": int(row["pairs"]), "kept_rows": kept["n"], "kept_mb": round(float(kept["mb"]), 1)}  # fmt: skip


def peer(connection: Connection) -> dict[str, Any]:
    """The same by shapely: an index of trees, clipped pair by pair, united per cell. Rows already in memory."""
    cells = shapely.from_wkb([bytes(r["g"]) for r in connection.execute("SELECT ST_AsBinary(geom) AS g FROM territory.grid_cell").fetchall()])  # fmt: skip
    sectors = shapely.from_wkb([bytes(r["g"]) for r in connection.execute("SELECT ST_AsBinary(ground) AS g FROM registry.camera").fetchall()])  # fmt: skip
    began, cpu = time.perf_counter(), time.process_time()
    cell, sector = shapely.STRtree(sectors).query(cells, predicate="intersects")
    clips = shapely.intersection(cells[cell], sectors[sector])
    order = np.argsort(cell, kind="stable")
    groups = np.split(clips[order], np.flatnonzero(np.diff(cell[order])) + 1)
    area = sum(float(shapely.area(g[0] if len(g) == 1 else shapely.union_all(g))) for g in groups)
    took, used = time.perf_counter() - began, time.process_time() - cpu
    return {
        "shapely_s": round(took, 2),
        "shapely_processor_s": round(used, 2),
        "shapely_km2": round(area / 1e6, 4),
    }


def hours(connection: Connection, rounds: int) -> dict[str, Any]:
    """Seconds of one hour and of a day from the ledger."""
    query = "SELECT * FROM analysis.covered('cell', %s, %s, %s)"
    until = DAY + timedelta(days=1)
    an_hour = (DAY + timedelta(hours=3), DAY + timedelta(hours=4), until)
    return {
        "hour_s": timed(connection, rounds, query, an_hour),
        "areas_hour_s": timed(connection, rounds, "SELECT * FROM analysis.area_hours(%s, %s, %s)", an_hour),
        "areas_day_s": timed(connection, 1, "SELECT * FROM analysis.area_verdicts(%s, %s, %s)", (DAY, until, until)),
        "day_s": timed(connection, 1, query, (DAY, until, until)),
        "town_day_s": timed(connection, 1, "SELECT * FROM analysis.covered_window('town', %s, %s, %s)", (DAY, until, until)),
    }  # fmt: skip


def moved(connection: Connection, url: str, moves: int) -> dict[str, Any]:
    """Milliseconds from the statement that turns a camera to the new figures of the cells that it touches; and of one that
    drops out. A new connection for the first of each, whose time is told apart."""
    turn = "UPDATE registry.camera SET sector = ST_Rotate(sector, 1, geom) WHERE id = %s"
    drop = "UPDATE watch.camera_health SET last_observed_at = now() - interval '1 year' WHERE camera_id = %s"
    figures: dict[str, Any] = {"moves": moves}
    for name, statement in (("moved", turn), ("offline", drop)):
        took = []
        with connect(url, autocommit=True) as fresh:
            used = processor_s(fresh)
            for move in range(moves):
                camera = 1 + move * 97
                began = time.perf_counter()
                touched = cells_under(fresh, camera)
                fresh.execute(statement.encode(), (camera,))
                touched = sorted({*touched, *cells_under(fresh, camera)})
                fresh.execute(
                    "SELECT s.* FROM analysis.cells_seen_by(ARRAY(SELECT c.id FROM analysis.camera_at(now()) AS c"
                    " WHERE c.is_online AND c.id = ANY (ARRAY(SELECT k.id FROM analysis.cell_sights(%s) AS t"
                    " CROSS JOIN LATERAL unnest(t.camera_ids) AS k (id)))), %s) AS s"
                    if name == "offline"
                    else "SELECT * FROM analysis.drawn_cell_on('2026-11-22', %s)",
                    (touched, touched) if name == "offline" else (touched,),
                ).fetchall()
                took.append((time.perf_counter() - began) * 1000)
            used = processor_s(fresh) - used
        figures[f"{name}_processor_ms_mean"] = round(used / moves * 1000, 1)
        figures[f"{name}_first_ms"] = round(took[0], 2)
        figures[f"{name}_ms_median"] = round(statistics.median(took[1:]), 2)
        figures[f"{name}_ms_p95"] = round(sorted(took[1:])[int(len(took) * 0.95) - 1], 2)
        figures[f"{name}_ms_worst"] = round(max(took[1:]), 2)
    kept = as_kept(connection)
    connection.execute("SELECT registry.rebuild_sights()")
    anew = as_kept(connection)
    worst = max(abs(kept.get(key, 0.0) - anew.get(key, 0.0)) for key in {*kept, *anew})
    if worst > 0.01:
        raise SystemExit(f"After the moves the kept rows differ from a rebuild by {worst} m2.")
    return figures


def as_kept(connection: Connection) -> dict[tuple[str, tuple[int, ...]], float]:
    """The kept rows, by cell and cameras."""
    return {
        (r["cell_code"], tuple(r["camera_ids"])): r["m2"]
        for r in connection.execute(KEPT.encode()).fetchall()
    }


def cells_under(connection: Connection, camera: int) -> list[str]:
    """Codes of the cells that a camera's sector touches."""
    row = connection.execute("SELECT analysis.cells_under(%s) AS codes", ([camera],)).fetchone()
    assert row is not None
    return list(row["codes"])


def timed(connection: Connection, rounds: int, query: str, values: Any = None) -> dict[str, float]:
    """Seconds of a query with its rows fetched: quickest round and median by the clock, median of the server process's own."""
    took, used = [], []
    for _ in range(rounds):
        began, cpu = time.perf_counter(), processor_s(connection)
        connection.execute(query.encode(), values).fetchall()
        took.append(time.perf_counter() - began)
        used.append(processor_s(connection) - cpu)
    return {
        "quickest": round(min(took), 3),
        "median": round(statistics.median(took), 3),
        "processor": round(statistics.median(used), 3),
    }


def processor_s(connection: Connection) -> float:
    """Seconds of processor time that the connection's server process has used; the machine may be busy with other work."""
    fields = Path(f"/proc/{connection.info.backend_pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
