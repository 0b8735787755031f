"""What one look means for a camera's incidents. Pure: hits and live incidents in, changes out.

Only an OBSERVED scan may come here; there is no way to call this for a camera that could not be looked through.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from detection.association import FAMILY, SEVERITY, Group, match_score
from detection.config import IncidentConfig
from detection.types import Box, GroundFix
from geoapp.watch.incident_state import State, Transition, next_state, transition


@dataclass(frozen=True, slots=True)
class LiveIncident:
    """An incident of this camera that is not closed. box: its extent in pixels. x, y: metres. seen: earlier looks,
    newest first."""

    id: UUID
    class_name: str
    state: State
    box: Box
    x: float
    y: float
    method: str
    semi_major_m: float | None
    last_seen_at: datetime
    peak_score: float
    seen: tuple[bool, ...] = ()
    frames_kept: int = 0
    last_frame_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """What one picture shows of one event, and where that is."""

    group: Group
    fix: GroundFix

    @property
    def box(self) -> Box:
        return self.group.lead

    def is_strong(self, thresholds: dict[str, float]) -> bool:
        """Whether it may begin an incident by itself."""
        return self.box.score >= thresholds[self.box.class_name]


@dataclass(frozen=True, slots=True)
class Change:
    """What to write of one incident after a look. incident None: a new one. hit None: it was not seen."""

    incident: LiveIncident | None
    hit: Hit | None
    state: State
    class_name: str
    transition: Transition | None
    is_upgraded: bool = False


def plan(
    hits: Sequence[Hit],
    live: Sequence[LiveIncident],
    *,
    at: datetime,
    thresholds: dict[str, float],
    config: IncidentConfig,
) -> list[Change]:
    """One change for every live incident, and one for every hit that begins a new one.

    at: capture of the look. A hit joins the incident that it continues best; a weak one (below its threshold) may keep
    an incident alive but not begin one.
    """
    rules = config.state_rules()
    joined: dict[UUID, tuple[float, Hit]] = {}
    begun: list[Hit] = []
    for hit in hits:
        share = hit.box.score / thresholds[hit.box.class_name]
        score, incident = _best(hit, live, at, config)
        if incident is not None and share < (
            config.keep if incident.state is State.OPEN else config.hysteresis
        ):
            continue
        if incident is None:
            if hit.is_strong(thresholds):
                begun.append(hit)
        elif incident.id not in joined or score > joined[incident.id][0]:
            joined[incident.id] = score, hit
    changes = []
    for incident in live:
        _, found = joined.get(incident.id, (0.0, None))
        silent_s = 0.0 if found else (at - incident.last_seen_at).total_seconds()
        state = next_state(incident.state, (found is not None, *incident.seen), silent_s, rules)
        class_name = _class_after(incident.class_name, found, thresholds)
        changes.append(
            Change(
                incident,
                found,
                state,
                class_name,
                transition(incident.state, state),
                is_upgraded=class_name != incident.class_name,
            )
        )
    for hit in begun:
        state = next_state(State.CANDIDATE, (True,), 0.0, rules)
        changes.append(Change(None, hit, state, hit.box.class_name, transition(State.CANDIDATE, state)))
    return changes


def _best(
    hit: Hit, live: Sequence[LiveIncident], at: datetime, config: IncidentConfig
) -> tuple[float, LiveIncident | None]:
    best: tuple[float, LiveIncident | None] = (0.0, None)
    for incident in live:
        if (at - incident.last_seen_at).total_seconds() > config.max_gap_s:
            continue
        score = match_score(
            hit.group, hit.fix, incident.box, incident.x, incident.y, incident.method, incident.semi_major_m
        )
        if score >= config.min_match and score > best[0]:
            best = score, incident
    return best


def _class_after(class_name: str, hit: Hit | None, thresholds: dict[str, float]) -> str:
    """Smoke in which a flame is seen becomes a fire; a fire whose flame is hidden stays one."""
    if hit is None or not hit.is_strong(thresholds):
        return class_name
    seen = hit.box.class_name
    same_family = FAMILY[seen] == FAMILY[class_name]
    return seen if same_family and SEVERITY[seen] > SEVERITY[class_name] else class_name
