"""Killed with -9 between any two steps, thousands of times: no incident lost, none doubled, the ledger still adds up."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from test_watch import COUNTED_LOOKS, value
from watching import add_camera

from geoapp.database.connection import connect

Connection = psycopg.Connection[dict[str, Any]]
HERE = Path(__file__).parent


# Ten thousand kills: a thousand by each seed, of one watch or of two that share the cameras.
LONG = (pytest.mark.long, pytest.mark.timeout(3600))
THOUSANDS = [
    pytest.param(*counts, seed, id=f"thousand-{seed}", marks=LONG)
    for seed, counts in enumerate(((4, 42, 25, 1), (6, 45, 12, 2)) * 5, 1)
]


@pytest.mark.parametrize(
    ("cameras", "epochs", "rounds", "watches", "seed"), [pytest.param(3, 2, 10, 1, 7, id="short"), *THOUSANDS]
)
def test_no_incident_is_lost_or_doubled(
    make_database: Callable[[], str],
    tmp_path: Path,
    cameras: int,
    epochs: int,
    rounds: int,
    watches: int,
    seed: int,
) -> None:
    url = make_database()
    with connect(url, autocommit=True) as ground:
        # The tiles' copy of a place is made by the database from the place itself; every connection that makes one first
        # reads PROJ's tables, which took a third of a kill's time.
        ground.execute(
            "ALTER TABLE watch.incident ALTER COLUMN geom_3857 DROP EXPRESSION, ALTER COLUMN ellipse_3857 DROP EXPRESSION"
        )
        for number in range(1, cameras + 1):
            add_camera(ground, number, "in-process", period_s=1)
    counts = [str(n) for n in (cameras, epochs, rounds, watches, seed)]
    log = tmp_path / "killing.log"
    with log.open("w") as said:
        done = subprocess.run(
            [sys.executable, str(HERE / "killing.py"), url, str(tmp_path), *counts],
            env=os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent.parent}"},
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            check=False,
        )
    assert done.returncode == 0, log.read_text()[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["kills"] >= 0.7 * epochs * rounds * watches, told
    with connect(url, autocommit=True) as ground:
        check(ground, told, tmp_path)
    print(told)


def check(ground: Connection, told: dict[str, Any], folder: Path) -> None:
    """Every fire is one incident, told once each; looks, counters and frames agree."""
    assert value(ground, "SELECT count(*) FROM watch.incident WHERE opened_at IS NOT NULL") == told["wanted"]
    never_opened = "SELECT count(*) FROM watch.incident WHERE opened_at IS NULL"
    assert value(ground, never_opened) == 0, "each fire was one incident from its first look on"
    steps = ground.execute(
        "SELECT payload ->> 'transition' AS word, count(*) AS n, count(DISTINCT payload ->> 'id') AS incidents"
        " FROM watch.outbox WHERE topic = 'incident' GROUP BY 1"
    ).fetchall()
    once_each = dict.fromkeys(("opened", "quiet", "closed"), (told["wanted"], told["wanted"]))
    assert {r["word"]: (r["n"], r["incidents"]) for r in steps} == once_each, "told once each"
    looks = value(ground, "SELECT count(*) FROM watch.observation")
    assert looks == value(ground, COUNTED_LOOKS)
    seen = "SELECT count(*) FROM watch.observation WHERE boxes <> '[]'"
    assert value(ground, seen) == value(ground, "SELECT sum(observation_count) FROM watch.incident")
    frames = ground.execute("SELECT sha256, path FROM watch.evidence").fetchall()
    assert len(frames) >= told["wanted"]
    for row in frames:
        assert hashlib.sha256((folder / row["path"]).read_bytes()).hexdigest() == row["sha256"]
