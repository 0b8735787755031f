"""Tiles of all cells at small scales: from the simplified coverage, from full outlines, and simplified on the fly.

Run: .venv/bin/python -m benchmarks.small_scales [--cells 50000 --rounds 5 --json FILE]
Prints JSON. A private cluster with fsync on. The grid is wavy cells of 41 vertices, about 200 m wide (benchmarks.wavy_grid),
in communities of 50. Per zoom: the middle tile's median milliseconds in PostgreSQL (uncached) and its bytes, raw and gzipped, by
simplified: tiles.cell as it stands; full: the same query over territory.grid_cell; live: ST_SimplifyPreserveTopology on the fly, which
leaves cracks (the peer). renewed: seconds of renew_simplified for everything, for nothing changed, and after one cell was split;
loaded: seconds of an UPDATE of every tenth cell's name, with its triggers.
"""

import argparse
import gzip
import json
import math
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import shapely

from benchmarks.wavy_grid import wavy_grid
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.database.migrations import migrate
from geoapp.territory.simplified import renew_simplified

SRID, X0, Y0 = 4549, 600_000, 3_400_000
Connection = psycopg.Connection[dict[str, Any]]
WAYS = {
    "simplified": "SELECT tiles.cell(%(z)s, %(x)s, %(y)s) AS tile",
    "full": """
        SELECT ST_AsMVT(f, 'cell', 4096, 'geom', 'id') AS tile FROM (
            SELECT c.cell_no AS id, c.code, c.town_code,
                ST_AsMVTGeom(c.geom_3857, ST_TileEnvelope(%(z)s, %(x)s, %(y)s), 4096, 64, true) AS geom
            FROM territory.grid_cell AS c WHERE c.geom_3857 && tiles.search_box(%(z)s, %(x)s, %(y)s)
        ) AS f WHERE f.geom IS NOT NULL""",
    "live": """
        SELECT ST_AsMVT(f, 'cell', 4096, 'geom', 'id') AS tile FROM (
            SELECT c.cell_no AS id, c.code, c.town_code,
                ST_AsMVTGeom(ST_SimplifyPreserveTopology(c.geom_3857, %(tolerance)s),
                    ST_TileEnvelope(%(z)s, %(x)s, %(y)s), 4096, 64, true) AS geom
            FROM territory.grid_cell AS c WHERE c.geom_3857 && tiles.search_box(%(z)s, %(x)s, %(y)s)
        ) AS f WHERE f.geom IS NOT NULL""",
}


def main() -> None:
    """Reads the options, runs, prints JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="geoapp-scales-"))
    home.chmod(0o755)
    cluster = PrivateCluster(home, throwaway=True)
    cluster.up()
    try:
        migrate(cluster.url(), srid=SRID)
        with connect(cluster.url(), autocommit=True) as connection:
            result = {"cells": make_grid(connection, asked.cells)} | renewals(connection)
            result["zooms"] = {z: zoom(connection, z, asked.rounds) for z in (9, 10, 11, 12)}
    finally:
        cluster.destroy()
    text = json.dumps(result, indent=1)
    print(text)
    if asked.json:
        asked.json.write_text(text, encoding="utf-8")


def make_grid(connection: Connection, wanted: int) -> int:
    """One town of wavy cells in communities of 50; the number of cells."""
    side = math.isqrt(wanted - 1) + 1
    cells = shapely.transform(wavy_grid(side, np.random.default_rng(116)), lambda xy: xy + np.array([X0, Y0]))
    run = connection.execute
    run(
        "INSERT INTO territory.city (name_zh, name_en, code, metric_srid) VALUES ('大城', 'Big', '310116', 4549)"
    )
    run("INSERT INTO territory.unit (code, level, name_zh) VALUES ('310116000000', 'county', '大城')")
    communities = [f"3101161{n // 99:02d}{n % 99 + 1:03d}" for n in range(len(cells) // 50 + 1)]
    towns = sorted({f"{c[:9]}000" for c in communities})
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO territory.unit (code, level, parent_code, name_zh) VALUES (%s, %s, %s, '')",
            [(t, "town", "310116000000") for t in towns]
            + [(c, "community", f"{c[:9]}000") for c in communities],
        )
        with cursor.copy("COPY territory.grid_cell (code, community_code, geom) FROM STDIN") as copy:
            for n, wkb in enumerate(
                shapely.to_wkb(shapely.set_srid(cells, SRID), hex=True, include_srid=True)
            ):
                community = communities[n // 50]
                copy.write_row((f"{community}1{n % 50 + 1:03d}00", community, wkb))
    run("ANALYZE territory.grid_cell")
    return len(cells)


def renewals(connection: Connection) -> dict[str, float]:
    """Seconds of making all outlines, of finding nothing to do, after one cell was replaced, and of a change of names."""
    whole = _timed(lambda: renew_simplified(connection))
    nothing = _timed(lambda: renew_simplified(connection))
    [row] = connection.execute(
        "SELECT * FROM territory.grid_cell ORDER BY cell_no OFFSET 12345 LIMIT 1"
    ).fetchall()
    connection.execute(
        "UPDATE territory.grid_cell SET geom = ST_ReducePrecision(geom, 0.001) WHERE cell_no = %s",
        (row["cell_no"],),
    )
    one = _timed(lambda: renew_simplified(connection))
    names = _timed(
        lambda: connection.execute("UPDATE territory.grid_cell SET name_zh = '甲' WHERE cell_no % 10 = 0")
    )
    renew_simplified(connection)
    connection.execute("VACUUM ANALYZE territory.cell_simplified")
    connection.execute("VACUUM ANALYZE territory.grid_cell")
    return {"renewed_all_s": whole, "renewed_nothing_s": nothing, "renewed_one_s": one, "names_s": names}


def _timed(work: Any) -> float:
    start = time.perf_counter()
    work()
    return round(time.perf_counter() - start, 3)


def zoom(connection: Connection, z: int, rounds: int) -> dict[str, Any]:
    """Median milliseconds and bytes of the tile of a zoom that holds the grid's middle, each way."""
    row = connection.execute(
        "SELECT ST_X(p) AS lon, ST_Y(p) AS lat FROM (SELECT ST_Transform(ST_Centroid(ST_Extent(geom)::geometry(Polygon, 4549)), 4326) AS p"
        " FROM territory.grid_cell) AS c"
    ).fetchone()
    assert row is not None
    n = 2**z
    x = int((row["lon"] + 180) / 360 * n)
    y = int((1 - math.asinh(math.tan(math.radians(row["lat"]))) / math.pi) / 2 * n)
    values = {"z": z, "x": x, "y": y, "tolerance": 40075016.68 / n / 512}
    found: dict[str, Any] = {}
    for name, query in WAYS.items():
        times = []
        tile = b""
        for _ in range(rounds):
            start = time.perf_counter()
            answer = connection.execute(query.encode(), values, prepare=False).fetchone()
            times.append(1000 * (time.perf_counter() - start))
            assert answer is not None
            tile = bytes(answer["tile"])
        found[name] = {
            "ms": round(statistics.median(times), 1),
            "bytes": len(tile),
            "gzip": len(gzip.compress(tile, 5)),
        }
    return found


if __name__ == "__main__":
    main()
