"""The still part of a scene: deferred shading of a layout as a CCTV camera would show it.

Faces are drawn into a depth buffer with perspective-true textures, then lit per pixel by sun or
lamps or the camera's own infrared light. Slow (about 0.2 s): the caller keeps the result.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from detection.farm.layout import Face, Lamp, Layout
from detection.farm.textures import Float, Image, sample_noise
from detection.pose import Pose, camera_axes

Light = Literal["day", "overcast", "dusk", "night", "ir"]
LIGHTS: tuple[Light, ...] = get_args(Light)

FAR_M = 9_000.0
"""Depth given to the sky, metres (fits into half precision)."""
_NEAR_M = 0.25


@dataclass(frozen=True, slots=True)
class Background:
    """A drawn scene without anything that moves.

    image: (height, width, 3) uint8 BGR. depth: (height, width) float16, metres along the optical
    axis. light: (height / 8, width / 8, 3) float32, light per channel that falls on each place.
    """

    image: Image
    depth: NDArray[np.float16]
    light: Float


@dataclass(frozen=True, slots=True)
class View:
    """Projection in the scene's own ground frame (azimuth 0)."""

    pose: Pose
    axes: NDArray[np.float64]

    @classmethod
    def of(cls, pose: Pose) -> View:
        return cls(pose, camera_axes(0.0, pose.tilt_deg))

    def camera(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (n, 3) of the scene in camera axes (right, down, depth)."""
        return (points - np.array([0.0, 0.0, self.pose.height_m])) @ self.axes.T

    def pixels(self, in_camera: NDArray[np.float64]) -> NDArray[np.float64]:
        p, f = self.pose, self.pose.focal_px
        return np.column_stack(
            [
                p.width_px / 2 + f * in_camera[:, 0] / in_camera[:, 2],
                p.height_px / 2 + f * in_camera[:, 1] / in_camera[:, 2],
            ]
        )

    def polygon(self, points: NDArray[np.float64]) -> NDArray[np.int32] | None:
        """Pixels of a flat polygon clipped at the near plane; None where nothing is in front."""
        ring = self.camera(points)
        out: list[NDArray[np.float64]] = []
        for i in range(len(ring)):
            a, b = ring[i - 1], ring[i]
            if (a[2] >= _NEAR_M) != (b[2] >= _NEAR_M):
                out.append(a + (b - a) * ((_NEAR_M - a[2]) / (b[2] - a[2])))
            if b[2] >= _NEAR_M:
                out.append(b)
        if len(out) < 3:
            return None
        return np.clip(np.round(self.pixels(np.array(out))), -20_000, 20_000).astype(np.int32)


def draw(layout: Layout, pose: Pose, light: Light, seed: int) -> Background:
    """Draw a layout; the same arguments give the same picture."""
    rng = np.random.default_rng([seed, 77])
    view = View.of(pose)
    h, w = pose.height_px, pose.width_px
    f = pose.focal_px
    v, u = np.mgrid[0:h, 0:w].astype(np.float32)
    x, y = (u + 0.5 - w / 2) / f, (v + 0.5 - h / 2) / f
    a = view.axes.astype(np.float32)
    rays = x[..., None] * a[0] + y[..., None] * a[1] + a[2]

    down = -rays[..., 2]
    on_ground = down > 1e-3
    depth = np.where(on_ground, pose.height_m / np.maximum(down, 1e-3), FAR_M).astype(np.float32)
    on_ground &= depth < 400
    depth[~on_ground] = FAR_M
    albedo = _sky(rays, light, rng)
    normal = np.zeros((h, w, 3), np.float32)
    glow = np.zeros((h, w), bool)
    gx, gy = rays[..., 0] * depth, rays[..., 1] * depth
    ground = _ground(layout.ground, gx, gy, depth, rng)
    ground = _paint_lines(ground, layout, view, rng)
    albedo[on_ground] = ground[on_ground]
    normal[on_ground] = (0, 0, 1)

    for face in layout.faces:
        _draw_face(face, view, rays, depth, albedo, normal, glow, on_ground)

    sky = (depth >= FAR_M) & ~glow
    picture, falling = _shade(layout, view, light, rng, rays, depth, albedo, normal, glow | sky, on_ground)
    if light in ("dusk", "night"):
        for lamp in layout.lamps:
            if lamp.visible:
                _glare(picture, depth, view, lamp, 1.0 if light == "night" else 0.6)
    image = _camera(picture, light, rng)
    return Background(image, np.minimum(depth, FAR_M).astype(np.float16), falling)


def _sky(rays: Float, light: Light, rng: np.random.Generator) -> Float:
    up = np.clip(rays[..., 2] / np.linalg.norm(rays, axis=2), 0, 1)
    tops = {
        "day": ((225, 185, 140), (240, 228, 215)),
        "overcast": ((205, 203, 198), (225, 225, 224)),
        "dusk": ((110, 75, 65), (120, 130, 175)),
        "night": ((18, 13, 11), (38, 33, 32)),
        "ir": ((10, 10, 10), (20, 20, 20)),
    }
    high, low = (np.array(c, np.float32) for c in tops[light])
    sky = low + (high - low) * np.clip(up * 3, 0, 1)[..., None]
    flat = 1 / np.maximum(up, 0.04)
    offset = rng.random(2)
    cloud = sample_noise(
        (rays[..., 0] * flat * 0.05 + offset[0]).astype(np.float32),
        (rays[..., 1] * flat * 0.05 + offset[1]).astype(np.float32),
        3,
    )
    bright = {"day": 40, "overcast": 18, "dusk": 22, "night": 3, "ir": 2}[light]
    return np.asarray(sky + ((cloud - 0.5) * 2 * bright)[..., None], np.float32)


def _ground(kind: str, gx: Float, gy: Float, depth: Float, rng: np.random.Generator) -> Float:
    o = rng.random(6).astype(np.float32)
    near = np.clip(12 / np.maximum(depth, 1), 0, 1)
    stains = sample_noise(gx / 34 + o[0], gy / 34 + o[1], 1) - 0.5
    patches = sample_noise(gx / 9 + o[2], gy / 9 + o[3], 2) - 0.5
    grain = (sample_noise(gx / 1.9 + o[4], gy / 1.9 + o[5], 1) - 0.5) * near
    base, wear = {
        "asphalt": ((98, 97, 95), 0.13),
        "concrete": ((158, 165, 168), 0.12),
        "floor": ([(135, 140, 138), (120, 135, 105), (150, 130, 105)][int(rng.integers(0, 3))], 0.06),
    }[kind]
    factor = 1 + wear * 1.2 * stains + wear * 0.8 * patches + wear * 1.4 * grain
    if kind == "concrete":
        gap = 5.0
        line = np.minimum(np.abs((gx + 2.5) % gap - gap / 2), np.abs(gy % gap - gap / 2))
        wide = np.maximum(0.05, depth * 0.0012)
        factor -= 0.22 * np.clip(1 - line / wide, 0, 1) * np.clip(30 / depth, 0, 1)
    if kind != "floor":
        wet = np.clip((sample_noise(gx / 60 + o[3], gy / 40 + o[0], 2) - 0.83) * 9, 0, 1)
        factor *= 1 - 0.35 * wet
    return np.asarray(np.array(base, np.float32) * factor[..., None], np.float32)


def _paint_lines(ground: Float, layout: Layout, view: View, rng: np.random.Generator) -> Float:
    if not layout.lines:
        return ground
    paint = np.zeros(ground.shape[:2], np.uint8)
    colour = np.zeros(ground.shape, np.float32)
    for x1, y1, x2, y2, wide, bgr in layout.lines:
        px, py = (y2 - y1), -(x2 - x1)
        norm = math.hypot(px, py) or 1.0
        px, py = px / norm * wide / 2, py / norm * wide / 2
        ring = view.polygon(
            np.array(
                [
                    [x1 + px, y1 + py, 0],
                    [x2 + px, y2 + py, 0],
                    [x2 - px, y2 - py, 0],
                    [x1 - px, y1 - py, 0],
                ]
            )
        )
        if ring is not None:
            cv2.fillConvexPoly(paint, ring, 200, cv2.LINE_AA)
            cv2.fillConvexPoly(colour, ring, bgr)
    alpha = (paint.astype(np.float32) / 255)[..., None] * float(rng.uniform(0.5, 1.0))
    has = colour.any(axis=2, keepdims=True)
    return np.where(has, ground * (1 - alpha) + colour * alpha, ground)


def _draw_face(
    face: Face,
    view: View,
    rays: Float,
    depth: Float,
    albedo: Float,
    normal: Float,
    glow: NDArray[np.bool_],
    on_ground: NDArray[np.bool_],
) -> None:
    corner, along, down = (np.array(p, float) for p in (face.corner, face.along, face.down))
    ring = view.polygon(np.array([corner, corner + along, corner + along + down, corner + down]))
    if ring is None:
        return
    h, w = depth.shape
    left, top = np.maximum(ring.min(axis=0), 0)
    right, bottom = ring.max(axis=0) + 1
    right, bottom = min(int(right), w), min(int(bottom), h)
    if right - left < 1 or bottom - top < 1:
        return
    area = (slice(int(top), bottom), slice(int(left), right))
    mask = np.zeros((bottom - int(top), right - int(left)), np.uint8)
    cv2.fillConvexPoly(mask, ring - np.array([left, top], np.int32), 255)
    # Depth of the face's plane along each pixel's ray.
    plane = np.cross(along, down)
    eye = np.array([0.0, 0.0, view.pose.height_m])
    meets = rays[area] @ plane.astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.float32((corner - eye) @ plane) / meets
    visible = (mask > 0) & np.isfinite(at) & (at > _NEAR_M * 0.5) & (at < depth[area] - 1e-3)
    if not visible.any():
        return
    th, tw = face.texture.shape[:2]
    f, p = view.pose.focal_px, view.pose
    k = np.array([[f, 0, p.width_px / 2 - left], [0, f, p.height_px / 2 - top], [0, 0, 1]])
    to_pixel = k @ view.axes @ np.column_stack([along / tw, down / th, corner - eye])
    # Shrink a large texture first: far away faces would otherwise sparkle.
    shrink = max(1, min(tw // max(1, mask.shape[1]), th // max(1, mask.shape[0])))
    source = face.texture
    if shrink > 1:
        source = cv2.resize(source, (tw // shrink, th // shrink), interpolation=cv2.INTER_AREA)
        scale = np.diag([tw / source.shape[1], th / source.shape[0], 1.0])
        to_pixel = to_pixel @ scale
    warped = cv2.warpPerspective(
        source,
        to_pixel,
        (mask.shape[1], mask.shape[0]),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    if source.shape[2] == 4:
        alpha = warped[..., 3]
        soft = visible & (alpha > 20)
        blend = (alpha[soft].astype(np.float32) / 255)[:, None]
        albedo[area][soft] = albedo[area][soft] * (1 - blend) + warped[..., :3][soft] * blend
        visible &= alpha > 127
    else:
        albedo[area][visible] = warped[visible]
    depth[area][visible] = at[visible]
    normal[area][visible] = face.normal
    glow[area][visible] = face.glows
    on_ground[area][visible] = False


def _shade(
    layout: Layout,
    view: View,
    light: Light,
    rng: np.random.Generator,
    rays: Float,
    depth: Float,
    albedo: Float,
    normal: Float,
    unlit: NDArray[np.bool_],
    on_ground: NDArray[np.bool_],
) -> tuple[Float, Float]:
    h, w = depth.shape
    indoor = layout.room is not None
    falling = np.zeros((h, w, 3), np.float32)
    contact = _footprints(layout, view, (0.0, 0.0), 0.35, (h, w))
    contact = cv2.GaussianBlur(contact, (0, 0), 5)
    ambient = {
        "day": (0.58, 0.54, 0.5),
        "overcast": (0.82, 0.82, 0.82),
        "dusk": (0.34, 0.27, 0.25),
        "night": (0.07, 0.06, 0.055),
        "ir": (0.03, 0.03, 0.03),
    }[light]
    if indoor and light != "ir":
        ambient = {"night": (0.16, 0.16, 0.16)}.get(light, (0.38, 0.38, 0.38))
    falling += np.array(ambient, np.float32)
    if light == "day" and not indoor:
        turn, high = float(rng.uniform(0, 6.28)), float(rng.uniform(0.5, 1.1))
        sun = np.array(
            [math.cos(turn) * math.cos(high), math.sin(turn) * math.cos(high), math.sin(high)],
            np.float32,
        )
        direct = np.clip(normal @ sun, 0, 1)
        cast = (-sun[0] / sun[2], -sun[1] / sun[2])
        shadow = cv2.GaussianBlur(_footprints(layout, view, cast, 0.0, (h, w)), (0, 0), 1.2)
        direct = np.where(on_ground, direct * (1 - shadow), direct)
        falling += direct[..., None] * np.array([0.62, 0.68, 0.74], np.float32)
    lamps_on = light in ("dusk", "night") or (indoor and light != "ir")
    if lamps_on:
        falling += _lamp_light(layout, view.pose.height_m, rays, depth, normal, 0.42 if indoor else 0.9)
    if light == "ir":
        v, u = np.mgrid[0:h, 0:w].astype(np.float32)
        spot = np.exp(-(((u / w - 0.5) / 0.48) ** 2 + ((v / h - 0.52) / 0.52) ** 2))
        reach = float(rng.uniform(16, 34))
        falling += (1.35 * spot / (1 + (depth / reach) ** 2) + 0.04)[..., None]
    falling *= (1 - 0.45 * contact * on_ground)[..., None]
    lit = albedo * falling
    # Haze takes far things towards the sky's colour.
    if not indoor and light in ("day", "overcast", "dusk"):
        haze = (1 - np.exp(-np.minimum(depth, 400) / 420))[..., None]
        tone = {"day": (225, 215, 205), "overcast": (212, 212, 210), "dusk": (105, 90, 90)}[light]
        lit = lit * (1 - haze) + np.array(tone, np.float32) * haze
    picture = np.where(unlit[..., None], albedo, lit)
    if light == "ir":
        grey = picture @ np.array([0.25, 0.4, 0.35], np.float32)
        picture = np.repeat(grey[..., None], 3, axis=2)
    small = cv2.resize(falling, (w // 8, h // 8), interpolation=cv2.INTER_AREA)
    return picture, small


def _footprints(
    layout: Layout, view: View, cast: tuple[float, float], grow: float, shape: tuple[int, int]
) -> Float:
    """0..1 where the ground is covered or shaded by a solid, its top cast along (x, y) per metre."""
    mask = np.zeros(shape, np.uint8)
    for solid in layout.solids:
        scale = 1 + grow / max(solid.half_x, solid.half_y, 0.3)
        foot = [
            (solid.x + (cx - solid.x) * scale, solid.y + (cy - solid.y) * scale) for cx, cy in solid.corners()
        ]
        top = [(cx + cast[0] * solid.top, cy + cast[1] * solid.top) for cx, cy in foot]
        hull = cv2.convexHull(np.array(foot + top, np.float32)).reshape(-1, 2).astype(float)
        ring = view.polygon(np.column_stack([hull, np.zeros(len(hull))]))
        if ring is not None and len(ring) >= 3:
            cv2.fillConvexPoly(mask, cv2.convexHull(ring), 255)
    return (mask.astype(np.float32) / 255).astype(np.float32)


def _lamp_light(
    layout: Layout, height_m: float, rays: Float, depth: Float, normal: Float, gain: float
) -> Float:
    """Light of the lamps on each pixel, computed at a quarter of the resolution."""
    h, w = depth.shape
    small = (slice(2, None, 4), slice(2, None, 4))
    d = np.minimum(depth[small], 300.0)
    place = rays[small] * d[..., None]
    n = normal[small]
    total = np.zeros_like(place)
    for lamp in layout.lamps:
        # place is relative to the lens; lamps are relative to the foot point.
        to = np.array([lamp.x, lamp.y, lamp.z - height_m], np.float32) - place
        far2 = np.einsum("ijk,ijk->ij", to, to)
        facing = np.clip(np.einsum("ijk,ijk->ij", to, n) / np.sqrt(far2 + 1e-3), 0, 1)
        power = gain * lamp.strength * (0.25 + 0.75 * facing) / (1 + far2 / lamp.reach**2)
        total += power[..., None] * (np.array(lamp.colour, np.float32) / 255)
    return cv2.resize(total, (w, h), interpolation=cv2.INTER_LINEAR)


def _glare(picture: Float, depth: Float, view: View, lamp: Lamp, gain: float) -> None:
    """A visible light source: burnt-out core and a halo."""
    at = view.camera(np.array([[lamp.x, lamp.y, lamp.z]]))
    if at[0, 2] < 1:
        return
    (u, v) = view.pixels(at)[0]
    h, w = depth.shape
    if not (-60 < u < w + 60 and -60 < v < h + 60):
        return
    iu, iv = int(np.clip(u, 0, w - 1)), int(np.clip(v, 0, h - 1))
    if depth[iv, iu] < at[0, 2] - 1.5:
        return
    core = max(2.0, view.pose.focal_px * 0.28 / at[0, 2])
    reach = int(core * 9)
    y0, y1 = max(0, int(v) - reach), min(h, int(v) + reach + 1)
    x0, x1 = max(0, int(u) - reach), min(w, int(u) + reach + 1)
    if y1 <= y0 or x1 <= x0:
        return
    gy, gx = np.mgrid[y0:y1, x0:x1].astype(np.float32)
    r = np.hypot(gx - u, gy - v)
    shine = 330 * np.exp(-((r / core) ** 2)) + 90 * gain * np.exp(-r / (core * 2.4))
    colour = np.array(lamp.colour, np.float32) / 255
    picture[y0:y1, x0:x1] += shine[..., None] * (0.35 + 0.65 * colour)


def _camera(picture: Float, light: Light, rng: np.random.Generator) -> Image:
    """Lens and sensor: softness, vignette, colour cast, tone curve, one pass of JPEG."""
    h, w = picture.shape[:2]
    picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.5, 0.95)))
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    r2 = ((x / w - 0.5) * 2) ** 2 + ((y / h - 0.5) * 2) ** 2
    picture *= (1 - float(rng.uniform(0.05, 0.2)) * r2 * 0.7)[..., None]
    if light != "ir":
        picture *= rng.uniform(0.94, 1.06, 3).astype(np.float32)
        grey = picture.mean(axis=2, keepdims=True)
        vivid = {"day": 0.95, "overcast": 0.75, "dusk": 0.8, "night": 0.75}[light]
        picture = grey + (picture - grey) * vivid * float(rng.uniform(0.75, 1.2))
    # Automatic exposure brings the middle of the tones towards what the camera aims at.
    aim = {"day": 118, "overcast": 122, "dusk": 80, "night": 58, "ir": 72}[light]
    middle = float(np.median(picture[::4, ::4].mean(axis=2))) * 0.7 + 0.3 * float(picture.mean())
    picture *= float(np.clip(aim / max(middle, 1), 0.6, 2.6) ** 0.85 * rng.uniform(0.85, 1.15))
    soft = np.where(picture > 200, 200 + 55 * np.tanh((picture - 200) / 70), picture)
    image = np.clip(soft, 0, 255).astype(np.uint8)
    ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(45, 80))])
    if not ok:
        raise RuntimeError("OpenCV cannot write JPEG")
    return cv2.imdecode(data, cv2.IMREAD_COLOR)  # type: ignore[return-value]
