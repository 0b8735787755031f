"""Risk scores at city scale: every site from the rows themselves, one site, kept scores after a change, the risk lens, surfaces.

    .venv/bin/python -m benchmarks.risk --url postgresql://… [--json FILE]

The database is changed (scores are kept, hazards come and go): give it a copy of its own, as `CREATE DATABASE risk TEMPLATE …`
of the city of benchmarks/access_city. Numbers are seconds on the clock, with the server process's own processor seconds beside the long ones (other work on the machine
stretches the clock); medians, with the worst. `--peer REVISION` also times
the whole city with the analysis.risk_site_at of an older revision of this repository, in the same run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg

from geoapp.database.connection import connect
from geoapp.database.migrations import migrate, stored_srid
from geoapp.database.sql_files import read_sql

Connection = psycopg.Connection[dict[str, Any]]
ROUNDS = 30


def processor_s(connection: Connection) -> float:
    """Processor seconds of the server process behind a connection (Linux, the same machine)."""
    fields = Path(f"/proc/{connection.info.backend_pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def timed(connection: Connection, query: str, rounds: Sequence[Sequence[Any]]) -> dict[str, float]:
    """Seconds of one query, asked once for each of the values: on the clock (median, worst), of the processor (mean)."""
    clocks, began = [], processor_s(connection)
    for values in rounds:
        start = time.perf_counter()
        done = connection.execute(query.encode(), values or None)
        if done.description:
            done.fetchall()
        clocks.append(time.perf_counter() - start)
    return {
        "median_s": round(statistics.median(clocks), 4),
        "worst_s": round(max(clocks), 4),
        "processor_s": round((processor_s(connection) - began) / len(clocks), 4),
        "rounds": len(clocks),
        "load": round(os.getloadavg()[0], 1),
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
        connection.execute("ANALYZE")
        found = measured(connection, given.rounds, given.peer)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    print(text)
    if given.json:
        given.json.write_text(text + "\n", encoding="utf-8")


def measured(connection: Connection, rounds: int, peer: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def note(name: str, value: Any) -> None:
        found[name] = value
        print(f"{name}: {value}", file=sys.stderr, flush=True)

    def ask(name: str, query: str, values: Sequence[Sequence[Any]] = ((),)) -> None:
        note(name, timed(connection, query, values))

    def look() -> None:
        # Cameras as a running watch leaves them: all looked through just now.
        connection.execute(
            "UPDATE watch.camera_health SET last_observed_at = now(), since = now(), last_try_at = now()"
        )

    note(
        "rows",
        connection.execute(
            "SELECT (SELECT count(*) FROM registry.site) AS sites, (SELECT count(*) FROM territory.grid_cell) AS cells,"
            " (SELECT count(*) FROM registry.camera) AS cameras, (SELECT count(*) FROM watch.incident) AS incidents,"
            " (SELECT count(*) FROM inspection.visit) AS visits, (SELECT count(*) FROM inspection.hazard) AS hazards,"
            " current_setting('fsync') AS fsync"
        ).fetchone(),
    )
    look()
    every = (
        "SELECT count(*), sum(r.score), max(r.exact_until) FROM analysis.risk_site_of(clock_timestamp()) AS r"
    )
    ask("all_sites_worked_out", every, [()] * 2)
    if peer:
        note(f"all_sites_of_{peer}", former(connection, peer))
    some = [
        (r["id"],)
        for r in connection.execute(
            "SELECT id FROM registry.site ORDER BY hashint8(id) LIMIT %s", (rounds,)
        ).fetchall()
    ]
    ask("one_site", "SELECT * FROM analysis.risk_site_of(clock_timestamp(), ARRAY[%s]::bigint[])", some)
    ask("one_site_explained", "SELECT * FROM analysis.risk_explained_at(clock_timestamp(), %s)", some)
    ask("one_site_measures", "SELECT * FROM analysis.risk_measures_at(clock_timestamp(), %s)", some)
    look()
    ask("keep_all", "SELECT * FROM analysis.keep_risk(1000000000)")
    connection.execute("VACUUM ANALYZE registry.site_risk, registry.cell_risk, registry.risk_due")
    look()
    ask("keep_what_is_due", "SELECT * FROM analysis.keep_risk()")
    ask("keep_nothing_due", "SELECT * FROM analysis.keep_risk()", [()] * 5)
    lens = read_sql("layers/lens_risk").replace("%(as_of)s", "NULL")
    ask("lens", lens, [()] * 7)
    ask(
        "hazard_written",
        "INSERT INTO inspection.hazard (site_id, class, title_zh, found_at, found_by, state)"
        " VALUES (%s, 'major', '隐患', now(), 'patrol', 'found')",
        some,
    )
    ask(
        "one_site_after_it",
        "SELECT * FROM analysis.risk_site_at(now(), only_sites => ARRAY[%s]::bigint[])",
        some,
    )
    ask("lens_after_changes", lens, [()] * 5)
    ask("keep_changes", "SELECT * FROM analysis.keep_risk()")
    ask("surfaces_300_m", "SELECT count(*) FROM analysis.risk_surface_at(now())")
    return found


def former(connection: Connection, revision: str) -> dict[str, float]:
    """Seconds for every site by the risk_site_at of an older revision, in a transaction that is undone."""
    text = subprocess.run(
        ["git", "show", f"{revision}:sql/analysis/risk_site.sql"], capture_output=True, text=True, check=True
    ).stdout
    begin = text.index("CREATE FUNCTION analysis.risk_site_at")
    end = text.index("CREATE VIEW analysis.risk_site ")
    body = text[begin:end].replace("analysis.risk_site_at", "analysis.risk_site_before_at")
    with connection.transaction(force_rollback=True):
        connection.execute(body.encode())
        return timed(
            connection, "SELECT count(*), sum(r.score) FROM analysis.risk_site_before_at(now()) AS r", [()]
        )


if __name__ == "__main__":
    main()
