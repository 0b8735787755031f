"""From claims to observations: frames are fetched beside each other, then examined by a pool of workers.

What goes on here touches no database; results are handed on as they come, in any order.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import datetime
from typing import Protocol

import structlog

from detection.backends.base import Detector, boxes_in, threads_at_once
from detection.config import WatchConfig
from detection.gate import Gate
from detection.sources.base import FrameSource
from detection.types import Camera, Claim, Frame, Observation, Observed, Picture, Reason, Unobserved

log = structlog.get_logger("watch")
Clock = Callable[[], datetime]
Done = Callable[[Claim, Observation | None], None]
"""Told of each scan once, from any thread, and must not block. None: the scan failed in us, nothing is known."""


class Scanning(Protocol):
    """Looks through cameras. `model_hash` and `thresholds` (by class) are of the engine that looks."""

    @property
    def model_hash(self) -> str: ...

    @property
    def thresholds(self) -> dict[str, float]: ...

    def scan(self, claims: Sequence[Claim], done: Done) -> None:
        """Begins a scan of each claim and returns at once."""

    def close(self) -> None:
        """Gives everything back; scans on their way may be lost."""


class LocalScanning:
    """Scans in this process. executor: any concurrent.futures Executor whose workers share this process's memory."""

    def __init__(
        self,
        source: FrameSource,
        detector: Detector,
        *,
        config: WatchConfig,
        clock: Clock,
        executor: Executor | None = None,
    ) -> None:
        self._source, self._detector, self._clock = source, detector, clock
        self._gate = Gate(config.gate, detector.input_px)
        self._own_executor = executor is None
        self._executor = executor or ThreadPoolExecutor(config.schedule.workers, "examine")
        self._may_detect = threading.BoundedSemaphore(threads_at_once(detector))
        self.detect_s = 0.0
        self._loop = asyncio.new_event_loop()
        self._fetcher = threading.Thread(target=self._loop.run_forever, name="fetch", daemon=True)
        self._fetcher.start()

    @property
    def model_hash(self) -> str:
        return self._detector.model_hash

    @property
    def thresholds(self) -> dict[str, float]:
        return self._detector.thresholds

    def scan(self, claims: Sequence[Claim], done: Done) -> None:
        asyncio.run_coroutine_threadsafe(self._fetch_all(claims, done), self._loop)

    def close(self) -> None:
        if self._own_executor:
            self._executor.shutdown(wait=False, cancel_futures=True)
        asyncio.run_coroutine_threadsafe(self._source.close(), self._loop).result(2.0)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._fetcher.join(2.0)

    async def _fetch_all(self, claims: Sequence[Claim], done: Done) -> None:
        await asyncio.gather(*(self._fetch(claim, done) for claim in claims))

    async def _fetch(self, claim: Claim, done: Done) -> None:
        asked_at = self._clock()
        try:
            got = await self._source.grab(claim.camera)
            if isinstance(got, Unobserved):
                done(claim, self._observation(claim.camera, asked_at, got))
            else:
                self._executor.submit(self._examine_and_tell, claim, got, done)
        except Exception as fault:  # the executor is closing, or a source has a fault of its own
            _failed(claim, fault)
            done(claim, None)

    def _examine_and_tell(self, claim: Claim, frame: Frame, done: Done) -> None:
        try:
            look = self.look(claim.camera, frame)
        except Exception as fault:
            _failed(claim, fault)
            done(claim, None)
            return
        done(claim, look)

    def look(self, camera: Camera, frame: Frame) -> Observation:
        """What a frame shows, or why it shows nothing. Never an empty picture for a fault."""
        examined = self._gate.examine(camera, frame)
        return Observation(
            camera.id,
            frame.captured_at,
            frame.received_at,
            self._detect(camera, examined.result),
            self.model_hash,
            frame,
            examined.picture,
            examined.detail,
        )

    def _observation(self, camera: Camera, asked_at: datetime, why: Unobserved) -> Observation:
        return Observation(camera.id, asked_at, self._clock(), why, self.model_hash)

    def _detect(self, camera: Camera, picture: Picture | Unobserved) -> Observed | Unobserved:
        if isinstance(picture, Unobserved):
            return picture
        try:
            with self._may_detect:
                began = time.perf_counter()
                boxes = boxes_in(self._detector, picture)
                self.detect_s += time.perf_counter() - began
        except Exception as fault:
            log.error("detector_failed", camera=camera.gb_id, fault=f"{type(fault).__name__}: {fault}"[:300])
            return Unobserved(Reason.DETECTOR_FAILED, type(fault).__name__)
        return Observed(boxes, picture.width_px, picture.height_px)


def _failed(claim: Claim, fault: Exception) -> None:
    # Nothing is written, so the lease expires and the scan is done again.
    log.error("scan_failed", camera=claim.camera.gb_id, fault=f"{type(fault).__name__}: {fault}"[:300])
