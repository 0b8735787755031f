"""Several watches, a Dask cluster, and dead cameras: throughput on simulated scan time, and whether what was lost is made up for.

    python -m benchmarks.watch_processes --home FOLDER [--cameras 60000] [--seconds 25] [--rounds 1] [--json FILE]
        [--only one two dask dead kill_process kill_worker]

No pixels: a scan takes a time drawn from a model (median 0.2 s; a dead camera the whole limit of 5 s). Claims, ledger,
health, commits and fsync are real. Each way has a database of its own; the ways of a round come in an order drawn anew.

- one, two, dask: scans a second of one watch, of two that share the cameras, of one whose scans two workers do.
- dead: cameras at half that pace, of which none, then 30 %, do not answer: how often the others are looked through.
- kill_process, kill_worker: kill -9 in the middle; afterwards every camera has been looked through, none twice for one due
  time, and looks and ledger agree.
"""

import argparse
import json
import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from detection.config import FetchConfig, ScheduleConfig, WatchConfig
from detection.simulate import ScanModel, accounted, modelled_process, simulate, simulated_cameras
from geoapp.database.cluster import PrivateCluster

PERIOD_S = 30.0
DEAD = 0.3
# Of a process that is killed, its cameras wait until their leases end.
LEASE_S = 10.0


def settings_for(per_s: float, dead: float) -> WatchConfig:
    """As geoapp detect simulate sets it: as many scans on their way as the pace needs when each takes a second."""
    return WatchConfig(
        schedule=ScheduleConfig(batch=512, write_batch=512, tick_s=0.05, lease_s=LEASE_S),
        fetch=FetchConfig(in_flight=max(64, round((2 + 8 * dead) * per_s))),
    )


@contextmanager
def dask(workers: int) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """Address of a scheduler with so many workers of one thread each, and the workers."""

    def start(*words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scheduler.json"
        begun = [
            start(
                "scheduler",
                "--host",
                "127.0.0.1",
                "--port",
                "0",
                "--no-dashboard",
                "--scheduler-file",
                str(file),
            )
        ]
        while not file.exists():
            time.sleep(0.1)
        for number in range(workers):
            place = str(Path(folder) / f"w{number}")
            begun.append(
                start("worker", "--scheduler-file", str(file), "--no-nanny", "--nthreads", "1", "--no-dashboard",
                      "--local-directory", place)
            )  # fmt: skip
        address = json.loads(file.read_text())["address"]
        from distributed import Client

        with Client(address, timeout=30, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=60)
        try:
            yield address, begun[1:]
        finally:
            for process in reversed(begun):
                process.kill()
                process.wait()


def run(url: str, cameras: int, seconds: float, *, dead: float = 0.02, **ways: Any) -> dict[str, Any]:
    """One simulation's figures."""
    config = settings_for(cameras / PERIOD_S, dead)
    return simulate(url, cameras, PERIOD_S, seconds, config=config, scan=ScanModel(dead_share=dead), **ways)


def on_dask(
    url: str, cameras: int, seconds: float, *, dead: float = 0.02, kill_after_s: float | None = None
) -> dict[str, Any]:
    """The same on two workers, of which one may be killed after a while."""
    with dask(2) as (address, workers):
        if kill_after_s is not None:
            timer = threading.Timer(kill_after_s, lambda: workers[0].send_signal(signal.SIGKILL))
            timer.start()
        return run(url, cameras, seconds, dead=dead, cluster=address)


def kill_process(url: str, cameras: int, seconds: float) -> dict[str, Any]:
    """Two watches, of which one is killed in the middle; the other goes on for as long as the leases and two periods."""
    config, scan = settings_for(cameras / PERIOD_S, 0.02), ScanModel()
    spawned = multiprocessing.get_context("spawn")
    with simulated_cameras(url, cameras, PERIOD_S) as scratch, tempfile.TemporaryDirectory() as folder:
        lasts = seconds + LEASE_S + 2 * PERIOD_S
        both = [
            spawned.Process(target=modelled_process, args=(scratch, folder, config, scan, lasts))
            for _ in range(2)
        ]
        for one in both:
            one.start()
        time.sleep(seconds)
        assert both[0].pid is not None
        os.kill(both[0].pid, signal.SIGKILL)
        for one in both:
            one.join()
        return {"exit_codes": [one.exitcode for one in both]} | accounted(scratch, PERIOD_S)


def dead_cameras(url: str, cameras: int, seconds: float) -> dict[str, Any]:
    """At half the pace: looks a second at cameras that can be looked through, against what is due of them."""
    found: dict[str, Any] = {}
    for dead in random.sample([0.0, DEAD], 2):
        told = run(url, cameras // 2, seconds, dead=dead)
        found[f"{dead:.0%} dead"] = {
            "observed_per_s": told["observed_per_s"],
            "share_of_due": round(told["observed_per_s"] / told["answering_per_s"], 3),
        } | {name: told[name] for name in ("lag_p50_s", "lag_p95_s", "not_scanned", "doubled")}
    return found


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--cameras", type=int, default=60_000)
    parser.add_argument("--seconds", type=float, default=25.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    cameras, seconds = options.cameras, options.seconds
    few = cameras // 10  # a camera that is lost for a while has to be seen again within the run
    options.home.mkdir(parents=True, exist_ok=True)
    options.home.chmod(0o755)
    cluster = PrivateCluster(options.home)
    cluster.up()
    url = cluster.url()
    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "one": lambda: run(url, cameras, seconds),
        "two": lambda: run(url, cameras, seconds, processes=2),
        "dask": lambda: on_dask(url, cameras, seconds),
        "dead": lambda: dead_cameras(url, cameras, seconds),
        "dask_dead": lambda: on_dask(url, few, seconds, dead=DEAD),
        "kill_process": lambda: kill_process(url, few, seconds),
        "kill_worker": lambda: on_dask(url, few, seconds + LEASE_S + PERIOD_S, kill_after_s=seconds / 2),
    }
    chosen = [name for name in ways if not options.only or name in options.only]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen}
    try:
        for _ in range(options.rounds):
            for name in random.sample(chosen, len(chosen)):
                found[name].append(ways[name]())
                print(name, json.dumps(found[name][-1]), file=sys.stderr, flush=True)
    finally:
        cluster.down()
    rates = {
        name: statistics.median(one["scans_per_s"] for one in found[name])
        for name in ("one", "two", "dask")
        if name in found
    }
    text = json.dumps({"wanted_per_s": round(cameras / PERIOD_S), "scans_per_s": rates} | found, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
