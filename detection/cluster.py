"""Scans on the workers of a Dask cluster (`geoapp detect run --cluster tcp://…`): they fetch and look, this process claims
and writes.

A worker that is lost loses no look: Dask gives its batch to another, and where that fails too the lease expires and the
camera is claimed anew. Each worker process keeps one engine and its memory of the cameras; a camera goes to the same
worker as long as there is that worker.
"""

from __future__ import annotations

import hashlib
import pickle
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from detection.config import WatchConfig
from detection.scanning import Done, LocalScanning, Scanning
from detection.types import Claim, Observation, without_idle_picture
from geoapp.errors import Refused

if TYPE_CHECKING:
    from distributed import Client, Future

log = structlog.get_logger("watch")

Opener = Callable[[], Scanning]
"""Makes a worker's way of looking; is pickled, so it names what it needs and holds nothing that is open."""

CONNECT_LIMIT_S = 10
BATCH_LIMIT_S = 60.0
# It is there when this is asked; only the way of it may be slow.
RESULT_LIMIT_S = 10.0
# Cameras a task: enough that the cluster's own work does not count, few enough that a lost one is soon done again.
TASK_CAMERAS = 16


class ClusterScanning:
    """See detection.scanning.Scanning. resources: what a worker must offer to be given scans, as {"GPU": 1}."""

    def __init__(self, address: str, opener: Opener, *, resources: dict[str, float] | None = None) -> None:
        """Raises Refused where the cluster does not answer, has no worker, or its workers run different models."""
        self._opener, self._resources = opener, resources
        self._client = _connected(address)
        self.model_hash, self.thresholds = self._model()

    def scan(self, claims: Sequence[Claim], done: Done) -> None:
        workers = sorted(self._client.scheduler_info(n_workers=-1)["workers"])
        shares: dict[int, list[Claim]] = defaultdict(list)
        for claim in claims:
            shares[claim.camera.id % max(1, len(workers))].append(claim)
        for number, share in shares.items():
            for start in range(0, len(share), TASK_CAMERAS):
                self._submit(share[start : start + TASK_CAMERAS], workers[number : number + 1], done)

    def close(self) -> None:
        self._client.close(timeout=2)

    def _submit(self, claims: list[Claim], workers: list[str], done: Done) -> None:
        future = self._client.submit(
            scan_batch,
            self._opener,
            claims,
            pure=False,
            workers=workers or None,
            allow_other_workers=bool(workers),
            resources=self._resources,
        )

        def landed(over: Future) -> None:
            looks: list[Observation | None]
            try:
                looks = over.result(timeout=RESULT_LIMIT_S)
            except Exception as fault:  # the workers that tried it are lost, or the cluster is
                log.error("batch_lost", cameras=len(claims), fault=f"{type(fault).__name__}: {fault}"[:200])
                looks = [None] * len(claims)
            for claim, look in zip(claims, looks, strict=True):
                done(claim, look)
            over.release()

        future.add_done_callback(landed)

    def _model(self) -> tuple[str, dict[str, float]]:
        try:
            self._client.wait_for_workers(1, timeout=CONNECT_LIMIT_S)
        except TimeoutError:
            self.close()
            raise Refused(
                "集群里没有工作进程 / The cluster has no workers. Start one: dask worker ADDRESS --nthreads 1"
            ) from None
        told = self._client.run(describe, self._opener)
        if len({model_hash for model_hash, _ in told.values()}) > 1:
            self.close()
            models = ", ".join(f"{at}: {model_hash[:12]}" for at, (model_hash, _) in sorted(told.items()))
            raise Refused(f"各工作进程的模型不同 / the workers run different models: {models}")
        model_hash, thresholds = next(iter(told.values()))
        return model_hash, thresholds


def _connected(address: str) -> Client:
    try:
        from distributed import Client
    except ImportError:
        raise Refused("没有安装 Dask / Dask is not installed here: pip install 'geoapp[cluster]'") from None
    try:
        return Client(address, timeout=CONNECT_LIMIT_S, set_as_default=False)
    except (OSError, ValueError) as fault:
        raise Refused(f"{address}: 集群没有回答 / the cluster does not answer: {fault}") from None


# -- on the workers ---------------------------------------------------------------------------------------------------

_scannings: dict[str, Scanning] = {}
_lock = threading.Lock()


def _scanning(opener: Opener) -> Scanning:
    """This worker process's own, made at the first call."""
    key = hashlib.sha256(pickle.dumps(opener)).hexdigest()
    with _lock:
        if key not in _scannings:
            _scannings[key] = opener()
        return _scannings[key]


def describe(opener: Opener) -> tuple[str, dict[str, float]]:
    """Model and thresholds of the engine that this worker looks with."""
    scanning = _scanning(opener)
    return scanning.model_hash, dict(scanning.thresholds)


def scan_batch(opener: Opener, claims: list[Claim]) -> list[Observation | None]:
    """Looks through the cameras; None for each scan that failed. A picture that shows nothing stays here.

    While it waits for them it gives its place to the next batch: a camera that does not answer holds up its own batch only.
    """
    from distributed import secede

    looks: dict[int, Observation | None] = {}
    all_done = threading.Event()

    def done(claim: Claim, look: Observation | None) -> None:
        looks[claim.camera.id] = None if look is None else without_idle_picture(look)
        if len(looks) == len(claims):
            all_done.set()

    _scanning(opener).scan(claims, done)
    secede()
    all_done.wait(BATCH_LIMIT_S)
    return [looks.get(claim.camera.id) for claim in claims]


def open_scanning(config: WatchConfig) -> LocalScanning:
    """A worker's way of looking, with the weights and the settings of its own machine. Raises Refused."""
    from detection.backends import open_detector
    from detection.backends.weights import find_weights
    from detection.sources.dispatch import open_source
    from detection.watch import utc_now
    from geoapp.settings import settings

    here = settings()
    detector = open_detector(find_weights(here), config.detector, home=here.home_path)
    return LocalScanning(open_source(config, clock=utc_now), detector, config=config, clock=utc_now)


def parse_resources(given: Sequence[str]) -> dict[str, Any] | None:
    """`GPU=1` and the like as Dask wants it. Raises Refused."""
    out = {}
    for one in given:
        name, _, amount = one.partition("=")
        try:
            out[name] = float(amount)
        except ValueError:
            raise Refused(f"--resources {one}: 应为 名称=数量 / is to be NAME=NUMBER, as GPU=1") from None
    return out or None
