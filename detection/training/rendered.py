"""Rendered training and evaluation frames with exact boxes.

Scenes are seeded: training uses seeds from 1,000,000 on, tuning from 2,000,000, testing from
3,000,000, and the demo's cameras use small numbers, so that no place is in two parts.
"""

from __future__ import annotations

import math
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from detection.farm.background import FAR_M, LIGHTS, Background, View
from detection.farm.effects import EVENT_CLASSES, MISLEADING, PAINTERS, Effect, EffectKind, Stage
from detection.farm.layout import INDOOR, SCENE_KINDS
from detection.farm.scenes import Box, Scene, render, stands_free, usual_size_m
from detection.farm.textures import Image
from detection.pose import Pose
from detection.training.dataset import Sample

SEED_BASE = {"train": 1_000_000, "tune": 2_000_000, "test": 3_000_000}
_SMALLEST_BOX_PX = 5.0


def random_scene(seed: int) -> Scene:
    """A scene with pose, kind, light and people drawn from the seed."""
    rng = np.random.default_rng([seed, 40])
    kind = SCENE_KINDS[int(rng.integers(0, len(SCENE_KINDS)))]
    inside = kind in INDOOR
    pose = Pose(
        height_m=float(rng.uniform(3.0, 6.0) if inside else rng.uniform(4.0, 13.0)),
        azimuth_deg=float(rng.uniform(0, 360)),
        tilt_deg=float(rng.uniform(10, 32) if inside else rng.uniform(8, 30)),
        hfov_deg=float(rng.uniform(45, 95)),
        width_px=960,
        height_px=540,
    )
    weights = [0.5, 0.2, 0.0, 0.1, 0.2] if inside else [0.32, 0.16, 0.16, 0.2, 0.16]
    light = LIGHTS[int(rng.choice(5, p=weights))]
    return Scene(pose, kind, seed, light, f"CAM {seed % 400:03d}", int(rng.integers(0, 4)))


def random_place(scene: Scene, rng: np.random.Generator) -> tuple[float, float] | None:
    """A free ground position in the picture, 6 to 60 m away, nearer ones more often."""
    for _ in range(60):
        away = 6 + 54 * float(rng.random()) ** 1.7
        turn = float(rng.uniform(-0.48, 0.48)) * scene.pose.hfov_deg
        bearing = math.radians(scene.pose.azimuth_deg + turn)
        place = (away * math.sin(bearing), away * math.cos(bearing))
        if stands_free(scene.kind, scene.seed, scene.pose, *place):
            return place
    return None


def random_effects(scene: Scene, rng: np.random.Generator) -> list[Effect]:
    """What happens in a frame: nothing, something misleading, or one or two events."""
    draw = rng.random()
    kinds: list[EffectKind] = []
    if draw > 0.34:
        kinds.append(EVENT_CLASSES[int(rng.integers(0, 4))])
        if kinds[0] == "fire" and rng.random() < 0.4:
            kinds.append("smoke")
        elif rng.random() < 0.12:
            kinds.append(EVENT_CLASSES[int(rng.integers(0, 4))])
    if 0.1 < draw < 0.34 or rng.random() < 0.3:
        kinds.append(MISLEADING[int(rng.integers(0, len(MISLEADING)))])
        if rng.random() < 0.3:
            kinds.append(MISLEADING[int(rng.integers(0, len(MISLEADING)))])
    effects: list[Effect] = []
    place = None
    for i, kind in enumerate(kinds):
        # Smoke of a fire rises from the fire.
        together = i == 1 and kinds[0] == "fire" and kind == "smoke"
        if not together:
            place = random_place(scene, rng)
        if place is None:
            continue
        size = usual_size_m(kind) * float(np.exp(rng.normal(0.1, 0.4)))
        effects.append(Effect(kind, *place, size, int(rng.integers(0, 2**31)), float(rng.uniform(2, 120))))
    return effects


def label(
    boxes: list[Box], x0: float, y0: float, w: float, h: float, smallest: float
) -> list[tuple[str, float, float, float, float]]:
    """Boxes within a window of the frame as YOLO rows; slivers and specks are left out."""
    rows = []
    for box in boxes:
        x1, y1 = max(box.x1, x0), max(box.y1, y0)
        x2, y2 = min(box.x2, x0 + w), min(box.y2, y0 + h)
        if x2 - x1 < smallest or y2 - y1 < smallest:
            continue
        if (x2 - x1) * (y2 - y1) < 0.3 * (box.x2 - box.x1) * (box.y2 - box.y1):
            continue
        rows.append(
            (box.name, ((x1 + x2) / 2 - x0) / w, ((y1 + y2) / 2 - y0) / h, (x2 - x1) / w, (y2 - y1) / h)
        )
    return rows


def _save(
    out: Path, name: str, image: Image, rows: list[tuple[str, float, float, float, float]], quality: int
) -> Sample:
    path = out / "images" / f"{name}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, quality]):
        raise OSError(f"{path}: cannot be written")
    return Sample(path, tuple(rows))


def _one_scene(job: tuple[str, int, int, str, bool]) -> list[Sample]:
    part, seed, frames, out, crop = job
    cv2.setNumThreads(1)
    scene = random_scene(seed)
    rng = np.random.default_rng([seed, 41])
    samples = []
    for i in range(frames):
        effects = random_effects(scene, rng)
        frame, boxes = render(scene, 1_760_000_000 + float(rng.uniform(0, 3e7)), effects)
        x0, y0, w, h = 0, 0, 960, 540
        if crop and rng.random() < 0.75:
            # A window at the scale of inference (640 px for 960), full of what matters.
            w = 624
            if boxes:
                middle = (boxes[0].x1 + boxes[0].x2) / 2
                x0 = int(np.clip(middle - rng.uniform(0.15, 0.85) * w, 0, 960 - w))
            else:
                x0 = int(rng.integers(0, 960 - w + 1))
        image = frame[y0 : y0 + h, x0 : x0 + w]
        scale = 416 / w if crop else 1.0
        if crop:
            image = cv2.resize(image, (416, round(h * scale)), interpolation=cv2.INTER_AREA)
        rows = label(boxes, x0, y0, w, h, _SMALLEST_BOX_PX / scale)
        quality = int(rng.integers(45, 92)) if crop else 75
        samples.append(_save(Path(out), f"{part}_{seed}_{i}", image, rows, quality))
    return samples


def render_part(
    part: str, scenes: int, frames: int, out: Path, *, crop: bool, processes: int = 2
) -> list[Sample]:
    """Render frames of `scenes` places of a part into out/images.

    crop: windows at the scale of inference, for training; else whole frames of 960x540.
    """
    base = SEED_BASE[part]
    jobs = [(part, base + i, frames, str(out), crop) for i in range(scenes)]
    if processes <= 1:
        return [sample for job in jobs for sample in _one_scene(job)]
    # A forked child inherits the locks of OpenCV's threads and may wait for ever.
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return [sample for group in pool.map(_one_scene, jobs, chunksize=4) for sample in group]


def paint_on_photo(sample: Sample, out: Path, name: str, seed: int) -> Sample | None:
    """A real picture with a rendered arc or shower of sparks painted in; its own boxes stay.

    None where the picture cannot be read or nothing came out visible.
    """
    photo = cv2.imread(str(sample.image))
    if photo is None:
        return None
    rng = np.random.default_rng([seed, 42])
    h, w = photo.shape[:2]
    pose = Pose(float(rng.uniform(3, 8)), 0.0, float(rng.uniform(8, 25)), float(rng.uniform(50, 80)), w, h)
    depth = np.full((h, w), FAR_M, np.float16)
    level = float(np.clip(photo.mean() / 110, 0.25, 1.1))
    light = np.full((max(1, h // 8), max(1, w // 8), 3), level, np.float32)
    stage = Stage(
        photo.copy(),
        Background(photo, depth, light),
        View.of(pose),
        "night" if photo.mean() < 60 else "day",
        bool(rng.random() < 0.5),
    )
    kind: EffectKind = "welding_arc" if rng.random() < 0.5 else "sparks"
    size = usual_size_m(kind) * float(np.exp(rng.normal(0.1, 0.4)))
    away = float(rng.uniform(6, 22))
    side = float(rng.uniform(-0.4, 0.4)) * away
    effect = Effect(kind, side, away, size, int(rng.integers(0, 2**31)))
    extent = PAINTERS[kind](stage, effect, side, away, float(rng.uniform(0, 600)))
    if extent is None:
        return None
    rows = label([Box(kind, *extent)], 0, 0, w, h, _SMALLEST_BOX_PX)
    if not rows:
        return None
    return _save(out, name, stage.frame, [*sample.boxes, *rows], int(rng.integers(60, 92)))
