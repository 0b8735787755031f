"""Results on their way into the database: joined into batches, kept while it is away, written in order when it is back.

One thread writes; a look that concerns incidents has a transaction of its own, in a small pool, so that one camera's
evidence does not hold up a thousand others. Nothing here decides anything about incidents.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import structlog

from detection.config import WatchConfig
from detection.outage import Outage
from detection.recording import Outcome, record_late_scans, record_scans
from detection.scanning import Clock
from detection.sessions import DATABASE_FAULTS, Connection, Sessions
from detection.store import LeaseLost, Stored, store_late_look, store_scan
from detection.tally import Tally
from detection.types import Claim, Observation, Observed, Unobserved, without_idle_picture

log = structlog.get_logger("watch")

LOOK_WORKERS = 2
Landed = Callable[[Claim, Observation | None], None]
"""Told once of each result, from a thread of the writing: the look that is written, or None where it was not."""


@dataclass(slots=True)
class _Waiting:
    """A result that is not written yet. is_spooled: it came, or could not be written, while the database was away."""

    claim: Claim
    look: Observation
    is_spooled: bool = False

    @property
    def is_telling(self) -> bool:
        """Whether it shows something: the last to be given up."""
        return isinstance(self.look.result, Observed) and bool(self.look.result.boxes)

    @property
    def frame_bytes(self) -> int:
        return 0 if self.look.frame is None else len(self.look.frame.data)


class Writing:
    """The way of results into the database. `landed` is told of each."""

    def __init__(
        self,
        sessions: Sessions,
        *,
        outage: Outage,
        tally: Tally,
        landed: Landed,
        thresholds: Callable[[], dict[str, float]],
        config: WatchConfig,
        evidence_folder: Path,
        clock: Clock,
    ) -> None:
        self._sessions, self._outage, self._tally, self._landed = sessions, outage, tally, landed
        self._thresholds, self._config, self._clock = thresholds, config, clock
        self._evidence_folder = evidence_folder
        self._queue: deque[_Waiting] = deque()
        self._looking: set[int] = set()
        self._being_written = 0
        self._written_at = 0.0
        self._frame_bytes = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._looks = ThreadPoolExecutor(LOOK_WORKERS, "look")
        self._thread = threading.Thread(target=self._work, name="write", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        """Results that are not written yet."""
        with self._changed:
            return self._left()

    def _left(self) -> int:
        return len(self._queue) + self._being_written + len(self._looking)

    @property
    def is_behind(self) -> bool:
        """Whether results of an outage are still waiting: they are written before anything is claimed anew."""
        with self._changed:
            return any(w.is_spooled for w in self._queue) or (
                self._being_written > 0 and self._is_catching_up
            )

    def put(self, claim: Claim, look: Observation) -> None:
        """Takes a result; never waits. Where the spool is full, one that tells least is given up instead."""
        one = _Waiting(claim, without_idle_picture(look), is_spooled=self._outage.is_on)
        with self._changed:
            self._queue.append(one)
            self._frame_bytes += one.frame_bytes
            given_up = self._make_room()
            self._changed.notify_all()
        for gone in given_up:
            self._landed(gone.claim, None)

    def _make_room(self) -> list[_Waiting]:
        """What is given up for the bounds of the spool (with the lock held)."""
        rules, given_up = self._config.spool, []
        while len(self._queue) > rules.results:
            gone = next((w for w in self._queue if not w.is_telling), self._queue[0])
            self._queue.remove(gone)
            self._frame_bytes -= gone.frame_bytes
            given_up.append(gone)
        for one in self._queue if self._frame_bytes > rules.frame_bytes else ():
            self._frame_bytes -= one.frame_bytes
            one.look = replace(one.look, frame=None)
            if self._frame_bytes <= rules.frame_bytes:
                break
        if given_up and self._tally.dropped == 0:
            log.error("spool_full", kept=rules.results, what="these due times will count as not scanned")
        self._tally.dropped += len(given_up)
        return given_up

    def close(self, limit_s: float) -> int:
        """Writes what is waiting, limit_s seconds at most; how many results are lost with this process."""
        with self._changed:
            self._changed.wait_for(lambda: not self._left(), limit_s)
            self._stopping = True
            left = self._left()
            self._changed.notify_all()
        self._thread.join(limit_s)
        self._looks.shutdown(wait=False, cancel_futures=True)
        return left

    # -- the writing thread -------------------------------------------------------------------------------------

    def _work(self) -> None:
        while (batch := self._next_batch()) is not None:
            try:
                self._write(batch)
            except DATABASE_FAULTS as fault:
                self._outage.begins(fault)
                self._put_back(batch)
            except Exception as fault:
                # One of them cannot be written: each on its own, so that it is known which.
                if len(batch) > 1:
                    self._write_one_by_one(batch)
                elif batch:
                    self._give_up(batch[0], fault)
            with self._changed:
                self._written_at = time.monotonic()
                self._being_written = 0
                self._changed.notify_all()

    def _next_batch(self) -> list[_Waiting] | None:
        """The oldest results, at most one of a camera; None at the end."""
        with self._changed:
            while True:
                if self._stopping:
                    return None
                pause_s = self._outage.wait_s() or self._joining_s()
                batch = [] if pause_s else self._take()
                if batch:
                    return batch
                self._changed.wait(pause_s or None)

    def _joining_s(self) -> float:
        """How long the waiting results may still wait for others: a commit each would cost more than the look."""
        rules = self._config.schedule
        if len(self._queue) >= rules.write_batch:
            return 0.0
        return max(0.0, self._written_at + rules.write_every_s - time.monotonic())

    def _take(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        later: list[_Waiting] = []
        cameras = set(self._looking)
        while self._queue and len(batch) < self._config.schedule.write_batch:
            one = self._queue.popleft()
            if one.claim.camera.id in cameras:
                later.append(one)
            else:
                cameras.add(one.claim.camera.id)
                batch.append(one)
        self._queue.extendleft(reversed(later))
        self._being_written = len(batch)
        self._is_catching_up = any(w.is_spooled for w in batch)
        return batch

    def _put_back(self, batch: list[_Waiting]) -> None:
        for one in batch:
            one.is_spooled = True
        with self._changed:
            self._queue.extendleft(reversed(batch))

    def _write_one_by_one(self, batch: list[_Waiting]) -> None:
        for place, one in enumerate(batch):
            try:
                self._write([one])
            except DATABASE_FAULTS as fault:
                self._outage.begins(fault)
                self._put_back(batch[place:])
                return
            except Exception as fault:
                self._give_up(one, fault)

    def _write(self, batch: list[_Waiting]) -> None:
        """Where it fails, `batch` holds what is still to be written, and nothing that is."""
        with self._sessions.connection() as connection:
            with connection.transaction():
                outcomes = record_scans(
                    connection, [(w.claim, w.look) for w in batch], at=self._clock(), alone=False
                )
            self._outage.ends()
            overtaken = []
            for one, recorded in zip(batch, outcomes, strict=True):
                if recorded.outcome is Outcome.RECORDED:
                    self._finish(one, Stored((), recorded.is_health_changed))
                elif recorded.outcome is Outcome.LOOK:
                    self._begin_look(one)
                elif one.is_spooled:
                    overtaken.append(one)
                else:
                    self._lose(one)
            batch[:] = overtaken
            self._write_late(connection, batch)

    def _write_late(self, connection: Connection, batch: list[_Waiting]) -> None:
        """Looks from an outage of cameras that another process has claimed since."""
        plain = [w for w in batch if not w.is_telling]
        if plain:
            with connection.transaction():
                record_late_scans(connection, [(w.claim, w.look) for w in plain])
            with self._tally.lock:
                self._tally.late += len(plain)
        batch[:] = [w for w in batch if w.is_telling]
        for one in plain:
            self._finish(one, Stored((), False))
        while batch:
            stored = self._store_late(connection, batch[0])
            self._finish(batch.pop(0), stored)

    # -- looks that concern incidents ---------------------------------------------------------------------------

    def _begin_look(self, one: _Waiting) -> None:
        with self._changed:
            self._looking.add(one.claim.camera.id)
        self._looks.submit(self._look, one)

    def _look(self, one: _Waiting) -> None:
        try:
            with self._sessions.connection() as connection:
                stored = self._store_look(connection, one)
        except DATABASE_FAULTS as fault:
            self._outage.begins(fault)
            self._put_back([one])
        except LeaseLost:
            self._lose(one)
        except Exception as fault:
            self._give_up(one, fault)
        else:
            self._outage.ends()
            self._finish(one, stored)
        finally:
            with self._changed:
                self._looking.discard(one.claim.camera.id)
                self._changed.notify_all()

    def _store_look(self, connection: Connection, one: _Waiting) -> Stored:
        try:
            return store_scan(
                connection,
                one.claim,
                one.look,
                thresholds=self._thresholds(),
                config=self._config,
                evidence_folder=self._evidence_folder,
                at=self._clock(),
            )
        except LeaseLost:
            if not one.is_spooled:
                raise
        return self._store_late(connection, one)

    def _store_late(self, connection: Connection, one: _Waiting) -> Stored:
        with self._tally.lock:
            self._tally.late += 1
        return store_late_look(
            connection,
            one.claim,
            one.look,
            thresholds=self._thresholds(),
            config=self._config,
            evidence_folder=self._evidence_folder,
        )

    # -- the end of a result ------------------------------------------------------------------------------------

    def _finish(self, one: _Waiting, stored: Stored) -> None:
        self._tally.count(one.look)
        with self._tally.lock:
            self._tally.transitions.update(word for _, _, word in stored.transitions)
        _tell_log(one, stored)
        self._end(one, one.look)

    def _lose(self, one: _Waiting) -> None:
        with self._tally.lock:
            self._tally.leases_lost += 1
        log.warning("lease_lost", camera=one.claim.camera.gb_id, token=one.claim.token)
        self._end(one, None)

    def _give_up(self, one: _Waiting, fault: Exception) -> None:
        # Nothing was written, so the lease expires and the scan is done again.
        said = str(fault).splitlines()[0] if isinstance(fault, psycopg.Error) else str(fault)
        log.error(
            "scan_not_written", camera=one.claim.camera.gb_id, fault=f"{type(fault).__name__}: {said}"[:300]
        )
        self._end(one, None)

    def _end(self, one: _Waiting, look: Observation | None) -> None:
        with self._changed:
            self._frame_bytes -= one.frame_bytes
            self._changed.notify_all()
        self._landed(one.claim, look)


def _tell_log(one: _Waiting, stored: Stored) -> None:
    camera, result = one.claim.camera.gb_id, one.look.result
    if stored.is_health_changed:
        if isinstance(result, Unobserved):
            log.warning(
                "camera_not_observed", camera=camera, reason=result.reason.value, detail=result.detail
            )
        else:
            log.info("camera_observed_again", camera=camera)
    for number, class_name, word in stored.transitions:
        log.info("incident", incident_no=number, kind=class_name, transition=word, camera=camera)
