"""The duty matrix over a big city: cells by departments, one town, one cell's state, the chain of a site, proposals.

Run on a database that holds a city (benchmarks/access_city.py makes one of 50,000 cells and 1,000,000 sites, without duties):

    .venv/bin/python -m benchmarks.duty URL --prepare      once: rules, departments, people, assignments; a type for each site by rule
    .venv/bin/python -m benchmarks.duty URL [--json FILE]

--prepare takes the rules of etl/sample_city/responsibilities.csv; site n has rule (n * 7919) % 68, one in 61 none; of the rules
one in nine is missing, disputed, doubled or only proposed; four towns have leads of their own; one cell in 23 has no worker.
Peer, in the same run: the plain count of sites by cell and rule that anybody would write (GROUP BY over the table), and the same
join by hand with analysis.duty_lead. All under the database's owner, in milliseconds on the clock, and of the server process.
"""

import argparse
import json
import os
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from etl.sample_city.sites import duty_rows
from geoapp.database.connection import connect
from geoapp.database.migrations import migrate

Connection = psycopg.Connection[dict[str, Any]]
SRID = 4549
AT = datetime.now(UTC)
# How each is asked: every row is made and summed in the server, so that the network is no part of it.
ALL = "SELECT count(*) AS n, sum({sum}) AS total FROM {what}"
ASKED = {
    "cells_by_department": ("analysis.duty_department_at(%(at)s, 'cell')", "lead_count + missing_count"),
    "units_of_cells": ("analysis.duty_unit_at(%(at)s, 'cell')", "gap_count"),
    "towns_by_department": ("analysis.duty_department_at(%(at)s, 'town')", "lead_count + missing_count"),
    "one_town_by_department": (
        "analysis.duty_department_at(%(at)s, 'town', %(town)s)",
        "lead_count + missing_count",
    ),
    "one_towns_cells_by_department": (
        "analysis.duty_department_at(%(at)s, 'cell', %(town)s)",
        "lead_count + missing_count",
    ),
    "one_towns_communities_by_department": (
        "analysis.duty_department_at(%(at)s, 'community', %(town)s)",
        "lead_count + missing_count",
    ),
    "duty_cell": ("analysis.duty_cell_at(%(at)s)", "gap_site_count"),
    "chain_of_a_site": ("analysis.duty_chain_at(%(at)s, %(site)s)", "step"),
    "proposals": ("analysis.duty_proposal_at(%(at)s)", "site_count"),
}
PEERS = {
    "plain_count": (
        "(SELECT s.cell_code, s.rule_code, count(*) AS n FROM registry.site AS s GROUP BY 1, 2) AS g",
        "n",
    ),
    "join_by_hand": (
        "(SELECT s.cell_code, d.lead_code, d.status, count(*) AS n FROM registry.site AS s"
        " LEFT JOIN analysis.duty_lead_at(%(at)s) AS d ON d.unit_code = s.town_code AND d.rule_code = s.rule_code"
        " GROUP BY 1, 2, 3) AS g",
        "n",
    ),
}


def main() -> None:
    """Reads the options, runs, prints JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url")
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    migrate(asked.url, srid=SRID)
    with connect(asked.url, autocommit=True) as connection:
        if asked.prepare:
            prepare(connection)
        result = measured(connection, asked.rounds)
    text = json.dumps(result, indent=1, ensure_ascii=False)
    print(text)
    if asked.json:
        asked.json.write_text(text, encoding="utf-8")


def prepare(connection: Connection) -> None:
    """Duties for a city that has none; triggers off, as a load has them."""
    run = connection.execute
    began = time.perf_counter()
    run("SET geoapp.batch = 'benchmark'")
    run("SET session_replication_role = replica")
    rows = duty_rows()
    names: dict[str, str] = {}
    for row in rows:
        names.setdefault(row["lead_code"], row["lead_dept_zh"])
    for code, name in sorted(names.items()):
        run(
            "INSERT INTO duty.department (code, name_zh, phone) VALUES (%s, %s, '021-1') ON CONFLICT DO NOTHING",
            (code, name),
        )
    for row in rows:
        run(
            "INSERT INTO duty.rule (code, place_type_zh, place_type_en, category, gbt4754, lead_code) VALUES (%s, %s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (
                row["code"],
                row["place_type_zh"],
                row["place_type_en"],
                row["category"],
                row["gbt4754"],
                row["lead_code"],
            ),
        )
    run(
        "INSERT INTO duty.person (name_zh, phone) SELECT '责任人' || n, '021-' || n FROM generate_series(1, 200) AS n"
    )
    codes, leads = [r["code"] for r in rows], sorted(names)
    assigned: list[tuple[Any, ...]] = []
    towns = [
        r["code"]
        for r in run("SELECT code FROM territory.unit WHERE level = 'town' ORDER BY code").fetchall()
    ]
    county = "310116000000"
    for n, row in enumerate(rows):
        state = {1: None, 2: "disputed", 3: "proposed"}.get(n % 9, "confirmed")
        if state:
            assigned.append((row["code"], county, row["lead_code"], state, None if n % 11 == 5 else 1 + n))
        if n % 9 == 4:
            assigned.append((row["code"], county, leads[n % len(leads)], "confirmed", 1 + n))
    assigned += [
        (codes[3 * k + 2], towns[k], leads[k], "confirmed", 100 + k) for k in range(min(4, len(towns)))
    ]
    for one in assigned:
        run(
            "INSERT INTO duty.assignment (rule_code, unit_code, department_code, role, status, person_id, valid_from)"
            " VALUES (%s, %s, %s, 'lead', %s, %s, '2025-01-01') ON CONFLICT DO NOTHING",
            one,
        )
    run(
        "INSERT INTO duty.grid_staff (cell_code, person_id, role, assigned_from)"
        " SELECT c.code, 1 + c.cell_no % 200, 'worker', '2025-01-01' FROM territory.grid_cell AS c WHERE c.cell_no % 23 <> 0"
    )
    run(
        "UPDATE registry.site AS s SET rule_code = CASE WHEN s.id %% 61 <> 0 THEN (%(codes)s::text[])[1 + (s.id * 7919 / 200) %% 68] END,"
        " gbt4754 = CASE WHEN s.id %% 61 = 0 THEN (%(industries)s::text[])[1 + (s.id / 61) %% 40] ELSE '' END",
        {
            "codes": codes,
            "industries": [f"{letter}{division}{n}0" for letter, division in zip("CFGHIMORNE", ("13", "52", "56", "61", "65", "74", "82", "88", "78", "49"), strict=True) for n in range(1, 5)],
        },
    )  # fmt: skip
    run("SET session_replication_role = origin")
    run("VACUUM (FULL, ANALYZE) registry.site")
    run("VACUUM (ANALYZE)")
    print(f"prepared in {time.perf_counter() - began:.0f} s", flush=True)


def measured(connection: Connection, rounds: int) -> dict[str, Any]:
    """Medians and quickest of each; ratios to the plain count."""
    counts = connection.execute(
        "SELECT (SELECT count(*) FROM registry.site) AS sites, (SELECT count(*) FROM territory.grid_cell) AS cells,"
        " (SELECT count(*) FROM duty.rule) AS rules, (SELECT count(*) FROM duty.assignment) AS assignments"
    ).fetchone()
    assert counts is not None
    places = connection.execute(
        "SELECT (SELECT min(code) FROM territory.unit WHERE level = 'town') AS town, (SELECT max(id) FROM registry.site) AS site"
    ).fetchone()
    assert places is not None
    values = places | {"at": AT}
    result: dict[str, Any] = dict(counts)
    for name, (what, column) in {**PEERS, **ASKED}.items():
        query = ALL.format(sum=column, what=what)
        result[name] = timed(connection, rounds, query, values)
    plain = result["plain_count"]["median_ms"]
    result["cells_by_department_to_plain_count"] = round(
        result["cells_by_department"]["median_ms"] / plain, 2
    )
    result["cells_by_department_to_join_by_hand"] = round(
        result["cells_by_department"]["median_ms"] / result["join_by_hand"]["median_ms"], 2
    )
    return result


def timed(connection: Connection, rounds: int, query: str, values: dict[str, Any]) -> dict[str, Any]:
    """Milliseconds of a query after one that warms, on the clock and of the server's own process; and how many rows it made."""
    took, used = [], []
    found = connection.execute(query.encode(), values).fetchone()
    for _ in range(rounds):
        began, cpu = time.perf_counter(), processor_s(connection)
        connection.execute(query.encode(), values).fetchone()
        took.append((time.perf_counter() - began) * 1000)
        used.append((processor_s(connection) - cpu) * 1000)
    assert found is not None
    return {
        "rows": found["n"],
        "median_ms": round(statistics.median(took), 1),
        "quickest_ms": round(min(took), 1),
        "processor_ms": round(statistics.median(used)),
    }


def processor_s(connection: Connection) -> float:
    """Seconds of processor time that the connection's server process has used; the machine may be busy with other work."""
    fields = Path(f"/proc/{connection.info.backend_pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
