"""One scan's result into the register, in one transaction: all of it, or nothing where the lease was lost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from psycopg.types.json import Jsonb

from detection.association import FAMILY, carry_extent, group_boxes
from detection.config import WatchConfig
from detection.evidence import keep_frame
from detection.incidents import Change, Hit, LiveIncident, plan
from detection.lease import Connection, statement
from detection.placing import place
from detection.types import Box, Camera, Claim, GroundFix, Observation, Observed, Unobserved
from geoapp.watch.incident_state import State, Transition

# Names of observations, incidents and frames are derived from what they are of: a repeat makes the same name.
NAMESPACE = UUID("6d1c9f0e-35b3-5c60-8a43-310116000000")
METHOD_RANK = {"camera_point": 0, "bearing_sector": 1, "pose_ray": 2}


class LeaseLost(Exception):  # noqa: N818 - not a fault: another process has taken the camera over
    """The camera was claimed by somebody else meanwhile; nothing of this result was written."""


@dataclass(frozen=True, slots=True)
class Stored:
    """What a scan changed. transitions: (incident number, class, transition) in order."""

    observation_id: UUID
    is_health_changed: bool
    transitions: tuple[tuple[int, str, str], ...]


def observation_id(camera_id: int, captured_at: datetime, model_hash: str) -> UUID:
    """The same look by the same model has the same id."""
    return uuid5(NAMESPACE, f"{camera_id}|{captured_at.isoformat()}|{model_hash}")


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
        name, row = _record(connection, claim, observation, at)
        transitions: list[tuple[int, str, str]] = []
        result = observation.result
        if isinstance(result, Observed) and row["is_new"] and (result.boxes or row["has_incidents"]):
            look = _Look(
                connection, claim.camera, observation, result, name, config, evidence_folder, thresholds
            )
            changes = look.changes()
            for change in changes:
                transitions += look.write(change)
            _plan_burst(connection, claim, changes, config, at)
        return Stored(name, row["is_health_changed"], tuple(transitions))


def _record(
    connection: Connection, claim: Claim, observation: Observation, at: datetime
) -> tuple[UUID, dict[str, Any]]:
    result = observation.result
    name = observation_id(observation.camera_id, observation.captured_at, observation.model_hash)
    row = connection.execute(
        statement("recorded_scan"),
        {
            "camera_id": observation.camera_id,
            "token": claim.token,
            "at": at,
            "period_s": claim.camera.period_s,
            "observation_id": name,
            "captured_at": observation.captured_at,
            "received_at": observation.received_at,
            "reason": result.reason.value if isinstance(result, Unobserved) else None,
            "model_hash": observation.model_hash,
            "boxes": Jsonb([b.as_json() for b in result.boxes] if isinstance(result, Observed) else []),
        },
    ).fetchone()
    if row is None:
        raise LeaseLost(f"camera {observation.camera_id}: token {claim.token} is no longer the newest")
    return name, row


@dataclass(frozen=True, slots=True)
class _Look:
    """One observed scan within its transaction."""

    connection: Connection
    camera: Camera
    observation: Observation
    result: Observed
    name: UUID
    config: WatchConfig
    evidence_folder: Path
    thresholds: dict[str, float]

    @property
    def at(self) -> datetime:
        return self.observation.captured_at

    def changes(self) -> list[Change]:
        rows = self.connection.execute(
            statement("live_incidents"),
            {
                "camera_id": self.camera.id,
                "observation_id": self.name,
                "memory": self.config.incidents.state_rules().memory,
            },
        ).fetchall()
        hits = [
            Hit(
                group,
                place(
                    self.camera, group.lead, self.result.width_px, self.result.height_px, self.config.placing
                ),
            )
            for group in group_boxes(self.result.boxes, self.thresholds)
        ]
        return plan(
            hits,
            [_live(row) for row in rows],
            at=self.at,
            thresholds=self.thresholds,
            config=self.config.incidents,
        )

    def write(self, change: Change) -> list[tuple[int, str, str]]:
        """Writes one change; the transitions that open maps hear of."""
        if change.hit is None:
            assert change.incident is not None
            incident_id = change.incident.id
            row = self._execute(
                "unseen_incident", {"id": incident_id, "state": change.state.value, "at": self.at}
            )
        elif change.incident is None:
            incident_id = uuid5(self.name, repr(change.hit.box.corners))
            row = self._begin(incident_id, change, change.hit)
        else:
            incident_id = change.incident.id
            row = self._see(change.incident, change, change.hit)
        if row is None:
            return []
        told = []
        if change.transition not in (None, Transition.DROPPED):
            told.append(str(change.transition))
        if change.is_upgraded and change.state is not State.CANDIDATE:
            told.append("upgraded")
        for word in told:
            self._tell(incident_id, row, change, word)
        return [(row["incident_no"], change.class_name, word) for word in told]

    def _begin(self, incident_id: UUID, change: Change, hit: Hit) -> dict[str, Any] | None:
        row = self._execute(
            "begun_incident",
            {
                "id": incident_id,
                "class": change.class_name,
                "camera_id": self.camera.id,
                "state": change.state.value,
                "at": self.at,
                "opened_at": self.at if change.state is State.OPEN else None,
                "score": hit.box.score,
                "model_hash": self.observation.model_hash,
                "box": list(hit.group.extent.corners),
            }
            | self._place(hit.fix),
        )
        self._find_permit(incident_id, change)
        self._link(incident_id, hit)
        self._keep_frame(incident_id, hit)
        return row

    def _see(self, incident: LiveIncident, change: Change, hit: Hit) -> dict[str, Any] | None:
        row = self._execute(
            "seen_incident",
            {
                "id": incident.id,
                "class": change.class_name,
                "state": change.state.value,
                "at": self.at,
                "opened_at": self.at if change.state is State.OPEN else None,
                "score": hit.box.score,
                "model_hash": self.observation.model_hash,
                "box": list(carry_extent(incident.box, hit.group.extent).corners),
            },
        )
        if _is_better_placed(incident, hit, is_upgraded=change.is_upgraded):
            self._execute("placed_incident", {"id": incident.id} | self._place(hit.fix))
        self._find_permit(incident.id, change)
        self._link(incident.id, hit)
        if self._frame_is_worth_it(incident, change, hit):
            self._keep_frame(incident.id, hit)
        return row

    def _place(self, fix: GroundFix) -> dict[str, Any]:
        """Columns of the place: coordinates with their error, and what stands there."""
        where = {
            "x": fix.x,
            "y": fix.y,
            "srid": self.camera.srid,
            "ring": None if fix.ring is None else _polygon(fix.ring),
        }
        found = self._execute("ground_place", where | {"camera_id": self.camera.id})
        assert found is not None
        return (
            where
            | found
            | {
                "method": fix.method,
                "semi_major_m": fix.semi_major_m,
                "semi_minor_m": fix.semi_minor_m,
                "rotation_deg": fix.rotation_deg,
            }
        )

    def _find_permit(self, incident_id: UUID, change: Change) -> None:
        """Looked up at every look: work goes on past the end of its permit."""
        if FAMILY[change.class_name] == "hot_work":
            self._execute("permitted_incident", {"id": incident_id})

    def _link(self, incident_id: UUID, hit: Hit) -> None:
        self.connection.execute(
            "INSERT INTO watch.incident_observation (incident_id, observation_id, score) VALUES (%s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (incident_id, self.name, hit.box.score),
        )

    def _frame_is_worth_it(self, incident: LiveIncident, change: Change, hit: Hit) -> bool:
        rules = self.config.evidence
        if incident.frames_kept >= rules.most:
            return False
        if change.transition is not None or change.is_upgraded or incident.last_frame_at is None:
            return True
        is_better = hit.box.score >= incident.peak_score + rules.better_by
        return is_better or (self.at - incident.last_frame_at).total_seconds() >= rules.every_s

    def _keep_frame(self, incident_id: UUID, hit: Hit) -> None:
        frame = self.observation.frame
        if frame is None:
            return
        evidence_id = uuid5(incident_id, str(self.name))
        kept = keep_frame(self.evidence_folder, evidence_id, frame.data, frame.captured_at)
        self.connection.execute(
            """
            INSERT INTO watch.evidence (id, incident_id, observation_id, sha256, path, bytes, width_px, height_px,
                                        captured_at, received_at, boxes)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (incident_id, observation_id) DO NOTHING
            """,
            (
                evidence_id,
                incident_id,
                self.name,
                kept.sha256,
                kept.path,
                kept.size,
                self.result.width_px,
                self.result.height_px,
                frame.captured_at,
                frame.received_at,
                Jsonb([box.as_json() for box in hit.group.boxes]),
            ),
        )

    def _tell(self, incident_id: UUID, row: dict[str, Any], change: Change, word: str) -> None:
        self.connection.execute(
            "INSERT INTO watch.outbox (topic, dedupe_key, payload) VALUES ('incident', %s, %s)"
            " ON CONFLICT (dedupe_key) DO NOTHING",
            (
                f"incident:{incident_id}:{word}:{self.name}",
                Jsonb(
                    {
                        "id": str(incident_id),
                        "incident_no": row["incident_no"],
                        "class": change.class_name,
                        "state": change.state.value,
                        "review": row["review"],
                        "transition": word,
                    }
                ),
            ),
        )

    def _execute(self, name: str, parameters: dict[str, Any]) -> dict[str, Any] | None:
        return self.connection.execute(statement(name), parameters).fetchone()


def _plan_burst(
    connection: Connection, claim: Claim, changes: list[Change], config: WatchConfig, at: datetime
) -> None:
    """A first hit is looked at again soon, a few times, until its candidate is open or dropped."""
    rules = config.schedule
    is_new = any(change.incident is None for change in changes)
    undecided = any(change.state is State.CANDIDATE for change in changes)
    left = rules.burst if is_new else claim.burst_left - 1
    if not undecided or left <= 0:
        return
    connection.execute(
        "UPDATE watch.scan_due SET next_due_at = least(next_due_at, %s), burst_left = %s"
        " WHERE camera_id = %s AND lease_token = %s",
        (at + timedelta(seconds=rules.burst_s), left, claim.camera.id, claim.token),
    )


def _is_better_placed(incident: LiveIncident, hit: Hit, *, is_upgraded: bool) -> bool:
    """A better method, or the best look so far by the same method: the place of the highest score stands."""
    before, now = METHOD_RANK.get(incident.method, 3), METHOD_RANK[hit.fix.method]
    if now != before:
        return now > before
    return is_upgraded or hit.box.score > incident.peak_score


def _live(row: dict[str, Any]) -> LiveIncident:
    return LiveIncident(
        id=row["id"],
        class_name=row["class"],
        state=State(row["state"]),
        box=Box(row["class"], row["peak_score"], *row["box"]),
        x=row["x"],
        y=row["y"],
        method=row["placing_method"],
        semi_major_m=row["semi_major_m"],
        last_seen_at=row["last_seen_at"],
        peak_score=row["peak_score"],
        seen=tuple(row["seen"]),
        frames_kept=row["frames_kept"],
        last_frame_at=row["last_frame_at"],
    )


def _polygon(ring: tuple[tuple[float, float], ...]) -> str:
    """WKT of an open ring."""
    return "POLYGON((" + ", ".join(f"{x:.3f} {y:.3f}" for x, y in (*ring, ring[0])) + "))"
