"""What one observed look changes about incidents: votes, places, permits, evidence and what is told, in one transaction."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import structlog
from psycopg.types.json import Jsonb

from detection.across import crossed, ground_keys
from detection.association import FAMILY, carry_extent, group_boxes
from detection.config import Mode, WatchConfig
from detection.evidence import NoRoomError, keep_frame
from detection.incidents import Change, Hit, LiveIncident, plan
from detection.lease import Connection, statement
from detection.placing import place
from detection.set_aside import Mask, SetAside, modes_of, split_boxes
from detection.types import CLASSES, Box, Camera, Claim, GroundFix, Observation, Observed
from detection.votes import looks_of
from geoapp.watch.incident_state import State, Transition

log = structlog.get_logger("watch")

# Advisory locks on ground squares: this in the upper half of the key, the square in the lower.
GROUND_LOCK = 748_116 << 32
METHOD_RANK = {"camera_point": 0, "bearing_sector": 1, "pose_ray": 2, "triangulated": 3}


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look changed. transitions: (incident number, class, transition) in order.

    has_begun: a new incident. is_undecided: a candidate is left that further looks have to decide.
    """

    transitions: tuple[tuple[int, str, str], ...]
    has_begun: bool
    is_undecided: bool


def write_look(
    connection: Connection,
    claim: Claim,
    observation: Observation,
    observation_id: UUID,
    *,
    thresholds: dict[str, float],
    config: WatchConfig,
    evidence_folder: Path,
) -> Looked:
    """Writes all that an observed look changes about incidents, inside the caller's transaction.

    Raises TypeError for a look that could not be done: not looking changes no incident.
    """
    result = observation.result
    if not isinstance(result, Observed):
        raise TypeError(f"camera {observation.camera_id} was not looked through: {result}")
    look = _Look(
        connection, claim.camera, observation, result, observation_id, config, evidence_folder, thresholds
    )
    changes = look.changes()
    transitions = [told for change in changes for told in look.write(change)]
    return Looked(
        tuple(transitions),
        has_begun=any(change.incident is None for change in changes),
        is_undecided=any(change.state is State.CANDIDATE for change in changes),
    )


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
        modes, boxes = self._modes_and_boxes()
        hits = [
            Hit(
                group,
                place(
                    self.camera, group.lead, self.result.width_px, self.result.height_px, self.config.placing
                ),
            )
            for group in group_boxes(boxes, self.thresholds)
        ]
        live, elsewhere = self._incidents(hits)
        return plan(
            hits,
            live,
            at=self.at,
            thresholds=self.thresholds,
            config=self.config.incidents,
            elsewhere=elsewhere,
            across=self.config.across,
            modes=modes,
        )

    def _modes_and_boxes(self) -> tuple[dict[str, Mode], list[Box]]:
        """Modes of the camera's classes, and the boxes that concern incidents; the others are counted."""
        if not self.result.boxes:
            return {}, []
        stored = self.connection.execute(
            statement("camera_modes"), {"camera_id": self.camera.id, "classes": list(CLASSES)}
        ).fetchall()
        modes = modes_of(
            self.config.modes,
            {row["class"]: row["mode"] for row in stored},
            has_pose=self.camera.pose is not None,
        )
        masks = self.connection.execute(
            statement("active_masks"), {"camera_id": self.camera.id, "at": self.at}
        ).fetchall()
        kept, aside = split_boxes(
            self.result.boxes,
            modes,
            [Mask(row["id"], row["class"], tuple((x, y) for x, y in row["polygon"])) for row in masks],
            width_px=self.result.width_px,
            height_px=self.result.height_px,
            share=self.config.masks.share,
        )
        self._count(
            [one for one in aside if one.box.score >= self.thresholds[one.box.class_name]],
        )
        return modes, kept

    def _count(self, aside: list[SetAside]) -> None:
        if not aside:
            return
        self._execute(
            "set_aside",
            {
                "camera_id": self.camera.id,
                "at": self.at,
                "class": [one.box.class_name for one in aside],
                "why": [one.why for one in aside],
                "score": [one.box.score for one in aside],
                "mask_id": [one.mask_id for one in aside],
            },
        )

    def _incidents(self, hits: list[Hit]) -> tuple[list[LiveIncident], list[LiveIncident]]:
        """Live incidents that this camera sees, and those of other cameras near its hits, all locked.

        First the ground of the hits (two cameras that see one spot at the same instant begin one incident, not two), then
        the incidents, each in an order that is the same for everybody: nobody waits for somebody who waits for it.
        """
        keys = ground_keys([hit.fix for hit in hits], self.config.across)
        if keys:
            self.connection.execute(
                "SELECT pg_advisory_xact_lock(k.key) FROM unnest(%s::bigint[]) AS k (key)",
                ([GROUND_LOCK + key for key in keys],),
            )
        sharp = [hit.fix for hit in hits if hit.fix.method == "pose_ray"]
        locked = self.connection.execute(
            statement("locked_incidents"),
            {
                "camera_id": self.camera.id,
                "x": [fix.x for fix in sharp],
                "y": [fix.y for fix in sharp],
                "srid": self.camera.srid,
                "reach_m": 2 * self.config.across.max_error_m,
            },
        ).fetchall()
        if not locked:
            return [], []
        rows = self.connection.execute(
            statement("live_incidents"),
            {
                "camera_id": self.camera.id,
                "ids": [row["id"] for row in locked],
                "at": self.at,
                "gap_s": self.config.incidents.max_gap_s,
            },
        ).fetchall()
        incidents = [_live(row) for row in rows]
        return [one for one in incidents if one.box is not None], [
            one for one in incidents if one.box is None
        ]

    def write(self, change: Change) -> list[tuple[int, str, str]]:
        """Writes one change; the transitions that open maps hear of."""
        if change.hit is None:
            assert change.incident is not None
            incident_id = change.incident.id
            self._execute("unseen_camera", {"id": incident_id} | self._votes(change))
            row = self._execute(
                "unseen_incident", {"id": incident_id, "state": change.state.value, "at": self.at}
            )
        elif change.incident is None:
            incident_id = uuid5(self.name, repr(change.hit.box.corners))
            row = self._begin(incident_id, change, change.hit)
        else:
            incident_id = change.incident.id
            row = self._see(change.incident, change, change.hit)
        if row is None or change.mode == "shadow":
            return []
        told = []
        if change.is_promoted and change.state is State.OPEN:
            told.append(str(Transition.OPENED))
        elif change.transition not in (None, Transition.DROPPED):
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
                "mode": change.mode,
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
        extent = hit.group.extent
        box = list((extent if incident.box is None else carry_extent(incident.box, extent)).corners)
        seen = {"at": self.at, "score": hit.box.score, "box": box, "id": incident.id}
        row = self._execute(
            "seen_incident",
            seen
            | {
                "camera_id": self.camera.id,
                "class": change.class_name,
                "state": change.state.value,
                "mode": change.mode,
                "opened_at": self.at if change.state is State.OPEN else None,
                "model_hash": self.observation.model_hash,
            },
        )
        self._execute("seen_camera", seen | self._votes(change))
        better = _better_place(incident, hit, is_upgraded=change.is_upgraded)
        if better is not None:
            self._execute("placed_incident", {"id": incident.id} | self._place(better))
        self._find_permit(incident.id, change)
        self._link(incident.id, hit)
        if self._frame_is_worth_it(incident, change, hit):
            self._keep_frame(incident.id, hit)
        return row

    def _votes(self, change: Change) -> dict[str, Any]:
        return {
            "camera_id": self.camera.id,
            "looks": list(change.looks.seen),
            "looked_at": list(change.looks.at),
        }

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
            "INSERT INTO watch.incident_observation (incident_id, observation_id, camera_id, captured_at, score)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (incident_id, self.name, self.camera.id, self.at, hit.box.score),
        )

    def _frame_is_worth_it(self, incident: LiveIncident, change: Change, hit: Hit) -> bool:
        rules = self.config.evidence
        if incident.frames_kept >= rules.most:
            return False
        if incident.box is None or incident.last_frame_at is None:
            return True
        if change.transition is not None or change.is_upgraded:
            return True
        is_better = hit.box.score >= incident.peak_score + rules.better_by
        return is_better or (self.at - incident.last_frame_at).total_seconds() >= rules.every_s

    def _keep_frame(self, incident_id: UUID, hit: Hit) -> None:
        frame = self.observation.frame
        if frame is None:
            return
        evidence_id = uuid5(incident_id, str(self.name))
        kept, not_kept = None, None
        try:
            kept = keep_frame(
                self.evidence_folder,
                evidence_id,
                frame.data,
                frame.captured_at,
                full_mb=self.config.evidence.full_mb,
            )
        except (
            NoRoomError
        ) as fault:  # an incident without its picture is better than none; a scan tried again finds no room
            not_kept = "disk_full"
            log.error("frame_not_kept", evidence_id=str(evidence_id), why=str(fault))
        self.connection.execute(
            """
            INSERT INTO watch.evidence (id, incident_id, observation_id, sha256, path, bytes, width_px, height_px,
                                        captured_at, received_at, boxes, not_kept)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (incident_id, observation_id) DO NOTHING
            """,
            (
                evidence_id,
                incident_id,
                self.name,
                None if kept is None else kept.sha256,
                None if kept is None else kept.path,
                len(frame.data),
                self.result.width_px,
                self.result.height_px,
                frame.captured_at,
                frame.received_at,
                Jsonb([box.as_json() for box in hit.group.boxes]),
                not_kept,
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


def _better_place(incident: LiveIncident, hit: Hit, *, is_upgraded: bool) -> GroundFix | None:
    """Where this look places the incident better than it is placed, else None. A camera's first look at what others see
    crosses its ray with theirs; later ones would count its own error twice."""
    crossing = crossed(hit.fix, incident.elsewhere) if incident.box is None else None
    if crossing is not None:
        return crossing
    return hit.fix if _is_better_placed(incident, hit, is_upgraded=is_upgraded) else None


def _is_better_placed(incident: LiveIncident, hit: Hit, *, is_upgraded: bool) -> bool:
    """A better method; of several cameras the one that sees it most sharply; else the look of the highest score."""
    before, now = METHOD_RANK.get(incident.method, 3), METHOD_RANK[hit.fix.method]
    if now != before:
        return now > before
    if incident.has_other_cameras:
        return (hit.fix.semi_major_m or math.inf) < (incident.semi_major_m or math.inf)
    return is_upgraded or hit.box.score > incident.peak_score


def _live(row: dict[str, Any]) -> LiveIncident:
    is_seen_here = row["box"] is not None
    return LiveIncident(
        id=row["id"],
        class_name=row["class"],
        state=State(row["state"]),
        box=Box(row["class"], row["own_peak_score"], *row["box"]) if is_seen_here else None,
        x=row["x"],
        y=row["y"],
        method=row["placing_method"],
        semi_major_m=row["semi_major_m"],
        last_seen_at=row["last_seen_at"],
        peak_score=row["own_peak_score"] if is_seen_here else 0.0,
        looks=looks_of(row["looks"] or (), row["looked_at"] or ()),
        others=tuple(tuple(looks) for looks in row["others"]),
        has_other_cameras=row["others_count"] > 0,
        mode=row["mode"],
        semi_minor_m=row["semi_minor_m"],
        rotation_deg=row["rotation_deg"],
        frames_kept=row["frames_kept"],
        last_frame_at=row["last_frame_at"],
    )


def _polygon(ring: tuple[tuple[float, float], ...]) -> str:
    """WKT of an open ring."""
    return "POLYGON((" + ", ".join(f"{x:.3f} {y:.3f}" for x, y in (*ring, ring[0])) + "))"
