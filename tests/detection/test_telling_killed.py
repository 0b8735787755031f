"""A teller that is killed with -9 between sending and recording: nothing is lost, and what comes twice has the same key."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import psycopg
import pytest
from clones import clone, drop
from told import Asked, HttpReceiver, add, happen, reply

from geoapp.access import service_role
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.settings import settings

Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture
def city(
    cluster: PrivateCluster, city_template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Connection]:
    """The owner's autocommit connection to an installation of its own."""
    name = clone(cluster, city_template)
    monkeypatch.setenv("GEOAPP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GEOAPP_DATABASE_URL", cluster.url(name))
    monkeypatch.delenv("GEOAPP_WATCH_DATABASE_URL", raising=False)
    settings.cache_clear()
    with connect(cluster.url(name), autocommit=True) as connection:
        yield connection
    settings.cache_clear()
    drop(cluster, name)


class Killer:
    """Kills the teller at a chosen request: before it is answered, or some moments after."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.pid: int | None = None
        self.left = 0
        self.kills = 0
        self.unanswered = 0
        self._lock = threading.Lock()

    def __call__(self, asked: Asked, handler: BaseHTTPRequestHandler) -> None:
        with self._lock:
            self.left -= 1
            # Its requests may come before its number is known here: then a later one is its last.
            pid = self.pid if self.left <= 0 else None
            if pid is not None:
                self.pid = None
                self.kills += 1
        if pid is None:
            reply(200)(asked, handler)
        elif self.chance.random() < 0.5:
            self.unanswered += 1
            os.kill(pid, signal.SIGKILL)
        else:
            reply(200)(asked, handler)
            time.sleep(self.chance.uniform(0, 0.01))
            os.kill(pid, signal.SIGKILL)


def tell_and_die(city: Connection, rounds: int, seed: int) -> None:
    hook, killer = HttpReceiver(), Killer(seed)
    hook.replies["/hook"] = [killer]
    began = datetime.now(UTC) - timedelta(seconds=1)
    add(city, "desk", "webhook", hook.url(), at=began, per_minute=1_000_000)
    worker = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("telling_worker.py")), service_role.watch_url()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    incidents = set()
    try:
        for _ in range(rounds):
            incidents |= {str(happen(city, "smoke", at=datetime.now(UTC))) for _ in range(3)}
            killer.left = killer.chance.randint(1, 3)
            worker.stdin.write("tell\n")
            worker.stdin.flush()
            killer.pid = int(worker.stdout.readline())
            assert worker.stdout.readline() == "ended\n"
            # As though the time of its lease had passed.
            city.execute(
                "UPDATE watch.receiver SET lease_until = now() - interval '1 second' WHERE lease_owner IS NOT NULL"
            )
        # The last one lives.
        worker.stdin.write("tell\n")
        worker.stdin.flush()
        last = int(worker.stdout.readline())
        ends = time.monotonic() + 60 + rounds
        while time.monotonic() < ends:
            left = city.execute(
                "SELECT count(*) AS n FROM watch.delivery WHERE state <> 'delivered'"
            ).fetchone()
            planned = city.execute("SELECT count(*) AS n FROM watch.delivery").fetchone()
            if left and planned and left["n"] == 0 and planned["n"] == len(incidents):
                break
            time.sleep(0.05)
        os.kill(last, signal.SIGKILL)
    finally:
        with contextlib.suppress(OSError):
            worker.stdin.close()
        worker.kill()
        worker.wait(10)
        hook.close()
    # By the receiver's own log: everything came, each under one key of its own.
    keys: dict[str, set[str]] = {}
    for asked in hook.asked:
        keys.setdefault(asked.json["incident"]["id"], set()).add(asked.key)
    assert set(keys) == incidents
    assert all(len(held) == 1 for held in keys.values())
    assert len({next(iter(held)) for held in keys.values()}) == len(incidents)
    # Twice came only what was in flight when its teller died: one message a death. (After an answer that may be the next.)
    came = Counter(asked.key for asked in hook.asked)
    assert killer.kills == rounds
    repeats = sum(count - 1 for count in came.values())
    assert repeats <= killer.kills
    # Half of the deaths come before an answer: there the message must come again.
    assert repeats >= killer.unanswered
    rows = city.execute("SELECT message_key::text AS key, state FROM watch.delivery").fetchall()
    assert {(r["key"], r["state"]) for r in rows} == {(key, "delivered") for key in came}


def test_a_teller_killed_in_the_middle_loses_nothing(city: Connection) -> None:
    tell_and_die(city, 6, seed=5)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_hundreds_of_tellers_killed_in_the_middle_lose_nothing(city: Connection) -> None:
    tell_and_die(city, 300, seed=6)
