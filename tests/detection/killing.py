"""A watch that is killed at a chosen step, again and again: each run is a forked process that sends itself SIGKILL.

Arguments: database URL, evidence folder, cameras, epochs, kills an epoch, seed. In each epoch a fire burns before every
camera at another place than before; so many incidents there have to be at the end, each opened once. Prints a JSON line:
kills, runs that ended by themselves, and incidents wanted.
"""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from watching import RedDetector, fire_at, picture

from detection.config import FetchConfig, GateConfig, ScheduleConfig, WatchConfig
from detection.lease import statement
from detection.scanning import LocalScanning
from detection.types import Camera, Frame, Unobserved
from detection.watch import Watch, opened, utc_now
from geoapp.database.connection import connect
from geoapp.database.sql_files import SQL_ROOT

CONFIG = WatchConfig(
    schedule=ScheduleConfig(tick_s=0.02, lease_s=20.0, burst_s=0.2, workers=1),
    fetch=FetchConfig(in_flight=64),
    gate=GateConfig(frozen_looks=1000),
)
# Far from each other in the picture, and on the ground.
PLACES = [fire_at(*place).corners for place in ((12.0, 22.0), (3.0, 25.0), (30.0, 24.0))]
# An incident that burns no more is closed by empty looks this much later.
NEXT_EPOCH = timedelta(minutes=25)
AFTER_A_KILL = timedelta(seconds=40)


class Scene:
    """What the cameras show: the epoch's fire, or nothing; another picture each time."""

    def __init__(self, clock: Callable[[], datetime], place: int | None) -> None:
        self._clock, self._place, self._count = clock, place, random.randrange(1_000_000)

    async def grab(self, camera: Camera) -> Frame | Unobserved:
        self._count += 1
        await asyncio.sleep(0.002)
        at = self._clock()
        fires = [] if self._place is None else [PLACES[self._place]]
        return Frame(picture(self._count, *fires), at, self._clock())

    async def close(self) -> None:
        pass


def kill_after(steps: int) -> None:
    """This process is killed at its `steps`-th step from now: before or after a statement, a commit, a file's write."""
    left = [steps]

    def step() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: Any, name: str) -> None:
        before = getattr(owner, name)

        def both(*arguments: Any, **named: Any) -> Any:
            step()
            answer = before(*arguments, **named)
            step()
            return answer

        setattr(owner, name, both)

    around(psycopg.Connection, "execute")
    around(psycopg.Transaction, "_exit_gen")
    around(os, "fsync")
    around(Path, "replace")
    around(Watch, "_scanned")


def watch_until(
    url: str, folder: Path, clock: Callable[[], datetime], place: int | None, is_over: Callable[[], bool]
) -> None:
    scanning = LocalScanning(Scene(clock, place), RedDetector(), config=CONFIG, clock=clock)
    with opened(url, scanning, config=CONFIG, evidence_folder=folder, clock=clock) as watch:
        watch.sync()
        while not is_over():
            watch.tick()
            time.sleep(0.01)


def forked(work: Callable[[], None]) -> bool:
    """Runs `work` in a process of its own; whether it was killed. A fault of it ends the whole."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as fault:  # a child must never go on as its parent
            print(f"child: {type(fault).__name__}: {fault}", file=sys.stderr, flush=True)
            os._exit(3)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"a run ended with {os.WEXITSTATUS(status)}")
    return os.WIFSIGNALED(status)


def main(url: str, folder: Path, cameras: int, epochs: int, kills: int, seed: int) -> dict[str, int]:
    random.seed(seed)
    opened_so_far = "SELECT count(*) FROM watch.incident WHERE opened_at IS NOT NULL"
    closed = f"{opened_so_far} AND state = 'closed'"
    offset = timedelta()
    killed = ended = 0

    def clock() -> datetime:
        return utc_now() + offset

    def since_now(seconds: float) -> Callable[[], bool]:
        ends = time.monotonic() + seconds
        return lambda: time.monotonic() > ends

    def at_least(question: str, number: int, limit_s: float = 60.0) -> Callable[[], bool]:
        ends = time.monotonic() + limit_s

        def is_so() -> bool:
            with connect(url) as connection:
                row = connection.execute(question.encode()).fetchone()
            if time.monotonic() > ends:
                raise TimeoutError(question)
            return row is not None and next(iter(row.values())) >= number

        return is_so

    for epoch in range(epochs):
        place = epoch % len(PLACES)
        for _ in range(kills):
            steps = random.randint(1, 60 + 12 * cameras)

            def run(steps: int = steps, place: int = place) -> None:
                kill_after(steps)
                watch_until(url, folder, clock, place, since_now(3.0))

            was_killed = forked(run)
            killed += was_killed
            ended += not was_killed
            offset += AFTER_A_KILL
        # The epoch's fires have been seen often enough to be open, whatever was killed.
        wanted = cameras * (epoch + 1)
        forked(
            lambda place=place, wanted=wanted: watch_until(
                url, folder, clock, place, at_least(opened_so_far, wanted)
            )
        )
        offset += NEXT_EPOCH
        forked(lambda wanted=wanted: watch_until(url, folder, clock, None, at_least(closed, wanted)))
        offset += AFTER_A_KILL
    return {"kills": killed, "ended": ended, "wanted": cameras * epochs}


def read_all_statements() -> None:
    """Before the first fork: thousands of runs then do the same, whatever becomes of the files meanwhile."""
    for file in (SQL_ROOT / "watch").glob("*.sql"):
        statement(file.stem)


if __name__ == "__main__":
    read_all_statements()
    arguments = sys.argv[3:]
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), *(int(a) for a in arguments))))
