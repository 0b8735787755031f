"""Rendered CCTV frames of generated places, for the demo's cameras, training and tests.

    scene = Scene(pose=pose, kind="yard", seed=7, light="day")
    frame, boxes = render(scene, t, [Effect("fire", east_m=4.0, north_m=22.0)])

Frames are (height, width, 3) uint8 BGR of the pose's size. The same (scene, t, effects) gives
the same bytes. The still background is drawn once per scene (about 0.2 s) and kept.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import cv2
import numpy as np

from detection.farm.background import Background, Light, View, draw
from detection.farm.effects import (
    EVENT_CLASSES,
    PAINTERS,
    USUAL_SIZE_M,
    Effect,
    Stage,
    hashed,
    person,
)
from detection.farm.layout import INDOOR, SCENE_KINDS, Layout, SceneKind, build
from detection.farm.textures import Image
from detection.pose import Pose, ground_to_pixel

__all__ = ["SCENE_KINDS", "Box", "Effect", "Light", "Scene", "light_at", "render", "stands_free"]

BACKGROUNDS_KEPT = 96
"""A background of 960x540 takes 2.6 MB."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A place as one camera sees it.

    label is written into the picture (ASCII); utc_offset_h is for the clock in the picture.
    people: how many walk about.
    """

    pose: Pose
    kind: SceneKind
    seed: int
    light: Light = "day"
    label: str = ""
    people: int = 2
    utc_offset_h: float = 8.0


@dataclass(frozen=True, slots=True)
class Box:
    """Where a detection class is visible in a frame: pixels, corners x1 < x2, y1 < y2."""

    name: str
    x1: float
    y1: float
    x2: float
    y2: float


def light_at(kind: SceneKind, hour: float, seed: int) -> Light:
    """The light in a scene at an hour of local time, 0..24. Cameras differ by seed."""
    if kind in INDOOR:
        # Some halls are switched off at night; there the camera turns to infrared.
        return "ir" if (hour < 6 or hour >= 21) and seed % 3 == 0 else "day"
    if 7 <= hour < 17.5:
        return "day" if seed % 3 else "overcast"
    if 5.5 <= hour < 7 or 17.5 <= hour < 19:
        return "dusk"
    return "night" if seed % 2 else "ir"


@lru_cache(maxsize=512)
def layout_of(kind: SceneKind, seed: int, pose: Pose) -> Layout:
    """The layout of a scene, kept."""
    return build(kind, seed, pose.height_m, pose.tilt_deg, pose.hfov_deg)


@lru_cache(maxsize=BACKGROUNDS_KEPT)
def _background(pose: Pose, kind: SceneKind, seed: int, light: Light) -> Background:
    return draw(layout_of(kind, seed, pose), pose, light, seed)


@lru_cache(maxsize=1)
def _grain() -> tuple[Image, Image]:
    """Sensor noise as two tiles to add and to take away, with a little colour in it."""
    rng = np.random.default_rng(11)
    grey = rng.normal(0, 1, (700, 1200, 1)).astype(np.float32)
    noise = 3.2 * (grey + 0.35 * rng.normal(0, 1, (700, 1200, 3)).astype(np.float32))
    up, down = np.clip(noise, 0, 40), np.clip(-noise, 0, 40)
    return up.astype(np.uint8), down.astype(np.uint8)


def to_scene(pose: Pose, east_m: float, north_m: float) -> tuple[float, float]:
    """Ground offset (east, north) to the scene's own frame (right, forward), metres."""
    s, c = math.sin(math.radians(pose.azimuth_deg)), math.cos(math.radians(pose.azimuth_deg))
    return east_m * c - north_m * s, east_m * s + north_m * c


def from_scene(pose: Pose, x: float, y: float) -> tuple[float, float]:
    """Scene position (right, forward) to ground offset (east, north), metres."""
    s, c = math.sin(math.radians(pose.azimuth_deg)), math.cos(math.radians(pose.azimuth_deg))
    return x * c + y * s, -x * s + y * c


def stands_free(
    kind: SceneKind, seed: int, pose: Pose, east_m: float, north_m: float, clear_m: float = 0.8
) -> bool:
    """Whether something at this ground position is in the picture and not hidden or inside a solid.

    Its foot must lie at least 2 % of the picture inside the edges.
    """
    pixel = ground_to_pixel(pose, east_m, north_m)
    if pixel is None:
        return False
    u, v = pixel
    if not (0.06 * pose.width_px < u < 0.94 * pose.width_px and 0 < v < 0.97 * pose.height_px):
        return False
    x, y = to_scene(pose, east_m, north_m)
    layout = layout_of(kind, seed, pose)
    if layout.room is not None:
        left, right, far, _ = layout.room
        if not (left + 1 < x < right - 1 and y < far - 1):
            return False
    # Both sides of the place and a point above it must be in view.
    for solid in layout.solids:
        if solid.holds(x, y, clear_m):
            return False
        for dx, z in ((0.0, 0.1), (-0.5, 0.3), (0.5, 0.3), (0.0, 1.2)):
            if solid.blocks(pose.height_m, x + dx, y, z):
                return False
    return True


def render(scene: Scene, t: float, effects: Sequence[Effect]) -> tuple[Image, list[Box]]:
    """One frame at time t (seconds since 1970) and the boxes of what is visible in it.

    Only fire, smoke, welding_arc and sparks get boxes; misleading effects get none.
    """
    pose = scene.pose
    background = _background(_facing_north(pose), scene.kind, scene.seed, scene.light)
    frame = background.image.copy()
    layout = layout_of(scene.kind, scene.seed, _facing_north(pose))
    stage = Stage(frame, background, View.of(pose), scene.light, scene.kind in INDOOR)
    _people(scene, layout, stage, t)
    placed = [(e, *to_scene(pose, e.east_m, e.north_m)) for e in effects]
    # Far things first; smoke after the flame it rises from.
    placed.sort(key=lambda item: (-round(item[2], 1), item[0].kind == "smoke"))
    boxes: list[Box] = []
    # Noise is looked up in single precision, which seconds since 1970 do not fit.
    moment = t % 600.0
    h, w = frame.shape[:2]
    for effect, x, y in placed:
        extent = PAINTERS[effect.kind](stage, effect, x, y, moment)
        if extent is None or effect.kind not in EVENT_CLASSES:
            continue
        x1, y1 = max(0.0, extent[0]), max(0.0, extent[1])
        x2, y2 = min(float(w), extent[2]), min(float(h), extent[3])
        if x2 - x1 >= 3 and y2 - y1 >= 3:
            boxes.append(Box(effect.kind, x1, y1, x2, y2))
    _sensor(scene, frame, t)
    _overlay(scene, frame, t)
    return frame, boxes


def _facing_north(pose: Pose) -> Pose:
    """The scene's frame turns with the camera, so the picture does not depend on the azimuth."""
    return Pose(pose.height_m, 0.0, pose.tilt_deg, pose.hfov_deg, pose.width_px, pose.height_px)


def _people(scene: Scene, layout: Layout, stage: Stage, t: float) -> None:
    """Walkers go to and fro along the layout's walkways."""
    for i in range(scene.people if layout.walkways else 0):
        rng = hashed(scene.seed, 21, i)
        x1, y1, x2, y2 = layout.walkways[i % len(layout.walkways)]
        length = math.hypot(x2 - x1, y2 - y1) or 1.0
        part = (t * float(rng.uniform(0.6, 1.4)) / length + float(rng.random())) % 2.0
        part = 2 - part if part > 1 else part
        aside = float(rng.uniform(-0.8, 0.8))
        x, y = x1 + (x2 - x1) * part + aside, y1 + (y2 - y1) * part
        if not any(solid.holds(x, y, 0.3) for solid in layout.solids):
            person(stage, x, y, t, scene.seed * 31 + i)


def _sensor(scene: Scene, frame: Image, t: float) -> None:
    if scene.light == "ir":
        cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR, dst=frame)
    up, down = _grain()
    h, w = frame.shape[:2]
    dy, dx = hashed(scene.seed, int(t * 1000)).integers(0, (up.shape[0] - h + 1, up.shape[1] - w + 1))
    area = (slice(dy, dy + h), slice(dx, dx + w))
    passes = 2 if scene.light in ("night", "ir") else 1
    for _ in range(passes):
        cv2.add(frame, up[area], dst=frame)
        cv2.subtract(frame, down[area], dst=frame)


def _overlay(scene: Scene, frame: Image, t: float) -> None:
    at = datetime.fromtimestamp(t, UTC) + timedelta(hours=scene.utc_offset_h)
    scale = frame.shape[1] / 960
    size = 0.62 * scale
    for text, place in (
        (at.strftime("%Y-%m-%d %H:%M:%S"), (int(14 * scale), int(28 * scale))),
        (scene.label, (int(14 * scale), frame.shape[0] - int(14 * scale))),
    ):
        if text:
            cv2.putText(frame, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, (20, 20, 20), 3)
            cv2.putText(frame, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, (235, 235, 235), 1)


def usual_size_m(kind: str) -> float:
    """The size an effect has where none is given, metres."""
    return USUAL_SIZE_M[kind]
