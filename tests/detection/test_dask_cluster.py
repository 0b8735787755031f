"""Scans on a Dask cluster: real workers in processes of their own, one of which is killed."""

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from red_scanning import open_red
from test_watch import COUNTED_LOOKS, FIRE, held, moment, value, wait_for
from watching import SRID, T0, CameraServer, add_camera, gb_id
from worker import CONFIG

from detection.cluster import TASK_CAMERAS, ClusterScanning, parse_resources
from detection.config import FetchConfig
from detection.simulate import ScanModel, open_modelled
from detection.types import Camera, Claim, Observation
from detection.watch import run_scanning
from geoapp.errors import Refused

Connection = psycopg.Connection[dict[str, Any]]
HERE = Path(__file__).parent


def start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        env=os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent.parent}"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.fixture
def cluster_address(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A scheduler and two workers; their address, and the workers."""
    file = tmp_path / "scheduler.json"
    scheduler = start(
        "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)
    )
    wait_for(file.exists, 30)
    workers = [
        start("worker", "--scheduler-file", str(file), "--no-nanny", "--nthreads", "2", "--no-dashboard", "--local-directory", str(tmp_path / f"w{n}"))
        for n in range(2)
    ]  # fmt: skip
    import json

    yield json.loads(file.read_text())["address"], workers
    for process in [*workers, scheduler]:
        process.kill()
        process.wait()


def test_a_lost_worker_loses_and_doubles_no_look(
    ground: Connection,
    watch_url: str,
    server: CameraServer,
    tmp_path: Path,
    cluster_address: tuple[str, list[subprocess.Popen[bytes]]],
) -> None:
    address, workers = cluster_address
    cameras = 10
    for number in range(1, cameras + 1):
        server.scripts[f"c{number}"] = held(0.2, moment(FIRE))
        add_camera(ground, number, server.url(f"c{number}"), period_s=1)
    opener = functools.partial(open_red, CONFIG)
    scanning = ClusterScanning(address, opener)
    wait_for(lambda: len(scanning._client.scheduler_info(n_workers=-1)["workers"]) == 2)
    assert scanning.model_hash == "a" * 64
    stop, figures = threading.Event(), dict[str, Any]()

    def work() -> None:
        figures.update(run_scanning(watch_url, scanning, stop=stop, evidence_folder=tmp_path, config=CONFIG))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        wait_for(lambda: value(ground, "SELECT count(*) FROM watch.observation") >= cameras)
        workers[0].send_signal(signal.SIGKILL)
        killed_at = time.monotonic()
        before = value(ground, "SELECT count(*) FROM watch.observation")
        wait_for(lambda: value(ground, "SELECT min(observation_count) FROM watch.incident") >= 4)
        wait_for(lambda: value(ground, "SELECT count(*) FROM watch.observation") >= before + 2 * cameras)
        assert time.monotonic() - killed_at < 60
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()
    assert value(ground, "SELECT count(*) FROM watch.incident") == cameras
    written = value(ground, "SELECT count(*) FROM watch.observation")
    assert written == figures["scans"] == value(ground, COUNTED_LOOKS)
    assert written == value(ground, "SELECT sum(observation_count) FROM watch.incident")


def test_a_camera_that_does_not_answer_holds_up_its_own_batch_only() -> None:
    """On a worker of one thread: the other batches are back before it is given up."""
    from distributed import LocalCluster

    limit_s, scan = 2.0, ScanModel(median_s=0.02, spread=0.0, dead_share=0.05)
    config = CONFIG.model_copy(update={"fetch": FetchConfig(total_s=limit_s)})
    asked = [
        Claim(Camera(n, gb_id(n), "", "modelled", 30.0, 0, 0, SRID), 1, T0, 0.0, 0, 1) for n in range(80)
    ]
    took: dict[int, float] = {}
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, protocol="tcp://"
    ) as cluster:
        scanning = ClusterScanning(cluster.scheduler_address, functools.partial(open_modelled, scan, config))
        began = time.monotonic()

        def done(claim: Claim, look: Observation | None) -> None:
            assert look is not None
            took[claim.camera.id] = time.monotonic() - began

        scanning.scan(asked, done)
        wait_for(lambda: len(took) == len(asked))
        scanning.close()
    here = open_modelled(scan, config)
    dead = {claim.camera.id // TASK_CAMERAS for claim in asked if here._is_dead(claim)}
    here.close()
    late = {n for n, seconds in took.items() if seconds >= limit_s}
    assert 1 < len(dead) < len(asked) // TASK_CAMERAS
    assert late == {n for n in took if n // TASK_CAMERAS in dead}
    assert max(took.values()) < 2 * limit_s, "they wait side by side"


def test_no_cluster_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("detection.cluster.CONNECT_LIMIT_S", 1)
    with pytest.raises(Refused, match="does not answer"):
        ClusterScanning("tcp://127.0.0.1:1", functools.partial(open_red, CONFIG))


def test_resources_are_numbers() -> None:
    assert parse_resources([]) is None
    assert parse_resources(["GPU=1", "MEM=2.5"]) == {"GPU": 1.0, "MEM": 2.5}
    with pytest.raises(Refused, match="GPU=many"):
        parse_resources(["GPU=many"])
