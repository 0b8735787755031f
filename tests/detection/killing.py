"""Watches that are killed at a chosen step, again and again: each run is a forked process that sends itself SIGKILL.

Arguments: database URL, evidence folder, cameras, epochs, rounds an epoch, watches side by side, seed. In each epoch a
fire burns before every camera at another place than before, and goes out; so many incidents there have to be at the end,
each opened and closed once. Four of five rounds are while it burns, the others while it is over and nobody has closed it
yet. Prints a JSON line: kills, runs that ended by themselves, incidents wanted, and how often each step was the last.
"""

import asyncio
import gc
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import psycopg
from watching import RedDetector, fire_at, picture

from detection.config import FetchConfig, GateConfig, ScheduleConfig, WatchConfig
from detection.gate import Gate
from detection.lease import statement
from detection.scanning import LocalScanning
from detection.types import Camera, Frame, Unobserved
from detection.watch import Watch, opened, utc_now
from geoapp.database.connection import connect
from geoapp.database.sql_files import SQL_ROOT

CONFIG = WatchConfig(
    # Two cameras a claim: watches side by side share them.
    schedule=ScheduleConfig(tick_s=0.02, lease_s=20.0, burst_s=0.2, workers=1, batch=2),
    fetch=FetchConfig(in_flight=64),
    gate=GateConfig(frozen_looks=1000),
)
# Far from each other in the picture, and on the ground.
PLACES = [fire_at(*place).corners for place in ((12.0, 22.0), (3.0, 25.0), (30.0, 24.0))]
# An incident that burns no more is closed by empty looks this much later.
UNTIL_OVER = timedelta(minutes=25)
AFTER_A_KILL = timedelta(seconds=40)


# Made before the first fork: a few moments of each place, and of none.
PICTURES = {
    place: [picture(seed, *([] if place is None else [PLACES[place]])) for seed in range(5)]
    for place in (None, *range(len(PLACES)))
}


class Scene:
    """What the cameras show: the epoch's fire, or nothing; another picture each time."""

    def __init__(self, clock: Callable[[], datetime], place: int | None) -> None:
        self._clock, self._place, self._count = clock, place, random.randrange(1_000_000)

    async def grab(self, camera: Camera) -> Frame | Unobserved:
        self._count += 1
        await asyncio.sleep(0.002)
        at = self._clock()
        shown = PICTURES[self._place]
        return Frame(shown[self._count % len(shown)], at, self._clock())

    async def close(self) -> None:
        pass


def kill_after(steps: int, last_step: int) -> None:
    """This process is killed at its `steps`-th step from now: before or after a statement, a commit, a file's write.

    A claim that finds nothing is no step: a watch that waits would die of waiting. last_step: a descriptor that the name
    of the step is written to.
    """
    left = [steps]
    named = {statement(file.stem): file.stem for file in (SQL_ROOT / "watch").glob("*.sql")}

    def step(name: str) -> None:
        left[0] -= 1
        if left[0] <= 0:
            os.write(last_step, f"{name}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: Any, name: str, called: Callable[[tuple[Any, ...]], str]) -> None:
        before = getattr(owner, name)

        def both(*arguments: Any, **given: Any) -> Any:
            what = called(arguments)
            step(f"before {what}")
            answer = before(*arguments, **given)
            if what == "claimed_cameras" and answer.rowcount == 0:
                left[0] += 1
            else:
                step(f"after {what}")
            return answer

        setattr(owner, name, both)

    def of_statement(arguments: tuple[Any, ...]) -> str:
        text = arguments[1]
        if text in named:
            return named[text]
        return " ".join((text.decode() if isinstance(text, bytes) else str(text)).split()[:3])

    def of_commit(arguments: tuple[Any, ...]) -> str:
        return "commit" if arguments[1] is None else "rollback"

    around(psycopg.Connection, "execute", of_statement)
    around(psycopg.Transaction, "__exit__", of_commit)
    around(os, "fsync", lambda _: "fsync")
    around(Path, "replace", lambda _: "file renamed")
    around(Watch, "_scanned", lambda _: "scanned")


def watch_until(
    url: str, folder: Path, clock: Callable[[], datetime], place: int | None, is_over: Callable[[], bool]
) -> None:
    scanning = LocalScanning(Scene(clock, place), RedDetector(), config=CONFIG, clock=clock)
    with opened(url, scanning, config=CONFIG, evidence_folder=folder, clock=clock) as watch:
        watch.sync()
        while not is_over():
            watch.tick()
            time.sleep(0.01)


def forked(works: Sequence[Callable[[], None]]) -> list[bool]:
    """Runs each of `works` in a process of its own, side by side; whether each was killed. A fault of one ends the whole."""
    return [_was_killed(child) for child in [_begun(work) for work in works]]


def _begun(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as fault:  # a child must never go on as its parent
            print(f"child: {type(fault).__name__}: {fault}", file=sys.stderr, flush=True)
            os._exit(3)
        os._exit(0)
    return child


def _was_killed(child: int) -> bool:
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"a run ended with {os.WEXITSTATUS(status)}")
    return os.WIFSIGNALED(status)


def main(
    url: str, folder: Path, cameras: int, epochs: int, rounds: int, watches: int, seed: int
) -> dict[str, Any]:
    chance = random.Random(seed)
    opened_so_far = "SELECT count(*) AS n FROM watch.incident WHERE opened_at IS NOT NULL"
    closed = f"{opened_so_far} AND state = 'closed'"
    offset = timedelta()
    killed = ended = 0
    last_steps = folder / "last_steps.txt"
    last_step = os.open(last_steps, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def clock() -> datetime:
        return utc_now() + offset

    def since_now(seconds: float) -> Callable[[], bool]:
        ends = time.monotonic() + seconds
        return lambda: time.monotonic() > ends

    def run(place: int | None, steps: int, number: int) -> None:
        random.seed(number)  # what the cameras show; each watch its own
        kill_after(steps, last_step)
        watch_until(url, folder, clock, place, since_now(3.0))

    def run_on(place: int | None, question: str, wanted: int) -> None:
        """Nobody kills it: until the answer is `wanted`."""
        ends = time.monotonic() + 600.0
        with connect(url, autocommit=True) as connection:

            def is_so() -> bool:
                if time.monotonic() > ends:
                    raise TimeoutError(f"{question}: {wanted}")
                row = connection.execute(question.encode()).fetchone()
                return row is not None and row["n"] >= wanted

            watch_until(url, folder, clock, place, is_so)

    for epoch in range(epochs):
        burning = epoch % len(PLACES)
        wanted = cameras * (epoch + 1)
        # The epoch's fires have been seen often enough to be open, and missed often enough to be closed, whatever was killed.
        for place, share, is_over in ((burning, 0.8, opened_so_far), (None, 0.2, closed)):
            for _ in range(round(share * rounds)):
                steps = [chance.randint(1, 40 + 30 * cameras // watches) for _ in range(watches)]
                number = chance.randrange(1_000_000)
                fates = forked([partial(run, place, n, number + i) for i, n in enumerate(steps)])
                killed += sum(fates)
                ended += len(fates) - sum(fates)
                offset += AFTER_A_KILL
            if place is None:
                offset += UNTIL_OVER
            forked([partial(run_on, place, is_over, wanted)])
            offset += AFTER_A_KILL
        print(f"epoch {epoch + 1} of {epochs}: {killed} kills, {ended} ended", file=sys.stderr, flush=True)
    os.close(last_step)
    counted = Counter(last_steps.read_text().splitlines())
    return {"kills": killed, "ended": ended, "wanted": cameras * epochs, "last_steps": counted}


def read_all() -> None:
    """Before the first fork: statements, and what is imported at a first look. Thousands of runs then need not, and do the
    same, whatever becomes of the files meanwhile."""
    for file in (SQL_ROOT / "watch").glob("*.sql"):
        statement(file.stem)
    cv2.setNumThreads(1)
    now, gate = utc_now(), Gate(CONFIG.gate)
    camera = Camera(1, "", "", "in-process", 1.0, 0.0, 0.0, 0)
    for shown in PICTURES.values():
        examined = gate.examine(camera, Frame(shown[0], now, now))
        assert not isinstance(examined.result, Unobserved)
        RedDetector().detect([examined.result.image])


if __name__ == "__main__":
    read_all()
    gc.freeze()  # shared with every child
    arguments = sys.argv[3:]
    print(json.dumps(main(sys.argv[1], Path(sys.argv[2]), *(int(a) for a in arguments))))
