"""Scans a second end to end: the watch over HTTP snapshots against a bare loop of YOLO.predict over the same pictures, and
against the bare model, which is the limit.

    python -m benchmarks.watch_scans --home FOLDER [--rounds 3] [--seconds 20] [--sizes 640 416] [--json FILE]

The pictures are rendered by the demo's camera farm, 1920 x 1080, JPEG, another one for each camera and moment. They are
served by a process of its own, which shares the cores with the watch; the loop reads them from memory. One round runs all
ways in an order drawn anew; the ratios are of the same round. fsync is on.

All cameras are of one host and port, and HttpSnapshot is asked directly: the limit of 8 at a time for a host
(fetch.per_host, kept by detection.sources.dispatch) is not in force here, only that of all cameras (fetch.in_flight).
"""

import argparse
import asyncio
import json
import multiprocessing
import random
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from detection.backends import open_detector
from detection.backends.openvino import exported_model
from detection.backends.weights import find_weights
from detection.config import DetectorConfig, FetchConfig, ScheduleConfig, WatchConfig
from detection.scanning import LocalScanning
from detection.sources.http_snapshot import HttpSnapshot
from detection.watch import run_scanning, utc_now
from geoapp.database.cluster import PrivateCluster
from geoapp.database.connection import connect
from geoapp.database.migrations import migrate
from geoapp.settings import settings

SRID = 4549
PICTURES = 48
SIZE = (1920, 1080)
CAMERAS = 300


def pictures() -> list[bytes]:
    """Photograph-like JPEGs of streets and yards with the noise of a sensor: 48 of them, about 300 kB each."""
    rng = np.random.default_rng(5)
    out = []
    for _ in range(PICTURES):
        small = rng.integers(30, 200, (18, 32, 3), dtype=np.uint8)
        image = cv2.resize(small, SIZE, interpolation=cv2.INTER_CUBIC)
        for _ in range(40):
            x, y = int(rng.integers(0, SIZE[0] - 80)), int(rng.integers(0, SIZE[1] - 60))
            w, h = int(rng.integers(20, 300)), int(rng.integers(20, 200))
            colour = tuple(int(v) for v in rng.integers(20, 220, 3))
            cv2.rectangle(image, (x, y), (x + w, y + h), colour, -1)
        noisy = np.clip(image.astype(np.int16) + rng.normal(0, 4, image.shape).astype(np.int16), 0, 255)
        out.append(cv2.imencode(".jpg", noisy.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes())
    return out


def serve(held: list[bytes], listening: socket.socket) -> None:
    """A camera farm that does nothing but send: each request gets the next picture."""
    answers = [
        b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data) + data
        for data in held
    ]
    count = 0

    class Camera(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            self.transport = transport
            self.asked = b""

        def data_received(self, data: bytes) -> None:
            nonlocal count
            self.asked += data
            while b"\r\n\r\n" in self.asked:
                _, _, self.asked = self.asked.partition(b"\r\n\r\n")
                self.transport.write(answers[count % len(answers)])
                count += 1

    async def work() -> None:
        server = await asyncio.get_running_loop().create_server(Camera, sock=listening)
        await server.serve_forever()

    asyncio.run(work())


def by_watch(url: str, size: int, seconds: float) -> float:
    """The whole watch: claims, HTTP, picture health, model, ledger, commits. Scans a second while it is never idle."""
    config = WatchConfig(
        schedule=ScheduleConfig(batch=16, workers=4, tick_s=0.05),
        fetch=FetchConfig(in_flight=24),
        detector=DetectorConfig(imgsz=size),
    )
    detector = open_detector(find_weights(settings()), config.detector, home=settings().home_path)
    scanning = LocalScanning(
        HttpSnapshot(config.fetch, clock=utc_now), detector, config=config, clock=utc_now
    )
    cv2.setNumThreads(1)
    with connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE watch.scan_due, watch.observation, watch.observation_hour")
    stop = threading.Event()
    timer = threading.Timer(seconds, stop.set)
    timer.start()
    with tempfile.TemporaryDirectory() as folder:
        figures = run_scanning(url, scanning, stop=stop, evidence_folder=Path(folder), config=config)
    assert figures["observed"] == figures["scans"], figures
    return figures["scans"] / seconds


def by_predict(held: list[bytes], size: int, seconds: float) -> float:
    """A bare loop of YOLO.predict over pictures in memory, PyTorch on all cores, nothing stored."""
    from detection.torchvision_shim import ensure_torchvision

    ensure_torchvision()
    from ultralytics import YOLO

    model = YOLO(str(find_weights(settings()).path), task="detect")

    def one(data: bytes) -> None:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        model.predict(image, imgsz=size, conf=0.2, verbose=False)

    return _rate(held, seconds, one)


def by_predict_openvino(held: list[bytes], size: int, seconds: float) -> float:
    """The same loop with the weights exported to OpenVINO by ultralytics: its fastest way on a CPU."""
    from detection.torchvision_shim import ensure_torchvision

    ensure_torchvision()
    from ultralytics import YOLO

    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "model.pt"
        copy.write_bytes(find_weights(settings()).path.read_bytes())
        made = YOLO(str(copy), task="detect").export(format="openvino", imgsz=size, verbose=False)
        model = YOLO(str(made), task="detect")

        def one(data: bytes) -> None:
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
            model.predict(image, imgsz=size, conf=0.2, verbose=False)

        return _rate(held, seconds, one)


def by_model(size: int, seconds: float) -> float:
    """The limit: the same network on one prepared tensor again and again, a stream a core, nothing else."""
    import openvino

    weights = replace(find_weights(settings()), imgsz=size)
    folder = exported_model(weights, settings().home_path)
    threads = DetectorConfig().threads
    compiled = openvino.Core().compile_model(
        str(folder / "model.xml"),
        "CPU",
        {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": threads, "INFERENCE_PRECISION_HINT": "f32"},
    )
    tensor = np.random.default_rng(1).random(tuple(compiled.input(0).shape), np.float32)
    counts = [0] * threads
    requests = [compiled.create_infer_request() for _ in range(threads)]
    for request in requests:
        request.infer({0: tensor})
    ends = time.perf_counter() + seconds

    def work(number: int) -> None:
        while time.perf_counter() < ends:
            requests[number].infer({0: tensor})
            counts[number] += 1

    workers = [threading.Thread(target=work, args=(n,)) for n in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / seconds


def _rate(held: list[bytes], seconds: float, one: Callable[[bytes], None]) -> float:
    for data in held[:3]:
        one(data)
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        one(held[count % len(held)])
        count += 1
    return count / (time.perf_counter() - began)


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--sizes", type=int, nargs="*", default=[640, 416])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    held = pictures()
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    port = listening.getsockname()[1]
    farm = multiprocessing.get_context("fork").Process(target=serve, args=(held, listening), daemon=True)
    farm.start()
    options.home.mkdir(parents=True, exist_ok=True)
    options.home.chmod(0o755)
    cluster = PrivateCluster(options.home)
    cluster.up()
    try:
        url = cluster.url()
        migrate(url, srid=SRID)
        with connect(url) as connection:
            connection.execute("DELETE FROM registry.camera WHERE gb_id LIKE '31011600001328%'")
            connection.execute(
                "INSERT INTO registry.camera (gb_id, name_zh, geom, snapshot_url, period_s)"
                " SELECT '31011600001328' || lpad(n::text, 6, '0'), 'bench ' || n,"
                " ST_SetSRID(ST_MakePoint(400000 + n, 3400000), %s), %s || n, 1 FROM generate_series(1, %s) AS n",
                (SRID, f"http://127.0.0.1:{port}/", CAMERAS),
            )
        figures = {str(size): _measure(url, held, size, options) for size in options.sizes}
    finally:
        cluster.down()
        farm.kill()
    text = json.dumps({"kilobytes": round(statistics.mean(map(len, held)) / 1000)} | figures, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


def _measure(url: str, held: list[bytes], size: int, options: argparse.Namespace) -> dict[str, Any]:
    ways: dict[str, Callable[[], float]] = {
        "watch": lambda: by_watch(url, size, options.seconds),
        "predict": lambda: by_predict(held, size, options.seconds),
        "predict_openvino": lambda: by_predict_openvino(held, size, options.seconds),
        "model": lambda: by_model(size, options.seconds),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name in random.sample(list(ways), len(ways)):
            rates[name].append(ways[name]())
            print(size, name, f"{rates[name][-1]:.2f} a second", file=sys.stderr, flush=True)
    against = {
        f"watch against {name}": round(
            statistics.median(o / p for o, p in zip(rates["watch"], rates[name], strict=True)), 2
        )
        for name in ways
        if name != "watch"
    }
    return {name: [round(r, 2) for r in found] for name, found in rates.items()} | against


if __name__ == "__main__":
    main()
