"""The scripted day: what happens in front of which camera at which moment.

A pure function of (seed, cameras, time). A new event begins somewhere at least every 30 s and
lasts 1 to 3 minutes; events go round the cameras in a shuffled order, so that each has quiet
periods. Misleading things (lamps, low sun, headlights, steam, beacons, reflections) come and go
on their own and are no events. A few cameras have a fault instead of events.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from detection.farm.effects import EventClass, Misleading
from detection.farm.layout import INDOOR, SCENE_KINDS, SceneKind
from detection.farm.scenes import Effect, Scene, light_at, stands_free
from detection.pose import Pose

Fault = Literal["dead", "closed", "frozen", "black", "half", "slow"]
"""503; connection cut; the same picture for ever; black; half a JPEG; an answer after 20 s."""
FAULTS: tuple[Fault, ...] = get_args(Fault)

SLOT_S = 25.0
JITTER_S = 5.0
"""An event begins within the first JITTER_S of every slot: never more than 30 s between two."""
SHORTEST_S, LONGEST_S = 60.0, 180.0
NEAREST_M, FARTHEST_M = 8.0, 60.0
LEAST_BOX_PX = 22.0
"""At a picture 960 px wide."""
FAULT_CYCLE_S = 1200.0
FAULT_LASTS_S = 540.0
MISLEADING_WINDOW_S = 480.0
# Width of what is seen per metre of an effect's size, with some margin.
_SEEN: Mapping[str, float] = {"fire": 0.55, "smoke": 0.8, "welding_arc": 1.0, "sparks": 0.6}


@dataclass(frozen=True, slots=True)
class FarmCamera:
    """A camera that the farm plays. gb_id: its 20-digit GB/T 28181 id; seed: of its scene."""

    gb_id: str
    pose: Pose
    kind: SceneKind
    seed: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class ScriptedEvent:
    """One real event of the script: the truth that tests compare with.

    east_m, north_m: ground position as an offset from the camera, metres in the city's CRS.
    start, end: with time zone (UTC). with_smoke: a fire that also shows smoke at its place.
    """

    number: int
    gb_id: str
    name: EventClass
    east_m: float
    north_m: float
    size_m: float
    start: datetime
    end: datetime
    with_smoke: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "gb_id": self.gb_id,
            "class": self.name,
            "east_m": round(self.east_m, 2),
            "north_m": round(self.north_m, 2),
            "size_m": round(self.size_m, 2),
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "with_smoke": self.with_smoke,
        }


def read_cameras(file: Path) -> list[FarmCamera]:
    """Cameras from a JSON file: a list of {gb_id, kind, seed, label?, pose: {...Pose fields}}.

    Raises ValueError naming the file, the entry and the field that is wrong.
    """
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: not a readable JSON list of cameras ({error})") from None
    cameras = []
    for number, row in enumerate(rows if isinstance(rows, list) else [None]):
        try:
            if row["kind"] not in SCENE_KINDS:
                raise ValueError(f"kind must be one of {', '.join(SCENE_KINDS)}")
            cameras.append(
                FarmCamera(
                    str(row["gb_id"]),
                    Pose(**row["pose"]),
                    row["kind"],
                    int(row["seed"]),
                    str(row.get("label", "")),
                )
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{file}, camera {number}: {error}") from None
    if len({camera.gb_id for camera in cameras}) != len(cameras):
        raise ValueError(f"{file}: a gb_id occurs twice")
    return cameras


class Script:
    """The day of a set of cameras. All methods are pure; results are kept."""

    def __init__(
        self,
        cameras: Sequence[FarmCamera],
        seed: int,
        *,
        faulty: int | None = None,
        utc_offset_h: float = 8.0,
        hour: float | None = None,
    ) -> None:
        """faulty: how many cameras have a fault; None means one of each kind from 12 cameras on.

        utc_offset_h: local time of the place. hour: hold the light at this hour (0..24).
        Raises ValueError where there is no camera.
        """
        if not cameras:
            raise ValueError("the farm has no camera")
        self.cameras = {camera.gb_id: camera for camera in cameras}
        self.seed = seed
        self.utc_offset_h = utc_offset_h
        self.hour = hour
        order = [str(g) for g in np.random.default_rng([seed, 60]).permutation(sorted(self.cameras))]
        count = faulty if faulty is not None else (len(FAULTS) if len(cameras) >= 12 else 0)
        count = min(count, len(order) - 1)
        self.faults: dict[str, Fault] = {
            gb_id: FAULTS[i % len(FAULTS)] for i, gb_id in enumerate(order[:count])
        }
        self.playing: list[str] = order[count:]
        # Kept per script: a cache on the method would keep every script alive.
        self._event = lru_cache(maxsize=4096)(self._make_event)
        self._misleading = lru_cache(maxsize=4096)(self._make_misleading)

    def events_between(self, t0: datetime, t1: datetime) -> list[ScriptedEvent]:
        """Events that are going on at some moment of t0 <= t < t1, by start.

        Raises ValueError where a time has no zone.
        """
        a, b = _seconds(t0), _seconds(t1)
        first, last = math.floor((a - LONGEST_S - JITTER_S) / SLOT_S), math.floor(b / SLOT_S)
        events = [self._event(k) for k in range(first, last + 1)]
        going = [e for e in events if e is not None and e.end > t0 and e.start < t1]
        return sorted(going, key=lambda e: e.start)

    def effects_at(self, gb_id: str, t: datetime) -> list[Effect]:
        """Everything that moves before a camera at a moment: events and misleading things."""
        now = _seconds(t)
        effects = []
        for event in self.events_between(t, t + timedelta(microseconds=1)):
            if event.gb_id != gb_id:
                continue
            age = (t - event.start).total_seconds()
            # A fire does not stop at once: it shrinks in its last ten seconds.
            left = (event.end - t).total_seconds()
            size = event.size_m * (min(1.0, 0.4 + left / 16) if event.name == "fire" else 1.0)
            place = (event.east_m, event.north_m)
            effects.append(Effect(event.name, *place, size, event.number, age))
            if event.with_smoke:
                effects.append(Effect("smoke", *place, event.size_m * 1.2, event.number + 1, age))
        window = math.floor(now / MISLEADING_WINDOW_S)
        found = self._misleading(gb_id, window)
        if found is not None and found[0] <= now < found[1]:
            effects.append(found[2])
        return effects

    def fault_at(self, gb_id: str, t: datetime) -> Fault | None:
        """The fault that a camera shows at a moment. A dead one is dead all day."""
        fault = self.faults.get(gb_id)
        if fault is None or fault == "dead":
            return fault
        phase = float(self._rng(61, gb_id).uniform(0, FAULT_CYCLE_S))
        return fault if (_seconds(t) + phase) % FAULT_CYCLE_S < FAULT_LASTS_S else None

    def scene_at(self, gb_id: str, t: datetime) -> Scene:
        """The place before a camera in the light of the moment."""
        camera = self.cameras[gb_id]
        hour = self.hour if self.hour is not None else _local_hour(t, self.utc_offset_h)
        return Scene(
            camera.pose,
            camera.kind,
            camera.seed,
            light_at(camera.kind, hour, camera.seed),
            camera.label or f"CAM {gb_id[-6:]}",
            camera.seed % 4,
            self.utc_offset_h,
        )

    def _rng(self, salt: int, gb_id: str, *more: int) -> np.random.Generator:
        digits = [int.from_bytes(gb_id.encode()[i : i + 4], "big") for i in range(0, len(gb_id), 4)]
        return np.random.default_rng([self.seed, salt, *digits, *(m & 0xFFFFFFFF for m in more)])

    def _make_event(self, k: int) -> ScriptedEvent | None:
        rng = np.random.default_rng([self.seed, 62, k & 0xFFFFFFFF])
        start = k * SLOT_S + float(rng.uniform(0, JITTER_S))
        lasts = float(rng.uniform(SHORTEST_S, LONGEST_S))
        at = datetime.fromtimestamp(start, UTC)
        hour = self.hour if self.hour is not None else _local_hour(at, self.utc_offset_h)
        # Where a camera sees no free ground at all, the next one in the round takes its turn.
        for turn in range(min(len(self.playing), 6)):
            camera = self.cameras[self.playing[(k + turn * 7) % len(self.playing)]]
            light = light_at(camera.kind, hour, camera.seed)
            weights = [0.32, 0.28, 0.22, 0.18] if light in ("day", "overcast") else [0.42, 0.1, 0.26, 0.22]
            name: EventClass = ("fire", "smoke", "welding_arc", "sparks")[int(rng.choice(4, p=weights))]
            size = {"fire": 1.4, "smoke": 2.4, "welding_arc": 0.5, "sparks": 1.6}[name]
            size *= float(rng.uniform(0.95, 1.7))
            place = self._place(camera, rng, _SEEN[name] * size)
            if place is not None:
                return ScriptedEvent(
                    k,
                    camera.gb_id,
                    name,
                    *place,
                    size,
                    at,
                    at + timedelta(seconds=lasts),
                    name == "fire" and bool(rng.random() < 0.4),
                )
        return None

    def _place(
        self, camera: FarmCamera, rng: np.random.Generator, seen_m: float
    ) -> tuple[float, float] | None:
        """Free ground in the picture, near enough for a width of seen_m to be LEAST_BOX_PX wide."""
        pose = camera.pose
        scale = pose.focal_px * 960 / pose.width_px
        far = min(FARTHEST_M, max(NEAREST_M + 4, seen_m * scale / LEAST_BOX_PX))
        for _ in range(90):
            away = NEAREST_M + (far - NEAREST_M) * float(rng.random()) ** 1.3
            turn = float(rng.uniform(-0.42, 0.42)) * pose.hfov_deg
            bearing = math.radians(pose.azimuth_deg + turn)
            place = (away * math.sin(bearing), away * math.cos(bearing))
            if stands_free(camera.kind, camera.seed, pose, *place):
                return place
        return None

    def _make_misleading(self, gb_id: str, window: int) -> tuple[float, float, Effect] | None:
        rng = self._rng(63, gb_id, window)
        if rng.random() > 0.35:
            return None
        camera = self.cameras[gb_id]
        kinds: list[Misleading] = ["lamp", "beacon", "steam"]
        if camera.kind not in INDOOR:
            kinds += ["sunset", "headlights", "reflection"]
        kind = kinds[int(rng.integers(0, len(kinds)))]
        place = self._place(camera, rng, 2.0)
        if place is None:
            return None
        lasts = float(rng.uniform(60, 240))
        start = window * MISLEADING_WINDOW_S + float(rng.uniform(0, MISLEADING_WINDOW_S - lasts))
        return start, start + lasts, Effect(kind, *place, 0.0, int(rng.integers(0, 2**31)))


def _seconds(t: datetime) -> float:
    if t.tzinfo is None:
        raise ValueError(f"{t.isoformat()}: a time without zone")
    return t.timestamp()


def _local_hour(t: datetime, utc_offset_h: float) -> float:
    local = t.astimezone(UTC) + timedelta(hours=utc_offset_h)
    return local.hour + local.minute / 60
