"""Tiles of gaps and of the risk of sites at city scale: the layers' own functions against the query that their declaration composes.

    .venv/bin/python -m benchmarks.gap_tiles --url postgresql://… [--rounds 3 --composed --json FILE]

URL is the owner's address of a database made by benchmarks.access_city whose scores are kept (`analysis.keep_risk`; what is due is
kept first). One connection, no HTTP; milliseconds on the clock by zoom, places dense and sparse in turn, the city's middle first.
`--composed` asks the tile of the city's middle of the composed query, too, which takes seconds.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.tiles import Tile, tiles_of
from geoapp.database.connection import connect
from geoapp.database.migrations import stored_srid
from layers.registry import layer
from layers.tile_query import tile_query
from layers.tiles import make_tile

LAYERS = ("coverage_gap", "duty_gap", "risk_site", "risk_cell", "key_risk_area", "observed_hours")
ZOOMS = (8, 9, 10, 11, 12, 13, 14)


def timed(
    owner: psycopg.Connection[dict[str, Any]], name: str, places: list[Tile], rounds: int, srid: int | None
) -> dict[str, float]:
    """Median and worst milliseconds of a layer's tiles, and the largest one's size; srid: of the composed query in this zone."""
    clocks, size = [], 0
    for _ in range(rounds):
        for place in places:
            began = time.perf_counter()
            if srid is None:
                tile = make_tile(owner, layer(name), *place)
            else:
                row = owner.execute(tile_query(layer(name), *place, srid), binary=True).fetchone()
                tile = bytes((row or {})["tile"] or b"")
            clocks.append(1000 * (time.perf_counter() - began))
            size = max(size, len(tile))
    return {
        "median_ms": round(statistics.median(clocks), 1),
        "worst_ms": round(max(clocks), 1),
        "kb": size // 1000,
        "load": round(os.getloadavg()[0], 1),
    }


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--url", required=True)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--composed", action="store_true")
    asked.add_argument("--json", type=Path)
    given = asked.parse_args()
    srid = stored_srid(given.url)
    found: dict[str, dict[str, dict[str, float]]] = {}
    with connect(given.url, autocommit=True) as owner:
        owner.execute("SELECT * FROM analysis.keep_risk()")
        for name in LAYERS:
            for zoom in ZOOMS:
                if zoom < layer(name).min_zoom:
                    continue
                places = tiles_of(owner, zoom, 4)
                timed(owner, name, places[:1], 1, None)  # read once
                told = found.setdefault(
                    f"{name} {zoom}", {"own": timed(owner, name, places, given.rounds, None)}
                )
                if given.composed:
                    told["composed"] = timed(owner, name, places[:1], 1, srid)
                print(f"{name} {zoom}: {told}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
