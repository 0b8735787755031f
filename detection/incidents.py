"""What one look means for a camera's incidents. Pure: hits and live incidents in, changes out.

Only an OBSERVED scan may come here; there is no way to call this for a camera that could not be looked through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from detection.across import Elsewhere, find_across
from detection.association import FAMILY, SEVERITY, Group, match_score
from detection.config import AcrossConfig, IncidentConfig, Mode
from detection.types import Box, GroundFix
from detection.votes import NO_LOOKS, Looks
from geoapp.watch.incident_state import State, Transition, next_state, transition


@dataclass(frozen=True, slots=True)
class LiveIncident:
    """An incident that is not closed. x, y, axes: metres; rotation_deg from grid north.

    box: its extent in this camera's pixels; None where only other cameras see it. looks: this camera's earlier ones.
    others: looks of each other camera that sees it and can be looked through. peak_score: this camera's.
    """

    id: UUID
    class_name: str
    state: State
    box: Box | None
    x: float
    y: float
    method: str
    semi_major_m: float | None
    last_seen_at: datetime
    peak_score: float
    looks: Looks = NO_LOOKS
    others: tuple[tuple[bool, ...], ...] = ()
    has_other_cameras: bool = False
    mode: Mode = "alert"
    semi_minor_m: float | None = None
    rotation_deg: float | None = None
    frames_kept: int = 0
    last_frame_at: datetime | None = None

    @property
    def elsewhere(self) -> Elsewhere:
        """As other cameras' hits are compared with it."""
        return Elsewhere(
            self.id,
            self.class_name,
            self.x,
            self.y,
            self.method,
            self.semi_major_m,
            self.semi_minor_m,
            self.rotation_deg,
            self.last_seen_at,
        )


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
    """What to write of one incident after a look. incident None: a new one. hit None: it was not seen.

    looks: this camera's, this one among them. mode: of the incident from now on.
    """

    incident: LiveIncident | None
    hit: Hit | None
    state: State
    class_name: str
    transition: Transition | None
    is_upgraded: bool = False
    looks: Looks = NO_LOOKS
    mode: Mode = "alert"

    @property
    def is_promoted(self) -> bool:
        """From shadow to alert: what nobody was told of is told from now on."""
        return self.incident is not None and self.incident.mode == "shadow" and self.mode == "alert"


def plan(
    hits: Sequence[Hit],
    live: Sequence[LiveIncident],
    *,
    at: datetime,
    thresholds: dict[str, float],
    config: IncidentConfig,
    elsewhere: Sequence[LiveIncident] = (),
    across: AcrossConfig | None = None,
    modes: Mapping[str, Mode] | None = None,
) -> list[Change]:
    """One change for every live incident of this camera, one for every hit that is of another camera's incident or
    begins a new one.

    at: capture of the look. live: incidents that this camera sees; elsewhere: those of other cameras. A hit joins the
    incident that it continues best; a weak one (below its threshold) may keep an incident alive but not begin one.
    modes: of the camera's classes, alert where it is not given; shadow and alert never join across cameras.
    """
    rules = config.state_rules()
    of_class = {} if modes is None else modes
    joined: dict[UUID, tuple[float, Hit]] = {}
    left: list[Hit] = []
    for hit in hits:
        share = hit.box.score / thresholds[hit.box.class_name]
        score, incident = _best(hit, live, at, config)
        if incident is not None and share < (
            config.keep if incident.state is State.OPEN else config.hysteresis
        ):
            continue
        if incident is None:
            if hit.is_strong(thresholds):
                left.append(hit)
        elif incident.id not in joined or score > joined[incident.id][0]:
            joined[incident.id] = score, hit
    seen_here = [(incident, joined.get(incident.id, (0.0, None))[1]) for incident in live]
    begun: list[Hit] = []
    for hit, incident in _across(left, elsewhere, at, across or AcrossConfig(), of_class):
        if incident is None:
            begun.append(hit)
        else:
            seen_here.append((incident, hit))
    changes = []
    for incident, found in seen_here:
        looks = incident.looks.with_look(found is not None, at, rules.memory)
        silent_s = 0.0 if found else max(0.0, (at - incident.last_seen_at).total_seconds())
        state = next_state(incident.state, looks.seen, silent_s, rules, incident.others)
        class_name = _class_after(incident.class_name, found, thresholds)
        changes.append(
            Change(
                incident,
                found,
                state,
                class_name,
                transition(incident.state, state),
                is_upgraded=class_name != incident.class_name,
                looks=looks,
                mode="alert"
                if found is not None and of_class.get(class_name, "alert") == "alert"
                else incident.mode,
            )
        )
    for hit in begun:
        looks = NO_LOOKS.with_look(True, at, rules.memory)
        state = next_state(State.CANDIDATE, looks.seen, 0.0, rules)
        changes.append(
            Change(
                None,
                hit,
                state,
                hit.box.class_name,
                transition(State.CANDIDATE, state),
                looks=looks,
                mode=of_class.get(hit.box.class_name, "alert"),
            )
        )
    return changes


def _across(
    hits: Sequence[Hit],
    elsewhere: Sequence[LiveIncident],
    at: datetime,
    config: AcrossConfig,
    modes: Mapping[str, Mode],
) -> list[tuple[Hit, LiveIncident | None]]:
    """Each hit with the incident of other cameras that it is of, compared with those of its own mode only."""
    by_id = {incident.id: incident for incident in elsewhere}
    pairs: list[tuple[Hit, LiveIncident | None]] = []
    for mode in ("alert", "shadow"):
        mine = [hit for hit in hits if modes.get(hit.box.class_name, "alert") == mode]
        theirs = [incident.elsewhere for incident in elsewhere if incident.mode == mode]
        found = find_across([(hit.fix, hit.box.class_name) for hit in mine], theirs, at, config)
        pairs += [
            (hit, None if other is None else by_id[other.id]) for hit, other in zip(mine, found, strict=True)
        ]
    return pairs


def _best(
    hit: Hit, live: Sequence[LiveIncident], at: datetime, config: IncidentConfig
) -> tuple[float, LiveIncident | None]:
    best: tuple[float, LiveIncident | None] = (0.0, None)
    for incident in live:
        if incident.box is None or (at - incident.last_seen_at).total_seconds() > config.max_gap_s:
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
