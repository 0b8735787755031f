"""Killed with -9 between any two steps, thousands of times: no incident lost, none doubled, the ledger still adds up."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from test_watch import COUNTED_LOOKS, value
from watching import add_camera

Connection = psycopg.Connection[dict[str, Any]]
HERE = Path(__file__).parent


@pytest.mark.parametrize(
    ("cameras", "epochs", "kills"),
    [
        pytest.param(3, 2, 10, id="short"),
        pytest.param(4, 100, 100, id="ten-thousand", marks=[pytest.mark.long, pytest.mark.timeout(7200)]),
    ],
)
def test_no_incident_is_lost_or_doubled(
    ground: Connection, watch_url: str, tmp_path: Path, cameras: int, epochs: int, kills: int
) -> None:
    for number in range(1, cameras + 1):
        add_camera(ground, number, "in-process", period_s=1)
    done = subprocess.run(
        [sys.executable, str(HERE / "killing.py"), watch_url, str(tmp_path), str(cameras), str(epochs), str(kills), "7"],
        env=os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent.parent}"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["kills"] >= 0.7 * epochs * kills, told
    assert value(ground, "SELECT count(*) FROM watch.incident WHERE opened_at IS NOT NULL") == told["wanted"]
    never_opened = "SELECT count(*) FROM watch.incident WHERE opened_at IS NULL"
    assert value(ground, never_opened) == 0, "each fire was one incident from its first look on"
    opened = "SELECT count(*) FROM watch.outbox WHERE payload ->> 'transition' = 'opened'"
    assert value(ground, opened) == told["wanted"], "told once each"
    looks = value(ground, "SELECT count(*) FROM watch.observation")
    assert looks == value(ground, COUNTED_LOOKS)
    seen = "SELECT count(*) FROM watch.observation WHERE boxes <> '[]'"
    assert value(ground, seen) == value(ground, "SELECT sum(observation_count) FROM watch.incident")
    frames = ground.execute("SELECT sha256, path FROM watch.evidence").fetchall()
    assert len(frames) >= told["wanted"]
    for row in frames:
        assert hashlib.sha256((tmp_path / row["path"]).read_bytes()).hexdigest() == row["sha256"]
    print(told)
