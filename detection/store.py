"""One look into the register in a transaction of its own: the scan, its incidents and what is told of them, or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from detection.config import WatchConfig
from detection.lease import Connection
from detection.looks import Looked, write_look
from detection.recording import Outcome, observation_id, record_late_scans, record_scans
from detection.types import Claim, Observation, Observed


class LeaseLost(Exception):  # noqa: N818 - not a fault: another process has taken the camera over
    """The camera was claimed by somebody else meanwhile; nothing of this result was written."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a scan changed. transitions: (incident number, class, transition) in order."""

    transitions: tuple[tuple[int, str, str], ...]
    is_health_changed: bool


def store_scan(
    connection: Connection,
    claim: Claim,
    observation: Observation,
    *,
    thresholds: dict[str, float],
    config: WatchConfig,
    evidence_folder: Path,
    at: datetime,
) -> Stored:
    """Writes observation, counters, health, incidents, evidence and outbox, and gives the lease back.

    at: now, for the next due time. Raises LeaseLost where the token is no longer the newest; psycopg errors and
    OSError (no room for evidence) pass: in each case nothing was written and the scan is to be done again.
    """
    with connection.transaction():
        (recorded,) = record_scans(connection, [(claim, observation)], at=at, alone=True)
        if recorded.outcome is Outcome.LOST:
            raise LeaseLost(f"camera {observation.camera_id}: token {claim.token} is no longer the newest")
        result = observation.result
        if not (
            isinstance(result, Observed) and recorded.is_new and (result.boxes or recorded.has_incidents)
        ):
            return Stored((), recorded.is_health_changed)
        looked = _write_look(connection, claim, observation, thresholds, config, evidence_folder)
        _plan_burst(connection, claim, looked, config, at)
        return Stored(looked.transitions, recorded.is_health_changed)


def store_late_look(
    connection: Connection,
    claim: Claim,
    observation: Observation,
    *,
    thresholds: dict[str, float],
    config: WatchConfig,
    evidence_folder: Path,
) -> Stored:
    """Writes a look that shows something and that was overtaken while the database was away; no lease is touched."""
    with connection.transaction():
        (is_new,) = record_late_scans(connection, [(claim, observation)])
        if not is_new:
            return Stored((), False)
        looked = _write_look(connection, claim, observation, thresholds, config, evidence_folder)
        return Stored(looked.transitions, False)


def _write_look(
    connection: Connection,
    claim: Claim,
    observation: Observation,
    thresholds: dict[str, float],
    config: WatchConfig,
    evidence_folder: Path,
) -> Looked:
    name = observation_id(observation.camera_id, observation.captured_at, observation.model_hash)
    return write_look(
        connection,
        claim,
        observation,
        name,
        thresholds=thresholds,
        config=config,
        evidence_folder=evidence_folder,
    )


def _plan_burst(
    connection: Connection, claim: Claim, looked: Looked, config: WatchConfig, at: datetime
) -> None:
    """A first hit is looked at again soon, a few times, until its candidate is open or dropped."""
    rules = config.schedule
    left = rules.burst if looked.has_begun else claim.burst_left - 1
    if not looked.is_undecided or left <= 0:
        return
    connection.execute(
        "UPDATE watch.scan_due SET next_due_at = least(next_due_at, %s), burst_left = %s"
        " WHERE camera_id = %s AND lease_token = %s",
        (at + timedelta(seconds=rules.burst_s), left, claim.camera.id, claim.token),
    )
