"""What moves in a scene: flames, smoke, welding, sparks, and what is mistaken for them.

Each painter draws into a frame at a ground position of the scene (x right, y forward, metres)
at time t and returns the pixels it changed visibly, as (x1, y1, x2, y2) or None. Everything is a
pure function of (effect, t): noise is looked up in a fixed tile, particles have hashed phases.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.farm.background import Background, Light, View
from detection.farm.textures import Colour, Float, Image, sample_noise

EventClass = Literal["fire", "smoke", "welding_arc", "sparks"]
EVENT_CLASSES: tuple[EventClass, ...] = get_args(EventClass)
Misleading = Literal["lamp", "sunset", "headlights", "steam", "beacon", "reflection"]
MISLEADING: tuple[Misleading, ...] = get_args(Misleading)
EffectKind = Literal[EventClass, Misleading]

Extent = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Effect:
    """One animated thing at a ground position.

    east_m, north_m: offset from the camera in the city's CRS, metres. size_m: height of a flame,
    width of a plume at 3 m, throw of sparks, width of a vapour; 0 means the kind's usual size.
    age_s: seconds since it began; a fire and its smoke grow in the first 12 s.
    """

    kind: EffectKind
    east_m: float
    north_m: float
    size_m: float = 0.0
    seed: int = 0
    age_s: float = 60.0


USUAL_SIZE_M: dict[str, float] = {
    "fire": 1.8,
    "smoke": 2.6,
    "welding_arc": 0.5,
    "sparks": 1.6,
    "lamp": 0.5,
    "sunset": 1.0,
    "headlights": 1.7,
    "steam": 1.2,
    "beacon": 0.3,
    "reflection": 1.5,
}


@dataclass(slots=True)
class Stage:
    """The frame being drawn and what is needed to draw at a place in it."""

    frame: Image
    background: Background
    view: View
    light: Light
    indoor: bool

    def project(self, x: float, y: float, z: float) -> tuple[float, float, float] | None:
        """Pixel and depth (metres along the axis) of a point of the scene."""
        at = self.view.camera(np.array([[x, y, z]]))
        if at[0, 2] < 0.5:
            return None
        u, v = self.view.pixels(at)[0]
        return float(u), float(v), float(at[0, 2])

    def area(self, x1: float, y1: float, x2: float, y2: float) -> tuple[slice, slice] | None:
        h, w = self.frame.shape[:2]
        a, b = max(0, math.floor(x1)), min(w, math.ceil(x2))
        c, d = max(0, math.floor(y1)), min(h, math.ceil(y2))
        return (slice(c, d), slice(a, b)) if b - a >= 1 and d - c >= 1 else None

    def seen(self, area: tuple[slice, slice], depth: float) -> NDArray[np.bool_]:
        """Where nothing solid stands in front of this depth."""
        return self.background.depth[area] > depth - 0.6

    def brightness(self, u: float, v: float) -> Float:
        light = self.background.light
        y = int(np.clip(v / 8, 0, light.shape[0] - 1))
        x = int(np.clip(u / 8, 0, light.shape[1] - 1))
        level = np.clip(light[y, x] * (1.8 if self.light in ("night", "ir") else 1.0), 0.1, 1.15)
        return level


def hashed(*keys: int) -> np.random.Generator:
    return np.random.default_rng([k & 0xFFFFFFFF for k in keys])


def flicker(seed: int, t: float, rate: float) -> float:
    """Smooth noise over time, 0..1."""
    one = np.array([[t * rate / 64]], np.float32)
    return float(sample_noise(one, np.array([[(seed % 997) / 997]], np.float32), 4)[0, 0])


def _extent(area: tuple[slice, slice], visible: NDArray[np.bool_]) -> Extent | None:
    rows, columns = np.flatnonzero(visible.any(axis=1)), np.flatnonzero(visible.any(axis=0))
    if len(rows) < 2 or len(columns) < 2:
        return None
    return (
        float(area[1].start + columns[0]),
        float(area[0].start + rows[0]),
        float(area[1].start + columns[-1] + 1),
        float(area[0].start + rows[-1] + 1),
    )


def _paste(
    stage: Stage,
    sprite: Float,
    alpha: Float,
    left: float,
    top: float,
    width: float,
    height: float,
    depth: float,
    *,
    add: bool = False,
    threshold: float = 0.25,
) -> Extent | None:
    """Scale a sprite (BGR 0..255) with alpha into the frame behind nearer solids.

    add: light is added instead of laid over. Returns where alpha is above the threshold.
    """
    area = stage.area(left, top, left + width, top + height)
    if area is None or width < 1 or height < 1:
        return None
    h, w = sprite.shape[:2]
    rows, columns = area[0].stop - area[0].start, area[1].stop - area[1].start
    # Inverse affine straight into the clipped area: no work for what lies outside the picture.
    matrix = np.array(
        [
            [w / width, 0, (area[1].start - left + 0.5) * w / width - 0.5],
            [0, h / height, (area[0].start - top + 0.5) * h / height - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    if w > 2.5 * width:
        ratio = max(0.1, 1.2 * width / w)
        small = (max(2, int(w * ratio)), max(2, int(h * ratio)))
        sprite = cv2.resize(sprite, small, interpolation=cv2.INTER_AREA)
        alpha = cv2.resize(alpha, small, interpolation=cv2.INTER_AREA)
        return _paste(stage, sprite, alpha, left, top, width, height, depth, add=add, threshold=threshold)
    colour = cv2.warpAffine(sprite, matrix, (columns, rows), flags=flags)
    a = cv2.warpAffine(alpha, matrix, (columns, rows), flags=flags)
    a = a * stage.seen(area, depth)
    under = stage.frame[area].astype(np.float32)
    kept = under if add else under * (1 - a[..., None])
    drawn = kept + colour * a[..., None]
    stage.frame[area] = np.clip(drawn, 0, 255).astype(np.uint8)
    # What cannot be told from the background is not visible, however dense.
    stands_out = np.abs(drawn - under).max(axis=2) > 9
    return _extent(area, (a > threshold) & stands_out)


def glow(stage: Stage, u: float, v: float, radius: float, colour: Colour, strength: float) -> None:
    """Add a soft halo around a pixel."""
    area = stage.area(u - radius, v - radius, u + radius, v + radius)
    if area is None or strength <= 0:
        return
    step = max(1, int(radius // 24))
    y = np.arange(area[0].start, area[0].stop, step, dtype=np.float32) - v
    x = np.arange(area[1].start, area[1].stop, step, dtype=np.float32) - u
    r2 = (y[:, None] ** 2 + x[None, :] ** 2) / radius**2
    shine = strength * np.clip(1 - r2, 0, 1) ** 3
    halo = (shine[..., None] * np.array(colour, np.float32)).astype(np.uint8)
    rows, columns = area[0].stop - area[0].start, area[1].stop - area[1].start
    halo = cv2.resize(halo, (columns, rows), interpolation=cv2.INTER_LINEAR)
    stage.frame[area] = cv2.add(stage.frame[area], halo)


_FLAME_COLOURS = np.array(
    [[0, 0, 40], [10, 40, 170], [20, 95, 235], [60, 165, 255], [150, 225, 255], [225, 250, 255]],
    np.float32,
)


def fire(stage: Stage, e: Effect, x: float, y: float, t: float) -> Extent | None:
    grown = min(1.0, 0.35 + e.age_s / 18)
    tall = (e.size_m or USUAL_SIZE_M["fire"]) * grown * (0.85 + 0.3 * flicker(e.seed, t, 9))
    rng = hashed(e.seed, 1)
    wide = tall * float(rng.uniform(0.55, 1.3))
    foot, head = stage.project(x, y, 0.0), stage.project(x, y, tall)
    if foot is None or head is None:
        return None
    scale = stage.view.pose.focal_px / foot[2]
    height_px, width_px = max(6.0, foot[1] - head[1]), max(5.0, wide * scale)
    n = 72
    gy, gx = np.mgrid[0:n, 0:n].astype(np.float32) / (n - 1)
    up = 1 - gy
    phase = float(rng.random())
    sway = sample_noise(gx * 0.3 + phase, gy * 0.35 + t * 0.32, 2) - 0.5
    wx = gx - 0.5 + sway * 0.5 * up
    coarse = sample_noise(wx * 0.95 + phase * 7, gy * 0.42 + t * 0.42 + phase, 1)
    fine = sample_noise(wx * 2.1 - phase * 5, gy * 0.9 + t * 0.75, 2)
    # A row of tongues, each with a height of its own that changes with time.
    tongues = np.zeros_like(gx)
    for i in range(int(rng.integers(2, 5))):
        at = float(rng.uniform(-0.27, 0.27)) * (0.3 if i == 0 else 1)
        reach = (1.0 if i == 0 else float(rng.uniform(0.45, 0.85))) * (
            0.72 + 0.42 * flicker(e.seed + 31 * i + 5, t, 14)
        )
        broad = float(rng.uniform(0.16, 0.28))
        profile = np.clip(1 - up / reach, 0, 1) ** 0.45
        tongues = np.maximum(tongues, profile * np.exp(-(((wx - at) / (broad * (0.35 + profile))) ** 2)))
    body = 1.05 * np.exp(-((wx / 0.3) ** 2)) * np.clip(1 - up / 0.6, 0, 1)
    shape = np.maximum(tongues, body)
    # Noise eats into the shape, more so higher up, which leaves ragged tips and loose shreds.
    heat = shape * 1.8 - (1 - coarse) * (0.35 + 1.05 * up) - (1 - fine) * (0.12 + 0.5 * up)
    heat *= np.clip((gy - 0.01) * 40, 0, 1) * np.clip(up * 14 + 0.35, 0, 1)
    heat *= np.clip(np.minimum(gx, 1 - gx) * 12, 0, 1)
    heat = np.clip(heat, 0, 1)
    scaled = np.clip(heat * 1.15, 0, 0.999) * 5
    low = scaled.astype(np.int32)
    part = (scaled - low)[..., None]
    colour = _FLAME_COLOURS[low] * (1 - part) + _FLAME_COLOURS[np.minimum(low + 1, 5)] * part
    if stage.light in ("night", "ir", "dusk"):
        colour = colour * 1.15 + 18
    if stage.light == "ir":
        # Silicon sees a flame's near infrared far better than its colour.
        colour = 120 + 0.6 * colour
    alpha = np.clip(heat * 3.6, 0, 1)
    dark = {"day": 0.22, "overcast": 0.28, "dusk": 0.6, "night": 0.8, "ir": 0.8}[stage.light]
    beat = 0.75 + 0.5 * flicker(e.seed, t, 20)
    if stage.indoor:
        dark = max(dark, 0.4)
    glow(stage, foot[0], foot[1], width_px * 2.6, (30, 85, 165), dark * 0.62 * beat)
    box = _paste(
        stage, colour, alpha, foot[0] - width_px * 0.72, head[1], width_px * 1.44, height_px,
        foot[2], threshold=0.35,
    )  # fmt: skip
    glow(stage, foot[0], (foot[1] + head[1]) / 2, height_px * 1.1, (25, 70, 120), dark * 0.55 * beat)
    return box


def plume(
    stage: Stage,
    e: Effect,
    x: float,
    y: float,
    t: float,
    *,
    tone: float,
    density: float,
    rise: float,
    width: float,
    speed: float,
    start_z: float,
    fade: float,
) -> Extent | None:
    """A rising, drifting, translucent body of noise."""
    rng = hashed(e.seed, 2)
    drift = float(rng.uniform(-0.55, 0.55)) * (0.5 if stage.indoor else 1.0)
    foot = stage.project(x, y, start_z)
    head = stage.project(x, y, start_z + rise)
    if foot is None or head is None:
        return None
    scale = stage.view.pose.focal_px / foot[2]
    height_px = max(8.0, foot[1] - head[1])
    reach_px = max(8.0, width * scale * 2.6 + abs(drift) * height_px)
    n = 96
    gy, gx = np.mgrid[0:n, 0:n].astype(np.float32) / (n - 1)
    up = 1 - gy
    phase = float(rng.random())
    middle = drift * height_px / reach_px * up**1.3
    bend = (sample_noise(gx * 0.12 + phase, gy * 0.3 + t * speed * 0.05, 5) - 0.5) * 0.4 * up
    across = gx - 0.5 - middle * 0.9 - bend
    half = (width * scale / reach_px) * (0.22 + 0.85 * up**0.75)
    swirl = sample_noise(gx * 0.5 + phase, gy * 0.6 + t * speed * 0.045 + phase, 3) - 0.5
    billow = sample_noise(
        across * 0.75 + phase * 3 + swirl * 0.14,
        gy * 0.8 + t * speed * 0.085 + swirl * 0.12,
        1,
    )
    fine = sample_noise(across * 2.0 + phase, gy * 2.0 + t * speed * 0.16, 2)
    ragged = half * (0.72 + 0.62 * billow)
    body = np.clip(1.55 - 1.25 * (across / np.maximum(ragged, 0.02)) ** 2, 0, 1)
    alpha = body * np.clip(0.6 + 0.95 * billow + 0.5 * (fine - 0.5) - 0.5 * up, 0, 1)
    alpha *= np.clip(1 - (up * fade) ** 2.2, 0, 1) * np.clip(gy * 10, 0, 1) * np.clip(up * 9 + 0.2, 0, 1)
    alpha *= np.clip(np.minimum(gx, 1 - gx) * 12, 0, 1)
    alpha = np.clip(alpha * density * 1.5, 0, density)
    shade = tone * (0.6 + 0.68 * billow + 0.3 * (fine - 0.5)) * (0.85 + 0.25 * up)
    level = np.asarray(stage.brightness(foot[0], (foot[1] + head[1]) / 2)).mean()
    sprite = np.repeat(np.clip(shade * float(np.clip(level, 0.4, 1.05)), 0, 245)[..., None], 3, axis=2)
    sprite = sprite * np.array([1.03, 1.0, 0.97], np.float32)
    return _paste(
        stage, sprite.astype(np.float32), alpha.astype(np.float32), foot[0] - reach_px / 2, head[1],
        reach_px, height_px, foot[2], threshold=0.2,
    )  # fmt: skip


def smoke(stage: Stage, e: Effect, x: float, y: float, t: float) -> Extent | None:
    rng = hashed(e.seed, 3)
    size = e.size_m or USUAL_SIZE_M["smoke"]
    grown = min(1.0, 0.4 + e.age_s / 25)
    tones = [175.0, 200.0, 220.0] if stage.light in ("night", "ir") else [35.0, 70.0, 150.0, 205.0]
    tone = tones[int(rng.integers(0, len(tones)))]
    return plume(
        stage, e, x, y, t, tone=tone, density=float(rng.uniform(0.8, 0.97)),
        rise=size * float(rng.uniform(1.8, 3.0)) * grown, width=size * grown * 0.8, speed=1.0,
        start_z=0.0, fade=0.98,
    )  # fmt: skip


def steam(stage: Stage, e: Effect, x: float, y: float, t: float) -> Extent | None:
    """White vapour from a vent pipe: narrow, fast, gone after a few metres."""
    size = e.size_m or USUAL_SIZE_M["steam"]
    rng = hashed(e.seed, 4)
    vent = float(rng.uniform(1.0, 3.5))
    foot, lip = stage.project(x, y, 0.0), stage.project(x, y, vent)
    if foot is None or lip is None:
        return None
    area = stage.area(foot[0] - 1, lip[1], foot[0] + max(2.0, 110 / foot[2]), foot[1])
    if area is not None:
        seen = stage.seen(area, foot[2])
        pipe = stage.brightness(foot[0], foot[1]) * np.float32(105)
        stage.frame[area][seen] = np.clip(pipe, 0, 255).astype(np.uint8)
    plume(
        stage, e, x, y, t, tone=242.0, density=0.6, rise=size * 1.6, width=size * 0.42, speed=3.2,
        start_z=vent, fade=1.35,
    )  # fmt: skip
    return None


def person(stage: Stage, x: float, y: float, t: float, seed: int, *, crouch: bool = False) -> Extent | None:
    """A worker as a silhouette with helmet and, for some, a vest in orange or yellow."""
    rng = hashed(seed, 5)
    tall = 1.15 if crouch else float(rng.uniform(1.6, 1.82))
    foot, head = stage.project(x, y, 0.0), stage.project(x, y, tall)
    if foot is None or head is None:
        return None
    height_px = foot[1] - head[1]
    if height_px < 6 or height_px > 900:
        return None
    clothes: list[Colour] = [(70, 50, 40), (60, 60, 60), (110, 85, 50), (45, 45, 55), (120, 120, 125)]
    vests: list[Colour] = [(30, 120, 245), (40, 225, 215), (40, 40, 190)]
    helmets: list[Colour] = [(40, 200, 240), (40, 40, 200), (235, 235, 235), (200, 120, 40)]
    body = clothes[int(rng.integers(0, 5))]
    vest = vests[int(rng.integers(0, 3))] if rng.random() < 0.55 else body
    legs = clothes[int(rng.integers(0, 5))]
    n = 96
    w = 64 if crouch else 48
    sprite = np.zeros((n, w, 3), np.uint8)
    mask = np.zeros((n, w), np.uint8)
    swing = 0 if crouch else int(6 * math.sin(t * 6 + seed % 7))
    middle = w // 2

    def part(points: list[tuple[int, int]], colour: Colour) -> None:
        ring = np.array(points, np.int32)
        cv2.fillConvexPoly(sprite, ring, colour)
        cv2.fillConvexPoly(mask, ring, 255)

    if crouch:
        part([(middle - 18, 95), (middle + 14, 95), (middle + 12, 70), (middle - 14, 66)], legs)
        part([(middle - 16, 74), (middle + 12, 74), (middle + 8, 28), (middle - 12, 32)], vest)
        part([(middle + 4, 40), (middle + 28, 62), (middle + 26, 68), (middle, 52)], body)
    else:
        part([(middle - 8, 50), (middle + 1, 50), (middle - 2 + swing, 95), (middle - 8 + swing, 95)], legs)
        part([(middle, 50), (middle + 8, 50), (middle + 8 - swing, 95), (middle + 2 - swing, 95)], legs)
        part([(middle - 11, 18), (middle + 11, 18), (middle + 8, 54), (middle - 8, 54)], vest)
        part(
            [
                (middle - 14, 20),
                (middle - 9, 20),
                (middle - 10 - swing // 2, 52),
                (middle - 14 - swing // 2, 52),
            ],
            body,
        )
        part(
            [
                (middle + 9, 20),
                (middle + 14, 20),
                (middle + 14 + swing // 2, 52),
                (middle + 10 + swing // 2, 52),
            ],
            body,
        )
    top = 26 if crouch else 9
    cv2.ellipse(sprite, (middle, top), (6, 8), 0, 0, 360, (110, 140, 185), -1)
    cv2.ellipse(mask, (middle, top), (6, 8), 0, 0, 360, 255, -1)
    if rng.random() < 0.75:
        helmet = helmets[int(rng.integers(0, 4))]
        cv2.ellipse(sprite, (middle, top - 2), (7, 7), 0, 180, 360, helmet, -1)
        cv2.ellipse(mask, (middle, top - 2), (7, 7), 0, 180, 360, 255, -1)
    shade = np.linspace(1.1, 0.75, w, dtype=np.float32)[None, :, None]
    lit = sprite.astype(np.float32) * shade * stage.brightness(foot[0], foot[1])
    width_px = height_px * w / n
    stage_alpha = cv2.GaussianBlur(mask.astype(np.float32) / 255, (3, 3), 0)
    return _paste(
        stage, lit, stage_alpha, foot[0] - width_px / 2, head[1], width_px, height_px, foot[2]
    )  # fmt: skip


def welding_arc(stage: Stage, e: Effect, x: float, y: float, t: float) -> Extent | None:
    """A burnt-out blue-white point with bloom and rays beside a crouching worker."""
    rng = hashed(e.seed, 6)
    side = 1 if rng.random() < 0.5 else -1
    person(stage, x + side * 0.55, y + 0.25, t, e.seed, crouch=True)
    height = float(rng.uniform(0.05, 0.5))
    at = stage.project(x, y, height)
    if at is None:
        return None
    # The arc is struck and broken; while it is broken there is nothing to see.
    if hashed(e.seed, int(t * 25)).random() < 0.1:
        return None
    area = stage.area(at[0] - 1, at[1] - 1, at[0] + 2, at[1] + 2)
    if area is None or not stage.seen(area, at[2]).any():
        return None
    beat = 0.7 + 0.5 * float(hashed(e.seed, int(t * 25), 1).random())
    size = e.size_m or USUAL_SIZE_M["welding_arc"]
    core = max(2.6, size * 0.26 * stage.view.pose.focal_px / at[2]) * beat
    bright = {"day": 0.55, "overcast": 0.6, "dusk": 0.95, "night": 1.0, "ir": 1.0}[stage.light]
    if stage.indoor:
        bright = max(bright, 0.8)
    glow(stage, at[0], at[1] + core, core * 22, (150, 95, 60), 0.38 * bright * beat)
    glow(stage, at[0], at[1], core * 7, (255, 190, 140), 0.62 * bright * beat)
    glow(stage, at[0], at[1], core * 2.6, (255, 245, 235), 1.5)
    reach = int(core * 1.3) + 2
    burnt = stage.area(at[0] - reach, at[1] - reach, at[0] + reach, at[1] + reach)
    if burnt is not None:
        cv2.circle(
            stage.frame, (int(at[0] * 16), int(at[1] * 16)), int(core * 16), (255, 255, 252), -1,
            cv2.LINE_AA, 4,
        )  # fmt: skip
    _rays(stage, e.seed, at, core, t, float(rng.uniform(0, 1.5)))
    h, w = stage.frame.shape[:2]
    r = core * 2.4
    return max(0.0, at[0] - r), max(0.0, at[1] - r), min(float(w), at[0] + r), min(float(h), at[1] + r)


def _rays(
    stage: Stage, seed: int, at: tuple[float, float, float], core: float, t: float, turn: float
) -> None:
    """Four short rays that a lens draws around a point that is far too bright."""
    for ray in range(4):
        angle = turn + ray * math.pi / 2
        length = core * float(2.6 + 2.0 * hashed(seed, int(t * 25), ray).random())
        tip = (int((at[0] + math.cos(angle) * length) * 16), int((at[1] + math.sin(angle) * length) * 16))
        start = (int(at[0] * 16), int(at[1] * 16))
        cv2.line(stage.frame, start, tip, (255, 235, 215), max(1, int(core / 5)), cv2.LINE_AA, 4)


def sparks(stage: Stage, e: Effect, x: float, y: float, t: float) -> Extent | None:
    """A shower of glowing streaks on ballistic paths from a grinder, beside its worker."""
    rng = hashed(e.seed, 7)
    side = 1 if rng.random() < 0.5 else -1
    person(stage, x - side * 0.5, y + 0.2, t, e.seed, crouch=rng.random() < 0.6)
    source_z = float(rng.uniform(0.35, 1.0))
    at = stage.project(x, y, source_z)
    if at is None:
        return None
    throw = e.size_m or USUAL_SIZE_M["sparks"]
    count = 110
    particle = hashed(e.seed, 8)
    start, life = particle.random(count), particle.uniform(0.18, 0.5, count)
    aim = particle.normal(0.15, 0.22, count)
    speed = throw * particle.uniform(1.2, 3.4, count)
    spread = particle.normal(0, 0.25, count)
    age = ((t * 2.3 + start) % 1.0) * life
    # New directions every cycle, or the shower would repeat itself.
    cycle = np.floor(t * 2.3 + start)
    aim = aim + 0.2 * np.sin(cycle * 12.9898 + start * 78.233)
    shutter = 0.02 + 0.02 * float(rng.random())

    def place(when: NDArray[np.float64]) -> NDArray[np.float64]:
        along = side * speed * np.cos(aim) * when
        high = source_z + speed * np.sin(aim) * when - 4.9 * when**2
        bounced = np.where(high < 0, -0.35 * high, high)
        return np.column_stack([x + along, y + spread * speed * when * 0.5, bounced])

    tail = stage.view.camera(place(np.maximum(age - shutter, 0)))
    head = stage.view.camera(place(age))
    if min(tail[:, 2].min(), head[:, 2].min()) < 0.5:
        return None
    a, b = stage.view.pixels(tail), stage.view.pixels(head)
    both = np.vstack([a, b])
    x1, y1 = both.min(axis=0) - 6
    x2, y2 = both.max(axis=0) + 6
    area = stage.area(x1, y1, x2, y2)
    if area is None:
        return None
    scale = stage.view.pose.focal_px / at[2]
    layer = _streaks(area, a, b, np.clip(1.25 - age / life, 0.2, 1), max(1, round(scale * 0.022)))
    visible = stage.seen(area, at[2])
    layer[~visible] = 0
    bloom = cv2.GaussianBlur(layer, (0, 0), max(1.2, scale * 0.05))
    stage.frame[area] = cv2.add(cv2.add(stage.frame[area], bloom), layer)
    if visible[np.clip(int(at[1]) - area[0].start, 0, visible.shape[0] - 1),
               np.clip(int(at[0]) - area[1].start, 0, visible.shape[1] - 1)]:  # fmt: skip
        core = max(1.5, scale * 0.06)
        glow(stage, at[0], at[1], core * 6, (60, 150, 230), 0.6)
        cv2.circle(stage.frame, (int(at[0]), int(at[1])), int(core), (170, 235, 255), -1, cv2.LINE_AA)
    return _without_strays(area, layer.max(axis=2) > 90)


def _streaks(
    area: tuple[slice, slice],
    tails: NDArray[np.float64],
    heads: NDArray[np.float64],
    heat: NDArray[np.float64],
    thick: int,
) -> Image:
    """Lines from tails to heads (pixels of the frame), white-hot to red by heat 0..1."""
    layer = np.zeros((area[0].stop - area[0].start, area[1].stop - area[1].start, 3), np.uint8)
    offset = np.array([area[1].start, area[0].start])
    for tail, head, hot in zip((tails - offset) * 16, (heads - offset) * 16, heat, strict=True):
        p, q = (int(tail[0]), int(tail[1])), (int(head[0]), int(head[1]))
        cv2.line(layer, p, q, (int(150 * hot**2), int(70 + 160 * hot), 255), thick, cv2.LINE_AA, 4)
    return layer


def _without_strays(area: tuple[slice, slice], strong: NDArray[np.bool_]) -> Extent | None:
    """Extent of the bright pixels; 1.5 % on each side are cut, so that a far spark does not
    stretch the box."""
    if _extent(area, strong) is None:
        return None
    ys, xs = np.nonzero(strong)
    lo_x, hi_x = np.percentile(xs, (1.5, 98.5))
    lo_y, hi_y = np.percentile(ys, (1.5, 98.5))
    return (
        float(area[1].start + lo_x - 1),
        float(area[0].start + lo_y - 1),
        float(area[1].start + hi_x + 2),
        float(area[0].start + hi_y + 2),
    )


def lamp(stage: Stage, e: Effect, x: float, y: float, t: float) -> Extent | None:
    """A work light on a stand, warm or cold, with glare."""
    rng = hashed(e.seed, 9)
    height = float(rng.uniform(1.6, 4.0))
    foot, at = stage.project(x, y, 0), stage.project(x, y, height)
    if foot is None or at is None:
        return None
    area = stage.area(at[0] - 1, at[1], at[0] + 1.5, foot[1])
    if area is not None:
        stage.frame[area][stage.seen(area, at[2])] = (40, 40, 42)
    spot = stage.area(at[0], at[1], at[0] + 1, at[1] + 1)
    if spot is None or not stage.seen(spot, at[2]).all():
        return None
    core = max(2.0, 0.14 * stage.view.pose.focal_px / at[2])
    colour: Colour = (120, 200, 255) if rng.random() < 0.5 else (250, 250, 245)
    glow(stage, at[0], at[1], core * 14, colour, 0.35)
    glow(stage, at[0], at[1], core * 4, colour, 1.0)
    cv2.circle(stage.frame, (int(at[0]), int(at[1])), int(core), (250, 253, 255), -1, cv2.LINE_AA)
    return None


def sunset(stage: Stage, e: Effect, x: float, y: float, t: float) -> Extent | None:
    """A low sun over the scene with flare; lights only the open sky, so not indoors."""
    if stage.indoor or stage.light in ("night", "ir"):
        return lamp(stage, e, x, y, t)
    horizon = stage.project(x * 40, y * 40, stage.view.pose.height_m)
    if horizon is None:
        return None
    rng = hashed(e.seed, 10)
    w = stage.frame.shape[1]
    u, v = horizon[0], horizon[1] - float(rng.uniform(4, 50))
    glow(stage, u, v, w * 0.45, (60, 120, 215), 0.6)
    glow(stage, u, v, w * 0.14, (90, 190, 255), 0.9)
    glow(stage, u, v, w * 0.035, (200, 245, 255), 1.8)
    for i in range(1, 4):
        fu = u + (w / 2 - u) * i * 0.6
        fv = v + (stage.frame.shape[0] / 2 - v) * i * 0.6
        glow(stage, fu, fv, 10.0 + 9 * i, (70, 110, 150), 0.25)
    return None


def headlights(stage: Stage, e: Effect, x: float, y: float, t: float) -> Extent | None:
    """A car facing the camera with its lights on."""
    rng = hashed(e.seed, 11)
    width = e.size_m or USUAL_SIZE_M["headlights"]
    foot, head = stage.project(x, y, 0.2), stage.project(x, y, 1.45)
    if foot is None or head is None:
        return None
    scale = stage.view.pose.focal_px / foot[2]
    area = stage.area(foot[0] - width / 2 * scale, head[1], foot[0] + width / 2 * scale, foot[1])
    if area is not None:
        tall = area[0].stop - area[0].start
        wide = area[1].stop - area[1].start
        car = np.zeros((48, 64, 3), np.uint8)
        mask = np.zeros((48, 64), np.uint8)
        paint = [(40, 40, 45), (185, 185, 185), (40, 40, 150), (130, 90, 60)][int(rng.integers(0, 4))]
        ring = np.array([(2, 47), (61, 47), (62, 22), (50, 2), (14, 2), (1, 22)], np.int32)
        cv2.fillConvexPoly(car, ring, paint)
        cv2.fillConvexPoly(mask, ring, 255)
        cv2.fillConvexPoly(car, np.array([(10, 20), (53, 20), (48, 5), (16, 5)], np.int32), (60, 55, 50))
        cv2.rectangle(car, (18, 32), (46, 40), (35, 35, 35), -1)
        lit = cv2.resize(car, (wide, tall), interpolation=cv2.INTER_AREA).astype(np.float32)
        lit *= stage.brightness(foot[0], foot[1])
        on = (cv2.resize(mask, (wide, tall)) > 127) & stage.seen(area, foot[2])
        stage.frame[area][on] = np.clip(lit, 0, 255).astype(np.uint8)[on]
    strong = {"day": 0.35, "overcast": 0.5, "dusk": 0.9, "night": 1.0, "ir": 1.0}[stage.light]
    core = max(1.8, 0.1 * scale)
    for wing in (-0.37, 0.37):
        at = stage.project(x + wing * width, y, 0.7)
        if at is None:
            continue
        spot = stage.area(at[0], at[1], at[0] + 1, at[1] + 1)
        if spot is None or not stage.seen(spot, at[2]).all():
            continue
        glow(stage, at[0], at[1], core * 13, (215, 235, 250), 0.4 * strong)
        glow(stage, at[0], at[1], core * 4, (240, 248, 255), 1.0)
        cv2.circle(stage.frame, (int(at[0]), int(at[1])), int(core), (252, 254, 255), -1, cv2.LINE_AA)
    return None


def beacon(stage: Stage, e: Effect, x: float, y: float, t: float) -> Extent | None:
    """A rotating amber or red warning light on a post or forklift."""
    at = stage.project(x, y, 2.1)
    foot = stage.project(x, y, 0)
    if at is None or foot is None:
        return None
    rng = hashed(e.seed, 12)
    scale = stage.view.pose.focal_px / at[2]
    area = stage.area(at[0] - max(1.0, 0.06 * scale), at[1], at[0] + max(1.0, 0.06 * scale), foot[1])
    if area is not None:
        stage.frame[area][stage.seen(area, at[2])] = (45, 130, 170)
    spot = stage.area(at[0], at[1], at[0] + 1, at[1] + 1)
    if spot is None or not stage.seen(spot, at[2]).all():
        return None
    phase = 0.5 + 0.5 * math.sin(t * 2 * math.pi * 1.3 + float(rng.uniform(0, 6.28)))
    colour: Colour = (30, 140, 255) if rng.random() < 0.6 else (40, 40, 255)
    core = max(2.0, 0.11 * scale)
    glow(stage, at[0], at[1], core * 9, colour, 0.6 * phase)
    glow(stage, at[0], at[1], core * 2.6, colour, 0.5 + 0.8 * phase)
    dim = tuple(int(c * (0.55 + 0.45 * phase)) for c in colour)
    cv2.circle(stage.frame, (int(at[0]), int(at[1])), int(core), dim, -1, cv2.LINE_AA)
    return None


def reflection(stage: Stage, e: Effect, x: float, y: float, t: float) -> Extent | None:
    """Sunlight or lamp light mirrored on a wet patch of the ground: flat, warm, glittering."""
    foot = stage.project(x, y, 0)
    if foot is None:
        return None
    size = e.size_m or USUAL_SIZE_M["reflection"]
    scale = stage.view.pose.focal_px / foot[2]
    width = size * scale
    lean = max(0.12, math.sin(math.atan2(stage.view.pose.height_m, max(1.0, y))))
    height = max(3.0, width * lean)
    n = 48
    gy, gx = np.mgrid[0:n, 0:n].astype(np.float32) / (n - 1) - 0.5
    phase = (e.seed % 1000) / 1000
    ripple = sample_noise(gx * 0.3 + phase, gy * 0.6 + t * 0.02, 2)
    alpha = np.clip(1.1 - 4.6 * (gx**2 + gy**2) - 0.8 * (ripple - 0.35), 0, 1)
    warm = np.array([120, 190, 240], np.float32) if e.seed % 2 else np.array([225, 230, 235], np.float32)
    sprite = np.ones((n, n, 3), np.float32) * warm * (0.8 + 0.4 * ripple[..., None])
    strength = {"day": 0.55, "overcast": 0.35, "dusk": 0.5, "night": 0.45, "ir": 0.5}[stage.light]
    _paste(
        stage, sprite, (alpha * strength).astype(np.float32), foot[0] - width / 2,
        foot[1] - height / 2, width, height, foot[2],
    )  # fmt: skip
    return None


PAINTERS: dict[str, Callable[[Stage, Effect, float, float, float], Extent | None]] = {
    "fire": fire,
    "smoke": smoke,
    "welding_arc": welding_arc,
    "sparks": sparks,
    "lamp": lamp,
    "sunset": sunset,
    "headlights": headlights,
    "steam": steam,
    "beacon": beacon,
    "reflection": reflection,
}
