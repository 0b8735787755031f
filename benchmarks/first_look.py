"""How long the sample city takes to build, to ask and to draw: medians over repeats, on a private PostGIS of its own.

Run: .venv/bin/python -m benchmarks.first_look [--sites 3000 --cells 1200 …]; prints a Markdown table.
fsync is on (the private cluster's own configuration); times are wall seconds or milliseconds of this machine, so
compare them within one run only.
"""

import argparse
import dataclasses
import math
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from etl.sample_city.build import DEMO, build_sample_city
from geoapp.access.accounts import add_account
from geoapp.access.caller import Caller, calling
from geoapp.access.sessions import caller_of_session, open_session
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect, open_pool
from geoapp.database.migrations import migrate
from layers.http import router

VIEWS = (
    "risk_site",
    "risk_cell",
    "coverage_cell",
    "coverage_gap",
    "duty_matrix",
    "duty_gap",
    "duty_cell",
    "headline",
)
# Tiles over the seat of Zhangyan, from the whole district to a street.
SEAT_LON, SEAT_LAT = 121.294, 30.804  # degrees, EPSG:4326
ZOOMS = (9, 11, 13, 14)
TILE_LAYERS = ("cell", "site", "key_risk_area", "camera_sector", "base")


def tile_at(zoom: int) -> tuple[int, int, int]:
    """The XYZ tile (z, x, y) of Web Mercator that holds the seat."""
    across = 2**zoom
    x = (SEAT_LON + 180) / 360 * across
    y = (1 - math.asinh(math.tan(math.radians(SEAT_LAT))) / math.pi) / 2 * across
    return zoom, int(x), int(y)


def median_ms(work: Callable[[], Any], repeats: int) -> tuple[float, float]:
    """Median and largest of `repeats` runs after one warm-up, milliseconds."""
    work()
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1e3)
    return statistics.median(taken), max(taken)


def district_caller(url: str) -> Caller:
    """A new committee account of the whole district, signed in."""
    now = datetime.now(UTC)
    with connect(url) as owner:
        account = add_account(owner, "first.look", "测量", ["committee"])
        found = caller_of_session(owner, open_session(owner, account, method="password", at=now), now)
    assert found is not None
    return found


def _asked_by(application: ASGIApp, caller: Caller) -> ASGIApp:
    """The application as the gate would call it for `caller`."""

    async def asked(scope: Scope, receive: Receive, send: Send) -> None:
        with calling(caller):
            await application(scope, receive, send)

    return asked


def rows_of(url: str, repeats: int) -> list[tuple[str, float, float]]:
    """Table rows (what, median ms, worst ms) for views and tiles of the city at `url`."""
    table: list[tuple[str, float, float]] = []
    with connect(url, autocommit=True) as connection:
        for view in VIEWS:
            query = f"SELECT * FROM analysis.{view}"
            table.append(
                (f"analysis.{view}", *median_ms(lambda q=query: connection.execute(q).fetchone(), repeats))
            )
        for layer in TILE_LAYERS:
            for z, x, y in map(tile_at, ZOOMS):
                query = f"SELECT tiles.{layer}({z}, {x}, {y})"
                timed = median_ms(lambda q=query: connection.execute(q).fetchone(), repeats)
                held = connection.execute(f"SELECT length(tiles.{layer}({z}, {x}, {y})) AS n").fetchone()
                assert held is not None
                table.append((f"tiles.{layer} z{z}, {(held['n'] or 0) / 1024:.0f} KiB", *timed))
    with open_pool(url) as pool:
        application = FastAPI()
        application.include_router(router(pool))
        client = TestClient(_asked_by(application, district_caller(url)))
        path = "/tiles/cell/{}/{}/{}.mvt".format(*tile_at(11))
        etag = client.get(path).headers["etag"]
        table.append(("HTTP cell z11, in the cache", *median_ms(lambda: client.get(path), repeats)))
        table.append(
            (
                "HTTP cell z11, 304",
                *median_ms(lambda: client.get(path, headers={"If-None-Match": etag}), repeats),
            )
        )
        for lens in ("risk", "coverage", "duty"):
            table.append(
                (f"HTTP /lens/{lens}.json", *median_ms(lambda n=lens: client.get(f"/lens/{n}.json"), repeats))
            )
    return table


def main() -> None:
    """Builds a city in a throw-away folder, measures, prints, removes the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    sizes = {f.name: f.type for f in dataclasses.fields(DEMO)}
    for name in sizes:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(DEMO, name))
    asked = vars(parser.parse_args())
    repeats = asked.pop("repeats")
    home = Path(tempfile.mkdtemp(prefix="geoapp-bench-"))
    home.chmod(0o755)
    cluster = PrivateCluster(home)
    try:
        start = time.perf_counter()
        cluster.up()
        migrate(cluster.url(), srid=4549)
        ready = time.perf_counter()
        with connect(cluster.url()) as connection:
            counts = build_sample_city(
                connection, size=dataclasses.replace(DEMO, **asked), seed=1, as_of=datetime.now(UTC)
            )
        built = time.perf_counter()
        print(f"database and schema {ready - start:.1f} s, sample city {built - ready:.1f} s: {counts}\n")
        print("| what | median ms | worst ms |\n|---|---|---|")
        for what, median, worst in rows_of(cluster.url(), repeats):
            print(f"| {what} | {median:.1f} | {worst:.1f} |")
    finally:
        cluster.destroy()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
