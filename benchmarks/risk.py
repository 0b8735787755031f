"""Risk scores at city scale: every site from the rows themselves, one site, kept scores after a change, the risk lens, surfaces.

    .venv/bin/python -m benchmarks.risk --url postgresql://… [--json FILE]

The database is changed (scores are kept, hazards come and go): give it a copy of its own, as `CREATE DATABASE risk TEMPLATE …`
of the city of benchmarks/access_city. Numbers are seconds on the clock; medians, with the worst. `--peer REVISION` also times
the whole city with the analysis.risk_site_at of an older revision of this repository, in the same run.
"""

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg

from geoapp.database.connection import connect
from geoapp.database.migrations import migrate, stored_srid
from geoapp.database.sql_files import read_sql

ROUNDS = 30


def seconds(action: Callable[[], Any]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def spread(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 4),
        "worst": round(max(values), 4),
        "rounds": len(values),
    }


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--url", required=True)
    asked.add_argument("--json", type=Path)
    asked.add_argument("--rounds", type=int, default=ROUNDS)
    asked.add_argument(
        "--peer", default="", help="A git revision whose risk_site_at is timed in the same run."
    )
    given = asked.parse_args()
    migrate(given.url, srid=stored_srid(given.url) or 4549)
    with connect(given.url, autocommit=True) as connection:
        found = measured(connection, given.rounds, given.peer)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    print(text)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")


def measured(connection: psycopg.Connection[dict[str, Any]], rounds: int, peer: str) -> dict[str, Any]:
    def run(query: str, *values: Any) -> list[dict[str, Any]]:
        done = connection.execute(query.encode(), values or None)
        return done.fetchall() if done.description else []

    run("ANALYZE")
    connection.execute("SET statement_timeout = 0")
    found: dict[str, Any] = {
        "rows": run(
            "SELECT (SELECT count(*) FROM registry.site) AS sites, (SELECT count(*) FROM territory.grid_cell) AS cells,"
            " (SELECT count(*) FROM registry.camera) AS cameras, (SELECT count(*) FROM watch.incident) AS incidents,"
            " (SELECT count(*) FROM inspection.visit) AS visits, (SELECT count(*) FROM inspection.hazard) AS hazards"
        )[0],
        "fsync": run("SHOW fsync")[0]["fsync"],
    }

    # Cameras as a running watch leaves them: all looked through just now.
    run("UPDATE watch.camera_health SET last_observed_at = now(), since = now(), last_try_at = now()")
    every = (
        "SELECT count(*), sum(r.score), max(r.exact_until) FROM analysis.risk_site_of(clock_timestamp()) AS r"
    )
    found["all_sites_worked_out"] = spread([seconds(lambda: run(every)) for _ in range(3)])
    if peer:
        found[f"all_sites_of_{peer}"] = former(connection, peer)
    sites = [r["id"] for r in run("SELECT id FROM registry.site ORDER BY hashint8(id) LIMIT %s", rounds)]
    one = "SELECT * FROM analysis.risk_site_of(clock_timestamp(), ARRAY[%s]::bigint[])"
    found["one_site"] = spread([seconds(lambda s=site: run(one, s)) for site in sites])  # type: ignore[misc]
    explain = "SELECT * FROM analysis.risk_explained_at(clock_timestamp(), %s)"
    found["one_site_explained"] = spread([seconds(lambda s=site: run(explain, s)) for site in sites])  # type: ignore[misc]
    measures = "SELECT * FROM analysis.risk_measures_at(clock_timestamp(), %s)"
    found["one_site_measures"] = spread([seconds(lambda s=site: run(measures, s)) for site in sites])  # type: ignore[misc]

    found["keep_all"] = round(
        seconds(lambda: found.__setitem__("kept", run("SELECT * FROM analysis.keep_risk(1000000000)")[0])), 3
    )
    run("VACUUM ANALYZE registry.site_risk, registry.cell_risk, registry.risk_due")
    found["nothing_due"] = spread(
        [seconds(lambda: run("SELECT * FROM analysis.keep_risk()")) for _ in range(5)]
    )
    lens = read_sql("layers/lens_risk")
    found["lens_from_kept"] = spread(
        [seconds(lambda: connection.execute(lens.encode(), {"as_of": None}).fetchall()) for _ in range(7)]
    )

    changed, seen, kept = [], [], []
    for site in sites:
        insert = "INSERT INTO inspection.hazard (site_id, class, title_zh, found_at, found_by, state) VALUES (%s, 'major', '隐患', now(), 'patrol', 'found')"
        changed.append(seconds(lambda i=insert, s=site: run(i, s)))  # type: ignore[misc]
        seen.append(seconds(lambda s=site: run("SELECT level FROM analysis.risk_site WHERE site_id = %s", s)))  # type: ignore[misc]
        kept.append(seconds(lambda: run("SELECT * FROM analysis.keep_risk()")))
    found["a_hazard_written"], found["the_site_read_after_it"], found["kept_after_it"] = (
        spread(changed),
        spread(seen),
        spread(kept),
    )
    found["lens_after_changes"] = spread(
        [seconds(lambda: connection.execute(lens.encode(), {"as_of": None}).fetchall()) for _ in range(5)]
    )
    found["surfaces_300_m"] = round(
        seconds(lambda: run("SELECT count(*) FROM analysis.risk_surface_at(now())")), 3
    )
    return found


def former(connection: psycopg.Connection[dict[str, Any]], revision: str) -> float:
    """Seconds for every site by the risk_site_at of an older revision, in a transaction that is undone."""
    text = subprocess.run(
        ["git", "show", f"{revision}:sql/analysis/risk_site.sql"], capture_output=True, text=True, check=True
    ).stdout
    begin = text.index("CREATE FUNCTION analysis.risk_site_at")
    end = text.index("CREATE VIEW analysis.risk_site ")
    body = text[begin:end].replace("analysis.risk_site_at", "analysis.risk_site_before_at")
    with connection.transaction(force_rollback=True):
        connection.execute(body.encode())
        return round(
            seconds(
                lambda: connection.execute(
                    "SELECT count(*), sum(r.score) FROM analysis.risk_site_before_at(now()) AS r"
                ).fetchall()
            ),
            2,
        )


if __name__ == "__main__":
    main()
