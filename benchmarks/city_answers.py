"""What the first screen and the panels of a large city ask for beside tiles: lenses, headline, towns, legends, drawers, over HTTP.

Run: .venv/bin/python -m benchmarks.city_answers --url LIBPQ_URL [--rounds 5 --json FILE]
URL is the owner's address of a database made by benchmarks.access_city, of this program's revision; scores are kept first
(`analysis.keep_risk`), as the watch does. The whole application in a process of its own, asked as a committee of the whole
district; between two rounds the answers that are kept for some seconds get old, so each is worked out. Seconds on the clock.
"""

import argparse
import contextlib
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.tiles import OURS, Asker, server, spread, timed
from geoapp.access.accounts import add_account
from geoapp.access.sessions import open_session
from geoapp.access.web_role import web_url
from geoapp.database.connection import connect
from layers.recent_answers import ANSWER_AGE_S
from layers.registry import LAYERS


def paths_of(owner: Any) -> list[str]:
    """Addresses that a map asks for; the cell is the middle one by number."""
    cell = owner.execute(
        "SELECT c.code, ST_X(c.at) AS lon, ST_Y(c.at) AS lat FROM ("
        "  SELECT g.code, ST_Transform(ST_Centroid(g.geom), 4326) AS at FROM territory.grid_cell AS g ORDER BY g.cell_no"
        "  OFFSET (SELECT count(*) / 2 FROM territory.grid_cell) LIMIT 1) AS c"
    ).fetchone()
    assert cell is not None
    return [
        "/headline.json",
        "/towns.json",
        "/lens/risk.json",
        "/lens/coverage.json",
        "/lens/duty.json",
        f"/cell/{cell['code']}.json",
        f"/identify?lon={cell['lon']}&lat={cell['lat']}",
        *(f"/legend/{one.id}.json" for one in LAYERS.values()),
    ]


def main() -> None:
    """Keeps scores, starts the server, asks, prints, writes JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with connect(given.url, autocommit=True) as owner, contextlib.ExitStack() as running:
        kept_ms = timed(lambda: owner.execute("SELECT * FROM analysis.keep_risk(2000000)").fetchone())
        owner.execute("VACUUM ANALYZE registry.cell_risk, registry.site_risk, registry.site")
        login = f"bench_answers_{int(time.time())}"
        account = add_account(owner, login, login, ["committee"])
        token = open_session(owner, account, method="password", at=datetime.now(UTC))
        port = running.enter_context(server([sys.executable, "-c", OURS, web_url(given.url)], "/healthz"))
        asker = Asker(port, f"Cookie: geoapp_session={token}\r\n")
        result: dict[str, Any] = {
            "at": f"{datetime.now(UTC):%F %T}Z",
            "load": os.getloadavg()[0],
            "keep_risk_ms": round(kept_ms),
            "answers": {},
        }
        times: dict[str, list[float]] = {path: [] for path in paths_of(owner)}
        sizes: dict[str, int] = {}
        for _ in range(given.rounds):
            for path, found in times.items():
                started = time.perf_counter()
                status, _, sizes[path] = asker.get(path)
                found.append((time.perf_counter() - started) * 1e3)
                if status != 200:
                    raise ValueError(f"{path}: {status}")
            time.sleep(ANSWER_AGE_S)
        for path, found in times.items():
            result["answers"][path] = spread(found) | {"worst_ms": round(max(found)), "bytes": sizes[path]}
            print(path, result["answers"][path], flush=True)
    if given.json:
        given.json.write_text(json.dumps(result, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
